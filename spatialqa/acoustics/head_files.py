"""Folders of HRTF files: synthetic heads of a parametric family, and a measured one from a Debian package."""

import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.parametric_head import parametric_head, subject
from spatialqa.acoustics.geometric.receiver import Head
from spatialqa.acoustics.sofa_writing import write_sofa
from spatialqa.core.files import commit_file
from spatialqa.core.geometry import cartesian
from spatialqa.errors import ClipError, EngineError

SAMPLE_RATE = 48_000
DISTANCE_M = 1.5
MOST_SUBJECTS = 10_000
_TAPS = 256
_BEFORE = 96  # samples before the sound would reach the centre of the head
_STEP_DEG = (5, 10)  # of azimuth and elevation
_PACKAGE = "libmysofa1"
_FILE = "MIT_KEMAR_normal_pinna.sofa"
_CREDIT = (
    "MIT KEMAR, W. G. Gardner and K. D. Martin, 1994; free to use with citation. The file itself states no licence.\n"
)


def synthesise(folder: Path, subjects: int, seed: int = 0) -> list[Path]:
    """Write SOFA files of parametric heads, `subject-0000.sofa` and so on; those that are there are written again.

    Args:
        folder: where; made if missing.
        subjects: how many, 1 to MOST_SUBJECTS.
        seed: of the family; the same seed and number give the same head, however many are asked for.

    Raises:
        EngineError: the folder cannot be made.
        DatasetError: a file cannot be written.
        MissingDependencyError: netCDF4 is not installed.
    """
    _make(folder)
    grid = _grid()
    vectors = cartesian(np.where(grid[:, 0] > 180.0, grid[:, 0] - 360.0, grid[:, 0]), grid[:, 1])
    written = []
    for number in range(subjects):
        head = parametric_head(SAMPLE_RATE, subject(number, seed), vectors)
        path = folder / f"subject-{number:04d}.sofa"
        about = {
            "Title": head.label,
            "ListenerShortName": path.stem,
            "DatabaseName": f"spatialqa parametric heads, seed {seed}",
            "APIVersion": "1",
            "License": "MIT",
        }
        responses = whole_responses(head, _TAPS, _BEFORE)

        def write(aside: Path, responses: npt.NDArray[np.float64] = responses, about: dict[str, str] = about) -> None:
            write_sofa(aside, grid, responses, SAMPLE_RATE, about)

        commit_file(path, write)
        written.append(path)
    return written


def whole_responses(head: Head, taps: int, before: int) -> npt.NDArray[np.float64]:
    """Return a head's responses with their delays in them, float64 (D, 2, taps).

    before: samples from the start until a sound would reach the centre of the head.
    """
    count = head.responses.shape[-1]
    n = 1 << (taps + count).bit_length()
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(n) * (head.delays + before)[..., None])
    return np.asarray(np.fft.irfft(np.fft.rfft(head.responses, n) * turn, n)[..., :taps])


def fetch_debian(folder: Path) -> Path:
    """Fetch a measured head, the MIT KEMAR with normal pinnae, out of Debian's package libmysofa1; needs no root.

    Raises:
        EngineError: there is no apt-get or dpkg-deb, the package cannot be downloaded, or does not hold the file.
    """
    from spatialqa.clips.debian import download

    _make(folder)
    with tempfile.TemporaryDirectory() as aside:
        try:
            deb = download(_PACKAGE, Path(aside))
            done = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True)
        except ClipError as error:
            raise EngineError(str(error)) from None
        except (OSError, subprocess.CalledProcessError) as error:
            raise EngineError(f"dpkg-deb cannot open {_PACKAGE} ({error}); run this on Debian or Ubuntu") from None
        unpacked = Path(aside) / "files.tar"
        unpacked.write_bytes(done.stdout)
        with tarfile.open(unpacked) as files:
            member = next((m for m in files if m.isfile() and m.name.endswith("/" + _FILE)), None)
            stream = None if member is None else files.extractfile(member)
            if stream is None:
                raise EngineError(f"Debian's package {_PACKAGE} holds no {_FILE}: give a SOFA file of your own")
            content = stream.read()
    for name, data in ((_FILE, content), ("CREDITS.txt", _CREDIT.encode())):

        def write(to: Path, data: bytes = data) -> None:
            to.write_bytes(data)

        commit_file(folder / name, write)
    return folder / _FILE


def _grid() -> npt.NDArray[np.float64]:
    """Return azimuth, elevation (degrees) and distance (m) of the directions of a file, float64 (D, 3)."""
    azimuth_deg, elevation_deg = _STEP_DEG
    rows = [(0.0, -90.0, DISTANCE_M)]
    for elevation in range(-90 + elevation_deg, 90, elevation_deg):
        rows += [(float(azimuth), float(elevation), DISTANCE_M) for azimuth in range(0, 360, azimuth_deg)]
    return np.array([*rows, (0.0, 90.0, DISTANCE_M)])


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"{folder}: cannot be made ({error.strerror}); name another folder") from None
