"""What a fetched folder records: which clips it has, their labels, licences and hashes, and where they are from."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spatialqa.clips.label_filter import LabelFilter
from spatialqa.core.files import commit_json, commit_text
from spatialqa.core.ontology import ontology
from spatialqa.errors import ClipError

TABLE = "clips.tsv"
RECORD = "fetched.json"
_COLUMNS = ("path", "mid", "licence", "attribution", "sha256")


@dataclass(frozen=True)
class Clip:
    """A clip that was fetched, or will be. path: below the folder."""

    path: str
    mids: tuple[str, ...]
    licence: str
    attribution: str
    sha256: str | None = None


@dataclass(frozen=True)
class FetchOptions:
    """What is asked of a collection.

    classes: names of AudioSet classes; empty for all. max_bytes: of downloads; None for no limit. mirror: an address
    that takes the place of the collection's home. say: called with a line for each step. progress: called with
    (done, in all), in megabytes.
    """

    classes: Sequence[str] = ()
    max_bytes: int | None = None
    mirror: str | None = None
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda *_: None

    @property
    def selects(self) -> bool:
        """Whether only a part of the collection is asked for."""
        return bool(self.classes) or self.max_bytes is not None

    def wanted_mids(self) -> set[str]:
        """Return the classes whose clips are kept; raises ClipError for a name that is not a class."""
        allowed = LabelFilter("all", list(self.classes) or "all").allowed()
        return {node.mid for node, kept in zip(ontology().nodes, allowed, strict=False) if kept}


@dataclass(frozen=True)
class Fetched:
    """What a folder holds after a fetch. clips_as: how `--clips` names it."""

    dest: Path
    clips: int
    classes: int
    bytes: int
    already: int
    licences: dict[str, int]
    clips_as: str

    def lines(self) -> list[str]:
        """Return it in words."""
        licences = ", ".join(f"{name} ({n})" for name, n in sorted(self.licences.items()))
        return [
            f"{self.clips} clips of {self.classes} classes in {self.dest} ({self.bytes / 1e6:,.1f} MB downloaded; "
            f"{self.already} clips were there)",
            f"licences: {licences}",
            f"next: spatialqa render --clips {self.clips_as}",
        ]


def refuse_foreign(dest: Path, source: str) -> None:
    """Raise ClipError where a folder holds what a fetch of this collection has not put there."""
    if dest.exists() and not dest.is_dir():
        raise ClipError(f"{dest} is a file; give a new or empty folder")
    if dest.exists() and any(dest.iterdir()) and not (dest / f".{source}").is_file():
        raise ClipError(
            f"{dest} holds other things; give a new or empty folder, or one of an earlier fetch of {source}"
        )
    dest.mkdir(parents=True, exist_ok=True)
    (dest / f".{source}").touch()


def record(
    dest: Path, source: str, home: str, options: FetchOptions, clips: Iterable[Clip], n_bytes: int, already: int
) -> Fetched:
    """Write clips.tsv, which `--clips folder:DIR` reads, and fetched.json; return what the folder holds.

    Raises:
        ClipError: there is no clip.
    """
    rows, licences, mids = [], dict[str, int](), set[str]()
    for clip in sorted(clips, key=lambda clip: clip.path):
        sha256 = clip.sha256 or _sha256(dest / clip.path)
        cells = (clip.path, ";".join(clip.mids), clip.licence, clip.attribution, sha256)
        rows.append("\t".join(" ".join(cell.split()) for cell in cells))
        licences[clip.licence] = licences.get(clip.licence, 0) + 1
        mids.update(clip.mids[:1])
    if not rows:
        raise ClipError(
            f"{source}: no clip is of the classes {', '.join(options.classes)} within the limit of --max-gb"
        )
    header = f"# Fetched from {home}; each clip is under its own licence.\n"
    commit_text(dest, TABLE, header + "\n".join(["\t".join(_COLUMNS), *rows]) + "\n")
    facts = {"source": source, "home": home, "classes": list(options.classes), "max_bytes": options.max_bytes}
    commit_json(dest / RECORD, {**facts, "clips": len(rows), "licences": licences})
    return Fetched(dest, len(rows), len(mids), n_bytes, already, licences, f"folder:{dest}")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
