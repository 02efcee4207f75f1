"""Compares two acoustic engines at the same places: decay, levels, cues of direction, CPU time."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.table import Table

from spatialqa.acoustics.engine import Engine, OpenRoom
from spatialqa.acoustics.rir_metrics import drr_db, t30
from spatialqa.core import seeds
from spatialqa.core.charts import BLUE, SOFT, chart, svg, write_svg
from spatialqa.core.console import stdout
from spatialqa.core.geometry import Pose
from spatialqa.core.scene import Place
from spatialqa.errors import PlacementError
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.room import Room, RoomSet

_ITD_HZ = (100.0, 500.0)
_LEAST_DB = -80.0

Rir = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
_Group = tuple[Pose, tuple[Place, ...], int]


@dataclass(frozen=True)
class Compared:
    """An engine that is compared. name: stands in the results. engine: binaural. direct: the same without reflections;
    what ears make of a direction is measured with it.
    """

    name: str
    engine: Engine
    direct: Engine


@dataclass(frozen=True)
class Quantity:
    """One measured quantity. unit: of its values. relative: whether differences are per cent of the second engine's
    value. visible: of pairs in line of sight (True), of hidden pairs (False), or of both (None).
    """

    name: str
    unit: str
    relative: bool
    visible: bool | None


QUANTITIES = (
    Quantity("T30", "s", True, None),
    Quantity("DRR", "dB", False, True),
    Quantity("ILD", "dB", False, True),
    Quantity("ITD", "us", False, True),
    Quantity("level, visible", "dB", False, True),
    Quantity("level, hidden", "dB", False, False),
)


@dataclass(frozen=True)
class Pair:
    """A listener and a source: whether they see each other, and each engine's value of every quantity, or None."""

    room_id: str
    visible: bool
    values: dict[str, tuple[float | None, float | None]]


@dataclass(frozen=True)
class Comparison:
    """What was measured. engines: the two, as "name preset". cpu_ms: CPU time of each for one RIR. open_ms: for opening
    a room.
    """

    engines: tuple[str, str]
    pairs: tuple[Pair, ...]
    cpu_ms: tuple[float, float]
    open_ms: tuple[float, float]

    def differences(self, quantity: Quantity) -> Array:
        """Return the first engine's value minus the second's for every pair that has both: float64 (n,)."""
        found = [pair.values[quantity.name] for pair in self.pairs if quantity.visible in (None, pair.visible)]
        both = [(a, b) for a, b in found if a is not None and b is not None]
        return np.array([100.0 * (a / b - 1.0) if quantity.relative else a - b for a, b in both])


def compare_engines(
    rooms: RoomSet,
    engines: tuple[Compared, Compared],
    room_count: int,
    listeners: int,
    sources: int,
    seed: int,
    advanced: Callable[[str], None] = lambda room_id: None,
) -> Comparison:
    """Simulate the same places with two engines.

    Args:
        rooms: where.
        engines: both at one sample rate.
        room_count, listeners, sources: rooms, listeners in each room, and sources of each listener.
        seed: of the draws.
        advanced: called with the id of every room that is done.

    Raises:
        SpatialQAError: a room cannot be read, or an engine fails.
    """
    pairs: list[Pair] = []
    opened_s, spent_s, opened = [0.0, 0.0], [0.0, 0.0], 0
    rate = engines[0].engine.identity.sample_rate
    for room_id in rooms.room_ids(room_count, seed):
        room = rooms.load(room_id)
        try:
            groups = _groups(room, listeners, sources, seed)
        except PlacementError:
            continue
        heard = []
        for e, compared in enumerate(engines):
            if not opened:
                _simulated(compared, room, groups[:1])  # late imports and compilation are not counted
            found = _simulated(compared, room, groups)
            opened_s[e] += found.opened_s
            spent_s[e] += found.spent_s
            heard.append(found)
        opened += 1
        for k, (_, places, _) in enumerate(groups):
            for n, place in enumerate(places):
                visible = bool(place.line_of_sight)
                a, b = (_values(one.rirs[k][n], one.direct[k][n], rate, visible) for one in heard)
                pairs.append(Pair(room_id, visible, {name: (a[name], b[name]) for name in a}))
        advanced(room_id)
    names = (engines[0].name, engines[1].name)
    per_rir = [1000.0 * s / max(1, len(pairs)) for s in spent_s]
    per_room = [1000.0 * s / max(1, opened) for s in opened_s]
    return Comparison(names, tuple(pairs), (per_rir[0], per_rir[1]), (per_room[0], per_room[1]))


def _groups(room: Room, listeners: int, sources: int, seed: int) -> list[_Group]:
    placer = Placer(room)
    groups = []
    for k in range(listeners):
        rng = seeds.rng(seed, "compare-engines", room.room_id, k)
        listener = placer.listener(rng)
        places = placer.sources(listener, sources, rng)
        groups.append((listener, places, seeds.derived_seed(seed, "compare-engines", room.room_id, k)))
    return groups


class _Simulated(NamedTuple):
    """The RIRs of groups, by group and source, whole and direct sound alone, and CPU seconds."""

    rirs: list[list[Rir]]
    direct: list[list[Rir]]
    opened_s: float
    spent_s: float


def _simulated(compared: Compared, room: Room, groups: Sequence[_Group]) -> _Simulated:
    start = time.process_time()
    with compared.engine.open(room) as acoustic:
        ready = time.process_time()
        rirs = [acoustic.rirs(listener, [p.position for p in places], key) for listener, places, key in groups]
        end = time.process_time()
    with compared.direct.open(room) as acoustic:
        direct = [_direct_rirs(acoustic, *group) for group in groups]
    return _Simulated(rirs, direct, ready - start, end - ready)


def _direct_rirs(acoustic: OpenRoom, listener: Pose, places: Sequence[Place], key: int) -> list[Rir]:
    """Return the direct sound of every source in line of sight, and an empty RIR of the others."""
    seen = [place.position for place in places if place.line_of_sight]
    found = iter(acoustic.rirs(listener, seen, key))
    return [next(found) if place.line_of_sight else np.zeros((2, 0), dtype=np.float32) for place in places]


def _values(rir: Rir, direct: Rir, rate: int, visible: bool) -> dict[str, float | None]:
    level = _db(float(np.sum(np.square(rir, dtype=np.float64))) / len(rir))
    left, right = (_db(float(np.sum(np.square(ear, dtype=np.float64)))) for ear in direct)
    return {
        "T30": t30(rir, rate, "binaural"),
        "DRR": drr_db(rir, rate, visible, "binaural"),
        "ILD": left - right if visible else None,
        "ITD": _itd_us(direct, rate) if visible else None,
        "level, visible": level,
        "level, hidden": level,
    }


def _db(energy: float) -> float:
    return 10.0 * math.log10(max(energy, 10.0 ** (_LEAST_DB / 10.0)))


def _itd_us(direct: Rir, rate: int) -> float:
    """Return how much earlier the left ear hears 100 to 500 Hz, microseconds: the slope of the interaural phase."""
    n = 1 << 14
    frequency = np.fft.rfftfreq(n, 1.0 / rate)
    chosen = (frequency >= _ITD_HZ[0]) & (frequency <= _ITD_HZ[1])
    left, right = np.fft.rfft(direct.astype(np.float64), n)[:, chosen]
    cross = left * np.conj(right)
    omega, weight = 2 * np.pi * frequency[chosen], np.abs(cross)
    phase = np.unwrap(np.angle(cross))
    return float(np.sum(weight * omega * phase) / max(np.sum(weight * omega * omega), 1e-30)) * 1e6


def print_comparison(comparison: Comparison, as_json: bool) -> None:
    """Print the comparison as a table, or as one JSON object."""
    rows = []
    for quantity in QUANTITIES:
        found = comparison.differences(quantity)
        if len(found):
            away = np.abs(found)
            unit = "%" if quantity.relative else quantity.unit
            middle, spread = float(np.median(found)), float(np.median(away))
            rows.append((quantity.name, unit, len(found), middle, spread, float(np.quantile(away, 0.9))))
    first, second = comparison.engines
    if as_json:
        titles = ("quantity", "unit", "pairs", "median", "median_absolute", "quantile_90")
        whole = {**asdict(comparison), "rows": [dict(zip(titles, row, strict=True)) for row in rows]}
        del whole["pairs"]
        stdout.print(json.dumps(whole), markup=False, soft_wrap=True)
        return
    stdout.print(f"{first} minus {second}", markup=False)
    table = Table(box=None)
    for title in ("", "pairs", "median", "median of absolute values", "90 % below"):
        table.add_column(title, justify="left" if not title else "right")
    for name, unit, count, *figures in rows:
        cells = [f"{figures[0]:+.2f} {unit}", *(f"{value:.2f} {unit}" for value in figures[1:])]
        table.add_row(name, f"{count}", *cells)
    stdout.print(table)
    for name, cpu, opening in zip(comparison.engines, comparison.cpu_ms, comparison.open_ms, strict=True):
        stdout.print(f"{name}: {cpu:.1f} ms of CPU time an RIR, {opening:.0f} ms to open a room", markup=False)


def plot_comparison(path: Path, comparison: Comparison) -> None:
    """Draw every quantity of one engine over that of the other as an SVG; raises as `write_svg` does."""
    first, second = comparison.engines
    with chart(960, 680) as figure:
        figure.set_layout_engine("constrained", w_pad=12 / 72, h_pad=12 / 72)
        for quantity, axes in zip(QUANTITIES, figure.subplots(2, 3).flat, strict=True):
            found = [p.values[quantity.name] for p in comparison.pairs if quantity.visible in (None, p.visible)]
            both = np.array([(b, a) for a, b in found if a is not None and b is not None]).reshape(-1, 2)
            axes.set_title(f"{quantity.name} ({quantity.unit})")
            axes.set_aspect("equal", adjustable="datalim")
            if not len(both):
                axes.set_axis_off()
                continue
            axes.axline((float(both[0, 0]),) * 2, slope=1, color=SOFT, linewidth=1)
            axes.scatter(both[:, 0], both[:, 1], s=9, color=BLUE, alpha=0.6, linewidths=0)
        figure.supxlabel(f"across: {second}; up: {first}; the line: both alike", x=0.02, ha="left", fontsize=11)
        write_svg(path, svg(figure))
