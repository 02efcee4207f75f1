"""Animals: voices by source and filter (Fant 1960; Fitch 2006 on mammals), insects by their wings.

A vocal tract closed at the folds and open at the mouth resonates at odd multiples of c / 4L; mouths that open and
close move these formants together (Riede and Fitch 1999 measured it in dogs).
"""

import numpy as np

from spatialqa.clips.foley import dsp
from spatialqa.clips.foley.dsp import RATE, Signal, curve, samples

SPEED_OF_SOUND_M_S = 343.0


def voice(
    rng: np.random.Generator,
    f0_hz: Signal,
    tract_m: float,
    opening: Signal,
    *,
    breath_db: float,
    jitter: float = 0.01,
    tilt_db: float = 4.0,
    tones: int = 6,
    vowel_hz: tuple[float, ...] = (),
) -> Signal:
    """Return one cry: glottal pulses and breath noise through `tones` formants of a tube scaled by `opening`.

    breath_db is noise against pulses (RMS), tilt_db the fall from one formant to the next. vowel_hz replaces the
    lowest formants of the tube.
    """
    source = dsp.glottal(rng, f0_hz, jitter)
    hiss = rng.standard_normal(len(f0_hz)) * (0.4 + np.abs(source))
    source = dsp.mixed(source, hiss, breath_db)
    spacing = SPEED_OF_SOUND_M_S / (4.0 * tract_m) * rng.uniform(0.95, 1.05)
    centres = [(2 * k + 1) * spacing * rng.uniform(0.93, 1.07) for k in range(tones)]
    centres[: len(vowel_hz)] = vowel_hz
    widths = [60.0 + 0.09 * f for f in centres]
    levels = [-tilt_db * k for k in range(tones)]
    y = dsp.gliding_formants(source, [f * opening for f in centres], widths, levels)
    return y + 0.02 * source


def growled(rng: np.random.Generator, cry: Signal, f0_hz: Signal, amount: float) -> Signal:
    """Roughen a cry by a wandering subharmonic, as folds that drop out of step do (Riede et al. 2005)."""
    return cry * (1.0 - amount * (0.5 + 0.5 * dsp.sine(f0_hz * 0.5)) * dsp.wander(rng, len(cry), 40.0, 0.2, 1.0))


def bark(rng: np.random.Generator, n: int) -> Signal:
    """Dog: short rough pitch arches in groups of one to four, 500 to 1000 Hz (Riede and Fitch 1999; Yin 2002)."""
    pitch, tract = dsp.log_uniform(rng, 500.0, 1000.0), rng.uniform(0.155, 0.22)
    breath, jitter, rough = rng.uniform(-25.0, -16.0), rng.uniform(0.01, 0.12), rng.uniform(0.0, 0.32)
    tilt, length, attack = rng.uniform(2.4, 6.0), rng.uniform(0.08, 0.25), rng.uniform(0.1, 0.25)
    shut, opened, gap = rng.uniform(0.45, 0.7), rng.uniform(0.9, 1.25), rng.uniform(0.1, 0.4)

    def one() -> Signal:
        m = samples(length * rng.uniform(0.9, 1.1))
        f0 = pitch * rng.uniform(0.96, 1.04) * curve(m, [(0, 0.7), (0.3, 1.1), (0.6, 1.0), (1, 0.65)])
        mouth = curve(m, [(0, shut), (0.35, opened), (1, 0.7)])
        cry = growled(rng, voice(rng, f0, tract, mouth, breath_db=breath, jitter=jitter, tilt_db=tilt), f0, rough)
        return dsp.normalised(cry * curve(m, [(0, 0), (attack, 1), (0.6, 0.7), (1, 0)]))

    out = dsp.calls(rng, n, one, group=(1, 4), gap_s=(0.8 * gap, 1.2 * gap), pause_s=(0.1, 0.5))
    return dsp.outdoors(rng, out, rng.uniform(-42.0, -24.0))


def meow(rng: np.random.Generator, n: int) -> Signal:
    """Cat: a pitch arch while the mouth opens and closes again, clear and with few high harmonics (Nicastro 2004)."""
    pitch, tract = rng.uniform(730.0, 1100.0), rng.uniform(0.09, 0.14)
    breath, jitter = rng.uniform(-35.0, -12.0), rng.uniform(0.003, 0.03)
    tilt, length, peak = rng.uniform(3.0, 5.5), rng.uniform(0.45, 0.8), rng.uniform(0.1, 0.35)
    start, opened, end = rng.uniform(0.35, 0.6), rng.uniform(1.0, 1.7), rng.uniform(0.4, 0.6)
    fall = rng.uniform(0.72, 0.95)

    def one() -> Signal:
        m = samples(length * rng.uniform(0.85, 1.15))
        f0 = pitch * curve(m, [(0, 0.85), (peak, 1.05), (0.6, 1.0), (1, fall)])
        mouth = curve(m, [(0, start), (peak, opened), (0.6, 0.5 * (opened + end)), (1, end)])
        cry = voice(rng, f0, tract, mouth, breath_db=breath, jitter=jitter, tilt_db=tilt, tones=7)
        return dsp.normalised(cry) * curve(m, [(0, 0), (0.08, 0.5), (peak + 0.05, 1), (0.7, 0.6), (1, 0)])

    out = dsp.calls(rng, n, one, group=(1, 2), gap_s=(0.3, 0.9), pause_s=(0.3, 0.5))
    return dsp.outdoors(rng, out, rng.uniform(-31.0, -22.0))


def crowing(rng: np.random.Generator, n: int) -> Signal:
    """Rooster: four syllables, the last the longest, rough and bright (Collias 1987)."""
    pitch, tract = rng.uniform(720.0, 900.0), rng.uniform(0.063, 0.118)
    breath, jitter, rough = rng.uniform(-19.0, -5.0), rng.uniform(0.04, 0.09), rng.uniform(0.25, 0.45)
    plan = [(rng.uniform(0.1, 0.2), 0.75, 0.95), (rng.uniform(0.1, 0.2), 0.95, 1.05)]
    plan += [(rng.uniform(0.25, 0.45), 1.0, 1.15), (rng.uniform(0.8, 1.2), 1.1, rng.uniform(0.7, 0.9))]

    def one() -> Signal:
        parts = []
        for length, start, end in plan:
            m = samples(length * rng.uniform(0.9, 1.1))
            f0 = pitch * curve(m, [(0, start * 0.8), (0.2, start), (0.6, 0.5 * (start + end)), (1, end)])
            mouth = curve(m, [(0, 0.8), (0.35, 1.15), (1, 0.8)])
            cry = voice(rng, f0, tract, mouth, breath_db=breath, jitter=jitter, tilt_db=2.5)
            cry = dsp.normalised(growled(rng, cry, f0, rough)) * curve(m, [(0, 0), (0.15, 1), (0.7, 0.8), (1, 0)])
            parts += [cry, np.zeros(samples(rng.uniform(0.01, 0.06)))]
        return np.concatenate(parts)

    out = dsp.calls(rng, n, one, group=(1, 1), gap_s=(0.2, 0.9), pause_s=(0.0, 0.2))
    return dsp.outdoors(rng, out, rng.uniform(-32.0, -24.0))


def caw(rng: np.random.Generator, n: int) -> Signal:
    """Crow: harsh calls of dense noisy harmonics around 1 to 2 kHz in series of two to five (Brown 1985)."""
    pitch, tract = rng.uniform(280.0, 520.0), rng.uniform(0.05, 0.07)
    breath, jitter = rng.uniform(-4.0, 3.0), rng.uniform(0.05, 0.14)
    length = rng.uniform(0.22, 0.42)

    def one() -> Signal:
        m = samples(length * rng.uniform(0.9, 1.15))
        f0 = pitch * curve(m, [(0, 0.85), (0.25, 1.12), (0.7, 1.05), (1, 0.8)])
        cry = voice(
            rng, f0, tract, curve(m, [(0, 0.8), (0.25, 1.05), (1, 0.8)]), breath_db=breath, jitter=jitter, tilt_db=5.0
        )
        cry *= 0.7 + 0.3 * dsp.sine(np.full(m, pitch * 0.25))
        return dsp.normalised(cry) * curve(m, [(0, 0), (0.12, 1), (0.75, 0.8), (1, 0)])

    out = dsp.calls(rng, n, one, group=(2, 5), gap_s=(0.1, 0.35), pause_s=(0.35, 0.9))
    return dsp.outdoors(rng, out, rng.uniform(-32.0, -25.0))


def chirp(rng: np.random.Generator, n: int) -> Signal:
    """Songbird: a motif of fast whistled sweeps from 2 to 8 kHz, repeated with changes (Catchpole and Slater 2008)."""
    base = dsp.log_uniform(rng, 2300.0, 5000.0)
    motif = [
        (
            rng.uniform(0.03, 0.16),
            rng.uniform(0.75, 1.5),
            rng.uniform(0.7, 1.6),
            rng.uniform(0.75, 1.5),
            rng.uniform(0.0, 0.06),
        )
        for _ in range(rng.integers(2, 6))
    ]
    second = dsp.gain(rng.uniform(-30.0, -16.0))

    def one() -> Signal:
        parts = []
        for length, start, middle, end, trill in motif:
            m = samples(length * rng.uniform(0.92, 1.08))
            f = base * curve(m, [(0, start), (0.5, middle), (1, end)]) * (1.0 + trill * dsp.sine(np.full(m, 45.0)))
            tone = dsp.sine(f) + second * dsp.sine(2.0 * f)
            parts += [tone * np.hanning(m), np.zeros(samples(rng.uniform(0.015, 0.06)))]
        return np.concatenate(parts)

    out = dsp.calls(rng, n, one, group=(1, 4), gap_s=(0.04, 0.15), pause_s=(0.2, 0.8))
    return dsp.outdoors(rng, out, rng.uniform(-23.0, -18.0))


def cricket(rng: np.random.Generator, n: int) -> Signal:
    """Field cricket: file teeth drive the wing's harp near 4 to 5 kHz, 2 to 5 pulses a chirp (Bennet-Clark 1989)."""
    carrier, pulse_s = rng.uniform(3800.0, 5400.0), rng.uniform(0.012, 0.02)
    period, pulses = pulse_s * rng.uniform(1.5, 2.0), int(rng.integers(2, 6))
    trilling = rng.random() < 0.25
    rest = pulse_s if trilling else rng.uniform(0.12, 0.4)
    out, at = np.zeros(n), rng.uniform(0.0, 0.1)
    m = samples(pulse_s)
    while at * RATE < n:
        for k in range(pulses):
            f = carrier * curve(m, [(0, 1.02), (1, rng.uniform(0.96, 0.99))])
            teeth = dsp.harmonics(f, [1.0, 0.09, 0.05], rng) + 0.04 * rng.standard_normal(m)
            dsp.place(
                out,
                teeth * curve(m, [(0, 0), (0.3, 0.8), (0.7, 1), (1, 0)]),
                int(at * RATE),
                0.5 + 0.5 * (k + 1) / pulses,
            )
            at += period * rng.uniform(0.97, 1.03)
        at += rest * rng.uniform(0.9, 1.1)
    return dsp.outdoors(rng, out, rng.uniform(-22.0, -17.0))


def croak(rng: np.random.Generator, n: int) -> Signal:
    """Frog: trains of 35 to 90 pulses a second that ring the vocal sac's two bands (Gerhardt and Huber 2002)."""
    pulse_rate, low = dsp.log_uniform(rng, 35.0, 90.0), dsp.log_uniform(rng, 720.0, 1300.0)
    high, length = low * rng.uniform(1.8, 3.5), rng.uniform(0.12, 0.46)
    glide, t60 = rng.uniform(0.8, 1.16), dsp.log_uniform(rng, 0.018, 0.05)
    noise = rng.uniform(0.0, 0.015)

    def one() -> Signal:
        m = samples(length * rng.uniform(0.85, 1.15))
        rate = pulse_rate * curve(m, [(0, 1.0), (1, glide)]) * (1.0 + 0.05 * dsp.wander(rng, m, 30.0, -1.0, 1.0))
        source = np.diff(np.floor(dsp.phase_of(rate)), prepend=0.0) * (1.0 + 0.2 * rng.standard_normal(m))
        source += noise * rng.standard_normal(m)
        ring = dsp.modes(
            source,
            [low, high, 2.7 * high, 6.1 * high],
            [t60, 0.6 * t60, 0.25 * t60, 0.12 * t60],
            [1.0, 0.7, 0.35, 0.3],
        )
        return dsp.normalised(ring * curve(m, [(0, 0.2), (0.4, 1), (0.9, 0.9), (1, 0)]))

    out = dsp.calls(rng, n, one, group=(1, 3), gap_s=(0.06, 0.3), pause_s=(0.1, 0.7))
    return dsp.outdoors(rng, out, rng.uniform(-40.0, -22.0))


def bee(rng: np.random.Generator, n: int) -> Signal:
    """Bee: wing beat near 220 to 330 Hz with many harmonics; flight moves its level and pitch (Dudley 2000)."""
    x, k = np.zeros(n), np.arange(1, 70)
    base, slope = rng.uniform(230.0, 330.0), rng.uniform(0.3, 1.4)
    bend, centre = rng.uniform(0.0, 0.8), rng.uniform(800.0, 3500.0)
    move, flutter_depth = rng.uniform(1.9, 4.0), rng.uniform(0.015, 0.05)
    for _ in range(int(rng.integers(1, 4))):
        f0 = base * rng.uniform(0.9, 1.1) * dsp.wander(rng, n, 2.5, 0.9, 1.1)
        f0 *= dsp.wander(rng, n, 70.0, 1.0 - flutter_depth, 1.0 + flutter_depth)
        colour = k**-slope + bend * np.exp(-((k * base - centre) ** 2) / 1e6)
        tone = dsp.harmonics(f0, colour * rng.uniform(0.2, 1.0, len(k)), rng)
        near = dsp.wander(rng, n, move, 0.15, 1.0)
        x += tone * near * np.sqrt(near)
    flutter = rng.standard_normal(n) * (0.3 + np.abs(x))
    return dsp.mixed(x, dsp.highpassed(flutter, 500.0, 1), rng.uniform(-20.0, -6.0))


def moo(rng: np.random.Generator, n: int) -> Signal:
    """Cow: low long calls; the mouth opens after a closed nasal start (Padilla de la Torre et al. 2015)."""
    pitch, tract = rng.uniform(110.0, 210.0), rng.uniform(0.28, 0.42)
    breath, length = rng.uniform(-14.0, -6.0), rng.uniform(0.9, 1.7)

    def one() -> Signal:
        m = samples(length * rng.uniform(0.85, 1.15))
        f0 = pitch * curve(m, [(0, 0.75), (0.35, 1.1), (0.75, 1.15), (1, 0.7)])
        shape = curve(m, [(0, 0.6), (0.25, 0.7), (0.5, 1.1), (0.8, 1.0), (1, 0.65)])
        cry = voice(rng, f0, tract, shape, breath_db=breath, jitter=0.015, tilt_db=2.2, tones=9)
        return dsp.normalised(cry * curve(m, [(0, 0), (0.12, 0.5), (0.5, 1), (0.85, 0.7), (1, 0)]))

    return dsp.calls(rng, n, one, group=(1, 2), gap_s=(0.2, 0.7), pause_s=(0.2, 0.6))


def bleat(rng: np.random.Generator, n: int) -> Signal:
    """Sheep or goat: a held vowel shaken at 7 to 14 Hz in level and pitch (Briefer and McElligott 2011)."""
    pitch, tract = rng.uniform(170.0, 430.0), rng.uniform(0.13, 0.2)
    tremor, breath = rng.uniform(7.0, 14.0), rng.uniform(-14.0, -6.0)

    def one() -> Signal:
        m = samples(rng.uniform(0.5, 1.1))
        shake = dsp.sine(tremor * dsp.wander(rng, m, 4.0, 0.9, 1.1))
        f0 = pitch * curve(m, [(0, 0.9), (0.2, 1.08), (1, 0.85)]) * (1.0 + rng.uniform(0.03, 0.07) * shake)
        cry = voice(
            rng,
            f0,
            tract,
            curve(m, [(0, 0.75), (0.2, 1.05), (1, 0.95)]),
            breath_db=breath,
            jitter=0.03,
            tilt_db=2.5,
            tones=7,
        )
        return dsp.normalised(cry * (0.6 + 0.4 * shake) * curve(m, [(0, 0), (0.1, 1), (0.7, 0.8), (1, 0)]))

    return dsp.calls(rng, n, one, group=(1, 3), gap_s=(0.15, 0.5), pause_s=(0.2, 0.7))


def quack(rng: np.random.Generator, n: int) -> Signal:
    """Duck: short rough calls of a low pitch and a short bill, in series (Abraham 1974)."""
    pitch, tract = rng.uniform(140.0, 280.0), rng.uniform(0.037, 0.053)
    breath, jitter, rough = rng.uniform(-20.0, -7.0), rng.uniform(0.05, 0.11), rng.uniform(0.2, 0.6)
    length, tilt, attack = rng.uniform(0.13, 0.26), rng.uniform(0.0, 5.0), rng.uniform(0.1, 0.25)

    def one() -> Signal:
        m = samples(length * rng.uniform(0.88, 1.12))
        f0 = pitch * rng.uniform(0.96, 1.04) * curve(m, [(0, 0.95), (0.3, 1.1), (0.6, 1.0), (1, 0.72)])
        bill = curve(m, [(0, 0.9), (0.35, 1.2), (1, 0.75)])
        cry = voice(rng, f0, tract, bill, breath_db=breath, jitter=jitter, tilt_db=tilt)
        return dsp.normalised(growled(rng, cry, f0, rough) * curve(m, [(0, 0), (attack, 1), (0.6, 0.7), (1, 0)]))

    return dsp.calls(rng, n, one, group=(2, 6), gap_s=(0.08, 0.25), pause_s=(0.2, 0.6))


def purr(rng: np.random.Generator, n: int) -> Signal:
    """Cat: 25 to 34 glottal openings a second, louder while breathing out (Frazer Sissom et al. 1991)."""
    rate, breath_hz = rng.uniform(25.5, 34.0), rng.uniform(0.4, 1.1)
    phase = dsp.phase_of(np.full(n, breath_hz)) + rng.uniform(0.0, 1.0)
    out_breath = phase - np.floor(phase) < 0.5
    f0 = rate * np.where(out_breath, 1.0, rng.uniform(0.85, 0.95)) * dsp.wander(rng, n, 6.0, 0.97, 1.03)
    p = np.linspace(0.0, 1.0, 40 * 256 + 1)
    pulse = dsp.cycled(f0, np.exp(-p * rng.uniform(10.0, 14.0)) * np.minimum(p * 40.0, 1.0))
    rumble = dsp.formants(
        pulse * (1.0 + rng.uniform(0.7, 3.0) * rng.standard_normal(n)),
        [
            (rng.uniform(120.0, 350.0), 160.0, 0.0),
            (rng.uniform(350.0, 800.0), 250.0, rng.uniform(-10.0, -2.0)),
            (1500.0, 600.0, rng.uniform(-10.0, 0.0)),
            (4500.0, 3000.0, rng.uniform(-22.0, -6.0)),
        ],
    )
    floor, back = rng.uniform(0.2, 0.7), np.where(out_breath, 1.0, rng.uniform(0.4, 1.0))
    level = floor + (1.0 - floor) * np.abs(np.sin(2.0 * np.pi * phase)) ** 0.5 * back
    return dsp.outdoors(rng, rumble * level, rng.uniform(-55.0, -24.0))
