"""The curriculum of BAT: the questions of every stage, and how many steps the stages take."""

import functools
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from spatialqa.core.console import stderr
from spatialqa.core.files import sha256_of
from spatialqa.core.names import table_name
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.models.bat.encoder_lm import EncoderLM
from spatialqa.models.bat.questions import (
    NoQuestionsError,
    Questions,
    QuestionSet,
    encoder_rows,
    open_scenes,
    read_questions,
)
from spatialqa.models.bat.recipe import BATRecipe
from spatialqa.models.data.scenes import SceneDataset
from spatialqa.models.spatial_ast.inference import refuse_rate
from spatialqa.models.training.loop import Plan
from spatialqa.qa.named_classes import NamedClasses


def plan_of(recipe: BATRecipe, data: Sequence[QuestionSet]) -> Plan:
    """Return how many steps the curriculum of a recipe takes on the questions of each stage."""
    per_epoch = tuple(max(1, len(stage) // recipe.batch_size) for stage in data)
    steps = tuple(max(1, round(n * stage.epochs)) for n, stage in zip(per_epoch, recipe.stages, strict=True))
    return Plan(tuple(map(str, recipe.stages)), per_epoch, steps)


def warmup_steps(recipe: BATRecipe, plan: Plan) -> int:
    """Return in how many steps the learning rate rises: those of `warmup_epochs`, at most half of all."""
    rising, left = 0.0, recipe.warmup_epochs
    for n, stage in zip(plan.per_epoch, recipe.stages, strict=True):
        rising += n * min(stage.epochs, left)
        left -= min(stage.epochs, left)
    return min(round(rising), plan.total // 2)


def open_questions(
    scenes: SceneDataset,
    recipe: BATRecipe,
    model: EncoderLM,
    encoder_file: Path,
    left_out: Collection[tuple[Path, str]] = (),
) -> QuestionSet:
    """Return what the curriculum asks of scenes, but for those left out, with the encoder's rows of them.

    Raises:
        DatasetError: they cannot be read.
        NoQuestionsError: nothing is asked there.
        RecipeError: the scenes have another rate than the encoder listens at.
    """
    refuse_rate(scenes, model.encoder)
    types = sorted({kind for stage in recipe.stages for kind in stage.types})
    questions = read_questions(scenes, table_name(recipe.qa_name), types, rationale=recipe.rationale)
    if left_out:
        questions = without(questions, scenes, left_out)
    if classes := recipe.left_out_classes():
        questions = not_naming(questions, classes, scenes.split)
    cache, identity = Path(recipe.cache or Path(recipe.run) / "cache"), {"encoder": sha256_of(encoder_file)}
    rows_of = functools.partial(
        encoder_rows, scenes, model.encoder, cache, identity, frozen=recipe.encoder_frozen, ears=recipe.ears
    )
    rows = rows_of(silence=recipe.silence, mirror=recipe.mirror, workers=recipe.workers)
    quiet = rows_of(silence=True)[0, 0] if recipe.silent_share else None
    tokens = model.bat.tokenizer([f"{q} {a}" for q, a in zip(questions.question, questions.answer, strict=True)])
    length = np.array([len(ids) for ids in tokens["input_ids"]])
    return QuestionSet(questions, rows, length, None if recipe.encoder_frozen else model.encoder.mirrored, quiet)


def of_stages(questions: QuestionSet, folders: Sequence[Path], recipe: BATRecipe, processes: int) -> list[QuestionSet]:
    """Return the questions that each stage trains on.

    Raises:
        DatasetError: a stage has none, or fewer than there are processes.
    """
    stages = [questions.of_types(stage.types) for stage in recipe.stages]
    for stage, own in zip(recipe.stages, stages, strict=True):
        if len(own) < processes:
            raise DatasetError(
                f"{', '.join(map(str, folders))}: nothing of type {', '.join(stage.types)} is asked in the train "
                f"split, which a stage of the curriculum needs; see --types of make-qa"
            )
    return stages


def without(questions: Questions, scenes: SceneDataset, left_out: Collection[tuple[Path, str]]) -> Questions:
    """Return the questions that are not about some scenes, named by file and id, and say how many those are.

    Raises:
        NoQuestionsError: none is left.
    """
    index = scenes.index
    names = ((index.files[index.file[k]], index.scene_id[k]) for k in questions.scene.tolist())
    kept = np.array([name not in left_out for name in names])
    stderr.print(
        f"{len(left_out)} training scenes with {int((~kept).sum())} questions are left out: another data set holds out "
        f"their house or clip"
    )
    if not kept.any():
        raise NoQuestionsError("nothing is left to train on; render the data sets with other seeds")
    return questions.take(np.flatnonzero(kept))


def not_naming(questions: Questions, classes: Sequence[str], split: str) -> Questions:
    """Return the questions that name none of these classes in question, answer or rationale; say how many do.

    Raises:
        NoQuestionsError: none is left.
        RecipeError: no training question names one of them.
    """
    texts = (f"{question}\n{answer}" for question, answer in zip(questions.question, questions.answer, strict=True))
    naming, counts = NamedClasses(classes).named(texts)
    if split == "train" and not any(naming):
        raise RecipeError(f"leave_out_classes: no training question names {', '.join(classes)}; leave the key out")
    each = ", ".join(f"{label}: {n:,}" for label, n in counts.items())
    stderr.print(f"{sum(naming):,} of {len(questions):,} {split} questions name a class that is left out ({each})")
    if all(naming):
        raise NoQuestionsError(f"every {split} question names a class that is left out; leave fewer out")
    return questions.take(np.flatnonzero(~np.array(naming)))


def open_held_out(
    folders: Sequence[Path], recipe: BATRecipe, model: EncoderLM, encoder_file: Path
) -> QuestionSet | None:
    """Return the validation questions, or None where there are none: then the last weights are kept.

    Raises:
        DatasetError: what is there cannot be read.
    """
    having = [f for f in folders if any(split_of(p) == "validation" for p in DatasetFolder(f).tables("scenes"))]
    why = "no data set has a validation split"
    if having:
        try:
            questions = open_questions(open_scenes(having, "validation"), recipe, model, encoder_file)
            return questions.sample(recipe.validation_questions, recipe.seed)
        except NoQuestionsError as error:
            why = str(error)
    stderr.print(f"there is no validation data, so the last weights are kept: {why}")
    return None
