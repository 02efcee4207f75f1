"""Input files for Habitat: scene files in its axes, and materials in SoundSpaces' format."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import trimesh

from spatialqa.errors import RoomError
from spatialqa.rooms.materials import Curve, Material
from spatialqa.rooms.room import Room

_SPEED_M_S = 343.99
_AIR_DENSITY_KG_M3 = 1.2
_BOUNDS_TOLERANCE_M, _BOUNDS_TOLERANCE = 0.5, 0.05


@contextlib.contextmanager
def scene_file(room: Room) -> Iterator[Path]:
    """Give the room's own GLB where it is one of Habitat's, or one made of its mesh that lasts as long as the block.

    Only files in Habitat's layout are known to be z-up and in metres; of others the mesh has been turned and scaled.
    A room far from the origin is always made, as its vertices have it: Habitat computes in float32.
    """
    if room.scene_path is not None and not room.is_shifted and is_habitats(room.scene_path):
        yield room.scene_path.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="spatialqa-habitat-") as folder:
        path = Path(folder) / "scene.glb"
        write_glb(path, room.vertices, room.faces)
        yield path


def write_glb(path: Path, vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32]) -> None:
    """Write a mesh that Habitat shows in the world frame: it takes a GLB to be z-up, as Matterport3D's are.

    Args:
        path: where to.
        vertices: (V, 3), metres, world frame.
        faces: (F, 3).
    """
    z_up = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1]], axis=1)
    path.write_bytes(trimesh.Trimesh(z_up, faces, process=False).export(file_type="glb"))


def is_habitats(scene: Path) -> bool:
    """Tell whether a scene file is a GLB in Habitat's layout, with a navmesh or semantics beside it."""
    if scene.suffix.lower() != ".glb" or not scene.is_file():
        return False
    return has_semantics(scene) or scene.with_suffix(".navmesh").is_file()


def has_semantics(scene: Path) -> bool:
    """Tell whether a Matterport3D scene's object categories lie beside its GLB, where Habitat looks for them."""
    return scene.with_suffix(".house").is_file() and scene.with_name(f"{scene.stem}_semantic.ply").is_file()


def material_database(categories: Mapping[str, Material]) -> str:
    """Return a material database in SoundSpaces' form (its mp3d_material_config.json), one material a category.

    A category takes the material whose label it contains, in lower case.
    """

    def pairs(curve: Curve) -> list[float]:
        return [float(number) for point in curve for number in point]

    materials = [
        {
            "name": f"{category}: {material.name}",
            "labels": [category.lower()],
            "absorption": pairs(material.absorption),
            "scattering": pairs(material.scattering),
            "transmission": pairs(material.transmission),
            # The library refuses a material without these three; what passes a thin shell travels on as in air.
            "damping": [1000.0, 0.0],
            "speed": _SPEED_M_S,
            "density": _AIR_DENSITY_KG_M3,
        }
        for category, material in categories.items()
    ]
    return json.dumps({"materials": materials})


def check_bounds(room: Room, bounds: object) -> None:
    """Raise RoomError where Habitat's scene lies elsewhere than the room: another axis is up, or another unit.

    Args:
        room: as its vertices have it.
        bounds: lowest and highest corner of Habitat's scene, metres; None where the build tells none.
    """
    if bounds is None:
        return
    here = np.stack([room.vertices.min(axis=0), room.vertices.max(axis=0)]).astype(np.float64)
    there = np.asarray(bounds, dtype=np.float64)
    tolerance = _BOUNDS_TOLERANCE_M + _BOUNDS_TOLERANCE * float((here[1] - here[0]).max())
    if there.shape != (2, 3) or not (np.abs(there - here) <= tolerance).all():
        raise RoomError(
            f"room {room.room_id} ({room.scene_path or 'no file'}) spans {_span(here)}, and what Habitat makes of it "
            f"{_span(there)}: Habitat turns a GLB from z-up to y-up, so give one that is z-up and in metres"
        )


def _span(bounds: npt.NDArray[np.float64]) -> str:
    if bounds.shape != (2, 3):
        return str(bounds.tolist())
    return ", ".join(f"{axis} {low:.1f} to {high:.1f} m" for axis, low, high in zip("xyz", *bounds, strict=True))
