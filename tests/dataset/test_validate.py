"""`validate` agrees with every data set that we make, and finds what is planted in one."""

import io
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from spatialqa.core.files import commit_text
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import write_record
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.qa.ask_options import TYPES
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.dataset.changing import changed
from tests.fixtures import datasets
from tests.fixtures.records import rewritten


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2000 planned scenes of one to three sources, and their questions."""
    return datasets.planned(
        tmp_path_factory.mktemp("planned") / "data",
        2000,
        QaRecipe(types=TYPES, rationale=True),
        splits="0.8,0.1,0.1",
        scenes_per_group=250,
        sources_per_group=16,
        sources_per_scene={1: 0.3, 2: 0.5, 3: 0.2},
        scenes_per_shard=250,
    )


def test_every_question_of_a_planned_data_set_is_answered_the_same(planned: Path) -> None:
    report = validate_dataset(planned)
    assert report.problems == ()
    assert any("2000 scenes" in line and "planned without audio" in line for line in report.checked)
    count = sum(pq.read_metadata(path).num_rows for path in (planned / "qa").glob("*.parquet"))
    assert count > 8000
    assert any(f"qa: {count} questions" in line and "worked out again" in line for line in report.checked)


def test_four_options_and_margins_of_zero_agree_too(planned: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(planned, root)
    recipe = QaRecipe(
        name="bare",
        types=TYPES,
        answer_form="mcq",
        balance=False,
        rationale=True,
        direction_margin_deg=0.0,
        relation_margin_deg=0.0,
        distance_margin_m=0.0,
    )
    make_qa(root, recipe)
    report = validate_dataset(root)
    assert report.problems == ()
    assert {line.split(":")[0] for line in report.checked} >= {"qa", "qa-bare"}


@pytest.mark.parametrize("form", ["brief", "scene"])
def test_other_forms_of_rationales_agree_too(planned: Path, tmp_path: Path, form: str) -> None:
    root = tmp_path / "data"
    shutil.copytree(planned, root)
    make_qa(root, QaRecipe(types=("A", "B", "C", "D", "E"), rationale=True, rationale_form=form))
    assert validate_dataset(root).problems == ()


def test_validate_finds_changed_and_missing_files(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    victim = DatasetFolder(root).tables("scenes")[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    DatasetFolder(root).tables("groups")[1].rename(root / "elsewhere")
    problems = validate_dataset(root).problems
    assert any("sha256 differs" in problem for problem in problems)
    assert any("is gone" in problem for problem in problems)


def test_rendered_scenes_need_audio_and_planned_ones_none(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)

    def mute(rows: list[dict[str, Any]]) -> None:
        rows[0]["audio"] = None
        rows[1]["sources"][0]["wet_level_dbfs"] = None

    changed(root, "scenes", mute)
    problems = validate_dataset(root).problems
    assert any("has no audio" in problem for problem in problems)
    assert any("no finite level" in problem for problem in problems)
    folder = DatasetFolder(root)
    run = folder.read_run()
    write_record(folder.meta / "run.json", replace(run, recipe=run.recipe | {"plan_only": True}))
    problems = validate_dataset(root).problems
    assert len(problems) == 23
    assert all("only planned" in problem for problem in problems)


def move_source(rows: list[dict[str, Any]]) -> None:
    rows[0]["sources"][0]["position"][0] += 0.5


def turn_azimuth(rows: list[dict[str, Any]]) -> None:
    rows[1]["sources"][0]["azimuth_deg"] *= -1


def cut_audio(rows: list[dict[str, Any]]) -> None:
    rows[0]["audio"]["bytes"] = rows[0]["audio"]["bytes"][:200]


def silence(rows: list[dict[str, Any]]) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((32000, 2)), 16000, format="FLAC", subtype="PCM_24")
    rows[0]["audio"]["bytes"] = buffer.getvalue()


def repeat_id(rows: list[dict[str, Any]]) -> None:
    rows[1]["scene_id"] = rows[0]["scene_id"]


def lose_group(rows: list[dict[str, Any]]) -> None:
    rows[0]["group_id"] = "train-g9999999"


def other_house(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["split"] = "test"


def dangle(rows: list[dict[str, Any]]) -> None:
    rows[0]["scene_id"] = "train-99999999"


def wrong_referent(rows: list[dict[str, Any]]) -> None:
    rows[0]["source_indices"] = [7]


def other_split(rows: list[dict[str, Any]]) -> None:
    rows[0]["split"] = "test"


def repeat_question(rows: list[dict[str, Any]]) -> None:
    rows[1] = rows[0]


def no_answer(rows: list[dict[str, Any]]) -> None:
    rows[0]["answer"] = ""


def lie(rows: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if row["answer_bool"] is not None)
    row["answer"] = "No" if row["answer_bool"] else "Yes"


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("scenes", move_source, "is not at the position of"),
        ("scenes", turn_azimuth, "the row says"),
        ("scenes", cut_audio, "audio"),
        ("scenes", silence, "silent"),
        ("scenes", repeat_id, "appears twice"),
        ("scenes", lose_group, "is not in groups/"),
        ("scenes", other_house, "is in test and train"),
        ("scenes", other_house, "says split test"),
        ("qa", dangle, "is not in scenes/"),
        ("qa", wrong_referent, "does not have"),
        ("qa", other_split, "says split test in a file of train"),
        ("qa", repeat_question, "appears twice"),
        ("qa", no_answer, "its answer is empty"),
        ("qa", lie, "and must be"),
    ],
)
def test_validate_finds_every_planted_fault(small: Path, tmp_path: Path, table: str, change: Any, message: str) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    changed(root, table, change)
    problems = validate_dataset(root).problems
    assert any(message in problem for problem in problems), problems


def test_a_lie_is_named_by_file_question_and_truth(planned: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(planned, root)
    lies: list[str] = []

    def swap(rows: list[dict[str, Any]]) -> None:
        for row in rows[::50]:
            if row["answer_distance_m"] is not None:
                row["answer_distance_m"] += 0.5
                lies.append(f"qa/train-00000-of-00001.parquet: {row['qa_id']}: answer_distance_m is ")

    changed(root, "qa", swap)
    problems = validate_dataset(root).problems
    assert len(problems) == len(lies) > 20
    assert all(problem.startswith(lie) for problem, lie in zip(problems, lies, strict=True))


def test_a_flood_of_problems_is_counted(planned: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(planned, root)

    def forget(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["template_id"] = ""

    changed(root, "qa", forget)
    count = pq.read_metadata(DatasetFolder(root).tables("qa")[0]).num_rows
    problems = validate_dataset(root).problems
    assert len(problems) == 1001
    assert problems[-1] == f"qa: {count - 1000} more problems of questions"


def test_questions_of_scenes_that_are_not_there_are_found_in_every_split(planned: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(planned, root)
    folder = DatasetFolder(root)
    for path in root.glob("*/test-*.parquet"):
        if path.parent.name != "qa":
            path.unlink()
            folder.shard_file(path.stem).unlink(missing_ok=True)
    run = folder.read_run()
    shards = tuple(name for name in run.plan.shards if not name.startswith("test-"))
    write_record(folder.meta / "run.json", replace(run, plan=replace(run.plan, shards=shards)))
    dangling = sum(pq.read_metadata(p).num_rows for p in folder.tables("qa") if p.name.startswith("test-"))
    problems = validate_dataset(root).problems
    listed = sum("is not in scenes/ of the split test" in problem for problem in problems)
    assert listed == min(dangling, 1000) > 100


def test_a_table_that_cannot_be_read_is_one_problem_not_a_traceback(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    record = commit_text(root, "qa/test-00000-of-00001.parquet", "no parquet", rows=1)
    rewritten(root / "_spatialqa" / "qa.json", lambda qa: qa["files"].__setitem__(-1, asdict(record)))
    problems = validate_dataset(root).problems
    assert any("cannot be read as a Parquet table" in problem for problem in problems)
    (root / "_spatialqa" / "qa.json").unlink()
    assert any("record qa.json is missing" in problem for problem in validate_dataset(root).problems)
