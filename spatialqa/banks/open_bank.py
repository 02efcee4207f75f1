"""Opens a bank and detects its format from the files at its path."""

from pathlib import Path

from spatialqa.banks.bank import Bank
from spatialqa.errors import RoomError


def open_bank(path: Path) -> Bank:
    """Return the bank at a path: a data set of ours with rirs/, SpatialSoundQA's mp3d_reverb, or SOFA files.

    Raises:
        RoomError: it is none of these, or cannot be used.
        MissingDependencyError: SOFA needs h5py.
    """
    from spatialqa.banks.mp3d_reverb import Mp3dReverbBank, is_mp3d_reverb
    from spatialqa.banks.parquet_bank import ParquetBank
    from spatialqa.banks.sofa_bank import SofaBank

    if not path.exists():
        raise RoomError(f"bank {path}: there is no such folder or file")
    if path.is_file():
        if path.suffix.lower() == ".sofa":
            return SofaBank(path)
        raise RoomError(f"bank {path}: is a file and not SOFA; {_FORMS}")
    if any((path / "rirs").glob("*.parquet")):
        return ParquetBank(path)
    for folder in (path, path / "mp3d_reverb"):
        if is_mp3d_reverb(folder):
            return Mp3dReverbBank(folder)
    if any(path.glob("*.sofa")):
        return SofaBank(path)
    raise RoomError(f"bank {path}: holds no bank; {_FORMS}")


_FORMS = (
    "looked for rirs/*.parquet (made by `spatialqa rirs`), for binaural/ beside train_reverberation.json or "
    "eval_reverberation.json (mp3d_reverb), and for *.sofa"
)
