"""A data set tells what has become of its files, is never half changed, and what is damaged can be made again."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from spatialqa.audit.audit import audit_dataset
from spatialqa.audit.report import save_audit
from spatialqa.audit.sample import index_questions
from spatialqa.cli.main import cli
from spatialqa.cli.status import status_of
from spatialqa.core.files import commit_text, digest, sha256_of
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import QuestionsRecord, read_record, write_record
from spatialqa.dataset.manifest import CLIP_REJECTS, MANIFEST, read_manifest, write_manifest
from spatialqa.dataset.reading import scene_files
from spatialqa.dataset.schema import GROUPS, SCENES, without_descriptions
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import ClipGoneError, DatasetError, RoomError
from spatialqa.generation.plan import RunPlan
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.replay import StoredRun
from spatialqa.generation.resume import remove_damaged
from spatialqa.generation.run import Run, prepare_run
from spatialqa.generation.stored_recipe import stored_recipe
from spatialqa.interop.export import warnings_before
from spatialqa.qa.ask_options import TYPES
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from spatialqa.scoring.references import read_references
from tests.fixtures.datasets import PLANNED, dataset, hashes, render, scenes_of
from tests.fixtures.records import rewritten
from tests.flips import MISSED, WARNED, expected, files_of, flip_each, flipped, remove_each, verdict

RECIPE = replace(
    PLANNED, scenes=16, splits="0.5,0.25,0.25", scenes_per_shard=4, scenes_per_group=4, sources_per_group=4
)
ASKED = QaRecipe(types=TYPES)
SHARD = "train-00001-of-00002"

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 planned scenes in four shards with questions, and a reject of every kind. Read it; do not change it."""
    root = dataset(tmp_path_factory.mktemp("whole") / "data", RECIPE, ASKED)
    folder = DatasetFolder(root)
    record = folder.read_shard(SHARD)
    line = '{"kind": "draw", "id": "train-00000001", "attempt": 0, "reason": "ClippedSceneError: it clips"}\n'
    rejects = commit_text(root, f"_spatialqa/rejects/{SHARD}.jsonl", line, rows=1)
    folder.commit_shard(replace(record, files=(*record.files[:-1], rejects)))
    commit_text(root, CLIP_REJECTS, '{"path": "a.wav", "reason": "is empty"}\n')
    commit_text(root, "_spatialqa/audit.json", "{}\n")
    write_manifest(folder, [CLIP_REJECTS])
    return root


@pytest.fixture(autouse=True, scope="module")
def prepared_once() -> Iterator[None]:
    """Lay out each recipe once: it draws and hashes 7,400 clips every time."""
    known: dict[str, tuple[Run, RunPlan]] = {}

    def prepare(recipe: RenderRecipe, root: Path) -> tuple[Run, RunPlan]:
        if repr(recipe) not in known:
            known[repr(recipe)] = prepare_run(recipe, root)
        run, plan = known[repr(recipe)]
        return replace(run, root=root.absolute()), plan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spatialqa.generation.runner.prepare_run", prepare)
        patch.setattr("spatialqa.generation.resume.prepare_run", prepare)
        yield


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(whole, tmp_path / "data"))


def content(root: Path) -> dict[str, str]:
    return {name: sha256_of(root / name) for name in files_of(root)}


def older(root: Path) -> Path:
    """Make of a data set one that a version without manifests and hashes of records wrote."""
    for path in root.rglob("*.json"):
        if path.name != "audit.json":
            rewritten(path, lambda record: record.pop("manifest", None))
    (root / MANIFEST).unlink()
    return root


def command(*words: object) -> tuple[int, str]:
    """Run a command line in this process; return its exit code (2: an error that is one line) and what it printed."""
    said = CliRunner().invoke(cli, [str(word) for word in words])
    if isinstance(said.exception, DatasetError):
        return 2, str(said.exception)
    assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
    return said.exit_code, said.output


# What validate notices


def test_the_manifest_lists_every_file_and_run_json_its_hash(whole: Path) -> None:
    listed = dict(read_manifest(DatasetFolder(whole)))
    assert listed == {k: v for k, v in content(whole).items() if k not in (MANIFEST, "_spatialqa/run.json")}
    run = DatasetFolder(whole).read_run()
    assert run.manifest is not None
    assert (run.manifest.sha256, run.manifest.files) == (sha256_of(whole / MANIFEST), len(listed))
    report = validate_dataset(whole)
    assert (report.problems, report.warnings) == ((), ())


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="needs sha256sum")
def test_sha256sum_reads_the_manifest(root: Path) -> None:
    check = ["sha256sum", "--check", "--strict", "--quiet", MANIFEST]
    assert subprocess.run(check, cwd=root, check=False).returncode == 0
    (root / CLIP_REJECTS).write_text("other")
    assert subprocess.run(check, cwd=root, check=False, capture_output=True).returncode == 1


def test_one_flipped_byte_in_any_file_is_noticed(root: Path) -> None:
    files = files_of(root)
    kinds = {"scenes", "groups", "qa", "README.md", "croissant.json", "_spatialqa"}
    assert kinds == {name.partition("/")[0] for name in files}
    assert {"shards", "rejects", "run.json", "qa.json", "audit.json", "manifest.sha256"} == {
        name.split("/")[1] for name in files if name.startswith("_spatialqa")
    }
    outcomes = flip_each(root, files, flips=40, rng=random.Random(7))
    assert [outcome for outcome in outcomes if outcome[-1] != expected(outcome[0])] == []
    assert validate_dataset(root).problems == ()


@pytest.mark.parametrize("name", ["_spatialqa/run.json", f"_spatialqa/shards/{SHARD}.json", "_spatialqa/qa.json"])
def test_a_record_notices_a_flip_of_every_byte_of_its_first_line_and_of_its_spaces(whole: Path, name: str) -> None:
    """Also by itself: nothing but its own first line guards run.json, and the shards of a run that is not finished."""
    folder = DatasetFolder(whole)
    readers: dict[str, Callable[[], object]] = {
        "run.json": folder.read_run,
        "qa.json": lambda: folder.read_questions("qa"),
        f"{SHARD}.json": lambda: folder.read_shard(SHARD),
    }
    read = readers[Path(name).name]
    data = (whole / name).read_bytes()
    first = data.index(b"\n", 3) + 1
    for offset in [*range(first), first, data.index(b" ", first + 2), len(data) - 1]:
        for mask in (1, 0x20, 0x80):
            with flipped(whole / name, offset, mask), pytest.raises(DatasetError, match="was edited|damaged"):
                read()
    read()


def test_every_removed_file_is_noticed(root: Path) -> None:
    assert [outcome for outcome in remove_each(root, files_of(root)) if outcome[1] != expected(outcome[0])] == []


def test_an_edited_card_is_a_warning_and_no_problem(root: Path) -> None:
    with (root / "README.md").open("a") as card:
        card.write("\nMade for our paper.\n")
    report = validate_dataset(root)
    assert report.problems == ()
    assert report.warnings == ("README.md: has changed since it was written",)
    code, said = command("validate", root)
    assert code == 0
    assert "WARN README.md: has changed" in said


def test_damage_is_named_once_and_not_again_for_every_row(root: Path) -> None:
    path = root / f"scenes/{SHARD}.parquet"
    with flipped(path, 100, 1):
        problems = validate_dataset(root).problems
    assert problems == (f"scenes/{SHARD}.parquet: is not the file that was committed (its sha256 differs)",)


def test_the_record_of_another_run_is_not_valid_and_is_not_read(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    render(replace(RECIPE, seed=1), other)
    name = next(name for name in DatasetFolder(other).read_run().plan.shards if name == SHARD)
    for path in (f"_spatialqa/shards/{name}.json", f"scenes/{name}.parquet", f"groups/{name}.parquet"):
        shutil.copy(other / path, root / path)
    problems = validate_dataset(root).problems
    assert any(f"shards/{SHARD}.json: is of another run" in problem for problem in problems)
    assert len(scene_files(DatasetFolder(root))) == 3
    assert render(RECIPE, root).shards_resumed == 3
    make_qa(root, ASKED)
    assert validate_dataset(root).problems == ()


def test_a_record_under_the_name_of_another_shard_is_not_read(root: Path) -> None:
    folder = DatasetFolder(root)
    shutil.copy(folder.shard_file("train-00000-of-00002"), folder.shard_file(SHARD))
    with pytest.raises(DatasetError, match="is not the record of shard"):
        scene_files(folder)
    assert any("is not the record of shard" in problem for problem in validate_dataset(root).problems)
    assert folder.committed(SHARD, folder.read_run().fingerprint_hash) is None


# What lies there and belongs to nobody


def test_readers_take_what_the_records_name_and_nothing_else(root: Path, tmp_path: Path) -> None:
    other = dataset(tmp_path / "other", replace(RECIPE, seed=1), ASKED)
    folder = DatasetFolder(root)
    tables = {kind: folder.tables(kind) for kind in ("scenes", "groups", "qa")}
    scenes, questions = scenes_of(root), read_references(root, "qa")
    for kind, paths in tables.items():
        shutil.copy(other / kind / paths[0].name, root / kind / "train-00007-of-00009.parquet")
    shutil.copytree(other / "qa", root / "qa-copied")
    shutil.copy(folder.shard_file(SHARD), folder.shard_file("train-00007-of-00009"))
    assert {kind: folder.tables(kind) for kind in tables} == tables
    assert folder.question_tables() == ["qa"]
    assert scenes_of(root) == scenes
    assert read_references(root, "qa") == questions
    assert sum(index_questions(folder, "qa", 1000, 0).rows.values()) == len(questions)
    before = read_record(QuestionsRecord, folder.questions_file("qa"))
    make_qa(root, ASKED)
    assert read_record(QuestionsRecord, folder.questions_file("qa")).questions == before.questions
    problems = "\n".join(validate_dataset(root).problems)
    for stray in ("scenes", "groups"):
        assert f"{stray}/train-00007-of-00009.parquet: no record names it" in problems
    assert "shards/train-00007-of-00009.json: belongs to a shard that this run does not have" in problems
    assert "qa-copied: its record qa-copied.json is missing" in problems
    assert "qa-copied" not in (root / "README.md").read_text()


def test_only_the_folder_looks_for_files_of_tables() -> None:
    """A reader that lists a folder by itself takes what no record names."""
    top = Path(__file__).parents[2]
    allowed = {
        "spatialqa/dataset/folder.py",
        "spatialqa/dataset/validation/files.py",  # to report them
        "spatialqa/banks/open_bank.py",  # to tell kinds of banks apart
        "spatialqa/interop/hub/published.py",  # of what is uploaded: reports of audits, and the folder that it has made
    }
    found = {
        path.relative_to(top).as_posix()
        for path in (top / "spatialqa").rglob("*.py")
        if ".parquet" in (text := path.read_text()) and "glob(" in text
    }
    clips = {name for name in found if "/clips/" in name}  # whose Parquet files are somebody else's
    assert found - clips - {name for name in found if name.startswith("spatialqa/models/")} == allowed


def test_a_file_that_a_record_names_and_that_is_gone_is_one_line(root: Path) -> None:
    (root / f"scenes/{SHARD}.parquet").unlink()
    for read in (lambda: make_qa(root, ASKED), lambda: scenes_of(root)):
        with pytest.raises(DatasetError, match=f"{SHARD}.parquet: is gone; repeat the command"):
            read()
    (root / "qa/train-00000-of-00001.parquet").write_bytes(b"short")
    with pytest.raises(DatasetError, match="another size than was recorded; run make-qa again"):
        read_references(root, "qa")


# What is made again


def test_resume_finds_bit_rot_by_hash_and_makes_the_shard_again(whole: Path, root: Path) -> None:
    path = root / f"scenes/{SHARD}.parquet"
    with path.open("rb+") as file:
        file.seek(200)
        file.write(b"\0\1\2\3")
    assert render(RECIPE, root).shards_resumed == 4
    assert sha256_of(path) != sha256_of(whole / f"scenes/{SHARD}.parquet")
    assert render(replace(RECIPE, check="full"), root).shards_resumed == 3
    assert sha256_of(path) == sha256_of(whole / f"scenes/{SHARD}.parquet")
    assert validate_dataset(root).problems == ()


def test_fix_removes_what_a_resume_makes_again_and_names_the_command(whole: Path, root: Path) -> None:
    groups = root / f"groups/{SHARD}.parquet"
    groups.write_bytes(groups.read_bytes()[:-1] + b"?")
    (root / "mine.txt").write_text("mine")
    code, said = command("validate", root, "--fix")
    assert code == 1
    kept = content(root)
    gone = {*content(whole), "mine.txt"} - kept.keys()
    assert gone == {
        f"scenes/{SHARD}.parquet",
        f"groups/{SHARD}.parquet",
        f"_spatialqa/shards/{SHARD}.json",
        f"_spatialqa/rejects/{SHARD}.jsonl",
    }
    last = said.strip().splitlines()[-1]
    assert last == f"run: spatialqa render {root} --from {root} && spatialqa make-qa {root}"
    assert command("render", root, "--from", root)[0] == 0
    assert command("make-qa", root, "--types", ",".join(TYPES))[0] == 0
    assert {**kept, **hashes(whole)} != kept
    assert {name: sha for name, sha in content(root).items() if name.endswith(".parquet")} == {
        name: sha for name, sha in content(whole).items() if name.endswith(".parquet")
    }
    assert validate_dataset(root).problems == ()


def test_fix_removes_nothing_where_a_resume_would_be_refused(root: Path) -> None:
    run = DatasetFolder(root).read_run()
    changed = {**run.fingerprint, "versions": {**run.fingerprint["versions"], "soxr": "0.0.1"}}
    write_record(root / "_spatialqa/run.json", replace(run, fingerprint=changed))
    (root / f"scenes/{SHARD}.parquet").write_bytes(b"")
    before = content(root)
    lines = remove_damaged(root, [SHARD], [])
    assert lines[0].startswith('nothing was removed: a resume would be refused here (versions.soxr was "0.0.1"')
    assert content(root) == before


@pytest.mark.parametrize("damage", ["flipped", "cut", "removed", "no object"])
def test_the_advice_for_a_damaged_run_record_works(whole: Path, root: Path, damage: str) -> None:
    path = root / "_spatialqa/run.json"
    data = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes({"flipped": data.replace(b"plan", b"plAn"), "cut": data[:300], "no object": b"[]"}[damage])
    with pytest.raises(DatasetError, match="repeat the command that began the data set: it writes"):
        validate_dataset(root)
    with pytest.raises(DatasetError, match="its record .*run.json is gone or damaged, and the shards here are of ano"):
        render(replace(RECIPE, seed=1), root)
    assert render(RECIPE, root).shards_resumed == 4
    assert hashes(root) == hashes(whole)
    assert validate_dataset(root).problems == ()


def test_a_render_into_an_export_without_audio_is_refused(root: Path) -> None:
    run = DatasetFolder(root).read_run()
    rewritten(root / "_spatialqa/run.json", lambda run: run.update(export={"format": "recipes", "paths_removed": []}))
    with pytest.raises(DatasetError, match="holds an export of this run, without audio; use another folder"):
        DatasetFolder(root).claim(run)
    (root / "_spatialqa/run.json").unlink()
    record = DatasetFolder(root).read_shard(SHARD)
    DatasetFolder(root).commit_shard(replace(record, original=record.files))
    with pytest.raises(DatasetError, match="are of another run"):
        DatasetFolder(root).claim(run)


# What older versions wrote


def test_a_data_set_of_an_older_version_is_read_checked_and_gets_a_manifest(root: Path) -> None:
    older(root)
    report = validate_dataset(root)
    assert report.problems == ()
    assert len(report.warnings) == 1
    assert "manifest.sha256: there is none" in report.warnings[0]
    make_qa(root, ASKED)
    assert validate_dataset(root).warnings == ()
    assert verdict(older(root)) == WARNED
    assert render(RECIPE, root).shards_resumed == 4
    assert validate_dataset(root).warnings == ()


# What a kill leaves


class Killed(BaseException):
    """Stands for a SIGKILL."""


class Kills:
    """Ends a command at its n-th step: a file or folder that is put in its place or removed."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.steps: list[str] = []

    def step(self, path: Any) -> None:
        self.steps.append(Path(path).name)
        if self.at is not None and len(self.steps) > self.at:
            raise Killed

    def killed(self, at: int | None, run: Callable[[], object]) -> bool:
        """Run something, end it before its step `at` (None: never), and return whether it came to that."""
        self.at, self.steps = at, []
        try:
            run()
        except Killed:
            return True
        finally:
            self.at = None
        return False


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> Kills:
    kills, replacing, unlinking = Kills(), os.replace, Path.unlink

    def replace_or_die(source: Any, target: Any) -> None:
        kills.step(target)
        replacing(source, target)

    def unlink_or_die(path: Path, missing_ok: bool = False) -> None:
        if not path.name.endswith(".tmp"):  # what a killed command cannot do either, and a later one does
            kills.step(path)
        unlinking(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "replace", replace_or_die)
    monkeypatch.setattr(Path, "unlink", unlink_or_die)
    return kills


def test_make_qa_that_is_killed_at_any_step_never_looks_damaged(whole: Path, tmp_path: Path, kills: Kills) -> None:
    changed = QaRecipe(types=("A", "B"), balance=False)
    once = tmp_path / "once"
    shutil.copytree(whole, once)
    assert not kills.killed(None, lambda: make_qa(once, changed))
    assert kills.steps[-3:] == ["README.md", "manifest.sha256", "run.json"]
    for at in range(len(kills.steps)):
        root = tmp_path / f"killed-{at}"
        shutil.copytree(whole, root)
        assert kills.killed(at, lambda root=root: make_qa(root, changed))  # type: ignore[misc]
        problems = validate_dataset(root).problems
        assert set(problems) <= {"qa: its record qa.json is missing: run make-qa again"}, kills.steps
        make_qa(root, changed)
        assert verdict(root) == MISSED
        for name in ("qa/train-00000-of-00001.parquet", "_spatialqa/qa.json"):
            assert (root / name).read_bytes() == (once / name).read_bytes()


def test_a_render_that_is_killed_between_its_last_steps_never_looks_damaged(
    whole: Path, root: Path, kills: Kills
) -> None:
    def resume() -> None:
        render(RECIPE, root)

    lost = (f"scenes/{SHARD}.parquet", f"_spatialqa/shards/{SHARD}.json")
    for name in lost:
        (root / name).unlink()
    assert not kills.killed(None, resume)
    n = len(kills.steps)
    assert kills.steps[-5:] == [f"{SHARD}.json", "croissant.json", "README.md", "manifest.sha256", "run.json"]
    for at in (n - 3, n - 2, n - 1):
        for name in lost:
            (root / name).unlink()
        assert kills.killed(at, resume)
        report = validate_dataset(root)
        assert report.problems == ()
        assert len(report.warnings) == 1
        assert "was interrupted" in report.warnings[0]
        resume()
        assert verdict(root) == MISSED
    tables = [path.relative_to(whole) for path in whole.glob("*/*.parquet")]
    assert all((root / path).read_bytes() == (whole / path).read_bytes() for path in tables)


def test_an_audit_waits_for_the_lock_and_updates_the_manifest(root: Path) -> None:
    before = content(root)
    report = audit_dataset(root, max_questions=50)
    save_audit(root, report)
    after = content(root)
    assert {name for name in after if after[name] != before[name]} == {
        "_spatialqa/audit.json",
        "_spatialqa/run.json",
        MANIFEST,
    }
    assert verdict(root) == MISSED


def test_a_file_that_changed_on_the_disk_does_not_pass_for_a_new_one(root: Path) -> None:
    """A command that writes a new manifest takes no hash of a file that it has not written."""
    (root / CLIP_REJECTS).write_text("other\n")
    (root / "_spatialqa/audit.json").unlink()
    make_qa(root, ASKED)
    names = [problem.partition(":")[0] for problem in validate_dataset(root).problems]
    assert sorted(names) == ["_spatialqa/audit.json", CLIP_REJECTS]


# Nothing is half written, and what a record lacks is one line


@pytest.mark.parametrize("key", ["rooms", "clips", "seed", "channels"])
@pytest.mark.parametrize("value", [None, ["x"]])
def test_a_recipe_without_a_key_is_one_line_and_nothing_is_written(root: Path, key: str, value: Any) -> None:
    if key == "channels" and value is None:
        pytest.skip("older versions did not name the channels")

    def change(run: dict[str, Any]) -> None:
        run["recipe"][key] = value
        if value is None:
            del run["recipe"][key]

    rewritten(root / "_spatialqa/run.json", change)
    before = content(root)
    for use in (status_of, lambda root: make_qa(root, ASKED), lambda root: warnings_before(root, "webdataset")):
        with pytest.raises(DatasetError, match=f"its recipe has no usable {key}") as caught:
            use(root)
        assert "\n" not in str(caught.value)
    assert content(root) == before


def test_questions_whose_card_cannot_be_written_leave_the_table_as_it_was(root: Path) -> None:
    (root / f"groups/{SHARD}.parquet").write_bytes(b"?" * (root / f"groups/{SHARD}.parquet").stat().st_size)
    before = content(root)
    with pytest.raises(DatasetError, match="cannot be read as a Parquet table"):
        make_qa(root, QaRecipe(types=("C",), balance=False))
    assert content(root) == before


# Rows whose inputs are gone


def test_a_missing_clip_and_a_missing_room_are_named_with_their_row(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scenes_of(root)[0]
    with StoredRun(stored_recipe(DatasetFolder(root))) as inputs:

        def gone(record: Any) -> None:
            raise ClipGoneError("a.wav cannot be read: No such file or directory; start again")

        monkeypatch.setattr(inputs._prepared, "get", gone)
        with pytest.raises(ClipGoneError, match=rf"^scene {scene.scene_id}, source 0: a.wav cannot be read"):
            inputs.sounds(scene)

        def no_room(room_id: str) -> None:
            raise RoomError("x.glb: cannot be read (No such file or directory)")

        monkeypatch.setattr(type(inputs.rooms), "load", lambda self, room_id: no_room(room_id))
        with pytest.raises(RoomError, match=f"^room {scene.room_id}: x.glb: cannot be read"):
            inputs.open_room(scene.room_id, "0")


# The bytes of tables


@pytest.mark.skipif(pa.__version__ != "26.0.1", reason="the bytes of Parquet files depend on pyarrow's version")
def test_with_the_values_of_then_the_tables_have_the_bytes_of_then(tmp_path: Path) -> None:
    """Without columns and descriptions that came later, and with all classes of foley, as it had without the key."""
    then: dict[str, Any] = {
        "directions": "octants",
        "heights": "any",
        "body_radius_m": 0.0,
        "clip_start": "zero",
        "onset_max_s": 0.0,
        "fill": "once",
    }
    old = replace(RECIPE, inaudible="keep", classes=["all"], **then)
    root = dataset(tmp_path / "data", old)
    recipe_hash = digest(replace(old, classes=[]).identity())  # as before the key was needed
    source = pa.struct(list(SCENES.field("sources").type.value_type)[:22])
    schema = SCENES.set(SCENES.get_field_index("sources"), pa.field("sources", pa.list_(source)))
    for path in root.glob("[gs]*/*.parquet"):
        rows = pq.read_table(path).to_pylist()
        if path.parent.name == "scenes":
            rows = [row | {"recipe_hash": recipe_hash} for row in rows]
        then_schema = without_descriptions(schema if path.parent.name == "scenes" else GROUPS)
        commit_table(root, str(path.relative_to(root)), pa.Table.from_pylist(rows, schema=then_schema))
    found = {f"{path.parent.name}/{path.stem}": sha256_of(path)[:16] for path in sorted(root.glob("[gs]*/*.parquet"))}
    assert found == {
        "groups/test-00000-of-00001": "6931a8745c42a258",
        "groups/train-00000-of-00002": "add20a189f11ec22",
        "groups/train-00001-of-00002": "feeac738a71953a7",
        "groups/validation-00000-of-00001": "71480df785e4ad78",
        "scenes/test-00000-of-00001": "7894ffb172fcf553",
        "scenes/train-00000-of-00002": "cbdb2fb2dfb0a04c",
        "scenes/train-00001-of-00002": "8aff8cb1acb1cab0",
        "scenes/validation-00000-of-00001": "19555fcf02e03b38",
    }
