"""Reads SpatialSoundQA's released layout as its description says (arXiv 2402.01591); it shares no code with spatialqa.

A clip is brought to -14 dBFS RMS as a whole, convolved with its RIR and kept for 10 s at 32 kHz; two are averaged.
Left and right, front and behind, above and below are the signs of source minus sensor: x, z and y, -z ahead.
"""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from scipy.signal import fftconvolve

RATE = 32000
KEPT = 10 * RATE
TYPES = {
    "CLASSIFICATION",
    "DOA",
    "MIXUP_SINGLE_CLASSIFICATION",
    "MIXUP_SINGLE_DOA",
    "MIXUP_DIRECTION",
    "MIXUP_DISTANCE_BOTH",
    "MIXUP_NONBINARY_DISTANCE",
    "MIXUP_NONBINARY_SOURCE",
    "MIXUP_NONBINARY_DIRECTION",
}
KEYS = ["audio_id", "reverb_id", "audio_id2", "reverb_id2", "question_id", "question_type", "question", "answer"]


def read_records(root: Path, split: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((root / "questions" / f"{split}.json").read_text())["data"]
    lines = (root / "questions" / f"{split}.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == records
    for record in records:
        assert list(record) == KEYS
        assert record["question_type"] in TYPES
        assert (record["audio_id2"] is None) == (record["reverb_id2"] is None)
    return records


def read_places(root: Path, split: str) -> dict[str, tuple[list[float], list[float]]]:
    items = json.loads((root / "mp3d_reverb" / f"{split}_reverberation.json").read_text())["data"]
    return {item["fname"]: (_place(item["sensor_position"]), _place(item["source_position"])) for item in items}


def _place(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def hear(root: Path, record: dict[str, Any]) -> npt.NDArray[np.float64]:
    heard = [_one(root, record["audio_id"], record["reverb_id"])]
    if record["audio_id2"] is not None:
        heard.append(_one(root, record["audio_id2"], record["reverb_id2"]))
    return np.asarray(np.mean(heard, axis=0), dtype=np.float64)


def _one(root: Path, audio_id: str, reverb_id: str) -> npt.NDArray[np.float64]:
    dry, rate = soundfile.read(root / f"{audio_id}.wav")
    assert rate == RATE
    assert dry.ndim == 1
    dry = dry * 10 ** (-14 / 20) / math.sqrt(np.mean(dry**2))
    rir = np.load(root / "mp3d_reverb" / "binaural" / reverb_id, allow_pickle=False)
    assert rir.shape[0] == 2
    assert rir.dtype == np.float32
    wet = fftconvolve(dry[None, :], rir, mode="full", axes=1)[:, :KEPT]
    return np.pad(wet, ((0, 0), (0, KEPT - wet.shape[1])))


def location(sensor: list[float], source: list[float]) -> str:
    x, y, z = (b - a for a, b in zip(sensor, source, strict=True))
    words = ["left" if x < 0 else "right", "front" if z < 0 else "behind", "above" if y > 0 else "below"]
    return f"{', '.join(words)}; {round(2 * math.sqrt(x * x + y * y + z * z)) / 2:g}m"


def read_clips(root: Path, split: str) -> tuple[list[tuple[Path, list[int]]], list[float], list[str]]:
    """Return the dry clips of Spatial-AST's own lists with the rows of their classes, weights, and all classes."""
    with (root / "metadata" / "class_labels_indices_subset.csv").open(newline="") as file:
        classes = [row["mid"] for row in csv.DictReader(file)]
    clips = json.loads((root / "metadata" / f"{split}.json").read_text())
    listed = [
        (root / clip["folder"] / (clip["id"] + ".wav"), [classes.index(mid) for mid in clip["label"]]) for clip in clips
    ]
    weights = np.loadtxt(root / "metadata" / f"{split}_weight.csv", delimiter=",", ndmin=1)
    return listed, weights.tolist(), classes
