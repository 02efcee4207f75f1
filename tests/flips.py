"""Flips single bytes of a data set's files, or removes files, and tells which of it `validate` does not notice.

    python -m tests.flips OUT [FLIPS]

works on a copy of the data set OUT; flips that many bytes (300), spread over all of its files, then removes every file.
"""

import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spatialqa.dataset.croissant import CROISSANT
from spatialqa.dataset.manifest import CARD
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import DatasetError

NOTICED, WARNED, MISSED = "noticed", "warned", "missed"
TRANSIENT = ("_spatialqa/lock",)


def files_of(root: Path) -> list[str]:
    """Return the paths of all files of a data set, relative to it, sorted."""
    paths = (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file())
    return [path for path in paths if path not in TRANSIENT]


def verdict(root: Path) -> str:
    """Return whether `validate` finds a problem (or refuses the data set), only warns, or sees nothing."""
    try:
        report = validate_dataset(root)
    except DatasetError:
        return NOTICED
    return NOTICED if report.problems else WARNED if report.warnings else MISSED


@contextmanager
def flipped(path: Path, offset: int, mask: int) -> Iterator[None]:
    """Change the byte at an offset by a mask (1 to 255) for a while."""
    with path.open("rb+") as file:
        file.seek(offset)
        before = file.read(1)
        file.seek(offset)
        file.write(bytes([before[0] ^ mask]))
    try:
        yield
    finally:
        with path.open("rb+") as file:
            file.seek(offset)
            file.write(before)


@contextmanager
def removed(path: Path) -> Iterator[None]:
    """Take a file away for a while."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def flip_each(root: Path, files: Sequence[str], flips: int, rng: random.Random) -> list[tuple[str, int, int, str]]:
    """Flip so many bytes one at a time, file after file in turn; return (file, offset, mask, verdict) of each."""
    full = [name for name in files if (root / name).stat().st_size]
    outcomes = []
    for k in range(flips):
        path = root / full[k % len(full)]
        offset, mask = rng.randrange(path.stat().st_size), rng.randrange(1, 256)
        with flipped(path, offset, mask):
            outcomes.append((full[k % len(full)], offset, mask, verdict(root)))
    return outcomes


def remove_each(root: Path, files: Sequence[str]) -> list[tuple[str, str]]:
    """Take the files away one at a time; return (file, verdict) of each."""
    outcomes = []
    for name in files:
        with removed(root / name):
            outcomes.append((name, verdict(root)))
    return outcomes


def expected(name: str) -> str:
    """Return the verdict that a change of a file must have: users edit the card, and nothing else."""
    return WARNED if name in (CARD, CROISSANT) else NOTICED


def main(out: str, flips: str = "300") -> int:
    """Run both on a copy; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        shutil.copytree(out, root)
        files = files_of(root)
        if (before := verdict(root)) != MISSED:
            print(f"{out}: is not valid to begin with ({before})")
            return 2
        flip_outcomes = flip_each(root, files, int(flips), random.Random(0))
        removals = remove_each(root, files)
    wrong = [str(flip) for flip in flip_outcomes if flip[-1] != expected(flip[0])]
    wrong += [str(removal) for removal in removals if removal[-1] != expected(removal[0])]
    noticed = sum(outcome[-1] == NOTICED for outcome in flip_outcomes)
    warned = sum(outcome[-1] == WARNED for outcome in flip_outcomes)
    print(f"{len(flip_outcomes)} flips over {len(files)} files: {noticed} noticed, {warned} warned of (the card)")
    noticed = sum(removal[-1] == NOTICED for removal in removals)
    print(f"{len(removals)} removals: {noticed} noticed, {len(removals) - noticed - len(wrong)} warned of (the card)")
    for outcome in wrong:
        print(f"WRONG {outcome}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
