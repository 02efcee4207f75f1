import numpy as np
import pytest

from spatialqa.acoustics.soundspaces.engine import SoundSpacesEngine
from spatialqa.rooms.placement.placer import Placer
from spatialqa.rooms.procedural.homes import ProceduralRooms


@pytest.mark.soundspaces
@pytest.mark.parametrize("home", ["home-607053", "home-151494", "home-000001"])
def test_no_wall_of_a_closed_home_is_missed(home: str) -> None:
    """Given as it stands, along its axes, the library does not see two wall faces of home-607053."""
    room = ProceduralRooms().load(home)
    placer, draw = Placer(room), np.random.default_rng(0)
    engine = SoundSpacesEngine(32_000, overrides={"transmission": False})
    with engine.open(room) as opened:
        for _ in range(2):
            listener = placer.listener(draw)
            opened.rirs(listener, [place.position for place in placer.sources(listener, 2, draw)], 0)
            assert opened.ray_efficiency is not None
            assert opened.ray_efficiency > 0.995
