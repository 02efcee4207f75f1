"""Stored RIRs are held to their size and, where they are ambisonic, to the places of their sources."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.geometry import Pose, Vec3, cartesian, to_head, to_world, yaw_quaternion
from spatialqa.dataset.schema import RIRS
from spatialqa.dataset.validation.rirs import RirCheck

RATE = 16_000
LISTENER = Pose((2.0, 1.5, 2.0), yaw_quaternion(70))
Rir = npt.NDArray[np.float32]


def impulse(source: Vec3) -> Rir:
    """A direct sound from the source, W, Y, Z, X, and a louder reflection from ahead a millisecond later."""
    right, up, back = to_head(LISTENER, source)
    distance = float(np.linalg.norm((right, up, back)))
    rir = np.zeros((4, 800), dtype=np.float32)
    rir[:, 100] = np.array([distance, -right, up, -back]) / distance**2
    rir[:, 116] = [2.0, 0.0, 0.0, 2.0]
    return rir


def check(
    folder: Path, change: Callable[[Rir], Rir] = lambda rir: rir, channels: str = "foa", seen: bool = True
) -> tuple[list[str], RirCheck]:
    rows = []
    for k, azimuth in enumerate((-150, -80, -20, 10, 45, 100, 170)):
        x, y, z = (float(v) for v in to_world(LISTENER, cartesian(azimuth, 15.0 * (k % 3 - 1), 1.0 + 0.3 * k)))
        rows.append(
            {
                "rir_id": f"train-g0/{k}",
                "listener_position": list(LISTENER.position),
                "listener_orientation": list(LISTENER.orientation),
                "source_position": [x, y, z],
                "sample_rate": RATE,
                "n_samples": 800,
                "rir": change(impulse((x, y, z))).astype("<f4").tobytes(),
                "drr_db": 1.0 if seen else None,
            }
        )
    path = folder / "train-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=RIRS), path)
    checked = RirCheck(CHANNEL_NAMES[channels])
    return list(checked.file_problems(path)), checked


def test_rirs_that_point_to_their_sources_pass(tmp_path: Path) -> None:
    problems, checked = check(tmp_path)
    assert problems == []
    assert checked.summary.startswith("7 RIRs have 4 channels")
    assert "the direct sound of 7 of 7 comes from its source" in checked.summary


def world_axes(rir: Rir) -> Rir:
    w, y, z, x = rir
    turn = np.radians(70)
    return np.stack([w, y * np.cos(turn) + x * np.sin(turn), z, x * np.cos(turn) - y * np.sin(turn)])


@pytest.mark.parametrize(
    "change",
    [
        lambda rir: rir * np.array([[1], [-1], [1], [1]]),
        lambda rir: rir[[0, 3, 1, 2]],
        lambda rir: rir * np.array([[1], [1], [3], [1]]),
        lambda rir: -rir * np.array([[-1], [1], [1], [1]]),
        world_axes,
    ],
    ids=["left is right", "W X Y Z", "Z too loud", "turned about", "axes of the world"],
)
def test_other_axes_are_found(tmp_path: Path, change: Callable[[Rir], Rir]) -> None:
    problems, _ = check(tmp_path, change)
    assert len(problems) == 1
    assert "comes from more than 5 degrees beside its source" in problems[0]


def test_no_direction_is_asked_of_ears_or_of_what_is_out_of_sight(tmp_path: Path) -> None:
    for problems, checked in (
        check(tmp_path, lambda rir: rir[:2], channels="binaural"),
        check(tmp_path, world_axes, seen=False),
    ):
        assert problems == []
        assert checked.n_rirs == 7
        assert "direct sound" not in checked.summary


@pytest.mark.parametrize(
    ("change", "channels", "message"),
    [
        (lambda rir: rir[:2], "foa", "holds 6400 bytes, not 4 channels of 800 float32 samples"),
        (lambda rir: rir, "binaural", "holds 12800 bytes, not 2 channels"),
        (lambda rir: rir * 0, "foa", "is silent or not finite"),
        (lambda rir: rir * np.float32(np.inf), "foa", "is silent or not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_every_rir_has_its_samples(tmp_path: Path, change: Callable[[Rir], Rir], channels: str, message: str) -> None:
    problems, _ = check(tmp_path, change, channels)
    assert len(problems) == 7
    assert all(message in problem for problem in problems)
    assert problems[3].startswith("rirs/train-00000-of-00001.parquet: train-g0/3: ")
