"""Converts HRTF files to the one form that every SOFA reader handles correctly.

RLRAudioPropagation takes the first receiver for the left ear and ignores delays. A file that says otherwise is
written anew, in the plain form, into the cache; a plain file goes to the engine as it is.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatialqa.acoustics.sofa import CONVENTION, HrtfFile, read_hrtf
from spatialqa.core.files import commit_file, default_cache
from spatialqa.core.geometry import FloatArray
from spatialqa.errors import DatasetError, EngineError, MissingDependencyError

_VERSION = "1"  # raised whenever the same file would be written differently
_ABOUT = {
    "Conventions": "SOFA",
    "Version": "1.0",
    "SOFAConventions": CONVENTION,
    "SOFAConventionsVersion": "1.0",
    "APIName": "spatialqa",
    "APIVersion": _VERSION,
    "AuthorContact": "none",
    "DataType": "FIR",
    "RoomType": "free field",
    "License": "that of the file it was made from",
    "Organization": "none",
    "DateCreated": "2000-01-01 00:00:00",
    "DateModified": "2000-01-01 00:00:00",
    "DatabaseName": "none",
}


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
    try:
        import netCDF4  # h5py alone does not write what libmysofa, the engine's reader, accepts
    except ImportError:
        raise MissingDependencyError(
            f"the HRTF file {file.path} has {', '.join(file.unlike)}, which engines do not read; it is rewritten by "
            "the package netCDF4: pip install netCDF4"
        ) from None
    responses = file.responses()

    def write(aside: Path) -> None:
        with netCDF4.Dataset(aside, "w", format="NETCDF4") as out:
            for name, text in {**_ABOUT, "Title": file.label, "ListenerShortName": file.path.stem}.items():
                out.setncattr(name, text)
            count, _, taps = responses.shape
            for name, size in {"I": 1, "C": 3, "R": 2, "E": 1, "N": taps, "M": count, "S": 1}.items():
                out.createDimension(name, size)

            def put(name: str, values: FloatArray, dimensions: str, **about: str) -> None:
                variable = out.createVariable(name, "f8", tuple(dimensions))
                variable[:] = values
                variable.setncatts(about)

            cartesian = {"Type": "cartesian", "Units": "metre"}
            spherical = {"Type": "spherical", "Units": "degree, degree, metre"}
            put("ListenerPosition", np.zeros((1, 3)), "IC", **cartesian)
            put("ListenerView", np.array([[1.0, 0.0, 0.0]]), "IC", **cartesian)
            put("ListenerUp", np.array([[0.0, 0.0, 1.0]]), "IC")
            put("ReceiverPosition", np.array([[[0.0], [0.09], [0.0]], [[0.0], [-0.09], [0.0]]]), "RCI", **cartesian)
            put("EmitterPosition", np.zeros((1, 3, 1)), "ECI", **cartesian)
            put("SourcePosition", file.directions, "MC", **spherical)
            put("Data.IR", responses, "MRN")
            put("Data.SamplingRate", np.array([file.sample_rate_hz]), "I", Units="hertz")
            put("Data.Delay", np.zeros((1, 2)), "IR")

    try:
        commit_file(plain, write)
    except (DatasetError, RuntimeError) as error:
        raise EngineError(
            f"the plain form of the HRTF file {file.path} cannot be written to {plain}: {error}; free space there, or "
            "set SPATIALQA_CACHE to another folder"
        ) from error
