"""The model against the released layout, reference outputs, and what its parts promise."""

import itertools
import json
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from spatialqa.core.geometry import spherical
from spatialqa.models.spatial_ast.checkpoint import load_audiomae, load_checkpoint
from spatialqa.models.spatial_ast.model import (
    AT_ONCE,
    N_CUES,
    PRESETS,
    SpatialAST,
    SpatialASTConfig,
    distance_class,
    elevation_class,
    from_distance_class,
    from_elevation_class,
    from_model_azimuth,
    match_slots,
    mel_filters,
    to_model_azimuth,
)
from spatialqa.models.training.checkpoint import ModelError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LAYOUT, PARITY = SHARED / "spatial_ast_state_dict.json", SHARED / "spatial_ast_parity.npz"
needs_reference = pytest.mark.skipif(not PARITY.is_file(), reason="the reference outputs are not part of the product")

MINI = SpatialASTConfig(embed_dim=48, depth=2, heads=3, n_classes=7, drop_path=0.0, fused=2, patch_time=32)
CUES = replace(PRESETS["tiny"], embed_dim=48, depth=1, n_classes=7, patch_time=4, patch_mel=32)


def mini(**changes: Any) -> SpatialAST:
    torch.manual_seed(0)
    return SpatialAST(replace(MINI, **changes))


def cues() -> SpatialAST:
    torch.manual_seed(0)
    return SpatialAST(CUES)


def noise(batch: int = 2, seconds: float = 1.0, seed: int = 0) -> Any:
    return torch.randn(batch, 2, int(seconds * 32000), generator=torch.Generator().manual_seed(seed))


# --- the reference --------------------------------------------------------------------------------------------------


def rule_weights(name: str, shape: list[int]) -> Any:
    """Return the weights that the reference outputs were made with."""
    w = np.sin(np.arange(math.prod(shape)) * 0.6180339887 + zlib.crc32(name.encode()) % 1000)
    if name.startswith("bn."):
        w = np.full_like(w, -40.0 if name.endswith("mean") else 400.0)
    elif name.endswith(("running_mean", "running_var")):
        w = np.full_like(w, float(name.endswith("var")))
    elif ("norm" in name and name.endswith("weight")) or name == "conv_downsample.1.weight":
        w = 1.0 + 0.1 * w
    else:
        w *= 0.3 if name == "conv_downsample.0.weight" else 0.03
    return torch.from_numpy(w.reshape(shape).astype(np.float32))


def rule_input() -> Any:
    rng = np.random.default_rng(0)
    t = np.arange(320000) / 32000
    left = 0.2 * np.sin(2 * np.pi * (200 * t + 150 * t**2)) + 0.05 * rng.standard_normal(t.size)
    right = 0.6 * np.roll(left, 13) + 0.01 * rng.standard_normal(t.size)
    return torch.from_numpy(np.stack([left, right]).astype(np.float32))[None]


@pytest.fixture(scope="module")
def paper_model() -> SpatialAST:
    return SpatialAST(PRESETS["paper"]).eval()


@pytest.fixture(scope="module")
def reference_model(paper_model: SpatialAST) -> SpatialAST:
    weights = paper_model.state_dict()
    for name, shape in json.loads(LAYOUT.read_text()).items():
        if "_extractor." not in name and not name.endswith("num_batches_tracked"):
            weights[name] = rule_weights(name, shape)
    paper_model.load_state_dict(weights, strict=True)
    return paper_model


def worst_differences(model: SpatialAST) -> dict[str, float]:
    with torch.no_grad():
        heads = model(rule_input())
    with np.load(PARITY) as stored:
        expected = dict(stored)
    expected["classes"] = expected.pop("class")
    return {name: float(np.abs(getattr(heads, name)[0].numpy() - expected[name]).max()) for name in heads._fields}


@needs_reference
def test_the_layout_is_the_released_one(reference_model: SpatialAST) -> None:
    shapes = {name: list(value.shape) for name, value in reference_model.state_dict().items()}
    assert shapes == json.loads(LAYOUT.read_text())


@needs_reference
def test_all_four_heads_match_the_reference(reference_model: SpatialAST) -> None:
    assert max(worst_differences(reference_model).values()) <= 2e-5


@needs_reference
def test_a_wrong_gelu_misses_the_reference(reference_model: SpatialAST, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = functional.gelu
    monkeypatch.setattr(functional, "gelu", lambda x, approximate="none": exact(x, approximate="tanh"))
    assert max(worst_differences(reference_model).values()) > 2e-5


@needs_reference
def test_a_wrong_interpolation_misses_the_reference(
    reference_model: SpatialAST, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = functional.interpolate
    monkeypatch.setattr(
        functional,
        "interpolate",
        lambda x, size, mode, align_corners: right(x, size, mode="bilinear", align_corners=align_corners),
    )
    assert max(worst_differences(reference_model).values()) > 2e-5


def test_the_paper_preset_has_as_many_weights_as_the_paper(paper_model: SpatialAST) -> None:
    assert sum(p.numel() for p in paper_model.parameters() if p.requires_grad) == 85_963_194


# --- angles and distances -------------------------------------------------------------------------------------------


@given(st.tuples(*[st.floats(-10, 10)] * 3).filter(lambda p: math.hypot(p[0], p[2]) > 1e-3))
def test_the_models_azimuth_is_that_of_the_reference(point: tuple[float, float, float]) -> None:
    azimuth, _, _ = spherical(point)
    theirs = math.degrees(math.atan2(-point[2], point[0])) % 360
    ours = int(to_model_azimuth(azimuth))
    assert abs((ours - theirs + 180) % 360 - 180) <= 0.5 + 1e-6
    assert 0 <= ours < 360


@pytest.mark.parametrize(("azimuth_deg", "expected"), [(-90, 0), (0, 90), (90, 180), (180, 270), (-179.6, 270)])
def test_right_ahead_left_and_behind_are_its_quarters(azimuth_deg: float, expected: int) -> None:
    assert int(to_model_azimuth(azimuth_deg)) == expected


def test_classes_go_there_and_back() -> None:
    azimuths, elevations, distances = torch.arange(360), torch.arange(180), torch.arange(21)
    assert torch.equal(to_model_azimuth(from_model_azimuth(azimuths)), azimuths)
    assert torch.equal(elevation_class(from_elevation_class(elevations)), elevations)
    assert torch.equal(distance_class(from_distance_class(distances)), distances)
    back = from_model_azimuth(azimuths)
    assert back.min() > -180
    assert back.max() == 180


def test_straight_up_is_a_direction_and_does_not_wrap() -> None:
    azimuth, elevation, _ = spherical([0.0, 2.0, 0.0])
    assert int(elevation_class(elevation)) == 179
    assert int(elevation_class(-90.0)) == 0
    assert 0 <= int(to_model_azimuth(azimuth)) < 360


def test_what_is_farther_than_ten_metres_is_in_the_last_class() -> None:
    assert distance_class(torch.tensor([0.0, 0.24, 1.0, 10.0, 14.0])).tolist() == [0, 0, 2, 20, 20]


# --- the front end --------------------------------------------------------------------------------------------------


def test_the_kernels_of_the_layout_are_the_transform_that_is_computed() -> None:
    extractor: Any = mini().spectrogram_extractor
    waveform = noise(1)
    real, imaginary = extractor(waveform)
    padded = functional.pad(waveform, (512, 512), mode="reflect").transpose(0, 1)
    for part, kernel in ((real, extractor.conv_real.weight), (imaginary, extractor.conv_imag.weight)):
        convolved = functional.conv1d(padded, kernel, stride=MINI.hop)
        assert torch.allclose(part[0], convolved, atol=2e-4)


def test_mel_filters_are_triangles_of_equal_area_up_to_the_last_frequency() -> None:
    filters = mel_filters(32000, 4096, 64, 50.0, 14000.0)
    hz = torch.linspace(0, 16000, 2049)
    area = filters.sum(0) * float(hz[1])
    assert torch.allclose(area[8:], torch.ones(56), atol=0.02)
    assert not filters[(hz <= 50) | (hz >= 14000)].any()
    centres = hz[filters.argmax(0)]
    assert (centres.diff() > 0).all()
    below, above = centres[centres < 900].diff(), centres[centres > 1100]
    assert below.std() < 10
    assert (above[1:] / above[:-1]).std() < 0.01


def test_a_sound_from_the_left_reaches_the_right_ear_weaker_and_later() -> None:
    source = noise(1)[:, :1]
    waveform = torch.cat([source, 0.5 * source.roll(10, dims=2)], dim=1)
    model: Any = mini().eval()
    level_left, level_right, cosine, sine = model.features(waveform)[0]
    # the reference takes 10 log10 of a magnitude, so half as loud is 3 and not 6
    assert (level_left - level_right)[2:-2].mean().item() == pytest.approx(3.01, abs=0.05)
    bands = model.logmel_extractor.melW
    low = int((torch.linspace(0, 16000, 513)[bands.argmax(0)] < 600).sum())  # 10 samples are half a turn at 1.6 kHz
    assert (sine[2:-2, :low].mean(0) < 0).all()
    assert (cosine[2:-2, :low].mean(0) > 0).all()


def test_silence_in_both_ears_or_in_one_is_no_problem() -> None:
    waveform = noise(3)
    waveform[0] = 0.0
    waveform[1, 1] = 0.0
    model: Any = mini()
    maps = model.features(waveform)
    assert maps.isfinite().all()
    assert torch.allclose(maps[0, 2], model.logmel_extractor.melW.sum(0).expand_as(maps[0, 2]), atol=1e-5)
    assert not maps[0, 3].any()
    heads = model(waveform)
    assert all(logits.isfinite().all() for logits in heads)


@pytest.mark.parametrize(
    ("features", "channels"), [("mel", "mono"), ("mel", "binaural"), ("mel+ipd", "binaural"), ("cues", "binaural")]
)
def test_maps_that_were_kept_stand_for_the_waveforms_and_mirror_as_they_do(features: str, channels: str) -> None:
    model: Any = (cues() if features == "cues" else mini(features=features, channels=channels)).eval()
    waveform = noise()
    maps = model.maps(waveform)
    assert maps.shape[:2] == (2, model.config.in_maps)
    for kept, heard in zip(model(maps), model(waveform), strict=True):
        assert torch.equal(kept, heard)
    torch.testing.assert_close(model.mirrored(maps), model.maps(model.mirrored(waveform)), atol=2e-4, rtol=0)
    assert torch.equal(model.mirrored(maps), maps) == (channels == "mono")


def test_cues_are_of_the_right_sign_and_size() -> None:
    source = noise(1)[:, :1]
    waveform = torch.cat([source, 0.5 * source.roll(10, dims=2)], dim=1)
    model: Any = cues().eval()
    model.bn = torch.nn.Identity()
    maps = model.features(waveform)[0]
    assert maps.shape == (N_CUES, 8, 64)  # 201 frames, of which 32 make one, in patches of 4
    bands = model.logmel_extractor.melW
    centre_hz = torch.linspace(0, 16000, len(bands)) @ bands / bands.sum(0)
    low = int((centre_hz < 500).sum())
    for difference, cosine, sine in (maps[3:6], maps[6:9]):
        assert difference.mean().item() == pytest.approx(3.01, abs=0.3)
        turn = torch.atan2(sine[:, 1:low].mean(0), cosine[:, 1:low].mean(0))
        expected = -2 * math.pi * 10 / 32000 * centre_hz[1:low]
        assert torch.allclose(turn, expected, atol=0.15)
        assert cosine.abs().max() <= 1.05


def test_cues_hear_where_a_sound_began_through_louder_echoes() -> None:
    """Two sounds begin on the left; louder and longer echoes follow from the right before the pooled frame is over."""
    draw = torch.Generator().manual_seed(0)
    waveform = torch.zeros(1, 2, 32000)
    frame, pool = CUES.hop * 200 / 255, CUES.pool  # the 201 frames of a second are stretched to 256
    for window in (1, 4):
        start, stop = int(pool * window * frame) + 300, int((pool * window + pool - 1) * frame) - 300
        direct, echo = torch.randn(600, generator=draw), 1.5 * torch.randn(stop - start - 1000, generator=draw)
        echo *= torch.exp(-torch.arange(len(echo)) / 1200)
        for ear, (of_direct, of_echo) in enumerate(((1.0, 0.3), (0.3, 1.0))):
            waveform[0, ear, start : start + 600] = of_direct * direct
            waveform[0, ear, start + 1000 : stop] = of_echo * echo
    model: Any = cues().eval()
    model.bn = torch.nn.Identity()
    maps = model.features(waveform)[0].mean(2)
    for window in (1, 4):
        assert maps[3, window] > 0.5  # at the rises: left
        assert maps[6, window] < -1.5  # by magnitude: right


def test_cues_of_silence_are_finite() -> None:
    waveform = noise(3)
    waveform[0] = 0.0
    waveform[1, 1] = 0.0
    model = cues()
    assert model.features(waveform).isfinite().all()
    assert all(logits.isfinite().all() for logits in model(waveform))


@pytest.mark.parametrize("seconds", [0.5, 4.0, 10.0, 12.0])
def test_tiny_takes_every_length(seconds: float) -> None:
    tokens = cues().eval().forward_tokens(noise(1, seconds))
    step = CUES.pool * CUES.patch_time
    patches = math.ceil((seconds * 200 + 1) * 2048 / 2001 / step)
    assert tokens.shape == (1, 3 + patches * CUES.n_mels // CUES.patch_mel, 48)


def test_the_ears_can_be_heard_as_one() -> None:
    waveform = noise(2)
    model = mini(channels="mono", features="mel").eval()
    assert model.features(waveform).shape[1] == 1
    mirrored = model(waveform.flip(1))
    assert all(torch.equal(a, b) for a, b in zip(model(waveform), mirrored, strict=True))
    both = mini(features="mel").eval()
    assert both.features(waveform).shape[1] == 2
    assert not torch.equal(both(waveform).azimuth, both(waveform.flip(1)).azimuth)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": "stereo"}, "stereo"),
        ({"features": "gcc"}, "gcc"),
        ({"channels": "mono"}, "two ears"),
        ({"channels": "mono", "features": "cues"}, "two ears"),
        ({"pool": 7}, "x 7 x"),
        ({"embed_dim": 50}, "embed_dim 50"),
        ({"patch_mel": 24}, "24"),
        ({"sample_rate": 16000}, "16000 Hz"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        replace(MINI, **changes)


def test_waveforms_of_another_shape_are_refused() -> None:
    model = mini()
    for wrong in (torch.zeros(2, 32000), torch.zeros(2, 1, 32000), torch.zeros(1, 2, 400)):
        with pytest.raises(ModelError, match="shape"):
            model(wrong)


# --- lengths, tokens, masks -----------------------------------------------------------------------------------------


def test_ten_seconds_give_the_papers_515_tokens() -> None:
    model = mini(hop=320, n_frames=1024, patch_time=16, patch_mel=16, depth=1).eval()
    assert model.forward_tokens(noise(1, 10.0)).shape == (1, 515, 48)


@pytest.mark.parametrize("seconds", [0.1, 1.0, 4.0, 10.0, 13.0])
def test_every_length_has_its_tokens(seconds: float) -> None:
    model = mini().eval()
    tokens = model.forward_tokens(noise(1, seconds))
    frames = seconds * MINI.sample_rate / MINI.hop + 1
    expected = math.ceil(frames * 1.0229 / MINI.patch_time) * MINI.n_mels // MINI.patch_mel
    assert tokens.shape == (1, 3 + expected, MINI.embed_dim)
    assert tokens.isfinite().all()


def test_positions_of_a_short_sound_are_the_beginning_of_the_table_and_of_a_long_one_all_of_it() -> None:
    model = mini()
    n = MINI.n_frames // MINI.patch_time
    whole = model._positions(n)
    assert torch.equal(model._positions(3), whole[:, :3])
    longer = model._positions(2 * n - 1)
    assert torch.allclose(longer[:, [0, -1]], whole[:, [0, -1]], atol=1e-5)


def test_training_leaves_out_a_quarter_of_times_and_of_bands() -> None:
    model = mini()
    waveform = noise(2, 4.0)
    whole = model.forward_tokens(waveform, mask=False).shape[1] - 3
    bands = MINI.n_mels // MINI.patch_mel
    kept = int(whole // bands * 0.75) * int(bands * 0.75)
    assert model.train().forward_tokens(waveform).shape[1] == 3 + kept
    assert model.eval().forward_tokens(waveform).shape[1] == 3 + whole


def test_what_is_left_keeps_its_place_and_differs_between_examples() -> None:
    model = mini()
    grid = torch.arange(20 * 8).reshape(1, 20, 8, 1).expand(6, -1, -1, 4).float()
    torch.manual_seed(3)
    kept = model._leave_out(grid)[..., 0].long()
    assert kept.shape == (6, 15, 6)
    assert (kept.flatten(1).diff(dim=1) > 0).all()
    assert all(len({int(v) // 8 for v in row}) == 15 and len({int(v) % 8 for v in row}) == 6 for row in kept.flatten(1))
    assert len({tuple(row.tolist()) for row in kept.flatten(1)}) == 6


def test_blanked_stretches_are_no_wider_than_configured() -> None:
    model = mini(specaugment_time=20, specaugment_mel=10)
    torch.manual_seed(1)
    blanked = model._blank(torch.ones(64, 2, 200, 128)) == 0
    assert torch.equal(blanked[:, 0], blanked[:, 1])
    frames, bands = blanked[:, 0].all(2).sum(1), blanked[:, 0].all(1).sum(1)
    assert 10 < frames.max() < 20
    assert 5 < bands.max() < 10
    assert len(set(frames.tolist())) > 10


def test_nothing_is_random_in_evaluation_and_masks_follow_torchs_seed() -> None:
    model = mini(drop_path=0.5).eval()
    waveform = noise(2)
    assert torch.equal(model(waveform).azimuth, model(waveform).azimuth)
    model.train()
    torch.manual_seed(5)
    first = model(waveform).azimuth
    assert not torch.equal(first, model(waveform).azimuth)


def test_drop_path_keeps_the_mean() -> None:
    block: Any = mini(drop_path=0.5).blocks[1].train()
    assert block.drop_path == 0.5
    torch.manual_seed(0)
    dropped = block._drop(torch.ones(4000, 2, 3))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.06)


def test_every_weight_learns() -> None:
    model = mini()
    heads = model(noise(2))
    sum(logits.square().sum() for logits in heads).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
    assert not model.pos_embed.requires_grad


def test_bfloat16_changes_little_and_leaves_the_front_end_alone() -> None:
    model, waveform = mini().eval(), noise(2)
    with torch.no_grad():
        exact = model(waveform)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(model.features(waveform), model.features(waveform.clone()))
            assert model.features(waveform).dtype == torch.float32
            rough = model(waveform)
    for a, b in zip(exact, rough, strict=True):
        assert torch.allclose(a, b.float(), atol=0.05 * float(a.std()) + 0.02)


def test_the_front_end_gives_a_sound_the_same_maps_in_any_batch() -> None:
    model = SpatialAST(PRESETS["tiny"]).eval()
    waveform = 0.1 * torch.randn(AT_ONCE + 3, 2, 8000, generator=torch.Generator().manual_seed(0))
    together = model.maps(waveform)
    for row, alone in enumerate(waveform):
        assert torch.equal(together[row], model.maps(alone[None])[0])


def test_it_is_one_graph_for_the_compiler() -> None:
    model, waveform = mini().train(), noise(2)
    torch.manual_seed(0)
    plain = model(waveform, mask=False)
    compiled = torch.compile(model, backend="eager", fullgraph=True)(waveform, mask=False)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(plain, compiled, strict=True))


# --- several sounds -------------------------------------------------------------------------------------------------


def test_every_slot_answers_for_itself() -> None:
    model = mini(slots=2).eval()
    heads = model(noise(3))
    assert heads.classes.shape == (3, 2, 7)
    assert heads.azimuth.shape == (3, 2, 360)
    assert not torch.equal(heads.azimuth[:, 0], heads.azimuth[:, 1])
    assert mini().eval()(noise(3)).azimuth.shape == (3, 360)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3), st.integers(0, 2), st.integers(0, 10_000))
def test_slots_are_matched_at_least_cost(sources: int, spare: int, seed: int) -> None:
    slots = sources + spare
    draw = np.random.default_rng(seed)
    cost = draw.random((4, sources, slots))
    present = draw.random((4, sources)) < 0.8
    chosen = match_slots(torch.from_numpy(cost), torch.from_numpy(present)).numpy()
    for row in range(4):
        assert len(set(chosen[row])) == sources

        def total(way: Any, row: int = row) -> float:
            return float(sum(cost[row, k, way[k]] for k in range(sources) if present[row, k]))

        best = min(total(way) for way in itertools.permutations(range(slots), sources))
        assert total(chosen[row]) == pytest.approx(best)


# --- weights --------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_ours_comes_back_with_its_configuration(tmp_path: Path) -> None:
    model = mini(slots=2, channels="mono", features="mel").eval()
    path = tmp_path / "model.pt"
    torch.save({"config": model.config.to_dict(), "model": model.state_dict(), "epoch": 3}, path)
    again = load_checkpoint(path)
    assert again.config == model.config
    assert not again.training
    assert torch.equal(again(noise()).azimuth, model(noise()).azimuth)


def test_bare_weights_load_into_a_named_configuration(tmp_path: Path) -> None:
    model = mini().eval()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    assert torch.equal(load_checkpoint(tmp_path / "weights.pth", MINI)(noise()).distance, model(noise()).distance)
    with pytest.raises(ModelError, match="does not hold the weights"):
        load_checkpoint(tmp_path / "weights.pth", replace(MINI, depth=3))


class Trap:
    """Unpickled, it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.mkdir, (self.path,))


def test_files_that_are_not_weights_are_refused_and_run_nothing(tmp_path: Path) -> None:
    trap, sprung = tmp_path / "trap.pt", tmp_path / "sprung"
    torch.save({"model": Trap(sprung)}, trap)
    with pytest.raises(ModelError, match="cannot be read as weights"):
        load_checkpoint(trap)
    assert not sprung.exists()
    text = tmp_path / "text.pt"
    text.write_text("no weights")
    with pytest.raises(ModelError, match="cannot be read as weights"):
        load_checkpoint(text)
    with pytest.raises(ModelError, match="no such file"):
        load_checkpoint(tmp_path / "nothing.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ModelError, match="holds a list"):
        load_checkpoint(tmp_path / "list.pt")


def test_weights_for_other_spectrograms_are_refused(tmp_path: Path) -> None:
    weights = mini().state_dict()
    weights["logmel_extractor.melW"] = weights["logmel_extractor.melW"] * 2
    torch.save(weights, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="other spectrograms"):
        load_checkpoint(tmp_path / "other.pth", MINI)


def test_configurations_are_plain_and_strict() -> None:
    assert SpatialASTConfig.from_dict(json.loads(json.dumps(MINI.to_dict()))) == MINI
    with pytest.raises(ModelError, match="wings"):
        SpatialASTConfig.from_dict({**MINI.to_dict(), "wings": 2})


def test_audiomae_gives_its_layers_and_nothing_else(tmp_path: Path) -> None:
    donor, model = mini(fused=1), mini(fused=1)
    torch.manual_seed(9)
    weights = {name: torch.randn_like(value) for name, value in donor.state_dict().items() if "blocks" in name}
    weights |= {"pos_embed": torch.randn_like(donor.pos_embed), "cls_token": torch.zeros(1, 1, 48)}
    weights |= {"patch_embed.proj.weight": torch.zeros(1, 2, 3), "decoder_embed.weight": torch.zeros(4, 4)}
    torch.save({"model": weights}, tmp_path / "mae.pth")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    taken = load_audiomae(model, tmp_path / "mae.pth").taken
    assert set(taken) == {"pos_embed", *(name for name in before if name.startswith("blocks."))}
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name] if name in taken else before[name]), name
    with pytest.raises(ModelError, match="no layer"):
        load_audiomae(mini(embed_dim=96), tmp_path / "mae.pth")
