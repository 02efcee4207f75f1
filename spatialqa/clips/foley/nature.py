"""Nature: weather, water and fire, as clouds of events and shaped turbulence (Farnell 2010; van den Doel 2005)."""

import numpy as np

from spatialqa.clips.foley import dsp
from spatialqa.clips.foley.dsp import RATE, Signal, curve, samples


def _bubble(rng: np.random.Generator, radius_mm: float, rise: float) -> Signal:
    """Return one bubble: Minnaert's pitch 3 / r(m), radiative and thermal damping, pitch rising near the surface."""
    f = 3000.0 / radius_mm
    damping = 0.13 * (f / 3.0) + 0.0072 * (f / 3.0) ** 1.5
    m = min(samples(7.0 / damping), samples(0.12))
    t = np.arange(m) / RATE
    ring = np.sin(2.0 * np.pi * f * t * (1.0 + 0.5 * rise * damping * t))
    return np.asarray(ring * np.exp(-damping * t) * np.minimum(2.0 * f * t, 1.0))


def _bubbles(rng: np.random.Generator, n: int, per_second: float, radius_mm: tuple[float, float], kinds: int) -> Signal:
    """Return a stream of bubbles of `kinds` sizes: each size has its own rise in pitch."""
    from spatialqa.clips.foley.kernels import scatter

    out = np.zeros(n)
    for _ in range(kinds):
        radius = dsp.log_uniform(rng, *radius_mm)
        kernel = _bubble(rng, radius, rng.uniform(0.0, 0.25))
        count = rng.poisson(per_second / kinds * n / RATE)
        levels = 10.0 ** rng.uniform(-1.2, 0.0, count) * radius**0.5
        scatter(out, kernel, rng.integers(0, n, count), levels)
    return out


def rain(rng: np.random.Generator, n: int) -> Signal:
    """Rain: a hiss of far drops, near drops that tick on leaves or stone, some bubbles in puddles (Nystuen 1986)."""
    hiss = dsp.mixed(
        dsp.tilted_noise(rng, n, rng.uniform(-1.5, 0.5), 200.0), dsp.tilted_noise(rng, n, -6.0, 100.0), -18.0
    )
    ticks = dsp.poisson_train(rng, n, dsp.log_uniform(rng, 60.0, 900.0), 40.0)
    surface = dsp.log_uniform(rng, 1200.0, 4500.0)
    drops = dsp.formants(ticks, [(surface, 1.2 * surface, 0.0), (2.2 * surface, 3000.0, -2.0), (500.0, 400.0, -3.0)])
    y = dsp.mixed(hiss, drops, rng.uniform(-7.0, 3.0))
    y = dsp.mixed(y, _bubbles(rng, n, rng.uniform(5.0, 40.0), (0.7, 3.0), 8), rng.uniform(-20.0, -10.0))
    return y * dsp.wander(rng, n, 0.5, 0.75, 1.0)


def drip(rng: np.random.Generator, n: int) -> Signal:
    """Tap that drips into a basin: a splash click, then a bubble whose pitch rises (Phillips et al. 2018)."""
    out, radius = np.zeros(n), dsp.log_uniform(rng, 1.2, 4.0)
    for at in dsp.beat(rng, n, rng.uniform(0.25, 0.9), rng.uniform(0.03, 0.25)):
        click = rng.standard_normal(samples(0.02)) * dsp.decay(samples(0.02), 0.006)
        dsp.place(out, click, at, 0.6 * dsp.gain(rng.uniform(-6.0, 0.0)))
        later = at + samples(rng.uniform(0.008, 0.03))
        for k in range(int(rng.integers(1, 4))):
            plop = _bubble(rng, radius * rng.uniform(0.8, 1.2) / (1.0 + 0.4 * k), rng.uniform(0.1, 0.5))
            dsp.place(out, plop, later + samples(0.02 * k * rng.uniform(0.5, 2.0)), 0.7**k)
    tail = samples(0.25)
    room = dsp.convolved(out, rng.standard_normal(tail) * dsp.decay(tail, 0.25))
    return dsp.mixed(out, room, -14.0)


def stream(rng: np.random.Generator, n: int) -> Signal:
    """Brook: hundreds of bubbles a second of 0.3 to 6 mm over a soft rush (van den Doel 2005)."""
    water = _bubbles(rng, n, dsp.log_uniform(rng, 150.0, 700.0), (0.4, rng.uniform(3.0, 7.0)), 36)
    water *= dsp.wander(rng, n, 5.0, 0.5, 1.0)
    rush = dsp.band_noise(rng, n, 300.0, 9000.0) * dsp.wander(rng, n, 2.0, 0.7, 1.0)
    return dsp.mixed(water, rush, rng.uniform(-16.0, -7.0))


def wind(rng: np.random.Generator, n: int) -> Signal:
    """Gusts: turbulence whose speed sets level and the pitch of what it whistles around (Farnell 2010)."""
    speed = dsp.wander(rng, n, rng.uniform(0.4, 0.9), 0.15, 1.0) * dsp.wander(rng, n, 3.0, 0.85, 1.15)
    rush = dsp.tilted_noise(rng, n, rng.uniform(-5.0, -3.5), rng.uniform(90.0, 200.0)) * speed * np.sqrt(speed)
    howl = np.zeros(n)
    for _ in range(2):
        low = rng.uniform(280.0, 650.0)
        howl += (
            dsp.gliding_formants(rng.standard_normal(n), [low * (0.6 + 0.8 * speed)], [rng.uniform(30.0, 90.0)], [0.0])
            * speed**2
        )
    leaves = (
        dsp.band_noise(rng, n, 2500.0, 12000.0) * np.maximum(speed - 0.3, 0.02) * dsp.wander(rng, n, 12.0, 0.5, 1.0)
    )
    return dsp.mixed(dsp.mixed(rush, howl, rng.uniform(-8.0, 2.0)), leaves, rng.uniform(-22.0, -13.0))


def thunder(rng: np.random.Generator, n: int) -> Signal:
    """Thunder: cracks, then a rumble of N-waves from far parts of the channel (Few 1969; Ribner and Roy 1982)."""
    near, out = rng.uniform(0.2, 1.0), np.zeros(n)
    at = rng.uniform(0.02, 0.2)
    while at * RATE < n - samples(0.5):
        start = int(at * RATE)
        m = min(n - start, samples(rng.uniform(3.5, 6.0)))
        arrivals = np.zeros(m)
        count = 140
        times = np.minimum(rng.exponential(m / 5.0, count), m - 1).astype(np.int64)
        np.add.at(
            arrivals,
            times,
            rng.choice([-1.0, 1.0], count) * np.exp(-times / (0.25 * m)) * 10.0 ** rng.uniform(-1.2, 0.0, count),
        )
        size = samples(rng.uniform(0.008, 0.02))
        n_wave = np.linspace(1.0, -1.0, size)
        rumble = dsp.convolved(arrivals, n_wave)
        rumble = dsp.lowpassed(rumble, rng.uniform(250.0, 700.0), 1)
        rumble = dsp.mixed(
            rumble,
            dsp.tilted_noise(rng, m, -6.5, 70.0)
            * np.exp(-np.arange(m) / (0.35 * m))
            * dsp.wander(rng, m, 5.0, 0.3, 1.0),
            -4.0,
        )
        crack = (
            rng.standard_normal(m)
            * np.exp(-np.arange(m) / (rng.uniform(0.06, 0.25) * RATE))
            * dsp.wander(rng, m, 60.0, 0.0, 1.0) ** 2
        )
        y = dsp.normalised(rumble) + 0.35 * near * dsp.normalised(
            dsp.lowpassed(dsp.highpassed(crack, 150.0, 1), 1500.0, 1)
        )
        dsp.place(out, y * dsp.swell(m, 0.002, 0.6), start, dsp.gain(rng.uniform(-4.0, 0.0)))
        at += 0.7 * m / RATE
    return out


def crackle(rng: np.random.Generator, n: int) -> Signal:
    """Fire: snaps of wood with heavy-tailed sizes, a hiss of gas, a low flame roar (Farnell 2010)."""
    activity = dsp.wander(rng, n, 3.0, 0.1, 1.0) ** 2
    snaps = np.zeros(n)
    for _ in range(4):
        f, t60 = dsp.log_uniform(rng, 500.0, 6000.0), rng.uniform(0.004, 0.02)
        train = dsp.poisson_train(rng, n, 6.0 * activity + 1.0, 45.0)
        snaps += dsp.modes(train, [f, 2.7 * f], [t60, 0.5 * t60], [1.0, 0.7]) + 0.3 * train
    fine = dsp.formants(dsp.poisson_train(rng, n, 120.0, 50.0), [(3500.0, 4000.0, 0.0), (9000.0, 6000.0, 0.0)])
    roar = dsp.tilted_noise(rng, n, -5.0, 90.0) * dsp.wander(rng, n, 4.0, 0.4, 1.0)
    y = dsp.mixed(snaps, fine, rng.uniform(-14.0, -6.0))
    y = dsp.mixed(y, roar, rng.uniform(-16.0, -4.0))
    return dsp.mixed(y, dsp.band_noise(rng, n, 2000.0, 14000.0) * activity, rng.uniform(-24.0, -15.0))


def waves(rng: np.random.Generator, n: int) -> Signal:
    """Surf: each wave swells, breaks with a bright roar and draws back with a fading hiss (Bolin and Abom 2010)."""
    out = 0.04 * dsp.tilted_noise(rng, n, -4.0, 90.0)
    at = -rng.uniform(0.0, 2.0)
    while at * RATE < n:
        m = samples(rng.uniform(3.0, 5.5))
        top = rng.uniform(0.25, 0.45)
        roar = dsp.tilted_noise(rng, m, rng.uniform(-4.5, -3.0), 120.0) * curve(
            m, [(0, 0), (0.5 * top, 0.12), (top, 1.0), (0.65, 0.3), (1, 0)]
        )
        hiss = dsp.band_noise(rng, m, 1500.0, 12000.0) * curve(
            m, [(0, 0), (0.8 * top, 0.02), (1.2 * top, 0.8), (0.75, 0.35), (1, 0)]
        )
        y = roar + rng.uniform(0.15, 0.5) * hiss * dsp.wander(rng, m, 15.0, 0.7, 1.0)
        skip = max(0, int(-at * RATE))
        dsp.place(out, y[skip:], max(0, int(at * RATE)), dsp.gain(rng.uniform(-5.0, 0.0)))
        at += rng.uniform(0.55, 0.9) * m / RATE
    return out


def faucet(rng: np.random.Generator, n: int) -> Signal:
    """Open tap: a steady turbulent jet that splashes into a resonant sink, with bubbles (van den Doel 2005)."""
    basin = rng.uniform(300.0, 700.0)
    jet = dsp.tilted_noise(rng, n, rng.uniform(-1.0, 1.0), 300.0) * dsp.wander(rng, n, 30.0, 0.8, 1.0)
    body = dsp.formants(
        jet,
        [(basin, 0.25 * basin, 0.0), (2.4 * basin, 0.5 * basin, -1.0), (3600.0, 2500.0, 0.0), (8500.0, 6000.0, -1.0)],
    )
    return dsp.mixed(body, _bubbles(rng, n, rng.uniform(200.0, 600.0), (0.3, 2.8), 24), rng.uniform(-6.0, 4.0))
