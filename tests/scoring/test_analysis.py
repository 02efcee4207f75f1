import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from spatialqa.core.scene import Scene
from spatialqa.dataset.reading import read_rows, read_scenes
from spatialqa.errors import DatasetError
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from spatialqa.scoring.analysis_tables import print_analysis
from spatialqa.scoring.error_analysis import FIGURES, Figure, analyse, facts_of
from spatialqa.scoring.references import Reference, read_references


def predictions(path: Path, root: Path, said: dict[str, str] | None = None, split: str = "train") -> Path:
    """Write the true answers of a split, or what `said` has for a subtype in their place."""
    with path.open("w") as file:
        for table in sorted((root / "qa").glob(f"{split}-*")):
            for row in read_rows(table):
                text = (said or {}).get(row["subtype"], row["answer"])
                file.write(json.dumps({"qa_id": row["qa_id"], "prediction": text}) + "\n")
    return path


def test_a_control_answers_the_same_questions(small: Path, tmp_path: Path) -> None:
    right = predictions(tmp_path / "right.jsonl", small)
    short = tmp_path / "short.jsonl"
    short.write_text("".join(right.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(DatasetError, match="short.jsonl: does not answer 1 of the questions"):
        analyse(right, small, control=short)


def test_true_answers_are_right_everywhere_and_differ_from_a_control(small: Path, tmp_path: Path) -> None:
    right = predictions(tmp_path / "right.jsonl", small)
    wrong = predictions(tmp_path / "wrong.jsonl", small, dict.fromkeys(("location", "relative_distance"), "no idea"))
    analysis = analyse(right, small, control=wrong)
    overall = {own.title: own for own in analysis.overall}
    assert overall.keys() <= FIGURES.keys()
    for title, own in overall.items():
        best = 0.0 if own.metric == "der" else 1.0
        assert own.figure.value == best
        assert own.n > 0
        assert own.control is not None
        assert own.difference is not None
        if title in ("B direction", "E distance"):
            assert own.control.value == 0.0
            assert own.difference == Figure(1.0, 1.0, 1.0)
        elif title not in ("B distance", "E mean"):
            assert own.difference.value == 0.0
    assert overall["E mean"].difference == Figure(0.5, 0.5, 0.5)
    assert [own.title for own in analysis.overall if own.reasoning] == [t for t in overall if t.startswith("E")]
    assert all(part.figure.value == (0.0 if part.metric == "der" else 1.0) for part in analysis.bins)
    assert json.loads(json.dumps(analysis.as_json()))["splits"] == ["train"]


def test_bins_hold_every_question_once(small: Path, tmp_path: Path) -> None:
    analysis = analyse(predictions(tmp_path / "p.jsonl", small), small)
    for title in ("B direction", "D distance", "E direction"):
        n = next(own.n for own in analysis.overall if own.title == title)
        assert sum(part.n for part in analysis.bins if part.title == title and part.by == "distance, m") == n
    assert not any(part.title.startswith("B") and part.by == "angle, deg" for part in analysis.bins)  # one source
    both = sum(part.n for part in analysis.given_place if part.title == "E direction")
    truths = [t for t in read_references(small, "qa") if t.split == "train"]
    placed = {(t.scene_id, k) for t in truths if t.subtype == "location_of_class" for k in t.source_indices}
    asked = [t for t in truths if t.subtype in ("relative_direction", "both_on_side")]
    assert both == sum(any((t.scene_id, k) in placed for k in t.source_indices) for t in asked)


def test_reasoning_is_told_apart_by_the_places_of_the_very_sources_that_it_relates(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small, root)
    make_qa(root, QaRecipe(name="many", questions_per_subtype=4, balance=False))
    truths = [t for t in read_references(root, "qa-many") if t.split == "train"]
    placed: dict[str, list[Reference]] = {}
    for truth in truths:
        if truth.subtype == "location_of_class":
            placed.setdefault(truth.scene_id, []).append(truth)
    several = [own for own in placed.values() if len({t.source_indices for t in own}) > 1]
    assert several
    missed = [own[0] for own in several]  # one of the places in its scene, and not the last that is asked about
    said = {t.qa_id: t.answer for t in truths} | {t.qa_id: "no idea" for t in missed}
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps({"qa_id": k, "prediction": v}) + "\n" for k, v in said.items()))
    lost = {(t.scene_id, k) for t in missed for k in t.source_indices}
    found = {(b.title, b.low): b.n for b in analyse(path, root, "qa-many").given_place}
    for title in ("E direction", "E which source"):
        asked = [t for t in truths if t.subtype in FIGURES[title][1][0]]
        wrong = [t for t in asked if any((t.scene_id, k) in lost for k in t.source_indices)]
        assert found[title, 0.0] == len(wrong)
    beside = [t for t in asked if t not in wrong and any(t.scene_id == own.scene_id for own in missed)]
    assert beside  # of the same scenes, but asked about the other source


def test_what_is_not_answered_is_wrong_or_left_out(small: Path, tmp_path: Path) -> None:
    path = predictions(tmp_path / "p.jsonl", small)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[::2]))
    whole, half = analyse(path, small), analyse(path, small, answered_only=True)
    assert all(own.figure.value == (own.metric != "der") for own in half.overall)
    shares = {own.title: own.figure.value or 0.0 for own in whole.overall}
    assert 0.0 < shares["E direction"] < 1.0
    assert sum(own.n for own in half.overall) < sum(own.n for own in whole.overall)


def test_the_best_single_answer_is_what_giving_it_every_time_gets(small: Path, tmp_path: Path) -> None:
    truths = [t for t in read_references(small, "qa") if t.split == "train"]
    words = Counter(t.answer_direction for t in truths if t.subtype == "location").most_common(1)[0][0]
    word = Counter(t.answer for t in truths if t.subtype == "relative_distance").most_common(1)[0][0]
    overall = {own.title: own for own in analyse(predictions(tmp_path / "p.jsonl", small), small).overall}
    reached = {}
    for metres in ("0.5m", "1m", "1.5m", "2m", "2.5m", "3m"):
        said = {"location": f"{', '.join(words)}; {metres}", "relative_distance": word}
        found = analyse(predictions(tmp_path / "constant.jsonl", small, said), small)
        reached[metres] = {own.title: own.figure.value for own in found.overall}
    for title in ("B direction", "E distance"):
        assert overall[title].constant == pytest.approx(reached["1m"][title])
    assert overall["B distance"].constant == pytest.approx(min(own["B distance"] or 0.0 for own in reached.values()))
    labels = Counter(label for t in truths if t.subtype == "classification" for label in t.answer_labels)
    best = 0.0
    for n in range(1, len(labels) + 1):
        said = {"classification": "; ".join(label for label, _ in labels.most_common(n))}
        found = analyse(predictions(tmp_path / "labels.jsonl", small, said), small)
        best = max(best, next(own.figure.value or 0.0 for own in found.overall if own.title == "A labels"))
    assert overall["A labels"].constant == pytest.approx(best)


def test_what_makes_a_question_hard_is_read_off_its_scene(small: Path) -> None:
    scenes: list[Scene] = [s for path in sorted((small / "scenes").glob("*.parquet")) for s in read_scenes(path)]
    scene = next(s for s in scenes if len(s.sources) == 2)
    places = ((0.0, 0.0, 1.0, (-20.0, -20.0)), (90.0, 0.0, 3.0, (-30.0, -30.0)))
    sources = tuple(
        replace(source, azimuth_deg=a, elevation_deg=e, distance_m=d, wet_level_dbfs=wet)
        for source, (a, e, d, wet) in zip(scene.sources, places, strict=True)
    )
    truth = next(t for t in read_references(small, "qa") if t.subtype == "relative_distance")
    scene = replace(scene, sources=sources)
    pair = facts_of(replace(truth, source_indices=(1, 0)), scene)
    assert pair == pytest.approx((90.0, 3.0, -10.0, 2.0))
    beside = (replace(sources[0], wet_level_dbfs=(-20.0, -44.0)), replace(sources[1], wet_level_dbfs=(-30.0, -32.0)))
    apart = facts_of(replace(truth, source_indices=(0, 1)), replace(scene, sources=beside))
    assert apart.level_db == pytest.approx(10.0)  # the first by 10 dB at the left ear, the second by 12 at the right
    one = facts_of(replace(truth, source_indices=(0,)), scene)
    assert one[:3] == pytest.approx((90.0, 1.0, 10.0))
    assert one.apart_m is None
    alone = facts_of(replace(truth, source_indices=(0,)), replace(scene, sources=sources[:1]))
    assert alone == (None, 1.0, None, None)
    assert facts_of(replace(truth, source_indices=()), scene) == (None, None, None, None)


def test_predictions_for_something_else_are_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"qa_id": "other", "prediction": "Yes"}\n')
    with pytest.raises(DatasetError, match="answers no open question"):
        analyse(tmp_path / "p.jsonl", small)


def test_the_tables_are_printed(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = predictions(tmp_path / "p.jsonl", small)
    print_analysis(analyse(path, small, control=path))
    shown = capsys.readouterr().out
    assert "B direction, direction, all three words" in shown
    assert "D of its sources" in shown
    assert "right: 100.0" in shown
