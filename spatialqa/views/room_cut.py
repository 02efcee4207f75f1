"""Where a plane cuts the surfaces of a building: the lines of a plan or of a section."""

import numpy as np
import trimesh

from spatialqa.core.geometry import FloatArray, Vec3
from spatialqa.rooms.room import Room
from spatialqa.views.listener_frame import ListenerFrame


def has_surfaces(room: Room) -> bool:
    """Tell whether a building has any; one that stands for a bank of RIRs has none."""
    return bool(len(room.faces))


def plan_cut(room: Room, frame: ListenerFrame) -> FloatArray:
    """Return the cut at the height of the ears, float64 (n, 2, 2): ends as (across, ahead), metres."""
    return _cut(room, frame, (0.0, 1.0, 0.0))[:, :, [0, 1]]


def section_cut(room: Room, frame: ListenerFrame) -> FloatArray:
    """Return the vertical cut through both ears, float64 (n, 2, 2): ends as (across, up), metres."""
    return _cut(room, frame, (frame.ahead[0], 0.0, frame.ahead[1]))[:, :, [0, 2]]


def _cut(room: Room, frame: ListenerFrame, normal: Vec3) -> FloatArray:
    mesh = trimesh.Trimesh(room.vertices, room.faces, process=False)
    through = room.from_origin(frame.origin)
    segments = np.asarray(trimesh.intersections.mesh_plane(mesh, normal, through), dtype=np.float64).reshape(-1, 2, 3)
    return frame.across_ahead_up(segments + np.asarray(room.origin))
