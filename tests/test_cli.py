"""The command line as it is typed: one clear line and exit code 2 for what a user can mend."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from spatialqa.cli.main import cli, run_here
from spatialqa.core.audio_io import decode_flac
from spatialqa.core.recipe_keys import build
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, scene_files
from spatialqa.errors import RecipeError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.recipe_help import COMMON, GROUPS, example
from spatialqa.models.bat.recipe import AnswerRecipe, BATRecipe
from spatialqa.models.spatial_ast.recipe import TrainRecipe

HEAVY = (
    "numpy",
    "msgspec",
    "torch",
    "ray",
    "pandas",
    "pyarrow",
    "trimesh",
    "embreex",
    "scipy",
    "soundfile",
    "transformers",
)


def spatialqa(*arguments: object, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "spatialqa", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_help_answers_without_any_heavy_import() -> None:
    code = (
        "import sys\nfrom spatialqa.cli.main import cli\n"
        "for name in ['', *cli.commands]:\n"
        "    try: cli.main([name, '--help'] if name else ['--help'], standalone_mode=False)\n"
        "    except SystemExit: pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "make-qa" in done.stdout


@pytest.mark.parametrize("words", [[], ["clips"], ["rooms"], ["templates"]])
def test_a_group_without_a_command_shows_its_help(words: list[str]) -> None:
    done = spatialqa(*words)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    assert "Commands:" in done.stdout


def help_of(command: str) -> str:
    """Return a help text without any blank: where its lines are broken, and where words are, plays no part."""
    done = spatialqa(command, "--help")
    assert done.returncode == 0
    return re.sub(r"\s", "", done.stdout)


def test_the_help_of_training_says_of_every_key_what_each_model_makes_of_it() -> None:
    both, *others = re.split(r"Optionsof([a-z-]+)only:", help_of("train-baseline"))
    alone = dict(zip(others[::2], others[1::2], strict=True))
    assert list(alone) == ["spatial-ast", "bat"]
    keys = {cls: {field.name: field for field in fields(cls)} for cls in (TrainRecipe, BATRecipe)}
    for cls, model in ((TrainRecipe, "spatial-ast"), (BATRecipe, "bat")):
        for name, field in keys[cls].items():
            where = both if all(name in own for own in keys.values()) else alone[model]
            assert f"--{name.replace('_', '-')}" in where
            assert re.sub(r"\s", "", field.metadata["help"]) in where, f"{name} of {model}"
    assert "--weight-decayNUMBERweightdecayofAdamW,formatrices[spatial-ast0.0005,bat0.05]" in both
    assert "encodertokensofeveryscene,sharedbyruns;defaultinsidetherun[none]" in both
    assert "(spatial-ast)scenesperstep,overallprocesses[64];(bat)questionsperstep,overallprocesses[16]" in both
    assert "(bat:both|same)channelsastheyare" in both
    assert both.count("--seed") == 1


def test_every_key_of_render_is_in_one_group_with_an_example_that_is_valid() -> None:
    grouped = [name for keys in GROUPS.values() for name in keys]
    assert sorted(grouped) == sorted(field.name for field in fields(RenderRecipe))
    assert set(COMMON) <= set(grouped)
    defaults = RenderRecipe()
    for name in grouped:
        flag, _, value = example(name, getattr(defaults, name)).partition(" ")
        assert flag.removeprefix("--").removeprefix("no-").replace("-", "_") == name
        if isinstance(getattr(defaults, name), bool):
            assert not value
            continue
        assert value, name
        if fault := refusal(name, value.strip("'")):  # some need another key beside them
            assert re.search(r"\b(is for|needs|no effect|draws heights)\b", fault), fault


def refusal(name: str, value: str) -> str:
    """Return what is wrong with a recipe of one key; empty where nothing is."""
    try:
        build(RenderRecipe, {name: value}, "example")
    except RecipeError as error:
        return str(error)
    return ""


def test_the_help_of_render_is_short_and_help_all_has_every_option_in_groups() -> None:
    short = spatialqa("render", "--help").stdout
    assert len(re.findall(r"^  --\w", short, re.MULTILINE)) <= 18
    assert re.search(r"\d+ more options: .* render --help-all", short)
    whole = spatialqa("render", "--help-all").stdout
    for title, examples in GROUPS.items():
        assert f"\n{title}:\n" in whole
        for name in examples:
            flag = "--" + name.replace("_", "-")
            assert re.search(rf"^  {flag}\b", whole, re.MULTILINE)
            assert re.search(rf"e\.g\. --(no-)?{flag[2:]}\b", whole), name
    assert "--scenes INTEGER" in whole
    assert "--gain-db NUMBER" in whole


def test_summaries_of_commands_are_whole() -> None:
    listed = re.sub(r"\s+", " ", spatialqa("--help").stdout)
    for name, command in cli.commands.items():
        assert f"{name} {' '.join((command.help or '').split(chr(10) * 2)[0].split())}" in listed
    assert "..." not in listed.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("spatialqa va", {"validate"}),
        ("spatialqa render --rooms m", {"mesh:", "mp3d"}),
        ("spatialqa render --channels ", {"binaural", "foa", "mono", "stereo"}),
        ("spatialqa rooms ", {"show", "parts"}),
    ],
)
def test_the_shell_completes_commands_options_and_values(typed: str, offered: set[str]) -> None:
    words = typed.split(" ")
    environment = {"_SPATIALQA_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    program = "import sys; sys.argv[0] = 'spatialqa'; from spatialqa.cli.main import run_here; run_here()"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == offered


def test_listen_has_the_keys_that_matter_to_one_recording_alone() -> None:
    options = {parameter.name for parameter in cli.commands["listen"].params if isinstance(parameter, click.Option)}
    idle = {"split", "qa_name", "types", "unseen", "limit", "batch_size", "workers"}
    assert options == {"model", "gain_db"} | {field.name for field in fields(AnswerRecipe)} - idle
    assert idle <= {parameter.name for parameter in cli.commands["answer"].params}


def broken_clip(folder: Path) -> str:
    (folder / "Bark").mkdir(parents=True)
    (folder / "Bark" / "a.wav").write_bytes(b"RIFF")
    return f"folder:{folder}"


def one_class(folder: Path) -> str:
    (folder / "Bark").mkdir(parents=True)
    for i in range(3):
        noise = np.random.default_rng(i).normal(0, 0.1, 20000)
        soundfile.write(folder / "Bark" / f"{i}.wav", noise, 44100)
    return f"folder:{folder}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render", "--bogus"], "No such option"),
        (["rendr"], "No such command"),
        (["render", "OUT", "extra"], "unexpected extra argument"),
        (["render", "OUT", "--scenes", "0"], "scenes = 0 must be at least 1"),
        (["render", "OUT", "--scenes", "lots"], "whole number"),
        (["render", "OUT", "--splits", "0.9,0.2,0.1"], "add to 1"),
        (["render", "OUT", "--rooms", "castle"], "rooms 'castle' is not known"),
        (["render", "OUT", "--rooms", "mesh:none.glb"], "none.glb"),
        (["render", "OUT", "--rooms", "mesh:EMPTY"], "EMPTY"),
        (["render", "OUT", "--rooms", "mesh:BROKEN.glb"], "BROKEN.glb"),
        (["render", "OUT", "--clips", "radio"], "clips 'radio' is not known"),
        (["render", "OUT", "--clips", "folder:none"], "none is not a folder"),
        (["render", "OUT", "--clips", "folder:EMPTY"], "EMPTY"),
        (["render", "OUT", "--engine", "soundspaces", "--sample-rate", "96000"], "48000"),
        (["render", "OUT", "--sample-rate", "97000"], "96000"),
        (["render", "OUT", "--sample-rate", "0"], "at least 1"),
        (["render", "OUT", "--engine", "warp"], "no engine 'warp'"),
        (["render", "OUT", "--engine-config", "ray_cuont=5"], "ray_count"),
        (["render", "OUT", "--engine-config", "indirect_ray_count=5"], "--engine soundspaces"),
        (["render", "OUT", "--engine-config", "rays"], "KEY=VALUE"),
        (["render", "OUT", "--hrtf", "none.sofa"], "none.sofa"),
        (["render", "OUT", "--home-kinds", "castle"], "no kind of home 'castle'"),
        (["render", "OUT", "--licences", "CC0"], "licences is for folder"),
        (["render", "OUT", "--up", "z"], "up is for mesh"),
        (["render", "OUT", "--engine-config", "x=[1"], "must be a YAML value"),
        (["render", "OUT", "--sources-per-scene", "1=inf"], "finite"),
        (["render", "/proc/data"], "cannot be made"),
        (["render", "OUT", "--recipe", "LATIN.yaml"], "not readable as YAML"),
        (["render", "OUT", "--channels", "hoa"], "must be one of binaural, foa"),
        (["render", "OUT", "--channels", "foa", "--hrtf", "x.sofa"], "x.sofa"),
        (["render", "OUT", "--placement", "navmesh"], "--engine habitat"),
        (["render", "OUT", "--room-splits", "soundspaces"], "room_splits soundspaces needs rooms mp3d"),
        (["render", "OUT", "--engine", "habitat"], "--habitat-python"),
        (["render", "OUT", "--rooms", "mp3d"], "SPATIALQA_MP3D_ROOT"),
        (["render", "OUT", "--clips", "audioset"], "SPATIALQA_AUDIOSET_ROOT"),
        (["render", "OUT", "--rooms", "hm3d:none"], "none is no"),
        (["render", "OUT", "--rooms", "bank:none"], "none"),
        (["render", "OUT", "--rooms", "mesh:BROKEN.glb", "--simplify", "few"], "simplify 'few' must be off"),
        (["render", "OUT", "--bank-resample"], "bank_resample is for bank"),
        (["render", "OUT", "--recipe", "none.yaml"], "no recipe file"),
        (["render", "OUT", "--ray-address", "127.0.0.1:1"], "no Ray cluster answers there"),
        (["render", "OUT", "--from", "SMALL", "--recipe", "demo"], "use only one"),
        (["render", "OUT", "--from", "none"], "none: no such data set"),
        (["render", "FOREIGN"], "not empty and not a spatialqa data set"),
        (["render", "FOREIGN/file.txt"], "is a file"),
        (["render", "OUT", "--scenes", "40", "--sources-per-scene", "9=1"], "sources_per_group"),
        (["make-qa", "none"], "none: no such data set"),
        (["make-qa", "FOREIGN"], "is not a spatialqa data set"),
        (["make-qa", "SMALL", "--types", "A,Z"], "'Z'"),
        (["make-qa", "SMALL", "--templates", "none"], "none"),
        (["make-qa", "SMALL", "--name", "../x"], "letters, digits"),
        (["validate", "FOREIGN"], "is not a spatialqa data set"),
        (["preview", "SMALL", "--scene", "train-99999999"], "has no scene"),
        (["preview", "SMALL", "--count", "0"], "count"),
        (["preview", "SMALL", "--wav", "BROKEN.glb", "--count", "1"], "cannot be written"),
        (["preview", "SMALL", "--text", "--scene", "train-99999999"], "has no scene"),
        (["preview", "SMALL", "--text", "--name", "none"], "holds no questions in 'qa-none'"),
        (["preview", "SMALL", "--text", "--to", "page"], "--to is of a page"),
        (["preview", "SMALL", "--to", "FOREIGN"], "not empty and not a page of spatialqa"),
        (["preview", "SMALL", "--to", "SMALL/page"], "a folder of its own"),
        (["status", "none"], "no such data set"),
        (["clips", "list", "folder:none"], "none is not a folder"),
        (["clips", "debian", "FOREIGN"], "FOREIGN"),
        (["train-baseline", "SMALL", "--queries", "8"], "--queries is not a key of the model spatial-ast"),
        (["train-baseline", "SMALL", "--model", "bat", "--preset", "tiny"], "--preset is not a key of the model bat"),
        (["train-baseline", "SMALL", "--model", "gpt"], "must be one of spatial-ast, bat"),
        (["train-baseline", "SMALL", "--model", "bat"], "--encoder"),
        (["train-baseline", "SMALL", "--model", "bat", "--curriculum", "Q:1"], "'Q:1' is not a stage"),
        (["train-baseline", "none"], "none: no such data set"),
        (["train-baseline", "SMALL", "--evaluate", "none"], "none"),
        (["answer", "SMALL", "--model", "none", "--to", "a.jsonl"], "none"),
        (["answer", "SMALL", "--model", "none", "--to", "a.jsonl", "--types", "Q"], "'Q'"),
        (["listen", "none.wav", "Where is it?", "--model", "none"], "none.wav"),
        (["listen", "none.wav", "Where is it?", "--model", "none", "--split", "test"], "No such option"),
        (["train-baseline", "SMALL", "--model", "bat", "--ears", "swapped"], "must be one of both, same"),
        (["score", "none.jsonl", "SMALL", "--control", "b.jsonl"], "--analyse"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_clear_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FOREIGN").mkdir()
    (tmp_path / "FOREIGN/file.txt").write_text("mine")
    (tmp_path / "LATIN.yaml").write_bytes("description: é".encode("latin-1"))
    (tmp_path / "BROKEN.glb").write_bytes(b"glTF\x02\x00\x00\x00")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["spatialqa", *[word.replace("SMALL", str(small)) for word in arguments]])
    with pytest.raises(SystemExit) as stop:
        run_here()
    printed = capfd.readouterr()
    assert stop.value.code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert message in printed.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_clips_that_cannot_serve_say_why(tmp_path: Path) -> None:
    done = spatialqa("render", tmp_path / "out", "--clips", broken_clip(tmp_path / "broken"))
    assert done.returncode == 2
    assert "unreadable" in done.stderr
    done = spatialqa("render", tmp_path / "out", "--clips", one_class(tmp_path / "one"))
    assert done.returncode == 2
    assert "1 classes and a scene needs 2" in done.stderr
    one_class(tmp_path / "two")
    broken_clip(tmp_path / "two/Meow")
    done = spatialqa("render", tmp_path / "out", "--clips", f"folder:{tmp_path}/two", "--splits", "1,0,0")
    assert "1 clip files were left out, the first is Meow/Bark/a.wav (unreadable" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_misspelt_custom_label_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clips = one_class(tmp_path / "clips")
    (tmp_path / "clips/Brak").mkdir()
    shutil.copy(tmp_path / "clips/Bark/0.wav", tmp_path / "clips/Brak/0.wav")
    plan = ("render", str(tmp_path / "out"), "--plan-only", "--scenes", "2", "--workers", "0", "--clips", clips)
    for words in (plan, ("clips", "list", clips)):
        monkeypatch.setattr(sys, "argv", ["spatialqa", *words, "--unknown-labels", "custom"])
        with pytest.raises(SystemExit) as stop:
            run_here()
        printed = capfd.readouterr()
        assert stop.value.code == 0, printed.err
        assert re.search("warning: 'Brak' is not an AudioSet class .*; did you mean 'Bark'", printed.err)


def test_a_single_house_cannot_be_split(tmp_path: Path) -> None:
    import trimesh

    trimesh.creation.box((6, 3, 5)).export(tmp_path / "box.stl")
    done = spatialqa("render", tmp_path / "out", "--rooms", f"mesh:{tmp_path}/box.stl", "--splits", "0.8,0.1,0.1")
    assert done.returncode == 2
    assert "need 3 different houses and the room set has 1" in done.stderr


def test_a_room_without_a_place_says_so_and_why(tmp_path: Path) -> None:
    import trimesh

    trimesh.creation.box((1.2, 1.5, 1.1)).export(tmp_path / "cupboard.stl")
    done = spatialqa(
        "render", tmp_path / "out", "--rooms", f"mesh:{tmp_path}/cupboard.stl", "--scenes", 4, "--workers", 0
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cupboard" in done.stderr
    assert "trial points" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_leaky_mesh_is_rendered_with_a_warning(tmp_path: Path) -> None:
    import trimesh

    box = trimesh.creation.box((6, 3, 5))
    box.update_faces(box.triangles_center[:, 1] < 1.4)
    box.export(tmp_path / "roofless.stl")
    rooms = f"mesh:{tmp_path}/roofless.stl"
    done = spatialqa("render", tmp_path / "out", "--rooms", rooms, "--scenes", 2, "--duration-s", 1, "--workers", 0)
    assert done.returncode == 0, done.stderr
    assert re.search(r"warning: room roofless: .*rays", done.stderr)


def test_preview_shows_sources_and_questions_and_writes_what_can_be_heard(small: Path, tmp_path: Path) -> None:
    done = spatialqa("preview", small, "--count", 2, "--wav", tmp_path / "wav")
    assert done.returncode == 0
    assert "train-00000000" in done.stdout
    assert re.search(r"(left|right), (front|behind), (above|below)", done.stdout)
    files = sorted((tmp_path / "wav").glob("*.wav"))
    assert [path.stem for path in files] == ["train-00000000", "train-00000006"]
    audio, rate = soundfile.read(files[0], dtype="float32")
    assert rate == 16000
    _, flac = next(read_audio(scene_files(DatasetFolder(small))[0]))
    assert np.array_equal(audio.T, decode_flac(flac)[0])


def test_status_and_validate_and_doctor_and_lists(small: Path) -> None:
    assert "24 of 24 scenes, 7 of 7 shards" in spatialqa("status", small).stdout
    done = spatialqa("validate", small, "--rerender", 2)
    assert done.returncode == 0
    assert "2 scenes rendered again, 2 equal bit for bit" in done.stdout
    assert "engine soundspaces" in spatialqa("doctor").stdout
    listed = spatialqa("clips", "list").stdout
    assert "Bark" in listed
    assert "clips of" in listed


@pytest.fixture
def result_of(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a command here with --json, which must print one JSON value and nothing else; return it and the exit code."""

    def run(*arguments: object) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["spatialqa", *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as stop:
            run_here()
        return {**json.loads(capfd.readouterr().out), "exit code": stop.value.code}

    return run


def test_results_are_json_where_that_is_asked_for(result_of: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "plan"
    made = result_of("render", out, "--plan-only", "--scenes", 12, "--workers", 0)
    assert (made["scenes"], made["scenes_missing"], made["next"]) == (12, 0, f"spatialqa make-qa {out}")
    asked = result_of("make-qa", out, "--name", "second", "--types", "A,B")
    assert set(asked["questions"]) == {"classification", "location"}
    assert asked["next"] == f"spatialqa preview {out} --name second"
    found = result_of("status", out)
    assert (found["scenes"], found["complete"], found["tables"][0]["table"]) == (12, True, "qa-second")
    checked = result_of("validate", out)
    assert (checked["valid"], checked["problems"], checked["exit code"]) == (True, [], 0)
    audited = result_of("audit", out, "--name", "second")
    assert audited["exit code"] == int(audited["failed"])
    questions = pq.read_table(out / "qa-second").to_pylist()
    answers = [{"qa_id": row["qa_id"], "prediction": row["answer"]} for row in questions]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    scored = result_of("score", tmp_path / "answers.jsonl", out, "--name", "second", "--text-model", "none")
    assert scored["questions"] == len(answers)
    assert any(finding["what"] == "engine geometric" for finding in result_of("doctor")["findings"])
    next((out / "scenes").glob("*.parquet")).unlink()
    damaged = result_of("validate", out)
    assert (damaged["valid"], damaged["exit code"]) == (False, 1)
    assert damaged["next"].endswith("--fix")


def test_damaged_data_have_an_exit_code_of_their_own(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small / "_spatialqa", tmp_path / "data/_spatialqa")
    (tmp_path / "data/_spatialqa/run.json").write_text("{")
    done = spatialqa("status", tmp_path / "data")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert spatialqa("status", tmp_path / "none").returncode == 2


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 3), (errno.EIO, 3), (errno.EACCES, 2)])
def test_a_failing_machine_is_no_mistake_of_the_command(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**given: object) -> None:
        raise OSError(number, os.strerror(number), "x")

    monkeypatch.setattr(cli.commands["doctor"], "callback", fail)
    monkeypatch.setattr(sys, "argv", ["spatialqa", "doctor"])
    with pytest.raises(SystemExit) as stop:
        run_here()
    assert stop.value.code == code
    assert capsys.readouterr().err == f"spatialqa: x: {os.strerror(number)}\n"


def test_no_color_is_respected() -> None:
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    program = "from spatialqa.core.console import stdout; from rich.text import Text; stdout.print(Text('ok', 'green'))"
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        command = [sys.executable, "-c", program]
        terminal = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", **environment}
        done = subprocess.run(command, env=terminal, capture_output=True, text=True, check=True)
        assert bool(colour.search(done.stdout)) is coloured


def test_validate_exits_1_on_a_damaged_data_set(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "data")
    next((tmp_path / "data/scenes").glob("*.parquet")).unlink()
    done = spatialqa("validate", tmp_path / "data")
    assert done.returncode == 1
    assert "is gone" in done.stdout


def test_make_qa_can_be_run_again_and_under_a_name(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    first = json.loads((root / "_spatialqa/qa.json").read_text())
    assert spatialqa("make-qa", root).returncode == 0
    assert json.loads((root / "_spatialqa/qa.json").read_text()) == first
    assert spatialqa("make-qa", root, "--seed", 5, "--types", "B", "--name", "directions").returncode == 0
    other = json.loads((root / "_spatialqa/qa-directions.json").read_text())
    assert list(other["questions"]) == ["location"]
    assert json.loads((root / "_spatialqa/qa.json").read_text()) == first
    assert "qa-directions" in (root / "README.md").read_text()
    assert spatialqa("validate", root).returncode == 0


def test_a_failing_template_leaves_the_old_questions(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    before = sorted((path.name, path.stat().st_size) for path in (root / "qa").iterdir())
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/a.yaml").write_text("type: A\nnonsense: {}\n")
    done = spatialqa("make-qa", root, "--templates", tmp_path / "templates")
    assert done.returncode == 2
    assert "a.yaml" in done.stderr
    assert sorted((path.name, path.stat().st_size) for path in (root / "qa").iterdir()) == before
    assert not list(root.glob(".*"))


def test_the_parts_of_a_mesh_are_listed_with_the_reason_of_each_material(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(*options: str) -> str:
        cli.main(["rooms", "parts", str(tmp_path / "h.obj"), *options], standalone_mode=False)
        return capsys.readouterr().out

    (tmp_path / "h.obj").write_text(
        "v 0 0 0\nv 4 0 0\nv 4 0 3\nv 0 0 3\no Floor\nusemtl Carpet\nf 1 2 3 4\no Blob [x]\nf 1 2 3\n"
        "o Blob [x]\nusemtl\nf 1 2 3\no Table\nusemtl\nf 1 2 4\n"
    )
    (tmp_path / "map.yaml").write_text("tab*: steel\n")
    lines = [re.split(r" {2,}", line) for line in listed("--materials", str(tmp_path / "map.yaml")).splitlines()]
    assert ["Floor", "Carpet", "12.0 m2", "carpet", "the material 'Carpet'"] in lines
    assert ["Blob [x]", "Carpet", "6.0 m2", "carpet", "the material 'Carpet'"] in lines
    assert ["Blob [x]", "-", "6.0 m2", "default", "nothing: it is the default"] in lines
    assert ["Table", "-", "6.0 m2", "steel", "the map's 'tab*'"] in lines
    assert lines[-2] == ["in all: carpet 18.0 m2, default 6.0 m2, steel 6.0 m2"]
    assert "brick 0.1 m2" in listed("--unit-scale", "0.1", "--default-material", "brick")


def test_the_bundled_templates_are_checked_where_no_folder_is_named() -> None:
    done = spatialqa("templates", "check", "--samples", "0")
    assert done.returncode == 0, done.stderr
    assert "the templates can be used" in done.stdout


def test_the_command_line_is_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spatialqa.cli", "--version"], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("spatialqa"), done.stderr


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "spatialqa", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("spatialqa, version ")
