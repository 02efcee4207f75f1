"""Checks a room before an engine takes it."""

import numpy as np

from spatialqa.errors import RoomError
from spatialqa.rooms.room import Room


def check_room(room: Room) -> None:
    """Raise RoomError for a mesh or materials that cannot be simulated."""

    def refuse(why: str) -> None:
        raise RoomError(f"the room {room.room_id} ({room.room_set}) cannot be simulated: {why}")

    faces, vertices = room.faces, room.vertices
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,) or not len(faces):
        refuse(f"it has vertices of shape {vertices.shape} and faces of shape {faces.shape}, not (V, 3) and (F, 3)")
    if not np.isfinite(vertices).all():
        refuse("some of its vertices are not finite")
    if faces.min() < 0 or faces.max() >= len(vertices):
        refuse(f"its faces name vertices {faces.min()} to {faces.max()}, and there are {len(vertices)}")
    if room.face_material.shape != (len(faces),):
        refuse(f"it has {len(faces)} faces and {room.face_material.size} face materials")
    if room.face_material.min() < 0 or room.face_material.max() >= len(room.materials):
        refuse(
            f"its faces name materials {room.face_material.min()} to {room.face_material.max()}, "
            f"and there are {len(room.materials)}"
        )
