"""Bad input to every command: one line on stderr that says what is wrong, exit code 2, and nothing written."""

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from spatialqa.cli.main import _run
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import planned

LONG = "x" * 5000
WIDE = "é" * 130  # 260 bytes
HUGE = "9" * 20
DIGITS = "9" * 5000
PLAN = ("render", "--plan-only", "--workers", "0", "OUT")
TRAIN = ("train-baseline", "plan")
BAT = ("train-baseline", "plan", "--model", "bat")
Case = tuple[tuple[str, ...], str]
_AUDIBLELIGHT = (
    *("--against", "audiblelight", "--rooms", "mesh:box.ply", "--clips", "folder:plan"),
    "--audiblelight-python",
)

RECIPES = {  # text of a recipe, and what is said of it
    "render: " + "[" * 900: "nested more than 20 deep",
    "render: " + "[" * 20_000: "nest",
    "render: {engine_config: " + "{a: " * 3000 + "1" + "}" * 3000 + "}": "nested more than 20 deep",
    "a: &a [x, x]\nrender: {licences: *a}": "line 2: aliases",
    "x: &x {scenes: 3}\nrender: {<<: *x}": "aliases",
    "render: {<<: {scenes: 3}}": "merge keys",
    "#" + "x" * (1 << 20): "larger than 1 MiB",
    f"render: {{scenes: {DIGITS}}}": "more than 40 digits",
    f"render: {{scenes: 0x{'f' * 5000}}}": "more than 40 digits",
    f"render: {{gain_db: {DIGITS}}}": "more than 40 digits",
    "render: {gain_db: 1e999}": "finite",
    "render: {gain_db: .nan}": "finite",
    "render: {sources_per_scene: {1: .inf}}": "finite",
    "render: {scenes: 3, scenes: 4}": "'scenes' is a duplicate",
    "render: {scenes: 3}\nrender: {scenes: 4}": "line 2: 'render' is a duplicate",
    "render: {scenes_per_group: 3, scenes-per-group: 4}": "given twice",
    "render: {sources_per_scene: {1: 1, 1.0: 1}}": "a duplicate",
    "render: {scenes: 2020-01-01}": "scenes = '2020-01-01' must be a whole number",
    "render: {scenes: 1:30}": "scenes = '1:30' must be a whole number",
    "render: {engine_config: {direct: 2020-13-45}}": "direct must be true or false",
    "render: {engine_config: {direct: [1]}}": "single values",
    "render: {[1, 2]: 3}": "no plain key",
    "? {a: b}\n: c": "no plain key",
    "render: {3: 4}": "unknown key '3'",
    "render: {scenes: null}": "must be a whole number",
    "render: {scenes: true}": "must be a whole number",
    "render: {scenes: [3]}": "must be a whole number",
    "render: {simplify: off}": "put it in quotes",
    "render: {home_kinds: !!set {shoebox}}": "tags are not allowed",
    "render: {licence: !!binary aGVsbG8=}": "tags are not allowed",
    'render: !!python/object/apply:os.system ["touch pwned"]': "tags are not allowed",
    'render: {clips: "folder:a\\0b"}': "code 0",
    'render: {licence: "\\ud800", clips: "folder:plan"}': "Unicode",
    'render: {licence: "a\\nb", clips: "folder:plan"}': "control character",
    f"render: {{licences: [{'a,' * 10_001}]}}": "at most 10,000",
    "render: {scenes: 4}\nmake-qa: {seed: -1}": "seed = -1 must be at least 0",
    "--- {}\n--- {}": "another document",
    "render: 3": "must be a mapping",
    "- 1": "must be a mapping",
    "shake: {}": "unknown section 'shake'",
    "render: {a": "not readable as YAML: line",
    "\ufffe": "not readable as YAML",
}


def _of(command: tuple[str, ...], *given: tuple[str, ...]) -> list[Case]:
    """Return cases of one command: (option, value, ..., what is said)."""
    return [((*command, *words), said) for *words, said in given]


CASES: list[Case] = [
    *_of(
        PLAN,
        ("--scenes", HUGE, "scenes = 99999999999999999999 must be at most 99,999,999"),
        ("--scenes", DIGITS, "must be a whole number"),
        ("--scenes", "0", "at least 1"),
        ("--scenes", "1e3", "whole number"),
        ("--seed", "-1", "at least 0"),
        ("--seed", "9" * 30, "at most 9,223,372,036,854,775,807"),
        ("--sample-rate", "1", "at least 1,000 Hz"),
        ("--sample-rate", "7999", "from 8000 to 96000 Hz"),
        ("--sample-rate", "96001", "from 8000 to 96000 Hz"),
        ("--engine", "soundspaces", "--sample-rate", "48001", "from 8000 to 48000 Hz"),
        ("--sample-rate", "999999999999", "at most 384,000 Hz"),
        ("--engine", "warp", "no engine 'warp'"),
        ("--engine", "geometric", "--engine-config", "ray_count=1", "from 16 to 10000000"),
        ("--engine", LONG, "too long"),
        ("--engine-config", "nope=1", "no setting 'nope'"),
        ("--engine-config", "direct=3", "true or false"),
        ("--engine-config", "ray_count=1e9", "from 16 to 10000000"),
        ("--engine", "soundspaces", "--engine-config", "direct_ray_count=1e9", "from 1 to 100000"),
        ("--engine-config", "direct=true,direct=false", "names a key twice"),
        ("--engine-config", "direct=[[[", "YAML value"),
        ("--engine-config", "calibrated=false", "recipe key of its own"),
        ("--engine", "habitat", "--channels", "foa", "binaural sound only"),
        ("--engine", "habitat", "--sample-rate", "96000", "habitat takes a whole sample rate"),
        ("--hrtf", "none.sofa", "none.sofa cannot be read"),
        ("--hrtf", "pipe", "a pipe, not a file"),
        ("--hrtf", "socket", "socket"),
        ("--hrtf", "plan", "has no SOFA file"),
        ("--hrtf", "/dev/zero", "a device, not a file"),
        ("--hrtf", "bytes", "cannot be read as SOFA"),
        ("--hrtf", "x" * 300 + ".sofa", "a name has at most 255"),
        ("--hrtf", "", "is empty"),
        ("--channels", "foa", "--hrtf", "none.sofa", "none.sofa out"),
        ("--gain-db", "1e9", "at most 60 dB"),
        ("--gain-db", "-1e9", "at least -120 dB"),
        ("--clip-rms-dbfs", "-1e300", "at least -100 dBFS"),
        ("--yaw", "1e300", "from -360 to 360"),
        ("--yaw", "nan", "number of degrees"),
        ("--clearance-m", "1000", "at most 100 m"),
        ("--max-distance-m", "1e300", "at most 1,000 m"),
        ("--min-distance-m", "0", "at least 0.1 m"),
        ("--onset-max-s", "1e9", "at most 600 s"),
        ("--duration-s", "601", "at most 600 s"),
        ("--duration-s", "1e-9", "at least 0.1 s"),
        ("--groups-per-room", HUGE, "at most 1,000,000"),
        ("--sources-per-group", HUGE, "at most 1,000"),
        ("--scenes-per-group", HUGE, "at most 1,000,000"),
        ("--scenes-per-shard", HUGE, "at most 100,000"),
        ("--foley-clips-per-class", HUGE, "at most 10,000"),
        ("--min-clip-s", "1e9", "at most 600 s"),
        ("--sources-per-scene", "1=1e308,2=1e308", "at most 1,000,000"),
        ("--sources-per-scene", "1=1e-320", "shares above 0"),
        ("--sources-per-scene", "1=1,1=2", "names a key twice"),
        ("--sources-per-scene", "1.5=1", "whole number"),
        ("--sources-per-scene", f"{HUGE}=1", "sources_per_group"),
        ("--splits", "nan,1,0", "add to 1"),
        ("--workers", "99999999999", "at most 10,000"),
        ("--workers", "-1", "at least 0"),
        ("--ray-address", ":", "must be auto or HOST:PORT"),
        ("--ray-address", "nope", "must be auto or HOST:PORT"),
        ("--ray-address", "a b:1", "must be auto or HOST:PORT"),
        ("--ray-address", "host:99999", "must be auto or HOST:PORT"),
        ("--ray-address", "host:0", "must be auto or HOST:PORT"),
        ("--ray-address", "host:\u0663", "must be auto or HOST:PORT"),
        ("--group-timeout-s", "-1", "at least 0 s"),
        ("--home-kinds", LONG, "too long"),
        ("--home-kinds", "a,,b", "is empty"),
        ("--licence", LONG, "--clips", "folder:plan", "too long"),
        ("--rooms", "mesh:none.glb", "there is no mesh file or folder"),
        ("--rooms", "mesh:" + LONG, "is too long"),
        ("--rooms", "mesh:" + "a/" * 3000, "at most 4,095"),
        ("--rooms", "mesh:pipe.glb", "a pipe, not a file"),
        ("--rooms", "mesh:pipe", "file types"),
        ("--rooms", "mesh:huge.glb", "larger than 8,589,934,592 bytes"),
        ("--rooms", "mesh:huge.obj", "larger than 8,589,934,592 bytes"),
        ("--rooms", "mesh:huge.ply", "larger than 8,589,934,592 bytes"),
        ("--rooms", "mesh:box.ply", "--materials", "huge.json", "larger than"),
        ("--rooms", "mesh:/dev/zero", "file types"),
        ("--rooms", "mesh:bytes.npy", "file types"),
        ("--rooms", "hm3d:" + LONG, "is too long"),
        ("--rooms", "gibson:pipe", "pipe"),
        ("--rooms", "replica:socket", "socket"),
        ("--rooms", "bank:" + LONG, "is too long"),
        ("--rooms", "bank:pipe", "pipe"),
        ("--rooms", "mp3d", "--mp3d-root", WIDE, "260 bytes"),
        ("--rooms", "mp3d", "--mp3d-root", "pipe", "pipe"),
        ("--rooms", "mesh:box.ply", "--simplify", HUGE, "from 1,000 to 1,000,000,000 faces"),
        ("--rooms", "mesh:box.ply", "--simplify", "\u00b2", "must be off"),
        ("--rooms", "mesh:box.ply", "--unit-scale", "1e300", "at most 1,000,000"),
        ("--rooms", "mesh:box.ply", "--max-error-m", "1e300", "at most 100 m"),
        ("--rooms", "mesh:box.ply", "--materials", "pipe", "a pipe, not a file"),
        ("--rooms", "mesh:box.ply", "--materials", "deep.yaml", "nested more than 20 deep"),
        ("--clips", "folder:" + LONG, "is too long"),
        ("--clips", "folder:pipe", "pipe"),
        ("--clips", "folder:socket", "socket"),
        ("--clips", "fsd50k:" + LONG, "is too long"),
        ("--clips", "esc50:" + WIDE, "is too long"),
        ("--clips", "audioset", "--audioset-root", LONG, "is too long"),
        ("--clips", "folder:plan", "--labels-file", "pipe", "pipe"),
        ("--clips", "folder:plan", "--labels-file", LONG, "is too long"),
        ("--placements", "pipe", "placements"),
        ("--placements", LONG, "is too long"),
        ("--cache", LONG, "is too long"),
        ("--cache", "pipe", "is not a folder"),
        ("--cache", "/dev/null/x", "is not a folder"),
        ("--recipe", LONG, "is too long"),
        ("--recipe", "pipe", "a pipe, not a file"),
        ("--recipe", "socket", "cannot be read"),
        ("--recipe", "/dev/zero", "a device, not a file"),
        ("--recipe", "plan", "a folder, not a file"),
        ("--recipe", "none/demo.yaml", "no recipe file 'none/demo.yaml'"),
        ("--recipe", "a\0b", "code 0"),
    ),
    *_of(
        ("render", "--plan-only"),
        (LONG, "at most 4,095"),
        ("a/" * 3000, "at most 4,095"),
        ("a\0b", "code 0"),
        ("a\udce9b", "not UTF-8"),
        ("", "is empty"),
        ("pipe", "pipe"),
        ("/dev/null", "/dev/null"),
        ("--from", LONG, "OUT", "at most 4,095"),
        ("--from", "pipe", "OUT", "pipe"),
    ),
    *_of(
        ("rirs", "OUT"),
        ("--groups", HUGE, "not in the range"),
        ("--groups", "0", "not in the range"),
        ("--plan-only", "plan_only"),
    ),
    *_of(
        ("make-qa", "plan"),
        ("--seed", "-1", "at least 0"),
        ("--seed", "9" * 30, "at most"),
        ("--types", "", "none"),
        ("--types", LONG, "too long"),
        ("--questions-per-subtype", HUGE, "at most 100"),
        ("--type-counts", "A=" + HUGE, "at most 1,000,000,000"),
        ("--type-counts", "A=-1", "at least 0"),
        ("--type-counts", "A", "KEY=VALUE"),
        ("--direction-margin-deg", "90", "below 90 degrees"),
        ("--relation-margin-deg", "1e9", "at most 180 degrees"),
        ("--distance-margin-m", "1e300", "at most 1,000 m"),
        ("--masking-db", "inf", "finite"),
        ("--masking-db", "1e300", "at most 1,000 dB"),
        ("--templates", "pipe", "pipe"),
        ("--templates", LONG, "is too long"),
        ("--templates", "templates", "nested more than 20 deep"),
        ("--name", LONG, "too long"),
        ("--name", WIDE, "at most 200 bytes"),
        ("--name", "../x", "letters, digits"),
        ("--name", "", "is empty"),
        ("--recipe", "pipe", "a pipe, not a file"),
    ),
    *_of(("make-qa",), (LONG, "at most 4,095"), ("a\0b", "code 0"), ("pipe", "pipe"), ("/dev/null", "/dev/null")),
    *_of(("status",), (LONG, "at most 4,095"), ("a\0b", "code 0"), ("bytes", "bytes"), ("socket", "socket")),
    *_of(
        ("validate", "plan"),
        ("--rerender", HUGE, "not in the range"),
        ("--rerender", "-1", "not in the range"),
    ),
    *_of(
        ("preview", "plan"),
        ("--count", HUGE, "not in the range"),
        ("--count", DIGITS, "not a valid integer"),
        ("--questions", "-1", "not in the range"),
        ("--scene", "../../x", "no scene"),
        ("--wav", LONG, "at most 4,095"),
        ("--wav", "w\nx", "control character"),
        ("--to", LONG, "at most 4,095"),
        ("--to", "plan/page", "a folder of its own"),
        ("--to", "pipe", "not a folder"),
        ("--name", "../qa", "letters, digits"),
    ),
    *_of(
        ("report", "plan"),
        ("--to", LONG, "at most 4,095"),
        ("--to", "plan/page", "a folder of its own"),
        ("--beside", "none", "no such data set"),
        ("--name", "../qa", "letters, digits"),
    ),
    *_of(
        ("audit", "plan"),
        ("--name", LONG, "too long"),
        ("--name", "../qa", "letters, digits"),
        ("--max-questions", "0", "not in the range"),
        ("--max-questions", HUGE, "not in the range"),
        ("--seed", "-1", "not in the range"),
        ("--answers", LONG, "at most 4,095"),
        ("--answers", "a.jsonl", "--split", "noon", "noon"),
    ),
    *_of(
        ("score",),
        ("socket", "plan", "cannot be read"),
        ("/dev/zero", "plan", "a device, not a file"),
        ("plan", "plan", "a folder, not a file"),
        ("bytes", "plan", "line 2: is not UTF-8"),
        (LONG, "plan", "at most 4,095"),
        ("deep.jsonl", "plan", "line 1: is not JSON"),
        ("digits.jsonl", "plan", "line 1"),
        ("list.jsonl", "plan", "must be an object"),
        ("number.jsonl", "plan", "qa_id must be a text"),
        ("answers.jsonl", "plan", "--split", LONG, "is not one of 'train', 'validation', 'test'"),
        ("answers.jsonl", "plan", "--text-model", LONG, "at most 4,095"),
        ("answers.jsonl", "plan", "--seed", "-1", "not in the range"),
        ("answers.jsonl", "plan", "--seed", "9" * 40, "not in the range"),
        ("answers.jsonl", "plan", "--name", LONG, "too long"),
        ("answers.jsonl", "plan", "--json", LONG, "at most 4,095"),
        ("answers.jsonl", "plan", "--analyse", "--control", LONG, "at most 4,095"),
    ),
    *_of(
        ("hear-check", "plan"),
        ("--clips", "foley", "--clips needs --tagger"),
        ("--clips", LONG, "at most 4,095"),
        ("--classes", "bytes", "--classes needs --tagger"),
        ("--ablation", "--ablation needs --tagger"),
        ("--tagger", "none.onnx", "none.onnx"),
        ("--tagger", "pipe", "pipe"),
        ("--tagger", LONG, "at most 4,095"),
        ("--first", "0", "not in the range"),
        ("--scenes", HUGE, "not in the range"),
        ("--seed", "-1", "not in the range"),
        ("--json", LONG, "at most 4,095"),
    ),
    *_of(
        ("compare-engines",),
        ("--engines", "geometric", "give two engines"),
        ("--engines", "geometric,soundspaces,habitat", "give two engines"),
        ("--engines", "geometric,nosuch", "nosuch"),
        ("--engines", "geometric:nosuch,soundspaces", "nosuch"),
        ("--engines", LONG, "too long"),
        ("--homes", "0", "not in the range"),
        ("--listeners", HUGE, "not in the range"),
        ("--plot", LONG, "at most 4,095"),
        ("--seed", "-1", "at least 0"),
    ),
    *_of(
        ("export", "plan", "--to", "webdataset", "--dest"),
        (LONG, "at most 4,095"),
        ("a\0b", "code 0"),
        ("D", "--shard-size", HUGE, "not in the range"),
        ("D", "--name", "..", "letters, digits"),
    ),
    *_of(("rirs", "OUT", "--recipe"), ("pipe", "a pipe, not a file"), (LONG, "at most 4,095")),
    *_of(("validate", "plan", "--question-modules"), ("pipe", "not a Python file"), (LONG, "at most 4,095")),
    *_of(("train-baseline", "plan", "--recipe"), ("pipe", "a pipe, not a file"), (LONG, "at most 4,095")),
    *_of(("answer", "plan", "--model", "M", "--to", "T", "--recipe"), ("pipe", "a pipe"), (LONG, "at most 4,095")),
    *_of(("doctor", "--habitat-python"), (LONG, "at most 4,095"), ("a\0b", "code 0")),
    *_of(
        ("import", "spatialsoundqa"),
        (LONG, "OUT", "at most 4,095"),
        ("pipe", "OUT", "no such file or folder"),
        ("/dev/zero", "OUT", "no such file or folder"),
        ("eval-deep.json", "OUT", "is not JSON"),
        ("eval.json", "OUT", "--places", "pipe", "a pipe, not a file"),
    ),
    *_of(
        ("templates", "check"),
        (LONG, "at most 4,095"),
        ("pipe", "pipe"),
        ("--seed", "-1", "not in the range"),
        ("--samples", HUGE, "not in the range"),
    ),
    *_of(
        ("clips",),
        ("list", "folder:" + LONG, "is too long"),
        ("list", "folder:pipe", "pipe"),
        ("list", "folder:plan", "--labels-file", LONG, "is too long"),
        ("debian", LONG, "at most 4,095"),
    ),
    *_of(
        ("rooms", "show"),
        ("nowhere", "nowhere"),
        ("pipe.glb", "a pipe, not a file"),
        (LONG, "too long"),
        ("faces.ply", "vert"),
    ),
    *_of(
        ("rooms", "parts"),
        ("pipe.glb", "a pipe, not a file"),
        (LONG, "is too long"),
        ("faces.ply", "vert"),
        ("faces.obj", "vert"),
        ("box.ply", "--unit-scale", "0", "at least 1e-06"),
    ),
    *_of(
        ("bench",),
        ("--scenes", HUGE, "at most 99,999,999"),
        ("--recipe", "pipe", "a pipe"),
        ("--against", "audiblelight", "add --rooms mesh:FILE and --clips folder:DIR"),
        (*_AUDIBLELIGHT, "nowhere", "has no AudibleLight"),
        (*_AUDIBLELIGHT, LONG, "too long"),
    ),
    *_of(
        TRAIN,
        ("--preset", "tiny", "planned"),  # the claim of its new folder is given up
        ("--init", "pipe", "pipe"),
        ("--seed", "-1", "at least 0"),
        ("--batch-size", HUGE, "at most 100,000"),
        ("--base-lr", "1e300", "at most 100"),
        ("--class-epochs", HUGE, "at most 1,000,000"),
        ("--threads", HUGE, "at most 1,024"),
        ("--smoothing-deg", "1e300", "at most 180 degrees"),
        ("--time-limit-min", "1e300", "at most 1,000,000 minutes"),
        ("--run", LONG, "is too long"),
        ("--cache", LONG, "is too long"),
        ("--init", LONG, "is too long"),
        ("--evaluate", LONG, "at most 4,095"),
        ("--evaluate", "a,,b", "is empty"),
        ("--split", "noon", "must be one of train, validation, test"),
    ),
    *_of(
        BAT,
        ("--encoder", "bytes", "cannot be read as weights"),
        ("--encoder", "pipe", "no such file"),
        ("--queries", HUGE, "at most 1,024"),
        ("--questions-per-scene", "0", "at least 1"),
        ("--questions-per-scene", HUGE, "at most 100,000"),
        ("--beta1", "1", "at most 0.999999"),
        ("--curriculum", "A:1e300", "'A:1e300' is"),
        ("--curriculum", LONG, "too long"),
        ("--qa-name", "../x", "letters, digits"),
        ("--encoder", LONG, "is too long"),
    ),
    *_of(
        ("answer", "plan", "--to", "a.jsonl", "--model"),
        (LONG, "at most 4,095"),
        ("none", "--beams", HUGE, "at most 100"),
        ("none", "--max-new-tokens", HUGE, "at most 10,000 tokens"),
    ),
    *_of(
        ("listen",),
        (LONG, "Where?", "--model", "none", "at most 4,095"),
        ("a.wav", "Where?", "--model", "none", "--gain-db", "1e300", "not in the range"),
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a planned data set, files of every hostile kind, a pipe and a socket."""
    root = tmp_path_factory.mktemp("hostile")
    planned(root / "plan", 4, QaRecipe())
    for name in ("pipe", "pipe.glb"):
        os.mkfifo(root / name)
    for name in ("huge.glb", "huge.obj", "huge.ply", "huge.json", "huge.house"):
        with (root / name).open("wb") as stream:
            stream.truncate(9 << 30)  # takes no space
    (root / "bytes").write_bytes(bytes(range(256)))
    (root / "bytes.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (root / "deep.yaml").write_text("[" * 900)
    (root / "templates").mkdir()
    (root / "templates" / "a.yaml").write_text("[" * 900)
    (root / "deep.jsonl").write_text('{"qa_id": ' + "[" * 100_000)
    (root / "digits.jsonl").write_text(f'{{"qa_id": {DIGITS}, "prediction": "x"}}')
    (root / "number.jsonl").write_text('{"qa_id": 3, "prediction": "x"}')
    (root / "list.jsonl").write_text("[]")
    (root / "answers.jsonl").write_text('{"qa_id": "a", "prediction": "x"}')
    (root / "eval-deep.json").write_text("[" * 100_000)
    (root / "eval.json").write_text('{"data": []}')
    ply = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    ply += "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 "
    (root / "box.ply").write_text(ply + "2\n")
    (root / "faces.ply").write_text(ply + "3\n")
    (root / "faces.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket is short
        listening.bind("socket")
        os.chdir(here)
        yield root


def listing(root: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of everything below a folder, but for the lock, which every command takes."""
    found = {path: path.lstat() for path in root.rglob("*") if path.name != "lock"}
    return {path: (state.st_size, state.st_mtime_ns) for path, state in found.items()}


def refused(
    words: tuple[str, ...], root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run a command in this process; return its one line, once the exit code is 2 and nothing is written."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["spatialqa", *words])
    before = listing(root)
    signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(20)
    try:
        code = _run()
    finally:
        signal.alarm(0)
    said = capsys.readouterr().err
    assert code == 2, said
    assert said.count("\n") == 1, said
    assert said.endswith("\n")
    assert len(said) < 1200
    assert listing(root) == before
    return said


def _hangs(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("the command did not end")


@pytest.mark.parametrize(
    ("words", "expected"),
    CASES,
    ids=lambda value: re.sub(r"[^ -~]", "?", " ".join(map(str, value)) if isinstance(value, tuple) else "")[:80],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: tuple[str, ...],
    expected: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert expected in refused(words, folder, monkeypatch, capsys)


@pytest.mark.parametrize(("text", "expected"), RECIPES.items(), ids=range(len(RECIPES)))
def test_a_bad_recipe_is_one_line_and_exit_code_2(
    text: str, expected: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder.parent / f"{folder.name}.yaml"
    file.write_text(text, encoding="utf-8")
    assert expected in refused((*PLAN, "--recipe", str(file)), folder, monkeypatch, capsys)


def test_there_are_enough_cases() -> None:
    assert len(CASES) + len(RECIPES) >= 250
    assert len({words for words, _ in CASES}) == len(CASES)
