"""Compares the rays of spatialqa/rooms/mesh/bvh.py with Embree's: where they end, how fast they are, and what is heard.

    python -m tests.ray_agreement [MESH.glb ...]

Meshes are z-up; without one, homes are compared. Differences between two seeds of one engine stand beside those between
the two libraries of rays.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric import embree
from spatialqa.acoustics.geometric.engine import GeometricEngine
from spatialqa.acoustics.rir_metrics import drr_db, t30
from spatialqa.core.geometry import Pose, Vec3
from spatialqa.rooms.mesh.bvh import RayTree
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.mesh.ray_library import has_embree
from spatialqa.rooms.mesh.rays import RayCaster
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.procedural.homes import ProceduralRooms
from spatialqa.rooms.room import Room

HOMES = ("home-121834", "home-000042", "home-913939", "home-258230", "home-000000")
RAYS = 400_000
RATE = 32_000

Array = npt.NDArray[np.float64]


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    function()
    before = time.process_time()
    return function(), time.process_time() - before


def compare_rays(room: Room) -> None:
    tree, caster = RayTree(room.vertices, room.faces), RayCaster(room.vertices, room.faces)
    rng = np.random.default_rng(0)
    along = rng.standard_normal((RAYS, 3)).astype(np.float32)
    along /= np.linalg.norm(along, axis=1)[:, None]
    origins = rng.uniform(room.vertices.min(axis=0), room.vertices.max(axis=0), along.shape).astype(np.float32)
    (faces, distances), first_s = timed(lambda: tree.first_hits(origins, along))
    by_embree, embree_s = timed(lambda: caster.faces(origins, along))
    far = caster.distances(origins, along)
    blocked, any_s = timed(lambda: tree.blocked(origins, 2 * along))
    by_embree_blocked, embree_any_s = timed(lambda: caster.blocked(origins, origins + 2 * along))
    met = np.isfinite(far) & np.isfinite(distances)
    off = np.abs(far[met] - distances[met])
    alike = blocked == by_embree_blocked
    same = np.isfinite(far) == np.isfinite(distances)
    print(
        f"{room.room_id}: {len(room.faces):,} faces; hit or miss alike {same.mean():.4%}, "
        f"face {(faces == by_embree).mean():.3%}, any hit {alike.mean():.4%}, within {off.max() * 1e6:.0f} um;"
        f" million rays/s, tree and Embree: first hit {RAYS / first_s / 1e6:.1f} and {RAYS / embree_s / 1e6:.1f}, "
        f"any hit {RAYS / any_s / 1e6:.1f} and {RAYS / embree_any_s / 1e6:.1f}"
    )


def heard(
    engine: GeometricEngine, room: Room, groups: Sequence[tuple[Pose, list[Vec3], Any]], by_tree: bool, seed: int
) -> tuple[list[list[Array]], float]:
    """Return level (dB, of each channel), T30 (s) and DRR (dB) of each source, NaN where there is none; CPU seconds."""
    figures, spent = [], 0.0
    with mock.patch.object(embree, "has_embree", return_value=not by_tree), engine.open(room) as opened:
        opened.rirs(groups[0][0], groups[0][1][:1], 9)
        for listener, sources, seen in groups:
            before = time.process_time()
            rirs = opened.rirs(listener, sources, seed)
            spent += time.process_time() - before
            for rir, visible in zip(rirs, seen, strict=True):
                level = 10 * np.log10(np.square(rir.astype(np.float64)).sum(axis=1))
                decay, ratio = t30(rir, RATE, "binaural"), drr_db(rir, RATE, bool(visible), "binaural")
                figures.append([level, *(np.array([np.nan if x is None else x]) for x in (decay, ratio))])
    return figures, spent


def compare_rirs(rooms: Sequence[Room]) -> None:
    engine = GeometricEngine(RATE)
    runs: list[list[list[Array]]] = [[], [], []]
    spent = [0.0, 0.0, 0.0]
    for room in rooms:
        placer, rng = Placer(room), np.random.default_rng(1)
        groups = []
        for _ in range(3):
            listener = placer.listener(rng)
            sources = [place.position for place in placer.sources(listener, 8, rng)]
            groups.append((listener, sources, placer.line_of_sight([listener.position] * len(sources), sources)))
        for k, (by_tree, seed) in enumerate(((False, 1), (True, 1), (False, 2))):
            figures, seconds = heard(engine, room, groups, by_tree, seed)
            runs[k] += figures
            spent[k] += seconds
    for number, name in enumerate(("level, dB", "T30, %", "DRR, dB")):
        values = [np.concatenate([figures[number] for figures in run]) for run in runs]
        for what, other in (("tree - Embree", values[1]), ("another seed", values[2])):
            change = 100 * (other / values[0] - 1) if "T30" in name else other - values[0]
            size = np.abs(change[np.isfinite(change)])
            print(
                f"{name}, {what}: median {np.median(size):.4f}, 95 % below {np.quantile(size, 0.95):.3f}, "
                f"at most {size.max():.3f} of {len(size)}"
            )
    print(f"CPU time of {len(runs[0])} RIRs: tree {spent[1]:.2f} s, Embree {spent[0]:.2f} s")


def main(meshes: Sequence[str]) -> None:
    if not has_embree():
        sys.exit("this compares with Embree: pip install embreex")
    rooms = [ProceduralRooms().load(home) for home in HOMES]
    rooms += [MeshRooms(Path(mesh), up="z").load(Path(mesh).stem) for mesh in meshes]
    for room in rooms:
        compare_rays(room)
    compare_rirs(rooms)


if __name__ == "__main__":
    main(sys.argv[1:])
