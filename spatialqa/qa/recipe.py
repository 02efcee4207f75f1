"""The recipe of `make-qa`: each field is a recipe key and a command line option."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialqa.core.names import table_name_fault
from spatialqa.core.recipe_keys import LARGEST_SEED, check_bounds, key, plain_names
from spatialqa.errors import RecipeError, shown
from spatialqa.qa.ask_options import (
    ANSWER_FORMS,
    MOST_MARGIN,
    MOST_QUESTIONS,
    RATIONALE_FORMS,
    AskOptions,
    check_counts,
)


@dataclass(frozen=True)
class QaRecipe(AskOptions):
    """Everything that decides what `spatialqa make-qa` asks; AskOptions says what each margin means and why."""

    types: tuple[str, ...] = key(
        AskOptions.types,
        "question types: A, B (perception, one source), C, D (two sources), E (reasoning), X (beyond the paper)",
    )
    answer_form: str = key(
        AskOptions.answer_form,
        "form of the answers: open, or multiple choice with four options (mcq)",
        choices=ANSWER_FORMS,
    )
    balance: bool = key(AskOptions.balance, "leave out questions so that answers are balanced over the data set")
    rationale: bool = key(AskOptions.rationale, "also write how the answer follows from the positions")
    rationale_form: str = key(
        AskOptions.rationale_form,
        "form of the rationale: sentences, a short derivation (brief), or a scene description followed by it (scene)",
        choices=RATIONALE_FORMS,
    )
    questions_per_subtype: int = key(
        AskOptions.questions_per_subtype, "questions of each subtype per scene", minimum=1, maximum=MOST_QUESTIONS
    )
    type_counts: dict[str, int] = key(
        {},
        "ask at most one question per scene, and this number of each type in train: A=139392,B=139392",
        minimum=0,
        maximum=1_000_000_000,
    )
    seed: int = key(AskOptions.seed, "seed of the questions", minimum=0, maximum=LARGEST_SEED)
    direction_margin_deg: float = key(
        AskOptions.direction_margin_deg,
        "least angle to the plane where a direction word changes, degrees",
        minimum=0.0,
        maximum=90.0,
    )
    relation_margin_deg: float = key(
        AskOptions.relation_margin_deg,
        "least angle between two compared directions, degrees",
        minimum=0.0,
        maximum=180.0,
    )
    distance_margin_m: float = key(
        AskOptions.distance_margin_m,
        "least difference between two compared distances, metres",
        minimum=0.0,
        maximum=MOST_MARGIN,
    )
    both_in_front: bool = key(
        AskOptions.both_in_front, "ask also of two sources in front which is ahead of the other: that has two readings"
    )
    masking_db: float = key(
        AskOptions.masking_db,
        "do not ask about a source that is this much quieter than the others, dB",
        minimum=0.0,
        maximum=MOST_MARGIN,
    )
    question_modules: tuple[str, ...] = key(
        (), "Python files, or names of installed packages, that declare more subtypes; they are executed", path=True
    )
    templates: str | None = key(
        None,
        "folder of template files that replaces the bundled ones, or paraphrases: a bundled set in other words",
        path=True,
    )
    name: str | None = key(None, "write qa-NAME/ instead of qa/")
    with_audio: bool = key(
        False, "also write the audio of its scene into the row of every question: a table to train on without a join"
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.name is not None and (fault := table_name_fault(self.name)):
            raise RecipeError(fault)
        super().__post_init__()
        if not self.question_modules:  # else make-qa checks it, which knows their types
            check_counts(self.type_counts, self.types, self.questions_per_subtype)

    def _own_types_too(self) -> bool:
        return bool(self.question_modules)


def refuse_stored_modules(stored: Mapping[str, Any], given: Mapping[str, Any], where: Path) -> None:
    """Raise RecipeError where a data set's own recipe names question modules, and the user does not: they would run."""
    modules = plain_names(stored, str(where)).get("question_modules")
    if modules and given.get("question_modules") is None:
        names = ",".join(map(str, modules)) if isinstance(modules, list | tuple) else str(modules)
        raise RecipeError(
            f"{where}: its recipe asks with question_modules {shown(names)}, which a data set alone cannot make run: "
            f"give question_modules yourself (an empty list for none), or the recipe"
        )
