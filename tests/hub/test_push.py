"""A data set is uploaded whole, resumed, compared, and refused where a licence forbids it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
import yaml
from click.testing import CliRunner

from spatialqa.cli.main import cli
from spatialqa.core.files import commit_text, sha256_of
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import write_record
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import DatasetError, RecipeError, UnfinishedError
from spatialqa.interop.hub import push as upload
from spatialqa.interop.hub.push import push
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.hub import TOKEN, Hub, running

REPO = "me/kitchen-sounds"


@pytest.fixture(scope="module")
def whole(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose record says that soundspaces rendered it, for the sake of its terms."""
    root = Path(shutil.copytree(small, tmp_path_factory.mktemp("push") / "data"))
    run = DatasetFolder(root).read_run()
    write_record(root / "_spatialqa/run.json", replace(run, engine=replace(run.engine, name="soundspaces")))
    make_qa(root, QaRecipe(types=("A", "B")))
    return root


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    with running(Hub()) as served:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", served.address)
        yield served


def downloaded(hub: Hub, root: Path) -> Path:
    for name, data in hub.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def rewritten_run(root: Path, **recipe: object) -> None:
    run = DatasetFolder(root).read_run()
    write_record(root / "_spatialqa/run.json", replace(run, recipe={**run.recipe, **recipe}))


def test_what_is_uploaded_is_a_valid_data_set_without_local_paths(whole: Path, hub: Hub, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "data"))
    rewritten_run(root, clips="folder:/home/somebody/clips", cache="/home/somebody/cache")
    folder = DatasetFolder(root)
    name = folder.read_run().plan.shards[0]
    line = '{"kind": "draw", "id": "x", "attempt": 0, "reason": "/home/somebody/clips/a b.wav is empty"}\n'
    rejects = commit_text(root, f"_spatialqa/rejects/{name}.jsonl", line, rows=1)
    record = folder.read_shard(name)
    folder.commit_shard(replace(record, files=(*record.files[:-1], rejects), warnings=("/home/somebody/a.glb: leaks",)))
    summary = push(root, REPO)
    assert (summary.uploaded, summary.files) == (len(hub.files), len(hub.files))
    assert (hub.repo, hub.commits[-1][-1]) == (REPO, "README.md")
    copy = downloaded(hub, tmp_path / "copy")
    assert validate_dataset(copy).problems == ()
    assert validate_dataset(copy).warnings == ()
    assert b"somebody" not in b"".join(hub.files.values())
    assert str(tmp_path).encode() not in b"".join(hub.files.values())
    reason = json.loads(hub.files[f"_spatialqa/rejects/{name}.jsonl"])["reason"]
    assert reason == "clips/a b.wav is empty"
    assert 'load_dataset("me/kitchen-sounds", "scenes"' in (copy / "README.md").read_text()
    for path in DatasetFolder(root).tables("scenes"):
        assert sha256_of(path) == sha256_of(copy / "scenes" / path.name)


def test_a_second_push_uploads_what_has_changed(whole: Path, hub: Hub, tmp_path: Path) -> None:
    push(whole, REPO)
    assert push(whole, REPO).uploaded == 0
    root = Path(shutil.copytree(whole, tmp_path / "data"))
    make_qa(root, QaRecipe(types=("A",)))
    again = push(root, REPO)
    assert again.uploaded < again.files
    assert all(name.startswith(("qa/", "_spatialqa/", "README.md")) for name in hub.commits[-1])
    assert validate_dataset(downloaded(hub, tmp_path / "copy")).problems == ()


def test_files_are_copied_where_links_need_a_privilege(
    whole: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr("os.symlink", refuse)
    push(whole, REPO)
    copy = downloaded(hub, tmp_path / "copy")
    assert validate_dataset(copy).problems == ()
    for path in DatasetFolder(whole).tables("scenes"):
        assert sha256_of(path) == sha256_of(copy / "scenes" / path.name)


def test_an_interrupted_push_is_resumed(whole: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "FILES_PER_COMMIT", 5)
    hub.fail_after = 2
    with pytest.raises(UnfinishedError, match="the same command resumes it"):
        push(whole, REPO)
    assert len(hub.files) == 10
    hub.fail_after = None
    summary = push(whole, REPO)
    assert summary.uploaded == summary.files - 10 == len(hub.files) - 10


def test_files_of_another_version_are_removed_and_those_of_others_refused(whole: Path, hub: Hub) -> None:
    push(whole, REPO)
    hub.files["scenes/train-00007-of-00009.parquet"] = b"old"
    hub.files["LICENSE"] = b"mine"
    assert push(whole, REPO).removed == 1
    assert hub.files["LICENSE"] == b"mine"
    hub.files = {"model.safetensors": b"weights"}
    with pytest.raises(DatasetError, match=r"holds other files \(model.safetensors\); name a new repository"):
        push(whole, REPO)


def test_a_file_that_arrived_otherwise_is_noticed(whole: Path, hub: Hub) -> None:
    hub.cut = "_spatialqa/qa.json"
    with pytest.raises(
        UnfinishedError, match=r"1 files are not there as they are here \(the first: _spatialqa/qa.json"
    ):
        push(whole, REPO)


def test_a_card_that_a_user_edited_is_published_as_it_is(whole: Path, hub: Hub, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "data"))
    text = (root / "README.md").read_text() + "\nMade for our paper.\n"
    (root / "README.md").write_text(text)
    push(root, REPO)
    assert hub.files["README.md"].decode() == text


def test_without_audio_there_is_no_sound_and_all_questions(whole: Path, hub: Hub, tmp_path: Path) -> None:
    push(whole, REPO, without_audio=True)
    assert b"fLaC" not in b"".join(hub.files.values())
    copy = downloaded(hub, tmp_path / "copy")
    assert validate_dataset(copy).problems == ()
    assert {name for name in hub.files if name.startswith("qa/")} == {
        f"qa/{path.name}" for path in (whole / "qa").iterdir()
    }


def test_nothing_is_uploaded_in_a_dry_run(whole: Path, hub: Hub) -> None:
    said = CliRunner().invoke(cli, ["push", str(whole), REPO, "--dry-run"], catch_exceptions=False)
    assert f"would be uploaded to {REPO}: " in said.output
    assert "warning: not for commercial use: engine CC BY-NC 4.0" in said.output
    assert (said.exit_code, hub.repo) == (0, None)


@pytest.mark.parametrize(
    ("recipe", "options", "words"),
    [
        ({"clips": "audioset"}, {}, "cut from YouTube videos.*--without-audio publishes"),
        ({"rooms": "mp3d"}, {}, "Matterport3D terms of use"),
        ({}, {"licence": "cc-by-4.0"}, "CC BY-NC 4.0, which --licence cc-by-4.0 would open to commercial use"),
        ({}, {"licence": "my own"}, "is not an id of the hub"),
    ],
)
def test_what_a_licence_forbids_is_refused(
    whole: Path, tmp_path: Path, hub: Hub, recipe: dict[str, str], options: dict[str, str], words: str
) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "data"))
    rewritten_run(root, **recipe)
    with pytest.raises((DatasetError, RecipeError), match=words):
        push(root, REPO, **options)  # type: ignore[arg-type]
    assert hub.repo is None
    if recipe:
        push(root, REPO, without_audio=True)
        assert b"fLaC" not in b"".join(hub.files.values())


def test_the_licence_that_is_given_is_in_the_card(whole: Path, hub: Hub) -> None:
    summary = push(whole, REPO, licence="cc-by-nc-4.0", private=True)
    assert yaml.safe_load(hub.files["README.md"].decode().split("---\n")[1])["license"] == "cc-by-nc-4.0"
    assert hub.visibility == "private"
    assert summary.notes == ("not for commercial use: engine CC BY-NC 4.0; the card says so",)


def test_errors_of_the_hub_are_one_line(whole: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.read_only = True
    with pytest.raises(RecipeError, match="this token may not write here"):
        push(whole, REPO)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(RecipeError, match="does not accept this token"):
        push(whole, REPO)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(RecipeError, match="set HF_TOKEN, or log in with `hf auth login`"):
        push(whole, REPO)
    with pytest.raises(RecipeError, match="name it as NAMESPACE/NAME"):
        push(whole, "kitchen")


def test_a_data_set_that_is_not_whole_is_refused(whole: Path, hub: Hub, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "data"))
    DatasetFolder(root).tables("scenes")[0].unlink()
    with pytest.raises(DatasetError, match="is missing or damaged; run the render command again, then push"):
        push(root, REPO)
