"""Scenes by hand from a table: what they become, and what is refused."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from spatialqa.core.geometry import cartesian, to_world
from spatialqa.core.recipe_keys import build
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_scenes, scene_files
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import RecipeError, SpatialQAError
from spatialqa.generation.placements import COLUMNS, read_placements
from spatialqa.generation.rebuild import rebuild
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.rerender import rerender_scenes
from spatialqa.interop.export import export_dataset
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from spatialqa.rooms.placement.positions import Positions
from spatialqa.rooms.procedural.homes import ProceduralRooms
from spatialqa.rooms.room import Room
from tests.fixtures.datasets import Silent, hashes, render, scenes_of
from tests.fixtures.kills import spatialqa

ROOM = "home-000042"  # one room, 5.4 x 5.4 m and 3.1 m high around the origin
Row = dict[str, Any]


def row(**changes: Any) -> Row:
    listener = {"listener_x": 0.5, "listener_y": 1.5, "listener_z": 0.5, "listener_yaw_deg": 30.0}
    plain = {"scene": "a", "room": ROOM, "label": "Bark", "azimuth_deg": 60.0, "distance_m": 1.5}
    return {name: value for name, value in {**plain, **listener, **changes}.items() if value is not None}


ROWS = [
    row(),
    row(label="Knock", azimuth_deg=-45.0, elevation_deg=10.0, onset_s=0.25),
    row(scene="behind", listener_yaw_deg=0.0, clip="foley/knock/000007", label=None, azimuth_deg=180.0),
    row(scene="file", clip="ding.wav", label="Door gong", azimuth_deg=None, distance_m=None)
    | {"source_x": -1.0, "source_y": 1.0, "source_z": 1.25},
]


def table(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [name for name in COLUMNS if any(name in values for values in rows)]
    if path.suffix == ".csv":
        lines = [",".join(columns), *(",".join(str(r.get(name, "")) for name in columns) for r in rows)]
        path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(values) + "\n" for values in rows))
    else:
        pq.write_table(pa.table({name: [values.get(name) for values in rows] for name in columns}), path)
    return path


def ding(path: Path, rate: int = 16000, level: float = 0.3) -> None:
    time = np.arange(rate) / rate
    soundfile.write(path, level * np.exp(-5 * time) * np.sin(2 * np.pi * 660 * time), rate)


def placed(path: Path, **changes: Any) -> RenderRecipe:
    return build(
        RenderRecipe, {"placements": str(path), "workers": 0, "duration_s": 1, "sample_rate": 16000, **changes}, "test"
    )


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("by-hand")
    ding(folder / "ding.wav")
    render(placed(table(folder / "places.csv", ROWS), save_rirs=True), folder / "out")
    return folder / "out"


def test_sounds_are_where_and_when_the_table_says(by_hand: Path) -> None:
    scenes = [scene for path in scene_files(DatasetFolder(by_hand)) for scene in read_scenes(path)]
    assert [(scene.scene_id, scene.scene) for scene in scenes] == [
        ("train-00000000", "a"),
        ("train-00000001", "behind"),
        ("train-00000002", "file"),
    ]
    bark, knock = scenes[0].sources
    assert (bark.labels[0], knock.labels[0], knock.onset_s) == ("Bark", "Knock", 0.25)
    assert (bark.azimuth_deg, bark.elevation_deg, bark.distance_m) == pytest.approx((60, 0, 1.5), abs=1e-9)
    assert (knock.azimuth_deg, knock.elevation_deg) == pytest.approx((-45, 10), abs=1e-9)
    expected = to_world(scenes[0].listener, cartesian(-45, 10, 1.5))
    assert knock.position == pytest.approx(tuple(expected), abs=1e-12)
    (behind,) = scenes[1].sources
    assert behind.clip_id == "foley/knock/000007"
    assert abs(behind.azimuth_deg) == pytest.approx(180)
    (file,) = scenes[2].sources
    assert (file.clip_id, file.labels, file.mids, file.position) == ("ding.wav", ("Door gong",), (None,), (-1, 1, 1.25))
    assert all(source.line_of_sight and source.rt60_s for scene in scenes for source in scene.sources)


def test_they_are_asked_about_validated_rendered_again_and_exported(by_hand: Path, tmp_path: Path) -> None:
    assert make_qa(by_hand, QaRecipe()).questions.total() >= 5
    assert not validate_dataset(by_hand).problems
    assert rerender_scenes(by_hand, 3) == (3, [])
    assert {values["scene"] for values in pq.read_table(by_hand / "scenes").to_pylist()} == {"a", "behind", "file"}
    for format in ("webdataset", "recipes"):
        export_dataset(by_hand, tmp_path / format, format)
    rebuilt = rebuild(
        tmp_path / "recipes", tmp_path / "again", {"placements": str(by_hand.parent / "places.csv")}, Silent()
    )
    assert rebuilt.complete


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_the_form_of_the_table_changes_no_byte(by_hand: Path, tmp_path: Path, suffix: str) -> None:
    ding(tmp_path / "ding.wav")
    render(placed(table(tmp_path / f"places{suffix}", ROWS), save_rirs=True), tmp_path / "out")
    tables = {name: digest for name, digest in hashes(by_hand).items() if name.endswith(".parquet")}
    assert {name: hashes(tmp_path / "out")[name] for name in tables} == tables


def test_a_scene_has_the_same_rirs_in_any_table(by_hand: Path, tmp_path: Path) -> None:
    render(placed(table(tmp_path / "one.csv", [ROWS[2]]), save_rirs=True), tmp_path / "out")

    def rir(root: Path, rir_id: str) -> Any:
        rows = pq.read_table(root / "rirs").to_pylist()
        return next(r["rir"] for r in rows if r["rir_id"] == rir_id)

    assert rir(tmp_path / "out", "train-g0000000/0") == rir(by_hand, "train-g0000001/0")


def test_a_thousand_rows_are_planned_by_split_with_every_clip_in_one(tmp_path: Path) -> None:
    rooms = [f"home-{k:06d}" for k in range(3)]
    homes = {room_id: ProceduralRooms(None).load(room_id) for room_id in rooms}
    rng = np.random.default_rng(0)
    rows = []
    for k in range(500):
        room = homes[rooms[k % 3]]
        x, _, z = (float(v) for v in (room.bounds[0] + room.bounds[1]) / 2)
        for label in ("Bark", "Knock"):
            direction = {"azimuth_deg": float(rng.uniform(-180, 180)), "distance_m": 0.3}
            rows.append(
                row(scene=f"s{k}", room=rooms[k % 3], split=("train", "validation", "test")[k % 3], label=label)
                | {"listener_x": x, "listener_z": z, **direction}
            )
    path = table(tmp_path / "places.parquet", rows)
    render(placed(path, plan_only=True, check_placements=False), tmp_path / "out")
    assert not validate_dataset(tmp_path / "out").problems
    scenes = [scene for file in scene_files(DatasetFolder(tmp_path / "out")) for scene in read_scenes(file)]
    assert sorted(scene.scene or "" for scene in scenes) == sorted(f"s{k}" for k in range(500))
    splits: dict[str, set[str]] = {}
    for scene in scenes:
        for source in scene.sources:
            splits.setdefault(source.clip_id, set()).add(scene.split)
    assert all(len(own) == 1 for own in splits.values())


def test_a_scene_that_clips_is_rejected_by_name_or_drawn_again(tmp_path: Path) -> None:
    rows = [row(distance_m=0.12, clip="foley/bark/000000", label=None), row(scene="far", azimuth_deg=0.0)]
    summary = render(placed(table(tmp_path / "places.csv", rows), gain_db=-8), tmp_path / "out")
    assert (summary.scenes, summary.scenes_planned) == (1, 2)
    rejects = [reject for reject in DatasetFolder(tmp_path / "out").rejects() if reject.kind == "scene"]
    assert [(reject.id, reject.reason) for reject in rejects] == [("train-00000000", "its clips are given")]


BAD: list[tuple[list[Row], str]] = [
    ([row(label="Brak")], "line 2: no clip of the train split is a sound of 'Brak' ('Brak' is not an AudioSet class"),
    ([row(label=None)], "line 2: names no sound"),
    ([row(clip="foley/bark/999999")], "is not a clip of foley and no file"),
    ([row(clip="foley/bark/000001", label="Knock")], "is a sound of Bark, not of 'Knock'"),
    ([row(clip="ding.wav", label=None)], "does not say what ding.wav is a sound of"),
    ([row(clip="ding.wav", label="A"), row(clip="ding.wav", label="B")], "line 3: ding.wav is labelled 'B', and 'A'"),
    ([row(room="kitchen")], "kitchen"),
    ([row(room=None)], "names no room, and procedural has no end"),
    ([row(split="dev")], "split 'dev' must be one of train, validation, test"),
    ([row(scene=None)], "has no scene"),
    ([row(listener_y=None)], "needs all three of listener_x, listener_y, listener_z"),
    ([row(), row(listener_x=0.6)], "line 3: scene 'a' has another room, split or listener than in"),
    ([row(source_x=1.0, source_y=1.0, source_z=1.0)], "places its source twice"),
    ([row(distance_m=None)], "does not place its source"),
    ([row(distance_m=-1.0)], "distance_m -1 must be above 0"),
    ([row(elevation_deg=91.0)], "elevation_deg 91 must be from -90 to 90 degrees"),
    ([row(azimuth_deg="left")], "azimuth_deg 'left' must be a finite number"),
    ([row(azimuth_deg="nan")], "must be a finite number"),
    ([row(onset_s=1.0)], "onset_s 1 must be less than duration_s 1"),
    ([row(onset_s=-0.1)], "onset_s -0.1 must be 0 s or more"),
    ([row(distance_m=9.0)], "line 2: the source is outside the building"),
    ([row(listener_y=-3.0)], "line 2: the listener is outside the building"),
    ([row(distance_m=0.05)], "lies within the listener's head"),
    ([row(), row(scene="b", split="test")], "house home-000042 is in the splits train and test"),
]


@pytest.mark.parametrize(("rows", "words"), BAD, ids=[words[:40] for _, words in BAD])
def test_a_bad_row_is_named_before_anything_is_written(tmp_path: Path, rows: list[Row], words: str) -> None:
    ding(tmp_path / "ding.wav")
    path = table(tmp_path / "places.csv", rows)
    with pytest.raises(SpatialQAError) as error:
        render(placed(path), tmp_path / "out")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "scene,listner_x\n", "unknown column 'listner_x'; did you mean 'listener_x'?"),
        ("a.csv", "scene,scene\na,b\n", "names a column twice"),
        ("a.csv", "scene,room\na,b,c\n", "line 2: has more values than there are columns"),
        ("a.csv", "scene,room\n", "holds no placements"),
        ("a.csv", "scene;room\na;b\n", "its columns are separated by semicolons; save it with commas"),
        ("a.csv", "scene\troom\na\tb\n", "its columns are separated by tabs"),
        ("a.csv", 'scene,listener_x\na,"0,5"\n', "'0,5' must be a finite number, at most 1e+09; write 0.5, not 0,5"),
        ("a.csv", "scene,listener_x\na,1e10\n", "must be a finite number, at most 1e+09"),
        ("a.csv", "\xff\xfe", "cannot be read as UTF-8 (invalid start byte); save it as UTF-8"),
        ("a.jsonl", "[]\n", "line 1: must be an object"),
        ("a.jsonl", "\n{\n", "line 2: is not JSON"),
        ("a.jsonl", '{"scene": "a", "x": 1}\n', "line 1: unknown column 'x'"),
        ("a.parquet", "PAR1", "cannot be read"),
        ("a.txt", "", "placements are a .csv, .jsonl or .parquet file"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(RecipeError) as error:
        read_placements(tmp_path / name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_source_in_the_body_of_the_listener_is_rendered_with_a_warning(tmp_path: Path) -> None:
    rows = [row(), row(label="Knock", azimuth_deg=0.0, elevation_deg=-80.0, distance_m=1.0)]
    file = table(tmp_path / "t.csv", rows)
    recipe = RenderRecipe(placements=str(file), plan_only=True, workers=0)
    (warning,) = render(recipe, tmp_path / "out").warnings
    assert warning.startswith("scene 'a': source 1 lies inside the listener's body (less than 0.3 m from")
    assert not render(replace(recipe, body_radius_m=0.0), tmp_path / "silent").warnings


def test_empty_rows_of_a_spreadsheet_are_passed_over(tmp_path: Path) -> None:
    path = table(tmp_path / "places.csv", ROWS[:2])
    before = read_placements(path).sha256
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\r\n,,\r\n\r\n"))
    assert read_placements(path).sha256 == before


def test_a_data_set_is_not_made_again_from_a_table_that_has_changed(tmp_path: Path) -> None:
    path = table(tmp_path / "places.csv", [row()])
    render(placed(path, plan_only=True), tmp_path / "out")
    table(path, [row(azimuth_deg=61.0)])
    command = spatialqa("render", tmp_path / "again", "--from", tmp_path / "out", "--workers", 0)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "places.csv: has changed since" in done.stderr
    assert not (tmp_path / "again").exists()


def test_idle_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="scenes has no effect with placements"):
        placed(tmp_path / "a.csv", scenes=5)
    with pytest.raises(RecipeError, match="check_placements has an effect with placements only"):
        build(RenderRecipe, {"check_placements": False}, "test")


@pytest.fixture(scope="module")
def home() -> Room:
    return ProceduralRooms(None).load("home-000001")  # an apartment


def test_the_air_of_each_room_is_told_from_walls_and_outdoors(home: Room) -> None:
    positions = Positions(home)
    inside, outside = [], []
    rng = np.random.default_rng(0)
    low, high = home.bounds
    for x, y, z in rng.uniform(low - 0.5, high + 0.5, (3000, 3)).tolist():
        regions = [r for r in home.regions if r.contains((x, y, z))]
        shifts = [(0.05, 0, 0), (-0.05, 0, 0), (0, 0.05, 0), (0, -0.05, 0), (0, 0, 0.05), (0, 0, -0.05)]
        near = [any(r.contains((x + a, y + b, z + c)) for r in home.regions) for a, b, c in shifts]
        if regions and all(near):
            inside.append((x, y, z))
        elif not regions and not any(near):
            outside.append((x, y, z))
    found = [problem is None for problem in positions.problems(inside)]
    assert np.mean(found) > 0.93  # furniture takes the rest
    wrong = [point for point, problem in zip(outside, positions.problems(outside), strict=True) if problem is None]
    assert len(wrong) <= 0.01 * len(outside)  # doorways belong to no region


def test_a_row_can_ask_for_repeats_and_a_scene_without_sound_is_rejected(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    audio = np.concatenate([np.full(3 * 16000, 1e-5), 0.3 * rng.standard_normal(8000)])
    soundfile.write(tmp_path / "late.wav", audio, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", 0.3 * rng.standard_normal(4000), 16000)
    rows = [
        row(scene="repeats", clip="short.wav", label="Knock", fill="repeat"),
        row(scene="once", clip="short.wav", label="Knock"),
        row(scene="silent", clip="late.wav", label="Ding"),
    ]
    recipe = placed(table(tmp_path / "rows.jsonl", rows), duration_s=2.0)
    render(recipe, tmp_path / "out")
    plays = {scene.scene: len(scene.sources[0].starts_s or ()) for scene in scenes_of(tmp_path / "out")}
    assert plays["once"] == 1
    assert plays["repeats"] >= 2
    assert set(plays) == {"once", "repeats"}
    (reject,) = [item for item in DatasetFolder(tmp_path / "out").rejects() if item.kind == "draw"]
    assert "'late.wav', cannot be heard" in reject.reason
    assert validate_dataset(tmp_path / "out").problems == ()
    with pytest.raises(RecipeError, match="fill 'often' must be one of once, repeat"):
        read_placements(table(tmp_path / "bad.jsonl", [row(fill="often")]))
