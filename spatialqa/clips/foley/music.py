"""Music: strings and pipes that play random phrases, by textbook models (Fletcher and Rossing 1998)."""

from itertools import pairwise

import numpy as np

from spatialqa.clips.foley import dsp
from spatialqa.clips.foley.dsp import RATE, Signal, curve, samples

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))


def phrase(
    rng: np.random.Generator, n: int, low_hz: float, high_hz: float, note_s: tuple[float, float], chord: float = 0.0
) -> list[tuple[int, float]]:
    """Return (start sample, pitch Hz) of a walk on a random scale; `chord`: chance that a note brings a third along."""
    scale, root = _SCALES[rng.integers(len(_SCALES))], dsp.log_uniform(rng, low_hz, min(2.0 * low_hz, high_hz))
    top = int(len(scale) * np.log2(high_hz / root))
    degree, at, notes = int(rng.integers(0, max(top, 1))), 0.01, []
    pulse = rng.uniform(*note_s)

    def pitch(d: int) -> float:
        return float(root * 2.0 ** (d // len(scale) + scale[d % len(scale)] / 12.0))

    while at * RATE < n - samples(0.1):
        notes.append((int(at * RATE), pitch(degree)))
        if rng.random() < chord:
            notes.append((int((at + rng.uniform(0.0, 0.02)) * RATE), pitch(degree + 2)))
        at += pulse * float(rng.choice([0.5, 1.0, 1.0, 1.0, 2.0])) * rng.uniform(0.97, 1.03)
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, max(top, 1)))
    return notes


def _plucked(
    rng: np.random.Generator, f0: float, m: int, position: float, brightness_loss: float, t60_s: float
) -> Signal:
    """Return one string (Karplus and Strong 1983; Jaffe and Smith 1983): noise pluck in a damped, tuned delay loop."""
    from spatialqa.clips.foley.kernels import pluck

    period = RATE / f0
    delay = int(period - 0.5)
    part = max(period - 0.5 - delay, 0.0)  # averaging neighbours adds about half a sample
    loss = 10.0 ** (-3.0 / (f0 * t60_s))
    stretch = 0.5 * brightness_loss
    taps = np.convolve([1.0 - part, part], [1.0 - stretch, stretch]) * loss
    burst = rng.uniform(-1.0, 1.0, delay)
    burst -= np.roll(burst, max(1, int(position * delay)))  # a pluck at this fraction of the string leaves a comb
    return pluck(burst, taps, m)


def acoustic_guitar(rng: np.random.Generator, n: int) -> Signal:
    """Acoustic guitar: plucked strings through the body's air and plate resonances near 100, 200 and 400 Hz."""
    out, position = np.zeros(n), rng.uniform(0.1, 0.3)
    damping, t60 = rng.uniform(0.25, 0.8), rng.uniform(1.5, 4.0)
    for start, f in phrase(rng, n, 82.0, 600.0, (0.18, 0.5), chord=rng.uniform(0.0, 0.6)):
        m = min(n - start, samples(2.2))
        dsp.place(
            out, _plucked(rng, f, m, position, damping, t60) * dsp.swell(m, 0.0, 0.1), start, rng.uniform(0.6, 1.0)
        )
    body = [
        (rng.uniform(95.0, 115.0), 20.0, 2.0),
        (rng.uniform(180.0, 220.0), 25.0, 0.0),
        (rng.uniform(380.0, 450.0), 50.0, -4.0),
    ]
    return out + 1.5 * dsp.formants(out, body)


def banjo(rng: np.random.Generator, n: int) -> Signal:
    """Banjo: short bright plucks by steel picks into a drum head, rolled in quick even notes (Rae 2010)."""
    out = np.zeros(n)
    position, t60 = rng.uniform(0.05, 0.12), rng.uniform(0.5, 1.0)
    for start, f in phrase(rng, n, 146.0, 780.0, (0.1, 0.19), chord=0.1):
        m = min(n - start, samples(1.0))
        y = _plucked(rng, f, m, position, rng.uniform(0.1, 0.3), t60) + 0.6 * dsp.strike(rng, m, 0.002, 1.0)
        dsp.place(out, y * dsp.swell(m, 0.0, 0.05), start, rng.uniform(0.6, 1.0))
    head = [
        (rng.uniform(220.0, 320.0), 90.0, 0.0),
        (rng.uniform(550.0, 800.0), 200.0, 3.0),
        (rng.uniform(1500.0, 2400.0), 900.0, 3.0),
    ]
    return 0.5 * out + dsp.formants(out, head)


def piano(rng: np.random.Generator, n: int) -> Signal:
    """Piano: stiff strings (f_k = k f sqrt(1 + B k^2), Fletcher 1964), felt hammer, soundboard knock, a room."""
    out, bright, low = np.zeros(n), rng.uniform(0.4, 1.0), dsp.log_uniform(rng, 55.0, 140.0)
    knock_level, ring, strike_at = rng.uniform(0.25, 0.55), rng.uniform(2.0, 10.0), rng.uniform(6.0, 12.0)
    contact, tempo = dsp.log_uniform(rng, 0.0001, 0.0005), rng.uniform(0.15, 0.5)
    knock = [rng.uniform(80.0, 130.0), 210.0, 390.0, 900.0, 2100.0, 4700.0, 8100.0]
    known: dict[float, Signal] = {}
    m = samples(1.6)
    notes = phrase(rng, n, low, low * rng.uniform(3.8, 8.0), (0.8 * tempo, 1.2 * tempo), chord=rng.uniform(0.0, 0.9))
    for start, f in notes:
        if f not in known:
            k = np.arange(1, min(14, int(9000.0 / f)) + 1)
            partial = k * f * np.sqrt(1.0 + 1.5e-4 * (f / 260.0) ** 1.3 * k**2)
            strength = np.abs(np.sin(np.pi * k / strike_at)) * k**-0.7 * np.exp(-partial / (1000.0 + 3000.0 * bright))
            t60 = ring * (200.0 / partial) ** 0.55
            y = dsp.modes(dsp.strike(rng, m, contact, 0.05), list(partial), list(t60), list(strength))
            thump = dsp.modes(
                dsp.strike(rng, m, 0.0012, 0.9),
                knock,
                [0.12, 0.1, 0.08, 0.05, 0.03, 0.02, 0.015],
                [0.5, 0.5, 0.4, 0.3, 0.5, 0.7, 0.9],
            )
            known[f] = (dsp.normalised(y) + knock_level * dsp.normalised(thump)) * dsp.swell(m, 0.001, 0.15)
        dsp.place(out, known[f], start, rng.uniform(0.5, 1.0))
    room = dsp.in_room(rng, out, rng.uniform(0.1, 0.7), rng.uniform(-27.0, -12.0))
    return dsp.outdoors(rng, room, rng.uniform(-70.0, -52.0))


def violin(rng: np.random.Generator, n: int) -> Signal:
    """Violin: Helmholtz motion with vibrato and bow noise through the body hill near 2.5 kHz (Cremer 1984)."""
    vibrato, out = rng.uniform(5.0, 6.5), np.zeros(n)
    notes = [*phrase(rng, n, 200.0, 1200.0, (0.3, 0.8)), (n, 0.0)]
    for (start, f), (stop, _) in pairwise(notes):
        m = min(n - start, stop - start + samples(0.05))
        t = np.arange(m) / RATE
        depth = rng.uniform(0.004, 0.011) * np.minimum(t / 0.25, 1.0)
        pitch = f * (1.0 + depth * np.sin(2.0 * np.pi * vibrato * t)) * dsp.wander(rng, m, 30.0, 0.998, 1.002)
        k = np.arange(1, 70)
        saw = dsp.normalised(dsp.glottal(rng, pitch, 0.004, 0.97)) + dsp.normalised(dsp.harmonics(pitch, 1.0 / k, rng))
        bow = dsp.highpassed(rng.standard_normal(m), 800.0) * (0.4 + 0.6 * (dsp.turn_of(pitch)))
        dsp.place(
            out,
            dsp.mixed(saw, bow, rng.uniform(-26.0, -18.0)) * dsp.swell(m, rng.uniform(0.03, 0.1), 0.06),
            start,
            rng.uniform(0.7, 1.0),
        )
    peaks = [
        (278.0, 25.0, 0.0),
        (460.0, 35.0, 2.0),
        (550.0, 40.0, 2.0),
        (1100.0, 150.0, 0.0),
        (2500.0, 900.0, 4.0),
        (5500.0, 3500.0, -2.0),
    ]
    return dsp.formants(out, [(p * rng.uniform(0.95, 1.05), b, g) for p, b, g in peaks]) + 0.1 * out


def flute(rng: np.random.Generator, n: int) -> Signal:
    """Flute: few strong harmonics, chiff, breath coloured by the pipe, vibrato in level."""
    out = np.zeros(n)
    vibrato, breath_db = rng.uniform(4.0, 6.0), rng.uniform(-22.0, -15.0)
    notes = [*phrase(rng, n, 262.0, 1400.0, (0.22, 0.6)), (n, 0.0)]
    for (start, f), (stop, _) in pairwise(notes):
        m = min(n - start, stop - start + samples(0.03))
        wave = dsp.sine(np.full(m, vibrato))
        pitch = f * (1.0 + 0.003 * wave) * curve(m, [(0, 0.985), (0.08, 1.0), (1, 1.0)])
        strength = [1.0, rng.uniform(0.3, 0.9), rng.uniform(0.15, 0.5), 0.12, 0.06, 0.03, 0.02]
        tone = dsp.harmonics(pitch, strength, rng) * (1.0 + 0.15 * wave)
        air = rng.standard_normal(m)
        pipe = (
            dsp.formants(
                air,
                [
                    (f, 60.0, 2.0),
                    (2 * f, 90.0, 2.0),
                    (3 * f, 130.0, 0.0),
                    (4500.0, 4000.0, 1.0),
                    (9000.0, 5000.0, -3.0),
                ],
            )
            + 0.03 * air
        )
        chiff = pipe * dsp.decay(m, 0.12)
        y = dsp.mixed(dsp.mixed(tone, pipe, breath_db), chiff, -17.0)
        y = dsp.mixed(y, dsp.band_noise(rng, m, 200.0, 700.0), -31.0)
        dsp.place(out, y / max(1.0, float(np.sqrt(f / 500.0))) * dsp.swell(m, 0.03, 0.05), start, rng.uniform(0.7, 1.0))
    return out


def organ(rng: np.random.Generator, n: int) -> Signal:
    """Pipe organ: chords on ranks of 8, 4, 2 2/3 and 2 foot, a chiff at each onset and wind noise."""
    out = np.zeros(n)
    ranks = [(1.0, 1.0), (2.0, rng.uniform(0.4, 0.9)), (3.0, rng.uniform(0.0, 0.5)), (4.0, rng.uniform(0.3, 0.8))]
    k = np.arange(1, 16)
    notes = [*phrase(rng, n, 130.0, 620.0, (0.5, 1.2)), (n, 0.0)]
    for (start, f), (stop, _) in pairwise(notes):
        m = min(n - start, stop - start + samples(0.12))
        y = np.zeros(m)
        for third in (1.0, rng.choice([1.189, 1.26]), 1.498):
            for rank, level in ranks:
                y += level * dsp.harmonics(np.full(m, f * third * rank * rng.uniform(0.999, 1.001)), k**-1.3, rng)
        wind = dsp.band_noise(rng, m, 600.0, 10000.0) * (0.3 + dsp.decay(m, 0.2))
        dsp.place(out, dsp.mixed(y, wind, -28.0) * dsp.swell(m, 0.05, 0.12), start)
    return out
