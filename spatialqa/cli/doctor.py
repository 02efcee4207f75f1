"""Reports which engines, clip sources and optional packages are available, and how to get the others."""

import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from spatialqa.acoustics.engines import available
from spatialqa.clips.audioset import clips as audioset
from spatialqa.clips.decode import ffmpeg_version
from spatialqa.core.console import stdout
from spatialqa.errors import SpatialQAError
from spatialqa.generation.run import library_versions
from spatialqa.rooms.scans import matterport_files


class Finding(NamedTuple):
    """One thing that a command may need."""

    what: str
    usable: bool
    detail: str


def findings(habitat_python: str | None = None) -> Iterator[Finding]:
    """Yield what was found, the needed things first."""
    for name, usable, detail in available(habitat_python):
        yield Finding(f"engine {name}", usable, detail)
    yield Finding("rooms procedural", True, "built in")
    yield Finding("rooms mesh:PATH", True, "GLB, OBJ, PLY, STL; hm3d:DIR, gibson:DIR, replica:DIR; bank:PATH")
    yield _found("rooms mp3d", matterport_files.find_root)
    yield Finding("clips foley", True, "built in")
    yield Finding("clips folder:DIR", True, "WAV, FLAC, OGG, MP3; fsd50k:DIR, esc50:DIR")
    yield _found("clips audioset", audioset.find_root)
    version = ffmpeg_version()
    yield Finding("ffmpeg", version is not None, version or "without it, M4A, WebM and similar files are left out")
    tools = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    missing = f"needs {' and '.join(tools)}, on Debian or Ubuntu"
    yield Finding("clips debian", not tools, missing if tools else "run: spatialqa clips debian DIR")
    yield _package("ray", "render on a cluster (--ray-address)", "pip install 'spatialqa[ray]'")
    yield _package("meshoptimizer", "simplify large meshes", "pip install 'spatialqa[meshes]'")
    yield _package("netCDF4", "use HRTF files of any form (docs/hrtf.md)", "pip install 'spatialqa[soundspaces]'")
    yield _package("scikit-learn", "audit", "pip install 'spatialqa[audit]'")
    yield _package("onnxruntime", "hear-check with a tagger", "pip install 'spatialqa[hear]'")
    yield _package("pandas", "read the tables as data frames", "pip install pandas")
    yield _package("huggingface_hub", "push a data set to the hub", "pip install 'spatialqa[hub]'")
    yield _package("datasets", "read the data set with Hugging Face datasets", "pip install datasets")


def _found(what: str, find: Callable[[None], Path]) -> Finding:
    try:
        return Finding(what, True, str(find(None)))
    except SpatialQAError as error:
        return Finding(what, False, str(error))


def _package(name: str, purpose: str, command: str) -> Finding:
    try:
        return Finding(f"package {name}", True, f"{importlib.metadata.version(name)}: {purpose}")
    except importlib.metadata.PackageNotFoundError:
        return Finding(f"package {name}", False, f"{command} to {purpose}")


def as_plain_data(habitat_python: str | None = None) -> dict[str, Any]:
    """Return the findings and the versions that a fingerprint holds."""
    found = [finding._asdict() for finding in findings(habitat_python)]
    return {"findings": found, "versions": library_versions()}


def print_report(habitat_python: str | None = None) -> None:
    """Print the findings and the versions that a fingerprint holds."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, usable, detail in findings(habitat_python):
        mark = Text("ok", "green") if usable else Text("--", "yellow")
        table.add_row(mark, Text(what), Text(detail))  # as Text: a detail may hold [brackets], which are not markup
    stdout.print(table)
    stdout.print(Text(", ".join(f"{name} {version}" for name, version in library_versions().items())))
