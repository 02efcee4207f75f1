"""Ctrl-C in the midst of native code that calls back into Python ends what runs and is not lost; SIGTERM is like it."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from spatialqa.clips.decode import read_sound_bytes
from spatialqa.core.audio_io import decode_flac, encode_flac
from spatialqa.core.interrupts import interrupts_wait, stop_on_signals, stopped_by
from tests.fixtures.kills import REPOSITORY

AUDIO = np.zeros((2, 48000), dtype=np.float32)


class Pressed(io.BytesIO):
    """A stream in whose midst somebody presses Ctrl-C, once."""

    pressed = False

    def tell(self) -> int:
        if not Pressed.pressed:
            Pressed.pressed = True
            signal.raise_signal(signal.SIGINT)
        return super().tell()


@pytest.fixture(autouse=True)
def pressing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let streams be such, Python's own handler be in place, and see afterwards that it is."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(io, "BytesIO", Pressed)
    monkeypatch.setattr(Pressed, "pressed", False)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_an_interrupt_while_a_scene_is_encoded_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt):
        encode_flac(AUDIO, 48000)
    assert Pressed.pressed


def test_an_interrupt_while_sounds_are_decoded_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pressed, "pressed", True)
    data = encode_flac(AUDIO, 48000)
    for read in (decode_flac, read_sound_bytes):
        monkeypatch.setattr(Pressed, "pressed", False)
        with pytest.raises(KeyboardInterrupt):
            read(data)
        assert Pressed.pressed


@pytest.mark.filterwarnings("ignore")
def test_without_it_soundfile_forgets_an_interrupt() -> None:
    """Should this fail, soundfile has mended it, and interrupts_wait may go."""
    soundfile.write(io.BytesIO(), AUDIO.T, 48000, format="FLAC", subtype="PCM_24")
    assert Pressed.pressed


def test_it_leaves_other_threads_and_other_handlers_alone() -> None:
    seen: list[Any] = []

    def elsewhere() -> None:
        with interrupts_wait():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
    own = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    with interrupts_wait():
        signal.raise_signal(signal.SIGINT)
        assert seen[1:] == [signal.SIGINT]
    signal.signal(signal.SIGINT, own)


def test_an_error_within_is_kept_and_nested_ones_raise_once() -> None:
    with pytest.raises(ValueError, match="within"), interrupts_wait():
        raise ValueError("within")
    reached = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with interrupts_wait():
            with interrupts_wait():
                signal.raise_signal(signal.SIGINT)
            reached.append(1)
        reached.append(2)
    assert reached == [1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_raised_once_and_waits_for_native_code(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    reached = []
    try:
        stop_on_signals()
        with pytest.raises(KeyboardInterrupt), interrupts_wait():  # noqa: PT012
            signal.raise_signal(number)
            reached.append(1)
        assert stopped_by() == number
        assert reached == [1]
        signal.raise_signal(signal.SIGINT)  # what follows does not disturb the clearing up
        signal.raise_signal(signal.SIGTERM)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_an_ignored_signal_stays_ignored() -> None:
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop_on_signals()
        signal.raise_signal(signal.SIGTERM)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_ctrl_c_before_the_program_is_imported_ends_it_in_silence(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("print('importing', flush=True)\nimport time\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    heeded = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        started = subprocess.Popen(
            [sys.executable, "-m", "spatialqa", "--version"],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, heeded)
    assert started.stdout is not None
    assert started.stdout.readline() == "importing\n"
    started.send_signal(signal.SIGINT)
    assert started.communicate(timeout=30)[0] == ""
    assert started.returncode == -signal.SIGINT
