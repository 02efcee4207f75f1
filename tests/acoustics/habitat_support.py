"""Sets the minimal habitat-sim up, and looks at the processes that it leaves."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialqa.acoustics.habitat import engine as habitat
from spatialqa.acoustics.habitat.engine import HabitatEngine
from spatialqa.rooms.room import Room
from tests.acoustics.boxes import box_mesh, material, room

MINIMAL = Path(__file__).parent / "minimal_habitat_sim"
_CHECKED: dict[str, Any] = {}  # builds of the same choices are checked once, as one build is in a run


def pretend(monkeypatch: pytest.MonkeyPatch, **choices: Any) -> None:
    """Make the next child find the minimal habitat-sim, of these choices."""
    text = json.dumps(choices)
    monkeypatch.setattr(habitat, "_checked", _CHECKED.setdefault(text, {}))
    monkeypatch.setenv("PYTHONPATH", str(MINIMAL))
    monkeypatch.setenv("MINIMAL_HABITAT_SIM", text)


def make_engine(
    monkeypatch: pytest.MonkeyPatch, rate: int = 16_000, arguments: dict[str, Any] | None = None, **choices: Any
) -> HabitatEngine:
    pretend(monkeypatch, **choices)
    return HabitatEngine(rate, **{"python": sys.executable, "timeout_s": 30.0, **(arguments or {})})


def hall(absorption: float = 0.1) -> Room:
    """A box whose three extents, and their places, all differ."""
    return room(*box_mesh((-3.0, 0.0, -5.0), (5.0, 3.0, 1.0)), material(absorption, 0.5))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def running(pid: int) -> bool:
    """Tell whether a process is there; one that nobody has waited for is a zombie, and there too."""
    return os.path.exists(f"/proc/{pid}")


def wait_until_gone(pid: int, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while running(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not running(pid)


def children(pid: int) -> list[int]:
    """Return the processes whose parent this one is."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return sorted(found)


def energy(rir: object) -> float:
    return float(np.sum(np.square(np.asarray(rir, dtype=np.float64))))
