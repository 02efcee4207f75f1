"""The late part as samples: stored noise of every side of the head, shaped by the energy that comes from there."""

import numpy as np
import numpy.typing as npt

from spatialqa.acoustics.geometric.carriers import CARRIER_SAMPLES, DIFFUSE, STRETCH, Carriers
from spatialqa.acoustics.geometric.counter_random import mixed
from spatialqa.core.compiled import compiled

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BLOCK = 32  # samples between two points of an envelope
_NODES = STRETCH // BLOCK  # points of an envelope in a stretch of samples, which is worked on at a time
_UNHEARD = 3e-10  # of the strongest point of all envelopes, energy
_LEFT = 1e-9  # of the energy of a late part: what is less is left out, at its end
_DIRECTED = 1e-4  # of a band's strongest energy per time


@compiled
def by_side(late: Float64, shares: Float64, edges: Float64) -> Float64:
    """Return the energy from each side, and from everywhere: float64 (T, 7, B).

    Where a band has decayed by 40 dB, its energy comes from everywhere.

    Args:
        late: float64 (T, D, B), of one source, see group.py.
        shares: float64 (D, 6), of each direction, see carriers.py.
        edges: float64 (T + 1,), of the bins.
    """
    sides = shares.shape[1]
    energy = np.zeros((late.shape[0], sides + 1, late.shape[2]))
    for t in range(late.shape[0]):
        for d in range(late.shape[1]):
            if late[t, d].max() <= 0.0:
                continue
            for side in range(sides):
                share = shares[d, side]
                for b in range(late.shape[2]):
                    energy[t, side, b] += share * late[t, d, b]
    for b in range(late.shape[2]):
        strongest, last = 0.0, -1  # the last bin with directions
        for t in range(late.shape[0]):
            density = energy[t, :, b].sum() / (edges[t + 1] - edges[t])
            strongest = max(strongest, density)
            last = t if density > _DIRECTED * strongest else last
        for t in range(last + 1, late.shape[0]):
            energy[t, DIFFUSE, b] = energy[t, :, b].sum()
            energy[t, :DIFFUSE, b] = 0.0
    return energy


def longest_heard(late: Float64) -> int:
    """Return how many time bins of one source's energy, float64 (T, D, B), are heard at all."""
    left = np.cumsum(late.sum(axis=(1, 2))[::-1])[::-1]
    return int(np.count_nonzero(left > _LEFT * left[0]))


@compiled
def heard_samples(rir: Float32, share: float) -> tuple[float, int]:
    """Return the energy of an RIR (channels, n), and after how many samples less than a share of it is left."""
    energy = np.zeros(rir.shape[1])
    for c in range(len(rir)):
        for t in range(rir.shape[1]):
            energy[t] += np.float64(rir[c, t]) * np.float64(rir[c, t])
    total = energy.sum()
    left, last = 0.0, rir.shape[1]
    while last > 0 and left + energy[last - 1] <= share * total:
        left += energy[last - 1]
        last -= 1
    return total, last


@compiled
def add_late(carriers: Carriers, energy: Float64, edges: Float64, begin: float, key: np.uint64, out: Float32) -> None:
    """Add the late part of one source to a response.

    Args:
        carriers: see carriers.py.
        energy: float64 (T, 7, B), of `by_side`; 1 is that of a sample of 1.
        edges: float64 (T + 1,), of the bins, samples.
        begin: samples, the time of the straight path: nothing is added before.
        key: decides where in the carriers this source begins, and their signs.
        out: float32 (channels, n), n a multiple of BLOCK.
    """
    sides, bands = energy.shape[1], energy.shape[2]
    nodes = out.shape[1] // BLOCK + 1
    padded = (nodes // _NODES + 1) * _NODES + 1
    envelopes = np.zeros((sides, bands, padded), dtype=np.float32)
    strongest = np.float32(0.0)
    for side in range(sides):
        for b in range(bands):
            _envelope(energy[:, side, b], edges, begin, envelopes[side, b, :nodes])
            for k in range(nodes):
                strongest = max(strongest, envelopes[side, b, k])
    least = np.float32(np.sqrt(_UNHEARD)) * strongest
    offsets, signs = np.empty(sides, dtype=np.int64), np.empty(sides, dtype=np.float32)
    for side in range(sides):
        bits = mixed(key, side)
        offsets[side] = np.int64(bits % np.uint64(CARRIER_SAMPLES // BLOCK)) * BLOCK
        signs[side] = np.float32(1.0) if bits >> np.uint64(63) else np.float32(-1.0)
    ramp = np.arange(BLOCK).astype(np.float32) / np.float32(BLOCK)
    gain, sums = np.empty(STRETCH, dtype=np.float32), np.empty((len(out), STRETCH), dtype=np.float32)
    for first in range(0, nodes - 1, _NODES):
        sums[:] = 0.0
        start = first * BLOCK
        for side in range(sides):
            at = (offsets[side] + start) % CARRIER_SAMPLES
            for b in range(bands):
                envelope = envelopes[side, b, first : first + _NODES + 1]
                if envelope.max() <= least:
                    continue
                scale = signs[side] * carriers.scale[side, b]
                for k in range(_NODES):
                    low, step = scale * envelope[k], scale * (envelope[k + 1] - envelope[k])
                    part = gain[k * BLOCK : (k + 1) * BLOCK]
                    for t in range(BLOCK):
                        part[t] = low + step * ramp[t]
                for c in range(len(out)):
                    noise, total = carriers.noise[side, c, b, at : at + STRETCH], sums[c]
                    for t in range(STRETCH):
                        total[t] += gain[t] * noise[t]
        for c in range(len(out)):
            for t in range(min(STRETCH, out.shape[1] - start)):
                out[c, start + t] += sums[c, t]


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
    for k in range(first, last + 1):
        if k < last:
            width = edges[k + 2] - edges[k + 1]
            next_middle, next_density = edges[k + 1] + width / 2.0, energy[k + 1] / width
        else:
            next_middle, next_density = edges[last + 1], density
        slope = (next_density - density) / max(next_middle - middle, 1e-9)
        stop = min(int(np.ceil(next_middle / BLOCK)), len(envelope))
        for n in range(node, stop):
            envelope[n] = np.float32(np.sqrt(max(0.0, density + slope * max(0.0, n * BLOCK - middle))))
        node = max(node, stop)
        middle, density = next_middle, next_density
