"""A small data set with audio that pages are made of: positions, sounds and questions are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from spatialqa.api.hand_made import ask
from spatialqa.core.audio_io import encode_flac
from spatialqa.core.geometry import Pose, cartesian, yaw_quaternion
from spatialqa.core.scene import Scene
from tests.fixtures.datasets import written
from tests.fixtures.scenes import HEAD, Sound, heard_at, with_angles

RATE = 16000
SECONDS = 2.0
SOUNDS: list[list[tuple[float, float, float, str, bool | None]]] = [  # azimuth, elevation, distance, label, in sight
    [(120.0, -20.0, 1.5, "Bark", True), (-45.0, 10.0, 3.0, "Doorbell", False)],
    [(20.0, 25.0, 0.8, "Whistle", True)],
    [(-100.0, -15.0, 5.0, "Bark", None), (60.0, 30.0, 2.5, "Knock", True)],
]
SPLITS = ("train", "train", "test")


def scenes() -> list[Scene]:
    """Return three scenes of a head that is turned by 0, 40 and 80 degrees."""
    made = []
    for k, sounds in enumerate(SOUNDS):
        places: list[Sound] = []
        for azimuth, elevation, distance, label, _ in sounds:
            x, y, z = cartesian(azimuth, elevation, distance).tolist()
            places.append(((x, y, z), [label]))
        scene_id = f"{SPLITS[k]}-{k:08d}"
        listener = Pose(HEAD, yaw_quaternion(40.0 * k))
        scene = heard_at(*places, listener=listener, scene_id=scene_id, sample_rate=RATE, duration_s=SECONDS)
        sources = [
            replace(source, line_of_sight=sounds[n][4], onset_s=0.5 * n) for n, source in enumerate(scene.sources)
        ]
        made.append(with_angles(replace(scene, sources=tuple(sources))))
    return made


def dataset_for_pages(root: Path, count: int = 3) -> Path:
    """Write these scenes, repeated up to `count`, with a tone for audio and with questions."""
    rows, questions = [], []
    for number in range(count):
        scene = scenes()[number % 3]
        scene = replace(scene, scene_id=f"{scene.split}-{number:08d}")
        t = np.arange(int(SECONDS * RATE)) / RATE
        tone = 0.01 * np.sin(2 * np.pi * 440 * t)
        audio = np.stack([tone, 0.5 * tone]).astype(np.float32)
        rows.append({**scene.to_row(), "audio": {"bytes": encode_flac(audio, RATE), "path": None}})
        questions += [question.to_row() for question in ask(scene, ("A", "B", "C", "D", "E"))]
    order = {"train": 0, "test": 1}
    return written(root, sorted(rows, key=lambda row: order[row["split"]]), questions)
