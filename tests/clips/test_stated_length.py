"""Files whose header states no length, or a wrong one, are read whole."""

import io
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from spatialqa.clips.audioset.clips import AudioSetClips
from spatialqa.clips.decode import BadSoundError, read_sound, read_sound_bytes, sound_header
from spatialqa.clips.folder import FolderClips
from tests.fixtures.audioset import Segment, write_segments

CASE = Path(__file__).parents[3] / "shared" / "cases" / "mp3_vbr_without_xing" / "clips"
Array = npt.NDArray[np.float64]


def sound(rate: int, channels: int = 1, duration_s: float = 3.0) -> Array:
    """Noise for a tenth, then a quiet tone, so that the first frames of an MP3 are the largest."""
    n = round(duration_s * rate)
    audio = 0.02 * np.sin(2 * np.pi * 300 * np.arange(n) / rate)
    audio[: n // 10] = 0.3 * np.random.default_rng(0).standard_normal(n // 10)
    return np.stack([audio] * channels, axis=1)


def encoded(audio: Array, rate: int, form: str, subtype: str, variable: bool = True) -> bytes:
    buffer = io.BytesIO()
    more = {"bitrate_mode": "VARIABLE" if variable else "CONSTANT", "compression_level": 0.4} if form == "MP3" else {}
    soundfile.write(buffer, audio, rate, format=form, subtype=subtype, **more)
    return buffer.getvalue()


def without_xing(data: bytes) -> bytes:
    """Cut off the first frame of libsndfile's MP3, the one with the header: up to the next that begins alike."""
    start = data.index(b"\xff")
    assert b"Xing" in data[start : start + 64] or b"Info" in data[start : start + 64]
    second = data.index(data[start : start + 2], start + 100)
    return data[second:]


def joined_lengths(data: bytes) -> tuple[int, int]:
    """Return how many samples soundfile alone says a file has, and how many are read of it."""
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        return file.frames, read_sound_bytes(data).audio.size


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050, 16_000, 8_000])
def test_an_mp3_of_variable_rate_without_a_header_is_read_whole(rate: int, channels: int) -> None:
    whole = encoded(sound(rate, channels), rate, "MP3", "MPEG_LAYER_III")
    expected = read_sound_bytes(whole).audio
    bare = without_xing(whole)
    stated, _ = joined_lengths(bare)
    assert stated < 0.6 * expected.size  # or the test proves nothing
    read = read_sound_bytes(bare).audio
    assert expected.size <= read.size < expected.size + 2 * 1152
    # the header of the whole file says how much of its start and end is the encoder's own
    shift = next(k for k in range(2 * 1152) if np.array_equal(read[k : k + 500], expected[:500]))
    overlap = min(expected.size, read.size - shift)
    assert np.array_equal(read[shift : shift + overlap], expected[:overlap])


def test_tags_before_and_after_an_mp3_are_no_sound() -> None:
    bare = without_xing(encoded(sound(44_100), 44_100, "MP3", "MPEG_LAYER_III"))
    tagged = b"ID3\x04\0\0\0\0\x02\0" + bytes(256) + bare + b"TAG" + b"x" * 125
    assert np.array_equal(read_sound_bytes(tagged).audio, read_sound_bytes(bare).audio)


def test_joined_mp3_files_are_read_to_the_end() -> None:
    one = encoded(sound(44_100), 44_100, "MP3", "MPEG_LAYER_III")
    stated, read = joined_lengths(one + one)
    assert stated == pytest.approx(3 * 44_100, abs=1)
    assert read == pytest.approx(6 * 44_100, abs=3 * 1152)


@pytest.mark.parametrize("variable", [True, False])
def test_an_mp3_whose_length_is_known_is_left_as_it_is(variable: bool) -> None:
    whole = encoded(sound(44_100), 44_100, "MP3", "MPEG_LAYER_III", variable)
    for data in (whole, *([] if variable else [without_xing(whole)])):
        expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
        assert np.array_equal(read_sound_bytes(data).audio, expected)


def flac_of_unknown_length(data: bytes) -> bytes:
    return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]


@pytest.mark.parametrize(("rate", "n"), [(8_000, 8_000), (16_000, 12_345), (44_100, 4096 * 20), (48_000, 4097)])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_flac_of_unknown_length_is_read_whole(rate: int, n: int, subtype: str) -> None:
    whole = encoded(np.random.default_rng(1).uniform(-0.5, 0.5, (n, 2)), rate, "FLAC", subtype)
    read = read_sound_bytes(flac_of_unknown_length(whole), min_duration_s=0.0).audio
    assert np.array_equal(read, read_sound_bytes(whole, min_duration_s=0.0).audio)


def test_a_flac_of_unknown_length_that_is_cut_off_ends_with_its_last_whole_frame() -> None:
    whole = encoded(np.random.default_rng(1).uniform(-0.5, 0.5, (60_000, 1)), 32_000, "FLAC", "PCM_16")
    read = read_sound_bytes(flac_of_unknown_length(whole)[: len(whole) // 2]).audio
    assert 20_000 < read.size < 30_000
    assert np.array_equal(read, read_sound_bytes(whole).audio[: read.size])


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_wav_out_of_a_pipe_is_read_whole(size: int) -> None:
    whole = encoded(sound(16_000), 16_000, "WAV", "PCM_16")
    at = whole.index(b"data") + 4
    piped = whole[:4] + struct.pack("<I", size) + whole[8:at] + struct.pack("<I", size) + whole[at + 4 :]
    assert np.array_equal(read_sound_bytes(piped).audio, read_sound_bytes(whole).audio)


def test_a_wav_that_holds_nothing_but_says_more_stays_empty() -> None:
    whole = encoded(sound(16_000), 16_000, "WAV", "PCM_16")
    at = whole.index(b"data") + 4
    note = b"LIST" + struct.pack("<I", 4) + b"INFO"
    empty = whole[:4] + struct.pack("<I", at - 4 + len(note)) + whole[8:at] + bytes(4) + note
    with pytest.raises(BadSoundError, match="too short"):
        read_sound_bytes(empty)


def test_an_ogg_without_its_end_is_as_long_as_what_decodes() -> None:
    whole = encoded(sound(44_100), 44_100, "OGG", "VORBIS")
    cut = whole[: whole.rindex(b"OggS")]
    stated, read = joined_lengths(cut)
    assert stated == read > 44_100


def test_folders_and_audioset_agree_with_the_decoder(tmp_path: Path) -> None:
    bare = without_xing(encoded(sound(44_100, duration_s=10.0), 44_100, "MP3", "MPEG_LAYER_III"))
    (tmp_path / "clips" / "Dog").mkdir(parents=True)
    path = tmp_path / "clips" / "Dog" / "a.mp3"
    path.write_bytes(bare)
    raw = read_sound(path)
    assert raw.audio.size / raw.sample_rate == pytest.approx(10.0, abs=0.05)
    assert sound_header(path) == (raw.audio.size / raw.sample_rate, raw.sample_rate)
    clips = FolderClips(tmp_path / "clips")
    assert clips.records()[0].duration_s == raw.audio.size / raw.sample_rate
    assert clips.load(clips.records()[0]).audio.size == raw.audio.size
    write_segments(tmp_path / "audioset" / "eval_segments.csv", [Segment("AAAAAAAAAAA", 30.0, ("Dog",))])
    (tmp_path / "audioset" / "YAAAAAAAAAAA.mp3").write_bytes(bare)
    audioset = AudioSetClips(tmp_path / "audioset")
    assert audioset.load(audioset.records()[0]).audio.size == raw.audio.size


@pytest.mark.skipif(not CASE.is_dir(), reason="the shared cases are not here")
def test_the_shared_case() -> None:
    assert [round(record.duration_s, 1) for record in FolderClips(CASE).records()] == [10.0, 10.0]
