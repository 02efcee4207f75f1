"""Which part of a clip is played: clips that are silent at the start, in the middle, at the end, or nowhere."""

import numpy as np
import numpy.typing as npt
import pytest

from spatialqa.clips.prepare import cut_to_scene, level_dbfs
from spatialqa.clips.stretches import LEAD_S, TAIL_S, choose_stretch, stretches
from spatialqa.errors import ClipError

RATE = 8000
SHARES = (0.0, 0.1, 0.37, 0.5, 0.93, 0.999999)
Audio = npt.NDArray[np.float32]


def noise(seconds: float, level: float = 0.3) -> Audio:
    n = round(seconds * RATE)
    return (level * np.random.default_rng(n).standard_normal(n)).astype(np.float32)


def silence(seconds: float, level: float = 0.0) -> Audio:
    return noise(seconds, level)


def clip(*parts: Audio) -> Audio:
    return np.concatenate(parts)


def in_seconds(found: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(first / RATE, last / RATE) for first, last in found]


def test_silence_at_the_ends_and_in_the_middle_is_left_out_and_a_short_pause_is_not() -> None:
    dry = clip(silence(4), noise(1), silence(0.8), noise(1), silence(3), noise(2), silence(5))
    assert in_seconds(stretches(dry, RATE)) == [
        pytest.approx((4 - LEAD_S, 6.8 + TAIL_S)),
        pytest.approx((9.8 - LEAD_S, 11.8 + TAIL_S)),
    ]
    assert in_seconds(stretches(noise(2.005), RATE)) == [(0.0, 2.005)]


def test_faint_noise_is_silence_beside_a_sound() -> None:
    dry = clip(silence(3, 0.003), noise(1), silence(3, 0.003))
    assert in_seconds(stretches(dry, RATE)) == [pytest.approx((3 - LEAD_S, 4 + TAIL_S))]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("room_s", [10.0, 9.0, 0.5])
@pytest.mark.parametrize(
    "dry",
    [
        clip(silence(12), noise(3)),
        clip(noise(3), silence(12)),
        clip(noise(1), silence(12), noise(1)),
        clip(silence(1), noise(0.02), silence(3)),
        clip(silence(2), noise(30), silence(2)),
        noise(0.05),
    ],
    ids=["silent start", "silent end", "silent middle", "click", "long", "short"],
)
def test_every_share_plays_what_sounds(dry: Audio, room_s: float, share: float) -> None:
    start_s, end_s = choose_stretch(dry, RATE, room_s, share)
    cut = cut_to_scene(dry, RATE, 10.0, start_s, 10.0 - room_s, end_s=end_s)
    begins = cut.audio[: round((LEAD_S + 0.02) * RATE)]
    assert level_dbfs(begins) > level_dbfs(dry) - 20
    played = cut.audio.size / RATE
    assert played == pytest.approx(min(room_s, end_s - start_s))
    assert level_dbfs(cut.audio) > level_dbfs(dry) - 10


def test_shares_reach_every_stretch_and_every_part_of_a_long_one() -> None:
    two = clip(silence(2), noise(1), silence(4), noise(3))
    starts = [choose_stretch(two, RATE, 10.0, share)[0] for share in np.linspace(0, 0.999, 400)]
    assert {round(start, 2) for start in starts} == {1.99, 6.99}
    assert np.mean(np.array(starts) > 5) == pytest.approx(3.01 / (3.01 + 1.11), abs=0.01)
    long = noise(30)
    starts = [choose_stretch(long, RATE, 10.0, share)[0] for share in np.linspace(0, 0.9999, 100)]
    assert starts == sorted(starts)
    assert (starts[0], starts[-1]) == pytest.approx((0.0, 20.0), abs=0.01)
    assert np.histogram(starts, bins=4, range=(0, 20))[0].tolist() == [25, 25, 25, 25]


def test_a_start_in_a_pause_moves_to_its_end() -> None:
    dry = clip(noise(4), silence(0.9), noise(8))
    start_s, end_s = choose_stretch(dry, RATE, 8.4, 0.999)  # 4.5 s are left over: half a second into the pause
    assert start_s == pytest.approx(4.9)
    assert end_s == pytest.approx(12.9)


def test_a_part_of_a_clip_is_faded_where_it_was_cut_and_nowhere_else() -> None:
    dry = np.ones(RATE, dtype=np.float32)
    inside = cut_to_scene(dry, RATE, 1.0, 0.25, 0.0, end_s=0.75).audio
    ramp = (np.arange(80) + 0.5) / 80
    assert inside.size == 4000
    assert inside[:80] == pytest.approx(ramp)
    assert inside[-80:] == pytest.approx(ramp[::-1])
    assert np.all(inside[80:-80] == 1)
    assert cut_to_scene(dry, RATE, 1.0, 0.0, 0.0, end_s=0.75).audio[0] == 1
    assert np.all(cut_to_scene(dry, RATE, 1.0, 0.25, 0.0).audio == 1)


def test_plays_stand_where_they_begin_with_silence_between_them_and_the_level_is_that_of_the_plays() -> None:
    dry = np.full(1000, 0.5, dtype=np.float32)
    cut = cut_to_scene(dry, 1000, 10.0, 0.0, 2.0, starts_s=(2.0, 4.5, 9.25))
    expected = np.zeros(8000, dtype=np.float32)
    for begin in (0, 2500, 7250):
        expected[begin : begin + 1000] = 0.5
    assert np.array_equal(cut.audio, expected)
    assert (cut.onset, cut.offset_s) == (2000, 10.0)
    assert cut.level_dbfs == pytest.approx(20 * np.log10(0.5))
    assert cut.while_playing(cut.audio).size == 2750
    for starts in ((2.0, 2.5), (1.0, 4.0), (2.0, 10.0)):
        with pytest.raises(ClipError, match="overlap or leave the scene"):
            cut_to_scene(dry, 1000, 10.0, 0.0, 2.0, starts_s=starts)
