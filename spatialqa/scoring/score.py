"""Scores predictions: pairs them with questions, grades each answer, and sums up."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import DatasetError
from spatialqa.qa.answer_text import DISTANCE_STEP_M, rounded_m
from spatialqa.scoring.grade import AXIS_METRICS, DER_THRESHOLD_M, Grade, grade
from spatialqa.scoring.intervals import FEWEST_HOUSES, Bootstrap, FloatArray, IntArray, percentiles, wilson
from spatialqa.scoring.parsing.class_names import Names, parts
from spatialqa.scoring.predictions import Predictions, read_predictions
from spatialqa.scoring.references import Reference, SceneReference, answer_kinds, read_references, read_scene_references
from spatialqa.scoring.results import METRICS, IdProblems, Metric, ScoreReport, SubtypeScore
from spatialqa.scoring.retrieval import mean_ap
from spatialqa.scoring.similarity import Lexical, Similarity, sentence_model

_FIRST_FEW = 5
_DIRECTION_SUBTYPES = ("relative_direction", "both_on_side")
_DISTANCE_SUBTYPES = ("relative_distance",)


def score(
    predictions: Path | Predictions,
    root: Path,
    table: str = "qa",
    split: str | None = None,
    text_model: Path | str | None = None,
    seed: int = 0,
    answered_only: bool = False,
) -> ScoreReport:
    """Measure predictions against the questions of a data set.

    Args:
        predictions: JSON lines or Parquet with qa_id and prediction, or what was read of it.
        root: the data set. table: its questions, "qa" or "qa-NAME".
        split: which split is measured; None takes every split in which there is a prediction.
        text_model: the folder of a sentence model for mAP; None takes the installed one if there is one, "none" none.
            The lexical mAP is always given.
        seed: of the bootstrap.
        answered_only: leave out questions without a prediction, which else count as wrong.

    Raises:
        DatasetError: the predictions or the questions cannot be read, or no prediction belongs to a question.
        MissingDependencyError: the sentence model that was named cannot be used.
    """
    given = read_predictions(predictions)
    everything = {truth.qa_id: truth for truth in read_references(root, table)}
    unknown = [qa_id for qa_id in given.by_id if qa_id not in everything]
    touched = {everything[qa_id].split for qa_id in given.by_id if qa_id in everything}
    if split is not None:
        touched &= {split}
    if not touched:
        where = f"{root}/{table}" + (f", split {split!r}" if split else "")
        raise DatasetError(
            f"{predictions}: none of its {len(given.by_id)} qa_ids is in {where} (the first is "
            f"{next(iter(given.by_id))!r}); name the data set that the questions came from"
        )
    asked = [truth for truth in everything.values() if truth.split in touched]
    missing = [truth.qa_id for truth in asked if truth.qa_id not in given.by_id]
    if answered_only:
        asked = [truth for truth in asked if truth.qa_id in given.by_id]
    scenes = read_scene_references(root, {truth.scene_id for truth in asked}, touched)
    model = sentence_model(text_model)
    by, cluster_names = _clusters(asked, scenes)
    bootstrap = Bootstrap(cluster_names, seed)
    names = Names(label for scene in scenes.values() for source in scene.sources for label in source.labels)
    answers = [given.by_id.get(truth.qa_id) for truth in asked]
    grades = [
        grade(truth, scenes.get(truth.scene_id), answer or "", names)
        for truth, answer in zip(asked, answers, strict=True)
    ]
    tally = _Tally(asked, answers, grades, bootstrap, names, model)
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, truth in enumerate(asked):
        groups.setdefault((truth.type, truth.subtype, "mcq" if truth.multiple_choice else "open"), []).append(i)
    order = list(answer_kinds(DatasetFolder(root), table))
    keys = sorted(groups, key=lambda key: (key[0], order.index(key[1]), key[2]))
    subtypes = tuple(tally.subtype(*key, np.array(groups[key])) for key in keys)
    return ScoreReport(
        predictions=str(predictions),
        root=str(root),
        table=table,
        splits=tuple(dict.fromkeys(truth.split for truth in asked)),
        questions=len(asked),
        answered=sum(answer is not None for answer in answers),
        answered_only=answered_only,
        missing=_problems(missing),
        duplicates=_problems(given.duplicates),
        unknown=_problems(unknown),
        other_splits=sum(truth.split not in touched for q, truth in everything.items() if q in given.by_id),
        text_model=model.name if model else None,
        clusters=by,
        n_clusters=bootstrap.n_clusters,
        seed=seed,
        subtypes=subtypes,
        paper=tally.paper(subtypes),
    )


def _problems(ids: Iterable[str]) -> IdProblems:
    every = list(ids)
    return IdProblems(len(every), tuple(every[:_FIRST_FEW]))


def _clusters(asked: Sequence[Reference], scenes: Mapping[str, SceneReference]) -> tuple[str, list[str]]:
    """Return what questions are clustered by, and the cluster of each: houses where there are enough, else scenes."""
    houses = [scene.house_id if (scene := scenes.get(truth.scene_id)) else None for truth in asked]
    known = [house for house in houses if house is not None]
    if len(known) == len(asked) and len(set(known)) >= FEWEST_HOUSES:
        return "house", known
    return "scene", [truth.scene_id for truth in asked]


class _Tally:
    """Sums the grades of all questions up."""

    def __init__(
        self,
        asked: Sequence[Reference],
        answers: Sequence[str | None],
        grades: Sequence[Grade],
        bootstrap: Bootstrap,
        names: Names,
        model: Similarity | None,
    ) -> None:
        self._asked, self._answers, self._grades = asked, answers, grades
        self._bootstrap, self._names, self._model = bootstrap, names, model

    def subtype(self, question_type: str, subtype: str, form: str, rows: IntArray) -> SubtypeScore:
        """Sum up the questions `rows`, which are of one subtype and form."""
        metrics = self._retrieval(rows) if self._asked[rows[0]].kind == "labels" and form == "open" else {}
        chance = self._chance(rows)
        for name in METRICS:
            metric = self._ratio(name, rows, chance.get(name))
            if metric is not None:
                metrics[name] = metric
        answered = [self._grades[i] for i in rows if self._answers[i] is not None]
        return SubtypeScore(
            type=question_type,
            subtype=subtype,
            form=form,
            questions=len(rows),
            missing=len(rows) - len(answered),
            unparsed=sum(bool(grade.unread) for grade in answered),
            unread=dict(Counter(what for grade in answered for what in grade.unread)),
            metrics=metrics,
        )

    def paper(self, subtypes: Sequence[SubtypeScore]) -> dict[str, Metric]:
        """Return the rows of the paper's table for which there are open questions."""
        table: dict[str, Metric] = {}
        open_ones = {score.subtype: score.metrics for score in subtypes if score.form == "open"}
        retrieval = "map_sentence" if self._model else "map_lexical"
        for title, subtype, name in (
            ("A mAP", "classification", retrieval),
            ("B DoA", "location", "direction"),
            ("B DER", "location", "der"),
            ("C mAP", "classification_at_location", retrieval),
            ("D DoA", "location_of_class", "direction"),
            ("D DER", "location_of_class", "der"),
        ):
            if subtype in open_ones:
                table[title] = open_ones[subtype][name]
        direction = self._rows_of(_DIRECTION_SUBTYPES)
        distance = self._rows_of(_DISTANCE_SUBTYPES)
        for title, of in (("E direction", direction), ("E distance", distance)):
            if len(of) and (metric := self._ratio("accuracy", of, 0.5)) is not None:
                table[title] = metric
        if len(direction) and len(distance):
            table["E mean"] = self._mean_of_two(direction, distance)
        return table

    def _rows_of(self, subtypes: Sequence[str]) -> IntArray:
        return np.array([i for i, t in enumerate(self._asked) if t.subtype in subtypes and not t.multiple_choice], int)

    def _sums(self, name: str, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        parts_of = [self._grades[i].parts.get(name, (0.0, 0.0)) for i in rows]
        above, below = np.array(parts_of, dtype=np.float64).reshape(-1, 2).T
        return above, below

    def _ratio(self, name: str, rows: IntArray, chance: float | None) -> Metric | None:
        """Return one metric over `rows`; None where none of them has it."""
        above, below = self._sums(name, rows)
        if not any(name in self._grades[i].parts for i in rows):
            return None
        n = int(np.count_nonzero(below))
        if n == 0:
            return Metric(None, None, None, 0, chance)
        value = float(above.sum() / below.sum())
        there = rows[below > 0]
        n_clusters = self._bootstrap.n_clusters_of(there)
        interval = percentiles(self._bootstrap.ratio(rows, above, below)) if n_clusters > 1 else None
        if METRICS[name].unit == "%" and value in (0.0, 1.0):
            # No resample of answers that are all right, or all wrong, differs: one trial a cluster stands for them.
            interval = wilson(value, n_clusters)
        low, high = interval or (None, None)
        return Metric(value, low, high, n, chance)

    def _mean_of_two(self, first: IntArray, second: IntArray) -> Metric:
        values, replicates = [], []
        for rows in (first, second):
            above, below = self._sums("accuracy", rows)
            values.append(float(above.sum() / below.sum()))
            replicates.append(self._bootstrap.ratio(rows, above, below))
        n = len(first) + len(second)
        mean = sum(values) / 2
        n_clusters = self._bootstrap.n_clusters_of(np.concatenate([first, second]))
        interval = percentiles((replicates[0] + replicates[1]) / 2) if n_clusters > 1 else None
        if mean in (0.0, 1.0):
            interval = wilson(mean, n_clusters)
        low, high = interval or (None, None)
        return Metric(mean, low, high, n, 0.5)

    def _retrieval(self, rows: IntArray) -> dict[str, Metric]:
        answers = [self._answers[i] or "" for i in rows]
        truth = [self._asked[i].answer_labels or tuple(parts(self._asked[i].answer)) for i in rows]
        metrics = {}
        with_names: list[tuple[str, Similarity]] = [("lexical", Lexical())]
        if self._model is not None:
            with_names.append(("sentence", self._model))
        for whole, prefix in ((False, "map"), (True, "map_whole")):
            for name, similarity in with_names:
                found = mean_ap(answers, truth, self._names, similarity, self._bootstrap, rows, whole)
                low, high = found.interval or (None, None)
                metrics[f"{prefix}_{name}"] = Metric(found.value, low, high, len(rows), found.chance)
        return metrics

    def _chance(self, rows: IntArray) -> dict[str, float]:
        """Return what answers get that know the form of the question and nothing of the sound.

        Where the question offers its answers, one of them is taken; an octant is one of eight; for everything
        else the answers are permuted among the questions (as for distances in SpatialSoundQA's random row). So are
        offered counts: the options are always 1 to 4, and some of them may never be right.
        """
        asked = [self._asked[i] for i in rows]
        chance = dict.fromkeys(AXIS_METRICS, 1 / 2) | {"direction": 1 / 8}
        counts = [truth.answer_count for truth in asked if truth.answer_count is not None]
        if all(truth.choices for truth in asked) and len(counts) < len(asked):
            chance["accuracy"] = float(np.mean([1 / len(truth.choices) for truth in asked]))
        else:
            answers = counts or [truth.answer for truth in asked]
            shares = np.array(list(Counter(answers).values())) / len(asked)
            chance["accuracy"] = float((shares**2).sum())
        steps = [
            round(rounded_m(t.answer_distance_m) / DISTANCE_STEP_M) for t in asked if t.answer_distance_m is not None
        ]
        if steps:
            share = np.bincount(steps) / len(steps)
            reach = round(DER_THRESHOLD_M / DISTANCE_STEP_M)
            near = np.convolve(share, np.ones(2 * reach + 1))[reach : reach + len(share)]
            chance["der"] = float(1 - share @ near)
        return chance
