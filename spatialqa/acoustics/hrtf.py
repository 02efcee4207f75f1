"""Converts HRTF files to the one form that every SOFA reader handles correctly.

RLRAudioPropagation takes the first receiver for the left ear and ignores delays. A file that says otherwise is
written anew, in the plain form, into the cache; a plain file goes to the engine as it is.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from spatialqa.acoustics.sofa import HrtfFile, read_hrtf
from spatialqa.acoustics.sofa_writing import write_sofa
from spatialqa.core.files import commit_file, default_cache
from spatialqa.errors import DatasetError, EngineError, MissingDependencyError

_VERSION = "1"  # raised whenever the same file would be written differently
_ABOUT = {"APIVersion": _VERSION, "License": "that of the file it was made from", "DatabaseName": "none"}


@dataclass(frozen=True)
class UsableHrtf:
    """An HRTF file that an engine can use.

    label: of the user's file. path: what the engine is to read, the file itself or its plain form. changes: in which
    ways the two differ, as `HrtfFile.unlike`; empty where they are the same file.
    """

    label: str
    path: Path
    changes: tuple[str, ...]


def usable_hrtf(path: Path, sample_rate: int, engine: str, cache: Path | None = None) -> UsableHrtf:
    """Return an HRTF file in a form that an engine can use at this rate.

    Args:
        path: the user's SOFA file.
        sample_rate: Hz.
        engine: its name, for messages.
        cache: where plain forms are kept; None takes the default cache.

    Raises:
        EngineError: the file cannot be read, its plain form cannot be written, or its rate is lower:
            RLRAudioPropagation writes past its buffers when it has to resample a file upwards.
        MissingDependencyError: h5py is not installed, or netCDF4 where a plain form must be written.
    """
    file = checked_hrtf(path, sample_rate, engine)
    if not file.unlike:
        return UsableHrtf(file.label, path, ())
    plain = (cache or default_cache()).absolute() / "hrtf" / f"{file.sha256}-{_VERSION}.sofa"
    if not plain.is_file():
        _write_plain(file, plain)
    return UsableHrtf(file.label, plain, file.unlike)


def checked_hrtf(path: Path, sample_rate: int, engine: str) -> HrtfFile:
    """Return what an HRTF file says of itself, and write nothing; raises as `usable_hrtf` does."""
    file = read_hrtf(path)
    if sample_rate > file.sample_rate_hz:
        raise EngineError(
            f"the HRTF file {path} has {file.sample_rate_hz:g} Hz and the engine {engine} cannot raise it to "
            f"{sample_rate} Hz: render at {file.sample_rate_hz:g} Hz or less, or give a file of a higher rate"
        )
    return file


def _write_plain(file: HrtfFile, plain: Path) -> None:
    if find_spec("netCDF4") is None:
        raise MissingDependencyError(
            f"the HRTF file {file.path} has {', '.join(file.unlike)}, which engines do not read; it is rewritten by "
            "the package netCDF4: pip install netCDF4"
        )
    responses = file.responses()

    about = {**_ABOUT, "Title": file.label, "ListenerShortName": file.path.stem}

    def write(aside: Path) -> None:
        write_sofa(aside, file.directions, responses, file.sample_rate_hz, about)

    try:
        commit_file(plain, write)
    except (DatasetError, RuntimeError) as error:
        raise EngineError(
            f"the plain form of the HRTF file {file.path} cannot be written to {plain}: {error}; free space there, or "
            "set SPATIALQA_CACHE to another folder"
        ) from error
