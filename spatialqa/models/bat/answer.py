"""Answers the questions of a data set with a trained BAT.

    spatialqa answer OUT --model RUN --to preds.jsonl           then: spatialqa score preds.jsonl OUT
    spatialqa answer OUT --model RUN --to control.jsonl --silence         control: no audio

Answers are appended as they come, and the same command resumes after a kill, see answers_file.py.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatialqa.core.console import CountProgress, stderr
from spatialqa.core.names import table_name
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import DatasetError
from spatialqa.models.bat.answerer import Answerer
from spatialqa.models.bat.answers_file import append_answers, claim_answers
from spatialqa.models.bat.questions import Questions, in_parts, open_scenes, read_questions
from spatialqa.models.bat.recipe import AnswerRecipe
from spatialqa.models.data.loading import loader
from spatialqa.models.data.provenance import ORIGIN, TrainingProvenance
from spatialqa.models.data.scene_index import Rows, SceneIndex
from spatialqa.models.spatial_ast.inference import refuse_rate
from spatialqa.models.training.checkpoint import ModelError, weights_file

SCENES_TOGETHER = 64  # their questions are answered in the order of their lengths


@dataclass(frozen=True)
class AnswerSummary:
    """What was written: how many answers, and how many of them were there before."""

    to: Path
    answers: int
    before: int


def answer(root: Path, checkpoint: Path, to: Path, recipe: AnswerRecipe) -> AnswerSummary:
    """Answer the questions of a split into a file of JSON lines with qa_id and prediction, as `score` reads them.

    A line has a rationale too where the model wrote one.

    What the file already holds of the same run is kept; a last line that a kill cut short is made again.

    Raises:
        DatasetError: nothing is asked there, or the file holds something else or cannot be written.
        ModelError: the checkpoint cannot be used.
        RecipeError: the scenes have another rate than the model expects, or the model was trained on a control.
    """
    scenes = open_scenes([root], recipe.split)
    questions = read_questions(scenes, table_name(recipe.qa_name), recipe.types)
    model = Answerer(checkpoint, recipe)
    refuse_rate(scenes, model.encoder)
    if recipe.unseen and model.trained_with.provenance.clips is None:
        raise ModelError(
            f"{model.file}: does not say on which houses and clips it and its encoder were trained, which --unseen has "
            f"to know; train both again"
        )
    contaminated = contaminated_scenes(model.trained_with.provenance, scenes.index)
    if contaminated and not recipe.unseen:
        stderr.print(
            f"warning: {root}: {len(contaminated)} of these {len(scenes)} scenes have a house or a clip that the model "
            f"was trained on; --unseen leaves them out"
        )
    done = claim_answers(to, root, recipe, [model.file, *([weights_file(recipe.encoder)] if recipe.encoder else [])])
    of_scene: dict[int, list[int]] = defaultdict(list)
    for k, scene in enumerate(questions.scene.tolist()):
        of_scene[scene].append(k)
    if recipe.unseen:
        of_scene = {scene: rows for scene, rows in of_scene.items() if scene not in contaminated}
        if not of_scene:
            raise DatasetError(
                f"{root}: every scene that is asked about in the {recipe.split} split has a house or a clip that the "
                f"model was trained on"
            )
    if recipe.limit:
        chosen = sorted(of_scene)[: recipe.limit]
        of_scene = {scene: of_scene[scene] for scene in chosen}
    wanted = {questions.qa_id[k] for rows in of_scene.values() for k in rows}
    if strangers := done - wanted:
        raise DatasetError(f"{to}: holds an answer to {min(strangers)}, which is not asked here; remove it")
    first = next((k for k, rows in sorted(of_scene.items()) if any(questions.qa_id[r] not in done for r in rows)), None)
    if first is None:
        return AnswerSummary(to, len(done), len(done))
    start = first // SCENES_TOGETHER
    with CountProgress("answering") as progress:
        number = start * SCENES_TOGETHER
        for batch in loader(scenes, SCENES_TOGETHER, recipe.workers, start=start):
            own = [k for k in range(len(batch.waveform)) if number + k in of_scene]
            rows = np.array([row for k in own for row in of_scene[number + k]], dtype=np.int64)
            if any(questions.qa_id[row] not in done for row in rows):
                tokens = model.hear(batch.waveform[own])
                row_of_scene = {number + k: i for i, k in enumerate(own)}
                for part in _by_length(questions, rows, recipe.batch_size):
                    missing = [row for row in part if questions.qa_id[row] not in done]
                    if missing:
                        own_tokens = tokens[[row_of_scene[int(questions.scene[row])] for row in part]]
                        said = model.answer(own_tokens, [questions.question[row] for row in part])
                        append_answers(to, _lines(questions, part, said, done))
            number += len(batch.waveform)
            progress.update(min(number, len(scenes)), len(scenes))
            if number > max(of_scene):
                break
    return AnswerSummary(to, len(wanted), len(done))


def _by_length(questions: Questions, rows: Rows, batch_size: int) -> Iterator[Rows]:
    """Yield questions in batches of about the same length: the same ones whatever is done already."""
    lengths = np.array([len(questions.question[row]) for row in rows])
    order = rows[np.argsort(lengths, kind="stable")]
    for k in range(0, len(order), batch_size):
        yield order[k : k + batch_size]


def _lines(questions: Questions, rows: Rows, said: Sequence[str], done: set[str]) -> bytes:
    """Return a line for every answer that was not there."""
    lines = []
    for row, text in zip(rows, said, strict=True):
        if questions.qa_id[row] not in done:
            rationale, answer = in_parts(text)
            line = {"qa_id": questions.qa_id[row], "prediction": answer}
            if rationale:
                line["rationale"] = rationale
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def contaminated_scenes(provenance: TrainingProvenance, index: SceneIndex) -> set[int]:
    """Return which scenes, by their numbers in an index, have a house or a clip of these."""
    ids = {
        (number, row["scene_id"])
        for number, path in enumerate(index.files)
        for row in read_rows(path, ORIGIN)
        if provenance.has(row)
    }
    return {k for k, key in enumerate(zip(index.file.tolist(), index.scene_id.tolist(), strict=True)) if key in ids}
