"""Subtypes of a user's own: from a file or an installed package, asked, validated, scored, and what is refused."""

import json
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import spatialqa as sqa
from spatialqa.cli.main import cli, run_here
from spatialqa.core.files import sha256_of
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import write_record
from spatialqa.dataset.validation.dataset import validate_dataset
from spatialqa.errors import DatasetError, QuestionModuleError, RecipeError, SpatialQAError, TemplateError
from spatialqa.qa import own_questions
from spatialqa.qa.ask_options import ONE_SOURCE, SEVERAL_SOURCES, TYPES, AskOptions
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.make import make_qa
from spatialqa.qa.question_modules import load_question_modules
from spatialqa.qa.recipe import QaRecipe
from spatialqa.qa.spoken_name import sound_of
from spatialqa.qa.subtype import ANSWER_KINDS
from spatialqa.scoring.grade import _GRADERS
from spatialqa.scoring.score import score
from tests.dataset.changing import changed
from tests.fixtures import datasets
from tests.fixtures.datasets import rows_of, scenes_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_question.py"

HEAD = "from spatialqa.qa.own_questions import *\n"
# One subtype of every kind of answer that the built-in ones have, and one of offered words.
EVERY_KIND = (
    HEAD
    + """
def words(view, options):
    loud = ("low", "level", "high")
    return [word_fact((n,), loud[1 if abs(s.angle_deg[2]) < 20 else 2 * (s.angle_deg[2] > 0)], loud)
            for n, s in enumerate(view.sources)]

def heights(view, options):
    return [distance_fact((0, 1), abs(view.sources[0].head_m[1] - view.sources[1].head_m[1]))]

def rooms(view, options):
    return [count_fact((), len({s.region_id for s in view.sources}))]

def first(view, options):
    return [label_fact(0)._replace(form="room", words=("kitchen",))] if view.sources[0].region_id else "no room"

def kind(name, answer, finder, slots=(), type="Q", text=None, **rest):
    text = text or "What about " + " and ".join("{%s}" % slot for slot in slots) + "?"
    forms = rest.pop("forms", {"open": slots})
    return Subtype(name, type, answer, finder, forms, templates={f"{name}-1": text}, **rest)

SUBTYPES = [
    kind("height_word", "word", words, ("source",), text="Is {source} low, level or high?"),
    kind("height_apart", "distance", heights, ("source", "other"), sources=(2, 9)),
    kind("rooms_with_sound", "count", rooms, text="In how many rooms does it sound?"),
    kind("first_sound", "label", first, forms={"room": ("place",)}, text="What sounds first in the {place}?"),
    kind("all_labels", "labels", lambda v, o: [labels_fact(v, 0)], text="What sounds?", sources=(1, 1)),
    kind("its_place", "location", lambda v, o: [location_fact(v, n) for n in range(2)], ("source",), sources=(2, 2)),
    kind("hour_now", "hour", lambda v, o: [hour_fact((), 7)], text="At what hour?"),
]
"""
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 planned scenes of one to three sources in homes of several rooms."""
    return datasets.planned(
        tmp_path_factory.mktemp("own") / "data",
        60,
        sources_per_scene={1: 0.3, 2: 0.4, 3: 0.3},
        home_kinds=["apartment"],
        splits="0.7,0,0.3",
        scenes_per_group=60,
        sources_per_group=10,
        groups_per_room=2,
        scenes_per_shard=100,
    )


@pytest.fixture
def data(scenes: Path, tmp_path: Path) -> Path:
    shutil.copytree(scenes, tmp_path / "data")
    return tmp_path / "data"


def module(folder: Path, text: str, name: str = "mine.py") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def ask_with(data: Path, path: Path, **keys: Any) -> list[dict[str, Any]]:
    make_qa(data, QaRecipe(question_modules=(str(path),), **keys))
    return rows_of(data, "qa")


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["spatialqa", *map(str, arguments)])
    try:
        run_here()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def change_own(data: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the questions of the example in the first file of the table."""
    changed(data, "qa", lambda rows: [change(row) for row in rows if row["subtype"] == "in_your_room"])


def plant(column: str, value: object, row: dict[str, Any]) -> None:
    row[column] = value


def answers(rows: list[dict[str, Any]], to: Path, answer: str = "answer") -> Path:
    lines = [json.dumps({"qa_id": row["qa_id"], "prediction": row[answer]}) for row in rows]
    to.write_text("\n".join(lines), encoding="utf-8")
    return to


# --- the example ------------------------------------------------------------------------------------------------------


def test_the_example_is_asked_validated_and_scored(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = shutil.copy(EXAMPLE, tmp_path / "own_question.py")
    assert command(monkeypatch, "make-qa", data, "--types", "A,X", "--question-modules", mine, "--rationale") == 0
    rows = [row for row in rows_of(data, "qa") if row["subtype"] == "in_your_room"]
    scenes = {scene.scene_id: scene for scene in scenes_of(data)}
    assert len(rows) > 20
    assert {row["answer"] for row in rows} == {"Yes", "No"}
    for row in rows:
        scene = scenes[row["scene_id"]]
        same = scene.sources[row["source_indices"][0]].region_id == scene.region_id
        assert (row["type"], row["answer"], row["answer_bool"]) == ("X", "Yes" if same else "No", same)
        assert row["rationale"].endswith(f"{row['answer']}.")
        assert sound_of(row["asked_labels"][0]).lower() in row["question"].lower()

    record = DatasetFolder(data).read_questions("qa")
    (held,) = record.question_modules
    assert (held.name, held.kind, held.files) == ("own_question.py", "file", {"own_question.py": sha256_of(Path(mine))})
    assert [(s.name, s.type, s.answer) for s in held.subtypes] == [("in_your_room", "X", "yes_no")]

    capsys.readouterr()
    assert command(monkeypatch, "validate", data) == 0
    assert f"in_your_room {len(rows)}): only their form is checked" in " ".join(capsys.readouterr().out.split())
    assert command(monkeypatch, "validate", data, "--question-modules", mine) == 0
    assert "only their form" not in capsys.readouterr().out

    Path(mine).unlink()  # scoring needs the record alone
    report = score(answers(rows, tmp_path / "right.jsonl"), data, text_model="none", answered_only=True)
    (figure,) = report.subtypes
    assert (figure.subtype, figure.metrics["accuracy"].value, figure.metrics["accuracy"].n) == (
        "in_your_room",
        1,
        len(rows),
    )
    wrong = score(answers(rows, tmp_path / "wrong.jsonl", "question"), data, text_model="none", answered_only=True)
    assert wrong.subtypes[0].metrics["accuracy"].value == 0


def test_the_example_of_the_page_works(data: Path, tmp_path: Path) -> None:
    page = (EXAMPLE.parents[1] / "docs" / "questions.md").read_text(encoding="utf-8")
    block = page.partition("    from spatialqa.qa.own_questions import Subtype")[2].partition("\n**")[0]
    code = textwrap.dedent(f"    from spatialqa.qa.own_questions import Subtype{block}")
    rows = [row for row in ask_with(data, module(tmp_path, code), types=("X",)) if row["subtype"] == "hidden"]
    sources = {scene.scene_id: scene.sources for scene in scenes_of(data)}
    assert len(rows) > 15
    for row in rows:
        in_sight = sources[row["scene_id"]][row["source_indices"][0]].line_of_sight
        assert row["answer"] == ("No" if in_sight else "Yes")


def test_the_python_api_takes_modules_too(data: Path) -> None:
    scene = next(scene for scene in scenes_of(data) if scene.region_id)
    asked = sqa.ask(scene, types=("X",), question_modules=[EXAMPLE])
    assert [q.answer_bool for q in asked if q.subtype == "in_your_room"] != []
    made = sqa.load_dataset(data)
    made.ask(types=("X",), question_modules=[str(EXAMPLE)], progress=False)
    report = sqa.validate(made, question_modules=[EXAMPLE])
    assert report.problems == ()
    assert not any("only their form" in line for line in report.checked)


def test_the_same_file_asks_the_same_and_leaves_the_other_questions_as_they_are(data: Path) -> None:
    make_qa(data, QaRecipe(types=TYPES))
    bundled = rows_of(data, "qa")
    rows = ask_with(data, EXAMPLE, types=TYPES)
    assert [row for row in rows if row["subtype"] != "in_your_room"] == bundled
    assert ask_with(data, EXAMPLE, types=TYPES) == rows


def test_a_false_answer_is_found_with_the_module_and_a_false_form_without(data: Path) -> None:
    ask_with(data, EXAMPLE, types=("X",))
    recompute = {s.name: s.recompute for s in load_question_modules([str(EXAMPLE)]).subtypes.all if s.recompute}

    def lie(row: dict[str, Any]) -> None:
        yes = not row["answer_bool"]
        row |= {"answer_bool": yes, "answer": "Yes" if yes else "No", "polarity": "yes" if yes else "no"}

    change_own(data, lie)
    assert validate_dataset(data).problems == ()
    problems = validate_dataset(data, recompute).problems
    assert len(problems) > 20
    assert all("in_your_room" in line and ("must be" in line) for line in problems)
    for column, value, message in (
        ("source_indices", [7], "names a source that its scene does not have"),
        ("answer", "Maybe", "is not of the form"),
        ("answer_bool", None, "answer_bool is null"),
        ("asked_labels", ["zither"], "is not a label of the source"),
        ("answer_count", 3, "answer_count does not apply"),
    ):
        broken = data.with_name(f"broken_{column}")
        shutil.copytree(data, broken)
        change_own(broken, partial(plant, column, value))
        assert any(message in line for line in validate_dataset(broken).problems), column


def test_balance_evens_its_yes_and_no(data: Path) -> None:
    text = HEAD + (
        "SUBTYPES = [Subtype('lopsided', 'X', 'yes_no', lambda v, o: [yes_no_fact((), v.scene.seed % 10 > 0)],"
        "templates={'l-1': 'Is it so?'})]"
    )
    mine = module(data, text)
    share = {
        balance: Counter(
            row["answer"] for row in ask_with(data, mine, types=("X",), balance=balance) if row["subtype"] == "lopsided"
        )
        for balance in (False, True)
    }
    assert share[False].total() == 60
    assert share[True]["Yes"] < share[False]["Yes"]
    assert share[True]["No"] == share[False]["No"] > 0


# --- every kind of answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["open", "mcq"])
def test_every_kind_of_answer_is_asked_validated_and_graded(data: Path, tmp_path: Path, form: str) -> None:
    mine = module(tmp_path, EVERY_KIND)
    rows = ask_with(data, mine, types=("Q",), answer_form=form, rationale=True)
    assert {row["type"] for row in rows} == {"Q"}
    kinds = {s.name: s.answer for s in load_question_modules([str(mine)]).subtypes.by_type["Q"]}
    asked = {row["subtype"] for row in rows}
    assert asked >= set(kinds) - ({"all_labels", "its_place", "height_apart"} if form == "mcq" else set())
    assert validate_dataset(data).problems == ()
    report = score(answers(rows, tmp_path / "right.jsonl"), data, text_model="none")
    assert {figure.subtype for figure in report.subtypes} == asked
    for figure in report.subtypes:
        offers = kinds[figure.subtype] == "word"
        assert figure.form == ("open" if offers else form)
        best = {"labels": "exact", "location": "direction", "distance": "der"} if figure.form == "open" else {}
        name = best.get(kinds[figure.subtype], "accuracy")
        assert figure.metrics[name].value == (0 if name == "der" else 1)
        assert figure.unparsed == 0
    for row in rows:
        if row["subtype"] == "height_word":
            assert row["choices"] == ["low", "level", "high"]
        elif form == "mcq":
            assert [choice[:3] for choice in row["choices"]] == ["A. ", "B. ", "C. ", "D. "]


def test_an_offered_word_is_read_out_of_a_sentence(data: Path, tmp_path: Path) -> None:
    rows = [r for r in ask_with(data, module(tmp_path, EVERY_KIND), types=("Q",)) if r["subtype"] == "height_word"]
    said = [{**row, "said": f"I think that it is {row['answer']}."} for row in rows]
    report = score(answers(said, tmp_path / "said.jsonl", "said"), data, text_model="none", answered_only=True)
    assert report.subtypes[0].metrics["accuracy"].value == 1
    assert report.subtypes[0].metrics["accuracy"].chance == pytest.approx(1 / 3)


def test_type_counts_count_a_type_of_ones_own(data: Path, tmp_path: Path) -> None:
    mine = module(
        tmp_path,
        HEAD + "SUBTYPES = [Subtype('two_or_more', 'Pairs', 'count', lambda v, o: [count_fact((), len(v.sources))],"
        "sources=(2, 9), templates={'p-1': 'How many?'})]",
    )
    rows = ask_with(data, mine, types=("A", "Pairs"), type_counts={"A": 4, "Pairs": 9})
    train = Counter(row["type"] for row in rows if row["split"] == "train")
    assert train == {"A": 4, "Pairs": 9}
    with pytest.raises(RecipeError, match="type_counts names Q: only asked types out of A, B, C, D, E, Pairs have"):
        ask_with(data, mine, types=("A", "Pairs"), type_counts={"Q": 4})


# --- templates --------------------------------------------------------------------------------------------------------


def test_templates_may_lie_in_a_file_beside_and_be_replaced_by_a_folder(data: Path, tmp_path: Path) -> None:
    beside = "type: New\ntemplates:\n  sounds: {n-1: 'How many sounds are there?'}\n"
    (tmp_path / "mine.yaml").write_text(beside)
    mine = module(
        tmp_path,
        HEAD + "SUBTYPES = Subtype('sounds', 'New', 'count', lambda v, o: [count_fact((), len(v.sources))],"
        "templates='mine.yaml')",
    )
    rows = ask_with(data, mine, types=("New",), balance=False)
    assert {row["question"] for row in rows} == {"How many sounds are there?"}
    (held,) = DatasetFolder(data).read_questions("qa").question_modules
    assert held.files == {name: sha256_of(tmp_path / name) for name in ("mine.py", "mine.yaml")}
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "new.yaml").write_text(beside.replace("How many sounds are there?", "Count them."))
    rows = ask_with(data, mine, types=("New",), balance=False, templates=str(tmp_path / "others"))
    assert {row["question"] for row in rows} == {"Count them."}


def test_slots_may_be_of_ones_own(data: Path, tmp_path: Path) -> None:
    rows = ask_with(data, module(tmp_path, EVERY_KIND), types=("Q",))
    assert {r["question"] for r in rows if r["subtype"] == "first_sound"} == {"What sounds first in the kitchen?"}


# --- an installed package ---------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution whose entry point `rooms` is the example."""
    site = tmp_path / "site"
    (site / "my_questions-2.1.dist-info").mkdir(parents=True)
    (site / "my_questions-2.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: my-questions\nVersion: 2.1\n"
    )
    (site / "my_questions-2.1.dist-info" / "entry_points.txt").write_text(
        "[spatialqa.questions]\nrooms = my_questions_module\nbroken = my_questions_broken\n"
        "list = my_questions_module:SUBTYPES\n"
    )
    shutil.copy(EXAMPLE, site / "my_questions_module.py")
    (site / "my_questions_broken.py").write_text("x = 1\nx.y\n")
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("my_questions_module", None)


@pytest.mark.parametrize("name", ["rooms", "list"])
def test_an_installed_package_is_named_by_its_entry_point(data: Path, installed: Path, name: str) -> None:
    make_qa(data, QaRecipe(question_modules=(name,), types=("X",)))
    assert any(row["subtype"] == "in_your_room" for row in rows_of(data, "qa"))
    (held,) = DatasetFolder(data).read_questions("qa").question_modules
    assert (held.name, held.kind, held.distribution) == (name, "entry point", "my-questions 2.1")
    assert held.files == {"my_questions_module.py": sha256_of(EXAMPLE)}


def test_what_is_installed_is_asked_only_by_name(data: Path, installed: Path) -> None:
    make_qa(data, QaRecipe(types=TYPES))
    assert "in_your_room" not in {row["subtype"] for row in rows_of(data, "qa")}
    with pytest.raises(QuestionModuleError, match="'room' is not a Python file.*installed: broken, list, rooms"):
        load_question_modules(["room"])
    with pytest.raises(
        QuestionModuleError, match=r"broken: my_questions_broken cannot be loaded: AttributeError.*broken.py, line 2\)"
    ):
        load_question_modules(["broken"])


# --- what is refused --------------------------------------------------------------------------------------------------


def one(finder: str = "[count_fact((), 1)]", **parts: str) -> str:
    told = {"name": "'mine'", "type": "'X'", "answer": "'count'", "templates": "{'m-1': 'How many?'}"} | parts
    told["finder"] = f"lambda view, options: {finder}"
    return HEAD + f"SUBTYPES = [Subtype({', '.join(f'{key}={value}' for key, value in told.items())})]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = a.c\n", r"mine\.py: cannot be executed: AttributeError: 'int' .* 'c' \(line 2\)"),
        ("a = 1\n\ndef f(:\n", r"mine\.py: cannot be executed: SyntaxError: .* \(line 3\)"),
        ("import not_a_module\n", r"cannot be executed: ModuleNotFoundError: .*\(line 1\)"),
        ("raise SystemExit(3)\n", r"cannot be executed: SystemExit: 3 \(line 1\)"),
        ("X = 1\n", r"mine\.py: declares no subtypes; write SUBTYPES = "),
        ("SUBTYPES = []\n", "declares no subtypes"),
        ("SUBTYPES = ['clock']\n", "SUBTYPES holds 'clock', which is not a Subtype"),
        (one(name="'region'"), "subtype 'region': a built-in one has this name; choose another"),
        (one() + "SUBTYPES *= 2\n", "subtype 'mine': another own one has this name"),
        (one(name="'My-Own'"), "a name is lower-case letters"),
        (one(type="'X-Y'"), "type 'X-Y' must be A, B, C, D, E, X, or a new name"),
        (one(answer="'text'"), "answer 'text' is none of labels, label, location"),
        (one(sources="(3, 2)"), r"sources \(3, 2\) must be the least and most"),
        (one(forms="{'open': 'source'}"), "its forms must map names to tuples"),
        (one(forms="{'open': ('other',)}"), "a form with {other} needs {source} too"),
        (one(recompute="3"), "finder must be a function, and so must because and recompute"),
        (one(templates="{'m-1': 'How many {thing}?'}"), r"mine\.py: template m-1: unknown slot {thing}; mine has none"),
        (one(forms="{'open': ('thing',)}"), "m-1: what it asks is unclear; mine needs exactly the slots {thing}"),
        (one(templates="{}"), r"mine\.py: no template for mine with no slots; add one"),
        (one(templates="'absent.yaml'"), "no template file .*absent.yaml; put it beside the Python file"),
        (one(templates="{'x-count-01': 'How many?'}"), "template x-count-01: another template has this id; rename it"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_used_is_refused_before_anything_is_written(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises((QuestionModuleError, TemplateError), match=message) as raised:
        load_question_modules([str(module(tmp_path, text))])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (one("None"), "its finder returned None, and must return a list of Fact, or the reason as a text"),
        (one("[1]"), "fact 1: is 1, and must be a Fact"),
        (one("view.nothing"), r"its finder raised AttributeError: .*nothing.* \(line 2\)"),
        (one("[count_fact((5,), 1)]"), r"fact 1: its sources \(5,\) must be whole numbers from 0 to "),
        (one("[count_fact((0, 0), 1)]"), "must be a tuple of different numbers"),
        (one("[count_fact((), -1)]"), "its answer '-1' does not follow from answer_count -1; make it with count_fact"),
        (one("[count_fact((), 1)._replace(answer='one')]"), "its answer 'one' does not follow from answer_count 1"),
        (one("[count_fact((), 1)._replace(form='closed')]"), "its form 'closed' is none of open"),
        (one("[count_fact((), 1)._replace(weight=0)]"), "its weight 0 must be a number above 0"),
        (one("[yes_no_fact((), True)]"), "answer_bool is given, which an answer of the kind count does not have"),
        (one("[count_fact((), 1)._replace(words=('a',))]"), r"its words \('a',\) must be a tuple that fills no slots"),
        (
            one("[yes_no_fact((), True, ('up',))]", answer="'yes_no'", forms="{'open': ('nearness',)}",
                templates="{'m-1': 'Is it {nearness}?'}", phrases="{'nearness': [{'closer': 'c', 'farther': 'f'}]}"),
            "its word 'up' for {nearness} is none of closer, farther",
        ),
        (
            one("[count_fact((), 1)]", forms="{'open': ('source',)}", templates="{'m-1': 'How many {source}?'}"),
            "has 0 sources, and its form open names 1",
        ),
        (one("[word_fact((), 'a', ('b', 'c'))]", answer="'word'"), "'a' does not follow from choices"),
        (one("[label_fact(0)._replace(answer='dog')]", answer="'label'"), "a label answers questions that name no s"),
    ],
)  # fmt: skip
def test_a_finder_that_returns_something_else_is_named_with_its_scene(
    text: str, message: str, data: Path, tmp_path: Path
) -> None:
    before = datasets.hashes(data)
    with pytest.raises(QuestionModuleError, match=rf"mine\.py: subtype mine: scene train-0000000\d: .*{message}"):
        ask_with(data, module(tmp_path, text), types=("X",))
    assert not (data / "qa").exists()
    assert datasets.hashes(data) == before


def test_because_must_be_a_text(data: Path, tmp_path: Path) -> None:
    mine = module(tmp_path, one(because="lambda view, fact: 3"))
    with pytest.raises(QuestionModuleError, match="because returned 3, and must return one line of text"):
        ask_with(data, mine, types=("X",), rationale=True)


def test_errors_are_one_line_and_exit_2(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (("--question-modules", tmp_path / "absent.py"), "absent.py: No such file or directory; name a Python file"),
        (("--question-modules", module(tmp_path, "1 / 0\n")), "cannot be executed: ZeroDivisionError"),
        (
            ("--question-modules", EXAMPLE, "--types", "A,Z"),
            "'Z' given, which no question module declares; choose from",
        ),
    ):
        assert command(monkeypatch, "make-qa", data, *arguments) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert not (data / "qa").exists()


def test_help_says_that_no_module_is_the_default() -> None:
    text = " ".join(CliRunner().invoke(cli, ["make-qa", "--help"]).output.split())
    assert re.search(r"--question-modules PATH,\.\.\. [^\[]* \[none\]", text)


def test_a_data_set_cannot_make_a_module_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = tmp_path / "ran"
    mine = module(tmp_path, f"open({str(ran)!r}, 'w').close()\n{one()}")
    folder = DatasetFolder(data)
    run = replace(folder.read_run(), qa_recipe={"types": ["X"], "question-modules": [str(mine)]})
    write_record(folder.meta / "run.json", run)
    assert command(monkeypatch, "make-qa", data) == 2
    assert "which a data set alone cannot make run: give question_modules yourself" in capsys.readouterr().err
    with pytest.raises(RecipeError, match="which a data set alone cannot make run"):
        sqa.load_dataset(data).ask(types=("A",), progress=False)
    assert not ran.exists()
    assert command(monkeypatch, "make-qa", data, "--question-modules", mine) == 0
    assert ran.exists()


def test_a_table_whose_record_names_no_module_cannot_be_scored_and_says_so(data: Path, tmp_path: Path) -> None:
    rows = ask_with(data, module(tmp_path, EVERY_KIND), types=("Q",))
    folder = DatasetFolder(data)
    write_record(folder.questions_file("qa"), replace(folder.read_questions("qa"), question_modules=()))
    with pytest.raises(DatasetError, match=r"subtype '\w+' cannot be scored by this version"):
        score(answers(rows, tmp_path / "right.jsonl"), data, text_model="none")


# --- the tables agree -------------------------------------------------------------------------------------------------


def test_the_built_in_subtypes_agree_with_the_names_of_types() -> None:
    assert BUILT_IN.types == TYPES
    assert BUILT_IN.types_for(several=False) == ONE_SOURCE
    assert BUILT_IN.types_for(several=True) == SEVERAL_SOURCES
    assert set(ANSWER_KINDS) == set(_GRADERS)
    assert {s.answer for s in BUILT_IN.all} == set(ANSWER_KINDS) - {"word"}
    assert set(own_questions.__all__) <= set(dir(own_questions))
    with pytest.raises(SpatialQAError, match="'Q' given; choose from A, B, C, D, E, X"):
        AskOptions(types=("Q",))
