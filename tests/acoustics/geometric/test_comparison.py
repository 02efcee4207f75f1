"""compare-engines: the same places in two engines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialqa.bench.engine_comparison import QUANTITIES, Compared, compare_engines, plot_comparison, print_comparison
from spatialqa.rooms.procedural.homes import ProceduralRooms
from tests.acoustics.geometric.hearing import engine


def test_an_engine_differs_from_itself_by_its_settings_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def compared(name: str, **settings: Any) -> Compared:
        return Compared(name, engine("binaural", **settings), engine("binaural", indirect=False, **settings))

    plain, slow = compared("plain"), compared("slow", speed_of_sound_m_s=300.0)
    rooms = ProceduralRooms(["shoebox"])
    same = compare_engines(rooms, (plain, plain), 1, 1, 3, 0)
    assert len(same.pairs) == 3
    assert all(not np.any(same.differences(quantity)) for quantity in QUANTITIES)
    other = compare_engines(rooms, (slow, plain), 1, 1, 3, 0)
    assert np.median(other.differences(QUANTITIES[0])) == pytest.approx(100 * (343 / 300 - 1), abs=8)  # T30
    print_comparison(other, as_json=False)
    assert "slow minus plain" in capsys.readouterr().out
    plot_comparison(tmp_path / "plot.svg", other)
    assert "T30 (s)" in (tmp_path / "plot.svg").read_text()
