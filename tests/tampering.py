"""Changes audio or labels of a data set, rewrites all hashes, and counts how often `validate` notices.

    python -m tests.tampering [OUT ...]

works on copies of rendered data sets; without any, on 64 default scenes that it renders. It prints false alarms, and
for every kind of change whether it is noticed in the whole set, and the share of single changed scenes that are
noticed.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.core.audio_io import decode_flac, encode_flac
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import write_record
from spatialqa.dataset.manifest import write_manifest
from spatialqa.dataset.reading import schema_of
from spatialqa.dataset.validation.dataset import ValidationReport, validate_dataset
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.validate import validate_with_inputs

Row = dict[str, Any]
Audio = npt.NDArray[np.float32]
Change = Callable[[Sequence[Row]], None]  # changes the rows of scenes in place
LATE_S = 0.030


def _of_audio(change: Callable[[Audio, int], Audio]) -> Change:
    """Return the change of the audio of each scene by itself: float32 (channels, n) and the rate in Hz."""

    def apply(rows: Sequence[Row]) -> None:
        for row in rows:
            audio, rate = decode_flac(row["audio"]["bytes"])
            row["audio"]["bytes"] = encode_flac(np.ascontiguousarray(change(audio, rate), dtype=np.float32), rate)

    return apply


def _of_source(change: Callable[[Row], None]) -> Change:
    """Return the change of one source of each scene: the last one of which something is known."""

    def apply(rows: Sequence[Row]) -> None:
        for row in rows:
            for source in reversed(row["sources"]):
                before = repr(source)
                change(source)
                if repr(source) != before:
                    break

    return apply


def _late(audio: Audio, rate: int) -> Audio:
    shift = round(LATE_S * rate)
    return np.pad(audio, ((0, 0), (shift, 0)))[:, : audio.shape[1]]


def _swap_sounds(rows: Sequence[Row]) -> None:
    for a, b in zip(rows[::2], rows[1::2], strict=False):
        a["audio"]["bytes"], b["audio"]["bytes"] = b["audio"]["bytes"], a["audio"]["bytes"]


def _move_region(source: Row) -> None:
    home, _, number = str(source["region_id"]).partition("/")
    source["region_id"] = f"{home}/{int(number or 0) + 1}"


def _hide(source: Row) -> None:
    source["line_of_sight"] = not source["line_of_sight"]


def _add_drr(source: Row) -> None:
    if source["drr_db"] is not None:
        source["drr_db"] += 3.0


def _stretch_rt60(source: Row) -> None:
    if source["rt60_s"] is not None:
        source["rt60_s"] *= 1.3


def _raise_level(source: Row) -> None:
    source["wet_level_dbfs"] = [level + 3.0 for level in source["wet_level_dbfs"]]


CHANGES: dict[str, Change] = {
    "channels swapped": _of_audio(lambda audio, _: audio[::-1]),
    "sounds of two scenes swapped": _swap_sounds,
    "one ear inverted": _of_audio(lambda audio, _: audio * np.array([[1], [-1]], dtype=np.float32)),
    "mono: both ears equal": _of_audio(lambda audio, _: np.repeat(audio.mean(axis=0, keepdims=True), 2, axis=0)),
    "6 dB softer": _of_audio(lambda audio, _: audio * np.float32(0.5)),
    "30 ms late": _of_audio(_late),
    "wet level of a source +3 dB": _of_source(_raise_level),
    "line_of_sight negated": _of_source(_hide),
    "region_id of a neighbour": _of_source(_move_region),
    "DRR +3 dB": _of_source(_add_drr),
    "RT60 +30 %": _of_source(_stretch_rt60),
}
OF_ROOMS = ("line_of_sight negated", "region_id of a neighbour")
OF_RIRS = ("DRR +3 dB", "RT60 +30 %")


def tampered(root: Path, change: Callable[[list[Row]], None]) -> None:
    """Change the rows of every file of scenes, and write all hashes anew, as if they had been rendered so."""
    folder = DatasetFolder(root)
    for record in folder.shards():
        files = list(record.files)
        for k, item in enumerate(files):
            if item.path.startswith("scenes/"):
                rows = pq.read_table(root / item.path).to_pylist()
                change(rows)
                table = pa.Table.from_pylist(rows, schema=schema_of(root / item.path, "scenes"))
                files[k] = commit_table(root, item.path, table)
        write_record(folder.shard_file(record.shard), replace(record, files=tuple(files)))
    write_manifest(folder)


def groups_of(root: Path) -> dict[str, list[str]]:
    """Return the ids of the scenes of every group, in order."""
    found: dict[str, list[str]] = {}
    for path in DatasetFolder(root).tables("scenes"):
        for row in pq.read_table(path, columns=["group_id", "scene_id"]).to_pylist():
            found.setdefault(row["group_id"], []).append(row["scene_id"])
    return found


def whole_set(root: Path, change: Change, validate: Callable[[Path], ValidationReport]) -> bool:
    """Change every scene of a copy; return whether that is noticed."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(root, Path(scratch) / "data"))
        tampered(copy, change)
        return bool(validate(copy).problems)


def single_scenes(root: Path, name: str, validate: Callable[[Path], ValidationReport]) -> tuple[int, int]:
    """Change scenes that have no influence on each other's checks; return how many changes are noticed, of how many.

    What scenes say of a shared RIR is compared within a group, so labels are changed in one scene of each group at a
    time. Audio is compared with its own scene alone.
    """
    groups = groups_of(root)
    rounds = max(map(len, groups.values())) if name in (*OF_ROOMS, *OF_RIRS) else 1
    noticed = total = 0
    for k in range(rounds):
        chosen = {ids[k] for ids in groups.values() if k < len(ids)} if rounds > 1 else None
        n, of = _one_round(root, name, groups, chosen, validate)
        noticed, total = noticed + n, total + of
    return noticed, total


def _one_round(
    root: Path,
    name: str,
    groups: dict[str, list[str]],
    chosen: set[str] | None,
    validate: Callable[[Path], ValidationReport],
) -> tuple[int, int]:
    changed: list[tuple[str, ...]] = []

    def change(rows: list[Row]) -> None:
        own = [row for row in rows if chosen is None or row["scene_id"] in chosen]
        before = [repr(row) for row in own]
        CHANGES[name](own)
        ids = [row["scene_id"] for row, text in zip(own, before, strict=True) if repr(row) != text]
        step = 2 if name == "sounds of two scenes swapped" else 1
        changed.extend(tuple(ids[k : k + step]) for k in range(0, len(ids), step))

    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(root, Path(scratch) / "data"))
        tampered(copy, change)
        text = "\n".join(validate(copy).problems)
    of_scene = {scene_id: ids for ids in groups.values() for scene_id in ids} if chosen else {}
    hits = [any(f"{other}: " in text for scene_id in ids for other in of_scene.get(scene_id, ids)) for ids in changed]
    return sum(hits), len(hits)


def main(*outs: str) -> int:
    """Print the table; return 1 where a change of a whole set is missed, or an honest set raises an alarm."""
    with tempfile.TemporaryDirectory() as scratch:
        roots = [Path(out) for out in outs] or [_rendered(Path(scratch) / "data")]
        alarms = [(root, validate_with_inputs(root).problems) for root in roots]
        n_scenes = [sum(map(len, groups_of(root).values())) for root in roots]
        print(f"false alarms: {sum(map(bool, (a for _, a in alarms)))} of {len(roots)} sets ({sum(n_scenes)} scenes)")
        for root, found in alarms:
            print("".join(f"  {root}: {line}\n" for line in found), end="")
        missed = 0
        print(f"{'change':32}{'whole set':>11}{'data alone':>12}{'single scene':>14}")
        for name, change in CHANGES.items():
            default = sum(whole_set(root, change, validate_with_inputs) for root in roots)
            alone = sum(whole_set(root, change, validate_dataset) for root in roots)
            missed += len(roots) - default
            check = _with_rooms if name in OF_ROOMS else validate_dataset
            counts = np.sum([single_scenes(root, name, check) for root in roots], axis=0)
            share = f"{100 * counts[0] / counts[1]:.1f} % of {counts[1]}"
            print(f"{name:32}{f'{default}/{len(roots)}':>11}{f'{alone}/{len(roots)}':>12}{share:>16}", flush=True)
    return 1 if missed or any(found for _, found in alarms) else 0


def _with_rooms(root: Path) -> ValidationReport:
    return validate_with_inputs(root, rerender=0)


def _rendered(root: Path) -> Path:
    from tests.fixtures.datasets import render

    render(RenderRecipe(workers=0), root)
    return root


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
