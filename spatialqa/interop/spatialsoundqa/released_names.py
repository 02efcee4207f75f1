"""Maps our names, places and dry signals to SpatialSoundQA's released layout (arXiv 2402.01591)."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from spatialqa.clips.prepare import cut_to_scene
from spatialqa.core.geometry import IDENTITY, Pose, Vec3, to_head

SAMPLE_RATE_HZ = 32000
DURATION_S = 10.0
CLIP_RMS_DBFS = -14.0
REVERB_ROOT = "mp3d_reverb"

# Our splits, and the name that the released files give each; the released set has no validation.
SPLIT_NAMES: Mapping[str, str] = {"train": "train", "validation": "validation", "test": "eval"}

QUESTION_TYPES: Mapping[str, str] = {
    "classification": "CLASSIFICATION",
    "location": "DOA",
    "classification_at_location": "MIXUP_SINGLE_CLASSIFICATION",
    "location_of_class": "MIXUP_SINGLE_DOA",
    "relative_direction": "MIXUP_DIRECTION",
    "both_on_side": "MIXUP_DIRECTION",
    "relative_distance": "MIXUP_DISTANCE_BOTH",
    "distance_between": "MIXUP_NONBINARY_DISTANCE",
    "source_at_direction": "MIXUP_NONBINARY_SOURCE",
    "direction_word": "MIXUP_NONBINARY_DIRECTION",
}

_LEVEL_TONE_HZ = 1000.0


def dry_signal(
    clip: npt.NDArray[np.float32],
    sample_rate: int,
    duration_s: float,
    start_s: float,
    onset_s: float,
    *,
    end_s: float | None = None,
    starts_s: Sequence[float] | None = None,
) -> npt.NDArray[np.float32]:
    """Return a dry signal that a reader of the released form hears as the scene has it, and at its level.

    Such a reader brings the whole file to -14 dBFS RMS, convolves it and keeps 10 s. A clip that sounds from its start
    and from the scene's start is therefore given whole. Any other is placed within 10 s as the scene has it; behind
    that, where it is not heard, follow the rest of the clip and, for the silence that was added, a tone, so that the
    whole has the RMS of the clip and the reader applies the same gain to every signal. Behind a part of a clip, or one
    that repeats, follows a tone alone.

    Args:
        clip: float32 (n,), prepared: at `sample_rate` and at the level of the data set.
        sample_rate: Hz.
        duration_s: length of the scene, at most 10 s.
        start_s: where in the clip the scene begins.
        onset_s: where in the scene the clip begins.
        end_s, starts_s: where in the clip it ends, and where in the scene each play begins; see `cut_to_scene`.

    Returns:
        float32 (m,).
    """
    heard_samples = round(DURATION_S * sample_rate)
    heard = cut_to_scene(clip, sample_rate, duration_s, start_s, onset_s, end_s=end_s, starts_s=starts_s)
    first, last = round(start_s * sample_rate), round(start_s * sample_rate) + heard.audio.size
    ends_alike = last == clip.size or round(duration_s * sample_rate) == heard_samples
    whole = end_s is None and len(heard.plays) == 1
    if whole and first == heard.onset == 0 and ends_alike:
        return clip
    front = np.zeros(heard_samples, dtype=np.float32)
    front[heard.onset : heard.onset + heard.audio.size] = heard.audio
    if not whole:
        return np.concatenate([front, _balancing_tone(front, clip, sample_rate)])
    signal = np.concatenate([front, clip[:first], clip[last:]])
    return np.concatenate([signal, _level_tone(signal.size - clip.size, clip, sample_rate)])


def _balancing_tone(
    front: npt.NDArray[np.float32], clip: npt.NDArray[np.float32], sample_rate: int
) -> npt.NDArray[np.float32]:
    """Return a tone of a second or more which, behind `front`, gives the two together the power of the clip."""
    power = float(np.mean(np.square(clip, dtype=np.float64)))
    energy = float(np.sum(np.square(front, dtype=np.float64)))
    n = max(sample_rate, math.ceil(energy / power))
    tone = np.sin(2 * np.pi * _LEVEL_TONE_HZ / sample_rate * np.arange(n))
    scale = np.sqrt((power * (front.size + n) - energy) / np.sum(np.square(tone)))
    return np.asarray(scale * tone, dtype=np.float32)


def _level_tone(silent_samples: int, clip: npt.NDArray[np.float32], sample_rate: int) -> npt.NDArray[np.float32]:
    """Return a tone as long as the silence that was added and of twice the clip's power: the two balance."""
    tone = np.sin(2 * np.pi * _LEVEL_TONE_HZ / sample_rate * np.arange(silent_samples))
    power = float(np.mean(np.square(clip, dtype=np.float64)))
    scale = np.sqrt(2 * power / np.mean(np.square(tone))) if silent_samples > 1 else 0.0
    return np.asarray(scale * tone, dtype=np.float32)


def source_position(listener: Pose, position: Vec3) -> Vec3:
    """Return a source's place as the released form wants it: relative to the sensor as the head hears it.

    Readers take direction and distance from source minus sensor in world axes, as if every head faced -z. The place
    is therefore turned about the listener's own into the head frame; where the head faces -z nothing changes.
    """
    if listener.orientation == IDENTITY:
        return position
    x, y, z = (float(v) for v in np.asarray(listener.position) + to_head(listener, position))
    return (x, y, z)


def position_text(position: Vec3) -> str:
    """Return a place as the released files write it: "x,y,z", metres, without loss."""
    return ",".join(repr(float(value)) for value in position)


def file_name(identifier: str) -> str:
    """Return an id as one part of a path: what is not a letter, a digit, - or _ becomes _."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", identifier) or "_"


def audio_name(clip_id: str, start_sample: int, onset_sample: int, plays: Sequence[int] = ()) -> str:
    """Return the file name, without ending, of a clip as a scene uses it: the clip's id alone where that will do.

    plays: what else it depends on, of a clip that ends early or repeats: the samples where it ends and where each play
    begins.
    """
    name = file_name(clip_id)
    if name == clip_id and start_sample == onset_sample == 0 and not plays:
        return name
    use = "\n".join(map(str, (clip_id, start_sample, onset_sample, *plays)))
    digest = hashlib.sha256(use.encode()).hexdigest()
    return f"{name}-{digest[:8]}"
