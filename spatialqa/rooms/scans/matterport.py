"""Rooms from Matterport3D: materials and regions come from its annotations."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from spatialqa.core import seeds
from spatialqa.errors import RoomError
from spatialqa.rooms.materials import material
from spatialqa.rooms.mesh.cache import KnownContents, MeshCache
from spatialqa.rooms.mesh.mesh_rooms import DEFAULT_MATERIAL
from spatialqa.rooms.mesh.reading import habitat_files, reader_versions
from spatialqa.rooms.mesh.simplify import MAX_ERROR_M, TARGET_FACES, PreparedMesh, preparation, prepare_mesh
from spatialqa.rooms.mesh.surface import triangle_areas
from spatialqa.rooms.room import Room
from spatialqa.rooms.scans.house_file import read_house_file
from spatialqa.rooms.scans.matterport_files import SceneFiles, find_root, find_scenes, read_scenes_list
from spatialqa.rooms.scans.matterport_mesh import SURFACES, UNKNOWN, load_mesh, regions_of
from spatialqa.rooms.scans.matterport_tables import OUTDOORS_AND_JUNK, check_labels, mpcat40_materials, split_of

NAME = "mp3d"
GEOMETRIES = ("semantic", "glb")

_VERSION = "1"  # raised whenever the same files would be labelled differently


class Matterport3DRooms:
    """The scenes of Matterport3D (Chang et al., 3DV 2017) under a folder; a scene is a room, and a house of its own.

    A face has the material that SoundSpaces 2.0 gives the mpcat40 class of its object; a face of no object, or of an
    object without a class, has default_material. A scene without annotations is of default_material altogether, and
    its room says so.

    root: None looks at $SPATIALQA_MP3D_ROOT and data/scene_datasets/mp3d. splits: whose lists `official_split` answers
    from: "official" (61, 11 and 18 houses), "soundspaces" (59, 11 and 15), "random" (none). scenes_list: a file of the
    scenes to keep to, one a line. exclude_regions: labels of regions without listeners and sources. geometry:
    "semantic"
    takes the annotated PLY's; "glb" the GLB's, each face with the label of the PLY face nearest to it. target_faces,
    max_error_m: how far a large mesh is simplified; target_faces None keeps all faces. cache: where prepared meshes are
    kept; None keeps none.

    Raises RoomError where there are no scenes, or an option has a value that cannot be used.
    """

    name = NAME
    finite = True

    def __init__(
        self,
        root: Path | None = None,
        splits: str = "official",
        scenes_list: Path | None = None,
        default_material: str | None = None,
        exclude_regions: Sequence[str] = OUTDOORS_AND_JUNK,
        geometry: str = "semantic",
        target_faces: int | None = TARGET_FACES,
        max_error_m: float = MAX_ERROR_M,
        cache: Path | None = None,
    ) -> None:
        if geometry not in GEOMETRIES:
            raise RoomError(f"there is no geometry {geometry!r} of Matterport3D: choose {' or '.join(GEOMETRIES)}")
        self._splits = dict(split_of(splits))  # a plain one: rooms travel to other processes
        self._excluded = check_labels(exclude_regions)
        self._default = material(default_material or DEFAULT_MATERIAL)
        self._glb_geometry = geometry == "glb"
        self._target_faces, self._max_error_m = target_faces, max_error_m
        self._cache = MeshCache(cache)
        self._known = KnownContents()
        scenes = find_scenes(find_root(root))
        self._scenes = read_scenes_list(scenes_list, scenes) if scenes_list else scenes

    def room_ids(self, count: int | None, seed: int) -> Sequence[str]:
        """Return all scenes by name, or `count` of them drawn by seed where there are more."""
        ids = list(self._scenes)
        if count is None or count >= len(ids):
            return ids
        return [ids[k] for k in seeds.rng(seed, "mp3d-rooms", "ids").permutation(len(ids))[:count]]

    def house_of(self, room_id: str) -> str:
        """Return the house: every scene is one."""
        return room_id

    def official_split(self, house_id: str) -> str | None:
        """Return the split of a house on the lists in use, or None when it is on none."""
        return self._splits.get(house_id)

    def content_hash(self) -> str:
        """Return a hash of the files that are read, by whichever engine, and of how they are.

        A file is hashed once, then known by its path, size and modification time.
        """
        scenes = []
        for room_id, files in self._scenes.items():
            self._known.note(room_id, self._contents(files))
            scenes.append((self._mesh_key(files), self._hashes(files, (files.glb, *habitat_files(files.glb)))))
        how = (self._default, sorted(self._excluded), scenes)
        return hashlib.sha256(repr(how).encode()).hexdigest()

    def load(self, room_id: str) -> Room:
        """Read a scene, or take its mesh from the cache.

        Raises RoomError when the scene is not there, has changed since `content_hash`, or a file of it is damaged or
        does not fit the others.
        """
        if room_id not in self._scenes:
            raise RoomError(f"there is no Matterport3D scene {room_id!r} among the {len(self._scenes)} that were found")
        files = self._scenes[room_id]
        self._known.check(room_id, self._contents(files))
        house = read_house_file(files.house) if files.house else None

        def make() -> PreparedMesh:
            mesh = load_mesh(files, house, self._glb_geometry)
            return prepare_mesh(mesh, self._target_faces, self._max_error_m)

        mesh = self._cache.get(f"{self._mesh_key(files)}, {reader_versions()}", make)
        if not len(mesh.faces):
            raise RoomError(f"{files.ply or files.glb} holds only faces without area: take another copy")
        name_of = [name or self._default.name for name in SURFACES]
        names = sorted({name_of[k] for k in np.unique(mesh.face_material)})
        number = np.array([names.index(name) if name in names else -1 for name in name_of], dtype=np.int32)
        warnings = [*self._missing(files, mesh), *mesh.notes()]
        regions = regions_of(room_id, house, self._excluded) if house else ()
        return Room(
            self.name,
            room_id,
            room_id,
            mesh.vertices,
            mesh.faces,
            number[mesh.face_material],
            tuple(material(name) for name in names),
            regions,
            tuple(warnings),
            files.glb,
        )

    def _missing(self, files: SceneFiles, mesh: PreparedMesh) -> list[str]:
        """Return what is not known of a scene, and what is taken instead."""
        notes = []
        if files.house is None:
            notes.append(f"{files.scene} has no .house file, so there are no regions")
        if files.ply is None or files.house is None:
            lacking = "semantic PLY" if files.ply is None else ".house file"
            return [*notes, f"{files.scene} has no {lacking}: every surface is {self._default.name}"]
        area = triangle_areas(mesh.vertices, mesh.faces)
        share = float(area[mesh.face_material == UNKNOWN].sum() / area.sum())
        if share > 0.0:
            notes.append(
                f"{share:.1%} of the surface of {files.scene} has no category: its material is {self._default.name!r}"
            )
        return notes

    def _mesh_key(self, files: SceneFiles) -> str:
        """Return a text with everything that the prepared mesh of a scene depends on."""
        glb = files.glb if self._glb_geometry or files.ply is None else None
        hashes = self._hashes(files, (files.ply, files.house, glb))
        classes = tuple(mpcat40_materials().items())
        how = (_VERSION, SURFACES, classes, files.own_layout, preparation(self._target_faces, self._max_error_m))
        return repr((files.scene, hashes, how))

    def _contents(self, files: SceneFiles) -> str:
        return repr(self._hashes(files, (files.ply, files.house, files.glb)))

    def _hashes(self, files: SceneFiles, paths: Iterable[Path | None]) -> list[tuple[str, str] | None]:
        """Return the name and the hash of each of a scene's files, None for what is not there."""
        try:
            return [(path.name, self._cache.file_sha256(path)) if path else None for path in paths]
        except OSError as error:
            raise RoomError(f"cannot read the files of scene {files.scene}: {error}") from error
