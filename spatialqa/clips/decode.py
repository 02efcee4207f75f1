"""Reads one sound file of any format: through libsndfile, or through ffmpeg where it is installed."""

import hashlib
import io
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from spatialqa.clips.clip import RawClip
from spatialqa.clips.prepare import level_dbfs
from spatialqa.clips.stated_length import with_stated_length
from spatialqa.core.interrupts import interrupts_wait
from spatialqa.errors import ClipError, ClipGoneError

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")
FFMPEG_SUFFIXES = (".m4a", ".mp4", ".webm", ".mkv", ".aac", ".wma", ".aif", ".aiff", ".3gp", ".mka")
# Raising anything quieter to a scene's level would make the recording's noise the sound (16-bit noise is at -101 dBFS).
SILENCE_DBFS = -70.0
MAX_RATE_HZ = 384_000
MAX_SAMPLES = 1 << 27  # of all channels together: 512 MiB as float32; 600 s of 48 kHz stereo have 0.43 of it
# Playlists name other files; only these containers, which hold their sound themselves, are opened.
_DEMUXERS = "mov,mp4,m4a,3gp,matroska,webm,aac,asf,aiff"
_FFMPEG_TIMEOUT_S = 60.0


class BadSoundError(ClipError):
    """A file's bytes are not a usable sound; the text is "kind: detail" and does not name the file."""


def read_sound(path: Path, min_duration_s: float = 0.1, max_duration_s: float = 600.0) -> RawClip:
    """Read channel 0 of a sound file, float32 (n,), at its own rate, with the sha256 of the file's bytes.

    Files that end in one of SUFFIXES are read by libsndfile, all others by ffmpeg: which decoder reads a file depends
    on its name alone, so a broken file is broken on every machine.

    Raises:
        BadSoundError: it cannot be decoded, has samples that are not finite, is shorter or longer than it may be, has a
            rate above MAX_RATE_HZ or more than MAX_SAMPLES, or its RMS level is below SILENCE_DBFS; the same bytes fail
            again.
        ClipGoneError: ffmpeg is needed and not here, or did not end in time.
        OSError: the file is not there or cannot be read.
    """
    if path.suffix.lower() not in SUFFIXES:
        return _checked(_through_ffmpeg(path, max_duration_s), min_duration_s, max_duration_s)
    with open_sound(path) as (sha256, file):
        return _checked(_read(file, sha256, max_duration_s), min_duration_s, max_duration_s)


def read_sound_bytes(data: bytes, min_duration_s: float = 0.1, max_duration_s: float = 600.0) -> RawClip:
    """Read channel 0 of a sound file that is in memory; raises BadSoundError as `read_sound` does."""
    sha256 = hashlib.sha256(data).hexdigest()
    with _sound_file(io.BytesIO(data)) as file:
        return _checked(_read(file, sha256, max_duration_s), min_duration_s, max_duration_s)


@contextmanager
def open_sound(path: Path) -> Iterator[tuple[str, soundfile.SoundFile]]:
    """Give the sha256 of a file's bytes and libsndfile's decoder of those same bytes; raises as `read_sound` does."""
    _must_be_regular(path)
    with open(path, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        with _sound_file(stream) as file:
            yield sha256, file


def sound_header(path: Path) -> tuple[float, int]:
    """Return the duration in seconds and the sample rate of a file, without decoding it.

    Raises:
        BadSoundError: it is not a sound file that libsndfile reads.
        OSError: the file is not there or cannot be read.
    """
    _must_be_regular(path)
    with open(path, "rb") as stream, _sound_file(stream) as file:
        return file.frames / file.samplerate, file.samplerate


def ffmpeg_version() -> str | None:
    """Return the first line that the ffmpeg on the PATH says of itself; None where there is none."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    try:
        said = subprocess.run([program, "-version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.decode(errors="replace").partition("\n")[0].strip() or None


def cause(error: Exception) -> str:
    """Return what an OSError or a soundfile error says, in one line."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")


def _must_be_regular(path: Path) -> None:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("it is not a regular file")  # opening a pipe would wait forever


@contextmanager
def _sound_file(stream: BinaryIO) -> Iterator[soundfile.SoundFile]:
    try:
        with interrupts_wait(), soundfile.SoundFile(with_stated_length(stream)) as file:
            yield file
    except soundfile.SoundFileError as error:
        raise BadSoundError(f"unreadable: {cause(error)}") from error


def _read(file: soundfile.SoundFile, sha256: str, max_duration_s: float) -> RawClip:
    rate = file.samplerate
    if file.frames > max_duration_s * rate:
        raise BadSoundError(_too_long(file.frames / rate, max_duration_s))
    if rate > MAX_RATE_HZ:
        raise BadSoundError(f"unsupported: its sample rate is {rate} Hz, over {MAX_RATE_HZ}; resample it")
    if file.frames * file.channels > MAX_SAMPLES:
        raise BadSoundError(f"too large: {file.frames} frames of {file.channels} channels; cut it or keep one channel")
    # One call for the whole file: soundfile seeks after every read, and an MP3 decoder that has sought starts anew
    # without its bit reservoir, so reading in blocks gives other samples.
    audio = file.read(dtype="float32", always_2d=True)
    return RawClip(np.ascontiguousarray(audio[:, 0]), rate, sha256)


def _too_long(duration_s: float, max_duration_s: float) -> str:
    return f"too long: {round(duration_s, 2):g} s, over {max_duration_s:g} s; cut it"


def _checked(raw: RawClip, min_duration_s: float, max_duration_s: float) -> RawClip:
    duration_s = raw.audio.size / raw.sample_rate
    if not raw.audio.size or duration_s < min_duration_s:
        raise BadSoundError(f"too short: {duration_s:.3f} s, under {min_duration_s:g} s")
    if duration_s > max_duration_s:
        raise BadSoundError(_too_long(duration_s, max_duration_s))
    require_sound(raw.audio)
    return raw


def require_sound(audio: npt.NDArray[np.float32]) -> None:
    """Raise BadSoundError for audio with samples that are not finite, or quieter than SILENCE_DBFS."""
    if not np.isfinite(audio).all():
        raise BadSoundError("unreadable: it has samples that are not finite")
    if (level := level_dbfs(audio)) < SILENCE_DBFS:
        raise BadSoundError(f"silent: channel 0 is at {level:.0f} dBFS RMS, under {SILENCE_DBFS:g}")


def _through_ffmpeg(path: Path, max_duration_s: float) -> RawClip:
    """Decode the first sound track by ffmpeg, at its own rate."""
    _must_be_regular(path)
    with open(path, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    program = shutil.which("ffmpeg")
    if program is None:
        raise ClipGoneError(f"{path.name}: {path.suffix} is read through ffmpeg, which is not on the PATH; install it")
    # AU tells rate and channels in its header and may leave the length open, so it can be written into a pipe.
    command = [program, "-hide_banner", "-nostdin", "-v", "error", "-threads", "1"]
    command += ["-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS, "-i", f"file:{path.absolute()}"]
    command += ["-map", "0:a:0", "-af", "pan=mono|c0=c0", "-t", f"{max_duration_s + 1:g}"]
    command += ["-fs", str(4 * MAX_SAMPLES + (1 << 22))]  # past MAX_SAMPLES, so that what is cut off there is refused
    command += ["-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_FFMPEG_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ClipGoneError(
            f"{path.name}: ffmpeg did not end within {_FFMPEG_TIMEOUT_S:g} s; run again, or remove it"
        ) from None
    except OSError as error:
        raise ClipGoneError(f"{path.name}: ffmpeg cannot be started: {cause(error)}") from error
    if done.returncode < 0:
        raise ClipGoneError(
            f"{path.name}: ffmpeg was ended by signal {-done.returncode}; run again, or remove the file"
        )
    if done.returncode or not done.stdout:
        lines = done.stderr.decode(errors="replace").replace(str(path.absolute()), path.name).split("\n")
        said = [line.strip() for line in lines if line.strip()]
        raise BadSoundError(f"unreadable: ffmpeg says: {said[-1] if said else 'no sound in it'}")
    with _sound_file(io.BytesIO(done.stdout)) as file:
        return _read(file, sha256, max_duration_s)
