"""One Matterport3D scan as a mesh with the category of each face, and its regions, in the world frame."""

from collections.abc import Collection, Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spatialqa.core.geometry import Vec3, z_up_to_world
from spatialqa.errors import RoomError
from spatialqa.rooms.mesh.reading import read_parts
from spatialqa.rooms.mesh.simplify import LabelledMesh
from spatialqa.rooms.mesh.surface import nearest_faces
from spatialqa.rooms.room import Region
from spatialqa.rooms.scans.house_file import Category, House, HouseRegion
from spatialqa.rooms.scans.matterport_files import SceneFiles
from spatialqa.rooms.scans.matterport_tables import REGION_LABELS, UNLABELLED, mpcat40_materials
from spatialqa.rooms.scans.semantic_ply import read_semantic_ply

# What a face is made of, as an index into these: unknown, a class without a material of its own, or a material.
UNKNOWN = 0
DEFAULT = 1
SURFACES: tuple[str | None, ...] = (None, None, *sorted({name for name in mpcat40_materials().values() if name}))

_BLOCK = 200_000  # faces that look for a label at a time: some 200 MB
_UPWARDS = 0.9  # the vertical part of a floor's normal


def load_mesh(files: SceneFiles, house: House | None, glb_geometry: bool) -> LabelledMesh:
    """Read a scene; face_material indexes SURFACES.

    The geometry is the semantic PLY's, whose faces are labelled one by one. With glb_geometry, or where there is no
    PLY, it is the GLB's; its faces then take the label of the PLY's face nearest to their middle.

    Raises RoomError when a file is damaged, or the PLY and the .house file are not of one scan.
    """
    labelled = _read_ply(files, house) if files.ply else None
    if labelled is not None and not (glb_geometry and files.glb):
        mesh = labelled
    else:
        vertices, faces = _read_glb(files)
        surface = np.full(len(faces), UNKNOWN, dtype=np.int32)
        if labelled is not None and len(labelled.faces):
            surface = _nearest_labels(vertices, faces, labelled)
        mesh = LabelledMesh(vertices, faces, surface)
    if not len(mesh.faces):
        raise RoomError(f"{files.ply or files.glb} holds no faces: a room needs a triangle mesh")
    return LabelledMesh(z_up_to_world(mesh.vertices).astype(np.float32), mesh.faces, mesh.face_material)


def regions_of(scene: str, house: House, excluded: Collection[str]) -> tuple[Region, ...]:
    """Return the regions that have an extent: prisms over their floors, or over their bounding boxes.

    A region whose label (or `unlabelled`) is excluded is not usable.
    """
    regions = []
    for region in house.regions:
        label = REGION_LABELS.get(region.label or "")
        prism = _prism(house, region)
        if prism is not None:
            corners, floor, ceiling = prism
            polygon = tuple((float(x), float(z)) for x, _, z in z_up_to_world(corners))
            level = None if region.level_index < 0 else region.level_index
            usable = (label or UNLABELLED) not in excluded
            regions.append(Region(f"{scene}/{region.index}", label, level, polygon, floor, ceiling, usable))
    return tuple(regions)


def _prism(house: House, region: HouseRegion) -> tuple[tuple[Vec3, ...], float, float] | None:
    """Return the floor's corners, its lowest height and the ceiling's height, z up; None where there is no extent."""
    floors = [
        surface.corners
        for surface in house.surfaces
        if surface.region_index == region.index and surface.normal[2] >= _UPWARDS and len(surface.corners) >= 3
    ]
    (x0, y0, z0), (x1, y1, z1) = region.low, region.high
    if floors:
        corners = max(floors, key=_area)
        floor = min(z for _, _, z in corners)
    elif x0 < x1 and y0 < y1:
        corners = ((x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0))
        floor = z0
    else:
        return None
    ceiling = floor + region.height if region.height > 0.0 else z1
    return (corners, floor, ceiling) if ceiling > floor and _area(corners) > 0.0 else None


def _area(corners: tuple[Vec3, ...]) -> float:
    twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise((*corners, corners[0])))
    return abs(twice) / 2


def _read_ply(files: SceneFiles, house: House | None) -> LabelledMesh:
    assert files.ply is not None
    wanted = ("face_material", "face_category") if files.own_layout else ("object_id",)
    mesh = read_semantic_ply(files.ply, wanted)
    if wanted[0] not in mesh.values:
        raise RoomError(f"{files.ply}: the faces have no {wanted[0]!r}, which says what object each is of")
    if house is None:
        surface = np.full(len(mesh.faces), UNKNOWN, dtype=np.int32)
    elif files.own_layout:
        surface = _by_segment(house, mesh.values["face_material"])
        if "face_category" in mesh.values:
            loose = ~np.isin(mesh.values["face_material"], [segment.segment_id for segment in house.segments])
            by_category = {category.mapping_index: _surface(category) for category in house.categories}
            surface[loose] = _look_up(mesh.values["face_category"][loose], by_category)
    else:
        objects = mesh.values["object_id"]
        if len(objects) and int(objects.max()) >= len(house.objects):
            raise RoomError(
                f"{files.ply} has faces of object {int(objects.max())} and {files.house} has {len(house.objects)} "
                f"objects: they are not of one scan; take both from one download"
            )
        surface = _look_up(objects, dict(enumerate(_object_surfaces(house))))
    return LabelledMesh(mesh.vertices, mesh.faces, surface)


def _by_segment(house: House, segment_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    of_object = _object_surfaces(house)
    return _look_up(
        segment_ids, {s.segment_id: of_object[s.object_index] for s in house.segments if s.object_index >= 0}
    )


def _object_surfaces(house: House) -> list[int]:
    return [
        UNKNOWN if item.category_index < 0 else _surface(house.categories[item.category_index])
        for item in house.objects
    ]


def _surface(category: Category) -> int:
    materials = mpcat40_materials()
    if category.mpcat40_name not in materials:
        return UNKNOWN
    name = materials[category.mpcat40_name]
    return SURFACES.index(name, DEFAULT + 1) if name else DEFAULT


def _look_up(values: npt.NDArray[np.int32], table: Mapping[int, int]) -> npt.NDArray[np.int32]:
    """Return the table's entry for each value, UNKNOWN where it has none."""
    different, place = np.unique(values, return_inverse=True)
    entries = np.array([table.get(int(value), UNKNOWN) for value in different], dtype=np.int32)
    return entries[place]


def _nearest_labels(
    vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32], mesh: LabelledMesh
) -> npt.NDArray[np.int32]:
    """Return for each face the label of the mesh's face nearest to its middle."""
    middles = vertices[faces].mean(axis=1, dtype=np.float64)
    blocks = np.array_split(middles, len(middles) // _BLOCK + 1)
    nearest = np.concatenate([nearest_faces(block, mesh.vertices, mesh.faces)[1] for block in blocks])
    found: npt.NDArray[np.int32] = mesh.face_material[nearest]
    return found


def _read_glb(files: SceneFiles) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return the vertices, z up, and the faces of the GLB; its textures are not read."""
    assert files.glb is not None
    parts = read_parts(files.glb)
    if not parts:
        raise RoomError(f"{files.glb} holds no faces: a room needs a triangle mesh")
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([part.vertices for part in parts])
    if not np.isfinite(vertices).all():
        raise RoomError(f"{files.glb} has vertices that are not finite numbers: take another copy")
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=False)])
    return vertices.astype(np.float32), faces.astype(np.int32)
