"""Released questions come into our tables with their truth, and what is not a released question is named."""

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from spatialqa.cli.status import status_of
from spatialqa.core.geometry import Pose, direction
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.manifest import read_manifest
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import DatasetError
from spatialqa.interop.spatialsoundqa.importer import import_spatialsoundqa
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from spatialqa.scoring.score import score
from tests.fixtures.datasets import Row, rows_of
from tests.imports.released_files import RECORDS, SENSOR, write_release, write_truth


def test_every_type_is_read_with_its_truth(tmp_path: Path) -> None:
    summary = import_spatialsoundqa(write_release(tmp_path / "release"), tmp_path / "data")
    rows = {int(row["qa_id"].rpartition("-")[2]): row for row in rows_of(tmp_path / "data", "qa")}
    assert (sum(summary.questions.values()), summary.scenes, summary.rejected, summary.disagreeing) == (10, 2, 0, 0)
    assert [rows[n]["subtype"] for n in range(10)] == [
        "classification",
        "location",
        "classification_at_location",
        "location_of_class",
        "relative_direction",
        "both_on_side",
        "relative_distance",
        "distance_between",
        "source_at_direction",
        "direction_word",
    ]
    assert [rows[n]["type"] for n in range(10)] == list("ABCDEEEEEE")
    assert rows[0]["qa_id"] == "CLASSIFICATION-0"
    assert rows[0]["answer_labels"] == ["bark", "dog", "yip"]
    assert (rows[1]["answer_direction"], rows[1]["answer_distance_m"]) == (["left", "behind", "below"], 1.0)
    assert rows[2]["answer_labels"] == ["slap, smack", "whack, thwack"]
    assert (rows[2]["asked_direction"], rows[2]["asked_distance_m"]) == (["right", "front", "above"], 4.5)
    assert rows[2]["source_indices"] == [1]
    assert (rows[3]["source_indices"], rows[3]["asked_labels"]) == ([0], ["banjo"])
    assert [rows[n]["answer_bool"] for n in (4, 5, 6)] == [True, False, True]
    assert rows[4]["asked_labels"] == ["banjo", "whack, thwack"]
    assert rows[7]["answer_distance_m"] == 3.0
    assert rows[8]["answer_labels"] == ["banjo"]
    assert (rows[9]["answer_direction"], rows[9]["choices"]) == (["left"], ["right", "left"])
    assert {row["split"] for row in rows.values()} == {"test"}
    assert all(row["question"] and row["template_id"] == "spatialsoundqa" for row in rows.values())


def test_scenes_have_the_places_and_the_labels_that_the_release_tells(tmp_path: Path) -> None:
    import_spatialsoundqa(write_release(tmp_path / "release"), tmp_path / "data")
    one, two = sorted(rows_of(tmp_path / "data", "scenes"), key=lambda row: len(row["sources"]))
    assert (one["house_id"], two["house_id"]) == ("XcA2TqTSSAj", "q9vSo1VnCiC")
    assert one["sources"][0]["labels"] == ["Bark", "Dog", "Yip"]
    assert [source["labels"] for source in two["sources"]] == [[], ["Slap, smack", "Whack, thwack"]]
    assert two["sources"][1]["mids"][1] == "/m/07rdhzs"
    listener = Pose(tuple(float(x) for x in SENSOR.split(",")))  # type: ignore[arg-type]
    for row in (one, two):
        assert row["audio"] is None
        for source in row["sources"]:
            there = direction(listener, tuple(source["position"]))
            assert (source["azimuth_deg"], source["elevation_deg"], source["distance_m"]) == there
    qa = rows_of(tmp_path / "data", "qa")
    assert {row["scene_id"] for row in qa} == {one["scene_id"], two["scene_id"]}


@pytest.mark.parametrize("places", [True, False])
def test_the_truth_scores_full_marks(tmp_path: Path, places: bool) -> None:
    release = write_release(tmp_path / "release")
    if not places:
        (release / "mp3d_reverb" / "eval_reverberation.json").unlink()
    summary = import_spatialsoundqa(release, tmp_path / "data")
    assert summary.scenes == (2 if places else 0)
    report = score(write_truth(tmp_path / "p.jsonl", tmp_path / "data"), tmp_path / "data", text_model="none")
    assert report.questions == report.answered == 10
    for subtype in report.subtypes:
        for name in ("accuracy", "exact", "direction", "map_lexical"):
            if name in subtype.metrics:
                assert subtype.metrics[name].value == 1.0, (subtype.subtype, name)
        if "der" in subtype.metrics:
            assert subtype.metrics["der"].value == 0.0
        assert subtype.unparsed == 0
    assert set(report.paper) >= {"A mAP", "B DoA", "B DER", "C mAP", "D DoA", "D DER", "E direction", "E distance"}


def test_wrong_answers_score_less(tmp_path: Path) -> None:
    import_spatialsoundqa(write_release(tmp_path / "release"), tmp_path / "data")
    said = [(row["qa_id"], "right, front, above; 9m") for row in rows_of(tmp_path / "data", "qa")]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"qa_id": q, "prediction": p}) + "\n" for q, p in said))
    report = score(tmp_path / "p.jsonl", tmp_path / "data", text_model="none")
    assert report.paper["B DoA"].value == report.paper["D DoA"].value == 0.0
    assert report.paper["B DER"].value == 1.0


@pytest.mark.parametrize("form", ["wrapped", "list", "lines"])
def test_all_forms_of_the_file_read_the_same(tmp_path: Path, form: str) -> None:
    release = write_release(tmp_path / "release", wrapped=form == "wrapped")
    if form == "lines":
        (release / "eval.json").unlink()
        (release / "eval.jsonl").write_text("".join(json.dumps(record) + "\n\n" for record in RECORDS))
    import_spatialsoundqa(next(release.glob("eval.json*")), tmp_path / "data")
    reference = tmp_path / "reference"
    import_spatialsoundqa(write_release(tmp_path / "other"), reference)
    assert rows_of(tmp_path / "data", "qa") == rows_of(reference, "qa")
    assert rows_of(tmp_path / "data", "scenes") == rows_of(reference, "scenes")


BAD = [
    ({"answer": None}, "answer must be a text, got None"),
    ({"question_type": "MIXUP_SMELL"}, "question_type 'MIXUP_SMELL' is unknown; known: CLASSIFICATION"),
    ({"question_id": None}, "question_id must be a number, got None"),
    ({"question_id": 0}, "question_id 0 of CLASSIFICATION is a duplicate"),
    ({"audio_id2": "eval/audio/Yx"}, "reverb_id2 must be a text, got None"),
    ({"question_type": "MIXUP_SINGLE_DOA"}, "MIXUP_SINGLE_DOA needs 2 sounds, got 1"),
    ({"question_type": "DOA", "answer": "somewhere; 2m"}, "the answer 'somewhere; 2m' is not a direction and distance"),
    ({"question_type": "DOA", "answer": "left, front, above"}, "is not a direction and distance"),
    ({"answer": " ; "}, "the answer ';' names no class"),
]


@pytest.mark.parametrize(("change", "reason"), BAD)
def test_a_record_that_cannot_be_used_is_left_out_and_named(tmp_path: Path, change: Row, reason: str) -> None:
    bad = deepcopy(RECORDS[0]) | {"question_id": 77} | change
    release = write_release(tmp_path / "release", [*RECORDS, bad])
    summary = import_spatialsoundqa(release, tmp_path / "data")
    assert (sum(summary.questions.values()), summary.rejected) == (10, 1)
    assert summary.first_reject is not None
    assert summary.first_reject.startswith("eval.json: record 10: ")
    assert reason in summary.first_reject
    (reject,) = (tmp_path / "data" / "_spatialqa" / "rejects" / "import.jsonl").read_text().splitlines()
    assert json.loads(reject)["record"] == 10


FILES = [
    ('{"data": [', r"eval.json: is not JSON"),
    ('{"questions": []}', r"""eval.json: must be {"data": \[...\]}, a list of records.* an object with 'questions'"""),
    ("3", r"eval.json: must be .* it is not a list"),
    ('{"data": []}', r"not one record can be used; it holds none"),
    ('{"data": [1, 2]}', r"not one record can be used; eval.json: record 0: is not an object: 1"),
    ("[" * 100_000, r"eval.json: is not JSON"),
    ("\udcff", r"eval.json: is not JSON"),
]


@pytest.mark.parametrize(("content", "message"), FILES)
def test_a_file_that_is_no_question_file_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    release = write_release(tmp_path / "release")
    (release / "eval.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=message) as caught:
        import_spatialsoundqa(release, tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"fname": "a/0.npy", "sensor_position": "0,0,0"}, "item 4 has no fname, sensor_position and source_position"),
        ({"fname": "a/0.npy", "sensor_position": "0,0", "source_position": "1,2,3"}, "item 4 has no"),
        ({"fname": "a/0.npy", "sensor_position": "0,0,nan", "source_position": "1,2,3"}, "is not finite"),
        (
            {"fname": "q9vSo1VnCiC/0.npy", "sensor_position": "0,0,0", "source_position": "1,2,3"},
            "two different places",
        ),
    ],
)
def test_places_that_are_none_are_named(tmp_path: Path, item: Row, message: str) -> None:
    release = write_release(tmp_path / "release")
    path = release / "mp3d_reverb" / "eval_reverberation.json"
    items = json.loads(path.read_text())["data"]
    path.write_text(json.dumps({"data": [*items, item]}))
    with pytest.raises(DatasetError, match=message):
        import_spatialsoundqa(release, tmp_path / "data")


def test_answers_that_contradict_the_places_are_counted(tmp_path: Path) -> None:
    records = deepcopy(RECORDS)
    records[1]["answer"] = "right, behind, below; 1m"
    summary = import_spatialsoundqa(write_release(tmp_path / "release", records), tmp_path / "data")
    assert summary.disagreeing == 1


def test_folders_are_not_mixed_up(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    import_spatialsoundqa(release, tmp_path / "data")
    before = {p.name: p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file()}
    import_spatialsoundqa(release, tmp_path / "data")
    assert {p.name: p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file()} == before
    other = write_release(tmp_path / "other", RECORDS[:3])
    with pytest.raises(DatasetError, match="holds another run"):
        import_spatialsoundqa(other, tmp_path / "data")
    with pytest.raises(DatasetError, match="no such file or folder"):
        import_spatialsoundqa(tmp_path / "nowhere", tmp_path / "x")
    with pytest.raises(DatasetError, match="holds no question file; looked for train, val"):
        import_spatialsoundqa(tmp_path / "release" / "mp3d_reverb", tmp_path / "x")
    (release / "eval.json").rename(release / "official.json")
    with pytest.raises(DatasetError, match="its name does not contain a split"):
        import_spatialsoundqa(release / "official.json", tmp_path / "x")
    assert import_spatialsoundqa(release / "official.json", tmp_path / "y", split="test").scenes == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", [validate_dataset, status_of, lambda root: make_qa(root, QaRecipe())])
def test_what_needs_rendered_scenes_says_so(tmp_path: Path, command: Callable[[Path], object]) -> None:
    import_spatialsoundqa(write_release(tmp_path / "release"), tmp_path / "data")
    with pytest.raises(DatasetError, match="imported from spatialsoundqa, not scenes rendered here"):
        command(tmp_path / "data")


def ids(root: Path) -> set[str]:
    return {row["qa_id"] for row in rows_of(root, "qa")}


def as_released(root: Path) -> Path:
    """The layout of the release: closed-end/STAGE/{train,eval-STAGE-TASK}.json, mp3d_reverb beside closed-end."""
    release = write_release(root / "SpatialSoundQA")
    (release / "mp3d_reverb" / "binaural").mkdir()
    (release / "eval.json").unlink()
    (release / "AudioSet").mkdir()
    (release / "AudioSet" / "eval.json").write_text("no question file")
    stage = release / "closed-end" / "stage2-single"
    stage.mkdir(parents=True)
    for name, records in (
        ("train", RECORDS[:3]),
        ("eval-stage2-classification", RECORDS[:1]),
        ("eval-stage2-doa", RECORDS[1:2]),
    ):
        (stage / f"{name}.json").write_text(json.dumps({"data": records}))
    return release


@pytest.mark.parametrize("part", [".", "closed-end", "closed-end/stage2-single"])
def test_the_released_layout_is_read_as_it_lies(tmp_path: Path, part: str) -> None:
    summary = import_spatialsoundqa(as_released(tmp_path) / part, tmp_path / "data")
    by_split = {split: sum(n for (of, _), n in summary.questions.items() if of == split) for split in ("train", "test")}
    assert by_split == {"train": 3, "test": 2}
    assert summary.scenes == 3
    assert summary.passed_over == ()
    assert [Path(path).name for path in summary.place_files] == ["eval_reverberation.json"]
    assert {"CLASSIFICATION-0", "DOA-1", "train-DOA-1"} <= ids(tmp_path / "data")


def test_one_eval_file_needs_no_split(tmp_path: Path) -> None:
    path = as_released(tmp_path) / "closed-end" / "stage2-single" / "eval-stage2-doa.json"
    summary = import_spatialsoundqa(path, tmp_path / "data")
    assert dict(summary.questions) == {("test", "DOA"): 1}
    assert summary.scenes == 1


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    release = as_released(tmp_path)
    stage = release / "closed-end" / "stage2-single"
    (stage / "notes.json").write_text("{}")
    (stage / "train.jsonl").write_text("")
    said = "\n".join(import_spatialsoundqa(release, tmp_path / "data").lines())
    assert "skipped: closed-end/stage2-single/notes.json: its name does not contain a split" in said
    assert "skipped: closed-end/stage2-single/train.jsonl: train.json beside it is read" in said
    (release / "eval.json").write_text(json.dumps(RECORDS))
    said = "\n".join(import_spatialsoundqa(release, tmp_path / "near").lines())
    assert "skipped: closed-end/stage2-single/train.json: lies below the folder with eval.json" in said


def test_stages_that_use_an_id_twice_keep_both_questions(tmp_path: Path) -> None:
    release = as_released(tmp_path)
    other = release / "closed-end" / "stage3"
    other.mkdir()
    changed = dict(RECORDS[1], answer="right, behind, above; 2m")
    (other / "eval-stage3.json").write_text(json.dumps({"data": [RECORDS[0], changed]}))
    summary = import_spatialsoundqa(release, tmp_path / "data")
    assert (summary.repeated, summary.renamed, summary.rejected) == (1, 1, 0)
    assert {"CLASSIFICATION-0", "DOA-1", "eval-stage3/DOA-1"} <= ids(tmp_path / "data")
    said = "\n".join(summary.lines())
    assert "1 records are in several files and were taken once" in said
    assert "1 questions have the name of their file in their qa_id" in said


CASE = Path(__file__).parents[3] / "shared" / "cases" / "spatialsoundqa_release_layout"


@pytest.mark.skipif(not CASE.is_dir(), reason="the shared cases are not here")
def test_the_shared_case_is_imported_and_scored(tmp_path: Path) -> None:
    summary = import_spatialsoundqa(CASE / "SpatialSoundQA" / "closed-end" / "stage2-single", tmp_path / "data")
    counts = {("train", "CLASSIFICATION"): 2, ("train", "DOA"): 1, ("test", "CLASSIFICATION"): 2, ("test", "DOA"): 1}
    assert dict(summary.questions) == counts
    assert summary.scenes == 4
    report = score(CASE / "decode_pred", tmp_path / "data", text_model="none")
    assert report.answered == 2


def test_an_import_has_a_manifest_and_its_readers_pass_over_other_files(tmp_path: Path) -> None:
    release, root = write_release(tmp_path / "release"), tmp_path / "data"
    import_spatialsoundqa(release, root)
    scenes, questions = rows_of(root, "scenes"), rows_of(root, "qa")
    listed = dict(read_manifest(DatasetFolder(root)))
    tables = {path.relative_to(root).as_posix() for path in root.glob("*/*.parquet")}
    records = {"README.md", "croissant.json", "_spatialqa/qa.json", "_spatialqa/rejects/import.jsonl"}
    assert listed.keys() == tables | records
    for path in list(root.glob("*/*.parquet")):
        shutil.copy(path, path.with_name("train-00003-of-00009.parquet"))
    assert rows_of(root, "scenes") == scenes
    assert rows_of(root, "qa") == questions
    (root / "_spatialqa/run.json").write_text("{")
    import_spatialsoundqa(release, root)
    assert dict(read_manifest(DatasetFolder(root))) == listed
