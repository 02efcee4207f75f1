import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.clips.prepare import PreparedClip
from spatialqa.core.audio_io import decode_flac, encode_flac
from spatialqa.core.geometry import Pose, Vec3
from spatialqa.core.scene import Scene, Source
from spatialqa.generation.convolution import Convolver
from spatialqa.generation.power import frame_powers, sum_of_squares
from spatialqa.generation.render import (
    ClippedSceneError,
    RenderedScene,
    SimulatedGroup,
    render_scene,
    simulate,
)
from tests.fixtures import scenes

RATE = 8000
Audio = npt.NDArray[np.float32]


def noise(n: int, seed: int, level: float = 0.1) -> Audio:
    return np.asarray(np.random.default_rng(seed).normal(0, level, n), dtype=np.float32)


HEAD = Pose((0.0, 0.0, 0.0))


def ahead(place: int) -> Vec3:
    return (0.0, 0.0, -1.0 - place)


def source(place: int, onset_s: float = 0.0, start_s: float = 0.0) -> Source:
    return scenes.source(ahead(place), place=place, onset_s=onset_s, clip_start_s=start_s, native_sample_rate=None)


def scene(*sources: Source, gain_db: float = -24.0) -> Scene:
    made = scenes.scene(*sources, listener=HEAD, sample_rate=RATE, duration_s=2.0, gain_db=gain_db)
    return scenes.with_angles(made)


def group(*rirs: Audio) -> SimulatedGroup:
    planned = scenes.group(*(ahead(place) for place in range(len(rirs))), listener=HEAD)
    return SimulatedGroup(planned, rirs, [1.5] * len(rirs), [0.4] * len(rirs), RATE)


def render(planned: Scene, simulated: SimulatedGroup, *clips: Audio, mix: str = "sum") -> RenderedScene:
    return render_scene(planned, simulated, [PreparedClip(clip, "sha", 22050) for clip in clips], mix)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (100, 7), (7, 100), (16000, 4001), (60000, 6000)])
def test_convolution_is_convolution(n: int, m: int) -> None:
    dry, rir = noise(n, 1), np.stack([noise(m, 2), noise(m, 3)])
    wet = Convolver(rir)(dry)
    assert wet.dtype == np.float32
    assert wet == pytest.approx(np.stack([np.convolve(dry, channel) for channel in rir]), abs=2e-5)


def test_a_sound_that_plays_again_is_convolved_once_and_added() -> None:
    sound, rir = noise(3000, 1), np.stack([noise(9000, 2), noise(9000, 3)])
    dry = np.concatenate([sound, np.zeros(500, np.float32), sound, np.zeros(20, np.float32), sound[:700]])
    plays = [(0, 3000), (3500, 6500), (6520, 7220)]
    whole = np.stack([np.convolve(dry, channel) for channel in rir])
    assert Convolver(rir).played(dry, plays, 7220) == pytest.approx(whole[:, :7220], abs=2e-5)


@pytest.mark.parametrize("lead", [0, 3, 40])
def test_powers_of_frames_are_those_of_numpy(lead: int) -> None:
    signals = np.stack([noise(101, 1), noise(101, 2)])
    padded = np.zeros((2, 160))
    padded[:, lead : lead + 101] = signals[:, : 160 - lead]
    expected = np.square(padded).reshape(2, -1, 16).mean(axis=2)
    np.testing.assert_allclose(frame_powers(signals, lead, 16, 10), expected, rtol=1e-13)
    assert sum_of_squares(signals[0], 2, 99) == pytest.approx(np.square(signals[0, 2:99], dtype=float).sum(), rel=1e-14)


def test_a_delta_puts_the_clip_where_it_belongs_and_nothing_else_anywhere() -> None:
    delta = np.zeros((2, 50), dtype=np.float32)
    delta[0, 10], delta[1, 20] = 1.0, 0.5
    dry = noise(4000, 1)
    rendered = render(scene(source(0, onset_s=0.5), gain_db=-6.0), group(delta), dry)
    expected = np.zeros((2, 16000), dtype=np.float32)
    expected[0, 4010:8010], expected[1, 4020:8020] = dry, 0.5 * dry
    assert rendered.audio == pytest.approx(expected * 10 ** (-6 / 20), abs=1e-6)
    truth = rendered.scene.sources[0]
    assert truth.offset_s == 1.0
    assert truth.wet_level_dbfs is not None
    assert truth.dry_level_dbfs is not None
    assert truth.wet_level_dbfs[0] - truth.dry_level_dbfs == pytest.approx(0.0, abs=0.1)  # before gain
    assert truth.wet_level_dbfs[1] - truth.dry_level_dbfs == pytest.approx(-6.02, abs=0.1)
    assert (truth.clip_sha256, truth.native_sample_rate, truth.drr_db, truth.rt60_s) == ("sha", 22050, 1.5, 0.4)


def test_sources_add_up_and_the_mean_halves_them() -> None:
    rirs = [np.stack([noise(300, k), noise(300, k + 9)]) for k in (1, 2)]
    clips = [noise(9000, 4), noise(20000, 5)]
    simulated = group(*rirs)
    alone = [render(scene(source(k)), simulated, clips[k]).audio for k in (0, 1)]
    both = render(scene(source(0), source(1)), simulated, *clips).audio
    assert both == pytest.approx(alone[0] + alone[1], abs=1e-6)
    assert render(scene(source(0), source(1)), simulated, *clips, mix="mean").audio == pytest.approx(both / 2, abs=1e-6)


def test_a_long_clip_and_a_long_tail_end_with_the_scene() -> None:
    rir = np.stack([noise(5000, 1), noise(5000, 2)])
    dry = noise(3 * 16000, 3)
    rendered = render(scene(source(0, start_s=1.0)), group(rir), dry)
    whole = np.stack([np.convolve(dry[8000:24000], channel) for channel in rir])[:, :16000]
    assert rendered.audio == pytest.approx(whole * 10 ** (-24 / 20), abs=1e-5)
    assert rendered.scene.sources[0].offset_s == 2.0


def test_gain_is_constant_and_a_peak_above_full_scale_is_refused() -> None:
    delta = np.ones((2, 1), dtype=np.float32)
    dry = np.full(100, 10.0, dtype=np.float32)
    assert np.abs(render(scene(source(0)), group(delta), dry).audio).max() == pytest.approx(
        10 ** (1 - 24 / 20), rel=1e-5
    )
    with pytest.raises(ClippedSceneError, match=r"\+8\.0 dBFS"):
        render(scene(source(0), gain_db=-12.0), group(delta), dry)


def test_four_channels_keep_their_order_and_each_has_its_level() -> None:
    gains = (1.0, -0.5, 0.25, 0.8)
    delta = np.zeros((4, 30), dtype=np.float32)
    delta[:, 10] = gains
    dry = noise(4000, 1)
    rendered = render(scene(source(0), gain_db=-6.0), group(delta), dry)
    truth = rendered.scene.sources[0]
    assert truth.wet_level_dbfs is not None
    assert truth.dry_level_dbfs is not None
    below = [level - truth.dry_level_dbfs for level in truth.wet_level_dbfs]
    assert below == pytest.approx([20 * np.log10(abs(g)) for g in gains], abs=0.1)
    decoded, _ = decode_flac(encode_flac(rendered.audio, RATE))
    assert decoded.shape == (4, 16000)
    expected = np.outer(gains, dry) * 10 ** (-6 / 20)
    assert decoded[:, 10:4010] == pytest.approx(expected, abs=1e-6)
    assert Scene.from_row(rendered.scene.to_row()) == rendered.scene


def test_flac_holds_24_bits() -> None:
    audio = np.stack([noise(8000, 1), noise(8000, 2)])
    audio[0, :2] = [1.0 - 2.0**-23, -1.0]
    decoded, rate = decode_flac(encode_flac(audio, RATE))
    assert rate == RATE
    assert np.abs(decoded - audio).max() <= 2.0**-23
    error_dbfs = 10 * np.log10(np.mean((decoded[:, 2:] - audio[:, 2:]) ** 2))
    assert -152 < error_dbfs < -145


def test_the_group_goes_to_the_engine_whole_and_in_order() -> None:
    asked = []

    class Room:
        ray_efficiency = None
        warnings = ()

        def rirs(self, listener: Pose, sources: object, seed: int) -> list[Audio]:
            asked.append((listener, sources, seed))
            return [np.stack([noise(4000, k), noise(4000, k)]) for k in range(2)]

    planned = group(noise(4, 0), noise(4, 0)).group
    simulated = simulate(planned, Room(), RATE * 2, "binaural")  # type: ignore[arg-type]
    assert asked == [(planned.listener, [(0.0, 0.0, -1.0), (0.0, 0.0, -2.0)], 0)]
    assert len(simulated.rirs) == len(simulated.drr_db) == len(simulated.rt60_s) == 2


def test_a_scene_survives_its_row() -> None:
    rendered = render(scene(source(0)), group(np.ones((2, 1), dtype=np.float32)), noise(100, 1)).scene
    assert Scene.from_row(rendered.to_row()) == rendered
