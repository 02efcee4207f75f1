"""Loops over samples that numpy cannot express: recurrences, compiled when the first clip is made.

Arrays are float64 and contiguous. Every result depends on the arguments alone: sums have a fixed order, and
coefficients come from the caller.
"""

from math import floor

import numpy as np
import numpy.typing as npt

from spatialqa.core.compiled import compiled

Array = npt.NDArray[np.float64]

_BLOCK = 128  # samples between two looks at whether a resonator still rings


@compiled
def resonate(x: Array, gains: Array, first: Array, second: Array, step: int, silence: float, out: Array) -> None:
    """Add K parallel resonators y[n] = gain x[n] - first y[n-1] - second y[n-2] to out, float64 (n,).

    Four run side by side, so that one need not wait for the rounding of another: K is a multiple of 4.

    Args:
        x: (n,) the excitation.
        gains, second: (K,).
        first: (B, K); row b holds for samples b step + 1 to (b + 1) step.
        silence: a resonator stops where x is 0 and its last two samples are below this.
    """
    n = len(x)
    for k in range(0, len(gains), 4):
        g0, g1, g2, g3 = gains[k], gains[k + 1], gains[k + 2], gains[k + 3]
        q0, q1, q2, q3 = second[k], second[k + 1], second[k + 2], second[k + 3]
        y0 = y1 = y2 = y3 = 0.0
        z0 = z1 = z2 = z3 = 0.0
        start = 0
        for b in range(len(first)):
            p0, p1, p2, p3 = first[b, k], first[b, k + 1], first[b, k + 2], first[b, k + 3]
            last = n if b == len(first) - 1 else min(n, (b + 1) * step + 1)
            while start < last:
                stop = min(start + _BLOCK, last)
                heard = max(max(abs(y0), abs(z0)), max(abs(y1), abs(z1)))
                heard = max(heard, max(max(abs(y2), abs(z2)), max(abs(y3), abs(z3))))
                if heard < silence:
                    y0 = y1 = y2 = y3 = 0.0
                    z0 = z1 = z2 = z3 = 0.0
                    i = start
                    while i < stop and x[i] == 0.0:
                        i += 1
                    if i == stop:
                        start = stop
                        continue
                for i in range(start, stop):
                    u = x[i]
                    t0, t1, t2, t3 = g0 * u - q0 * z0, g1 * u - q1 * z1, g2 * u - q2 * z2, g3 * u - q3 * z3
                    z0, z1, z2, z3 = y0, y1, y2, y3
                    y0, y1, y2, y3 = t0 - p0 * y0, t1 - p1 * y1, t2 - p2 * y2, t3 - p3 * y3
                    out[i] += (y0 + y1) + (y2 + y3)
                start = stop


@compiled
def cascade(x: Array, sections: Array) -> Array:
    """Return x after second-order sections, two side by side: rows (b0, b1, b2, 1, a1, a2), an even number of them."""
    out = np.empty_like(x)
    for s in range(0, len(sections), 2):
        b0, b1, b2, a1, a2 = sections[s, 0], sections[s, 1], sections[s, 2], sections[s, 4], sections[s, 5]
        d0, d1, d2 = sections[s + 1, 0], sections[s + 1, 1], sections[s + 1, 2]
        c1, c2 = sections[s + 1, 4], sections[s + 1, 5]
        x1 = x2 = y1 = y2 = z1 = z2 = 0.0
        source = x if s == 0 else out
        for i in range(len(x)):
            u = source[i]
            y = (b0 * u + b1 * x1 + b2 * x2 - a2 * y2) - a1 * y1
            z = (d0 * y + d1 * y1 + d2 * y2 - c2 * z2) - c1 * z1
            x2, x1, y2, y1, z2, z1 = x1, u, y1, y, z1, z
            out[i] = z
    return out


@compiled
def turns(frequency: Array, rate: float) -> Array:
    """Return the running phase of a frequency in Hz at `rate` samples a second, within its cycle: 0 to 1."""
    out = np.empty_like(frequency)
    total, each = 0.0, 1.0 / rate
    for i in range(len(frequency)):
        total += frequency[i]
        phase = total * each
        out[i] = phase - floor(phase)
    return out


@compiled
def read_cycle(frequency: Array, rate: float, table: Array) -> Array:
    """Return a wave that repeats `table`, one cycle and its first value again, at a frequency in Hz; linear between."""
    out = np.empty_like(frequency)
    size = len(table) - 1
    total, each = 0.0, 1.0 / rate
    for i in range(len(frequency)):
        total += frequency[i]
        phase = total * each
        position = (phase - floor(phase)) * size
        left = int(position)
        out[i] = (table[left + 1] - table[left]) * (position - left) + table[left]
    return out


@compiled
def between(knots: Array, rate: float, offset: float, n: int) -> Array:
    """Return n values that pass smoothly from knot to knot, `rate` knots a sample, from position `offset` on."""
    out = np.empty(n)
    start, left = 0, int(offset)
    while start < n:
        stop = min(n, max(start, int((left + 1 - offset) / rate) - 1))
        while stop < n and stop * rate + offset < left + 1:
            stop += 1
        low, high = knots[left], knots[left + 1]
        for i in range(start, stop):
            u = i * rate + offset - left
            u = u * u * (3.0 - 2.0 * u)
            out[i] = low * (1.0 - u) + high * u
        start, left = stop, left + 1
    return out


@compiled
def pluck(burst: Array, taps: Array, n: int) -> Array:
    """Return n samples of a string: the burst runs round a delay of its length, through three taps each time."""
    delay = len(burst)
    out = np.zeros(n)
    out[: min(delay, n)] = burst[: min(delay, n)]
    t0, t1, t2 = taps[0], taps[1], taps[2]
    for i in range(delay, n):
        j = i - delay
        y = t0 * out[j]
        if j > 0:
            y += t1 * out[j - 1]
        if j > 1:
            y += t2 * out[j - 2]
        out[i] = y
    return out


@compiled
def comb(x: Array, delay: int, loss: float) -> None:
    """Take from x, in place, what left it `delay` samples ago, averaged over two samples, times `loss`."""
    for i in range(delay + 1, len(x)):
        x[i] -= loss * (x[i - delay] + x[i - delay - 1])


@compiled
def held(frequency: Array, rate: float, values: Array) -> Array:
    """Return the value of the cycle, from 0 on, in which each sample of a frequency in Hz lies; the last one stays."""
    out = np.empty_like(frequency)
    total, each = 0.0, 1.0 / rate
    for i in range(len(frequency)):
        total += frequency[i]
        out[i] = values[min(int(total * each), len(values) - 1)]
    return out


@compiled
def mean_square(x: Array) -> float:
    """Return the mean of the squares, over one value or more."""
    a = b = c = d = 0.0
    whole = len(x) // 4 * 4
    for i in range(0, whole, 4):
        a += x[i] * x[i]
        b += x[i + 1] * x[i + 1]
        c += x[i + 2] * x[i + 2]
        d += x[i + 3] * x[i + 3]
    for i in range(whole, len(x)):
        a += x[i] * x[i]
    return ((a + b) + (c + d)) / len(x)


@compiled
def joined(points: Array, n: int) -> Array:
    """Return n values on straight lines through points (P, 2) of position, from 0 to 1 and rising, and value."""
    out = np.empty(n)
    step = 1.0 / max(n - 1, 1)
    k, slope = -1, 0.0
    for i in range(n):
        at = i * step
        while k < len(points) - 2 and (k < 0 or at >= points[k + 1, 0]):
            k += 1
            slope = (points[k + 1, 1] - points[k, 1]) / (points[k + 1, 0] - points[k, 0])
        out[i] = slope * (at - points[k, 0]) + points[k, 1]
    return out


@compiled
def scatter(out: Array, x: Array, starts: npt.NDArray[np.int64], levels: Array) -> None:
    """Add x to out (n,) from each start on, from 0 to n - 1, times its level; what passes the end is dropped."""
    for k in range(len(starts)):
        start, level = starts[k], levels[k]
        for i in range(min(len(x), len(out) - start)):
            out[start + i] += level * x[i]
