"""A folder of HRTF files, one for each subject, from which every listener group gets its own head."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spatialqa.acoustics.sofa import read_hrtf
from spatialqa.core.input_files import open_regular
from spatialqa.errors import EngineError


@dataclass(frozen=True)
class HeadSet:
    """The subjects of a folder.

    files: by subject, which is the name of the file and the first 16 hex digits of its sha256, in the order of names.
    label: names the set in data sets; it changes whenever a file does.
    """

    folder: Path
    files: Mapping[str, Path]
    label: str

    def file(self, subject: str) -> Path:
        """Return the file of a subject; raises EngineError where the folder has no such file, or another content."""
        if subject not in self.files:
            raise EngineError(
                f"the HRTF folder {self.folder} has no file {subject}: give the folder that the data were made with"
            )
        return self.files[subject]

    def check(self, sample_rate: int, raises_rate: bool) -> None:
        """Read what every file says of itself.

        Args:
            sample_rate: Hz, of the scenes.
            raises_rate: whether the engine resamples a file of a lower rate.

        Raises:
            EngineError: a file cannot be used.
        """
        for path in self.files.values():
            file = read_hrtf(path)
            if sample_rate > file.sample_rate_hz and not raises_rate:
                raise EngineError(
                    f"the HRTF file {path} has {file.sample_rate_hz:g} Hz: render at that rate or less, or leave the "
                    "file out of the folder"
                )


def head_set(hrtf: Path | None) -> HeadSet | None:
    """Return the heads of a folder; None for a file, or where nothing is given.

    Files with the same bytes are one subject, under the first of their names.

    Raises:
        EngineError: the folder cannot be read or has no SOFA file.
    """
    if hrtf is None or not hrtf.is_dir():
        return None
    files: dict[str, Path] = {}
    contents: set[str] = set()
    try:
        for path in sorted(path for path in hrtf.iterdir() if path.suffix.lower() == ".sofa"):
            with open_regular(path) as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            if sha256 not in contents:
                contents.add(sha256)
                files[f"{path.name}:{sha256[:16]}"] = path
    except OSError as error:
        raise EngineError(f"the HRTF folder {hrtf} cannot be read: {error.strerror or error}") from None
    if not files:
        raise EngineError(
            f"the HRTF folder {hrtf} has no SOFA file (*.sofa): put some there, or make some with "
            f"`spatialqa hrtf synth {hrtf}`"
        )
    digest = hashlib.sha256("\n".join(files).encode()).hexdigest()
    return HeadSet(hrtf, files, f"{len(files)} heads:{digest[:16]}")


def refuse_no_subject(heads: HeadSet | None) -> None:
    """Raise EngineError where an engine has several heads and none was chosen."""
    if heads is not None:
        raise EngineError(
            f"the HRTF folder {heads.folder} has {len(heads.files)} heads, and one must be chosen here: give a file "
            "of it"
        )
