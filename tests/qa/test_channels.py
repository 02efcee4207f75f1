"""Which questions can be asked of each channel layout."""

from dataclasses import replace

import pytest

from spatialqa.core.channels import CHANNEL_NAMES, axes_heard
from spatialqa.core.scene import Scene
from spatialqa.errors import DatasetError
from spatialqa.qa.ask import ask
from spatialqa.qa.ask_options import TYPES, AskOptions
from spatialqa.qa.built_in import BUILT_IN
from spatialqa.qa.fact import NOT_IN_CHANNELS, Fact, Facts
from spatialqa.qa.listener_view import SceneView, view
from spatialqa.qa.subtype import Subtype
from spatialqa.qa.templating.templates import bundled_templates
from tests.dataset.asked import MARGINS, problems_of
from tests.fixtures.scenes import heard_at, random_scenes

WITHOUT_DIRECTION = {"classification", "relative_distance", "count", "closest", "farthest", "region"}
OF_SIDES = {"relative_direction", "both_on_side", "source_at_direction", "direction_word"}
AHEAD_OR_HEIGHT = {"front", "behind", "above", "below"}
EVERY_TYPE = AskOptions(
    types=TYPES, balance=False, questions_per_subtype=3, direction_margin_deg=MARGINS.direction_margin_deg
)


def scenes(channels: str) -> list[Scene]:
    return [replace(scene, channels=channels) for scene in random_scenes(60, 3, (1, 2, 3))]


def subtypes_asked(channels: str, options: AskOptions = EVERY_TYPE) -> set[str]:
    return {q.subtype for scene in scenes(channels) for q in ask(scene, options, bundled_templates()).questions}


def test_every_layout_says_which_axes_it_carries() -> None:
    assert {channels: axes_heard(channels) for channels in CHANNEL_NAMES} == {
        "binaural": ("left", "front", "above"),
        "foa": ("left", "front", "above"),
        "mono": (),
        "stereo": ("left",),
    }
    with pytest.raises(DatasetError, match="channels 'quad' are not known"):
        view(heard_at(((-1, 0, -1), ["Dog"]), channels="quad"), EVERY_TYPE)


def test_whole_layouts_are_asked_everything() -> None:
    for channels in ("binaural", "foa"):
        assert subtypes_asked(channels) == set(BUILT_IN.by_name)


def test_mono_is_asked_nothing_of_direction() -> None:
    assert subtypes_asked("mono") == WITHOUT_DIRECTION
    asked = [ask(scene, EVERY_TYPE, bundled_templates()) for scene in scenes("mono")]
    assert not any(q.asked_direction and "left" in q.asked_direction for one in asked for q in one.questions)
    reasons = {skip.reason for one in asked for skip in one.skipped if skip.subtype not in WITHOUT_DIRECTION}
    assert reasons == {NOT_IN_CHANNELS}


def test_a_mid_side_pair_is_asked_of_left_and_right_alone() -> None:
    assert subtypes_asked("stereo") == WITHOUT_DIRECTION | OF_SIDES
    for scene in scenes("stereo"):
        for q in ask(scene, EVERY_TYPE, bundled_templates()).questions:
            said = {*(q.asked_direction or ()), *(q.answer_direction or ())}
            assert not said & AHEAD_OR_HEIGHT
            assert q.subtype not in OF_SIDES or said & {"left", "right"}


@pytest.mark.parametrize("channels", ["mono", "stereo"])
@pytest.mark.parametrize("form", ["sentences", "brief", "scene"])
def test_rationales_tell_what_is_heard_and_validate_accepts_them(channels: str, form: str) -> None:
    options = replace(EVERY_TYPE, rationale=True, rationale_form=form)
    for scene in scenes(channels):
        for q in ask(scene, options, bundled_templates()).questions:
            assert problems_of(scene, q.to_row()) == []
            said = set((q.rationale or "").replace(",", "").split())
            assert not said & {"ahead", "behind", "above", "below", "front"}
            assert channels == "stereo" or not said & {"left", "right"}


def test_validate_finds_questions_that_the_channels_cannot_answer() -> None:
    found = set()
    for scene in random_scenes(60, 3, (1, 2, 3)):
        for q in ask(scene, EVERY_TYPE, bundled_templates()).questions:
            for channels in ("mono", "stereo"):
                problems = problems_of(replace(scene, channels=channels), q.to_row())
                if any(f"which {channels} channels do not" in problem for problem in problems):
                    found.add((channels, q.subtype))
    directed = set(BUILT_IN.by_name) - WITHOUT_DIRECTION
    assert found == {(channels, subtype) for channels in ("mono", "stereo") for subtype in directed}


def test_an_own_subtype_is_asked_where_its_directions_are_heard() -> None:
    def side(view: SceneView, options: AskOptions) -> Facts:
        words = (view.sources[0].words[0], view.sources[0].words[1])
        return [Fact("open", (0,), word, answer_direction=(word,), choices=(word, "up")) for word in words]

    own = Subtype("own_side", "X", "direction_word", side)
    scene = heard_at(((-1, 0, -1), ["Dog"]))

    def answers(subtype: Subtype, channels: str) -> list[str | None] | str:
        facts = subtype.facts(view(replace(scene, channels=channels), EVERY_TYPE), EVERY_TYPE)
        return facts if isinstance(facts, str) else [fact.answer for fact in facts]

    assert answers(own, "binaural") == ["left", "front"]
    assert answers(own, "stereo") == ["left"]
    assert answers(own, "mono") == NOT_IN_CHANNELS
    assert answers(replace(own, hears="direction"), "stereo") == NOT_IN_CHANNELS
