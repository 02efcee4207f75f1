"""Reads a GLB as Habitat does: its z axis is up, and the world's y."""

import json
import struct
from dataclasses import dataclass

import numpy as np

_KINDS = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}


@dataclass(frozen=True)
class Mesh:
    """vertices: float64 (V, 3), world frame. faces: int64 (F, 3)."""

    vertices: np.ndarray
    faces: np.ndarray

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return self.vertices.min(axis=0), self.vertices.max(axis=0)

    def blocks(self, start: np.ndarray, end: np.ndarray) -> bool:
        """Tell whether a face lies between two points (Moeller and Trumbore, 1997)."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        ray = end - start
        p = np.cross(ray, c - a)
        determinant = np.einsum("ij,ij->i", b - a, p)
        usable = np.abs(determinant) > 1e-12
        inverse = np.divide(1.0, determinant, out=np.zeros_like(determinant), where=usable)
        from_corner = start - a
        u = np.einsum("ij,ij->i", from_corner, p) * inverse
        q = np.cross(from_corner, b - a)
        v = q @ ray * inverse
        t = np.einsum("ij,ij->i", c - a, q) * inverse
        return bool((usable & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (t < 1)).any())


def read_glb(path: str) -> Mesh:
    with open(path, "rb") as file:
        magic, _, _, size, _ = struct.unpack("<IIIII", file.read(20))
        if magic != 0x46546C67:
            raise RuntimeError(f"{path} is not a GLB")
        head = json.loads(file.read(size))
        _, _ = struct.unpack("<II", file.read(8))
        binary = file.read()

    def accessor(index: int, columns: int) -> np.ndarray:
        entry = head["accessors"][index]
        view = head["bufferViews"][entry["bufferView"]]
        start = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
        found = np.frombuffer(binary, _KINDS[entry["componentType"]], entry["count"] * columns, start)
        return found.reshape(-1, columns) if columns > 1 else found

    vertices, faces, offset = [], [], 0
    for mesh in head["meshes"]:
        for primitive in mesh["primitives"]:
            x, y, z = accessor(primitive["attributes"]["POSITION"], 3).astype(np.float64).T
            vertices.append(np.stack([x, z, -y], axis=1))
            faces.append(accessor(primitive["indices"], 1).astype(np.int64).reshape(-1, 3) + offset)
            offset += len(x)
    return Mesh(np.concatenate(vertices), np.concatenate(faces))
