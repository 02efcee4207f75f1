"""The foley set: the same for ever by id, different by index, clean at level and ends, broadband, and told apart."""

import csv
import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.clips.clip import ClipRecord, ClipSet
from spatialqa.clips.foley import dsp
from spatialqa.clips.foley.clips import CLASSES, FoleyClips, record, synthesise
from spatialqa.errors import ClipError
from spatialqa.generation.inputs import clips_for
from spatialqa.generation.recipe import RenderRecipe

Floats = npt.NDArray[np.float64]

SLUGS = [c.slug for c in CLASSES]
TRAIN, TEST = 4, 2
AUDIOSET = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "audioset_classes.csv"
OCTAVES_HZ = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)


@cache
def clip(slug: str, index: int) -> npt.NDArray[np.float32]:
    return synthesise(f"foley/{slug}/{index:06d}")


def octave_levels_db(x: npt.NDArray[np.float32]) -> Floats:
    """Return the energy of each octave against the strongest of them, dB, (6,)."""
    power = np.abs(np.fft.rfft(x.astype(np.float64))) ** 2
    f = np.fft.rfftfreq(len(x), 1.0 / dsp.RATE)
    energy = np.array([power[(f >= b / 2**0.5) & (f < b * 2**0.5)].sum() for b in OCTAVES_HZ])
    return np.asarray(10.0 * np.log10(energy / energy.max() + 1e-15))


def mel_matrix(bins: int, count: int = 32) -> Floats:
    mel = np.linspace(np.log1p(60.0 / 700.0), np.log1p(15000.0 / 700.0), count + 2)
    f = np.log1p(np.linspace(0.0, dsp.RATE / 2.0, bins) / 700.0)[:, None]
    low, centre, high = mel[:-2], mel[1:-1], mel[2:]
    return np.asarray(np.maximum(0.0, np.minimum((f - low) / (centre - low), (high - f) / (high - centre))))


def features(x: npt.NDArray[np.float32]) -> Floats:
    """Return log-mel statistics: mean, spread and frame-to-frame change of each band, and the level's modulation."""
    frames = np.lib.stride_tricks.sliding_window_view(x, 2048)[::2048] * np.hanning(2048)
    mel = 10.0 * np.log10(np.abs(np.fft.rfft(frames)) ** 2 @ mel_matrix(1025) + 1e-4)
    change = np.diff(mel, axis=0)
    level = mel.mean(axis=1)
    rhythm = np.abs(np.fft.rfft(level - level.mean(), 512))[:128].reshape(16, 8).mean(axis=1)
    return np.concatenate(
        (
            mel.mean(axis=0) - mel.mean(),
            mel.std(axis=0),
            np.abs(change).mean(axis=0),
            np.log(rhythm / len(level) + 1e-3),
        )
    )


def test_it_is_a_clip_set_of_many_audioset_classes() -> None:
    clips: ClipSet = FoleyClips(3, {c.mid for c in CLASSES})
    records = clips.records()
    assert clips.name == "foley"
    assert len(CLASSES) >= 24
    assert len({c.slug for c in CLASSES}) == len({c.label for c in CLASSES}) == len({c.mid for c in CLASSES})
    assert len(records) == len({r.clip_id for r in records}) == 3 * len(CLASSES)
    assert not clips.rejected()
    for r in records:
        assert r.licence == "MIT"
        assert r.sha256 is None
        assert 1.0 <= r.duration_s <= 10.0


def test_default_classes_are_those_that_a_tagger_hears_and_others_come_by_name() -> None:
    listed = {r.labels[0] for r in FoleyClips(1).records()}
    assert listed == {c.label for c in CLASSES if c.default}
    assert len(listed) >= 60
    named = clips_for(RenderRecipe(clips="foley", classes=["Meow", "bark"], foley_clips_per_class=2))
    assert {r.labels[0] for r in named.records()} == {"Meow", "Bark"}
    assert len({r.labels[0] for r in clips_for(RenderRecipe(classes=["all"])).records()}) == len(CLASSES)
    with pytest.raises(ClipError, match="foley has none of the named classes"):
        clips_for(RenderRecipe(clips="foley", classes=["Speech"]))


def test_labels_are_audioset_classes_that_spatialsoundqa_keeps() -> None:
    if not AUDIOSET.exists():
        pytest.skip("the AudioSet table is not beside this repository")
    with AUDIOSET.open(newline="") as file:
        table = {row["display_name"]: row for row in csv.DictReader(file)}
    for c in CLASSES:
        assert table[c.label]["mid"] == c.mid, c.slug
        assert table[c.label]["in_spatialsoundqa"] == "1", c.slug


def test_one_clip_has_the_same_bytes_in_another_process() -> None:
    script = (
        "from spatialqa.clips.foley.clips import CLASSES, FoleyClips, record\n"
        "for c in CLASSES: print(FoleyClips().load(record(f'foley/{c.slug}/000003')).sha256)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    here = [hashlib.sha256(clip(slug, 3).astype("<f4").tobytes()).hexdigest() for slug in SLUGS]
    assert done.stdout.split() == here


def test_making_a_clip_does_not_depend_on_what_was_made_before() -> None:
    first = synthesise("foley/bark/000000")
    synthesise("foley/rain/000009")
    np.testing.assert_array_equal(first, synthesise("foley/bark/000000"))


@pytest.mark.parametrize("slug", SLUGS)
def test_clips_are_clean_full_and_as_long_as_listed(slug: str) -> None:
    for index in range(TRAIN):
        x = clip(slug, index)
        listed = record(f"foley/{slug}/{index:06d}")
        assert x.dtype == np.float32
        assert listed.native_sample_rate is not None
        assert len(x) == round(listed.duration_s * listed.native_sample_rate)
        assert np.abs(x).max() == pytest.approx(0.9, abs=1e-3)
        assert abs(float(x.mean())) < 1e-3
        assert np.abs(x[:24]).max() < 0.1, "click at the start"
        assert np.abs(x[-48:]).max() < 0.02, "click at the end"
        frames = x[: len(x) // 480 * 480].reshape(-1, 480).astype(np.float64)
        heard = np.sqrt((frames**2).mean(axis=1)) > 0.9 * 10 ** (-50 / 20) * 0.1
        gaps_s = np.diff(np.flatnonzero(np.concatenate(([True], heard, [True])))) * 0.01
        assert gaps_s.max() <= 1.5, f"silent for {gaps_s.max()} s"


@pytest.mark.parametrize("slug", SLUGS)
def test_clips_are_broadband_enough_to_localise(slug: str) -> None:
    for index in range(TRAIN):
        levels = octave_levels_db(clip(slug, index))
        assert (levels > -32.0).sum() >= 5, f"clip {index}: {np.round(levels)}"
        assert levels[:3].max() > -32.0, "nothing below 1.4 kHz for the ITD"
        assert levels[4:].max() > -32.0, "nothing above 2.8 kHz for front and back"


@pytest.mark.parametrize("slug", SLUGS)
def test_no_two_clips_are_alike(slug: str) -> None:
    n = dsp.RATE // 2
    parts = [clip(slug, i)[:n].astype(np.float64) for i in range(3)]
    spectra = [np.fft.rfft(p / np.sqrt(np.sum(p**2) + 1e-20), 2 * n) for p in parts]
    for i in range(3):
        for j in range(i):
            correlation = np.abs(np.fft.irfft(spectra[i] * np.conj(spectra[j])))
            assert correlation.max() < 0.95, (i, j)


def test_any_index_can_be_made() -> None:
    clips = FoleyClips(clips_per_class=1)
    far = record("foley/knock/999999")
    assert far not in clips.records()
    assert len(clips.load(far).audio) == round(far.duration_s * dsp.RATE)
    assert record("foley/knock/12345678").clip_id == "foley/knock/12345678"


@pytest.mark.parametrize(
    "bad", ["foley/unicorn/000000", "foley/bark/17", "foley/bark/-00001", "bark/000001", "folder/a.wav"]
)
def test_another_id_is_refused_in_one_line(bad: str) -> None:
    listed = ClipRecord(bad, None, dsp.RATE, 1.0, "MIT", ("Bark",), ("/m/05tny_",))
    with pytest.raises(ClipError, match="foley/bark/000017") as caught:
        FoleyClips().load(listed)
    assert "\n" not in str(caught.value)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ClipError, match="at least 1"):
        FoleyClips(clips_per_class=0)


def test_a_linear_classifier_tells_the_classes_apart() -> None:
    """LDA (Fisher) on log-mel statistics of TRAIN clips a class must know most of TEST unseen ones; chance is 1.3 %."""
    train = np.array([[features(clip(s, i)) for i in range(TRAIN)] for s in SLUGS])
    test = np.array([[features(clip(s, i)) for i in range(TRAIN, TRAIN + TEST)] for s in SLUGS])
    centroids = train.mean(axis=1)
    within = (train - centroids[:, None]).reshape(-1, train.shape[-1])
    covariance = within.T @ within / len(within)
    covariance += 0.15 * np.diag(np.diag(covariance)) + 1e-6 * np.eye(len(covariance))
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T
    distances = np.linalg.norm((test @ whiten)[:, :, None] - (centroids @ whiten)[None, None], axis=-1)
    right = distances.argmin(axis=-1) == np.arange(len(SLUGS))[:, None]
    assert right.mean() > 0.8, {s: float(r) for s, r in zip(SLUGS, right.mean(axis=1), strict=True) if r < 0.7}
