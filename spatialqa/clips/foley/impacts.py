"""Impacts: objects that are struck, dropped, broken or pressed, by modal synthesis with contact pulses.

Contact time sets the brightness, the object's modes the pitch, internal friction the decay (Gaver 1993; Avanzini and
Rocchesso 2001; van den Doel, Kry and Pai 2001).
"""

import numpy as np

from spatialqa.clips.foley import dsp
from spatialqa.clips.foley.dsp import RATE, Signal, samples


def _plate(rng: np.random.Generator, lowest_hz: float, count: int) -> list[float]:
    """Return modes of a free-form plate: squared sums of mode numbers, detuned (Fletcher and Rossing 1998)."""
    p, q = rng.uniform(0.8, 1.25), np.arange(1, 8)
    grid = np.sort((p * q[:, None] ** 2 + q[None, :] ** 2 / p).ravel())
    return [float(f) for f in lowest_hz * grid[:count] / grid[0] * rng.uniform(0.97, 1.03, count)]


def knock(rng: np.random.Generator, n: int) -> Signal:
    """Knuckles on a door: damped wooden plate modes from 80 to 250 Hz up, in groups of two to five."""
    f = _plate(rng, rng.uniform(80.0, 240.0), 18)
    loss, contact = rng.uniform(0.8, 1.6), rng.uniform(0.0008, 0.002)
    spacing = rng.uniform(0.1, 0.24)
    m = samples(0.35)

    def one() -> Signal:
        amplitudes = rng.uniform(0.3, 1.0, len(f)) * np.linspace(1.0, 0.5, len(f))
        t60 = [loss * 0.13 / (1.0 + (x / 350.0)) + 0.01 for x in f]
        hit = dsp.strike(rng, m, contact * rng.uniform(0.8, 1.2), 0.5)
        click = dsp.formants(
            rng.standard_normal(m) * dsp.decay(m, 0.012), [(2500.0, 2500.0, 0.0), (6500.0, 6000.0, -2.0)]
        )
        return dsp.normalised(dsp.modes(hit, f, t60, amplitudes)) + 0.3 * dsp.normalised(click)

    def group() -> Signal:
        count = int(rng.integers(2, 6))
        out = np.zeros(samples(count * spacing * 1.1) + m)
        for k in range(count):
            dsp.place(out, one(), samples(k * spacing * rng.uniform(0.95, 1.05)), dsp.gain(rng.uniform(-4.0, 0.0)))
        return out

    return dsp.calls(rng, n, group, group=(1, 1), gap_s=(0.05, 0.5), pause_s=(0.0, 0.2))


def hammer(rng: np.random.Generator, n: int) -> Signal:
    """Hammer on nail and wood in a room: a bang, ringing steel and a dull board, 1.5 to 4 blows a second."""
    steel = [dsp.log_uniform(rng, 1450.0, 3300.0) * r for r in (1.0, 1.58, 2.31, 3.4, 4.6)]
    board = _plate(rng, dsp.log_uniform(rng, 160.0, 350.0), 12)
    ring, thud_s, out = dsp.log_uniform(rng, 0.09, 0.3), rng.uniform(0.04, 0.2), np.zeros(n)
    clank_level, bang_level, m = rng.uniform(0.66, 1.2), rng.uniform(0.66, 1.2), samples(0.4)
    for at in dsp.beat(rng, n, rng.uniform(0.25, 0.69), 0.08):
        hit = dsp.strike(rng, m, 0.0004, 0.7)
        clank = dsp.modes(hit, steel, [ring, ring * 0.8, ring * 0.7, ring * 0.5, ring * 0.4], rng.uniform(0.4, 1.0, 5))
        thud = dsp.modes(dsp.strike(rng, m, 0.0015, 0.3), board, [thud_s] * 12, rng.uniform(0.3, 1.0, 12))
        bang = dsp.formants(
            rng.standard_normal(m) * dsp.decay(m, rng.uniform(0.01, 0.08)),
            [(600.0, 600.0, 0.0), (2000.0, 2000.0, 0.0), (6000.0, 5000.0, -3.0)],
        )
        y = clank_level * dsp.normalised(clank) + dsp.normalised(thud) + bang_level * dsp.normalised(bang)
        dsp.place(out, y, at, dsp.gain(rng.uniform(-5.0, 0.0)))
    room = dsp.in_room(rng, out, rng.uniform(0.35, 0.7), rng.uniform(-20.0, -9.0))
    return dsp.outdoors(rng, room, rng.uniform(-60.0, -30.0))


def chink(rng: np.random.Generator, n: int) -> Signal:
    """Glasses that touch: rim modes go as the square of their number from 500 to 1100 Hz on (French 1983)."""
    out = np.zeros(n)
    glasses = []
    for _ in range(2):
        base, split = rng.uniform(500.0, 1100.0), rng.uniform(1.001, 1.006)
        f = [base * (k / 2.0) ** 2 * s for k in (2, 3, 4, 5, 6, 7) for s in (1.0, split)]
        t60 = [rng.uniform(0.5, 1.3) / (1.0 + x / 4000.0) for x in f]
        glasses.append((f, t60))
    for at in dsp.beat(rng, n, rng.uniform(0.4, 0.9), 0.45):
        for f, t60 in glasses:
            m = min(n - at, samples(1.2))
            hit = dsp.strike(rng, m, 0.00025, 0.5)
            for bounce in range(int(rng.integers(0, 3))):
                dsp.place(
                    hit, dsp.strike(rng, m, 0.00025, 0.5), samples(0.03 * (bounce + 1) * rng.uniform(0.5, 1.5)), 0.3
                )
            y = dsp.modes(hit, f, t60, rng.uniform(0.2, 1.0, len(f)) * np.repeat([0.5, 0.8, 1, 1, 0.8, 0.6], 2))
            dsp.place(out, y * dsp.swell(m, 0.0, 0.1), at, dsp.gain(rng.uniform(-6.0, 0.0)))
    return out


def breaking(rng: np.random.Generator, n: int) -> Signal:
    """Breaking glass: a thud, a noisy fracture, then ever fewer shards that ring (Farnell 2010; Cook 1997)."""
    out, at = np.zeros(n), 0.03
    crack_s, fall, density = rng.uniform(0.05, 0.5), rng.uniform(0.4, 0.8), dsp.log_uniform(rng, 40.0, 500.0)
    low, ring = dsp.log_uniform(rng, 600.0, 1900.0), dsp.log_uniform(rng, 0.04, 0.3)
    pane = _plate(rng, dsp.log_uniform(rng, 80.0, 400.0), 8)
    clatter_level, thud_level = rng.uniform(0.3, 0.9), rng.uniform(0.5, 1.2)
    colour = [
        (450.0, 400.0, rng.uniform(-2.0, 8.0)),
        (1300.0, 900.0, 0.0),
        (4000.0, 3500.0, 0.0),
        (9000.0, 6000.0, rng.uniform(-6.0, 4.0)),
    ]
    while at * RATE < n - samples(0.3):
        start = int(at * RATE)
        m = min(n - start, samples(rng.uniform(1.0, 1.6)))
        fracture = dsp.formants(rng.standard_normal(m) * dsp.decay(m, crack_s), colour)
        hits = dsp.poisson_train(rng, m, density * np.exp(-np.arange(m) / (fall * RATE)), 30.0)
        clatter = np.zeros(m)
        for _ in range(4):
            f = [dsp.log_uniform(rng, low, 11000.0) for _ in range(5)]
            t60 = [ring * rng.uniform(0.5, 1.5) for _ in f]
            clatter += dsp.modes(hits * (rng.random(m) < 0.4), f, t60, [1.0] * 5)
        thud = dsp.modes(dsp.strike(rng, m, 0.003, 0.6), pane, [0.1] * 8, rng.uniform(0.3, 1.0, 8))
        y = dsp.normalised(fracture) + clatter_level * dsp.normalised(clatter) + thud_level * dsp.normalised(thud)
        dsp.place(out, y * dsp.swell(m, 0.0, 0.2), start, dsp.gain(rng.uniform(-6.0, 0.0)))
        at += m / RATE + rng.uniform(0.0, 0.5)
    room = dsp.in_room(rng, out, rng.uniform(0.2, 0.6), rng.uniform(-20.0, -4.0))
    return dsp.outdoors(rng, room, rng.uniform(-60.0, -42.0))


def coin(rng: np.random.Generator, n: int) -> Signal:
    """Coin: bounces that quicken by a restitution of about 0.8, then a spin; edge modes of a disc from 4 kHz on."""
    out, at = np.zeros(n), 0.02
    f = [rng.uniform(3800.0, 6500.0) * r for r in (1.0, 1.73, 2.33, 2.9, 3.9)]
    table = _plate(rng, rng.uniform(180.0, 400.0), 4)
    t60 = rng.uniform(0.1, 0.3)
    while at * RATE < n - samples(0.4):
        interval, level, bounce = rng.uniform(0.25, 0.42), 1.0, rng.uniform(0.72, 0.86)
        spin_s = rng.uniform(0.3, 0.9)
        while True:
            m = samples(0.2)
            hit = dsp.strike(rng, m, 0.0002, 0.6)
            y = dsp.modes(hit, f, [t60, 0.8 * t60, 0.7 * t60, 0.5 * t60, 0.4 * t60], rng.uniform(0.3, 1.0, 5))
            y += 0.6 * dsp.modes(dsp.strike(rng, m, 0.0007, 0.4), table, [0.05] * 4, rng.uniform(0.3, 1.0, 4))
            dsp.place(out, y, int(at * RATE), level)
            if interval < 0.03:
                spin_s -= interval
            interval = max(interval * bounce, 0.018 * rng.uniform(0.9, 1.1))
            level = max(level * bounce, 0.22) if spin_s > 0.1 else level * 0.7
            at += interval
            if spin_s <= 0.0 or at * RATE >= n:
                break
        at += rng.uniform(0.15, 0.6)
    return out


def keys_jangling(rng: np.random.Generator, n: int) -> Signal:
    """Keys on a ring: bursts of collisions shake high steel modes of several keys (PhISEM, Cook 1997)."""
    shake = np.maximum(dsp.wander(rng, n, rng.uniform(3.0, 6.0), -0.25, 1.0), 0.02)
    out = np.zeros(n)
    for _ in range(int(rng.integers(3, 6))):
        base = dsp.log_uniform(rng, 2200.0, 5200.0)
        hits = dsp.poisson_train(rng, n, 22.0 * shake, 24.0)
        out += dsp.modes(
            hits, [base, 1.61 * base, 2.54 * base, 3.3 * base], [0.12, 0.1, 0.07, 0.05], rng.uniform(0.4, 1.0, 4)
        )
    scrape = dsp.formants(dsp.poisson_train(rng, n, 250.0 * shake, 30.0), [(700.0, 700.0, 4.0), (1800.0, 1500.0, 0.0)])
    return dsp.normalised(out) + 0.25 * dsp.normalised(scrape) + 0.004 * rng.standard_normal(n) * shake


def typing(rng: np.random.Generator, n: int) -> Signal:
    """Keyboard: each key clicks down and, some 80 ms later, up; words come in runs (Asonov and Agrawal 2004)."""
    case = [dsp.log_uniform(rng, 220.0, 500.0) * r for r in (1.0, 1.9, 3.3)]
    cap = dsp.log_uniform(rng, 1500.0, 3200.0)
    out, at, pace = np.zeros(n), 0.03, rng.uniform(0.09, 0.2)
    clicky = rng.uniform(0.3, 1.0)
    m = samples(0.07)
    while at * RATE < n:
        f = cap * rng.uniform(0.85, 1.15)
        for delay, level in ((0.0, 1.0), (rng.uniform(0.06, 0.11), rng.uniform(0.25, 0.5))):
            hit = dsp.strike(rng, m, rng.uniform(0.0005, 0.0012), 1.0)
            y = dsp.modes(
                hit,
                [*case, f, 1.7 * f, 2.6 * f],
                [0.025, 0.02, 0.015, 0.01, 0.008, 0.006],
                [0.8, 0.7, 0.6, clicky, 0.7, 0.6],
            )
            clack = dsp.formants(
                rng.standard_normal(m) * dsp.decay(m, 0.02), [(f, f, 0.0), (2.5 * f, 2.0 * f, 0.0), (600.0, 600.0, 0.0)]
            )
            y = dsp.normalised(y) + clicky * dsp.normalised(clack)
            dsp.place(out, y, int((at + delay) * RATE), level * dsp.gain(rng.uniform(-6.0, 0.0)))
        at += pace * rng.uniform(0.6, 1.5) + (rng.uniform(0.1, 0.5) if rng.random() < 0.12 else 0.0)
    return out


def tick_tock(rng: np.random.Generator, n: int) -> Signal:
    """Clock: the anchor stops alternate teeth, two different clicks that ring the case (Farnell 2010)."""
    case = [dsp.log_uniform(rng, 350.0, 900.0) * r for r in (1.0, 1.7, 2.6)]
    wheel = dsp.log_uniform(rng, 2400.0, 4800.0)
    period, lilt, out = rng.uniform(0.22, 0.6), rng.uniform(0.82, 0.94), np.zeros(n)
    m = samples(0.15)
    for k, at in enumerate(dsp.beat(rng, n, period, 0.004)):
        hit = np.zeros(m)
        for delay, level in ((0.0, 0.5), (0.006, 1.0), (0.013, 0.4)):
            dsp.place(hit, dsp.strike(rng, m, 0.0003, 0.8), samples(delay), level)
        shift = 1.0 if k % 2 else lilt
        y = dsp.modes(
            hit,
            [shift * x for x in (*case, wheel, 1.5 * wheel, 2.4 * wheel)],
            [0.03, 0.025, 0.02, 0.015, 0.01, 0.01],
            [0.7, 0.6, 0.6, 0.8, 0.6, 0.5],
        )
        dsp.place(out, y, at, 1.0 if k % 2 else 0.8)
    return out + 2e-4 * float(np.max(np.abs(out))) * rng.standard_normal(n)


def clip_clop(rng: np.random.Generator, n: int) -> Signal:
    """Hooves on stone: hollow wooden knocks in the four-beat walk or two-beat trot (Farnell 2010)."""
    walk, period = rng.random() < 0.5, rng.uniform(0.8, 1.15)
    hooves = rng.uniform(520.0, 1050.0) * np.array([1.0, 1.18, 0.92, 1.1])
    offsets = [0.0, 0.24, 0.5, 0.76] if walk else [0.0, 0.04, 0.5, 0.54]
    period *= 1.0 if walk else 0.72
    out, m = np.zeros(n), samples(0.25)
    for at in dsp.beat(rng, n, period, 0.03):
        for hoof, offset in zip(hooves, offsets, strict=True):
            f = hoof * rng.uniform(0.95, 1.05)
            hit = dsp.strike(rng, m, 0.0007, 0.5) + 0.01 * rng.standard_normal(m) * dsp.decay(m, 0.03)
            y = dsp.modes(
                hit,
                [0.35 * f, f, 1.6 * f, 2.7 * f, 5.1 * f, 8.3 * f],
                [0.06, 0.07, 0.05, 0.04, 0.03, 0.02],
                [0.4, 1, 0.6, 0.5, 0.4, 0.3],
            )
            start = at + samples(period * offset * rng.uniform(0.97, 1.03))
            dsp.place(out, dsp.normalised(y), start, dsp.gain(rng.uniform(-5.0, 0.0)))
    return out


def bouncing(rng: np.random.Generator, n: int) -> Signal:
    """Ball let fall: intervals shrink by the restitution, the hollow ball rings low (Warren and Verbrugge 1984)."""
    body = rng.uniform(120.0, 330.0)
    f = [body * r for r in (1.0, 1.59, 2.14, 3.2, 5.3, 8.7, 13.0)]
    out, at, m = np.zeros(n), 0.02, samples(0.25)
    while at * RATE < n - samples(0.3):
        interval, level, restitution = rng.uniform(0.45, 0.8), 1.0, rng.uniform(0.72, 0.88)
        while interval > 0.04 and at * RATE < n:
            hit = dsp.strike(rng, m, rng.uniform(0.0012, 0.002), 0.7)
            y = dsp.modes(hit, f, [0.14, 0.1, 0.08, 0.06, 0.04, 0.03, 0.02], [1.0, 0.7, 0.6, 0.5, 0.6, 0.6, 0.5])
            slap = dsp.highpassed(rng.standard_normal(m) * dsp.decay(m, 0.02), 1500.0)
            dsp.place(out, dsp.normalised(y) + 0.2 * dsp.normalised(slap), int(at * RATE), level)
            at += interval
            interval *= restitution
            level *= restitution**0.8
        at += rng.uniform(0.2, 0.7)
    return out
