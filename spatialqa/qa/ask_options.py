"""The options of `ask`: question types, answer forms, and the least margins for a question."""

from collections.abc import Mapping
from dataclasses import dataclass

from spatialqa.core.recipe_keys import LARGEST_SEED
from spatialqa.errors import RecipeError, shown

TYPES = ("A", "B", "C", "D", "E", "X")
DEFAULT_TYPES = TYPES[:5]  # X goes beyond SpatialSoundQA and is asked only by name
ONE_SOURCE, SEVERAL_SOURCES = ("A", "B"), ("C", "D", "E")  # types by the scenes that they are asked of
ANSWER_FORMS = ("open", "mcq")
MOST_QUESTIONS = 100  # of one subtype a scene: there are no more that differ
MOST_MARGIN = 1000.0  # of a distance in m, and of a level in dB
RATIONALE_FORMS = ("sentences", "brief", "scene")


@dataclass(frozen=True)
class AskOptions:
    """How questions are asked. A margin of 0 switches that check off, as SpatialSoundQA (which has none) needs.

    types: some of A, B, C, D, E and X.
    answer_form: "open", or "mcq": four options, A to D; questions that offer Yes and No or two words stay as they are.
    balance: leave questions out where scenes favour an answer, and prefer rare distances; off for paper fidelity.
    rationale: write down how each answer follows from the positions.
    rationale_form: "sentences"; "brief": of yes/no questions and those that offer two words, the quantities alone; or
        "scene": of every question what sounds where, the nearest first, and then the brief form where there is one.
    questions_per_subtype: how many of each subtype a scene is asked.
    seed: make-qa's own; the same seed and scene give the same questions, whatever else is asked.

    direction_margin_deg: a direction word is used only where the source is at least this many degrees from the plane at
    which the word changes. 5 is beyond the minimum audible angle at every plane that matters: about 1 degree ahead
    (Mills 1958), 3.7 for elevation (Perrott & Saberi 1990), and near the localisation blur of broadband sound, 4 to
    10 (Blauert 1997). Wider margins cost octants: most sources in rooms are within 20 degrees of the horizon.

    relation_margin_deg: two sources are compared along an axis only when their angles from that axis' plane, as the
    listener has them, differ by at least this much. 10 is the upper end of the concurrent minimum audible angle of two
    sounds ahead, 4 to 10 degrees (Perrott 1984).

    distance_margin_m: two distances, or two coordinates along an axis, are compared only when they differ by at least
    this much. 0.5 is the step in which distances are written, and at 5 m the 10 % that listeners need at best to tell
    distances in a room apart (Zahorik, Brungart & Bronkhorst 2005: 5 to 25 %).

    both_in_front: ask also of two sources in front which of them is ahead of the other. "Behind another sound" then has
    two readings: further back along the nose, or hidden by it, which is further away. Off, one of the two lies behind
    the listener, and both readings agree.

    masking_db: a source whose level, in the ear (or ambisonic channel) where it is loudest relative to the others, is
    further than this
    below the sum of the others is not asked about. Speech in steady noise is half understood at about -5 dB, and
    separation in space is worth some 10 dB more (Bronkhorst 2000). Scenes that have not been rendered have no levels,
    and nothing is skipped there.
    """

    types: tuple[str, ...] = DEFAULT_TYPES
    answer_form: str = "open"
    balance: bool = True
    rationale: bool = False
    rationale_form: str = "sentences"
    questions_per_subtype: int = 1
    seed: int = 0
    direction_margin_deg: float = 5.0
    relation_margin_deg: float = 10.0
    distance_margin_m: float = 0.5
    both_in_front: bool = False
    masking_db: float = 15.0

    def __post_init__(self) -> None:
        unknown = [] if self._own_types_too() else [t for t in self.types if t not in TYPES]
        if unknown or not self.types:
            raise RecipeError(
                f"types: {', '.join(map(shown, unknown[:5])) or 'none'} given; choose from {', '.join(TYPES)}"
            )
        if len(set(self.types)) != len(self.types):
            raise RecipeError(f"types: {', '.join(self.types)} names a type twice")
        if self.answer_form not in ANSWER_FORMS:
            raise RecipeError(f"answer_form: {self.answer_form!r} is not one of {', '.join(ANSWER_FORMS)}")
        if self.rationale_form not in RATIONALE_FORMS:
            raise RecipeError(f"rationale_form: {self.rationale_form!r} is not one of {', '.join(RATIONALE_FORMS)}")
        if not 1 <= self.questions_per_subtype <= MOST_QUESTIONS:
            raise RecipeError(
                f"questions_per_subtype: must be from 1 to {MOST_QUESTIONS}, got {shown(self.questions_per_subtype)}"
            )
        if not 0 <= self.seed <= LARGEST_SEED:
            raise RecipeError(f"seed: must be from 0 to {LARGEST_SEED:,}, got {shown(self.seed)}")
        for key, most, unit in (
            ("direction_margin_deg", 90.0, "degrees"),
            ("relation_margin_deg", 180.0, "degrees"),
            ("distance_margin_m", MOST_MARGIN, "m"),
            ("masking_db", MOST_MARGIN, "dB"),
        ):
            value = getattr(self, key)
            if not 0 <= value < most:
                raise RecipeError(f"{key}: must be 0 or more and below {most:g} {unit}, got {shown(value)}")

    def _own_types_too(self) -> bool:
        """Return whether `types` may name what only a user's modules declare."""
        return False


def check_counts(
    counts: Mapping[str, int],
    types: tuple[str, ...],
    questions_per_subtype: int,
    countable: tuple[str, ...] = ONE_SOURCE + SEVERAL_SOURCES,
) -> None:
    """Refuse counts that cannot be met: only `countable` types that are asked have one; raises RecipeError."""
    unknown = [kind for kind in counts if kind not in countable or kind not in types]
    if unknown:
        raise RecipeError(
            f"type_counts names {', '.join(unknown)}: only asked types out of {', '.join(countable)} have counts"
        )
    if any(count < 0 for count in counts.values()):
        raise RecipeError("type_counts: a count must be 0 or more")
    if counts and questions_per_subtype != 1:
        raise RecipeError("type_counts gives every scene one question: leave questions_per_subtype at 1")
