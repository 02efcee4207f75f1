"""The same call gives the same bytes: again, after other calls, in another thread, in another process."""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from spatialqa.acoustics.soundspaces import rlr_api
from spatialqa.acoustics.soundspaces.engine import SoundSpacesEngine
from spatialqa.core.geometry import Pose, Vec3, yaw_quaternion
from tests.acoustics.boxes import shoebox
from tests.acoustics.hearing import RATE, Rir

pytestmark = pytest.mark.soundspaces

LISTENER = Pose((2.0, 1.5, 2.0), yaw_quaternion(30))
SOURCES: list[Vec3] = [(4.6, 1.2, 3.6), (5.1, 1.7, 0.9), (0.8, 0.7, 4.1)]


def digest(rirs: list[Rir]) -> str:
    return hashlib.sha256(b"".join(rir.tobytes() for rir in rirs)).hexdigest()


def simulated(seed: int = 0) -> list[Rir]:
    with SoundSpacesEngine(RATE).open(shoebox((6.0, 3.0, 5.0), 0.3)) as opened:
        return opened.rirs(LISTENER, SOURCES, seed)


def test_the_same_call_gives_the_same_bytes_whatever_came_between() -> None:
    expected = digest(simulated())
    with SoundSpacesEngine(RATE).open(shoebox((6.0, 3.0, 5.0), 0.3)) as opened:
        opened.rirs(LISTENER, SOURCES[:1], 0)
        with SoundSpacesEngine(16_000).open(shoebox((4.0, 3.0, 4.0), 0.5)) as other:
            other.rirs(Pose((1.0, 1.0, 1.0)), [(3.0, 1.0, 3.0)], 0)
        assert digest(opened.rirs(LISTENER, SOURCES, 1)) == expected
        assert digest(opened.rirs(LISTENER, SOURCES, 2)) == expected


def test_another_process_gives_the_same_bytes() -> None:
    code = "from tests.acoustics.test_soundspaces_repeat import digest, simulated; print(digest(simulated()))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == digest(simulated())


def test_threads_do_not_disturb_each_other() -> None:
    expected = digest(simulated())
    with ThreadPoolExecutor(2) as pool:
        assert {digest(rirs) for rirs in pool.map(simulated, range(6))} == {expected}


def test_a_group_is_repeated_whole_because_its_sources_share_their_reverberation() -> None:
    with SoundSpacesEngine(RATE).open(shoebox((6.0, 3.0, 5.0), 0.3)) as opened:
        together = opened.rirs(LISTENER, SOURCES)
        turned = opened.rirs(LISTENER, SOURCES[::-1])[::-1]
    assert digest(together) != digest(turned)
    for one, other in zip(together, turned, strict=True):
        assert np.array_equal(one[:, :200], other[:, :200])
        level = 10 * np.log10(np.sum(one**2) / np.sum(other**2))
        assert abs(level) < 1


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    simulated()
    assert capfd.readouterr() == ("", "")


def test_what_other_threads_print_is_handed_on_and_is_no_complaint(capfd: pytest.CaptureFixture[str]) -> None:
    with rlr_api._captured() as captured:
        os.write(1, b"progress\n")
        os.write(2, b"a warning\n")
        assert capfd.readouterr() == ("", "")
    assert captured.complaint == ""
    assert capfd.readouterr() == ("progress\n", "a warning\n")


def test_a_chatting_thread_does_not_disturb_a_simulation(capfd: pytest.CaptureFixture[str]) -> None:
    expected = digest(simulated())
    done = threading.Event()

    def chat() -> None:
        while not done.is_set():
            os.write(1, b"progress\n")
            os.write(2, b"a warning\n")

    with ThreadPoolExecutor(1) as pool:
        chatting = pool.submit(chat)
        try:
            assert digest(simulated()) == expected
        finally:
            done.set()
        chatting.result()
    assert "progress" in capfd.readouterr().out


def test_rirs_are_two_finite_channels_of_float32() -> None:
    for rir in simulated():
        assert rir.dtype == np.float32
        assert rir.shape[0] == 2
        assert rir.flags.c_contiguous
        assert np.isfinite(rir).all()
        assert rir[:, -1].any()
