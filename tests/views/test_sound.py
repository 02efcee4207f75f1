"""Curves and audio of a page: what is loud, when and at which ear stays readable from them."""

import base64
import io
import zlib

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from spatialqa.core.geometry import cartesian
from spatialqa.views.listening import FLAC, coding_for, encode, for_two_ears
from spatialqa.views.sound_curves import decay, spectrogram, waveform

RATE = 32000


def unpacked(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)


def tone(hz: float, left: float, right: float, start_s: float = 0.0) -> npt.NDArray[np.float32]:
    t = np.arange(2 * RATE) / RATE
    sine = np.sin(2 * np.pi * hz * t) * (t >= start_s)
    return np.stack([left * sine, right * sine]).astype(np.float32)


def test_the_envelope_has_the_extremes_of_each_ear() -> None:
    found = waveform(tone(440, 0.5, 0.25, start_s=1.0))
    envelope = unpacked(found["envelope"]).reshape(2, found["columns"], 2).astype(int) - 128
    assert found["peak"] == pytest.approx(0.5, abs=1e-3)
    assert np.abs(envelope[:, : found["columns"] // 2 - 1]).max() == 0
    late = envelope[:, found["columns"] // 2 + 1 :]
    assert late[0].min() == pytest.approx(-127, abs=1)
    assert late[0].max() == pytest.approx(127, abs=1)
    assert late[1].max() == pytest.approx(63.5, abs=1)


@pytest.mark.parametrize("hz", [150.0, 1000.0, 8000.0])
def test_the_spectrogram_peaks_at_the_frequency_the_time_and_the_ear_of_a_tone(hz: float) -> None:
    found = spectrogram(tone(hz, 0.1, 0.01, start_s=1.0), RATE)
    levels = unpacked(found["levels"]).reshape(2, found["bands"], found["columns"])
    centres = np.geomspace(found["low_hz"], found["high_hz"], found["bands"])
    column = int(0.75 * found["columns"])
    loudest = centres[levels[0, :, column].argmax()]
    assert abs(np.log2(loudest / hz)) < 0.2
    assert levels[0, :, : int(0.45 * found["columns"])].max() < 100
    difference = (int(levels[0, :, column].max()) - int(levels[1, :, column].max())) / 255 * found["range_db"]
    assert difference == pytest.approx(20.0, abs=0.5)


def test_silence_and_a_short_sound_have_curves_too() -> None:
    for audio in (np.zeros((2, RATE), np.float32), np.ones((2, 900), np.float32)):
        assert waveform(audio)["columns"] > 0
        assert unpacked(spectrogram(audio, RATE)["levels"]).size > 0


def test_a_decay_is_that_of_its_rir_and_its_direct_sound_is_marked() -> None:
    t = np.arange(RATE) / RATE
    rir = np.random.default_rng(1).normal(size=(2, RATE)) * 10 ** (-3 * t / 0.5)  # RT60 0.5 s
    rir[:, :320] = 0.0
    rir[:, 320] = 3.0  # 10 ms
    found = decay(rir.astype(np.float32), RATE, "binaural")
    assert found["direct_ms"] == pytest.approx(10.0, abs=0.1)
    times = found["end_ms"] * np.arange(len(found["decay_db"])) / len(found["decay_db"])
    levels = np.array(found["decay_db"])
    assert levels[0] == 0.0
    late = (levels < -15) & (levels > -45)
    slope = np.polyfit(times[late], levels[late], 1)[0]
    assert -60.0 / slope == pytest.approx(500.0, rel=0.1)


def test_many_long_scenes_are_coded_smaller() -> None:
    assert coding_for(24 * 10 * RATE) is FLAC
    assert coding_for(200 * 10 * RATE).suffix == "ogg"


def test_vorbis_keeps_length_level_difference_and_time_difference() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=3 * RATE).astype(np.float32) * 0.05
    ears = np.stack([noise[20:-20], 0.5 * noise[:-40]])  # the right ear is 20 samples later and 6 dB fainter
    data = encode(ears, RATE, coding_for(200 * 10 * RATE))
    decoded, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert (rate, len(decoded)) == (RATE, ears.shape[1])
    left, right = decoded.T
    assert 20 * np.log10(left.std() / right.std()) == pytest.approx(6.02, abs=0.3)
    lags = np.arange(-40, 41)
    match = [float(np.sum(left[100:-100] * np.roll(right, -lag)[100:-100])) for lag in lags]
    assert lags[int(np.argmax(match))] == 20


def test_flac_is_the_audio_and_full_scale_is_not_exceeded() -> None:
    audio = tone(440, 0.5, 1.5)
    decoded, _ = soundfile.read(io.BytesIO(encode(audio, RATE, FLAC)), dtype="float32")
    assert np.allclose(decoded.T[0], audio[0], atol=2**-15)
    assert np.abs(decoded).max() <= 1.0


@pytest.mark.parametrize(("azimuth", "nearer"), [(80.0, 0), (-80.0, 1)])
def test_ambisonics_from_a_side_is_louder_and_earlier_at_its_ear(azimuth: float, nearer: int) -> None:
    x, y, z = cartesian(azimuth, 0.0).tolist()
    noise = np.random.default_rng(4).normal(size=RATE)
    wave = np.stack([noise, -x * noise, y * noise, -z * noise]).astype(np.float32)  # W, Y (left), Z (up), X (front)
    ears = for_two_ears(wave, "foa", RATE)
    assert ears.shape == (2, RATE)
    near, far = ears[nearer], ears[1 - nearer]
    assert 20 * np.log10(near.std() / far.std()) > 3.0
    match = [float(np.sum(near[50:-50] * np.roll(far, -lag)[50:-50])) for lag in range(-30, 31)]
    assert 5 <= int(np.argmax(match)) - 30 <= 27  # up to 0.8 ms


def test_ambisonics_from_ahead_is_alike_at_both_ears() -> None:
    noise = np.random.default_rng(5).normal(size=RATE)
    wave = np.stack([noise, 0 * noise, 0 * noise, noise]).astype(np.float32)
    left, right = for_two_ears(wave, "foa", RATE)
    assert abs(20 * np.log10(left.std() / right.std())) < 1.0


def test_two_channels_stay_and_one_is_for_both_ears() -> None:
    audio = tone(440, 0.5, 0.1)
    assert for_two_ears(audio, "binaural", RATE) is audio
    assert np.array_equal(for_two_ears(audio[:1], "mono", RATE), audio[[0, 0]])
