"""glTF files made entry by entry."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
SQUARE = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0)]  # 4 m2, seen from +z
FACES = [0, 1, 2, 0, 2, 3]


class File:
    """A glTF file in the making."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0"}, "nodes": [], "meshes": []}
        self.json |= {"accessors": [], "bufferViews": [], "materials": []}
        self.content = bytearray()

    def add(self, kind: str, **entry: Any) -> int:
        self.json[kind].append(entry)
        return len(self.json[kind]) - 1

    def view(self, content: bytes, **more: Any) -> int:
        self.content += bytes(-len(self.content) % 4)
        self.content += content
        at = len(self.content) - len(content)
        return self.add("bufferViews", buffer=0, byteOffset=at, byteLength=len(content), **more)

    def accessor(self, values: Any, kind: str = "f4", **more: Any) -> int:
        array = np.asarray(values, dtype="<" + kind)
        shape = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[array.size // len(array)]
        entry = {"componentType": COMPONENTS[kind], "count": len(array), "type": shape}
        return self.add("accessors", **{"bufferView": self.view(array.tobytes()), **entry, **more})

    def mesh(self, *primitives: dict[str, Any], **more: Any) -> int:
        return self.add("meshes", primitives=list(primitives), **more)

    def square(self, **more: Any) -> int:
        """Add a mesh of two triangles."""
        return self.mesh(
            {"attributes": {"POSITION": self.accessor(SQUARE)}, "indices": self.accessor(FACES, "u2")}, **more
        )

    def node(self, **entry: Any) -> int:
        return self.add("nodes", **entry)

    def save(self, path: Path, **more: Any) -> Path:
        self.json |= more
        if path.suffix == ".gltf":
            data = "data:application/octet-stream;base64," + base64.b64encode(self.content).decode()
            self.json.setdefault("buffers", [{"byteLength": len(self.content), "uri": data}])
            path.write_text(json.dumps(self.json))
            return path
        self.json.setdefault("buffers", [{"byteLength": len(self.content)}])
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        binary = bytes(self.content) + bytes(-len(self.content) % 4)
        path.write_bytes(glb((b"JSON", text), (b"BIN\0", binary)))
        return path


def glb(*chunks: tuple[bytes, bytes], version: int = 2) -> bytes:
    body = b"".join(struct.pack("<I", len(content)) + kind + content for kind, content in chunks)
    return struct.pack("<4sII", b"glTF", version, 12 + len(body)) + body
