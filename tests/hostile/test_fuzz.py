"""Random damage to every file that a user may bring: it is read or refused in one line, at once, in little memory.

`SPATIALQA_FUZZ=500 pytest tests/hostile/test_fuzz.py` tries 500 damaged files of each kind instead of a few, and others
at every run.
"""

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from spatialqa.errors import SpatialQAError
from tests.hostile.damage import Edit, damaged, edits
from tests.hostile.targets import TARGETS, Target

EXAMPLES = int(os.environ.get("SPATIALQA_FUZZ", "0"))
LONGEST_S = 10  # for one file; most take a millisecond
MEMORY_BYTES = 1 << 30  # that one file may claim


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_damaged_file_is_read_or_refused_in_one_line(target: Target, tmp_path: Path) -> None:
    path = target.make(tmp_path)
    target.read(path)  # as it is, it can be read
    good = path.read_bytes()

    def read(changes: list[Edit]) -> None:
        path.write_bytes(damaged(good, changes))
        signal.alarm(LONGEST_S)
        try:
            target.read(path)
        except SpatialQAError as error:
            refused = str(error)
        else:
            refused = "-"
        finally:
            signal.alarm(0)
        assert refused.strip()
        assert "\n" not in refused
        assert len(refused) < 2000

    failed = in_a_child(lambda: tried(target, read))
    assert not failed, failed


def tried(target: Target, read: Callable[[list[Edit]], None]) -> None:
    """Read many damaged files."""
    signal.signal(signal.SIGALRM, _hangs)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY_BYTES, most))
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if EXAMPLES else [])]
    test = settings(
        max_examples=EXAMPLES or 20,
        deadline=None,
        database=None,
        derandomize=not EXAMPLES,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )(given(changes=edits(target.kind))(read))
    test()


def in_a_child(work: Callable[[], None]) -> str:
    """Do something in a child process; return its traceback, how it was killed, or nothing."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            text = "".join(traceback.format_exception(*sys.exc_info()))
            os.write(writer, text[-60_000:].encode(errors="replace"))
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        text = stream.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return text or (f"the reader was killed by signal {-code}" if code < 0 else "")


def _hangs(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"the reader did not end within {LONGEST_S} s")


def _address_space() -> int:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[0]) * resource.getpagesize()


def test_the_targets_have_names_of_their_own() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS)


@given(st.binary(max_size=200), edits("text"), edits("json"))
@settings(max_examples=50, deadline=None, database=None, derandomize=True)
def test_damage_is_the_same_every_time(content: bytes, text: list[Edit], json: list[Edit]) -> None:
    for changes in (text, json):
        assert damaged(content, changes) == damaged(content, changes)
