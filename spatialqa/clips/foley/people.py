"""People: voices and breath by source and filter, hands and feet by short resonant bursts."""

import numpy as np

from spatialqa.clips.foley import dsp
from spatialqa.clips.foley.animals import voice
from spatialqa.clips.foley.dsp import Signal, curve, samples


def baby_cry(rng: np.random.Generator, n: int) -> Signal:
    """Infant: cries of about a second near 350 to 550 Hz, falling at the end, each after a gasp (Wasz-Hockert 1968)."""
    pitch, tract = rng.uniform(350.0, 560.0), rng.uniform(0.075, 0.09)
    breath = rng.uniform(-20.0, -10.0)

    def one() -> Signal:
        m = samples(rng.uniform(0.6, 1.3))
        f0 = pitch * curve(m, [(0, 0.8), (0.15, 1.1), (0.6, rng.uniform(0.95, 1.15)), (1, 0.7)])
        f0 *= 1.0 + rng.uniform(0.005, 0.02) * dsp.sine(np.full(m, rng.uniform(5.0, 8.0)))
        shape = curve(m, [(0, 0.8), (0.2, 1.1), (0.8, 1.05), (1, 0.8)])
        cry = voice(rng, f0, tract, shape, breath_db=breath, jitter=rng.uniform(0.005, 0.05), tilt_db=3.0)
        cry = dsp.normalised(cry * curve(m, [(0, 0), (0.08, 1), (0.7, 0.85), (1, 0)]))
        g = samples(rng.uniform(0.12, 0.25))
        gasp = dsp.formants(
            rng.standard_normal(g), [(1100.0, 400.0, 0.0), (3300.0, 700.0, -3.0), (6000.0, 1500.0, -8.0)]
        )
        quiet = np.zeros(samples(rng.uniform(0.03, 0.1)))
        return np.concatenate((cry, quiet, 0.12 * dsp.normalised(gasp * np.hanning(g))))

    return dsp.calls(rng, n, one, group=(1, 1), gap_s=(0.02, 0.15), pause_s=(0.0, 0.1))


def laughter(rng: np.random.Generator, n: int) -> Signal:
    """Laughter: open vowels after an h, five to seven a second, dying down over a bout (Provine and Yong 1991)."""
    pitch, size = rng.uniform(250.0, 390.0), rng.uniform(1.0, 1.3)
    vowel = (rng.uniform(650.0, 900.0) * size, 1300.0 * size, 2650.0 * size, 3600.0 * size)
    peaks = [(f, 200.0 + 0.08 * f, -2.0 * k) for k, f in enumerate((*vowel, 4800.0, 6500.0))]
    period, voiced, fall = rng.uniform(0.14, 0.18), rng.uniform(0.5, 0.85), rng.uniform(0.87, 1.0)
    breath, jitter, tilt = rng.uniform(-14.0, 0.0), rng.uniform(0.003, 0.06), rng.uniform(2.4, 6.0)
    aspiration, drop = rng.uniform(0.03, 0.15), rng.uniform(0.0, 0.08)

    def one() -> Signal:
        parts = []
        for k in range(int(rng.integers(5, 10))):
            m = samples(period * rng.uniform(0.9, 1.1) * (1.0 + 0.03 * k))
            f0 = pitch * (1.15 - drop * k) * rng.uniform(0.95, 1.05) * curve(m, [(0, 0.95), (0.4, 1.1), (1, 0.85)])
            opening = curve(m, [(0, 0.95), (0.5, 1.05), (1, 0.95)])
            sound = voice(
                rng,
                f0,
                0.17 / size,
                opening,
                breath_db=breath,
                jitter=jitter,
                tilt_db=tilt,
                tones=7,
                vowel_hz=vowel,
            )
            note = dsp.normalised(sound) * curve(
                m, [(0, 0), (0.15, 0.1), (0.3, 1), (0.1 + 0.7 * (0.15 + 0.8 * voiced), 0.7), (0.95, 0), (1, 0)]
            )
            h = dsp.normalised(dsp.formants(rng.standard_normal(m), peaks))
            parts.append(
                (note + aspiration * h * curve(m, [(0, 0.3), (0.15, 1), (0.4, 0.2), (0.8, 0.2), (1, 0.3)])) * fall**k
            )
        return np.concatenate(parts)

    return dsp.calls(rng, n, one, group=(1, 1), gap_s=(0.15, 0.6), pause_s=(0.0, 0.2))


def cough(rng: np.random.Generator, n: int) -> Signal:
    """Cough: an explosive burst, a noisy middle and often a voiced end, 0.3 to 0.5 s (Korpas et al. 1996)."""
    tract, pitch = rng.uniform(0.135, 0.185), rng.uniform(110.0, 320.0)
    voiced = rng.uniform(0.1, 0.9)

    def one() -> Signal:
        m = samples(rng.uniform(0.25, 0.45))
        opening = curve(m, [(0, 1.1), (0.3, 1.0), (1, 0.85)])
        f0 = pitch * curve(m, [(0, 1.2), (0.5, 1.0), (1, 0.7)])
        burst = voice(rng, f0, tract, opening, breath_db=25.0, tilt_db=1.5, tones=8) * curve(
            m, [(0, 0), (0.015, 1), (0.15, 0.45), (0.5, 0.18), (1, 0)]
        )
        end = voice(rng, f0, tract, opening, breath_db=2.0, jitter=0.08, tilt_db=2.0, tones=8)
        end *= curve(m, [(0, 0), (0.05, 0.5), (0.5, 0.5), (0.75, 0.6), (1, 0)])
        return dsp.normalised(burst) + voiced * 0.5 * dsp.normalised(end)

    return dsp.calls(rng, n, one, group=(1, 4), gap_s=(0.02, 0.2), pause_s=(0.4, 1.0))


def snoring(rng: np.random.Generator, n: int) -> Signal:
    """Snore: the soft palate flutters at 42 to 90 Hz on the way in, a hiss goes out (Pevernagie et al. 2010)."""
    flutter, length, sharp = dsp.log_uniform(rng, 42.0, 90.0), rng.uniform(0.6, 1.6), rng.uniform(3.0, 14.0)
    noise, hiss, out_level = rng.uniform(0.2, 3.0), rng.uniform(-20.0, -11.0), rng.uniform(0.02, 0.2)
    steep = rng.uniform(0.5, 1.6)
    throat = [
        (rng.uniform(260.0, 400.0), 150.0, 0.0),
        (rng.uniform(450.0, 900.0), 200.0, -steep),
        (1400.0, 400.0, -6.0 * steep),
        (2600.0, 500.0, -10.0 * steep),
        (5500.0, 2500.0, -16.0 * steep),
    ]

    def one() -> Signal:
        m = samples(length * rng.uniform(0.9, 1.1))
        f0 = flutter * dsp.wander(rng, m, 8.0, 0.9, 1.12) * curve(m, [(0, 0.85), (0.5, 1.1), (1, 0.9)])
        pulses = dsp.cycled(f0, np.exp(np.linspace(0.0, -sharp, 8193))) * (noise * rng.standard_normal(m) + 2.0)
        air = dsp.formants(rng.standard_normal(m), [(800.0, 500.0, 0.0), (2000.0, 900.0, -3.0), (4500.0, 2500.0, -6.0)])
        inhale = dsp.mixed(dsp.formants(pulses - pulses.mean(), throat), air, hiss)
        inhale = dsp.normalised(inhale * curve(m, [(0, 0), (0.3, 0.6), (0.8, 1), (1, 0)]))
        e = samples(length * rng.uniform(0.7, 1.0))
        exhale = dsp.formants(
            rng.standard_normal(e), [(500.0, 300.0, 0.0), (1500.0, 500.0, -2.0), (4000.0, 2500.0, -4.0)]
        )
        rest = np.zeros(samples(rng.uniform(0.05, 0.25)))
        return np.concatenate((inhale, rest, out_level * dsp.normalised(exhale * np.hanning(e) ** 0.7)))

    out = dsp.calls(rng, n, one, group=(1, 1), gap_s=(0.05, 0.3), pause_s=(0.0, 0.2))
    return dsp.outdoors(rng, out, rng.uniform(-37.0, -25.0))


def _clap(rng: np.random.Generator, cavity_hz: float, t60_s: float, tail: float) -> Signal:
    m = samples(0.15)
    burst = rng.standard_normal(m) * (dsp.decay(m, t60_s) + tail * dsp.decay(m, 0.12))
    slap = dsp.formants(
        burst, [(cavity_hz, 0.6 * cavity_hz, 0.0), (2.6 * cavity_hz, 1.6 * cavity_hz, -3.0), (6500.0, 6000.0, -4.0)]
    )
    return dsp.normalised(dsp.normalised(slap) + 0.05 * burst)


def clapping(rng: np.random.Generator, n: int) -> Signal:
    """One to five people clap together in a room: bursts around the cavity of the hands (Repp 1987)."""
    period, t60, tail = rng.uniform(0.19, 0.38), rng.uniform(0.01, 0.055), rng.uniform(0.12, 0.4)
    out = np.zeros(n)
    for _ in range(int(rng.integers(1, 6))):
        cavity, level = dsp.log_uniform(rng, 700.0, 2000.0), rng.uniform(0.4, 1.0)
        claps = [_clap(rng, cavity * rng.uniform(0.9, 1.1), t60, tail) for _ in range(4)]
        own = period * rng.uniform(0.97, 1.03)
        for at in dsp.beat(rng, n, own, 0.04, 0.01 + rng.uniform(0.0, 0.06)):
            dsp.place(out, claps[int(rng.integers(4))], at, level * dsp.gain(rng.uniform(-4.0, 0.0)))
    room = dsp.in_room(rng, out, rng.uniform(0.35, 0.7), rng.uniform(-27.0, -15.0))
    return dsp.outdoors(rng, room, rng.uniform(-60.0, -32.0))


def applause(rng: np.random.Generator, n: int) -> Signal:
    """An audience: 60 to 130 people clap out of step, 190 to 430 claps a second, in a hall (Peltola et al. 2007)."""
    swelling, rate = dsp.wander(rng, n, 0.6, 0.6, 1.0), dsp.log_uniform(rng, 190.0, 430.0)
    spread, centre, t60 = rng.uniform(8.0, 26.0), dsp.log_uniform(rng, 880.0, 1250.0), dsp.log_uniform(rng, 0.01, 0.035)
    out, groups, direct = np.zeros(n), 3, rng.uniform(0.03, 0.12)
    for _ in range(groups):
        claps = np.abs(dsp.poisson_train(rng, n, rate / groups, spread))
        burst = rng.standard_normal(n) * dsp.convolved(claps, dsp.decay(samples(0.1), t60 * rng.uniform(0.7, 1.4)))
        cavity = centre * rng.uniform(0.8, 1.25)
        out += dsp.formants(burst, [(cavity, cavity, 0.0), (2.4 * cavity, 1.8 * cavity, -2.0)]) + direct * burst
    hall = dsp.in_room(rng, out, rng.uniform(0.2, 0.7), rng.uniform(-25.0, -8.0))
    return dsp.mixed(hall, dsp.tilted_noise(rng, n, -4.0, 150.0), rng.uniform(-30.0, -22.0)) * swelling


def finger_snapping(rng: np.random.Generator, n: int) -> Signal:
    """Snap: the finger hits the palm, whose cavity rings at 1 to 3.5 kHz, in a small room (Acharya et al. 2021)."""
    ring, out = dsp.log_uniform(rng, 1000.0, 3500.0), np.zeros(n)
    t60, width, slap_level = rng.uniform(0.015, 0.06), rng.uniform(0.15, 0.85), rng.uniform(0.0, 0.6)
    low_db, m = rng.uniform(-15.0, -6.0), samples(0.12)
    for at in dsp.beat(rng, n, rng.uniform(0.3, 1.0), 0.06):
        f = ring * rng.uniform(0.95, 1.06)
        burst = rng.standard_normal(m) * dsp.decay(m, t60)
        snap = dsp.formants(
            burst, [(f, width * f, 0.0), (2.1 * f, 0.6 * f, -6.0), (6500.0, 5000.0, -10.0), (350.0, 250.0, low_db)]
        )
        slap = dsp.formants(rng.standard_normal(m) * dsp.decay(m, 0.012), [(900.0, 800.0, 0.0), (2500.0, 2000.0, 0.0)])
        y = dsp.normalised(snap) + slap_level * dsp.normalised(slap)
        dsp.place(out, y, at, dsp.gain(rng.uniform(-4.0, 0.0)))
    room = dsp.in_room(rng, out, rng.uniform(0.25, 0.45), rng.uniform(-25.0, -16.0))
    return dsp.outdoors(rng, room, rng.uniform(-40.0, -26.0))


def footsteps(rng: np.random.Generator, n: int) -> Signal:
    """Walking: heel strike, then sole; on a hard floor it clicks, on gravel many grains crunch (Cook 1997, 2002)."""
    gravel, out = rng.random() < 0.4, np.zeros(n)
    body, roll = dsp.log_uniform(rng, 90.0, 220.0), rng.uniform(0.06, 0.14)
    bright, sandy = rng.uniform(1200.0, 2800.0), rng.uniform(0.2, 0.7)
    for k, at in enumerate(dsp.beat(rng, n, rng.uniform(0.42, 0.72), 0.05)):
        m = samples(0.3)
        step = np.zeros(m)
        for start, level in ((0, 1.0), (samples(roll * rng.uniform(0.9, 1.1)), rng.uniform(0.3, 0.6))):
            hit = dsp.strike(rng, m, rng.uniform(0.001, 0.002), 0.6)
            f = body * rng.uniform(0.9, 1.1) * (1.0 if k % 2 else 1.05)
            thud = dsp.modes(hit, [f, 2.3 * f, 4.1 * f], [0.08, 0.05, 0.03], [1.0, 0.6, 0.5])
            click = dsp.modes(hit, [bright, 1.7 * bright, 2.9 * bright], [0.025, 0.02, 0.012], [0.9, 0.6, 0.4])
            scuff = dsp.formants(
                rng.standard_normal(m) * dsp.decay(m, 0.07), [(600.0, 600.0, 0.0), (bright, 2500.0, 0.0)]
            )
            hard = dsp.normalised(thud + (0.3 if gravel else 1.0) * click)
            dsp.place(step, hard + sandy * dsp.normalised(scuff), start, level)
        if gravel:
            density = 2500.0 * curve(m, [(0, 0.2), (0.1, 1), (0.4, 0.5), (0.8, 0.05), (1, 0)])
            grains = dsp.formants(
                dsp.poisson_train(rng, m, density, 30.0),
                [(bright, 1500.0, 0.0), (2.4 * bright, 3000.0, 0.0), (500.0, 500.0, -4.0)],
            )
            step = dsp.normalised(step) * 0.4 + dsp.normalised(grains)
        dsp.place(out, dsp.normalised(step), at, dsp.gain(rng.uniform(-4.0, 0.0)))
    return out


def whistling(rng: np.random.Generator, n: int) -> Signal:
    """A whistled tune: a near-sine at 800 to 2500 Hz with breath around it (Shadle 1983), pentatonic."""
    key, vibrato = rng.uniform(750.0, 1250.0), rng.uniform(4.5, 6.5)
    scale = np.array([0, 2, 4, 7, 9, 12])
    f = np.empty(0)
    level = np.empty(0)
    step = int(rng.integers(0, 6))
    while len(f) < n:
        m = samples(rng.choice([0.15, 0.22, 0.3, 0.45, 0.7]) * rng.uniform(0.9, 1.1))
        step = int(np.clip(step + rng.integers(-2, 3), 0, 5))
        f = np.append(f, np.full(m, key * 2.0 ** (scale[step] / 12.0)))
        level = np.append(level, dsp.swell(m, 0.03, 0.05) * 0.9 + (0.1 if rng.random() < 0.6 else 0.0))
    f = dsp.lowpassed(f[:n] - f[0], 12.0) + f[0]
    f *= 1.0 + 0.008 * dsp.sine(np.full(n, vibrato)) + 0.003 * dsp.wander(rng, n, 20.0, -1.0, 1.0)
    tone = dsp.sine(f) + dsp.gain(rng.uniform(-34.0, -24.0)) * dsp.sine(2.0 * f)
    breath = dsp.formants(
        rng.standard_normal(n),
        [(key * 1.3, 900.0, 0.0), (3500.0, 2500.0, 0.0), (8000.0, 5000.0, -3.0), (350.0, 400.0, 3.0)],
    )
    return dsp.mixed(tone, breath, rng.uniform(-22.0, -17.0)) * level[:n]
