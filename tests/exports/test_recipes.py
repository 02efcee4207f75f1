"""A data set goes out without a sample of sound and comes back to the byte; what cannot come back is named."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import trimesh

from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.manifest import read_manifest
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.generation.rebuild import is_recipes_export, rebuild
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.rerender import rerender_scenes
from spatialqa.interop.without_audio import export_recipes
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import SMALL, Silent, dataset, hashes, render
from tests.fixtures.records import rewritten


def table_hashes(root: Path) -> dict[str, str]:
    return {path: sha256 for path, sha256 in hashes(root).items() if path.endswith(".parquet")}


def question_bytes(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in DatasetFolder(root).tables("qa")}


@pytest.fixture(scope="module")
def exported(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("recipes") / "export"
    summary = export_recipes(small, dest)
    assert summary.scenes == 24
    assert summary.questions > 24
    assert summary.paths_removed == {}
    return dest


def test_an_export_holds_no_sound_and_everything_else(small: Path, exported: Path) -> None:
    for kind, column in (("scenes", "audio"), ("rirs", "rir"), ("groups", None), ("qa", None)):
        for path in DatasetFolder(small).tables(kind):
            original, published = pq.read_table(path), pq.read_table(exported / kind / path.name)
            assert published.schema.names == original.schema.names
            if column:
                assert published[column].null_count == published.num_rows > 0
                original, published = original.drop_columns([column]), published.drop_columns([column])
            assert published.equals(original)
    assert question_bytes(exported) == question_bytes(small)
    clips = [json.loads(line) for line in (exported / "_spatialqa" / "clips.jsonl").read_text().splitlines()]
    used = [s for path in DatasetFolder(small).tables("scenes") for row in pq.read_table(path)["sources"] for s in row]
    assert {(c["clip_id"], c["clip_sha256"]) for c in clips} == {
        (s["clip_id"].as_py(), s["clip_sha256"].as_py()) for s in used
    }
    assert sum(c["uses"] for c in clips) == len(used)


def test_it_is_rendered_again_to_the_byte(small: Path, exported: Path, tmp_path: Path) -> None:
    assert is_recipes_export(exported)
    assert not is_recipes_export(small)
    observer = Silent()
    report = rebuild(exported, tmp_path / "again", {}, observer)
    assert report.complete
    assert report.differences == ()
    assert (report.scenes, report.files_equal, report.shards_resumed) == (24, 21, 0)
    assert report.lines() == [f"24 scenes in {tmp_path / 'again'}: all 21 files are the original's"]
    assert observer.scenes == 24
    assert table_hashes(tmp_path / "again") == table_hashes(small)
    assert question_bytes(tmp_path / "again") == question_bytes(small)
    assert validate_dataset(tmp_path / "again").problems == ()
    assert rerender_scenes(tmp_path / "again", 3) == (3, [])
    assert rebuild(exported, tmp_path / "again", {}, Silent()).shards_resumed == 7


def test_ray_workers_make_the_same_bytes(
    small: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # tokens are for clusters that others can reach
    report = rebuild(exported, tmp_path / "again", {"workers": 2}, Silent())
    assert report.complete
    assert table_hashes(tmp_path / "again") == table_hashes(small)


def clip(path: Path, frequency_hz: float, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(8000)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(8000) * frequency_hz / 2000) + 0.02 * noise, 8000)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of a folder of clips in two meshes, with the folders that it was made from."""
    top = tmp_path_factory.mktemp("own")
    for i, label in enumerate(("Bark", "Siren", "Telephone", "Piano")):
        for k in range(3):
            clip(top / "clips" / label / f"{k}.wav", 300 + 100 * i, 10 * i + k)
    (top / "rooms").mkdir()
    for name, size in (("hall", (8, 3, 6)), ("den", (5, 2.6, 4))):
        trimesh.creation.box(size).export(top / "rooms" / f"{name}.ply")
    recipe = RenderRecipe(
        rooms=f"mesh:{top / 'rooms'}",
        clips=f"folder:{top / 'clips'}",
        scenes=12,
        splits="0.5,0,0.5",
        duration_s=1.0,
        sample_rate=16000,
        scenes_per_group=3,
        sources_per_group=4,
        scenes_per_shard=3,
        workers=0,
    )
    dataset(top / "data", recipe, QaRecipe(types=("A", "B", "D")))
    export_recipes(top / "data", top / "export")
    return top


def moved(own: Path, tmp_path: Path) -> dict[str, str]:
    """Return where another user has the same clips and rooms."""
    shutil.copytree(own / "clips", tmp_path / "elsewhere" / "sounds")
    shutil.copytree(own / "rooms", tmp_path / "elsewhere" / "scans")
    return {
        "clips": f"folder:{tmp_path / 'elsewhere' / 'sounds'}",
        "rooms": f"mesh:{tmp_path / 'elsewhere' / 'scans'}",
    }


def test_no_path_is_published_and_each_must_be_given_again(own: Path, tmp_path: Path) -> None:
    for path in (own / "export").rglob("*"):
        if path.is_file():
            assert str(own).encode() not in path.read_bytes(), path
    with pytest.raises(RecipeError, match=r"made with rooms mesh:rooms; give its path here: --rooms mesh:PATH"):
        rebuild(own / "export", tmp_path / "again", {}, Silent())
    places = moved(own, tmp_path)
    with pytest.raises(RecipeError, match="was made from folder"):
        rebuild(own / "export", tmp_path / "again", {**places, "clips": "foley"}, Silent())
    with pytest.raises(RecipeError, match="scenes is fixed by"):
        rebuild(own / "export", tmp_path / "again", {**places, "scenes": 3}, Silent())
    with pytest.raises(RecipeError, match="unknown key 'clip'"):
        rebuild(own / "export", tmp_path / "again", {**places, "clip": "x"}, Silent())
    assert not (tmp_path / "again").exists()


def damaged(own: Path, tmp_path: Path, file: str, change: Callable[[Any], None]) -> Path:
    copy = tmp_path / "export"
    shutil.copytree(own / "export", copy)
    return spoilt(copy, file, change)


def spoilt(copy: Path, file: str, change: Callable[[Any], None]) -> Path:
    path = next((copy / "_spatialqa").glob(file))
    rewritten(path, change)
    return copy


def lead_astray(items: list[dict[str, Any]]) -> None:
    for item in items:
        if item["path"].startswith("groups/"):
            item["path"] = "groups/../../x.parquet"


@pytest.mark.parametrize(
    ("file", "change", "text"),
    [
        ("run.json", lambda run: run.pop("fingerprint"), "damaged or of another version"),
        ("run.json", lambda run: run["plan"].pop("shards"), "damaged or of another version"),
        ("run.json", lambda run: run.update(recipe=[]), "damaged or of another version"),
        ("run.json", lambda run: run["plan"].update(shards=["../../x"]), "not the name of a shard"),
        ("shards/*.json", lambda s: lead_astray(s["original"]), "not a file of the table"),
        ("shards/*.json", lambda s: s.pop("original"), "is damaged"),
        ("qa.json", lambda qa: qa["files"][0].update(path="/etc/hostname"), "not a file of the table"),
        ("qa.json", lambda qa: qa["files"][0].update(sha256="0" * 64), "differs from what the export recorded"),
    ],
)
def test_a_damaged_or_hostile_export_is_refused_and_writes_nowhere_else(
    own: Path, tmp_path: Path, file: str, change: Callable[[Any], None], text: str
) -> None:
    copy = damaged(own, tmp_path, file, change)
    with pytest.raises(DatasetError, match=text):
        rebuild(copy, tmp_path / "again", moved(own, tmp_path), Silent())
    assert not list(tmp_path.glob("x*"))
    assert not (tmp_path / "again" / "qa").exists()


@pytest.mark.parametrize("file", ["shards/*.json", "qa.json"])
def test_an_export_of_a_hostile_record_writes_nowhere_else(small: Path, tmp_path: Path, file: str) -> None:
    def astray(record: Any) -> None:
        table, _, name = record["files"][0]["path"].partition("/")
        record["files"][0]["path"] = f"{table}/../../data/{table}/{name}"

    root = spoilt(shutil.copytree(small, tmp_path / "data"), file, astray)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(DatasetError, match="(is missing or damaged|is not a file of the table)"):
        export_recipes(root, tmp_path / "a/export")
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert not list(tmp_path.glob("a/*/data"))


def test_a_cache_folder_is_no_path_to_give_again(tmp_path: Path) -> None:
    recipe = replace(SMALL, scenes=4, splits="1,0,0", save_rirs=False, cache=str(tmp_path / "cache"))
    render(recipe, tmp_path / "data")
    assert export_recipes(tmp_path / "data", tmp_path / "export").paths_removed == {}
    assert rebuild(tmp_path / "export", tmp_path / "again", {}, Silent()).complete


def test_who_holds_the_same_files_elsewhere_gets_the_same_bytes_and_hears_of_other_libraries(
    own: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "export"
    shutil.copytree(own / "export", copy)
    rewritten(copy / "_spatialqa" / "run.json", lambda run: run["fingerprint"]["versions"].update(soxr="0.0.1"))
    report = rebuild(copy, tmp_path / "again", moved(own, tmp_path), Silent())
    assert report.complete
    assert table_hashes(tmp_path / "again") == table_hashes(own / "data")
    assert len(report.differences) == 1
    assert report.differences[0].startswith('versions.soxr was "0.0.1" and is ')
    assert report.lines()[0].startswith("not as in the original, so bits may differ: versions.soxr")


def test_a_rebuild_that_was_killed_goes_on(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    places = moved(own, tmp_path)
    real = commit_table
    calls: Iterator[int] = iter(range(100))

    def until_the_sixth(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == 5:
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr("spatialqa.generation.rebuild_shard.commit_table", until_the_sixth)
    with pytest.raises(Killed):
        rebuild(own / "export", tmp_path / "again", places, Silent())
    monkeypatch.setattr("spatialqa.generation.rebuild_shard.commit_table", real)
    before = {record.shard for record in DatasetFolder(tmp_path / "again").shards()}
    assert len(before) == 2  # two tables a shard: the third shard was cut off
    report = rebuild(own / "export", tmp_path / "again", places, Silent())
    assert report.complete
    assert report.shards_resumed == 2
    assert table_hashes(tmp_path / "again") == table_hashes(own / "data")


def test_a_clip_that_differs_or_is_gone_costs_its_scenes_and_their_questions(own: Path, tmp_path: Path) -> None:
    places = moved(own, tmp_path)
    sounds = tmp_path / "elsewhere" / "sounds"
    rows = [row for path in DatasetFolder(own / "data").tables("scenes") for row in pq.read_table(path).to_pylist()]
    changed = rows[0]["sources"][0]["clip_id"]
    gone = next(s["clip_id"] for row in rows for s in row["sources"] if s["clip_id"] != changed)
    clip(sounds / changed, 900, 99)
    (sounds / gone).unlink()
    lost = {row["scene_id"]: {s["clip_id"] for s in row["sources"]} & {changed, gone} for row in rows}
    lost = {scene_id: clips for scene_id, clips in lost.items() if clips}
    assert 0 < len(lost) < len(rows)

    report = rebuild(own / "export", tmp_path / "again", places, Silent())
    assert not report.complete
    assert report.scenes == len(rows) - len(lost)
    assert report.scenes_different == 0
    folder = DatasetFolder(tmp_path / "again")
    rejects = [
        json.loads(line)
        for path in sorted((folder.meta / "rejects").glob("*-of-*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert {reject["id"] for reject in rejects} == set(lost)
    for reject in rejects:
        assert any(f"source {k}: clip {name} " in reject["reason"] for name in lost[reject["id"]] for k in range(2))
    kept = {row["scene_id"]: row for path in folder.tables("scenes") for row in pq.read_table(path).to_pylist()}
    for row in rows:
        assert row["scene_id"] in lost or kept[row["scene_id"]] == row
    asked = [row for path in folder.tables("qa") for row in pq.read_table(path).to_pylist()]
    original = [row for path in DatasetFolder(own / "data").tables("qa") for row in pq.read_table(path).to_pylist()]
    assert asked == [row for row in original if row["scene_id"] not in lost]
    assert report.questions_left_out == len(original) - len(asked) > 0
    assert report.lines()[0].startswith(f"{len(lost)} scenes and {report.questions_left_out} questions are missing")
    assert validate_dataset(tmp_path / "again").problems == ()

    # nothing has changed: what is incomplete is not tried again; the clips come back: it is
    assert rebuild(own / "export", tmp_path / "again", places, Silent()).shards_resumed == report.shards
    for name in (changed, gone):
        shutil.copyfile(own / "clips" / name, sounds / name)
    report = rebuild(own / "export", tmp_path / "again", places, Silent())
    assert report.complete
    assert table_hashes(tmp_path / "again") == table_hashes(own / "data")
    assert question_bytes(tmp_path / "again") == question_bytes(own / "data")


def test_a_room_that_differs_costs_the_scenes_in_it(own: Path, tmp_path: Path) -> None:
    places = moved(own, tmp_path)
    trimesh.creation.box((5, 2.7, 4)).export(tmp_path / "elsewhere" / "scans" / "den.ply")
    report = rebuild(own / "export", tmp_path / "again", places, Silent())
    groups = [
        row for path in DatasetFolder(tmp_path / "again").tables("groups") for row in pq.read_table(path).to_pylist()
    ]
    assert {row["room_id"] for row in groups} == {"hall"}
    assert 0 < report.scenes < report.scenes_planned
    text = "".join(path.read_text() for path in (tmp_path / "again" / "_spatialqa" / "rejects").glob("*-of-*.jsonl"))
    assert "room den has changed since it was rendered: its content hash differs" in text


def test_what_cannot_be_exported_or_rebuilt_is_refused(small: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not an export as recipes"):
        rebuild(small, tmp_path / "again", {}, Silent())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is not empty and not an export of spatialqa"):
        export_recipes(small, tmp_path / "full")
    with pytest.raises(DatasetError, match="apart from the data set"):
        export_recipes(small, small / "export")
    copy = tmp_path / "copy"
    shutil.copytree(small, copy)
    next((copy / "_spatialqa" / "shards").glob("*.json")).unlink()
    with pytest.raises(DatasetError, match="is missing or damaged; run the render command again"):
        export_recipes(copy, tmp_path / "export")


def test_an_export_that_was_cut_off_goes_on_to_the_same_bytes(small: Path, exported: Path, tmp_path: Path) -> None:
    dest = tmp_path / "export"
    export_recipes(small, dest)
    (dest / "README.md").unlink()
    (dest / "_spatialqa" / "run.json").unlink()
    for path in sorted((dest / "_spatialqa" / "shards").glob("*.json"))[3:]:
        path.unlink()
    export_recipes(small, dest)
    files = {path.relative_to(dest): path.read_bytes() for path in sorted(dest.rglob("*")) if path.is_file()}
    assert files == {p.relative_to(exported): p.read_bytes() for p in sorted(exported.rglob("*")) if p.is_file()}


def test_an_export_without_audio_is_valid_and_has_rirs_without_samples(exported: Path) -> None:
    assert DatasetFolder(exported).tables("rirs")
    assert validate_dataset(exported).problems == ()


def test_an_export_whose_questions_name_no_file_is_refused_before_anything_is_rendered(
    own: Path, tmp_path: Path
) -> None:
    copy = damaged(own, tmp_path, "qa.json", lambda qa: qa.update(files=[]))
    with pytest.raises(DatasetError, match=r"qa\.json: names no file of questions; export the recipes again"):
        rebuild(copy, tmp_path / "again", moved(own, tmp_path), Silent())
    assert not (tmp_path / "again").exists()


def test_an_export_has_a_manifest_and_a_rebuild_too(exported: Path, own: Path, tmp_path: Path) -> None:
    assert set(dict(read_manifest(DatasetFolder(exported)))) > {
        "README.md",
        "croissant.json",
        "spatialqa-export.json",
        "_spatialqa/clips.jsonl",
        "_spatialqa/qa.json",
    }
    assert validate_dataset(exported).warnings == ()
    rebuild(own / "export", tmp_path / "again", moved(own, tmp_path), Silent())
    report = validate_dataset(tmp_path / "again")
    assert (report.problems, report.warnings) == ((), ())
