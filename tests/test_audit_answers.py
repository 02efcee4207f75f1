"""The text-only guesser's answers against questions whose secrets we know, and as `score` reads them."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("sklearn")

from spatialqa.audit.predict import ChosenBaseline, answer_from_text
from spatialqa.audit.sample import Sample
from spatialqa.audit.tasks import tasks_of
from spatialqa.cli.main import cli
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.qa.answer_text import labels_answer
from spatialqa.scoring.error_analysis import analyse
from spatialqa.scoring.results import ScoreReport
from spatialqa.scoring.score import score
from tests.fixtures.datasets import Row
from tests.test_audit import LABELS, OCTANTS, Draws, binary, choice_rows, open_rows, which_rows, write

HOUSES = 60
TEST_HOUSES = 12  # the last of them


def split_of_house(house: int) -> str:
    return "test" if house >= HOUSES - TEST_HOUSES else "train"


def answered(
    root: Path, rows: Iterable[Row], split: Callable[[int], str] = split_of_house
) -> tuple[dict[str, str], dict[str, ChosenBaseline]]:
    """Return what the guesser says, by qa_id, and by which guessers."""
    data = write(root, rows, split)
    said = answer_from_text(data, data / "said.jsonl")
    lines = [json.loads(line) for line in (data / "said.jsonl").read_text().splitlines()]
    assert said.answers == len(lines)
    return {row["qa_id"]: row["prediction"] for row in lines}, {c.measure: c for c in said.choices}


def scored(root: Path) -> dict[str, float | None]:
    report = score(root / "said.jsonl", root, text_model="none")
    return {name: metric.value for name, metric in report.subtypes[0].metrics.items()}


def held_out(rows: list[Row]) -> list[Row]:
    """Return the rows of the test split, in the order in which they are written."""
    return [row for row in rows if split_of_house(row["house"]) == "test"]


def test_nothing_to_guess_is_answered_at_chance(tmp_path: Path) -> None:
    answered(tmp_path, binary(9000, 1))
    assert scored(tmp_path)["accuracy"] == pytest.approx(0.5, abs=0.035)  # three standard errors of 1,800


def test_two_weak_clues_are_put_together_by_the_words(tmp_path: Path) -> None:
    def lean(draws: Draws) -> float:
        return 0.5 + (0.2 if draws.word in ("left", "front") else -0.2) + (0.2 if "dog" in draws.labels[0] else -0.05)

    _, by = answered(tmp_path, binary(9000, 2, lean))
    assert by["answer"].guesser == "words"
    assert scored(tmp_path)["accuracy"] == pytest.approx(0.5 + 0.8 * 0.2 + 0.2 * 0.2, abs=0.04)


def test_octants_and_distances_are_the_best_of_their_template(tmp_path: Path) -> None:
    rows = open_rows(5000, 3, lambda template, rng: template % 8 if rng.random() < 0.4 else None)
    told = held_out([dict(row) for row in rows])
    said, by = answered(tmp_path, rows)
    assert set(by) == {"octant", "distance"}
    right = 0
    for row, answer in zip(told, said.values(), strict=True):
        words, distance = answer.split("; ")
        right += words == ", ".join(OCTANTS[int(row["template_id"][2:]) % 8])
        assert distance.endswith("m")
    assert right > 0.98 * len(told)
    figures = scored(tmp_path)
    assert figures["direction"] == pytest.approx(0.4 + 0.6 / 8, abs=0.04)
    der, best = figures["der"], _best_der(rows, told)
    assert der is not None
    assert best <= der < best + 0.02
    assert der < 0.9 * _best_der(
        [row | {"template_id": ""} for row in rows], [row | {"template_id": ""} for row in told]
    )


def _best_der(rows: list[Row], told: list[Row]) -> float:
    """Return the DER of the best distance for each template, found on the questions themselves."""
    of: defaultdict[str, list[float]] = defaultdict(list)
    for row in told:
        of[row["template_id"]].append(round(2 * row["answer_distance_m"]) / 2)
    missed = sum(min(sum(abs(k / 2 - true) > 0.5 for true in own) for k in range(40)) for own in of.values())
    return missed / len(told)


def test_the_distance_that_is_right_most_often_is_said_and_not_the_median(tmp_path: Path) -> None:
    rows = open_rows(1000, 4, lambda template, rng: None)
    for k, row in enumerate(rows):
        row["answer_distance_m"] = (1.0, 1.1, 4.0, 6.0, 8.0)[k % 5]
    said, _ = answered(tmp_path, rows)
    assert {answer.split("; ")[1] for answer in said.values()} <= {"0.5m", "1m", "1.5m"}  # the median is 4


def test_distances_are_right_where_the_grader_says_so() -> None:
    from spatialqa.audit.predict import _as_scored
    from spatialqa.qa.answer_text import rounded_m

    distances = [0.25, 0.74, 0.75, 1.0, 1.25, 2.2, 3.75, *np.random.default_rng(5).uniform(0.2, 9, 200)]
    columns: dict[str, list[Any]] = {
        name: [None] * len(distances) for name in ("choices", "answer_bool", "answer", "answer_count")
    }
    columns |= {"answer_direction": [None] * len(distances), "answer_labels": [None] * len(distances)}
    columns["answer_distance_m"] = distances
    (task,) = tasks_of(Sample("E", "distance_between", 0, columns, np.zeros(len(distances), np.int64)))
    expected = [[abs(said - rounded_m(true)) <= 0.5 for said in task.grid_m] for true in distances]
    assert (_as_scored(task).right.toarray() > 0).tolist() == expected


def label_rows(n: int, seed: int, of_word: bool) -> list[Row]:
    """Type A about six labels of skewed shares, one or two an answer; of_word: which six is told by the question."""
    rng = np.random.default_rng(seed)
    shares = np.asarray([0.45, 0.25, 0.12, 0.08, 0.06, 0.04])
    rows = []
    for i in range(n):
        word = ("near", "distant")[rng.integers(2)]
        first = 6 if of_word and word == "near" else 0
        labels = rng.choice(LABELS[first : first + 6], size=1 + int(rng.random() < 0.4), replace=False, p=shares)
        rows.append(
            {
                "type": "A",
                "subtype": "classification",
                "question": f"What {word} thing do you hear?",
                "answer": labels_answer(labels),
                "template_id": "a-1",
                "answer_labels": sorted(labels),
                "house": i * HOUSES // n,
            }
        )
    return rows


def _best_set(rows: list[Row]) -> str:
    """Return the set of labels with the greatest F1 over these questions, of all sets that there are."""
    names = sorted({name for row in rows for name in row["answer_labels"]})

    def f1(given: Sequence[str]) -> float:
        hits = sum(name in row["answer_labels"] for row in rows for name in given)
        return 2 * hits / sum(len(given) + len(row["answer_labels"]) for row in rows)

    sets: list[Sequence[str]] = [each for k in range(1, 7) for each in combinations(names, k)]
    best = max(sets, key=f1)
    return labels_answer(best)


@pytest.mark.parametrize("of_word", [False, True])
def test_label_sets_are_those_of_the_best_f1(tmp_path: Path, of_word: bool) -> None:
    rows = label_rows(3000, 6, of_word)
    train = [row for row in rows if split_of_house(row["house"]) == "train"]
    told = held_out([dict(row) for row in rows])
    best = {word: _best_set([r for r in train if not of_word or word in r["question"]]) for word in ("near", "distant")}
    assert len(best["near"].split("; ")) > 1
    said, by = answered(tmp_path, rows)
    wanted = [best["near" if "near" in row["question"] else "distant"] for row in told]
    assert np.mean([a == b for a, b in zip(said.values(), wanted, strict=True)]) > 0.95
    assert scored(tmp_path)["f1"] == pytest.approx(by["label"].value, abs=0.04)


def test_a_side_that_tells_the_label_is_used(tmp_path: Path) -> None:
    rows = which_rows(5000, 7, 0.8)
    told = held_out([dict(row) for row in rows])
    said, _ = answered(tmp_path, rows)
    assert np.mean([a in row["answer_labels"] for a, row in zip(said.values(), told, strict=True)]) > 0.75


def test_choices_are_answered_by_one_of_them_letter_and_all(tmp_path: Path) -> None:
    def third(rng: np.random.Generator) -> tuple[list[str], int]:
        words = [", ".join(OCTANTS[k]) for k in rng.permutation(8)[:4]]
        return words, 2 if rng.random() < 0.6 else int(rng.integers(4))

    rows = choice_rows(3000, 8, third)
    told = held_out([dict(row) for row in rows])
    said, _ = answered(tmp_path, rows)
    assert all(a == row["choices"][2] for a, row in zip(said.values(), told, strict=True))


def test_the_answers_of_the_split_itself_are_not_looked_at(tmp_path: Path) -> None:
    rows = open_rows(500, 9, lambda template, rng: template % 8 if rng.random() < 0.5 else None)
    lying = [dict(row) for row in rows]
    for row in held_out(lying):
        row |= {"answer_direction": OCTANTS[0], "answer_distance_m": 9.0, "answer": "left, front, above; 9m"}
    answered(tmp_path / "true", rows)
    answered(tmp_path / "lying", lying)
    assert (tmp_path / "true/said.jsonl").read_bytes() == (tmp_path / "lying/said.jsonl").read_bytes()


def test_one_house_is_enough_to_learn_from(tmp_path: Path) -> None:
    rows = open_rows(600, 10, lambda template, rng: template % 8)
    told = held_out([dict(row) for row in rows])
    said, _ = answered(tmp_path, [row | {"house": HOUSES * (split_of_house(row["house"]) == "test")} for row in rows])
    right = [a.startswith(", ".join(r["answer_direction"])) for a, r in zip(said.values(), told, strict=True)]
    assert np.mean(right) > 0.9


def test_every_question_of_a_rendered_data_set_is_answered_in_the_form_that_score_reads(
    small: Path, tmp_path: Path
) -> None:
    to = tmp_path / "below" / "said.jsonl"
    said = answer_from_text(small, to, split="validation")
    report = score(to, small, text_model="none")
    assert report.splits == ("validation",)
    assert report.questions == report.answered == said.answers
    assert report.missing.count == report.unknown.count == report.duplicates.count == 0
    assert _unparsed(report) == 0
    again = tmp_path / "again.jsonl"
    answer_from_text(small, again, split="validation")
    assert again.read_bytes() == to.read_bytes()
    compared = analyse(to, small, control=again).overall
    assert {own.difference.value for own in compared if own.difference} == {0.0}


def _unparsed(report: ScoreReport) -> int:
    return sum(subtype.unparsed for subtype in report.subtypes)


def test_the_command_answers_and_names_what_it_did(tmp_path: Path) -> None:
    data = write(tmp_path / "data", binary(400, 11, lambda d: float(d.word == "left")), split_of_house)
    to = tmp_path / "said.jsonl"
    result = CliRunner().invoke(cli, ["audit", str(data), "--answers", str(to)])
    assert result.exit_code == 0, result.output
    assert "relative_direction, answer by words: 100.0 % right" in result.output
    assert f"next: spatialqa score {to} {data}" in " ".join(result.output.split())
    assert scored_file(to, data) == 1.0
    assert not (data / "_spatialqa" / "audit.json").exists()
    without = CliRunner().invoke(cli, ["audit", str(data), "--split", "test"])
    assert isinstance(without.exception, RecipeError)


def scored_file(predictions: Path, root: Path) -> float | None:
    return score(predictions, root, text_model="none").subtypes[0].metrics["accuracy"].value


def test_errors_say_what_to_do_and_leave_nothing(tmp_path: Path) -> None:
    data = write(tmp_path / "data", binary(200, 12), split_of_house)
    to = tmp_path / "said.jsonl"
    with pytest.raises(RecipeError, match="let it answer another split"):
        answer_from_text(data, to, split="train")
    with pytest.raises(DatasetError, match="no questions of the split dev"):
        answer_from_text(data, to, split="dev")
    with pytest.raises(RecipeError, match="max_questions"):
        answer_from_text(data, to, max_questions=0)
    other = write(tmp_path / "other", binary(20, 12), lambda house: "test")
    with pytest.raises(DatasetError, match="no questions of the split train"):
        answer_from_text(other, to)
    rows = [*binary(100, 13), *held_out(label_rows(100, 13, False))]
    with pytest.raises(DatasetError, match="test asks questions of classification, and train has none"):
        answer_from_text(write(tmp_path / "uneven", rows, split_of_house), to)
    assert not to.exists()
    to.write_text("hours of work")
    with pytest.raises(DatasetError, match="exists already"):
        answer_from_text(data, to)
    assert to.read_text() == "hours of work"
