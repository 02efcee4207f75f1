"""Machines: engines, rotors, tools and horns, as shaft-synchronous pulses and resonances (Farnell 2010)."""

import numpy as np

from spatialqa.clips.foley import dsp
from spatialqa.clips.foley.dsp import RATE, Signal, curve, samples


def _firing(
    rng: np.random.Generator, rate_hz: Signal, cylinders: int, sharpness: float, turbulence: float = 0.5
) -> Signal:
    """Return exhaust pulses: each cylinder has its own strength, each cycle its own scatter (Baldan et al. 2015)."""
    from spatialqa.clips.foley.kernels import held

    cycles = int(np.sum(rate_hz) / RATE) + 1
    strength = np.resize(rng.uniform(0.65, 1.0, cylinders), cycles) * rng.uniform(0.8, 1.0, cycles)
    p = np.linspace(0.0, 1.0, 30 * 512 + 1)
    pulse = np.exp(-sharpness * p) * np.minimum(p * 30.0, 1.0)
    flow = turbulence * rng.standard_normal(len(rate_hz)) + 1.0
    return dsp.cycled(rate_hz, pulse) * held(rate_hz, RATE, strength) * flow


def _pipe(x: Signal, length_m: float, loss: float) -> Signal:
    """Ring x in a pipe closed at the engine: odd quarter-wave resonances by a comb with a sign flip."""
    from spatialqa.clips.foley.kernels import comb

    y = x.copy()
    comb(y, samples(2.0 * length_m / 343.0), 0.5 * loss)
    return y


def idling(rng: np.random.Generator, n: int) -> Signal:
    """Car or lorry that idles: 4 to 8 cylinders at 600 to 900 turns a minute, with valve and belt noise."""
    cylinders = int(rng.choice([4, 4, 6, 8]))
    rate = rng.uniform(600.0, 900.0) / 60.0 * cylinders / 2.0 * dsp.wander(rng, n, 3.0, 0.97, 1.03)
    diesel = rng.uniform(0.0, 1.0)
    x = _firing(rng, rate, cylinders, rng.uniform(4.0, 9.0))
    x = _pipe(x - x.mean(), rng.uniform(0.8, 2.0), rng.uniform(0.4, 0.75))
    x = (
        dsp.formants(
            x, [(rng.uniform(70.0, 130.0), 60.0, 3.0), (rng.uniform(250.0, 450.0), 200.0, 0.0), (1200.0, 900.0, -3.0)]
        )
        + 0.05 * x
    )
    clatter = _firing(rng, rate, cylinders, 25.0)
    clatter = dsp.formants(
        clatter, [(rng.uniform(1400.0, 2500.0), 600.0, 0.0), (4500.0, 2500.0, -2.0), (9000.0, 5000.0, -6.0)]
    )
    x = dsp.mixed(x, clatter, -20.0 + 12.0 * diesel)
    return dsp.mixed(x, dsp.tilted_noise(rng, n, -3.0, 300.0), rng.uniform(-26.0, -18.0))


def diesel(rng: np.random.Generator, n: int) -> Signal:
    """Lorry that idles close by: 4 or 6 cylinders in a long pipe, injection clatter, fan noise."""
    cylinders = int(rng.choice([4, 6, 6]))
    rate = rng.uniform(550.0, 880.0) / 60.0 * cylinders / 2.0 * dsp.wander(rng, n, 3.0, 0.97, 1.03)
    x = _firing(rng, rate, cylinders, rng.uniform(3.0, 12.0))
    x = _pipe(x - x.mean(), rng.uniform(0.8, 3.0), rng.uniform(0.5, 0.8))
    block = [
        (rng.uniform(100.0, 140.0), 60.0, 3.0),
        (rng.uniform(200.0, 380.0), 200.0, 0.0),
        (1200.0, 900.0, rng.uniform(-8.0, -1.0)),
    ]
    x = dsp.formants(x, block) + 0.05 * x
    clatter = dsp.formants(
        _firing(rng, rate, cylinders, 25.0), [(rng.uniform(1200.0, 2000.0), 700.0, 0.0), (4500.0, 2500.0, -2.0)]
    )
    x = dsp.mixed(x, clatter, rng.uniform(-25.0, -16.0))
    return dsp.mixed(x, dsp.tilted_noise(rng, n, -3.0, 300.0), rng.uniform(-16.0, -8.0))


def motorcycle(rng: np.random.Generator, n: int) -> Signal:
    """Motorcycle: one or two cylinders revved up and down by the hand, sharp pulses in a short exhaust."""
    cylinders, low = int(rng.integers(1, 3)), rng.uniform(10.0, 26.0)
    high = low * rng.uniform(2.7, 5.0)
    throttle = dsp.wander(rng, n, rng.uniform(0.7, 1.4), 0.0, 1.0)
    throttle *= np.sqrt(throttle)
    rate = (low + (high - low) * throttle) * dsp.wander(rng, n, 20.0, 0.97, 1.03)
    x = _firing(rng, rate, cylinders, rng.uniform(6.0, 12.0), rng.uniform(0.25, 0.8))
    x = _pipe(x - x.mean(), rng.uniform(0.3, 1.1), rng.uniform(0.2, 0.65))
    body = [
        (rng.uniform(115.0, 220.0), 80.0, rng.uniform(-3.0, 3.0)),
        (rng.uniform(480.0, 900.0), 350.0, 0.0),
        (2200.0, 1500.0, rng.uniform(-10.0, -2.0)),
        (5500.0, 4000.0, rng.uniform(-11.0, 0.0)),
    ]
    loudness = 0.35 + 0.65 * rate / high
    x = (dsp.formants(x, body) + rng.uniform(0.05, 0.3) * x) * loudness
    return dsp.mixed(x, dsp.tilted_noise(rng, n, -3.0, 200.0) * loudness, rng.uniform(-23.0, -12.0))


def helicopter(rng: np.random.Generator, n: int) -> Signal:
    """Helicopter: blade slap at 10 to 28 Hz, a tail rotor four to six times faster, turbine whine (Lowson 1992)."""
    rate = np.full(n, rng.uniform(10.0, 26.0)) * dsp.wander(rng, n, 0.7, 0.98, 1.02)
    slap = dsp.cycled(rate, np.exp(-((np.linspace(-0.5, 0.5, 16385) / rng.uniform(0.06, 0.13)) ** 2)))
    wash = slap * rng.standard_normal(n)
    thump = dsp.formants(
        wash + 1.5 * np.gradient(slap) * 40.0,
        [(90.0, 70.0, 2.0), (280.0, 250.0, 0.0), (900.0, 900.0, -3.0), (3500.0, 3500.0, -12.0)],
    )
    tail = dsp.harmonics(rate * rng.uniform(4.0, 6.0), 1.0 / np.arange(1, 25), rng) * (0.6 + 0.4 * slap)
    whine = dsp.harmonics(
        np.full(n, rng.uniform(2500.0, 5500.0)) * dsp.wander(rng, n, 1.0, 0.99, 1.01), [1.0, 0.3], rng
    )
    x = dsp.mixed(thump, tail, rng.uniform(-18.0, -10.0))
    x = dsp.mixed(x, dsp.tilted_noise(rng, n, -3.0, 200.0) * (0.4 + 0.6 * slap), rng.uniform(-16.0, -9.0))
    return dsp.mixed(x, whine, rng.uniform(-38.0, -28.0)) * dsp.wander(rng, n, 0.6, 0.6, 1.0)


def drill(rng: np.random.Generator, n: int) -> Signal:
    """Power drill: brush motor and gear whine that spin up, sag under load and stop; chuck and bit rattle."""
    speed, at, sag = np.zeros(n), 0, rng.uniform(0.6, 0.95)
    while at < n:
        m = min(n - at, samples(rng.uniform(1.2, 3.0)))
        load = dsp.wander(rng, m, 2.5, sag, 1.0)
        speed[at : at + m] = load * curve(m, [(0, 0.15), (0.1, 1.0), (0.88, 0.98), (1, 0.1)])
        at += m + samples(rng.uniform(0.05, 0.3))
    f = np.maximum(speed, 0.02) * dsp.log_uniform(rng, 120.0, 600.0)
    k = np.arange(1, 60)
    motor = dsp.harmonics(f, k ** -rng.uniform(0.2, 0.85) * rng.uniform(0.2, 1.0, len(k)), rng)
    gears = dsp.harmonics(f * rng.uniform(6.4, 12.0), [1.0, 0.6, 0.4, 0.25], rng)
    x = dsp.mixed(motor, gears, rng.uniform(-5.0, 8.0)) * (1.0 + rng.uniform(0.3, 0.9) * dsp.sine(f / 6.0))
    brushes = dsp.highpassed(rng.standard_normal(n), dsp.log_uniform(rng, 1500.0, 4000.0))
    brushes *= 0.6 + 0.4 * dsp.sine(2.0 * f)
    case = [
        (700.0, 500.0, rng.uniform(-10.0, 2.0)),
        (2100.0, 1200.0, 0.0),
        (5200.0, 3500.0, rng.uniform(0.0, 6.0)),
    ]
    x = dsp.mixed(dsp.formants(x, case) + 0.15 * x, brushes, rng.uniform(-5.0, 6.0))
    rattle = dsp.modes(
        dsp.poisson_train(rng, n, 400.0 * speed, 20.0), [300.0, 800.0, 1900.0], [0.01] * 3, [1.0, 1.0, 1.0]
    )
    return dsp.mixed(x, rattle, rng.uniform(-25.0, -8.0)) * speed**1.2


def jackhammer(rng: np.random.Generator, n: int) -> Signal:
    """Pneumatic hammer: 15 to 27 blows a second ring the steel, with bursts of exhaust air."""
    rate = rng.uniform(15.0, 27.0) * dsp.wander(rng, n, 4.0, 0.97, 1.03)
    blows = np.diff(np.floor(dsp.phase_of(rate)), prepend=0.0) * rng.uniform(0.7, 1.0, n)
    steel = [dsp.log_uniform(rng, 700.0, 1500.0) * r for r in (1.0, 1.9, 2.76, 4.1, 5.8)]
    ground = dsp.modes(blows, [70.0, 135.0, 260.0, 420.0], [0.07, 0.06, 0.05, 0.04], [1.0, 1.0, 0.8, 0.8])
    clank = dsp.modes(blows, steel, [rng.uniform(0.02, 0.05)] * 5, rng.uniform(0.3, 1.0, 5))
    puff = dsp.cycled(rate, np.exp(np.linspace(0.0, -4.0, 4097)))
    air = dsp.formants(
        rng.standard_normal(n) * puff, [(800.0, 700.0, 0.0), (2800.0, 2500.0, 0.0), (7000.0, 5000.0, -2.0)]
    )
    x = dsp.mixed(ground, clank, rng.uniform(-4.0, 2.0))
    return dsp.mixed(x, air, rng.uniform(-4.0, 3.0))


def chainsaw(rng: np.random.Generator, n: int) -> Signal:
    """Chainsaw: a two-stroke at 85 to 210 firings a second, blipped and held under load."""
    throttle = dsp.wander(rng, n, rng.uniform(0.8, 2.0), -0.3, 1.3).clip(0.0, 1.0)
    rate = (85.0 + rng.uniform(70.0, 125.0) * throttle) * dsp.wander(rng, n, 12.0, 0.97, 1.03)
    x = _firing(rng, rate, 1, rng.uniform(3.5, 6.0))
    x = _pipe(x - x.mean(), rng.uniform(0.15, 0.35), rng.uniform(0.4, 0.7))
    x = (
        dsp.formants(
            x,
            [
                (rng.uniform(350.0, 600.0), 250.0, 0.0),
                (1500.0, 900.0, 1.0),
                (3200.0, 1800.0, 1.0),
                (6500.0, 4000.0, -2.0),
            ],
        )
        + 0.1 * x
    )
    return x * (0.45 + 0.55 * throttle)


def vacuum_cleaner(rng: np.random.Generator, n: int) -> Signal:
    """Vacuum cleaner: bright flow noise over a fan tone of 300 to 650 Hz with harmonics; the nozzle moves."""
    spin = np.full(n, dsp.log_uniform(rng, 300.0, 650.0)) * dsp.wander(rng, n, 1.5, 0.99, 1.01)
    k = np.arange(1, 40)
    tone = dsp.harmonics(spin, k ** -rng.uniform(0.6, 1.6) * rng.uniform(0.3, 1.0, len(k)), rng)
    flow = dsp.tilted_noise(rng, n, rng.uniform(-2.0, 0.0), rng.uniform(350.0, 600.0))
    body = dsp.log_uniform(rng, 500.0, 950.0)
    hose = dsp.formants(flow, [(body, 0.4 * body, 0.0), (2.3 * body, 0.5 * body, -2.0)])
    x = dsp.mixed(dsp.mixed(flow, hose, rng.uniform(-12.0, -1.0)), tone, rng.uniform(-10.0, -2.5))
    return x * dsp.wander(rng, n, rng.uniform(0.5, 4.0), rng.uniform(0.65, 1.0), 1.0)


def sewing_machine(rng: np.random.Generator, n: int) -> Signal:
    """Sewing machine in a room: needle and feed clatter 7 to 15 times a second, with motor whine, in seams."""
    run, at = np.zeros(n), 0
    while at < n:
        m = min(n - at, samples(rng.uniform(1.2, 3.0)))
        run[at : at + m] = curve(m, [(0, 0.3), (0.15, 1.0), (0.88, 1.0), (1, 0.25)])
        at += m + samples(rng.uniform(0.1, 0.4))
    rate = rng.uniform(7.5, 15.0) * run
    phase, x = dsp.phase_of(rate), np.zeros(n)
    base, clack = dsp.log_uniform(rng, 870.0, 1800.0), rng.uniform(0.5, 0.75)
    rattle = rng.standard_normal(samples(0.03)) * dsp.decay(samples(0.03), 0.03)
    for offset, level in ((0.0, 1.0), (0.4, 0.6), (0.65, 0.35)):
        hit = np.diff(np.floor(phase + offset), prepend=np.floor(offset)) * rng.uniform(0.6, 1.0, n)
        f, t60 = base * rng.uniform(0.7, 1.4), rng.uniform(0.02, 0.045)
        x += level * dsp.modes(
            hit,
            [0.4 * f, f, 2.2 * f, 3.9 * f, 6.3 * f],
            [1.2 * t60, t60, 0.7 * t60, 0.6 * t60, 0.5 * t60],
            rng.uniform(0.4, 1.0, 5),
        )
        x += clack * level * dsp.normalised(dsp.convolved(hit, rattle)) * float(np.max(np.abs(x)))
    k = np.arange(1, 40)
    motor = dsp.harmonics(np.maximum(rate, 0.1) * rng.uniform(20.0, 30.0), k ** -rng.uniform(0.2, 1.2), rng) * run
    x = dsp.mixed(x, motor, rng.uniform(-10.5, -3.0))
    hiss = dsp.tilted_noise(rng, n, rng.uniform(-4.0, -0.5), 300.0) * run
    x = dsp.mixed(x, hiss, rng.uniform(-18.0, -6.0))
    return dsp.in_room(rng, x, rng.uniform(0.1, 0.7), rng.uniform(-20.0, -4.0))


def machine_gun(rng: np.random.Generator, n: int) -> Signal:
    """Machine gun: bursts of 8 to 14 Friedlander muzzle blasts a second with an echoing tail (Maher 2007)."""
    rate, far = rng.uniform(8.0, 14.0), rng.uniform(0.0, 1.0)
    blast_s, m = rng.uniform(0.0008, 0.003), samples(0.7)
    t = np.arange(m) / dsp.RATE
    tail = rng.standard_normal(m) * (np.exp(-t / rng.uniform(0.02, 0.05)) + 0.15 * far * np.exp(-t / 0.18))
    tail = dsp.formants(
        tail,
        [(rng.uniform(150.0, 350.0), 200.0, 3.0), (900.0, 800.0, 0.0), (3000.0, 2500.0, -3.0), (8000.0, 6000.0, -6.0)],
    )
    friedlander = (1.0 - t / blast_s) * np.exp(-t / blast_s)
    shot = dsp.normalised(dsp.lowpassed(friedlander, 14000.0 - 9000.0 * far)) + rng.uniform(0.8, 1.5) * dsp.normalised(
        tail
    )
    hits, at = np.zeros(n), rng.uniform(0.01, 0.1)
    while at * dsp.RATE < n - 2:
        for _ in range(int(rng.integers(4, 16))):
            if at * dsp.RATE < n - 2:
                hits[int(at * dsp.RATE)] = rng.uniform(0.75, 1.0)
            at += rng.uniform(0.97, 1.03) / rate
        at += rng.uniform(0.2, 0.9)
    out: Signal = dsp.convolved(hits, shot)
    return out


def train_horn(rng: np.random.Generator, n: int) -> Signal:
    """Locomotive horn: a chord of three to five diaphragm horns, 250 to 630 Hz, blown long and short."""
    chord = np.array([311.1, 370.0, 415.3, 493.9, 622.3])[: int(rng.integers(3, 6))] * rng.uniform(0.8, 1.05)
    chord *= rng.uniform(0.995, 1.005, len(chord))
    k = np.arange(1, 50)

    def one() -> Signal:
        m = samples(rng.choice([0.5, 0.9, 1.5]) * rng.uniform(0.85, 1.15))
        bend = curve(m, [(0, 0.96), (0.08, 1.0), (0.92, 1.0), (1, 0.95)])
        y = np.zeros(m)
        for f in chord:
            wobble = dsp.wander(rng, m, 25.0, 0.998, 1.002)
            y += dsp.harmonics(
                f * bend * wobble, np.minimum(1.0, 5.0 / k) * k**-0.6 * rng.uniform(0.5, 1.0, len(k)), rng
            )
        air = dsp.band_noise(rng, m, 700.0, 12000.0)
        return dsp.normalised(dsp.mixed(y, air, -22.0)) * dsp.swell(m, 0.06, 0.15)

    return dsp.calls(rng, n, one, group=(1, 4), gap_s=(0.15, 0.5), pause_s=(0.2, 0.6))


def car_horn(rng: np.random.Generator, n: int) -> Signal:
    """Car horn: two diaphragm horns about a major third apart, rich in harmonics, in honks (Lemaitre et al. 2007)."""
    low = rng.uniform(330.0, 450.0)
    pair = [low, low * rng.uniform(1.18, 1.3)]
    k = np.arange(1, 45)
    colours = [
        (0.07 + np.exp(-((np.log2(k * f / rng.uniform(1800.0, 3200.0)) / 1.6) ** 2))) * rng.uniform(0.4, 1.0, len(k))
        for f in pair
    ]

    def one() -> Signal:
        m = samples(rng.choice([0.15, 0.35, 0.8]) * rng.uniform(0.8, 1.2))
        bend = curve(m, [(0, 0.97), (0.1, 1.0), (1, 1.0)])
        y = sum((dsp.harmonics(f * bend, c, rng) for f, c in zip(pair, colours, strict=True)), np.zeros(m))
        click = dsp.band_noise(rng, m, 200.0, 5000.0) * (0.1 + dsp.decay(m, 0.06))
        return (dsp.normalised(y) + 0.2 * dsp.normalised(click)) * dsp.swell(m, 0.012, 0.04)

    return dsp.calls(rng, n, one, group=(1, 4), gap_s=(0.05, 0.25), pause_s=(0.25, 0.8))
