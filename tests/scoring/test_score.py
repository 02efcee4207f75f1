"""Whole files of predictions against thousands of real questions."""

import dataclasses
import json
import random
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialqa.dataset.reading import read_scenes
from spatialqa.errors import DatasetError
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.scoring.references import read_scene_references
from spatialqa.scoring.results import METRICS, Metric, ScoreReport
from spatialqa.scoring.score import score
from tests.scoring.conftest import Write, questions


def figures(report: ScoreReport) -> dict[str, dict[str, Metric]]:
    return {found.subtype: found.metrics for found in report.subtypes}


@pytest.mark.parametrize("table", ["qa", "qa-mcq"])
def test_the_truth_scores_100_percent_everywhere(data: Path, write: Write, table: str) -> None:
    rows = questions(data, table)
    report = score(write((row["qa_id"], row["answer"]) for row in rows), data, table, text_model="none")
    assert len(rows) > 2000
    assert (report.questions, report.answered, report.splits) == (len(rows), len(rows), ("test",))
    assert {found.subtype for found in report.subtypes} == {row["subtype"] for row in rows}
    assert {found.subtype for found in report.subtypes} == set(BUILT_IN.by_name)
    for found in report.subtypes:
        assert (found.missing, found.unparsed, found.unread) == (0, 0, {})
        for name, metric in found.metrics.items():
            if name.startswith("map_whole") or METRICS[name].unit != "%":
                continue
            assert metric.value == (0 if METRICS[name].lower_is_better else 1), (found.subtype, name)
            assert metric.low is not None
            assert metric.high is not None
            assert metric.low <= metric.value <= metric.high
        if "distance_error_m" in found.metrics:
            assert 0 < (found.metrics["distance_error_m"].value or 0) < 0.25  # answers are rounded to half a metre
    for title, metric in report.paper.items():
        assert metric.value == (0 if title.endswith("DER") else 1)
    if table == "qa":
        titles = "A mAP,B DoA,B DER,C mAP,D DoA,D DER,E direction,E distance,E mean"
        assert list(report.paper) == titles.split(",")


def dealt(rows: list[dict[str, Any]], seed: int) -> list[tuple[str, str]]:
    """Answer at random, in the form that each question wants: octants evenly, the rest as answers are spread."""
    draw = random.Random(seed)
    answers = defaultdict(list)
    for row in rows:
        answers[row["subtype"]].append(row["answer"])
    pairs = []
    for row in rows:
        answer = draw.choice(row["choices"] or answers[row["subtype"]])
        if row["subtype"] in ("location", "location_of_class"):
            octant = [draw.choice(ends) for ends in (("left", "right"), ("front", "behind"), ("above", "below"))]
            answer = f"{', '.join(octant)}; {answer.split('; ')[1]}"
        pairs.append((row["qa_id"], answer))
    return pairs


def test_random_answers_score_what_chance_gives(data: Path, write: Write) -> None:
    """The random row of SpatialSoundQA's table: DoA 12.5 %, Yes/No 50 %, and DER as the distances are spread."""
    rows = questions(data)
    reports = [score(write(dealt(rows, seed)), data, text_model="none") for seed in range(2)]
    for subtype, metrics in figures(reports[0]).items():
        for name, metric in metrics.items():
            if metric.chance is None or name.startswith("map"):
                continue
            mean = sum(figures(report)[subtype][name].value or 0 for report in reports) / len(reports)
            trials = metric.n * len(reports)
            spread = (metric.chance * (1 - metric.chance) / trials) ** 0.5
            assert abs(mean - metric.chance) < 4 * spread, (subtype, name, mean, metric.chance)
    chance = {title: metric.chance for title, metric in reports[0].paper.items()}
    assert chance["B DoA"] == chance["D DoA"] == 0.125
    assert chance["E direction"] == chance["E distance"] == chance["E mean"] == 0.5
    for title in ("A mAP", "C mAP"):
        values = [report.paper[title].value or 0 for report in reports]
        assert all(0.5 < value / (chance[title] or 0) < 2 for value in values), (title, values, chance[title])


def test_offered_counts_are_guessed_by_how_often_each_is_right(data: Path, write: Write) -> None:
    """The options are always 1 to 4, so a guess among the four would understate chance where two never occur."""
    rows = [row for row in questions(data, "qa-mcq") if row["subtype"] == "count"]
    shares = np.array(list(Counter(row["answer_count"] for row in rows).values())) / len(rows)
    draw = random.Random(0)
    spoken = [draw.choice(rows)["answer_count"] for _ in rows]
    pairs = write((row["qa_id"], str(said)) for row, said in zip(rows, spoken, strict=True))
    metric = figures(score(pairs, data, "qa-mcq", text_model="none", answered_only=True))["count"]["accuracy"]
    assert metric.chance is not None
    assert metric.chance == pytest.approx(float((shares**2).sum()))
    assert abs((metric.value or 0) - metric.chance) < 4 * (0.25 / len(rows)) ** 0.5


def test_free_form_answers_score_like_the_truth(data: Path, write: Write) -> None:
    def spoken(row: dict[str, Any]) -> str:
        answer: str = row["answer"]
        match row["subtype"]:
            case "location" | "location_of_class":
                (side, depth, height), distance = row["answer_direction"], answer.split("; ")[1].rstrip("m")
                return f"It is to your {side}, {depth} and slightly {height}; roughly {distance} metres away, I think."
            case "distance_between":
                return f"They are about {answer.rstrip('m')} metres apart."
            case "direction_word":
                return f"The sound of the {row['asked_labels'][0]} is {answer}, I think."
            case "classification" | "classification_at_location":
                return f"I can hear {', '.join(row['answer_labels'])}."
            case "clock":
                return f"It's at your {answer}!"
            case "count":
                return f"There are {answer} sounds."
            case _:
                return f"**{answer}**, no doubt." if row["choices"] else f"That would be the {answer.upper()}."

    report = score(write((row["qa_id"], spoken(row)) for row in questions(data)), data, text_model="none")
    for subtype, metrics in figures(report).items():
        for name in ("accuracy", "direction", "exact", "map_lexical"):
            if name in metrics:
                assert (metrics[name].value or 0) > 0.99, (subtype, name, metrics[name])
        if "der" in metrics:
            assert metrics["der"].value == 0


def test_angles_in_answers_are_measured_on_the_sphere(data: Path, write: Write) -> None:
    path = data / "scenes" / "test-00000-of-00001.parquet"
    scenes = {scene.scene_id: scene for scene in read_scenes(path)}
    pairs = []
    for row in questions(data):
        if row["subtype"] in ("location", "location_of_class"):
            source = scenes[row["scene_id"]].sources[row["source_indices"][0]]
            elevation = source.elevation_deg - 7 if source.elevation_deg > 0 else source.elevation_deg + 7
            pairs.append((row["qa_id"], f"azimuth {source.azimuth_deg:.4f}, elevation {elevation:.4f}"))
    words_only = next(row for row in questions(data) if row["subtype"] == "location")
    pairs = [(q, words_only["answer"].split(";")[0] if q == words_only["qa_id"] else text) for q, text in pairs]
    report = score(write(pairs), data, text_model="none", answered_only=True)
    found = figures(report)
    assert found["location"]["great_circle_deg"].n == found["location"]["direction"].n - 1
    assert found["location_of_class"]["great_circle_deg"].value == pytest.approx(7, abs=1e-3)
    assert found["location"]["left_right"].value == pytest.approx(1, abs=0.01)
    assert found["location"]["der"].value == pytest.approx(1, abs=0.01)  # a distance that is not given is wrong
    location = next(s for s in report.subtypes if s.subtype == "location")
    assert location.unparsed == location.unread["distance"] == location.questions


def test_missing_duplicate_and_unknown_ids_are_told(data: Path, write: Write) -> None:
    rows = questions(data)
    pairs = [(row["qa_id"], row["answer"]) for row in rows]
    train = questions(data, split="train")
    kept = pairs[::2]
    mixed = [*kept, (kept[0][0], "nonsense"), ("x-1", "Yes"), ("x-2", "No"), (train[0]["qa_id"], "Yes")]
    report = score(write(mixed), data, split="test", text_model="none")
    assert (report.missing.count, report.duplicates.count, report.unknown.count) == (len(pairs) - len(kept), 1, 2)
    assert report.missing.first[0] == pairs[1][0]
    assert len(report.missing.first) == 5
    assert report.unknown.first == ("x-1", "x-2")
    assert (report.other_splits, report.splits) == (1, ("test",))
    both = score(write(mixed), data, text_model="none")
    assert set(both.splits) == {"train", "test"}  # every split that is touched counts whole
    assert both.missing.count == len(pairs) - len(kept) + len(train) - 1
    for found in report.subtypes:
        metric = found.metrics.get("accuracy", found.metrics.get("direction"))
        if metric is not None:
            assert metric.value == pytest.approx(1 - found.missing / found.questions)
        assert found.unparsed == 0
        if "der" in found.metrics:
            assert found.metrics["der"].value == pytest.approx(found.missing / found.questions)
    fair = score(write(mixed), data, split="test", text_model="none", answered_only=True)
    assert (fair.questions, fair.answered, fair.missing.count) == (len(kept), len(kept), len(pairs) - len(kept))
    assert all(metric.value in (0, 1) for metric in fair.paper.values())


def test_another_name_of_the_same_source_is_right_and_a_list_of_everything_is_not(data: Path, write: Write) -> None:
    rows = [row for row in questions(data) if row["subtype"] == "source_at_direction"]
    scenes = read_scene_references(data, {row["scene_id"] for row in rows}, {"test"})
    other_name, everything, n = [], [], 0
    for row in rows:
        scene, index = scenes[row["scene_id"]], row["source_indices"][0]
        names = scene.names_of(index)
        assert row["answer"] in names
        others = sorted(names - {row["answer"]}) or [row["answer"]]
        n += others[0] != row["answer"]
        other_name.append((row["qa_id"], others[0]))
        everything.append((row["qa_id"], "; ".join(label for source in scene.sources for label in source.labels)))
    assert n > 50
    for pairs, expected in ((other_name, 1.0), (everything, 0.0)):
        report = score(write(pairs), data, text_model="none", answered_only=True)
        assert figures(report)["source_at_direction"]["accuracy"].value == pytest.approx(expected, abs=0.02)


def test_the_same_file_gives_the_same_report_and_the_seed_only_moves_intervals(data: Path, write: Write) -> None:
    path = write(dealt(questions(data), 9))
    first, again, other = (score(path, data, text_model="none", seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert json.loads(json.dumps(first.as_json())) == json.loads(json.dumps(dataclasses.asdict(first)))
    assert first.clusters == "house"
    assert first.n_clusters == 60
    for a, b in zip(first.subtypes, other.subtypes, strict=True):
        assert {k: m.value for k, m in a.metrics.items()} == {k: m.value for k, m in b.metrics.items()}
    assert first.paper["E mean"].low != other.paper["E mean"].low
    mean = (first.paper["E direction"].value or 0) + (first.paper["E distance"].value or 0)
    assert first.paper["E mean"].value == pytest.approx(mean / 2)


def test_what_cannot_be_scored_is_told_in_one_line(data: Path, write: Write, tmp_path: Path) -> None:
    path = write([("nobody-asked", "Yes")])
    for root, table, split, message in (
        (data, "qa", None, "none of its 1 qa_ids is in"),
        (data, "qa", "validation", "none of its 1 qa_ids is in"),
        (data, "qa-other", None, "holds no questions in 'qa-other'; it holds qa, qa-mcq"),
        (tmp_path / "absent", "qa", None, "no such data set"),
        (tmp_path, "qa", None, "is not a spatialqa data set"),
    ):
        with pytest.raises(DatasetError, match=re.escape(message)) as caught:
            score(path, root, table, split)
        assert "\n" not in str(caught.value)
