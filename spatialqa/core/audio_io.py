"""Audio encoding: the FLAC of the tables, and WAV files whose comment states the gain of their data set."""

import io
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from spatialqa.core.interrupts import interrupts_wait

_GAIN = re.compile(r"spatialqa: gain (-?\d{1,3}(?:\.\d+)?) dB")


def write_scene_wav(path: Path, audio: npt.NDArray[np.float32], sample_rate: int, gain_db: float) -> None:
    """Write a scene as a 24-bit WAV file whose comment has the gain of its data set.

    Args:
        path: of the file.
        audio: float32 (channels, n), with the gain.
        sample_rate: in Hz.
        gain_db: of the samples over the level at the ears.

    Raises:
        OSError, soundfile.SoundFileError: it cannot be written.
    """
    with soundfile.SoundFile(path, "w", sample_rate, len(audio), subtype="PCM_24", format="WAV") as file:
        file.comment = f"spatialqa: gain {gain_db:.6f} dB over the level at the ears"
        file.write(audio.T)


def written_gain_db(file: soundfile.SoundFile) -> float | None:
    """Return the gain in dB that write_scene_wav put into an open file, or None in a file of anyone else."""
    found = _GAIN.search(file.comment or "")
    return None if found is None else float(found[1])


Audio = npt.NDArray[np.float32]


_FLAC_LEVEL = 3 / 8  # of 0 to 1: takes four fifths of the time of the usual 5/8, for 0.6 % more bytes

FULL_SCALE = 1.0 - 2.0**-23  # the largest sample that PCM_24 holds


def encode_flac(audio: Audio, sample_rate: int) -> bytes:
    """Encode float32 (channels, n) within full scale as FLAC with 24 bits."""
    buffer = io.BytesIO()
    with interrupts_wait():
        soundfile.write(buffer, audio.T, sample_rate, format="FLAC", subtype="PCM_24", compression_level=_FLAC_LEVEL)
    return buffer.getvalue()


def decode_flac(data: bytes) -> tuple[Audio, int]:
    """Return float32 (channels, n) and the sample rate of an encoded scene."""
    with interrupts_wait():
        audio, sample_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    return np.ascontiguousarray(audio.T), int(sample_rate)


class FlacDecoder:
    """Decodes encoded scenes of one shape into arrays that exist, so that none is made for each.

    Call it inside `interrupts_wait()`.

    Args:
        channels: of every scene.
        n_samples: of every scene.
    """

    def __init__(self, channels: int, n_samples: int) -> None:
        self._frames = np.empty((n_samples, channels), dtype=np.float32)

    def decode(self, data: BinaryIO, out: Audio, factor: float) -> tuple[tuple[int, int], int]:
        """Fill `out` with an encoded scene times a factor, rounded as `decode_flac(...)[0] * np.float32(factor)` is.

        Args:
            data: of the scene, in memory.
            out: float32 (channels, n_samples); left as it is where the scene has another shape.
            factor: for every sample.

        Returns:
            The shape (channels, n) and the sample rate of the encoded scene.

        Raises:
            soundfile.SoundFileError: it cannot be decoded.
        """
        frames = self._frames
        with soundfile.SoundFile(data) as file:
            shape, rate = (file.channels, file.frames), int(file.samplerate)
            if shape == frames.T.shape:
                shape = (file.channels, len(file.read(out=frames)))
        if shape == frames.T.shape:
            np.multiply(frames.T, np.float32(factor), out=out)
        return shape, rate


def encode_rir(rir: Audio) -> bytes:
    """Return an RIR (channels, n) as little-endian float32 in C order, the form of the `rirs` table."""
    return np.ascontiguousarray(rir, dtype="<f4").tobytes()


def decode_rir(data: bytes, n_samples: int) -> Audio:
    """Return the RIR of a row of `rirs`, float32 (channels, n_samples); raises ValueError where it has another size."""
    return np.frombuffer(data, dtype="<f4").reshape(-1, n_samples)
