"""When a source plays within its scene."""

import itertools

from spatialqa.core.scene import Source

_LEAST_GAP_S = 0.2  # between two plays of a clip


def playing_s(source: Source, duration_s: float) -> list[tuple[float, float]]:
    """Return the intervals (begin, end), seconds, in which a rendered source plays its clip.

    Where the row does not hold the length of a play (a clip that repeats as a whole), it is taken from the shortest
    interval between two plays, less 0.2 s: the shortest gap, so the true length is at most that.

    Args:
        source: of a rendered scene.
        duration_s: of the scene.
    """
    starts = source.starts_s or (source.onset_s,)
    end_s = duration_s if source.offset_s is None else source.offset_s
    if len(starts) == 1:
        return [(starts[0], end_s)]
    if source.clip_end_s is not None and source.clip_start_s is not None:
        length = source.clip_end_s - source.clip_start_s
    else:
        length = min(b - a for a, b in itertools.pairwise(starts)) - _LEAST_GAP_S
    return [(start, min(start + length, end_s)) for start in starts]
