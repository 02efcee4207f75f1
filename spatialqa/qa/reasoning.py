"""Questions of type E: relations between the sources of a scene.

Everything is in the listener's head frame. "left of", "in front of" and "above" another source mean further to the
left, further forward (along the nose, not nearer to the listener) and higher: a smaller x, a smaller z, a larger y.
A relation is asked only where the coordinates and the angles, as the listener has them, agree on it, both by their
margins. Of two sources in front, questions do not ask which is ahead: "behind" could also mean further away.
"closer" is distance to the listener; distance_between is the straight line between two sources.

Balance. Every binary finder gives "Yes" and "No" the same total weight in every scene, so the answer is an even draw
that knows nothing of the scene; a scene in which only one answer is possible is not asked. In comparisons the word and
the order of the names are even draws too. What no rule that sees one scene at a time can mend is a bias of the scenes:
a class that always lies above another.
"""

from itertools import permutations

from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.fact import (
    NEAR_BOUNDARY,
    NEEDS_TWO_SOURCES,
    NOT_APART,
    ONE_ANSWER,
    Fact,
    Facts,
    distance_fact,
    label_fact,
    why_not_named,
    yes_no_fact,
)
from spatialqa.qa.listener_view import AXES, FRONT_AXIS, HORIZONTAL_AXES, SceneView, SourceView


def _named_pairs(view: SceneView) -> list[tuple[int, int]] | str:
    """Return every ordered pair of sources that can be named, or why there is none."""
    if len(view.sources) < 2:
        return NEEDS_TWO_SOURCES
    return list(permutations(view.namable(), 2)) or why_not_named(view)


def _relation(view: SceneView, i: int, j: int, axis: int, options: AskOptions) -> tuple[float, float] | None:
    """Return by how much (degrees, metres) source i is beyond source j along an axis; None where that is not clear."""
    a, b = view.sources[i], view.sources[j]
    margin_m = a.along_m[axis] - b.along_m[axis]
    margin_deg = a.angle_deg[axis] - b.angle_deg[axis]
    if margin_m <= 0 or margin_m < options.distance_margin_m:
        return None
    if options.relation_margin_deg > 0 and margin_deg < options.relation_margin_deg:
        return None
    if axis == FRONT_AXIS and not options.both_in_front and not _is_clearly_behind(b, options):
        return None
    return margin_deg, margin_m


def _is_clearly_behind(source: SourceView, options: AskOptions) -> bool:
    return source.along_m[FRONT_AXIS] < 0 and source.clear_of(FRONT_AXIS, options.direction_margin_deg)


def relative_direction(view: SceneView, options: AskOptions) -> Facts:
    """Yes/No: is one source left of, right of, in front of, behind, above or below another."""
    pairs = _named_pairs(view)
    if isinstance(pairs, str):
        return pairs
    facts = []
    for i, j in pairs:
        for axis, ends in enumerate(AXES):
            margins = _relation(view, i, j, axis, options) if view.hears(axis) else None
            if margins is None:
                continue
            facts.append(yes_no_fact((i, j), True, (ends.positive,), *margins))
            facts.append(yes_no_fact((i, j), False, (ends.negative,), *margins))
            facts.append(yes_no_fact((j, i), True, (ends.negative,), *margins))
            facts.append(yes_no_fact((j, i), False, (ends.positive,), *margins))
    return facts or NOT_APART


def relative_distance(view: SceneView, options: AskOptions) -> Facts:
    """Yes/No: is one source closer to the listener, or farther away, than another."""
    pairs = _named_pairs(view)
    if isinstance(pairs, str):
        return pairs
    facts = []
    for i, j in pairs:
        margin_m = view.sources[j].distance_m - view.sources[i].distance_m
        if margin_m <= 0 or margin_m < options.distance_margin_m:
            continue
        for sources, word, truth in (
            ((i, j), "closer", True),
            ((i, j), "farther", False),
            ((j, i), "farther", True),
            ((j, i), "closer", False),
        ):
            facts.append(yes_no_fact(sources, truth, (word,), None, margin_m))
    return facts or NOT_APART


def both_on_side(view: SceneView, options: AskOptions) -> Facts:
    """Yes/No: are two sources both on the left, on the right, in front or behind.

    "Yes" needs an axis on which both lie on one side. "No" names the other end of that axis or, half of the time where
    the other axis parts the two, an end of that one. As a head may face any way, each word is as often true as false.

    "above" and "below" are not asked: rooms have more space below the ears than above them, so fewer pairs lie clearly
    above, and no rule that sees one scene at a time can keep that from telling the answer to a reader of the question.
    """
    pairs = _named_pairs(view)
    if isinstance(pairs, str):
        return pairs
    facts: list[Fact] = []
    some_axis_clear = False
    for i, j in pairs:
        a, b = view.sources[i], view.sources[j]
        margin_deg = {n: min(abs(a.angle_deg[n]), abs(b.angle_deg[n])) for n in HORIZONTAL_AXES if view.hears(n)}
        clear = [n for n, margin in margin_deg.items() if margin >= options.direction_margin_deg]
        some_axis_clear = some_axis_clear or bool(clear)
        parting = [n for n in clear if a.words[n] != b.words[n]]
        for n in (n for n in clear if n not in parting):
            true_word = a.words[n]
            false_word = AXES[n].negative if true_word == AXES[n].positive else AXES[n].positive
            facts.append(yes_no_fact((i, j), True, (true_word,), margin_deg[n], None))
            facts.append(yes_no_fact((i, j), False, (false_word,), margin_deg[n], None, 0.5 if parting else 1.0))
            for m in parting:
                facts.extend(yes_no_fact((i, j), False, (word,), margin_deg[m], None, 0.25) for word in AXES[m])
    return facts or (ONE_ANSWER if some_axis_clear else NEAR_BOUNDARY)


def distance_between(view: SceneView, options: AskOptions) -> Facts:
    """The distance in a straight line between two sources."""
    pairs = _named_pairs(view)
    if isinstance(pairs, str):
        return pairs
    facts = []
    for i, j in pairs:
        (xa, ya, za), (xb, yb, zb) = view.sources[i].head_m, view.sources[j].head_m
        between_m = ((xa - xb) ** 2 + (ya - yb) ** 2 + (za - zb) ** 2) ** 0.5
        facts.append(distance_fact((i, j), between_m))
    return facts


def source_at_direction(view: SceneView, options: AskOptions) -> Facts:
    """Which sound is on a side of the listener: a label of the only source there, one that fits no other source."""
    if len(view.sources) < 2:
        return NEEDS_TWO_SOURCES
    named = view.namable()
    if not named:
        return why_not_named(view)
    facts = []
    some_axis_clear = False
    for axis in (n for n in range(len(AXES)) if view.hears(n)):
        if not all(source.clear_of(axis, options.direction_margin_deg) for source in view.sources):
            continue
        some_axis_clear = True
        margin_deg = min(abs(source.angle_deg[axis]) for source in view.sources)
        for i in named:
            word = view.sources[i].words[axis]
            if [source.words[axis] for source in view.sources].count(word) == 1:
                facts.append(label_fact(i, (word,))._replace(margin_deg=margin_deg))
    return facts or (ONE_ANSWER if some_axis_clear else NEAR_BOUNDARY)


def direction_word(view: SceneView, options: AskOptions) -> Facts:
    """One word out of two: on which side of the listener, or of another source, a source is.

    The two words and the order in which they are offered are even draws in every scene: the side of the listener is
    asked on an axis only where a source lies on either side of it, a relation as often one way round as the other. Both
    kinds weigh the same where a scene has both, and so do the axes.
    """
    if len(view.sources) < 2:
        return NEEDS_TWO_SOURCES
    named = view.namable()
    if not named:
        return why_not_named(view)
    facts = []
    for axis, ends in enumerate(AXES):
        if not view.hears(axis):
            continue
        clear = [i for i in named if view.sources[i].clear_of(axis, options.direction_margin_deg)]
        by_word = [[i for i in clear if view.sources[i].words[axis] == word] for word in ends]
        for word, here in zip(ends, by_word, strict=True):
            if not all(by_word):
                continue
            for i in here:
                margin_deg = abs(view.sources[i].angle_deg[axis])
                facts.extend(_one_word("listener", (i,), axis, word, margin_deg, None, 0.5 / len(here)))
        related = [
            (pair, margins)
            for pair in permutations(named, 2)
            if (margins := _relation(view, *pair, axis, options)) is not None
        ]
        for (i, j), margins in related:
            weight = 0.5 / len(related)
            facts.extend(_one_word("source", (i, j), axis, ends.positive, *margins, weight))
            facts.extend(_one_word("source", (j, i), axis, ends.negative, *margins, weight))
    return facts or NOT_APART


def _one_word(
    form: str,
    sources: tuple[int, ...],
    axis: int,
    answer: str,
    margin_deg: float,
    margin_m: float | None,
    weight: float,
) -> list[Fact]:
    return [
        Fact(
            form,
            sources,
            answer,
            weight=weight / 2,
            words=offered,
            choices=offered,
            answer_direction=(answer,),
            margin_deg=margin_deg,
            margin_m=margin_m,
        )
        for offered in (tuple(AXES[axis]), tuple(reversed(AXES[axis])))
    ]
