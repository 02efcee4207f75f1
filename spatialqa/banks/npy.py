"""Reads untrusted .npy files: headers are checked before data are read, and pickled objects are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from spatialqa.banks.bank import check_shape
from spatialqa.core.input_files import open_regular
from spatialqa.errors import RoomError, one_line

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy_rir(path: Path, channels: int, sample_rate: int) -> npt.NDArray[Any]:
    """Return the floating-point array (channels, n) of an .npy file.

    Raises:
        RoomError: the file is gone, is no .npy file, holds Python objects or anything but such an array, or is cut off.
    """
    try:
        with open_regular(path) as file:
            version = np.lib.format.read_magic(file)
            if version not in _READERS:
                raise RoomError(f"{path}: is an .npy file of version {version}, which plain arrays do not use")
            shape, fortran_order, dtype = _header(path, _READERS[version], file)
            if dtype.hasobject:
                raise RoomError(f"{path}: holds pickled Python objects, which can run code: it is refused")
            if dtype.kind != "f":
                raise RoomError(f"{path}: holds {dtype} and not floating-point samples")
            check_shape(shape, channels, sample_rate, str(path))
            count = shape[0] * shape[1]
            data = np.fromfile(file, dtype=dtype, count=count)
    except OSError as error:
        raise RoomError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError) as error:
        raise RoomError(f"{path}: is not an .npy file ({one_line(error, 200)})") from None
    if data.size != count:
        raise RoomError(f"{path}: is truncated ({data.size} of {count} samples): copy it again")
    return data.reshape(shape, order="F" if fortran_order else "C")


def _header(path: Path, reader: Callable[[BinaryIO], Any], file: BinaryIO) -> Any:
    """Return the shape, order and type that a header states; numpy parses it as Python source, at most 10,000 bytes."""
    try:
        return reader(file)
    except OSError:
        raise
    except Exception as error:  # whatever the parsers raise: TokenError, SyntaxError, MemoryError for deep nesting
        raise RoomError(f"{path}: is not an .npy file ({one_line(error, 200)})") from None
