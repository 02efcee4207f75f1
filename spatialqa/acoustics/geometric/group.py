"""Traces a group, one listener position and its sources, once; any number of heads then decode it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.bands import BAND_COUNT, air_absorption
from spatialqa.acoustics.geometric.carriers import Carriers, side_shares
from spatialqa.acoustics.geometric.counter_random import subkey, two_uniforms
from spatialqa.acoustics.geometric.diffraction import diffracted_paths
from spatialqa.acoustics.geometric.direct import direct_paths
from spatialqa.acoustics.geometric.directivity import facing, omni_share
from spatialqa.acoustics.geometric.early_synthesis import add_paths
from spatialqa.acoustics.geometric.embree import Rays
from spatialqa.acoustics.geometric.late_energy import DIRECTION_CELLS, ENERGY_UNIT, RULES, LateRules, trace_late
from spatialqa.acoustics.geometric.late_synthesis import BLOCK, add_late, by_side, longest_heard
from spatialqa.acoustics.geometric.octahedral import cell_centres
from spatialqa.acoustics.geometric.paths import DIRECT, Paths, joined
from spatialqa.acoustics.geometric.receiver import Receiver
from spatialqa.acoustics.geometric.scene_arrays import Sources, distance_maps
from spatialqa.acoustics.geometric.specular import mirror_paths
from spatialqa.acoustics.geometric.surfaces import Surfaces
from spatialqa.acoustics.geometric.time_bins import TimeBins
from spatialqa.core.geometry import Quaternion, rotation_matrix
from spatialqa.rooms.mesh.rays import sphere_directions

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

LISTENER_RADIUS_M = 0.1  # the nearer ear hears a source before the centre of the head would
_LATE, _SPECULAR = 0, 1  # uses of a group's key
_RINGING_S = 0.0004  # of filters, before the nearer ear can hear anything; what rings longer is cut
_UNHEARD_DB = -80.0  # of an early path, under the strongest of its source
_CELLS = cell_centres(DIRECTION_CELLS)


@dataclass(frozen=True, eq=False)
class TracedGroup:
    """What reaches a listener's position, before anything is known of the head there.

    paths: the early arrivals. late: float64 (S, T, D, B), energy by source, time bin, octahedral cell of the arrival
    direction in the frame of the mesh, and octave band; 1 is that of the free field at 1 m. edges_s: float64 (T + 1,),
    of the time bins. Air has absorbed its part of both. distances_m: float64 (S,). speed_m_s: of sound. key: of the
    group. efficiency: the share of the late part's rays that met a surface, or None where none was cast.
    """

    paths: Paths
    late: Float64
    edges_s: Float64
    distances_m: Float64
    speed_m_s: float
    key: np.uint64
    efficiency: float | None

    def rirs(
        self, orientation: Quaternion, receiver: Receiver, carriers: Carriers, sample_rate: int, from_emission: bool
    ) -> list[Float32]:
        """Return the RIR of every source for a head of this orientation: float32 (channels, n) each.

        Args:
            orientation: head to mesh.
            receiver, carriers: of the head, see receiver.py and carriers.py.
            sample_rate: Hz, that of the receiver.
            from_emission: whether sample 0 is the emission, or LISTENER_RADIUS_M before the straight path's end.
        """
        turn = rotation_matrix(orientation)
        shares = side_shares(_CELLS @ turn)
        return [
            self._rir(s, turn, shares, receiver, carriers, sample_rate, from_emission)
            for s in range(len(self.distances_m))
        ]

    def _rir(
        self,
        s: int,
        turn: Float64,
        shares: Float64,
        receiver: Receiver,
        carriers: Carriers,
        sample_rate: int,
        from_emission: bool,
    ) -> Float32:
        paths = self.paths.chosen(self.paths.source == s)
        straight = self.distances_m[s] / self.speed_m_s
        skipped = 0 if from_emission else max(0, int((straight - LISTENER_RADIUS_M / self.speed_m_s) * sample_rate))
        bins = longest_heard(self.late[s])
        late, edges = self.late[s, :bins], self.edges_s[: bins + 1] * sample_rate - skipped
        last_s = max(
            straight,
            float(paths.length_m.max()) / self.speed_m_s if len(paths) else 0.0,
            float(self.edges_s[bins]),
        )
        length = int(last_s * sample_rate) - skipped + receiver.filters.shape[-1]
        out = np.zeros((receiver.channels, (length // BLOCK + 1) * BLOCK), dtype=np.float32)
        if bins:
            energy = by_side(late, shares, edges)
            add_late(carriers, energy, edges, straight * sample_rate - skipped, subkey(self.key, s), out)
        if len(paths):
            arrivals = paths.length_m / self.speed_m_s * sample_rate - skipped
            add_paths(receiver, paths.directions @ turn, arrivals, paths.gains.astype(np.float32), out)
        begin = int((straight - LISTENER_RADIUS_M / self.speed_m_s - _RINGING_S) * sample_rate) - skipped
        out[:, : max(0, begin)] = 0.0
        return out


def trace_group(
    rays: Rays,
    surfaces: Surfaces,
    listener: Float64,
    sources: Float64,
    settings: Mapping[str, Any],
    bins: TimeBins,
    seed: int,
) -> TracedGroup:
    """Trace a group.

    Args:
        rays, surfaces: the mesh.
        listener: float64 (3,), metres, in the frame of the mesh.
        sources: float64 (S, 3), as the listener.
        settings: see settings.py.
        bins: of the late part.
        seed: of the group, not negative.
    """
    key = subkey(np.uint64(seed), 0)
    speed = float(settings["speed_of_sound_m_s"])
    facings = facing(settings["facing"], sources, listener, key)
    maps = distance_maps(rays, sources)
    share = omni_share(settings["directivity"])
    scene = Sources(sources, facings, share, bool((share == 1.0).all()), maps)
    late = np.zeros((len(sources), len(bins.edges_s) - 1, DIRECTION_CELLS**2, BAND_COUNT), dtype=np.int64)
    found, efficiency = [], None
    if settings["direct"]:
        found.append(direct_paths(rays, surfaces, listener, scene, settings["transmission"]))
        seen = found[0].source[found[0].kind == DIRECT]
        hidden = np.setdiff1d(np.arange(len(sources)), seen)
        if settings["diffraction"] and len(hidden):
            around = distance_maps(rays, listener[None])[0]
            found.append(diffracted_paths(rays, listener, around, scene, hidden, speed))
    if settings["indirect"]:
        order = settings["specular_order"] if settings["scattering"] != "lambert" else 0
        proposing = _turned_lattice(settings["specular_ray_count"], key, _SPECULAR)
        found.append(mirror_paths(rays, surfaces, listener, scene, proposing, order))
        rules = LateRules(
            settings["ray_count"],
            RULES.index(settings["scattering"]),
            order,
            settings["transmission"],
            speed,
            bins.of_step,
        )
        first = _turned_lattice(settings["ray_count"], key, _LATE)
        cast, met = trace_late(rays, surfaces, listener, first, scene, rules, key, 0, late)
        efficiency = met / cast
    paths = joined(found)
    energy = np.asarray(late * ENERGY_UNIT, dtype=np.float64)
    if settings["air_absorption"]:
        per_m = air_absorption(temperature_c=settings["temperature_c"], humidity_percent=settings["humidity_percent"])
        paths.gains[:] *= np.exp(-0.5 * per_m * paths.length_m[:, None])
        middles_m = (bins.edges_s[1:] + bins.edges_s[:-1]) / 2 * speed
        energy *= np.exp(-per_m * middles_m[:, None])[:, None, :]
    distances = np.sqrt(np.sum(np.square(sources - listener), axis=1))
    return TracedGroup(_audible(paths, len(sources)), energy, bins.edges_s, distances, speed, key, efficiency)


def _audible(paths: Paths, sources: int) -> Paths:
    level = np.max(paths.gains, axis=1) if len(paths) else np.zeros(0)
    strongest = np.zeros(sources)
    np.maximum.at(strongest, paths.source, level)
    return paths.chosen(level > 10.0 ** (_UNHEARD_DB / 20.0) * strongest[paths.source])


def _turned_lattice(count: int, key: np.uint64, use: int) -> Float64:
    """Return directions spread evenly over the sphere, float64 (count, 3), turned at random (Shoemake, 1992)."""
    bits = subkey(key, use)
    first, second = two_uniforms(subkey(bits, 0))
    third, _ = two_uniforms(subkey(bits, 1))
    a, b = np.sqrt(1.0 - first), np.sqrt(first)
    turn = rotation_matrix(
        (
            float(a * np.sin(2 * np.pi * second)),
            float(a * np.cos(2 * np.pi * second)),
            float(b * np.sin(2 * np.pi * third)),
            float(b * np.cos(2 * np.pi * third)),
        )
    )
    lattice = sphere_directions(count)
    return np.ascontiguousarray(
        lattice[:, :1] * turn[:, 0] + lattice[:, 1:2] * turn[:, 1] + lattice[:, 2:] * turn[:, 2]
    )


def positions_in(points: Sequence[Sequence[float]], origin: Sequence[float], middle: Float64) -> Float64:
    """Return world points as the mesh has them, about its middle: float64 (n, 3)."""
    return np.asarray(points, dtype=np.float64).reshape(-1, 3) - np.asarray(origin, dtype=np.float64) - middle
