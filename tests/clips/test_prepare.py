import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialqa.clips.clip import ClipRecord, RawClip, RejectedClip
from spatialqa.clips.prepare import PreparedClips, cut_to_scene, level_dbfs, prepare
from spatialqa.errors import ClipError

Signal = npt.NDArray[np.float32]


def sine(frequency_hz: float, sample_rate: int, duration_s: float = 1.0, amplitude: float = 0.5) -> Signal:
    t = np.arange(round(duration_s * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def raw(audio: npt.ArrayLike, sample_rate: int) -> RawClip:
    return RawClip(np.asarray(audio, dtype=np.float32), sample_rate, "0" * 64)


def test_level_of_known_signals() -> None:
    assert level_dbfs(np.ones(10, dtype=np.float32)) == 0.0
    assert level_dbfs(sine(100, 32000, amplitude=1.0)) == pytest.approx(-3.0103, abs=1e-3)
    assert level_dbfs(np.full(10**6, 1e-3, dtype=np.float32)) == pytest.approx(-60.0, abs=1e-4)
    assert level_dbfs(np.zeros(10, dtype=np.float32)) == level_dbfs(np.zeros(0, dtype=np.float32)) == -math.inf


@pytest.mark.parametrize("sample_rate", [8000, 11025, 22050, 32000, 44100, 48000, 96000])
def test_resampling_keeps_frequency_phase_and_level(sample_rate: int) -> None:
    heard = prepare(raw(sine(1000, sample_rate), sample_rate), 32000, rms_dbfs=None)
    assert heard.dtype == np.float32
    assert abs(heard.size - 32000) <= 1
    inside = slice(1600, 30400)  # away from the clip's own edges
    error = heard[inside] - sine(1000, 32000)[inside]
    assert level_dbfs(error) < level_dbfs(sine(1000, 32000)) - 110


def test_resampling_down_does_not_alias() -> None:
    heard = prepare(raw(sine(20000, 48000), 48000), 32000, rms_dbfs=None)
    assert level_dbfs(heard[1600:-1600]) < -110


def test_resampling_up_adds_nothing_above_the_old_nyquist() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 11025).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(prepare(raw(noise, 11025), 32000, rms_dbfs=None) * np.hanning(32000))) ** 2
    frequency = np.fft.rfftfreq(32000, 1 / 32000)
    above, below = spectrum[frequency > 5800].sum(), spectrum[frequency < 5000].sum()
    assert 10 * math.log10(above / below) < -60


@pytest.mark.parametrize("target", [-14.0, -30.0, 0.0])
@pytest.mark.parametrize("sample_rate", [32000, 44100])
def test_the_whole_clip_has_the_level_asked_for(target: float, sample_rate: int) -> None:
    quiet_then_loud = np.concatenate([sine(300, sample_rate, amplitude=1e-3), sine(300, sample_rate, amplitude=0.2)])
    assert level_dbfs(prepare(raw(quiet_then_loud, sample_rate), 32000, target)) == pytest.approx(target, abs=1e-4)


def test_peaks_may_pass_full_scale_and_are_not_clipped() -> None:
    click = np.zeros(32000, dtype=np.float32)
    click[100] = 0.5
    assert prepare(raw(click, 32000), 32000).max() > 10.0


def test_without_a_target_nothing_changes_and_nothing_is_shared() -> None:
    clip = raw(sine(500, 32000), 32000)
    heard = prepare(clip, 32000, rms_dbfs=None)
    assert np.array_equal(heard, clip.audio)
    assert not np.shares_memory(heard, clip.audio)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_an_error(bad: float) -> None:
    audio = sine(500, 44100)
    audio[7] = bad
    with pytest.raises(ClipError, match="not finite"):
        prepare(raw(audio, 44100), 32000)


@pytest.mark.parametrize("n", [0, 1000])
def test_a_silent_clip_is_an_error(n: int) -> None:
    with pytest.raises(ClipError, match="silent"):
        prepare(raw(np.zeros(n), 44100), 32000)


def test_a_short_clip_ends_before_the_scene_does() -> None:
    dry = sine(500, 32000, 2.0)
    cut = cut_to_scene(dry, 32000, duration_s=10.0, start_s=0.0, onset_s=3.0)
    assert np.array_equal(cut.audio, dry)
    assert cut.audio.dtype == np.float32
    assert (cut.onset, cut.offset_s) == (96000, 5.0)
    assert cut.level_dbfs == pytest.approx(level_dbfs(dry))  # of the clip, not of the scene


def test_a_long_clip_is_cut_where_the_scene_ends_and_its_level_is_of_the_part_used() -> None:
    dry = np.concatenate([sine(500, 32000, 4.0, 0.1), sine(500, 32000, 8.0, 0.4)])
    cut = cut_to_scene(dry, 32000, duration_s=10.0, start_s=4.0, onset_s=6.0)
    assert cut.offset_s == 10.0
    assert np.array_equal(cut.audio, dry[128000:256000])
    assert cut.level_dbfs == pytest.approx(20 * math.log10(0.4 / math.sqrt(2)), abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(0, 3999), st.integers(0, 3999))
def test_every_sample_used_is_where_it_should_be(n: int, total: int, first: int, onset: int) -> None:
    dry = np.arange(1, n + 1, dtype=np.float32)
    if first >= n or onset >= total:
        with pytest.raises(ClipError):
            cut_to_scene(dry, 1000, total / 1000, first / 1000, onset / 1000)
        return
    cut = cut_to_scene(dry, 1000, total / 1000, first / 1000, onset / 1000)
    used = min(n - first, total - onset)
    assert cut.onset == onset
    assert cut.offset_s == pytest.approx((onset + used) / 1000)
    assert np.array_equal(cut.audio, dry[first : first + used])


def test_a_silent_part_and_impossible_times_are_errors() -> None:
    dry = np.concatenate([np.zeros(64000, dtype=np.float32), sine(500, 32000)])
    with pytest.raises(ClipError, match=r"silent from 0\.000 s to 1\.000 s"):
        cut_to_scene(dry, 32000, 1.0, 0.0, 0.0)
    with pytest.raises(ClipError, match="cannot begin at"):
        cut_to_scene(dry, 32000, 10.0, 3.0, 0.0)
    with pytest.raises(ClipError, match="cannot begin at"):
        cut_to_scene(dry, 32000, 10.0, -0.5, 0.0)
    with pytest.raises(ClipError, match="outside a scene"):
        cut_to_scene(dry, 32000, 10.0, 0.0, 10.0)


@dataclass
class Tones:
    """A clip set of sines, one a second of its own frequency; it counts how often each is read."""

    name: str = "tones"
    reads: list[str] = field(default_factory=list)

    def records(self) -> Sequence[ClipRecord]:
        ids = ["100", "200", "300", "0"]
        return [ClipRecord(i, f"sha-{i}", 16000, 1.0, None, ("Sine wave",), ("/m/01v_m0",)) for i in ids]

    def rejected(self) -> Sequence[RejectedClip]:
        return []

    def load(self, record: ClipRecord) -> RawClip:
        self.reads.append(record.clip_id)
        return RawClip(sine(float(record.clip_id), 16000), 16000, record.sha256 or "")


def test_the_cache_keeps_what_was_used_last_within_its_bytes() -> None:
    tones = Tones()
    one, two, three, _ = tones.records()
    clips = PreparedClips(tones, 32000, -14.0, max_bytes=2 * 32000 * 4)
    first = clips.get(one)
    assert first.sha256 == "sha-100"
    assert level_dbfs(first.audio) == pytest.approx(-14.0, abs=1e-4)
    clips.get(two)
    assert clips.get(one) is first
    clips.get(three)  # drops two, the one used longest ago
    clips.get(one)
    clips.get(two)
    assert tones.reads == ["100", "200", "300", "200"]


def test_a_clip_larger_than_the_cache_is_still_given() -> None:
    tones = Tones()
    clips = PreparedClips(tones, 32000, max_bytes=10)
    assert clips.get(tones.records()[0]).audio.size == 32000
    assert np.array_equal(clips.get(tones.records()[0]).audio, clips.get(tones.records()[0]).audio)
    assert tones.reads == ["100"] * 3


def test_a_cached_clip_cannot_be_written_to() -> None:
    tones = Tones()
    clip = PreparedClips(tones, 32000).get(tones.records()[0])
    with pytest.raises(ValueError, match="read-only"):
        clip.audio[0] = 1.0


def test_an_error_names_the_clip() -> None:
    tones = Tones()
    with pytest.raises(ClipError, match="clip '0' of tones: the clip is silent"):
        PreparedClips(tones, 32000).get(tones.records()[3])
