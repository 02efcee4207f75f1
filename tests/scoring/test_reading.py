"""How free-form answers are read: directions, distances, angles, yes and no, hours, counts."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialqa.core.geometry import direction_words
from spatialqa.qa.answer_text import clock_answer, distance_answer, location_answer, rounded_m
from spatialqa.scoring.parsing import quantity
from spatialqa.scoring.parsing.direction import direction
from spatialqa.scoring.parsing.normalise import MAX_CHARACTERS, affirmed, plain, without
from spatialqa.scoring.parsing.yes_no import yes_no


def words(text: str) -> str:
    return " ".join(word or "-" for word in direction(plain(text)))


def metres(text: str) -> float | None:
    return quantity.distance_m(affirmed(plain(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is on your right, behind you, slightly below, about three and a half metres away", "right behind below"),
        ("left, front, above; 3.5m", "left front above"),
        ("LEFT FRONT BELOW", "left front below"),
        ("right behind above", "right behind above"),
        ("upper left, in the rear", "left behind above"),
        ("ahead and down on the left-hand side", "left front below"),
        ("Not on the left but on the right, not ahead: behind; above.", "right behind above"),
        ("It isn't in front of you, it's behind you", "- behind -"),
        ("neither left nor right; above", "- - above"),
        ("on the right rather than the left, back, up", "right behind above"),
        ("further left than the one on the right", "left - -"),
        ("It is right behind you, on the left, overhead", "left behind above"),
        ("It is right in front of you and a bit higher", "- front above"),
        ("That's right, to the left", "left - -"),
        ("to the right behind you and below", "right behind below"),
        ("either left or right", "- - -"),
        ("left. No wait, right.", "- - -"),
        ("not only left but also up", "left - above"),
        ("I'm not sure, maybe left?", "left - -"),
        ("Is it left or right? It is right, ahead, below.", "right front below"),
        ("<p>Left</p>, <b>front</b>, **above**; 2&nbsp;m", "left front above"),
        ("<think>left? no, up</think>right, behind, below", "right behind below"),
        ("It may be left. The answer is: right, behind, below.", "right behind below"),
        ("Left, front, below", "left front below"),
        ("azimuth 35, elevation -10", "left front below"),
        ("azimuth -150°, elevation 20°", "right behind above"),
        ("35 degrees to the right, 10 degrees up", "right front above"),
        ("on the right, azimuth 35, elevation 3", "- front above"),
        ("a low-pitched hum on the left, a little over 3 m away", "left - -"),
        ("up to 3 m away, down on the left", "left - below"),
        ("", "- - -"),
        ("I don't know", "- - -"),
    ],
)
def test_directions(text: str, expected: str) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is on your right, behind you, slightly below, about three and a half metres away", 3.5),
        ("left, front, above; 3.5m", 3.5),
        ("left, front, above; 2m.", 2.0),
        ("left front below 3,5 m", 3.5),
        ("half a metre", 0.5),
        ("a half metre", 0.5),
        ("half of a meter", 0.5),
        ("a metre", 1.0),
        ("roughly one meter from you", 1.0),
        ("a metre and a half", 1.5),
        ("one and a half meters", 1.5),
        ("one and one half meters", 1.5),
        ("two-and-a-half metres", 2.5),
        ("two and a quarter metres", 2.25),
        ("three quarters of a metre", 0.75),
        ("a couple of metres", 2.0),
        ("a couple metres", 2.0),
        ("two point two five meters", 2.25),
        ("twenty-five centimetres", 0.25),
        ("a hundred centimetres", 1.0),
        ("three hundred cm", 3.0),
        ("3-metre distance", 3.0),
        ("3½ m", 3.5),
        ("½ m", 0.5),
        ("3 1/2 metres", 3.5),
        ("2 m 50 cm", 2.5),
        ("350cm", 3.5),
        ("10 feet", 3.048),
        ("3 ft 6 inches", 1.0668),
        ("3.5 meters (11.5 feet)", 3.5),
        ("2 to 3 metres", 2.5),
        ("2-3 m", 2.5),
        ("between 2 and 2.5 metres", 2.25),
        ("2 or 3 m", 2.5),
        ("between 1 and 4 m", None),
        ("1 m or 4 m", None),
        ("1 m to the dog, 4 m to the cat", None),
        ("not 1 m but 4 m", 4.0),
        ("not more than 3 m", 3.0),
        ("less than a metre", 1.0),
        ("3.5", 3.5),
        ("about three", 3.0),
        ("one", 1.0),
        ("the one on the left", None),
        ("azimuth 35, elevation -10, 2.5 m", 2.5),
        ("35 degrees to the left, 2.5", 2.5),
        ("at 3 o'clock", None),
        ("at 3 o'clock, 5 m", 5.0),
        ("９ ｍ", 9.0),
        ("far away", None),
        ("", None),
        ("9" * 400 + " m", None),
        ("1/0 m", None),
    ],
)
def test_distances(text: str, expected: float | None) -> None:
    said = metres(text)
    assert said == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("text", "azimuth", "elevation"),
    [
        ("azimuth 35, elevation -10", 35, -10),
        ("Azimuth: −120.5°; elevation: +10 degrees", -120.5, 10),
        ("az=200 el=5", -160, 5),
        ("azimuth -180", 180, None),
        ("35 degrees to your right and 10 degrees down", -35, -10),
        ("thirty-five degrees to the left", 35, None),
        ("azimuth minus ten, elevation 0", -10, 0),
        ("azimuth unclear, elevation 10", None, 10),
        ("azimuth 10, or azimuth 20, elevation 95", None, None),
        ("left, front, above; 3m", None, None),
    ],
)
def test_angles(text: str, azimuth: float | None, elevation: float | None) -> None:
    assert quantity.angles(plain(text)) == (azimuth, elevation)


YES = (
    "Yes|yes.|YES!|Yeah|Yep, it is|Both are, so yes|It is.|They are.|Both are|Correct.|That is true|Indeed|Y"
    "|No doubt, yes|I'm not sure, but I would say yes|Not wrong.|It isn't false"
    "|I think so, yes|Absolutely!|**Yes**|Answer: yes"
    "|There is no other source there, so yes|Is it? Yes."
    "|That's right"
)
NO = (
    "No|no.|NO|Nope|Nah|No, it is on the left|No it is not|It is not.|They aren't.|Neither is.|Not true"
    "|That is not correct|Incorrect|False.|No, that's not right|Of course not|Definitely not|Not really"
    "|Well, no|I would say no|N|The answer is no|not both|I'd go with no because it is lower"
)
NEITHER = "||I don't know|maybe|Yes and no|Yes or no|yes/no|No. Yes.|the dog|It is on the right|yesterday|nothing|⁇"


@pytest.mark.parametrize("text", YES.split("|"))
def test_yes(text: str) -> None:
    assert yes_no(plain(text)) is True


@pytest.mark.parametrize("text", NO.split("|"))
def test_no(text: str) -> None:
    assert yes_no(plain(text)) is False


@pytest.mark.parametrize("text", NEITHER.split("|"))
def test_neither_yes_nor_no(text: str) -> None:
    assert yes_no(plain(text)) is None


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("3 o'clock", 3),
        ("at your three o’clock", 3),
        ("12:00", 12),
        ("Twelve", 12),
        ("at 3 oclock, 5 m away", 3),
        ("3 h", 3),
        ("13 o'clock", None),
        ("0", None),
        ("3 or 4 o'clock", None),
        ("ahead", None),
        ("", None),
    ],
)
def test_hours(text: str, hour: int | None) -> None:
    assert quantity.clock_hour(plain(text)) == hour


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2),
        ("There are two sounds.", 2),
        ("3 sources", 3),
        ("a couple", 2),
        ("a single source", 1),
        ("none", 0),
        ("many", None),
        ("two or three", None),
        ("2.5", None),
        ("", None),
    ],
)
def test_counts(text: str, number: int | None) -> None:
    assert quantity.count(plain(text)) == number


octants = st.tuples(*(st.sampled_from(pair) for pair in (("left", "right"), ("front", "behind"), ("above", "below"))))
distances = st.floats(0.05, 60)


@given(octants, distances)
def test_every_canonical_location_is_read_as_itself(octant: tuple[str, ...], distance: float) -> None:
    answer = plain(location_answer(octant, distance))
    assert direction(answer) == octant
    assert quantity.distance_m(answer) == rounded_m(distance)


@given(octants, st.permutations(range(3)), st.sampled_from([", ", " and ", " ", "; ", " / "]), st.booleans())
def test_the_order_and_the_joints_of_words_play_no_part(
    octant: tuple[str, ...], order: list[int], joint: str, upper: bool
) -> None:
    text = joint.join(octant[i] for i in order)
    assert direction(plain(text.upper() if upper else text)) == octant


@given(distances, st.sampled_from(["m", " m", " meters", " metres away", " metre"]), st.sampled_from([".", ","]))
def test_every_distance_is_read_to_the_digit(distance: float, unit: str, point: str) -> None:
    text = f"about {distance:.2f}{unit}".replace(".", point)
    assert quantity.distance_m(plain(text)) == pytest.approx(float(f"{distance:.2f}"))


@given(st.integers(1, 12))
def test_every_canonical_hour_and_distance_is_read(n: int) -> None:
    assert quantity.clock_hour(plain(clock_answer(n))) == n
    assert quantity.count(plain(str(n))) == n
    assert quantity.distance_m(plain(distance_answer(n / 2))) == n / 2


@given(st.floats(-179.9, 180), st.floats(-89.9, 89.9))
def test_angles_give_the_words_that_geometry_gives(azimuth: float, elevation: float) -> None:
    text = f"azimuth {azimuth:.1f}, elevation {elevation:.1f}"
    a, e = math.radians(float(f"{azimuth:.1f}")), math.radians(float(f"{elevation:.1f}"))
    point = (-math.cos(e) * math.sin(a), math.sin(e), -math.cos(e) * math.cos(a))
    if min(map(abs, point)) > 1e-9:
        assert direction(plain(text)) == direction_words(point)


alphabet = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            re.findall(r"\S+", "left right not no yes than it is answer: and or to az el ° o'clock m metre half a")
            + re.findall(r"\S", "12.,;?()<>/-½%")
            + ["<b>", "&amp;", "point", "three", "quarter", "couple", "of"]
        ),
        max_size=30,
    ).map(" ".join),
)


@settings(max_examples=300)
@given(alphabet)
def test_nothing_that_is_written_makes_reading_fail(text: str) -> None:
    spoken = plain(text)
    assert len(spoken) <= MAX_CHARACTERS
    said = affirmed(without(spoken, ("left", text[:5])))
    distance = quantity.distance_m(said)
    assert distance is None or (math.isfinite(distance) and distance >= 0)
    assert yes_no(spoken) in (True, False, None)
    azimuth, elevation = quantity.angles(said)
    assert azimuth is None or -180 < azimuth <= 180
    assert elevation is None or -90 <= elevation <= 90
    hour, number = quantity.clock_hour(said), quantity.count(said)
    assert hour is None or 1 <= hour <= 12
    assert number is None or number >= 0
    for word, ends in zip(direction(said), (("left", "right"), ("front", "behind"), ("above", "below")), strict=True):
        assert word is None or word in ends


def test_names_in_the_question_say_nothing_of_direction() -> None:
    assert direction(without(plain("The back-up beeper is on the left"), ("back-up beeper",))) == ("left", None, None)
    assert without("a scary car", ("car",)) == "a scary  "
