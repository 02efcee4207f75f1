"""CPU time of tracing a listener group and of decoding a head: python -m tests.acoustics.yaw_cost [ROOMS [UP]].

ROOMS is `procedural` (four homes) or mesh:PATH, UP the vertical axis of the mesh.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from spatialqa.acoustics.geometric.engine import GeometricEngine
from spatialqa.core import seeds
from spatialqa.generation.inputs import rooms_for
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.rooms.placement.placer import Placer

_GROUPS, _SOURCES, _REPEATS = 4, 8, 3


def cpu_ms(work: Callable[[], Any]) -> float:
    """Return the least CPU time of a few repeats, milliseconds."""
    times = []
    for _ in range(_REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1000.0 * min(times)


def main(rooms: str = "procedural", up: str = "y") -> None:
    """Print the times of one RIR, and what four heads at a position cost against one."""
    room_set = rooms_for(RenderRecipe(rooms=rooms, up=up, simplify="off") if up != "y" else RenderRecipe(rooms=rooms))
    engine = GeometricEngine(32_000)
    traced_ms = decoded_ms = rirs = 0.0
    for room_id in room_set.room_ids(4 if rooms == "procedural" else 1, 0):
        room = room_set.load(room_id)
        placer = Placer(room)
        with engine.open(room) as opened:
            for k in range(_GROUPS):
                rng = seeds.rng(0, "yaw cost", f"{room_id}/{k}")
                listener = placer.listener(rng)
                sources = [place.position for place in placer.sources(listener, _SOURCES, rng)]
                traced = opened.trace(listener.position, sources, k)
                opened.decode(traced, listener.orientation, sources)
                traced_ms += cpu_ms(partial(opened.trace, listener.position, sources, k))
                decoded_ms += cpu_ms(partial(opened.decode, traced, listener.orientation, sources))
                rirs += len(sources)
    one, four = traced_ms + decoded_ms, traced_ms + 4 * decoded_ms
    print(
        f"an RIR: {traced_ms / rirs:.2f} ms to trace, {decoded_ms / rirs:.2f} ms to decode; four yaws {four / one:.2f}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
