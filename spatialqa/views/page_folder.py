"""The folder of a page: written beside its place and put there whole, so that what was there before is never half."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import spatialqa
from spatialqa.core.files import below, commit_json, temporary_name
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import DatasetError

MARKER = "spatialqa-page.json"


def place_beside(dataset: Path, kind: str) -> Path:
    """Return where a page of a data set lies by default: beside its folder, or beside a link that leads to it."""
    here = Path(os.path.abspath(dataset))  # not resolved: a link is where the user works
    return here.with_name(f"{here.name}-{kind}")


class PageFolder:
    """A folder for one page of one data set. An older page in its place is replaced; anything else is refused.

    Args:
        place: where the page is to be.
        dataset: which it shows; neither may lie in the other.

    Raises:
        DatasetError: the place is taken by something else, or is the data set's.
    """

    def __init__(self, place: Path, dataset: Path) -> None:
        self.place = place
        here, there = place.resolve(), dataset.resolve()
        if here == there or there in here.parents or here in there.parents:
            raise DatasetError(
                f"{place}: a page needs a folder of its own, apart from the data set {dataset}; choose one with --to"
            )
        self._refuse_foreign()
        self._aside = here.with_name(temporary_name())
        self._files: list[str] = []

    def write(self, relative: str, content: str | bytes) -> int:
        """Write one file of the page; returns its size in bytes."""
        path = below(self._aside, relative)
        data = content.encode("utf-8") if isinstance(content, str) else content
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise DatasetError(f"{self.place}: cannot be written ({error.strerror or error})") from None
        self._files.append(relative)
        return len(data)

    @contextlib.contextmanager
    def whole(self, facts: Mapping[str, Any]) -> Iterator[None]:
        """Put in place what is written inside the block, once the block has ended; after an error, nothing."""
        try:
            yield
            commit_json(self._aside / MARKER, {"spatialqa": spatialqa.__version__, **facts, "files": self._files})
            self._put()
        finally:
            shutil.rmtree(self._aside, ignore_errors=True)

    def _put(self) -> None:
        self._refuse_foreign()
        before = self._aside.with_name(temporary_name())
        try:
            if self.place.exists():
                os.replace(self.place, before)
            os.replace(self._aside, self.place)
        except OSError as error:
            if before.exists() and not self.place.exists():
                os.replace(before, self.place)
            raise DatasetError(f"{self.place}: cannot be written ({error.strerror or error})") from None
        shutil.rmtree(before, ignore_errors=True)

    def _refuse_foreign(self) -> None:
        place, advice = self.place, "choose another folder with --to"
        if not place.exists():
            return
        if not place.is_dir() or place.is_symlink():
            raise DatasetError(f"{place}: is not a folder of its own; {advice}")
        held = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir())
        if not held:
            return
        if MARKER not in held:
            raise DatasetError(f"{place}: is not empty and not a page of spatialqa; {advice}")
        own = DatasetFolder.read_json(place / MARKER, advice).get("files")
        foreign = [name for name in held if name != MARKER and name not in (own if isinstance(own, list) else [])]
        if foreign:
            raise DatasetError(f"{place}: holds {foreign[0]!r}, which is not of the page; {advice}")
