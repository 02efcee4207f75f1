"""Alarms: bells, beepers and sirens, with the clicks, buzz and loudspeakers that make them up."""

import numpy as np

from spatialqa.clips.foley import dsp, machines
from spatialqa.clips.foley.dsp import RATE, Signal, curve, samples


def _gong(base_hz: float, rng: np.random.Generator) -> tuple[list[float], list[float], list[float]]:
    """Return a bell cup's modes: near-doublets at 1, 2.6, 4.9, 7.6, 10.7 of its lowest (Fletcher and Rossing 1998)."""
    ratios = [1.0, 2.6, 4.9, 7.6, 10.7]
    f = [base_hz * r * s * rng.uniform(0.98, 1.02) for r in ratios for s in (1.0, rng.uniform(1.001, 1.005))]
    t60 = [rng.uniform(0.8, 1.6) / (1.0 + x / 5000.0) for x in f]
    return f, t60, [a * rng.uniform(0.5, 1.0) for a in (0.7, 1.0, 0.9, 0.7, 0.5) for _ in range(2)]


def telephone_bell(rng: np.random.Generator, n: int) -> Signal:
    """Old telephone: one clapper between two gongs at 20 to 27 strokes a second, in rings (Farnell 2010)."""
    base, rate = rng.uniform(850.0, 1400.0), rng.uniform(20.0, 27.0)
    gongs = [_gong(base, rng), _gong(base * rng.uniform(1.1, 1.25), rng)]
    ring_s, rest_s = (0.4, 0.2) if rng.random() < 0.4 else (rng.uniform(0.8, 2.0), rng.uniform(0.5, 1.1))
    hits = [np.zeros(n), np.zeros(n)]
    case, at, k = np.zeros(n), 0.01, 0
    while at * RATE < n - 50:
        stop = at + ring_s
        while at < stop and at * RATE < n - 50:
            dsp.place(hits[k % 2], dsp.strike(rng, 60, 0.0004, 0.4), int(at * RATE), rng.uniform(0.8, 1.0))
            dsp.place(case, dsp.strike(rng, 60, 0.001, 0.5), int(at * RATE))
            at += 0.5 / rate * rng.uniform(0.97, 1.03)
            k += 1
        at += rest_s
    out = sum((dsp.modes(h, *g) for h, g in zip(hits, gongs, strict=True)), np.zeros(n))
    box = dsp.modes(case, [rng.uniform(230.0, 420.0), 620.0, 1150.0], [0.04, 0.03, 0.03], [1.0, 1.0, 0.8])
    return dsp.mixed(out, box, rng.uniform(-16.0, -9.0))


def bicycle_bell(rng: np.random.Generator, n: int) -> Signal:
    """Bicycle bell: a thumb turns strikers inside a steel cup: quick slowing trills over gear clicks."""
    f, t60, amplitudes = _gong(rng.uniform(1300.0, 2200.0), rng)
    hits, gear = np.zeros(n), np.zeros(n)
    at = 0.02
    while at * RATE < n - 50:
        for stroke in range(2):
            gap = rng.uniform(0.018, 0.03)
            for _ in range(int(rng.integers(5, 11))):
                if at * RATE < n - 50:
                    dsp.place(hits, dsp.strike(rng, 40, 0.0003, 0.5), int(at * RATE), rng.uniform(0.6, 1.0))
                    dsp.place(gear, dsp.strike(rng, 40, 0.0007, 1.0), int((at - 0.006) * RATE), rng.uniform(0.5, 1.0))
                at += gap
                gap *= rng.uniform(1.04, 1.12)
            at += rng.uniform(0.03, 0.12) if stroke == 0 else rng.uniform(0.3, 1.0)
    ratchet = dsp.formants(gear, [(400.0, 300.0, 3.0), (1100.0, 800.0, 0.0), (4000.0, 4000.0, 0.0)])
    return dsp.mixed(dsp.modes(hits, f, [1.6 * t for t in t60], amplitudes), ratchet, rng.uniform(-14.0, -7.0))


def ding_dong(rng: np.random.Generator, n: int) -> Signal:
    """Door chime: a plunger strikes a tuned bar, then one a third or fourth lower, in a hall (1 : 2.76 : 5.4 : 8.9)."""
    high, low_ratio = dsp.log_uniform(rng, 630.0, 1100.0), rng.choice([0.794, 0.841, 0.749])
    out, at, t60 = np.zeros(n), 0.03, rng.uniform(1.6, 4.0)
    gap, pause = rng.uniform(0.25, 0.9), rng.uniform(1.5, 3.0)
    upper, even, thump_level = rng.uniform(0.2, 1.0), rng.uniform(0.0, 0.6), rng.uniform(0.2, 0.6)
    knock = [rng.uniform(180.0, 320.0), 510.0, 930.0, 2900.0, 6100.0]
    while at * RATE < n - samples(0.5):
        for f, wait in ((high, gap), (high * low_ratio, pause)):
            m = n - int(at * RATE)
            if m <= samples(0.1):
                break
            bar = dsp.modes(
                dsp.strike(rng, m, 0.0003, 0.2),
                [f * r for r in (1.0, 1.003, 2.0, 2.756, 3.0, 5.404, 8.93)],
                [t60 * r for r in (1.0, 1.0, 0.7, 0.5, 0.5, 0.25, 0.15)],
                [1.0, 0.5, even, upper, 0.6 * even, 0.6 * upper, 0.4 * upper],
            )
            thump = dsp.modes(
                dsp.strike(rng, m, 0.0004, 1.0), knock, [0.08, 0.06, 0.05, 0.03, 0.02], [0.5, 0.4, 0.4, 0.5, 0.6]
            )
            dsp.place(out, dsp.normalised(bar) + thump_level * dsp.normalised(thump), int(at * RATE))
            at += wait
    room = dsp.in_room(rng, out, rng.uniform(0.1, 0.6), rng.uniform(-25.0, -12.0))
    return dsp.outdoors(rng, room, rng.uniform(-60.0, -38.0))


def alarm_clock(rng: np.random.Generator, n: int) -> Signal:
    """Digital alarm clock: a piezo square wave of 1 to 2.2 kHz in groups of beeps, rattling its plastic case."""
    f, beep_s = rng.uniform(1000.0, 2200.0), rng.uniform(0.05, 0.14)
    count, rest = int(rng.integers(2, 6)), rng.uniform(0.2, 0.6)
    gate = np.zeros(n)
    at = 0.02
    while at * RATE < n:
        for _ in range(count):
            start = int(at * RATE)
            gate[start : start + samples(beep_s)] = 1.0
            at += 1.9 * beep_s
        at += rest
    k = np.arange(1, 24)
    tone = dsp.harmonics(np.full(n, f), np.where(k % 2 == 1, 1.0 / k**0.7, 0.08), rng)
    ramp = dsp.lowpassed(gate, 300.0)
    edges = np.abs(np.diff(gate, prepend=0.0))
    case = dsp.modes(
        edges * rng.uniform(0.7, 1.0, n),
        [rng.uniform(280.0, 420.0), 620.0, 1100.0, 5200.0],
        [0.03, 0.025, 0.02, 0.008],
        [1.0, 0.8, 0.7, 0.7],
    )
    case = dsp.mixed(case, dsp.bandpassed(0.02 * rng.standard_normal(n) * ramp, 200.0, 1500.0), -6.0)
    hum = dsp.harmonics(np.full(n, rng.choice([50.0, 60.0])), [0.2, 1.0, 0.3, 0.7, 0.2, 0.5, 0.1, 0.3], rng)
    x = dsp.normalised(tone) * ramp + rng.uniform(0.35, 0.6) * dsp.normalised(case)
    return dsp.mixed(dsp.mixed(x, hum, -38.0), dsp.tilted_noise(rng, n, -3.0, 100.0), -38.0)


def _horn_speaker(x: Signal, rng: np.random.Generator) -> Signal:
    """Pass x through an overdriven re-entrant horn: soft clipping between resonances near 600, 1500 and 3500 Hz."""
    driven = np.tanh(rng.uniform(1.0, 2.5) * dsp.normalised(x))
    peaks = [
        (rng.uniform(500.0, 750.0), 350.0, 0.0),
        (rng.uniform(1200.0, 1800.0), 700.0, 0.0),
        (rng.uniform(3000.0, 4200.0), 1800.0, -2.0),
    ]
    return dsp.formants(driven, peaks) + 0.12 * driven


def police_siren(rng: np.random.Generator, n: int) -> Signal:
    """Electronic siren: a near-square wave swept 600 to 1500 Hz, slowly (wail), fast (yelp) or both (SAE J1849)."""
    low, high = rng.uniform(550.0, 750.0), rng.uniform(1200.0, 1650.0)
    wail, yelp = rng.uniform(0.18, 0.35), rng.uniform(2.6, 3.9)
    style = rng.integers(0, 3)
    rate = np.full(n, wail if style == 0 else yelp)
    if style == 2:
        rate[int(rng.uniform(0.35, 0.65) * n) :] = wail
    p = dsp.phase_of(rate) + rng.uniform(0.0, 1.0)
    p -= np.floor(p)
    rise = rng.uniform(0.35, 0.55)
    sweep = np.where(p < rise, p / rise, (1.0 - p) / (1.0 - rise))
    f = low * (high / low) ** (sweep**0.8)
    k = np.arange(1, 31)
    x = _horn_speaker(dsp.harmonics(f, np.where(k % 2 == 1, 1.0, rng.uniform(0.3, 0.7)) / k, rng), rng)
    street = dsp.tilted_noise(rng, n, -3.0, 100.0)
    return dsp.mixed(x * dsp.wander(rng, n, 0.5, 0.6, 1.0), street, rng.uniform(-24.0, -18.0))


def civil_siren(rng: np.random.Generator, n: int) -> Signal:
    """Air-raid siren: a chopper rotor that speeds up and slows down, two ports about a third apart, rushing air."""
    low, high = rng.uniform(180.0, 300.0), rng.uniform(420.0, 640.0)
    turn = rng.uniform(0.1, 0.22)
    turned = dsp.phase_of(np.full(n, turn)) + rng.uniform(0.0, 1.0)
    inertia = 0.5 - 0.5 * np.cos(2.0 * np.pi * turned)
    f = low + (high - low) * inertia**0.7
    k = np.arange(1, 40)
    x = np.zeros(n)
    for ratio in (1.0, rng.choice([1.2, 1.25, 1.3333])):
        x += dsp.harmonics(f * ratio, np.minimum(1.0, 4.0 / k) * k**-0.9 * rng.uniform(0.5, 1.0, len(k)), rng)
    air = dsp.band_noise(rng, n, 300.0, 9000.0) * (0.5 + 0.5 * dsp.sine(f))
    return dsp.mixed(x, air, rng.uniform(-20.0, -13.0)) * (0.4 + 0.6 * inertia)


def fire_alarm(rng: np.random.Generator, n: int) -> Signal:
    """Fire alarm horn: a diaphragm buzzing near 3 kHz, in three half-second blasts a turn (ISO 8201) or steadily."""
    drive, centre = rng.uniform(350.0, 620.0), rng.uniform(2300.0, 3400.0)
    on = rng.uniform(0.4, 0.55)
    continuous = rng.random() < 0.35
    t = np.arange(n) / RATE
    turn = t % (7.0 * on)
    pattern = np.ones(n) if continuous else (turn < 5.0 * on) & (turn % (2.0 * on) < on)
    k = np.arange(1, 50)
    colour = np.exp(-((np.log2(k * drive / centre) / 0.9) ** 2)) + 0.15 / np.sqrt(k)
    x = dsp.harmonics(
        np.full(n, drive) * dsp.wander(rng, n, 30.0, 0.996, 1.004), colour * rng.uniform(0.5, 1.0, len(k)), rng
    )
    x = dsp.mixed(x, dsp.band_noise(rng, n, 200.0, 12000.0), rng.uniform(-24.0, -18.0))
    return x * dsp.lowpassed(pattern.astype(np.float64), 60.0) + 1e-4 * dsp.tilted_noise(rng, n, -3.0)


def reversing_beeps(rng: np.random.Generator, n: int) -> Signal:
    """Lorry in reverse: a 1 to 1.5 kHz beeper on and off about once a second (SAE J994), and the diesel before it."""
    f, period = rng.uniform(1050.0, 1500.0), rng.uniform(0.6, 1.0)
    gate = dsp.lowpassed((((np.arange(n) / RATE) % period) < 0.5 * period).astype(np.float64), 120.0)
    k = np.arange(1, 16)
    tone = dsp.harmonics(np.full(n, f), np.where(k % 2 == 1, k**-1.1, 0.15 / k), rng) * gate
    return dsp.mixed(tone, machines.diesel(rng, n), rng.uniform(-3.0, 10.0))


def whistle(rng: np.random.Generator, n: int) -> Signal:
    """Pea whistle: a 2.2 to 3.6 kHz jet tone that the ball chops 25 to 50 times a second, breath noise around it."""
    f, chop = rng.uniform(2200.0, 3600.0), rng.uniform(25.0, 50.0)

    def one() -> Signal:
        m = samples(rng.choice([0.15, 0.35, 0.8]) * rng.uniform(0.8, 1.2))
        pea = dsp.sine(chop * dsp.wander(rng, m, 10.0, 0.85, 1.15))
        pitch = f * curve(m, [(0, 0.9), (0.1, 1.0), (0.9, 1.0), (1, 0.88)]) * (1.0 + 0.03 * pea)
        tone = dsp.harmonics(pitch, [1.0, 0.12, 0.2, 0.05], rng) * (0.62 + 0.38 * pea)
        breath = dsp.formants(
            rng.standard_normal(m), [(f, 1800.0, 0.0), (7500.0, 5000.0, -3.0), (700.0, 900.0, 2.0), (300.0, 300.0, 2.0)]
        )
        return dsp.normalised(dsp.mixed(tone, breath, -15.0)) * dsp.swell(m, 0.02, 0.04)

    return dsp.calls(rng, n, one, group=(1, 3), gap_s=(0.06, 0.25), pause_s=(0.25, 0.8))


def buzzer(rng: np.random.Generator, n: int) -> Signal:
    """Door buzzer: an armature that breaks its own circuit 130 to 300 times a second and shakes the case."""
    f0, sharp = dsp.log_uniform(rng, 134.0, 300.0), rng.uniform(1.0, 8.5)
    noise, back, length = rng.uniform(0.04, 0.28), rng.uniform(0.5, 1.0), rng.uniform(0.6, 1.8)
    case = [
        (rng.uniform(450.0, 900.0), 200.0, 0.0),
        (rng.uniform(900.0, 2400.0), 500.0, rng.uniform(-6.0, 6.0)),
        (rng.uniform(2500.0, 5000.0), 1500.0, rng.uniform(-6.0, 2.0)),
        (8000.0, 5000.0, -4.0),
    ]

    def one() -> Signal:
        m = samples(length * rng.uniform(0.8, 1.2))
        p = dsp.turn_of(f0 * dsp.wander(rng, m, 20.0, 0.985, 1.015))
        stroke = np.where(p < 0.5, 1.0, -back) * np.exp(-sharp * (p % 0.5)) * (1.0 + noise * rng.standard_normal(m))
        return dsp.normalised(dsp.formants(stroke, case) + 0.1 * stroke) * dsp.swell(m, 0.01, 0.03)

    return dsp.calls(rng, n, one, group=(1, 3), gap_s=(0.08, 0.4), pause_s=(0.3, 0.8))
