import os
import shutil
import stat
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from spatialqa.clips import decode
from spatialqa.clips.audioset.clips import AudioSetClips
from spatialqa.clips.decode import (
    FFMPEG_SUFFIXES,
    SUFFIXES,
    BadSoundError,
    ffmpeg_version,
    read_sound,
    read_sound_bytes,
    sound_header,
)
from spatialqa.errors import ClipGoneError
from tests.fixtures.audioset import Segment, flac_bytes, write_segments, write_sound

RATE = 44100
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg on the PATH")


def tone(frequency_hz: float = 440.0, duration_s: float = 1.0) -> npt.NDArray[np.float32]:
    t = np.arange(round(duration_s * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def pitch_hz(audio: npt.NDArray[np.float32], rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio * np.hanning(audio.size)))) * rate / audio.size)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_channel_0_is_taken_at_its_own_rate(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    stereo = np.stack([tone(440.0), tone(1000.0)], axis=1)
    rate = 48000 if suffix == ".opus" else RATE
    form = {"format": "OGG", "subtype": "OPUS" if suffix == ".opus" else "VORBIS"}
    soundfile.write(path, stereo, rate, **(form if suffix in (".ogg", ".oga", ".opus") else {}))
    raw = read_sound(path)
    assert raw.sample_rate == rate
    assert raw.audio.dtype == np.float32
    assert raw.audio.ndim == 1
    assert pitch_hz(raw.audio, rate) == pytest.approx(440.0 * rate / RATE, abs=2.0)
    duration_s, header_rate = sound_header(path)
    assert (round(duration_s * rate), header_rate) == (raw.audio.size, rate)
    in_memory = read_sound_bytes(path.read_bytes())
    assert np.array_equal(in_memory.audio, raw.audio)
    assert in_memory.sha256 == raw.sha256


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (tone(duration_s=0.05), "too short: 0.050 s, under 0.1 s"),
        (np.zeros(0, dtype=np.float32), "too short: 0.000 s, under 0.1 s"),
        (tone(duration_s=3.0), "too long: 3 s, over 2 s; cut it"),
        (np.zeros(RATE, dtype=np.float32), "silent: channel 0 is at -inf dBFS RMS, under -70"),
        (np.full(RATE, np.nan, dtype=np.float32), "unreadable: it has samples that are not finite"),
    ],
)
def test_sound_that_cannot_be_used(tmp_path: Path, audio: npt.NDArray[np.float32], said: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, audio, RATE, subtype="FLOAT")
    with pytest.raises(BadSoundError) as from_file:
        read_sound(path, 0.1, 2.0)
    with pytest.raises(BadSoundError) as from_memory:
        read_sound_bytes(path.read_bytes(), 0.1, 2.0)
    assert str(from_file.value) == str(from_memory.value) == said


def test_what_a_header_asks_for_is_bounded_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = np.repeat(tone(duration_s=0.2)[:, None], 4, axis=1)
    for rate in (decode.MAX_RATE_HZ, decode.MAX_RATE_HZ + 1, 2_000_000_000):
        soundfile.write(tmp_path / "fast.wav", np.tile(wide, (5, 1)), rate)
        if rate == decode.MAX_RATE_HZ:
            assert read_sound(tmp_path / "fast.wav").sample_rate == rate
            continue
        with pytest.raises(BadSoundError, match=f"unsupported: its sample rate is {rate} Hz, over 384000"):
            read_sound(tmp_path / "fast.wav")
        with pytest.raises(BadSoundError, match="^unsupported: "):
            read_sound_bytes((tmp_path / "fast.wav").read_bytes())
    soundfile.write(tmp_path / "wide.wav", wide, RATE)
    monkeypatch.setattr(decode, "MAX_SAMPLES", wide.size)
    assert read_sound(tmp_path / "wide.wav").audio.size == len(wide)
    monkeypatch.setattr(decode, "MAX_SAMPLES", wide.size - 1)
    with pytest.raises(BadSoundError, match="too large: 8820 frames of 4 channels"):
        read_sound(tmp_path / "wide.wav")


def test_a_wide_file_costs_no_memory(tmp_path: Path) -> None:
    # 1000 channels of 200 s in a few bytes: a WAV of holes, 8.8 GB when decoded to float32.
    path = tmp_path / "holes.wav"
    soundfile.write(path, np.zeros((1, 1000), dtype=np.float32), 11025, subtype="PCM_U8")
    header = bytearray(path.read_bytes()[:-1000])
    n = 200 * 11025 * 1000
    header[4:8], header[-4:] = (n + len(header) - 8).to_bytes(4, "little"), n.to_bytes(4, "little")
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + n)
    whole = path.open("rb")
    with (
        whole,
        decode._sound_file(whole) as file,
        pytest.raises(BadSoundError, match="too large: 2205000 frames of 1000 channels"),
    ):
        decode._read(file, "", 600.0)


def test_bytes_that_are_no_sound(tmp_path: Path) -> None:
    flac = flac_bytes(tone())
    for data in (b"", b"no sound", flac[:3000], b"\0" * 5000):
        (tmp_path / "a.flac").write_bytes(data)
        with pytest.raises(BadSoundError, match="^unreadable: "):
            read_sound(tmp_path / "a.flac")
        with pytest.raises(BadSoundError, match="^unreadable: "):
            read_sound_bytes(data)
    with pytest.raises(FileNotFoundError):
        read_sound(tmp_path / "b.flac")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("a.wav", "b.m4a"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(OSError, match="not a regular file"):
            read_sound(tmp_path / name)


def test_without_ffmpeg_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.m4a").write_bytes(b"x")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ffmpeg_version() is None
    with pytest.raises(
        ClipGoneError, match=r"a.m4a: .m4a is read through ffmpeg, which is not on the PATH; install it"
    ):
        read_sound(tmp_path / "a.m4a")


def test_without_ffmpeg_such_files_are_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_segments(
        tmp_path / "eval_segments.csv", [Segment("abcdefghijk", 0, ("Bark",)), Segment("b" * 11, 0, ("Cat",))]
    )
    write_sound(tmp_path / "abcdefghijk.wav", tone())
    (tmp_path / "bbbbbbbbbbb.m4a").write_bytes(b"x")
    monkeypatch.setenv("PATH", str(tmp_path))
    clips = AudioSetClips(tmp_path)
    assert len(clips.records()) == 1
    assert {r.path: r.reason.split(":")[0] for r in clips.rejected()}["bbbbbbbbbbb.m4a"] == "unsupported"


def program(folder: Path, text: str) -> None:
    """Put a program called ffmpeg on the PATH's first folder."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_an_ffmpeg_that_hangs_or_dies_is_no_fault_of_the_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.m4a").write_bytes(b"x")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(decode, "_FFMPEG_TIMEOUT_S", 0.3)
    program(tmp_path, "exec sleep 30")
    with pytest.raises(ClipGoneError, match=r"a\.m4a: ffmpeg did not end within 0\.3 s"):
        read_sound(tmp_path / "a.m4a")
    program(tmp_path, "kill -9 $$")
    with pytest.raises(ClipGoneError, match=r"a\.m4a: ffmpeg was ended by signal 9"):
        read_sound(tmp_path / "a.m4a")
    program(tmp_path, "echo one >&2; echo broken >&2; exit 1")
    with pytest.raises(BadSoundError, match="^unreadable: ffmpeg says: broken$"):
        read_sound(tmp_path / "a.m4a")


def encode(source: Path, path: Path) -> Path:
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-i", f"file:{source}", "-y", f"file:{path}"], check=True, timeout=60
    )
    return path


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".mkv", ".mp4", ".aac", ".wma", ".aiff", ".mka"])
def test_other_formats_are_read_by_ffmpeg(tmp_path: Path, suffix: str) -> None:
    assert suffix in FFMPEG_SUFFIXES
    stereo = np.stack([tone(440.0), tone(1000.0)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE)
    raw = read_sound(encode(tmp_path / "a.wav", tmp_path / f"-i b:c{suffix}"))
    assert raw.sample_rate == (48000 if suffix == ".webm" else RATE)
    assert pitch_hz(raw.audio, raw.sample_rate) == pytest.approx(440.0, abs=2.0)
    assert raw.audio.size / raw.sample_rate == pytest.approx(1.0, abs=0.08)
    assert np.sqrt(np.mean(raw.audio**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)
    if suffix == ".aiff":
        assert np.abs(raw.audio - stereo[:, 0]).max() < 1e-4


@needs_ffmpeg
def test_what_ffmpeg_cannot_read_and_what_it_must_not(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    good = encode(tmp_path / "a.wav", tmp_path / "a.m4a")
    soundfile.write(tmp_path / "long.wav", tone(duration_s=4.0), RATE)
    with pytest.raises(BadSoundError, match="too long"):
        read_sound(encode(tmp_path / "long.wav", tmp_path / "long.m4a"), max_duration_s=2.0)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{good}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile '{good}'\n"
    for name, data in [
        ("cut.m4a", good.read_bytes()[:200]),
        ("empty.webm", b""),
        ("list.mp4", playlist.encode()),
        ("list.m4a", concat.encode()),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadSoundError, match="^unreadable: ffmpeg says: ") as caught:
            read_sound(tmp_path / name)
        assert "\n" not in str(caught.value)


@needs_ffmpeg
def test_a_tree_of_m4a_is_audioset_too(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    write_segments(tmp_path / "eval_segments.csv", [Segment("-bcdefghijk", 5, ("Bark",))])
    encode(tmp_path / "a.wav", tmp_path / "-bcdefghijk_5000_15000.m4a")
    clips = AudioSetClips(tmp_path)
    (record,) = clips.records()
    assert clips.load(record).sample_rate == RATE
