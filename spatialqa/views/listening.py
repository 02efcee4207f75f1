"""Audio that a browser plays: two ears of any channel layout, in a file of modest size."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
from scipy.signal import oaconvolve

from spatialqa.acoustics.geometric.parametric_head import parametric_head
from spatialqa.rooms.mesh.rays import sphere_directions

Audio = npt.NDArray[np.float32]

_BUDGET_BYTES = 46_000_000  # of all audio of a page
_LOUDSPEAKERS = 32
_MAX_RE = 0.577  # weight of the first order that makes the energy of a decoded wave point best to where it comes from
_LEAD = 48  # samples before the head's centre hears a wave: the nearer ear is earlier
_BLOCK = 4096  # frames; libsndfile's Vorbis encoder needs more stack the more it is given at once


@dataclass(frozen=True)
class Coding:
    """How audio is stored. bytes_per_frame: about, of two channels of rendered scenes."""

    name: str
    suffix: str
    media_type: str
    bytes_per_frame: float
    compression: float | None  # of Vorbis: 0 is the best quality, 1 the smallest file


FLAC = Coding("FLAC, 16 bits", "flac", "audio/flac", 2.1, None)
_CODINGS = (
    FLAC,
    Coding("Ogg Vorbis, quality 7", "ogg", "audio/ogg", 0.7, 0.3),
    Coding("Ogg Vorbis, quality 4", "ogg", "audio/ogg", 0.4, 0.6),
)


def coding_for(frames: int) -> Coding:
    """Return the best coding in which that many frames of two channels stay within the size of a page."""
    return next((c for c in _CODINGS if frames * c.bytes_per_frame <= _BUDGET_BYTES), _CODINGS[-1])


def encode(ears: Audio, sample_rate: int, coding: Coding) -> bytes:
    """Return float32 (2, n) as a file; what is beyond full scale is cut."""
    buffer = io.BytesIO()
    cut = np.clip(ears, -1.0, 1.0 - 2.0**-15).T
    if coding.compression is None:
        soundfile.write(buffer, cut, sample_rate, format="FLAC", subtype="PCM_16")
        return buffer.getvalue()
    options = {"format": "OGG", "subtype": "VORBIS", "compression_level": coding.compression}
    with soundfile.SoundFile(buffer, "w", sample_rate, 2, **options) as file:
        for start in range(0, len(cut), _BLOCK):
            file.write(cut[start : start + _BLOCK])
    return buffer.getvalue()


def for_two_ears(audio: Audio, channels: str, sample_rate: int) -> Audio:
    """Return a scene as float32 (2, n), left and right.

    Two channels stay as they are, one is given to both ears. First-order ambisonics is decoded to loudspeakers all
    around and heard by the parametric head (`acoustics/geometric/parametric_head.py`), as if the nose pointed along X.

    Args:
        audio: (channels, n).
        channels: the layout, as in `core/channels.py`.
        sample_rate: Hz.
    """
    if channels == "foa":
        filters = _ears_of_ambisonics(sample_rate)
        ears = oaconvolve(audio[None, :, :], filters, axes=-1).sum(axis=1)
        return np.asarray(ears[:, _LEAD : _LEAD + audio.shape[1]], dtype=np.float32)
    return audio if len(audio) == 2 else np.repeat(audio[:1], 2, axis=0)


def _ears_of_ambisonics(sample_rate: int) -> npt.NDArray[np.float64]:
    """Return the responses of both ears to W, Y, Z and X, float64 (2, 4, n)."""
    directions = sphere_directions(_LOUDSPEAKERS)  # (D, 3): right, up, back
    head = parametric_head(sample_rate, directions=directions)
    taps = head.responses.shape[2]
    n = 1 << (taps + 2 * _LEAD - 1).bit_length()
    turns = np.exp(-2j * np.pi * np.fft.rfftfreq(n) * (head.delays[..., None] + _LEAD))
    responses = np.fft.irfft(np.fft.rfft(head.responses, n) * turns, n)
    first = 3.0 * _MAX_RE
    right, up, back = directions.T
    gains = np.stack([np.ones_like(right), -first * right, first * up, -first * back]) / len(directions)
    return np.asarray(np.einsum("cd,den->ecn", gains, responses), dtype=np.float64)
