"""Writes SOFA files of head-related impulse responses in the plain form that every reader handles correctly.

Left ear first, spherical directions in degrees about a listener at the origin that looks along x, no delays.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from spatialqa.acoustics.sofa import CONVENTION
from spatialqa.core.geometry import FloatArray
from spatialqa.errors import MissingDependencyError

_ABOUT = {
    "Conventions": "SOFA",
    "Version": "1.0",
    "SOFAConventions": CONVENTION,
    "SOFAConventionsVersion": "1.0",
    "APIName": "spatialqa",
    "AuthorContact": "none",
    "DataType": "FIR",
    "RoomType": "free field",
    "Organization": "none",
    "DateCreated": "2000-01-01 00:00:00",  # the same bytes whenever it is written
    "DateModified": "2000-01-01 00:00:00",
}


def write_sofa(
    path: Path, directions: FloatArray, responses: FloatArray, sample_rate_hz: float, about: Mapping[str, str]
) -> None:
    """Write a file of the convention SimpleFreeFieldHRIR.

    Args:
        path: of the file; one that is there is overwritten.
        directions: float64 (M, 3), azimuth (counter-clockwise from the front) and elevation in degrees, distance in
            metres.
        responses: float64 (M, 2, n), left then right, linear, with their delays in them.
        sample_rate_hz: of the responses.
        about: attributes of the file, such as Title, ListenerShortName, DatabaseName, APIVersion and License.

    Raises:
        MissingDependencyError: netCDF4 is not installed.
    """
    try:
        import netCDF4  # h5py alone does not write what libmysofa, the reader of many engines, accepts
    except ImportError:
        raise MissingDependencyError("SOFA files are written by the package netCDF4: pip install netCDF4") from None
    with netCDF4.Dataset(path, "w", format="NETCDF4") as out:
        for name, text in {**_ABOUT, **about}.items():
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
        put("SourcePosition", directions, "MC", **spherical)
        put("Data.IR", responses, "MRN")
        put("Data.SamplingRate", np.array([sample_rate_hz]), "I", Units="hertz")
        put("Data.Delay", np.zeros((1, 2)), "IR")
