"""Finds the stretches of a clip that sound, and the one that a source plays (docs/labels.md defines the gate)."""

import numpy as np
import numpy.typing as npt

FRAME_S = 0.01
GATE_DB = -20.0  # re the RMS level of the whole clip
LONGEST_PAUSE_S = 1.0  # within a stretch
LEAD_S, TAIL_S = 0.01, 0.1  # kept before the first and after the last frame over the gate


def sounding_frames(dry: npt.NDArray[np.float32], sample_rate: int) -> npt.NDArray[np.bool_]:
    """Return which frames of FRAME_S reach the gate: bool (n,). The last frame may be shorter."""
    size = max(1, round(FRAME_S * sample_rate))
    square = np.square(dry, dtype=np.float64)
    firsts = np.arange(0, dry.size, size)
    power = np.add.reduceat(square, firsts) / np.minimum(size, dry.size - firsts)
    loud: npt.NDArray[np.bool_] = power >= np.mean(square) * 10.0 ** (GATE_DB / 10.0)
    return loud


def stretches(dry: npt.NDArray[np.float32], sample_rate: int) -> list[tuple[int, int]]:
    """Return the stretches that sound, as samples [first, last) in order. A clip that is not silent has one or more."""
    size = max(1, round(FRAME_S * sample_rate))
    loud = np.flatnonzero(sounding_frames(dry, sample_rate))
    breaks = np.flatnonzero(np.diff(loud) - 1 > round(LONGEST_PAUSE_S / FRAME_S))
    firsts, lasts = loud[np.r_[0, breaks + 1]] * size, (loud[np.r_[breaks, loud.size - 1]] + 1) * size
    lead, tail = round(LEAD_S * sample_rate), round(TAIL_S * sample_rate)
    return [
        (max(0, int(first) - lead), min(dry.size, int(last) + tail)) for first, last in zip(firsts, lasts, strict=True)
    ]


def choose_stretch(dry: npt.NDArray[np.float32], sample_rate: int, room_s: float, share: float) -> tuple[float, float]:
    """Return where in the clip a source begins and ends, in seconds.

    Args:
        dry: float32 (n,), a clip that is not silent.
        sample_rate: Hz.
        room_s: how much of the scene is left for it.
        share: drawn from [0, 1). It is a place on all stretches laid end to end. Within a stretch that is longer than
            `room_s` it also says how much of it is skipped; a start in a pause moves to the end of the pause.
    """
    found = stretches(dry, sample_rate)
    ends = np.cumsum([last - first for first, last in found])
    place = share * ends[-1]
    index = min(int(np.searchsorted(ends, place, side="right")), len(found) - 1)
    first, last = found[index]
    spare = (last - first) - round(room_s * sample_rate)
    if spare > 0:
        within = 1.0 - (ends[index] - place) / (last - first)
        first = _next_sound(dry, sample_rate, first + int(within * spare))
    return first / sample_rate, last / sample_rate


def _next_sound(dry: npt.NDArray[np.float32], sample_rate: int, first: int) -> int:
    """Return `first`, or where the next frame over the gate begins if `first` lies in a frame below it."""
    size = max(1, round(FRAME_S * sample_rate))
    loud = sounding_frames(dry, sample_rate)[first // size :]
    skipped = int(np.argmax(loud))
    return first if skipped == 0 else (first // size + skipped) * size
