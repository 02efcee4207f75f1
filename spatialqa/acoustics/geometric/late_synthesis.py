"""The late part as samples: stored noise of every side of the head, shaped by the energy that comes from there."""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.carriers import CARRIER_SAMPLES
from spatialqa.acoustics.geometric.compiled import compiled
from spatialqa.acoustics.geometric.counter_random import mixed

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BLOCK = 32  # samples between two points of an envelope
_UNHEARD = 1e-11  # of the strongest point of all envelopes, energy


@compiled
def add_late(carriers: Float32, energy: Float64, edges: Float64, begin: float, key: np.uint64, out: Float32) -> None:
    """Add the late part of one source to a response.

    Args:
        carriers: float32 (6, channels, B, CARRIER_SAMPLES), see carriers.py.
        energy: float64 (T, 6, B), by time bin, side and octave band; 1 is that of a sample of 1.
        edges: float64 (T + 1,), of the bins, samples.
        begin: samples, the time of the straight path: nothing is added before.
        key: decides where in the carriers this source begins, and their signs.
        out: float32 (channels, n), n a multiple of BLOCK.
    """
    sides, bands = energy.shape[1], energy.shape[2]
    nodes = out.shape[1] // BLOCK + 1
    envelopes = np.zeros((sides, bands, nodes), dtype=np.float32)
    ramp = np.empty(BLOCK, dtype=np.float32)
    strongest = np.float32(0.0)
    for side in range(sides):
        for b in range(bands):
            _envelope(energy[:, side, b], edges, begin, envelopes[side, b])
            for k in range(nodes):
                strongest = max(strongest, envelopes[side, b, k])
    least = np.float32(np.sqrt(_UNHEARD)) * strongest
    for side in range(sides):
        bits = mixed(key, side)
        offset = np.int64(bits % np.uint64(CARRIER_SAMPLES // BLOCK)) * BLOCK
        sign = np.float32(1.0) if bits >> np.uint64(63) else np.float32(-1.0)
        for b in range(bands):
            envelope = envelopes[side, b]
            for k in range(nodes - 1):
                low, high = sign * envelope[k], sign * envelope[k + 1]
                if abs(low) <= least and abs(high) <= least:
                    continue
                step = (high - low) / np.float32(BLOCK)
                for t in range(BLOCK):
                    ramp[t] = low + step * np.float32(t)
                start, at = k * BLOCK, (offset + k * BLOCK) % CARRIER_SAMPLES
                for c in range(len(out)):
                    for t in range(BLOCK):
                        out[c, start + t] += ramp[t] * carriers[side, c, b, at + t]


@compiled
def _envelope(energy: Float64, edges: Float64, begin: float, envelope: Float32) -> None:
    """Write the amplitude at every BLOCK-th sample: energy per sample is interpolated between the middles of bins.

    The bin in which the straight path ends begins there: all of its energy comes later.
    """
    last = len(energy) - 1
    while last >= 0 and energy[last] <= 0.0:
        last -= 1
    if last < 0:
        return
    first = 0
    while first < last and edges[first + 1] <= begin + BLOCK:
        first += 1
    carried = 0.0  # what earlier bins hold by rounding
    for k in range(first):
        carried += energy[k]
    start = max(edges[first], begin)
    node = int(np.ceil(start / BLOCK)) + 1
    middle, density = (start + edges[first + 1]) / 2.0, (energy[first] + carried) / (edges[first + 1] - start)
    k = first
    next_middle, next_density = middle, density
    while node < len(envelope):
        at = float(node * BLOCK)
        while k <= last and at >= next_middle:
            middle, density = next_middle, next_density
            k += 1
            if k <= last:
                width = edges[k + 1] - edges[k]
                next_middle, next_density = edges[k] + width / 2.0, energy[k] / width
            else:
                next_middle, next_density = edges[last + 1], density
        if k > last and at >= next_middle:
            break
        if at <= middle or next_middle <= middle:
            now = density
        else:
            now = density + (next_density - density) * (at - middle) / (next_middle - middle)
        envelope[node] = np.float32(np.sqrt(max(0.0, now)))
        node += 1
