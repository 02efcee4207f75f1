"""The frozen record of one question: one row of the `qa` table."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its answer and the numbers behind it. What does not apply is None.

    source_indices are the referents in the order in which the text names them; where the text names none (types A, B, C
    and source_at_direction) they are the source that the question is about. asked_direction holds the words of the text
    that the answer depends on: for C the octant, for relative_direction and both_on_side one of left, right, front,
    behind, above, below, for relative_distance "closer" or "farther". margin_deg and margin_m say how far the scene is
    from the nearest boundary at which the answer, or the right to ask, would change; margin_deg of a comparison is
    negative where coordinates and angles disagree, which only relation_margin_deg 0 lets through.
    """

    qa_id: str
    scene_id: str
    split: str
    type: str
    subtype: str
    question: str
    answer: str
    template_id: str
    source_indices: tuple[int, ...]
    asked_labels: tuple[str, ...] | None = None  # as the text spells them: lower case
    asked_direction: tuple[str, ...] | None = None
    asked_distance_m: float | None = None  # as the text says it: rounded to 0.5 m
    polarity: str | None = None  # "yes" or "no"
    choices: tuple[str, ...] | None = None  # every allowed answer, in the order in which the text offers them
    answer_labels: tuple[str, ...] | None = None
    answer_direction: tuple[str, ...] | None = None
    answer_distance_m: float | None = None  # not rounded
    answer_bool: bool | None = None
    answer_count: int | None = None
    margin_deg: float | None = None
    margin_m: float | None = None
    rationale: str | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the plain form: lists and scalars, keyed by column name in the table's order."""
        row: dict[str, Any] = {}
        for name in _COLUMNS:
            value = getattr(self, name)
            row[name] = list(value) if isinstance(value, tuple) else value
        return row


_COLUMNS = tuple(f.name for f in fields(Question))
