"""The audit against questions whose secrets we know: none, or one planted."""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy import stats

pytest.importorskip("sklearn")

from spatialqa.audit.audit import audit_dataset
from spatialqa.audit.baselines import house_folds
from spatialqa.audit.report import FEWEST_QUESTIONS, AuditReport, SubtypeAudit, print_audit, save_audit
from spatialqa.audit.statistics import CROSS_VALIDATION, clustered_variance, gain_p_value, holm, share_interval, wilson
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import write_record
from spatialqa.dataset.schema import QA
from spatialqa.errors import DatasetError, MissingDependencyError, RecipeError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.qa.ask_options import TYPES
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import Row, dataset, written
from tests.fixtures.records import questions_of

LABELS = [
    f"{kind} {thing}" for kind in ("small", "old", "loud", "far") for thing in ("dog", "bell", "drill", "car", "door")
]
OCTANTS = [[a, b, c] for a in ("left", "right") for b in ("front", "behind") for c in ("above", "below")]
OPENINGS = ("Is", "Would you say that", "Can you hear that", "Tell me whether", "Do you think")
ENDINGS = ("?", " from here?", " as you stand?", " right now?", " in this clip?")
WORDS = ("left", "right", "front", "behind")
TEMPLATES = [(o, e) for o in OPENINGS for e in ENDINGS]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5,000 planned scenes in homes of several rooms, with all questions."""
    recipe = RenderRecipe(scenes=5000, splits="1,0,0", groups_per_room=12, plan_only=True, workers=0)
    return dataset(tmp_path_factory.mktemp("planned"), recipe, QaRecipe(types=TYPES))


@dataclass
class Draws:
    """What a planted bias may lean on: everything that is drawn before the answer."""

    rng: np.random.Generator
    house: int
    template: int
    word: str
    labels: list[str]


def binary_row(draws: Draws, yes: bool) -> Row:
    opening, ending = TEMPLATES[draws.template]
    first, second = draws.labels
    return {
        "type": "E",
        "subtype": "relative_direction",
        "question": f"{opening} the {first} is further to the {draws.word} than the {second}{ending}",
        "answer": "Yes" if yes else "No",
        "template_id": f"e-{draws.template:02d}",
        "asked_labels": draws.labels,
        "asked_direction": [draws.word],
        "polarity": "yes" if yes else "no",
        "choices": ["Yes", "No"],
        "answer_bool": yes,
    }


def draw(rng: np.random.Generator, house: int) -> Draws:
    first, step = int(rng.integers(len(LABELS))), int(rng.integers(1, len(LABELS)))
    labels = [LABELS[first], LABELS[(first + step) % len(LABELS)]]
    return Draws(rng, house, int(rng.integers(len(TEMPLATES))), WORDS[rng.integers(len(WORDS))], labels)


def binary(n: int, seed: int, leaning: Callable[[Draws], float] = lambda d: 0.5, houses: int = 60) -> list[Row]:
    """`n` questions whose answer is Yes with the probability that `leaning` gives."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        house = i * houses // n
        draws = draw(rng, house)
        rows.append(binary_row(draws, bool(rng.random() < leaning(draws))) | {"house": house})
    return rows


def write(root: Path, rows: Iterable[Row], split_of_house: Callable[[int], str] = lambda house: "train") -> Path:
    """Write a data set of these questions, one scene each unless a row says which, in houses of their own."""
    questions, scenes = [], {}
    for i, row in enumerate(rows):
        house = row.pop("house")
        split = split_of_house(house)
        scene_id = row.pop("scene_id", f"{split}-{i:08d}")
        scenes[scene_id] = {
            "scene_id": scene_id,
            "split": split,
            "house_id": f"house-{house}",
            "sources": [
                {
                    "clip_id": f"{split}-clip",
                    "clip_sha256": row.pop("sha256", f"{split}-sha"),
                    "labels": row.get("answer_labels", []),
                    "mids": [None] * len(row.get("answer_labels", [])),
                }
            ],
        }
        questions.append({"qa_id": f"{scene_id}-{row['subtype']}-{i}", "scene_id": scene_id, "split": split, **row})
    return written(root, scenes.values(), questions)


def audited(root: Path, rows: Iterable[Row], **options: Any) -> AuditReport:
    return audit_dataset(write(root, rows), **options)


def beaten_by(subtype: SubtypeAudit) -> set[str]:
    return {a.guesser for m in subtype.measures for a in m.attempts if a.beats_chance}


def test_a_bias_of_two_points_in_the_templates_is_caught_on_100_000_questions(tmp_path: Path) -> None:
    lean = np.where(np.random.default_rng(5).random(len(TEMPLATES)) < 0.5, 0.48, 0.52)
    report = audited(tmp_path, binary(100_000, 1, lambda d: float(lean[d.template])))
    subtype = report.subtypes[0]
    by = {a.guesser: a for a in subtype.measures[0].attempts}
    assert report.failed
    assert subtype.verdict == "guessed"
    assert {"words", "template"} <= beaten_by(subtype)
    assert 0.513 < by["template"].value < 0.527
    assert not by["first label"].beats_chance


def test_even_answers_hold(tmp_path: Path) -> None:
    report = audited(tmp_path, binary(6000, 2))
    subtype = report.subtypes[0]
    assert not report.failed
    assert subtype.verdict == "held"
    assert subtype.measures[0].chance == 0.5
    assert all(abs(a.value - 0.5) < 0.03 for a in subtype.measures[0].attempts)


def _lengthened(rows: list[Row]) -> list[Row]:
    """Yes makes a question longer more often than No does, in words and pairs of words that are the same."""
    rng = np.random.default_rng(8)
    for row in rows:
        longer = rng.random() < (0.58 if row["answer_bool"] else 0.42)
        row["question"] += " Listen very" + " very" * (15 if longer else 3) + " carefully."
    return rows


# 8 points on 7,000 questions are as many standard errors as 2 points on 100,000
LEAKS: dict[str, tuple[Callable[[Draws], float], set[str]]] = {
    "template": (lambda d: 0.58 if d.template % 2 else 0.42, {"words", "template"}),
    "word": (lambda d: 0.58 if d.word in ("left", "front") else 0.42, {"words", "direction"}),
    "label": (lambda d: 0.58 if "dog" in d.labels[0] or "car" in d.labels[0] else 0.42, {"words", "first label"}),
    "order of labels": (lambda d: 0.58 if d.labels[0] < d.labels[1] else 0.42, {"words", "order of labels"}),
    "one answer more often": (lambda d: 0.58, {"words", "nothing"}),
}


@pytest.mark.parametrize("leak", [*LEAKS, "length"])
def test_a_planted_leak_is_caught_and_named(tmp_path: Path, leak: str) -> None:
    leaning, guessers = LEAKS.get(leak, (lambda d: 0.5, {"words", "length"}))
    rows = binary(7000, 3, leaning)
    subtype = audited(tmp_path, _lengthened(rows) if leak == "length" else rows).subtypes[0]
    assert guessers <= beaten_by(subtype)


def _of_pair(draws: Draws) -> bool:
    """A side of each pair of labels, in whatever order they are named: neither label alone tells it."""
    one, other = sorted(map(LABELS.index, draws.labels))
    return bool((one * 7 + other * other + one * other) % 2) ^ (draws.labels != sorted(draws.labels))


def test_what_only_a_pair_of_labels_tells_is_remembered(tmp_path: Path) -> None:
    rows = binary(7000, 22, lambda d: 0.62 if _of_pair(d) ^ (d.word in ("right", "behind")) else 0.38)
    subtype = audited(tmp_path, rows).subtypes[0]
    assert "label pairs, ordered" in beaten_by(subtype)
    assert not {"words", "template", "direction", "first label", "last label"} & beaten_by(subtype)


def test_boosting_finds_a_label_that_tells_only_in_some_templates(tmp_path: Path) -> None:
    def leaning(draws: Draws) -> float:
        return 0.8 if draws.template % 2 and LABELS.index(draws.labels[0]) % 2 else 0.4

    by = {a.guesser: a for a in audited(tmp_path, binary(7000, 23, leaning)).subtypes[0].measures[0].attempts}
    assert by["boosting"].beats_chance
    assert by["boosting"].value == max(a.value for a in by.values())
    assert by["boosting"].value > 0.63  # 0.65 is all that there is


def _of_house(lean: npt.NDArray[np.float64], draws: Draws) -> float:
    return float(lean[draws.house])


def test_p_values_are_no_smaller_than_stated_where_nothing_is_to_be_guessed(tmp_path: Path) -> None:
    """Houses differ in their share of Yes, so that answers within a house go together."""
    p_values = []
    for seed in range(20):
        lean = np.random.default_rng(100 + seed).beta(6, 6, 30)
        rows = binary(1200, 200 + seed, partial(_of_house, lean), houses=30)
        report = audited(tmp_path / str(seed), rows)
        p_values += [a.p_value for a in report.subtypes[0].measures[0].attempts]
        assert not report.failed
    assert np.mean(np.asarray(p_values) < 0.05) < 0.08
    assert np.mean(np.asarray(p_values) < 0.01) < 0.025


def open_rows(n: int, seed: int, leaning: Callable[[int, np.random.Generator], int | None]) -> list[Row]:
    """`n` questions of type B: octants from uneven shares, distances from a skewed law, which `leaning` may overrule.

    leaning: (template, generator) -> the number of the octant and the distance in metres, or None for what is drawn.
    """
    rng = np.random.default_rng(seed)
    shares = np.asarray([0.2, 0.16, 0.14, 0.12, 0.11, 0.1, 0.09, 0.08])
    rows = []
    for i in range(n):
        template = int(rng.integers(len(TEMPLATES)))
        opening, ending = TEMPLATES[template]
        forced = leaning(template, rng)
        octant = int(rng.choice(8, p=shares)) if forced is None else forced
        distance_m = float(rng.gamma(3.0, 1.0)) + 0.3 if forced is None else forced + 0.6
        rows.append(
            {
                "type": "B",
                "subtype": "location",
                "question": f"{opening} it is near{ending}",
                "answer": f"{', '.join(OCTANTS[octant])}; {distance_m:.1f}m",
                "template_id": f"b-{template:02d}",
                "answer_direction": OCTANTS[octant],
                "answer_distance_m": distance_m,
                "house": i * 60 // n,
            }
        )
    return rows


def test_uneven_octants_and_distances_hold_when_text_does_not_tell_them(tmp_path: Path) -> None:
    report = audited(tmp_path, open_rows(4000, 5, lambda template, rng: None))
    octant, distance = report.subtypes[0].measures
    assert not report.failed
    assert octant.majority == pytest.approx(0.2, abs=0.02)
    assert distance.majority is not None
    assert 0.2 < distance.majority < 0.4  # a gamma law with shape 3 has 27 % within half a metre of its mode
    assert distance.constant_error_m == pytest.approx(1.33, abs=0.1)


def test_octant_and_distance_told_by_the_template_are_caught(tmp_path: Path) -> None:
    told = open_rows(4000, 6, lambda template, rng: template % 8 if rng.random() < 0.4 else None)
    subtype = audited(tmp_path, told).subtypes[0]
    caught = {(m.measure, a.figure) for m in subtype.measures for a in m.attempts if a.beats_chance}
    assert caught == {("octant", "right"), ("distance", "right"), ("distance", "error_m")}


def which_rows(n: int, seed: int, telling: float) -> list[Row]:
    """`n` questions that are answered by a label, of skewed shares; the asked side tells it with this probability."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, len(LABELS) + 1)
    rows = []
    for i in range(n):
        side = WORDS[rng.integers(len(WORDS))]
        label = LABELS[rng.choice(len(LABELS), p=shares / shares.sum())]
        if rng.random() < telling:
            label = LABELS[5 + WORDS.index(side)]
        answer = sorted({label, "sound"} if rng.random() < 0.3 else {label})
        rows.append(
            {
                "type": "E",
                "subtype": "source_at_direction",
                "question": f"{OPENINGS[rng.integers(5)]} there is something {side}?",
                "answer": "; ".join(answer),
                "template_id": "e-which-01",
                "asked_direction": [side],
                "answer_labels": answer,
                "house": i * 60 // n,
            }
        )
    return rows


def test_common_labels_are_no_leak_and_a_side_that_tells_the_label_is_one(tmp_path: Path) -> None:
    clean = audited(tmp_path / "clean", which_rows(5000, 7, 0.0))
    told = audited(tmp_path / "told", which_rows(5000, 7, 0.5))
    assert not clean.failed
    assert clean.subtypes[0].measures[0].majority == pytest.approx(0.3, abs=0.03)  # "sound", or the commonest label
    assert {"words", "direction"} <= beaten_by(told.subtypes[0])


def test_answers_balanced_to_the_last_one_do_not_look_guessed(tmp_path: Path) -> None:
    """Where every octant comes equally often, the training folds' commonest is the rarest of the others."""
    rows = open_rows(4000, 9, lambda template, rng: None)
    rng = np.random.default_rng(10)
    for row, octant in zip(rows, rng.permutation(np.arange(len(rows)) % 8), strict=True):
        row["answer_direction"] = OCTANTS[octant]
    octant_measure = audited(tmp_path, rows).subtypes[0].measures[0]
    assert octant_measure.majority is not None
    assert octant_measure.majority < 0.122
    assert min(a.p_value for a in octant_measure.attempts) > 0.01


def choice_rows(n: int, seed: int, make: Callable[[np.random.Generator], tuple[list[str], int]]) -> list[Row]:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        choices, right = make(rng)
        choices = [f"{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=False)]
        rows.append(
            {
                "type": "E",
                "subtype": "direction_word",
                "question": "\n".join([f"{OPENINGS[rng.integers(5)]} what?", *choices]),
                "answer": choices[right],
                "template_id": f"e-word-{rng.integers(9)}",
                "choices": choices,
                "house": i * 60 // n,
            }
        )
    return rows


def _places(rng: np.random.Generator, near_the_answer: bool) -> tuple[list[str], int]:
    """Four places; near_the_answer: each wrong one shares two words of three with the right one."""
    octants = [list(OCTANTS[k]) for k in rng.permutation(8)[:4]]
    right = int(rng.integers(4))
    if near_the_answer:
        turned = [OCTANTS[7 - OCTANTS.index(octants[right])][axis] for axis in range(3)]
        for axis, k in enumerate(k for k in range(4) if k != right):
            octants[k] = [*octants[right][:axis], turned[axis], *octants[right][axis + 1 :]]
    return [", ".join(words) for words in octants], right


def test_distractors_made_from_the_answer_give_it_away(tmp_path: Path) -> None:
    clean = audited(tmp_path / "clean", choice_rows(3000, 11, lambda rng: _places(rng, False)))
    told = audited(tmp_path / "told", choice_rows(3000, 11, lambda rng: _places(rng, True)))
    assert not clean.failed
    assert clean.subtypes[0].measures[0].chance == 0.25
    assert "likeness of options" in beaten_by(told.subtypes[0])


def test_the_first_of_two_words_or_one_of_them_more_often_is_caught(tmp_path: Path) -> None:
    def make(lean: float, by_place: bool) -> Callable[[np.random.Generator], tuple[list[str], int]]:
        def draw_one(rng: np.random.Generator) -> tuple[list[str], int]:
            words = ["left", "right"] if rng.random() < 0.5 else ["right", "left"]
            lucky = bool(rng.random() < lean)
            return words, int(not lucky) if by_place else words.index("left" if lucky else "right")

        return draw_one

    for name, by_place, guesser in (("place", True, "nothing"), ("word", False, "option")):
        subtype = audited(tmp_path / name, choice_rows(5000, 12, make(0.58, by_place))).subtypes[0]
        assert {"words", guesser} <= beaten_by(subtype)


def test_few_questions_are_inconclusive_unless_they_are_guessed(tmp_path: Path) -> None:
    few = audited(tmp_path / "few", binary(FEWEST_QUESTIONS - 1, 13))
    told = audited(tmp_path / "told", binary(500, 13, lambda d: float(d.word == "left")))
    lone = audited(tmp_path / "lone", binary(3000, 13, houses=1))
    assert (few.subtypes[0].verdict, few.failed) == ("inconclusive", False)
    assert (told.subtypes[0].verdict, told.failed) == ("guessed", True)
    assert (lone.subtypes[0].verdict, lone.failed) == ("inconclusive", False)  # no house is left to try on


def test_no_house_is_on_both_sides_of_a_fold() -> None:
    houses = np.random.default_rng(14).integers(0, 23, 500)
    folds = house_folds(houses)
    assert len(folds) == 5
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(500))
    for train, test in folds:
        assert not set(houses[train]) & set(houses[test])


def test_repetitions_contradictions_and_shared_splits_are_counted(tmp_path: Path) -> None:
    rows = binary(40, 15, houses=4)
    again = rows[3] | {"scene_id": "train-00000003"}
    rows[3] = dict(again)
    rows += [dict(again), dict(again) | {"answer": "Yes" if again["answer"] == "No" else "No"}]
    for i, row in enumerate(rows):
        row["sha256"] = "both" if i in (0, 35) else f"clip-{i}"
    root = write(tmp_path, rows, lambda house: "train" if house < 2 else "test")
    tables = audit_dataset(root).tables
    assert (tables.repeated, tables.contradicted) == (1, 1)
    assert tables.all_strings == tables.strings["relative_direction"] == len({row["question"] for row in rows})
    assert tables.splits.shared_clips == ("both",)
    assert tables.splits.shared_houses == ()
    assert tables.splits.houses == 4


def test_a_house_in_two_splits_is_named(tmp_path: Path) -> None:
    sides = iter(["train", "test"] * 5)
    splits = audit_dataset(write(tmp_path, binary(10, 15, houses=1), lambda house: next(sides))).tables.splits
    assert splits.shared_houses == ("house-0",)


def test_a_sample_follows_from_the_seed_and_reports_how_many_there_are(tmp_path: Path) -> None:
    root = write(tmp_path, binary(3000, 16))
    reports = [audit_dataset(root, max_questions=2000, seed=seed) for seed in (0, 0, 1)]
    subtype = reports[0].subtypes[0]
    assert (subtype.questions, subtype.sampled) == (3000, 2000)
    assert reports[0].as_json() == reports[1].as_json()
    assert reports[0].as_json() != reports[2].as_json()


def test_the_report_is_printed_and_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = audited(tmp_path, binary(500, 17, lambda d: float(d.word == "left")))
    path = save_audit(tmp_path, report)
    saved = json.loads(path.read_text())
    assert path == tmp_path / "_spatialqa" / "audit.json"
    assert saved["failed"] is True
    assert saved["subtypes"][0]["verdict"] == "guessed"
    assert saved["subtypes"][0]["measures"][0]["attempts"][0]["guesser"] == "words"
    print_audit(report)
    printed = capsys.readouterr().out
    assert "GUESSED  relative_direction, answer by words: 100.0 %" in printed
    assert "answers can be predicted from the text: relative_direction" in printed


def test_every_subtype_of_a_rendered_data_set_is_audited(small: Path) -> None:
    report = audit_dataset(small)
    measures = {s.subtype: [m.measure for m in s.measures] for s in report.subtypes}
    assert measures["classification"] == ["label"]
    assert measures["location"] == measures["location_of_class"] == ["octant", "distance"]
    assert measures["distance_between"] == ["distance"]
    assert measures["relative_distance"] == measures["direction_word"] == ["answer"]
    assert {s.verdict for s in report.subtypes} == {"inconclusive"}
    assert not report.tables.splits.leaking


def test_no_answer_of_planned_scenes_follows_from_its_text(planned: Path) -> None:
    report = audit_dataset(planned)
    asked = {s.subtype for s in report.subtypes}
    assert asked == {subtype.name for kind in TYPES for subtype in BUILT_IN.by_type[kind]} - {"closest", "farthest"}
    assert not report.failed
    assert all(s.houses > 20 for s in report.subtypes)
    for subtype in report.subtypes:
        for measure in subtype.measures:
            names = {a.guesser for a in measure.attempts}
            assert {"words", "boosting"} <= names
            if subtype.subtype in ("region", "relative_direction", "relative_distance", "both_on_side"):
                assert {"label pairs", "label pairs, any order", "label pairs, ordered"} <= names
                furthest = 5 * 0.5 / subtype.sampled**0.5  # 13 baselines; region was at 60 % by direction alone
                assert all(abs(a.value - 0.5) < furthest for a in measure.attempts)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    root = write(tmp_path, binary(10, 18))
    with pytest.raises(DatasetError, match="no such table"):
        audit_dataset(root, table="qa-other")
    with pytest.raises(RecipeError, match="max_questions"):
        audit_dataset(root, max_questions=0)
    lost = pa.Table.from_pylist([binary_row(draw(np.random.default_rng(0), 0), True) | {"scene_id": "x"}], schema=QA)
    lost = lost.set_column(0, "qa_id", pa.array(["x-0"]))
    record = commit_table(root, "qa/train-00000-of-00001.parquet", lost)
    write_record(DatasetFolder(root).questions_file("qa"), questions_of(10, record))
    with pytest.raises(DatasetError, match="scene x, which is not in the scenes table"):
        audit_dataset(root)


def test_without_scikit_learn_the_pip_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'spatialqa\[audit\]'"):
        audited(tmp_path, binary(50, 20))


def test_holm_adjusts_by_rank_and_never_decreases() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_wilson_is_that_of_scipy() -> None:
    for hits, n in ((0, 10), (7, 30), (50, 50)):
        expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
        assert wilson(hits / n, n) == pytest.approx((expected.low, expected.high))


def test_questions_that_repeat_within_houses_count_as_the_houses_do() -> None:
    rng = np.random.default_rng(19)
    hits = (rng.random(200) < 0.5).astype(np.float64)
    repeated, houses = np.repeat(hits, 25), np.repeat(np.arange(200), 25)
    alone = np.arange(200)
    assert clustered_variance(hits, alone) == pytest.approx(np.var(hits, ddof=1) / 200)
    assert clustered_variance(repeated, houses) == pytest.approx(clustered_variance(hits, alone))
    assert share_interval(repeated, houses) == pytest.approx(share_interval(hits, alone), abs=0.002)
    assert gain_p_value(repeated - 0.45, houses) == pytest.approx(gain_p_value(hits - 0.45, alone), rel=0.1)


def test_the_sum_over_folds_that_teach_one_another_varies_no_more_than_is_allowed_for() -> None:
    noise = np.random.default_rng(21).normal(size=(40_000, 10, 5)) / np.sqrt(5)
    guess = np.sign(noise.sum(axis=2, keepdims=True) - noise)
    gains = (guess * noise).sum(axis=2).sum(axis=1) / np.sqrt(10)
    assert 1.8 < np.var(gains) < CROSS_VALIDATION


def test_one_house_proves_nothing_and_a_loss_is_no_gain() -> None:
    always = np.full(1000, 0.5)
    assert gain_p_value(always, np.zeros(1000, np.int64)) == 1.0
    assert gain_p_value(-always, np.arange(1000)) == 1.0
    assert gain_p_value(always, np.arange(1000)) < 1e-50
