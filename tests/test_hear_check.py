"""The hearing check: interaural signs against labels, and a tagger that the user names."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from scipy import signal

from spatialqa.audit.hearing import directions, log_mel, onnx_file
from spatialqa.audit.hearing.directions import check_directions
from spatialqa.audit.hearing.interaural import Interaural, lateral_deg, of_rir, of_sound
from spatialqa.audit.hearing.matching import accepted, best_rank
from spatialqa.audit.hearing.recognition import Sounding, recognise
from spatialqa.audit.hearing.tagger import Tagger, read_classes
from spatialqa.cli.main import cli
from spatialqa.core.audio_io import decode_rir, encode_flac
from spatialqa.core.geometry import Vec3
from spatialqa.core.ontology import ontology
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.errors import ClipError, SpatialQAError
from spatialqa.generation.stages import clip_sounds
from tests.fixtures.datasets import written
from tests.fixtures.onnx_files import FLOAT, class_list, linear_tagger, model, port, quantised_identity
from tests.fixtures.scenes import HEAD, scene, source, with_angles

RATE = 32_000
BARK, RAIN, DOG, ANIMAL = "/m/05tny_", "/m/06mb1", "/m/0bt9lr", "/m/0jbk"
Floats = npt.NDArray[np.float32]


def sphere_rir(azimuth_deg: float, taps: int = 200) -> Floats:
    """Return two impulses as at a rigid sphere: 3 a/c sin(azimuth) apart, the far one softer."""
    itd = 3 * 0.0875 / 343.0 * math.sin(math.radians(azimuth_deg))
    rir = np.zeros((2, taps), dtype=np.float32)
    for ear, sign in enumerate((-0.5, 0.5)):
        delay = 100 + sign * itd * RATE
        rir[ear] = np.sinc(np.arange(taps) - delay) * 10 ** (-sign * 6 * math.sin(math.radians(azimuth_deg)) / 20)
    return rir


def reverberant(azimuth_deg: float, rng: np.random.Generator) -> Floats:
    """Return the direct sound of sphere_rir before a diffuse tail of 0.5 s, as strong as itself."""
    n = RATE // 2
    tail = rng.standard_normal((2, n)) * np.exp(-6.9 * np.arange(n) / n)
    tail[:, :300] = 0.0
    rir = np.zeros((2, n))
    rir[:, :200] = sphere_rir(azimuth_deg)
    return np.asarray(rir + tail / np.sqrt(np.sum(tail**2) / 2), dtype=np.float32)


@pytest.mark.parametrize("azimuth", [-150, -90, -60, -30, 0, 20, 45, 90, 120, 180])
def test_the_direct_sound_of_an_rir_gives_the_lateral_angle(azimuth: float) -> None:
    cues = of_rir(sphere_rir(azimuth), RATE)
    assert cues is not None
    assert cues.lateral_deg == pytest.approx(lateral_deg(azimuth, 0), abs=4)
    assert cues.ild_db == pytest.approx(6 * math.sin(math.radians(azimuth)), abs=0.5)


@pytest.mark.parametrize("azimuth", [-90, -40, -20, 30, 70, 130])
def test_onsets_in_a_room_give_the_side(azimuth: float) -> None:
    rng = np.random.default_rng(0)
    dry = rng.standard_normal(2 * RATE) * (np.arange(2 * RATE) % 16_000 < 3200)
    wet = signal.oaconvolve(dry[None], reverberant(azimuth, rng), axes=1).astype(np.float32)
    cues = of_sound(wet, RATE)
    assert cues is not None
    assert cues.itd_s * azimuth > 0
    assert cues.ild_db * azimuth > 0
    assert abs(cues.lateral_deg - lateral_deg(azimuth, 0)) < 25


def test_the_lateral_angle_is_of_the_cone_of_confusion() -> None:
    assert lateral_deg(30, 0) == pytest.approx(30)
    assert lateral_deg(150, 0) == pytest.approx(30)
    assert lateral_deg(90, 60) == pytest.approx(30)
    assert Interaural(1.0, 0.0).lateral_deg == 90.0
    assert of_rir(np.zeros((2, 100), np.float32), RATE) is None
    assert of_sound(np.zeros((2, RATE), np.float32), RATE) is None


def scenes_at(root: Path, azimuths: list[float], swapped: bool = False) -> Path:
    """Write a data set of one noise burst a scene, heard at a sphere."""
    rng, rows = np.random.default_rng(1), []
    for k, azimuth in enumerate(azimuths):
        at: Vec3 = (
            HEAD[0] - 2 * math.sin(math.radians(azimuth)),
            HEAD[1],
            HEAD[2] - 2 * math.cos(math.radians(azimuth)),
        )
        dry = 0.05 * rng.standard_normal(RATE)
        wet = signal.oaconvolve(dry[None], sphere_rir(azimuth), axes=1).astype(np.float32)
        made = with_angles(scene(source(at), scene_id=f"train-{k:08d}", duration_s=1.0))
        flac = encode_flac(wet[::-1] if swapped else wet, RATE)
        rows.append({**made.to_row(), "audio": {"bytes": flac, "path": None}})
    return written(root, rows)


AZIMUTHS = [-160.0, -120.0, -80.0, -45.0, -5.0, 25.0, 60.0, 95.0, 135.0, 178.0]


def test_scenes_whose_labels_are_right_pass_and_swapped_channels_fail(tmp_path: Path) -> None:
    found = check_directions(DatasetFolder(scenes_at(tmp_path / "right", AZIMUTHS)), 100)
    assert found is not None
    assert (found.sources, found.signs, found.wrong, found.failed) == (10, 8, 0, False)
    assert found.lateral_error_deg is not None
    assert found.lateral_error_deg < 4
    swapped = check_directions(DatasetFolder(scenes_at(tmp_path / "swapped", AZIMUTHS, swapped=True)), 100)
    assert swapped is not None
    assert (swapped.time_wrong, swapped.level_wrong, swapped.wrong, swapped.failed) == (8, 8, 8, True)


def test_a_second_source_and_a_hidden_one_are_left_out(tmp_path: Path) -> None:
    left, right = source((HEAD[0] - 2, HEAD[1], HEAD[2])), source((HEAD[0] + 2, HEAD[1], HEAD[2]))
    noise = {"bytes": encode_flac(np.random.default_rng(0).standard_normal((2, RATE)).astype(np.float32) * 0.1, RATE)}
    scenes = [
        scene(left, right, scene_id="train-00000000", duration_s=1.0),
        scene(replace(left, line_of_sight=False), scene_id="train-00000001", duration_s=1.0),
        scene(replace(right, onset_s=0.5), left, scene_id="train-00000002", duration_s=1.0),
    ]
    root = written(tmp_path / "set", [{**with_angles(s).to_row(), "audio": noise | {"path": None}} for s in scenes])
    found = check_directions(DatasetFolder(root), 100)
    assert found is not None
    assert found.sources == 1


def test_the_command_reports_prints_and_fails(tmp_path: Path) -> None:
    right, swapped = scenes_at(tmp_path / "right", AZIMUTHS), scenes_at(tmp_path / "swapped", AZIMUTHS, swapped=True)
    figures = tmp_path / "hear.json"
    done = CliRunner().invoke(cli, ["hear-check", str(right), "--json", str(figures)])
    assert done.exit_code == 0, done.output
    assert "of 8 signs, 0 are wrong" in " ".join(done.output.split())
    assert json.loads(figures.read_text())["directions"]["signs"] == 8
    done = CliRunner().invoke(cli, ["hear-check", str(swapped)])
    assert done.exit_code == 1
    assert "WRONG    train-00000000 at -160 degrees" in done.output
    done = CliRunner().invoke(cli, ["hear-check", str(right), "--ablation"])
    assert isinstance(done.exception, SpatialQAError)
    assert "--ablation needs --tagger" in str(done.exception)


def test_stored_rirs_are_measured_and_swapped_ones_are_noticed(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check_directions(DatasetFolder(small), 1000)
    assert found is not None
    assert (found.measured, found.wrong, found.failed) == ("rirs", 0, False)
    assert found.signs > 10
    monkeypatch.setattr(directions, "decode_rir", lambda data, n: decode_rir(data, n)[::-1])
    swapped = check_directions(DatasetFolder(small), 1000)
    assert swapped is not None
    assert swapped.failed
    assert swapped.wrong > 0.8 * swapped.signs


def test_a_label_is_named_by_itself_and_by_near_classes_only() -> None:
    assert {BARK, DOG} <= accepted(BARK)
    assert ANIMAL not in accepted(DOG)  # at the top of the tree
    assert {ontology().by_name(name).mid for name in ("Bark", "Howl")} <= accepted(DOG)
    for node in ontology().nodes:
        assert all(m == node.mid or not ontology().by_mid(m).abstract for m in accepted(node.mid))


def test_the_rank_counts_equal_scores_by_half() -> None:
    mids = (BARK, RAIN, DOG, "/m/09x0r", "/m/04rlf")
    assert best_rank(np.array([[1, 5, 3, 4, 2]], np.float32), mids, BARK) == 3
    assert best_rank(np.array([[3, 3, 0, 3, 3]], np.float32), mids, BARK) == 3
    assert best_rank(np.array([[0, 9, 0, 9, 9], [9, 1, 0, 0, 0]], np.float32), mids, BARK) == 1
    assert best_rank(np.zeros((1, 1), np.float32), (RAIN,), BARK) is None


def test_log_mel_patches_have_yamnets_scale() -> None:
    silence = log_mel.patches(np.zeros(16_000, np.float32))
    assert silence.shape == (1, 96, 64)
    np.testing.assert_allclose(silence, math.log(1e-3), atol=1e-6)
    time = np.arange(48_000) / 16_000
    tone = log_mel.patches(np.sin(2 * np.pi * 1000 * time).astype(np.float32))
    assert tone.shape == (5, 96, 64)
    mel = 1127 * np.log1p(np.array([125.0, 7500.0, 1000.0]) / 700)
    assert np.argmax(tone.mean(axis=(0, 1))) == pytest.approx((mel[2] - mel[0]) / (mel[1] - mel[0]) * 65 - 1, abs=1)
    assert log_mel.patches(np.zeros(100, np.float32)).shape == (1, 96, 64)


def test_scalars_of_an_onnx_file_are_read(tmp_path: Path) -> None:
    found = onnx_file.scalars(quantised_identity(tmp_path / "q.onnx"))
    assert found["audio_scale"] == pytest.approx(0.05)
    assert (found["audio_zero_point"], found["scores_zero_point"]) == (144, 100)
    assert "which" not in found
    (tmp_path / "broken.onnx").write_bytes(b"\xff\xff\xff\x07not a model")
    with pytest.raises(ValueError, match="not an ONNX model"):
        onnx_file.scalars(tmp_path / "broken.onnx")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "expected CSV with the columns"),
        ("index,mid,display_name\n1,/m/05tny_,Bark\n", "must count 0, 1, 2"),
        ("index,mid,display_name\n0,/m/none,Bark\n", "is not the mid of an AudioSet class"),
    ],
)
def test_a_bad_class_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(ClipError, match=message):
        read_classes(path)
    with pytest.raises(ClipError, match="--classes"):
        read_classes(tmp_path / "none.csv", given=False)


def low_high_weights() -> Floats:
    """Return weights for a bark where low bands are loud, and rain where high ones are."""
    bands = np.tile(np.linspace(-1, 1, 64), 96)
    return np.stack((-bands, bands), axis=1).astype(np.float32)


def tone(hz: float) -> Floats:
    return np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)


def test_a_tagger_hears_what_its_weights_say(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = linear_tagger(tmp_path / "tagger.onnx", low_high_weights())
    class_list(tmp_path / "yamnet_class_map.csv", BARK, RAIN)
    tagger = Tagger(path)
    assert tagger.scores(np.stack((tone(200), tone(6000))), RATE).argmax(axis=1).tolist() == [0, 1]
    sounds = [
        Sounding("Bark", BARK, RATE, {"clip": tone(200), "scene": tone(6000)}, 0.5, True),
        Sounding("Rain", RAIN, RATE, {"clip": tone(6000), "scene": tone(6000)}, 12.0, False),
        Sounding("Meow", "/m/07qrkrw", RATE, {"clip": tone(200)}),
    ]
    found = recognise(tagger, sounds, first=1)
    assert found.all.named == {"clip": 2, "scene": 1}
    assert [(share.name, share.named) for share in found.distances] == [
        ("0-1 m", {"clip": 1, "scene": 0}),
        ("10 m and more", {"clip": 1, "scene": 1}),
    ]
    assert [share.name for share in found.sights] == ["hidden", "in sight"]
    assert found.unknown == ("Meow",)


def test_a_quantised_tagger_gets_and_gives_whole_numbers(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    tagger = Tagger(quantised_identity(tmp_path / "q.onnx"), class_list(tmp_path / "c.csv", BARK, RAIN))
    scores = tagger.scores(np.zeros(RATE, np.float32), RATE)
    number = round(math.log(1e-3) / 0.05 + 144)
    np.testing.assert_allclose(scores, 0.5 * (number - 100))


def test_a_tagger_of_another_layout_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    classes = class_list(tmp_path / "c.csv", BARK, RAIN)
    with pytest.raises(ClipError, match="takes audio .* patches of 96 frames"):
        Tagger(linear_tagger(tmp_path / "a.onnx", low_high_weights(), (1, 1, 64, 96)), classes)
    with pytest.raises(ClipError, match="scores 2 classes, but the class list has 1"):
        Tagger(linear_tagger(tmp_path / "b.onnx", low_high_weights()), class_list(tmp_path / "d.csv", BARK))
    with pytest.raises(ClipError, match="cannot be opened as an ONNX model"):
        Tagger(class_list(tmp_path / "e.onnx", BARK), classes)
    with pytest.raises(ClipError, match="there is no such file"):
        Tagger(tmp_path / "none.onnx", classes)
    with pytest.raises(ClipError, match="without constants audio_scale"):
        Tagger(
            model(tmp_path / "f.onnx", port(11, "audio", 2, (1, 96, 64)), port(12, "audio", 2, (1, 96, 64))), classes
        )


def test_a_waveform_tagger_hears_the_whole_sound(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from tests.fixtures.onnx_files import node, tensor

    path = model(
        tmp_path / "wave.onnx",
        port(11, "waveform", FLOAT, ("n",)),
        tensor("row", 7, (2,), np.array([1, -1], "<i8").tobytes()),
        node("ReduceMax", ("waveform",), "peak"),
        node("Reshape", ("peak", "row"), "scores"),
        port(12, "scores", FLOAT, (1, 1)),
    )
    tagger = Tagger(path, class_list(tmp_path / "c.csv", BARK))
    assert tagger.scores(0.01 * tone(500), RATE)[0, 0] == pytest.approx(0.9, abs=0.01)
    assert tagger.scores(0.01 * tone(500), RATE, normalise=False)[0, 0] == pytest.approx(0.01, abs=0.001)


def test_clips_are_drawn_by_class_and_seed() -> None:
    from spatialqa.clips.foley.clips import FoleyClips

    class Two(FoleyClips):
        def records(self) -> list:  # type: ignore[type-arg]
            return [r for r in super().records() if r.labels[0] in ("Whistle", "Buzzer")]

    first, again, other = (list(clip_sounds(Two(20), 3, seed)) for seed in (0, 0, 1))
    assert [sound.label for sound in first] == ["Whistle"] * 3 + ["Buzzer"] * 3
    assert all(np.array_equal(a.stages["clip"], b.stages["clip"]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.stages["clip"], b.stages["clip"]) for a, b in zip(first, other, strict=True))
