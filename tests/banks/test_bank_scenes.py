"""From rooms to a bank to scenes to questions, with the real engine."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from spatialqa.banks.bank_rooms import BankRooms
from spatialqa.banks.engine import BankEngine
from spatialqa.cli.output import print_bank
from spatialqa.core.audio_io import encode_flac
from spatialqa.core.console import RenderProgress
from spatialqa.core.files import sha256_of
from spatialqa.core.geometry import Pose, direction
from spatialqa.core.recipe_keys import build
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_rows, read_scenes
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import DatasetError, RoomError, SpatialQAError
from spatialqa.generation.inputs import engine_for, rooms_for
from spatialqa.generation.make_bank import BankSummary, bank_recipe, make_bank, stored_bank
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.render import render_scene
from spatialqa.generation.replay import StoredRun
from spatialqa.generation.rerender import rerender_scenes
from spatialqa.generation.resume import remove_damaged
from spatialqa.generation.run import prepare_bank
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import PLANNED, Silent, dataset, render, rows_of, scenes_of
from tests.fixtures.kills import call, kill_when
from tests.fixtures.mp3d_reverb import ReverbEntry, write_mp3d_reverb

ROOMS = RenderRecipe(
    home_kinds=["shoebox"],
    groups_per_room=1,
    sources_per_group=4,
    sample_rate=32000,
    splits="0.5,0.25,0.25",
    scenes_per_group=2,
    scenes_per_shard=4,
    max_distance_m=6.0,
    workers=0,
    yaw="0",
)
GROUPS = 8


def make(root: Path, recipe: RenderRecipe = ROOMS) -> BankSummary:
    return make_bank(recipe, root, GROUPS, Silent())


def scenes_from(bank: Path, **changes: object) -> RenderRecipe:
    recipe = RenderRecipe(
        rooms=f"bank:{bank}",
        scenes=12,
        splits="0.5,0.25,0.25",
        duration_s=1.0,
        scenes_per_group=2,
        sources_per_group=4,
        scenes_per_shard=4,
        workers=0,
    )
    return replace(recipe, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bank") / "bank"
    summary = make(root)
    assert (summary.groups, summary.rirs, summary.groups_planned) == (GROUPS, 4 * GROUPS, GROUPS)
    return root


@pytest.fixture(scope="module")
def scenes(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("scenes") / "data", scenes_from(bank), QaRecipe())


def test_a_bank_holds_rirs_and_no_scenes_and_is_valid(bank: Path) -> None:
    assert sorted(path.name for path in bank.iterdir() if path.name != "_spatialqa") == [
        "README.md",
        "croissant.json",
        "groups",
        "rirs",
    ]
    report = validate_dataset(bank)
    assert report.problems == ()
    splits = Counter(row["split"] for row in rows_of(bank, "groups"))
    assert splits == {"train": 4, "validation": 2, "test": 2}
    for row in rows_of(bank, "rirs"):
        assert row["channels"] == "binaural"
        assert row["line_of_sight"] is not None
        assert row["region_id"]


def test_scenes_of_a_bank_are_valid_with_questions_and_rerender_bit_for_bit(scenes: Path) -> None:
    report = validate_dataset(scenes)
    assert report.problems == ()
    assert any("questions" in line for line in report.checked)
    assert rerender_scenes(scenes, 12) == (12, [])


def test_scenes_of_a_bank_are_the_ones_that_the_engine_itself_gives(bank: Path, scenes: Path) -> None:
    """Each source through the RIR that the engine makes of the bank's own group, bit for bit."""
    made = {row["group_id"]: row for row in rows_of(bank, "groups")}
    used = {row["group_id"]: row for row in rows_of(scenes, "groups")}
    run = DatasetFolder(bank).read_run()
    recipe = replace(ROOMS, sources_per_scene={1: 1.0})
    engine, homes = engine_for(recipe), rooms_for(recipe)
    assert engine.identity.sha256 == run.engine.sha256
    with StoredRun(scenes_from(bank)) as inputs:
        for path in DatasetFolder(scenes).tables("scenes")[:2]:
            flacs = [row["audio"]["bytes"] for row in read_rows(path)]
            for scene, flac in zip(read_scenes(path), flacs, strict=True):
                group = used[scene.group_id]
                names = [str(name) for name in group["bank_rirs"]]
                origin = made[names[0].rpartition("/")[0]]
                positions = [(p[0], p[1], p[2]) for p in origin["source_positions"]]
                with engine.open(homes.load(str(origin["room_id"]))) as room:
                    fresh = room.rirs(scene.listener, positions, int(str(origin["seed"])))
                simulated = inputs.simulate(group, [scene])
                direct = [fresh[int(name.rpartition("/")[2])] for name in names]
                again = render_scene(scene, replace(simulated, rirs=direct), inputs.sounds(scene), "sum")
                assert encode_flac(again.audio, 32000) == flac
                assert again.scene == scene


def test_splits_of_the_bank_hold_and_evaluation_uses_every_rir_once(bank: Path, scenes: Path) -> None:
    house_split = {row["room_id"]: row["split"] for row in rows_of(bank, "groups")}
    uses: Counter[str] = Counter()
    for scene in scenes_of(scenes):
        assert house_split[scene.room_id] == scene.split
        assert (scene.room_set, scene.engine) == ("procedural", "bank:geometric")
        for source in scene.sources:
            assert direction(scene.listener, source.position).azimuth_deg == source.azimuth_deg
        if scene.split != "train":
            assert scene.rir_reuse_count == 1
            uses.update(source.rir_id for source in scene.sources)
    assert uses
    assert max(uses.values()) == 1


def test_a_bank_that_is_killed_goes_on_to_the_same_bytes(bank: Path, tmp_path: Path) -> None:
    root = tmp_path / "again"
    kill_when(lambda: any(DatasetFolder(root).shards()), call(make, root))
    n_done = len(list(DatasetFolder(root).shards()))
    assert n_done > 0
    assert make(root).shards_resumed >= n_done
    for path in sorted(bank.glob("*/*.parquet")):
        assert (root / path.relative_to(bank)).read_bytes() == path.read_bytes()


def test_an_unfinished_or_damaged_bank_is_refused(bank: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bank"
    shutil.copytree(bank, copy)
    victim = DatasetFolder(copy).tables("rirs")[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with pytest.raises(RoomError, match="has changed since its data set was written"):
        render(scenes_from(copy), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    victim.unlink()
    with pytest.raises(RoomError, match=r"\.parquet: is gone; repeat the command"):
        render(scenes_from(copy), tmp_path / "out")
    next((copy / "_spatialqa/shards").glob("*.json")).unlink()
    with pytest.raises(RoomError, match=r"is not finished \(1 of 8 shards are missing\)"):
        render(scenes_from(copy), tmp_path / "out")


def test_too_small_a_bank_says_what_it_has(bank: Path, tmp_path: Path) -> None:
    with pytest.raises(RoomError, match=r"has 16 RIRs in 4 groups .* too few for 1,000 train scenes"):
        render(scenes_from(bank, scenes=2000), tmp_path / "out")
    with pytest.raises(RoomError, match=r"too few for 30 validation scenes .* use every RIR once"):
        render(scenes_from(bank, scenes=60, splits="0.2,0.5,0.3", scenes_per_group=99), tmp_path / "out")


def test_another_rate_is_refused_or_resampled_by_key(bank: Path, tmp_path: Path) -> None:
    with pytest.raises(SpatialQAError, match="RIRs are at 32000 Hz and the scenes at 16000 Hz"):
        render(scenes_from(bank, sample_rate=16000), tmp_path / "out")
    render(scenes_from(bank, sample_rate=16000, bank_resample=True, scenes=6), tmp_path / "out")
    assert validate_dataset(tmp_path / "out").problems == ()
    assert rerender_scenes(tmp_path / "out", 6) == (6, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": "soundspaces"},
        {"preset": "reference"},
        {"calibrated": False},
        {"rir_time_zero": "direct"},
        {"clearance_m": 0.5},
        {"engine_config": {"ray_count": 100}},
    ],
)
def test_engine_and_placement_keys_do_nothing_with_a_bank_and_are_refused(
    bank: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(SpatialQAError, match=f"{next(iter(changes))} .*bank"):
        render(scenes_from(bank, **changes), tmp_path / "out")


def test_data_sets_with_rirs_are_banks_too(small: Path, tmp_path: Path) -> None:
    rooms = BankRooms(small, 0, 4)
    stored = {str(row["rir_id"]): row for row in rows_of(small, "rirs")}
    engine = BankEngine(small, 16000)
    for room_id in rooms.room_ids(None, 0):
        room = rooms.load(room_id)
        with engine.open(room) as acoustic:
            for group in room.groups:
                for place, rir in zip(
                    group.places, acoustic.rirs(group.listener, [p.position for p in group.places], 0), strict=True
                ):
                    row = stored[str(place.bank_rir)]
                    assert rir.tobytes() == row["rir"]
                    assert group.listener == Pose(
                        tuple(row["listener_position"]),
                        tuple(row["listener_orientation"]),
                    )


def test_a_bank_without_the_later_columns_can_still_be_used(small: Path, tmp_path: Path) -> None:
    copy = tmp_path / "old"
    shutil.copytree(small, copy)
    folder = DatasetFolder(copy)
    for record in folder.shards():
        files = {item.path.partition("/")[0]: item for item in record.files}
        path = copy / files["rirs"].path
        table = pq.read_table(path)
        pq.write_table(table.select(table.column_names[: table.column_names.index("rt60_s") + 1]), path)
        files["rirs"] = replace(files["rirs"], bytes=path.stat().st_size, sha256=sha256_of(path))
        folder.commit_shard(replace(record, files=tuple(files.values())))
    rooms = BankRooms(copy, 0, 4)
    room = rooms.load(rooms.room_ids(None, 0)[0])
    assert room.house_id == room.room_id
    assert all(place.line_of_sight is None for group in room.groups for place in group.places)


@pytest.mark.parametrize("mix", [False, True])
def test_our_rirs_in_the_released_layout_make_scenes_of_the_official_splits(
    bank: Path, tmp_path: Path, mix: bool
) -> None:
    """Written as mp3d_reverb: from one listener of a scene, or with mixing from four different ones."""
    lists: dict[str, list[ReverbEntry]] = {"train": [], "eval": []}
    for k, row in enumerate(rows_of(bank, "rirs")):
        listener, source = np.array(row["listener_position"]), np.array(row["source_position"])
        moved = (k % 4) * np.array([0.5, 0.0, 0.0]) if mix else np.zeros(3)
        entry = ReverbEntry(
            f"{row['room_id']}/{k}.npy",
            tuple(listener + moved),
            tuple(source + moved),
            np.frombuffer(row["rir"], "<f4").reshape(2, -1),
        )
        lists["train" if str(row["rir_id"]).startswith("train") else "eval"].append(entry)
    tree = write_mp3d_reverb(tmp_path / "mp3d_reverb", lists)
    recipe = scenes_from(
        tree, splits="0.6,0,0.4", scenes=10, bank_mix_listeners=mix, sources_per_scene={2: 1.0}, yaw="0"
    )
    if mix:
        with pytest.raises(RoomError, match="or --bank-mix-listeners"):
            render(replace(recipe, bank_mix_listeners=False), tmp_path / "out")
    render(recipe, tmp_path / "out")
    assert validate_dataset(tmp_path / "out").problems == ()
    assert rerender_scenes(tmp_path / "out", 10) == (10, [])
    training = {entry.fname.partition("/")[0] for entry in lists["train"]}
    found = scenes_of(tmp_path / "out")
    assert {scene.split for scene in found} == {"train", "test"}
    for scene in found:
        assert (scene.split == "train") == (scene.room_id in training)
        assert scene.rir_time_zero == "direct"
        assert all(source.line_of_sight is None and source.drr_db is None for source in scene.sources)
    names = {name for row in rows_of(tmp_path / "out", "groups") for name in row["bank_rirs"]}
    assert names <= {entry.fname for entries in lists.values() for entry in entries}
    assert json.loads((tmp_path / "out/_spatialqa/run.json").read_text())["engine"]["name"] == "bank:soundspaces"


def test_progress_and_summary_of_a_bank_count_groups(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RenderProgress("simulating", "groups") as progress:
        summary = make_bank(ROOMS, bank, GROUPS, progress)  # finished: nothing is made again
    assert (summary.shards_resumed, summary.groups) == (summary.shards, GROUPS)
    print_bank(summary)
    assert "32 RIRs of 8 listeners" in capsys.readouterr().out
    assert prepare_bank(bank_recipe(ROOMS), bank, GROUPS)[1].size == GROUPS  # what the bar runs to


def test_damaged_shards_of_a_bank_are_removed_and_made_again(bank: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bank"
    shutil.copytree(bank, copy)
    damaged = DatasetFolder(copy).tables("rirs")[0]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert validate_dataset(copy).files.shards == [damaged.stem]
    assert remove_damaged(copy, [damaged.stem], []) == [
        "removed 4 files of 1 damaged or missing shards",
        f"run: spatialqa rirs {copy} --from {copy}",
    ]
    assert not damaged.exists()
    values, groups = stored_bank(copy)
    again = make_bank(build(RenderRecipe, values | {"workers": 0}, "stored"), copy, groups, Silent())
    assert again.shards_resumed == again.shards - 1
    for path in bank.glob("*/*.parquet"):
        assert (copy / path.relative_to(bank)).read_bytes() == path.read_bytes()
    with pytest.raises(DatasetError, match="is not a bank of RIRs"):
        stored_bank(dataset(tmp_path / "scenes", replace(PLANNED, scenes=2)))
