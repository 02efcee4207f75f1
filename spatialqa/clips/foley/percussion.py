"""Percussion: bars, skins, cymbals and bells with random patterns, by modal synthesis (Fletcher and Rossing 1998)."""

import numpy as np

from spatialqa.clips.foley import dsp
from spatialqa.clips.foley.dsp import RATE, Signal, samples
from spatialqa.clips.foley.music import phrase


def _bars(
    rng: np.random.Generator,
    n: int,
    notes: list[tuple[int, float]],
    ratios: tuple[float, ...],
    t60_s: float,
    contact_s: float,
    knock: float,
) -> Signal:
    """Return struck bars: tuned modes that die faster the higher they are, plus the mallet's knock on wood."""
    out = np.zeros(n)
    box = [rng.uniform(200.0, 350.0), 700.0, 1500.0, 3600.0, 7800.0]
    for start, f in notes:
        m = min(n - start, samples(min(1.6 * t60_s + 0.1, 2.0)))
        hit = dsp.strike(rng, m, contact_s * rng.uniform(0.8, 1.2), 0.2)
        levels = [rng.uniform(0.6, 1.0) * (0.65**i) for i in range(len(ratios))]
        y = dsp.modes(hit, [f * r for r in ratios], [t60_s * (440.0 / f) ** 0.4 / r**0.6 for r in ratios], levels)
        click = dsp.modes(
            dsp.strike(rng, m, 0.0004, 1.0), box, [0.06, 0.05, 0.04, 0.02, 0.015], [0.6, 0.6, 0.6, 0.6, 0.6]
        )
        y = (dsp.normalised(y) + knock * dsp.normalised(click)) * dsp.swell(m, 0.0, 0.08)
        dsp.place(out, y, start, dsp.gain(rng.uniform(-6.0, 0.0)))
    return out


def marimba(rng: np.random.Generator, n: int) -> Signal:
    """Marimba or xylophone: wooden bars undercut to 1 : 4 : 9.2 or 1 : 3 : 6, short ring (Bork 1995)."""
    xylophone = rng.random() < 0.5
    notes = phrase(rng, n, 420.0 if xylophone else 150.0, 1900.0 if xylophone else 800.0, (0.13, 0.35), chord=0.2)
    ratios = (1.0, 3.0, 6.1, 10.2, 15.0) if xylophone else (1.0, 3.95, 9.2, 16.2)
    bars = _bars(rng, n, notes, ratios, rng.uniform(0.5, 1.2), 0.0003 if xylophone else 0.0007, rng.uniform(0.12, 0.3))
    return dsp.in_room(rng, bars, rng.uniform(0.3, 0.7), rng.uniform(-20.0, -6.0))


def glockenspiel(rng: np.random.Generator, n: int) -> Signal:
    """Glockenspiel: free steel bars, 1 : 2.76 : 5.4 : 8.9, hard mallet, long ring."""
    notes = phrase(rng, n, 780.0, 3100.0, (0.18, 0.45), chord=0.15)
    return _bars(rng, n, notes, (1.0, 2.756, 5.404, 8.933), rng.uniform(1.5, 3.5), 0.00015, rng.uniform(0.1, 0.25))


def _groove(rng: np.random.Generator, n: int, step_s: float, chance: float) -> list[tuple[int, float]]:
    """Return (start, level) of a pattern of 8 steps that comes round again with small changes."""
    pattern = np.where(rng.random(8) < chance, rng.uniform(0.4, 1.0, 8), 0.0)
    pattern[0] = pattern[4] = 1.0
    hits = []
    for k, at in enumerate(dsp.beat(rng, n, step_s, 0.015)):
        level = float(pattern[k % 8]) if rng.random() > 0.08 else 0.5
        if level > 0.0:
            hits.append((at, level * rng.uniform(0.85, 1.0)))
    return hits


def _skin(rng: np.random.Generator, f0: float, m: int, t60_s: float) -> Signal:
    """Return a drum head: modes of an ideal membrane whose tension, so pitch, falls after the blow."""
    ratios = np.array([1.0, 1.594, 2.136, 2.296, 2.653, 2.918])
    fall = 1.0 + 0.12 * np.exp(-np.arange(m) / (0.03 * RATE))
    out = np.zeros(m)
    for k, r in enumerate(ratios):
        out += rng.uniform(0.5, 1.0) * 0.7**k * dsp.sine(f0 * r * fall) * dsp.decay(m, t60_s / r)
    return out


def snare_drum(rng: np.random.Generator, n: int) -> Signal:
    """Snare drum: a 230 to 320 Hz head and the rattle of wires against it; single strokes, flams and rolls."""
    out, f0, m = np.zeros(n), rng.uniform(225.0, 320.0), samples(0.4)
    wires, t60 = dsp.log_uniform(rng, 1200.0, 3200.0), rng.uniform(0.1, 0.3)
    skin_level, rattle_level, stick = rng.uniform(0.4, 1.2), rng.uniform(0.3, 0.95), rng.uniform(0.3, 1.0)
    colour = [(wires, 2500.0, 0.0), (2.2 * wires, 5000.0, rng.uniform(-8.0, 4.0)), (700.0, 700.0, -6.0)]
    strokes = []
    for _ in range(4):
        rattle = dsp.formants(rng.standard_normal(m), colour) * dsp.decay(m, t60)
        y = skin_level * dsp.normalised(_skin(rng, f0, m, 0.2)) + rattle_level * dsp.normalised(rattle)
        strokes.append(y + stick * dsp.strike(rng, m, 0.0008, 1.0))
    for start, level in _groove(rng, n, rng.uniform(0.07, 0.28), rng.uniform(0.45, 1.0)):
        dsp.place(out, strokes[int(rng.integers(4))], start, level)
    room = dsp.in_room(rng, out, rng.uniform(0.1, 0.5), rng.uniform(-22.0, -8.0))
    return dsp.outdoors(rng, room, rng.uniform(-60.0, -40.0))


def hi_hat(rng: np.random.Generator, n: int) -> Signal:
    """Hi-hat: dense inharmonic plate modes up to 16 kHz, half closed or open, with a stick click."""
    f = np.sort(np.exp(rng.uniform(np.log(dsp.log_uniform(rng, 250.0, 3000.0)), np.log(16000.0), 24)))
    out, m, opens = np.zeros(n), samples(0.6), rng.uniform(0.28, 0.42)
    closed, opened = samples(rng.uniform(0.095, 0.15)), samples(rng.uniform(0.2, 0.7))
    wash = dsp.modes(rng.standard_normal(m) * dsp.decay(m, 0.8), list(f), [0.5] * len(f), list((f / 5000.0) ** 0.6))
    sizzle = dsp.highpassed(rng.standard_normal(m), dsp.log_uniform(rng, 2500.0, 8000.0))
    wash = rng.uniform(0.45, 1.05) * dsp.normalised(wash) + rng.uniform(0.2, 0.8) * dsp.normalised(sizzle)
    wash += 0.04 * rng.standard_normal(m)
    stick = dsp.modes(
        dsp.strike(rng, m, 0.0005, 0.8), [rng.uniform(380.0, 480.0), 900.0, 2500.0], [0.03, 0.02, 0.015], [0.5] * 3
    )
    stick = rng.uniform(0.1, 0.5) * dsp.normalised(stick)
    for start, level in _groove(rng, n, rng.uniform(0.15, 0.3), rng.uniform(0.4, 1.0)):
        length = opened if rng.random() < opens else closed
        size = min(m, 2 * length)
        y = wash[:size] * dsp.decay(size, length / RATE) + stick[:size]
        dsp.place(out, y * dsp.swell(size, 0.0, 0.01), start, level)
    return out


def tambourine(rng: np.random.Generator, n: int) -> Signal:
    """Tambourine in a room: jingles of 2.3 to 14 kHz that collide in clouds after each stroke (PhISEM, Cook 1997)."""
    out, energy, m = np.zeros(n), np.zeros(n), samples(0.25)
    after, hoop = rng.uniform(0.08, 0.6), [rng.uniform(280.0, 420.0), 690.0, 1300.0]
    tap = dsp.modes(dsp.strike(rng, m, 0.0015, 0.5), hoop, [0.06, 0.05, 0.04], [0.8, 0.7, 0.6])
    for start, level in _groove(rng, n, rng.uniform(0.1, 0.35), rng.uniform(0.3, 1.0)):
        dsp.place(energy, dsp.decay(samples(0.4), after), start, level)
        dsp.place(out, tap, start, level)
    hits = dsp.poisson_train(rng, n, dsp.log_uniform(rng, 900.0, 6000.0) * energy, 12.0) * energy
    count, t60 = int(rng.integers(6, 15)), dsp.log_uniform(rng, 0.01, 0.07)
    low = dsp.log_uniform(rng, 2300.0, 4500.0)
    f = [dsp.log_uniform(rng, low, 14000.0) for _ in range(count)]
    jingles = dsp.modes(hits, f, [t60] * count, rng.uniform(0.4, 1.0, count))
    x = dsp.normalised(jingles) + rng.uniform(0.25, 0.9) * dsp.normalised(out)
    return dsp.in_room(rng, x, rng.uniform(0.1, 0.5), rng.uniform(-22.0, -8.0))


def cowbell(rng: np.random.Generator, n: int) -> Signal:
    """Cowbell: two folded plates with modes near 550 and 840 Hz, many more above, damped by the hand (Farnell 2010)."""
    base = rng.uniform(430.0, 760.0)
    f = [base * r for r in (1.0, 1.51, 2.14, 2.9, 3.8, 5.3, 7.1, 9.4, 12.0)]
    out, t60 = np.zeros(n), rng.uniform(0.15, 0.5)
    m = samples(0.5)
    for start, level in _groove(rng, n, rng.uniform(0.14, 0.3), rng.uniform(0.2, 0.7)):
        hit = dsp.strike(rng, m, rng.uniform(0.0004, 0.0007), 0.5)
        y = dsp.modes(
            hit, f, [t60 / (1.0 + x / 3500.0) for x in f], [rng.uniform(0.7, 1.0), 1.0, *rng.uniform(0.3, 0.8, 7)]
        )
        dsp.place(out, y * dsp.swell(m, 0.0, 0.05), start, level)
    return out


def chime(rng: np.random.Generator, n: int) -> Signal:
    """Wind chimes: four to eight tubes (1 : 2.76 : 5.4 : 8.9) that a clapper meets when gusts come, in moving air."""
    tubes = np.sort(rng.uniform(500.0, 2400.0, int(rng.integers(4, 8))))
    gust, out = np.maximum(dsp.wander(rng, n, 1.2, -0.2, 1.0), 0.05), np.zeros(n)
    t60 = rng.uniform(1.2, 3.5)
    for f in tubes:
        train = dsp.poisson_train(rng, n, rng.uniform(0.8, 2.0) * gust, 14.0)
        train[samples(rng.uniform(0.02, 0.6))] = 0.6
        out += dsp.modes(
            train,
            [f, 1.004 * f, 2.756 * f, 5.404 * f, 8.93 * f],
            [t60, t60, 0.6 * t60, 0.35 * t60, 0.2 * t60],
            [0.8, 0.4, 0.8, 0.5, 0.35],
        )
    return dsp.outdoors(rng, out, rng.uniform(-28.0, -20.0))


def change_ringing(rng: np.random.Generator, n: int) -> Signal:
    """Church bells rung in changes: hum, prime, tierce, quint, nominal (Hibbert 2008), order swapped every round."""
    count, top = int(rng.integers(4, 8)), dsp.log_uniform(rng, 750.0, 1500.0)
    contact, damping = dsp.log_uniform(rng, 0.0002, 0.0006), rng.uniform(0.5, 1.1)
    partials = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.51, 3.0, 4.15, 5.4, 6.7])
    order, gap = list(range(count)), rng.uniform(0.2, 0.5)
    scale = (0, 2, 3, 5, 7, 8, 10, 12)
    trains = [np.zeros(n) for _ in range(count)]
    at, round_index = 0.01, 0
    while at * RATE < n - 100:
        for bell in order:
            if at * RATE < n - 100:
                dsp.place(trains[bell], dsp.strike(rng, 60, contact, 0.4), int(at * RATE), rng.uniform(0.7, 1.0))
            at += gap * rng.uniform(0.96, 1.04)
        for i in range(round_index % 2, count - 1, 2):
            order[i], order[i + 1] = order[i + 1], order[i]
        round_index += 1
    out, clapper = np.zeros(n), np.zeros(n)
    t60 = rng.uniform(3.5, 8.0)
    for bell, train in enumerate(trains):
        f = top * 2.0 ** (-scale[bell] / 12.0) * partials * rng.uniform(0.995, 1.005, len(partials))
        out += dsp.modes(
            train, list(f), list(t60 / partials**damping), [0.4, 0.5, 0.7, 0.3, 1.0, 0.4, 0.6, 0.6, 0.6, 0.6]
        )
        clapper += train
    clank = dsp.formants(clapper, [(1800.0, 1500.0, 0.0), (6000.0, 5000.0, 2.0)])
    tower = dsp.in_room(
        rng, dsp.mixed(out, clank, rng.uniform(-30.0, -18.0)), rng.uniform(0.2, 0.7), rng.uniform(-20.0, -8.0)
    )
    return dsp.outdoors(rng, tower, rng.uniform(-55.0, -30.0))
