"""Questions of types A to D: classification and location, of a single source or of one of several.

A and B are asked of scenes with one source, C and D of scenes with two or more.
"""

from spatialqa.qa import answer_text as text
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.fact import (
    MASKED,
    NEAR_BOUNDARY,
    NEEDS_ONE_SOURCE,
    NEEDS_TWO_SOURCES,
    NOT_DISTINCT,
    Fact,
    Facts,
    labels_fact,
    location_fact,
    why_not_named,
)
from spatialqa.qa.listener_view import AXES, SceneView, SourceView


def classification(view: SceneView, options: AskOptions) -> Facts:
    """A: the labels of the only source."""
    if len(view.sources) != 1:
        return NEEDS_ONE_SOURCE
    return [labels_fact(view, 0)]


def location(view: SceneView, options: AskOptions) -> Facts:
    """B: the octant and distance of the only source."""
    if len(view.sources) != 1:
        return NEEDS_ONE_SOURCE
    if view.sources[0].octant_margin_deg < options.direction_margin_deg:
        return NEAR_BOUNDARY
    return [location_fact(view, 0)]


def location_of_class(view: SceneView, options: AskOptions) -> Facts:
    """D: the octant and distance of one of several sources, named by a label."""
    if len(view.sources) < 2:
        return NEEDS_TWO_SOURCES
    named = view.namable()
    if not named:
        return why_not_named(view)
    clear = [i for i in named if view.sources[i].octant_margin_deg >= options.direction_margin_deg]
    return [location_fact(view, i) for i in clear] or NEAR_BOUNDARY


def classification_at_location(view: SceneView, options: AskOptions) -> Facts:
    """C: the labels of the source in an octant at a distance, where octant and distance fit one source only."""
    if len(view.sources) < 2:
        return NEEDS_TWO_SOURCES
    audible = view.audible()
    if not audible:
        return MASKED
    clear = [i for i in audible if view.sources[i].octant_margin_deg >= options.direction_margin_deg]
    if not clear:
        return NEAR_BOUNDARY
    return [fact for i in clear if (fact := _class_at(view, i, options)) is not None] or NOT_DISTINCT


def _class_at(view: SceneView, index: int, options: AskOptions) -> Fact | None:
    source = view.sources[index]
    asked_distance_m = text.rounded_m(source.distance_m)
    margin_deg, margin_m = source.octant_margin_deg, None
    for j, other in enumerate(view.sources):
        if j == index:
            continue
        apart_deg = _apart_deg(source, other)
        if apart_deg is not None and apart_deg >= options.direction_margin_deg:
            margin_deg = min(margin_deg, apart_deg)
            continue
        apart_m = abs(other.distance_m - asked_distance_m) - text.DISTANCE_STEP_M / 2
        if apart_m < options.distance_margin_m or apart_m <= 0:
            return None
        margin_m = apart_m if margin_m is None else min(margin_m, apart_m)
    return labels_fact(view, index)._replace(
        words=(text.direction_phrase(source.words), text.distance_phrase(source.distance_m)),
        asked_direction=tuple(source.words),
        asked_distance_m=asked_distance_m,
        margin_deg=margin_deg,
        margin_m=margin_m,
    )


def _apart_deg(source: SourceView, other: SourceView) -> float | None:
    """Return how far the other is beyond a plane that parts the two octants; None in the same octant."""
    parting = [axis for axis in range(len(AXES)) if source.words[axis] != other.words[axis]]
    return max((abs(other.angle_deg[axis]) for axis in parting), default=None)
