"""The folder of an export: a marker file identifies it, so exports resume and other files are kept."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import spatialqa
from spatialqa.core.files import below, commit_file, commit_json, unfinished
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.dataset.manifest import EXPORT_MARKER as MARKER
from spatialqa.errors import DatasetError


class Destination:
    """A folder that holds one export of one data set.

    Its marker names the format, the data set's fingerprint and the options, and says whether the export is complete.

    Args:
        root: the folder; new, empty, or one in which this very export was begun.
        source: the data set; it may not hold the destination, nor lie in it.
        identity: format, fingerprint and options.

    Raises:
        DatasetError: the folder holds something else.
    """

    def __init__(self, root: Path, source: Path, identity: Mapping[str, Any]) -> None:
        self.root = root
        self._identity = {"spatialqa": spatialqa.__version__, **identity}
        here, there = root.resolve(), source.resolve()
        if here == there or there in here.parents or here in there.parents:
            raise DatasetError(f"{root}: an export needs a folder of its own, apart from the data set {source}")
        if root.exists() and not root.is_dir():
            raise DatasetError(f"{root}: is a file, and an export needs a folder; name another place")
        if (root / MARKER).is_file():
            before = DatasetFolder.read_json(root / MARKER, "name a new or an empty folder").get("identity")
            if not isinstance(before, dict):
                raise DatasetError(f"{root / MARKER}: is damaged (it has no identity); name a new or an empty folder")
            if differences := changed_keys(before, self._identity):
                raise DatasetError(
                    f"{root}: holds another export ({'; '.join(differences[:4])}); name a new or an empty folder"
                )
        elif root.exists() and any(root.iterdir()):
            raise DatasetError(f"{root}: is not empty and not an export of spatialqa; name a new or an empty folder")
        commit_json(root / MARKER, {"complete": False, "identity": self._identity})
        for leftover in unfinished(root):
            leftover.unlink(missing_ok=True)

    def copy(self, source: Path, relative: str) -> tuple[int, str]:
        """Copy a file to a place below the destination, whole or not at all; return (bytes, sha256)."""
        return commit_file(below(self.root, relative), lambda aside: _copy(source, aside))

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Mark the export complete, with what it holds."""
        commit_json(self.root / MARKER, {"complete": True, "identity": self._identity, **facts})


def _copy(source: Path, aside: Path) -> None:
    shutil.copyfile(source, aside)
