"""The layouts of DCASE, read as their descriptions say: frames of 100 ms, whole degrees, centimetres."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialqa.core.audio_io import encode_flac
from spatialqa.core.scene import Scene
from spatialqa.errors import DatasetError
from spatialqa.interop.dcase import export_dcase, frames
from spatialqa.interop.playing import playing_s
from tests.fixtures.datasets import written
from tests.fixtures.scenes import random_scenes, with_angles

RATE = 8000
Frames = dict[int, list[list[float]]]


def scenes(count: int = 3) -> list[Scene]:
    found = []
    for scene in random_scenes(count, seed=4, source_counts=(2,)):
        scene = with_angles(scene)
        first, second = scene.sources
        first = replace(first, onset_s=0.2, offset_s=1.0, starts_s=(0.2, 0.7), clip_start_s=0.0, clip_end_s=0.3)
        second = replace(second, onset_s=0.0, offset_s=0.44, starts_s=(0.0,))
        found.append(
            replace(scene, split="train", sample_rate=RATE, duration_s=1.0, channels="foa", sources=(first, second))
        )
    return found


@pytest.fixture
def foa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Scene]]:
    monkeypatch.setitem(__import__("tests.fixtures.datasets").fixtures.datasets.RECIPE_OF_ROWS, "channels", "foa")
    made = scenes()
    rng = np.random.default_rng(0)
    rows = []
    for scene in made:
        audio = (0.1 * rng.normal(size=(4, RATE))).astype(np.float32)
        rows.append({**scene.to_row(), "audio": {"bytes": encode_flac(audio, RATE), "path": f"{scene.scene_id}.flac"}})
    return written(tmp_path / "data", rows), made


def read(path: Path, header: bool) -> Frames:
    found: Frames = {}
    for line in path.read_text().splitlines()[header:]:
        frame, *values = line.split(",")
        found.setdefault(int(frame), []).append([float(value) for value in values])
    return found


def test_frames_say_which_sources_play_and_where(foa: tuple[Path, list[Scene]], tmp_path: Path) -> None:
    root, made = foa
    export_dcase(root, tmp_path / "d24", 2024)
    classes = {}
    for line in (tmp_path / "d24/classes.csv").read_text().splitlines():
        index, _, name = line.partition(",")
        classes[name.strip('"')] = int(index)
    for scene in made:
        found = read(tmp_path / f"d24/metadata_dev/dev-train/{scene.scene_id}.csv", header=False)
        first = {frame for frame, events in found.items() if any(event[1] == 0 for event in events)}
        second = {frame for frame, events in found.items() if any(event[1] == 1 for event in events)}
        assert first == {2, 3, 4, 7, 8, 9}
        assert second == {0, 1, 2, 3}  # of the fifth frame it plays 40 ms
        for events in found.values():
            for kind, number, azimuth, elevation, centimetres in events:
                source = scene.sources[int(number)]
                assert kind == classes[source.labels[0]]
                assert azimuth == round(source.azimuth_deg)
                assert elevation == round(source.elevation_deg)
                assert centimetres == round(100 * source.distance_m)
        audio, rate = soundfile.read(tmp_path / f"d24/foa_dev/dev-train/{scene.scene_id}.wav")
        assert (audio.shape, rate) == ((RATE, 4), RATE)


def test_2022_has_no_distance_and_2025_is_a_pair_without_a_back(foa: tuple[Path, list[Scene]], tmp_path: Path) -> None:
    root, made = foa
    export_dcase(root, tmp_path / "d22", 2022)
    summary = export_dcase(root, tmp_path / "d25", 2025)
    assert any("folded" in line for line in summary.lines())
    for scene in made:
        for events in read(tmp_path / f"d22/metadata_dev/dev-train/{scene.scene_id}.csv", header=False).values():
            assert {len(event) for event in events} == {4}
        path = tmp_path / f"d25/metadata_dev/dev-train/{scene.scene_id}.csv"
        assert path.read_text().startswith("frame,class,source,azimuth,distance,onscreen\n")
        for events in read(path, header=True).values():
            for _, number, azimuth, centimetres, onscreen in events:
                source = scene.sources[int(number)]
                assert -90 <= azimuth <= 90
                assert np.sin(np.radians(azimuth)) == pytest.approx(np.sin(np.radians(source.azimuth_deg)), abs=0.01)
                assert (centimetres, onscreen) == (round(100 * source.distance_m), 0)
        whole, _ = soundfile.read(tmp_path / f"d22/foa_dev/dev-train/{scene.scene_id}.wav")
        pair, _ = soundfile.read(tmp_path / f"d25/stereo_dev/dev-train/{scene.scene_id}.wav")
        assert np.allclose(pair[:, 0], (whole[:, 0] + whole[:, 1]) / 2, atol=2**-14)
        assert np.allclose(pair[:, 1], (whole[:, 0] - whole[:, 1]) / 2, atol=2**-14)


def test_binaural_data_are_refused_where_the_layout_is_ambisonic(tmp_path: Path) -> None:
    rows = [{**replace(scene, channels="binaural").to_row(), "audio": None} for scene in scenes(1)]
    root = written(tmp_path / "data", rows)
    with pytest.raises(DatasetError, match="is binaural, and DCASE 2024 takes foa; render it with --channels foa"):
        export_dcase(root, tmp_path / "dest", 2024)


def test_a_clip_that_repeats_as_a_whole_plays_at_most_until_its_next_gap() -> None:
    scene = scenes(1)[0]
    source = replace(scene.sources[0], starts_s=(0.1, 0.5, 0.8), clip_end_s=None, offset_s=0.95)
    plays = [(0.1, 0.2), (0.5, 0.6), (0.8, 0.9)]
    assert np.allclose(playing_s(source, 1.0), plays)
    assert playing_s(replace(source, starts_s=None, offset_s=None), 1.0) == [(source.onset_s, 1.0)]
    assert list(frames(replace(scene, sources=()), {}, 2024)) == []
