"""What a SOFA file of head-related impulse responses holds (AES69, convention SimpleFreeFieldHRIR)."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from spatialqa.errors import EngineError, MissingDependencyError


@dataclass(frozen=True)
class SofaSummary:
    """A SOFA file at a glance. `label` is the file's name and the first 16 hex digits of its sha256."""

    path: Path
    label: str
    convention: str
    sample_rate_hz: float
    directions: int
    taps: int


def usable_label(path: Path, sample_rate: int, engine: str) -> str:
    """Return the label of an HRTF file that an engine can use at this rate.

    Raises:
        EngineError: the file cannot be read, or its rate is lower: RLRAudioPropagation writes past its buffers when it
            has to resample a file upwards.
        MissingDependencyError: h5py is not installed.
    """
    summary = read_summary(path)
    if sample_rate > summary.sample_rate_hz:
        raise EngineError(
            f"the HRTF file {path} has {summary.sample_rate_hz:g} Hz and the engine {engine} cannot raise it to "
            f"{sample_rate} Hz: render at {summary.sample_rate_hz:g} Hz or less, or give a file of a higher rate"
        )
    return summary.label


def read_summary(path: Path) -> SofaSummary:
    """Read the head of a SOFA file.

    Raises:
        EngineError: the file cannot be read, or is not a two-ear free-field HRIR set with directions.
        MissingDependencyError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError("a SOFA file needs the package h5py: pip install h5py") from None
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with h5py.File(path, "r") as file:
            convention = file.attrs.get("SOFAConventions", b"")
            convention = convention.decode() if isinstance(convention, bytes) else str(convention)
            directions, ears, taps = file["Data.IR"].shape
            rate = float(file["Data.SamplingRate"][()].ravel()[0])
            positions = file["SourcePosition"].shape
    except (OSError, KeyError, ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise EngineError(
            f"the HRTF file {path} cannot be read as SOFA: {why}; give a SimpleFreeFieldHRIR file"
        ) from None
    if convention != "SimpleFreeFieldHRIR" or ears != 2 or positions != (directions, 3) or min(directions, taps) < 1:
        raise EngineError(
            f"the HRTF file {path} holds {convention or 'no convention'}, {directions} directions and {ears} ears: "
            "give a SimpleFreeFieldHRIR file with two ears"
        )
    return SofaSummary(path, f"{path.name}:{digest[:16]}", convention, rate, int(directions), int(taps))
