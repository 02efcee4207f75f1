import math

import pytest

from spatialqa.core.geometry import Pose
from spatialqa.core.scene import Scene
from spatialqa.errors import DatasetError, RecipeError
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.listener_view import view
from tests.fixtures.scenes import HEAD, heard_at, scene, source


def names(made: Scene) -> list[tuple[str, ...]]:
    return [s.names for s in view(made, AskOptions()).sources]


def test_angles_and_words_follow_the_head() -> None:
    turn = math.sqrt(0.5)  # 90 degrees to the left: what was ahead is now on the right
    x, y, z = HEAD
    made = scene(source((x, y + 1, z - 1), ["Dog"]), listener=Pose(HEAD, (turn, 0, turn, 0)))
    heard = view(made, AskOptions()).sources[0]
    assert heard.words[0] == "right"
    assert heard.words[2] == "above"
    assert heard.angle_deg == pytest.approx((-45, 0, 45), abs=1e-9)
    assert heard.along_m == pytest.approx((-1, 0, 1), abs=1e-9)


def test_a_label_names_a_source_only_if_it_fits_no_other() -> None:
    near, far = (1.0, 0.0, 0.0), (-2.0, 0.0, 0.0)
    assert names(heard_at((near, ["Bark"]), (far, ["Animal"]))) == [(), ()]
    assert names(heard_at((near, ["Bark", "Rain"]), (far, ["Dog", "Bell"]))) == [("rain",), ("bell",)]
    assert names(heard_at((near, ["Music"]), (far, ["Bell"]))) == [(), ()]  # AudioSet files bells under music
    assert names(heard_at((near, ["Bark"]), (far, ["Meow"]))) == [("bark",), ("meow",)]
    assert names(heard_at((near, ["Zither-bot"]), (far, ["zither-BOT", "Banjo"]))) == [(), ("banjo",)]


def test_abstract_and_blacklisted_classes_name_nothing() -> None:
    assert names(heard_at(((1, 0, 0), ["Human sounds"]), ((-2, 0, 0), ["Heart murmur", "Rain"]))) == [(), ("rain",)]


def test_masking_goes_by_the_better_ear() -> None:
    def masked(first: tuple[float, float], second: tuple[float, float], masking_db: float = 15) -> list[bool]:
        made = heard_at(((1, 0, 0), ["Dog"]), ((-1, 0, 0), ["Bell"]), levels=[first, second])
        return [s.masked for s in view(made, AskOptions(masking_db=masking_db)).sources]

    assert masked((-40, -40), (-24, -24)) == [True, False]
    assert masked((-40, -30), (-24, -24)) == [False, False]
    assert masked((-40, -40), (-24, -24), masking_db=17) == [False, False]
    assert masked((-40, -40), (-24, -24), masking_db=0) == [False, False]


def test_a_source_inside_the_head_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"train-00000000.*source 1"):
        view(heard_at(((1, 0, 0), ["Dog"]), ((0, 0, 0), ["Bell"])), AskOptions())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"types": ("A", "Q")}, "'Q'"),
        ({"types": ()}, "types"),
        ({"types": ("A", "A")}, "twice"),
        ({"answer_form": "essay"}, "essay"),
        ({"questions_per_subtype": 0}, "questions_per_subtype"),
        ({"seed": -1}, "seed"),
        ({"direction_margin_deg": -1.0}, "direction_margin_deg"),
        ({"relation_margin_deg": math.nan}, "relation_margin_deg"),
        ({"distance_margin_m": math.inf}, "distance_margin_m"),
    ],
)
def test_options_that_cannot_be_used_are_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        AskOptions(**settings)  # type: ignore[arg-type]
