"""Benchmarks mesh simplification: time, memory, and changes of shape, materials, RT60, DRR and lines of sight.

A scan is imitated from any room: its faces are cut to a given number, and all surfaces are moved by a smooth random
field of 5 mm, as the noise of depth cameras. Loads run in processes of their own, so that each has its own peak memory.
"""

import argparse
import json
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import trimesh
import yaml
from rich.table import Table

from spatialqa.acoustics.engine import Engine
from spatialqa.acoustics.engines import open_engine
from spatialqa.acoustics.rir_metrics import drr_db, rt60
from spatialqa.bench.memory import peak_memory_gib
from spatialqa.core import seeds
from spatialqa.core.console import stdout
from spatialqa.core.geometry import FloatArray, Pose
from spatialqa.core.scene import Place
from spatialqa.rooms.mesh.cache import MeshCache
from spatialqa.rooms.mesh.mesh_rooms import MeshRooms
from spatialqa.rooms.mesh.rays import RayCaster, ray_efficiency
from spatialqa.rooms.mesh.simplify import MAX_ERROR_M, LabelledMesh, prepare_mesh
from spatialqa.rooms.mesh.surface import face_normals, surface_distances, surface_points, triangle_areas
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.room import Room

SAMPLE_RATE = 32_000
NOISE_M = 0.005

_WAVES = 24
_WAVELENGTHS_M = (0.08, 0.5)
_LISTENERS, _SOURCES = 6, 5
_SIGHT_LISTENERS, _SIGHT_SOURCES = 60, 20
_PROBES = 50_000


@dataclass(frozen=True)
class Loads:
    """CPU time in seconds and peak memory of a process in GiB, for a first load and for one from the cache."""

    first_s: float
    first_gib: float
    cached_s: float
    cached_gib: float


@dataclass(frozen=True)
class MeshFigures:
    """What was measured for one mesh at one target; target_faces is None where nothing is simplified.

    rt60 and drr: against the mesh with all faces, for the same listeners and sources: the median of the absolute and
    the mean of the signed differences. sight_flips: the share of pairs whose line of sight opens or closes.
    other_material: the share of the area that has no original face of its own material within the bound of the error.
    """

    mesh: str
    target_faces: int | None
    faces: int
    error_mm: float
    lost_area: float
    other_material: float
    ray_efficiency: float
    rt60_median_percent: float
    rt60_mean_percent: float
    drr_median_db: float
    drr_mean_db: float
    sight_flips: float
    loads: Loads | None = None


def scanned(room: Room, faces: int) -> LabelledMesh:
    """Return a room as a scan would have it: at least this many faces, none with long edges, and noise of NOISE_M."""
    longest = float(np.sqrt(12.0 * triangle_areas(room.vertices, room.faces).sum() / faces))
    while True:
        points, cut, origin = trimesh.remesh.subdivide_to_size(
            room.vertices.astype(np.float64), room.faces, max_edge=longest, max_iter=30, return_index=True
        )
        if len(cut) >= faces:
            break
        longest *= 0.95
    moved = points.astype(np.float32).astype(np.float64)
    moved += _noise(moved)
    return LabelledMesh(moved.astype(np.float32), cut.astype(np.int32), room.face_material[origin])


def _noise(points: FloatArray) -> FloatArray:
    """Return a displacement (n, 3) of NOISE_M along each axis, by plane waves: points at one place move as one."""
    rng = seeds.rng(0, "bench-mesh", "noise")
    along = rng.standard_normal((_WAVES, 3))
    along /= np.linalg.norm(along, axis=1)[:, None]
    length = np.geomspace(*_WAVELENGTHS_M, _WAVES)
    amplitude = rng.standard_normal((_WAVES, 3)) * NOISE_M * np.sqrt(2.0 / _WAVES)
    phase = rng.uniform(0.0, 2.0 * np.pi, _WAVES)
    total = np.zeros_like(points)
    for k in range(_WAVES):
        total += np.sin(points @ along[k] * (2.0 * np.pi / length[k]) + phase[k])[:, None] * amplitude[k]
    return total


def bench_mesh(
    room: Room, faces: int = 2_000_000, targets: tuple[int, ...] = (200_000, 100_000, 50_000), preset: str = "fast"
) -> list[MeshFigures]:
    """Simplify a room and a scan of it to several targets, and measure both against themselves with all faces.

    Raises:
        SpatialQAError: the room has no place for a listener, or the engine soundspaces is not installed.
    """
    engine = open_engine("soundspaces", sample_rate=SAMPLE_RATE, preset=preset)
    rows: list[MeshFigures] = []
    with tempfile.TemporaryDirectory(prefix="spatialqa-bench-") as folder:
        scan = scanned(room, faces)
        _write(Path(folder), room, scan)
        loads = {target: _loads(Path(folder), target) for target in targets}
        for mesh, name in (
            (scan, "scan"),
            (LabelledMesh(room.vertices, room.faces, room.face_material), "as modelled"),
        ):
            full = replace(room, vertices=mesh.vertices, faces=mesh.faces, face_material=mesh.face_material, regions=())
            reference = _Reference(full, engine)
            rows += [reference.figures(name, full, None), reference.figures(f"{name}, again", full, None, again=True)]
            for target in targets:
                if target >= len(mesh.faces):
                    continue
                small = prepare_mesh(mesh, target)
                row = reference.figures(
                    name,
                    replace(full, vertices=small.vertices, faces=small.faces, face_material=small.face_material),
                    target,
                )
                row = replace(row, error_mm=1000 * small.error_m, lost_area=small.lost_share)
                rows.append(replace(row, loads=loads[target]) if name == "scan" else row)
    return rows


class _Reference:
    """A room with all its faces, where its listeners and sources stand, and what is heard there."""

    def __init__(self, room: Room, engine: Engine) -> None:
        self._room, self._engine = room, engine
        placer = Placer(room, body_radius_m=0.0, directions="octants")  # as when the figures of the docs were made
        self._heard_at = _places(placer, _LISTENERS, _SOURCES)
        self._seen_at = _places(placer, _SIGHT_LISTENERS, _SIGHT_SOURCES)
        self._sight = self._lines_of_sight(room)
        self._measured = self._measure(room)

    def figures(self, name: str, room: Room, target: int | None, again: bool = False) -> MeshFigures:
        """Compare a form of the room with all its faces; `again` simulates those anew, sources in another order."""
        low, high = (np.asarray(edge, np.float64) for edge in (room.vertices.min(axis=0), room.vertices.max(axis=0)))
        rt60_s, drr = self._measure(room, again) if again or target is not None else self._measured
        rt60_percent = 100.0 * (rt60_s / self._measured[0] - 1.0)
        drr_change = drr - self._measured[1]
        return MeshFigures(
            mesh=name,
            target_faces=target,
            faces=len(room.faces),
            error_mm=0.0,
            lost_area=0.0,
            other_material=self._other_material(room),
            ray_efficiency=ray_efficiency(RayCaster(room.vertices, room.faces), low, high),
            rt60_median_percent=float(np.nanmedian(np.abs(rt60_percent))),
            rt60_mean_percent=float(np.nanmean(rt60_percent)),
            drr_median_db=float(np.nanmedian(np.abs(drr_change))),
            drr_mean_db=float(np.nanmean(drr_change)),
            sight_flips=float((self._lines_of_sight(room) != self._sight).mean()),
        )

    def _other_material(self, room: Room) -> float:
        points, face = surface_points(room.vertices, room.faces, _PROBES)
        normals, found = face_normals(room.vertices, room.faces[face]), room.face_material[face]
        far = 0
        for material in np.unique(found):
            of_it = found == material
            original = self._room.faces[self._room.face_material == material]
            distance = surface_distances(points[of_it], normals[of_it], self._room.vertices, original)
            far += int((distance > MAX_ERROR_M).sum())
        return far / len(points)

    def _lines_of_sight(self, room: Room) -> npt.NDArray[np.bool_]:
        caster = RayCaster(room.vertices, room.faces)
        pairs = [(listener.position, place.position) for listener, places in self._seen_at for place in places]
        ears, sources = np.asarray(pairs).transpose(1, 0, 2)
        return ~caster.blocked(ears, sources)

    def _measure(self, room: Room, reverse: bool = False) -> tuple[FloatArray, FloatArray]:
        """Return RT60 in seconds and DRR in dB of every pair, NaN where there is none, in the order of the sources."""
        rt60_s: list[float | None] = []
        drr: list[float | None] = []
        with self._engine.open(room) as opened:
            for listener, places in self._heard_at:
                order = places[::-1] if reverse else places
                rirs = opened.rirs(listener, [place.position for place in order], 0)
                for place, rir in zip(places, rirs[::-1] if reverse else rirs, strict=True):
                    rt60_s.append(rt60(rir, SAMPLE_RATE, "binaural"))
                    # by the sight in the mesh with all faces, so that the same pairs are compared
                    drr.append(drr_db(rir, SAMPLE_RATE, bool(place.line_of_sight), "binaural"))
        return np.asarray(rt60_s, dtype=np.float64), np.asarray(drr, dtype=np.float64)


def _places(placer: Placer, listeners: int, sources: int) -> list[tuple[Pose, tuple[Place, ...]]]:
    drawn = []
    for k in range(listeners):
        rng = seeds.rng(0, "bench-mesh", "places", k)
        listener = placer.listener(rng)
        drawn.append((listener, placer.sources(listener, sources, rng)))
    return drawn


def _write(folder: Path, room: Room, mesh: LabelledMesh) -> None:
    """Write a mesh as a GLB with an object for each material, and the map that gives the materials back."""
    scene = trimesh.Scene()
    for k, material in enumerate(room.materials):
        faces = mesh.faces[mesh.face_material == k]
        if len(faces):
            used, renumbered = np.unique(faces, return_inverse=True)
            part = trimesh.Trimesh(mesh.vertices[used], renumbered.reshape(-1, 3), process=False)
            scene.add_geometry(part, node_name=material.name, geom_name=material.name)
    scene.export(folder / "scan.glb")
    names = {material.name: material.name for material in room.materials}
    (folder / "materials.yaml").write_text(yaml.safe_dump(names), encoding="utf-8")


def _loads(folder: Path, target: int) -> Loads:
    """Load the scan twice, each time in a new process, with a cache that is empty the first time."""
    measured = []
    for _ in range(2):
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            measured.append(pool.submit(_load, folder, target).result())
    return Loads(*measured[0], *measured[1])


def _load(folder: Path, target: int) -> tuple[float, float]:
    """Return the CPU time of a load in seconds, and this process's peak memory in GiB."""
    rooms = MeshRooms(
        folder / "scan.glb",
        material_map=folder / "materials.yaml",
        simplify_faces=target,
        cache=MeshCache(folder / "cache" / str(target)),
    )
    start = time.process_time()
    rooms.load("scan")
    return time.process_time() - start, peak_memory_gib()


def print_mesh_figures(rows: list[MeshFigures], as_json: bool) -> None:
    """Print the rows as a table or as JSON, one object a line."""
    if as_json:
        for row in rows:
            stdout.print(json.dumps(asdict(row)), markup=False, soft_wrap=True)
        return
    table = Table(box=None)
    for title in ("mesh", "target", "faces", "error", "lost", "other material", "rays that hit"):
        table.add_column(title, justify="left" if title == "mesh" else "right")
    for title in ("RT60", "DRR", "sight flips", "first load", "cached", "ratio"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*_cells(row))
    stdout.print(table)


def _cells(row: MeshFigures) -> list[str]:
    cells = [
        row.mesh,
        "off" if row.target_faces is None else f"{row.target_faces:,}",
        f"{row.faces:,}",
        f"{row.error_mm:.0f} mm",
        f"{100 * row.lost_area:.2f} %",
        f"{100 * row.other_material:.2f} %",
        f"{100 * row.ray_efficiency:.1f} %",
        f"{row.rt60_median_percent:.1f} % ({row.rt60_mean_percent:+.1f})",
        f"{row.drr_median_db:.2f} dB ({row.drr_mean_db:+.2f})",
        f"{100 * row.sight_flips:.1f} %",
    ]
    if row.loads is None:
        return [*cells, "", "", ""]
    loads = row.loads
    first, cached = (
        f"{loads.first_s:.1f} s, {loads.first_gib:.2f} GiB",
        f"{loads.cached_s:.2f} s, {loads.cached_gib:.2f} GiB",
    )
    return [*cells, first, cached, f"{loads.cached_s / loads.first_s:.3f}"]


def main() -> None:
    """Measure one mesh file from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("mesh", type=Path)
    parser.add_argument("--up", choices=("y", "z"), default="y")
    parser.add_argument("--faces", type=int, default=2_000_000)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    room = MeshRooms(asked.mesh, up=asked.up, simplify_faces=None).load(asked.mesh.stem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a mean of no pair at all is NaN, as it should be
        print_mesh_figures(bench_mesh(room, asked.faces, preset=asked.preset), asked.json)


if __name__ == "__main__":
    main()
