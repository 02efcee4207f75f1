"""Questions of type X, beyond SpatialSoundQA: clock direction, count, nearest and farthest, same room.

A clock lies flat around the listener: 12 o'clock is ahead, 3 o'clock to the right. Height plays no part.
"""

import math

from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.fact import (
    MASKED,
    NEAR_BOUNDARY,
    NEEDS_THREE_SOURCES,
    NEEDS_TWO_SOURCES,
    NO_NAME,
    NO_REGIONS,
    NOT_APART,
    STEEP,
    TOO_MANY_SOURCES,
    Facts,
    count_fact,
    hour_fact,
    label_fact,
    why_not_named,
    yes_no_fact,
)
from spatialqa.qa.listener_view import SceneView, SourceView

MOST_COUNTED = 4
# Above 60 degrees of elevation, 5 degrees of great circle are 10 or more of azimuth: a third of an hour's sector.
STEEPEST_DEG = 60.0
_HOUR_DEG = 30.0


def clock(view: SceneView, options: AskOptions) -> Facts:
    """The hour at which a source lies: the only one, or one of several that is named by a label."""
    named = [0] if len(view.sources) == 1 else view.namable()
    if not named:
        return why_not_named(view)
    level = [i for i in named if abs(view.sources[i].angle_deg[2]) <= STEEPEST_DEG]
    facts = []
    for i in level:
        hour, margin_deg = clock_hour(view.sources[i])
        if margin_deg >= options.direction_margin_deg:
            form = "alone" if len(view.sources) == 1 else "named"
            facts.append(hour_fact((i,), hour, margin_deg, form))
    return facts or (NEAR_BOUNDARY if level else STEEP)


def clock_hour(source: SourceView) -> tuple[int, float]:
    """Return the hour, 1 to 12, and how many degrees of azimuth the source is from the next hour's sector."""
    to_left, ahead, _ = source.along_m
    clockwise_deg = math.degrees(math.atan2(-to_left, ahead))
    sector = round(clockwise_deg / _HOUR_DEG)
    return sector % 12 or 12, _HOUR_DEG / 2 - abs(clockwise_deg - sector * _HOUR_DEG)


def count(view: SceneView, options: AskOptions) -> Facts:
    """How many sources sound, one to four, all of them to be heard."""
    if len(view.sources) > MOST_COUNTED:
        return TOO_MANY_SOURCES
    if any(source.masked for source in view.sources):
        return MASKED
    n = len(view.sources)
    return [count_fact(tuple(range(n)), n)]


def closest(view: SceneView, options: AskOptions) -> Facts:
    """The label of the source nearest to the listener, among three or more."""
    return _extreme(view, options, nearest=True)


def farthest(view: SceneView, options: AskOptions) -> Facts:
    """The label of the source farthest from the listener, among three or more."""
    return _extreme(view, options, nearest=False)


def _extreme(view: SceneView, options: AskOptions, nearest: bool) -> Facts:
    if len(view.sources) < 3:
        return NEEDS_THREE_SOURCES
    if any(source.masked for source in view.sources):
        return MASKED
    order = sorted(range(len(view.sources)), key=lambda i: view.sources[i].distance_m, reverse=not nearest)
    margin_m = abs(view.sources[order[1]].distance_m - view.sources[order[0]].distance_m)
    if margin_m <= 0 or margin_m < options.distance_margin_m:
        return NOT_APART
    if not view.sources[order[0]].names:
        return NO_NAME
    return [label_fact(order[0])._replace(margin_m=margin_m)]


def region(view: SceneView, options: AskOptions) -> Facts:
    """Yes/No: are two sources in the same room, or in different ones."""
    if len(view.sources) < 2:
        return NEEDS_TWO_SOURCES
    named = view.namable()
    if len(named) < 2:
        return why_not_named(view)
    known = [i for i in named if view.sources[i].region_id is not None]
    facts = []
    for i in known:
        for j in known:
            if i == j:
                continue
            same = view.sources[i].region_id == view.sources[j].region_id
            facts += [yes_no_fact((i, j), same == (word == "same"), (word,)) for word in ("same", "different")]
    return facts or NO_REGIONS
