"""Right answers in many styles score as right; what says neither yes nor no scores as neither."""

import pytest

from spatialqa.scoring.parsing.class_names import Names
from spatialqa.scoring.parsing.normalise import plain
from spatialqa.scoring.parsing.yes_no import yes_no
from tests.scoring import unseen_styles
from tests.scoring.answer_styles import GROUPS, HEDGED, NO, YES, Group, read_right, results

NAMES = Names()


@pytest.mark.parametrize(("group", "answer"), [(group, answer) for group in GROUPS for answer in group.answers])
def test_a_right_answer_scores_as_right(group: Group, answer: str) -> None:
    assert read_right(group, answer, NAMES)


@pytest.mark.parametrize(("group", "other"), [(YES, NO), (NO, YES)], ids=["yes", "no"])
def test_an_answer_is_not_its_opposite(group: Group, other: Group) -> None:
    assert [answer for answer in other.answers if read_right(group, answer, NAMES)] == []


@pytest.mark.parametrize("answer", HEDGED)
def test_a_hedge_says_neither(answer: str) -> None:
    assert yes_no(plain(answer)) is None


def test_answers_that_were_written_later_score_as_right_but_for_descriptions_of_sounds() -> None:
    wrong = [(group.type, answer) for group, answer, right in unseen_styles.results() if not right]
    assert [kind for kind, _ in wrong] == ["A"] * 5, wrong


def test_there_are_200_answers() -> None:
    assert len(list(results())) >= 200
