"""Right answers in the styles of current audio language models, by question type, and how many of them score as right.

    python -m tests.scoring.answer_styles

Every answer here means the reference of its group. The texts were written for this file; no model was run.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from spatialqa.scoring.grade import grade
from spatialqa.scoring.parsing.class_names import Names
from spatialqa.scoring.references import Reference


@dataclass(frozen=True)
class Group:
    """Answers to one question. metrics: all of them must be 1 (der: 0) for an answer to be read as right."""

    type: str
    kind: str
    answer: str
    values: dict[str, Any]
    metrics: tuple[str, ...]
    answers: tuple[str, ...]


LABELS = Group(
    "A",
    "labels",
    "bark; clock",
    {"answer_labels": ("bark", "clock")},
    ("exact",),
    (
        "bark; clock",
        "Bark; Clock",
        "bark, clock",
        "bark and clock",
        "Bark and clock.",
        "- bark\n- clock",
        "1. Bark\n2. Clock",
        "**Bark**; **Clock**",
        "The sounds are a bark and a clock.",
        "I can hear a dog barking and a clock.",
        "There are two sounds: a bark and a clock.",
        "The audio contains a bark and the ticking of a clock.",
        "a clock and a dog barking",
        "Sound events: bark; clock",
        "Answer: bark; clock",
        "The answer is bark; clock.",
        "<think>maybe a siren</think>bark; clock",
        "clock; bark",
        "['bark', 'clock']",
        '["Bark", "Clock"]',
        "{bark, clock}",
        "Bark / Clock",
        "I hear barks and a clock",
        "It sounds like there is a clock, and also a bark.",
        "The two sound sources are: clock, bark",
        "Final answer: Clock; Bark",
        "bark\nclock",
        "You are hearing the sound of a dog barking and the sound of a clock.",
    ),
)

LOCATION = Group(
    "B",
    "location",
    "left, behind, above; 1.5m",
    {"answer_direction": ("left", "behind", "above"), "answer_distance_m": 1.45},
    ("direction", "der"),
    (
        "left, behind, above; 1.5m",
        "left, behind, above,1.5m",
        "left, behind, above,1.5 m",
        "left,behind,above,1.5",
        "left, behind, above; 1.5 meters",
        "Left, behind, above. 1.5 metres.",
        "left behind above 1.5m",
        "Left / behind / above / 1.5 m",
        "Direction: left, behind, above. Distance: 1.5 m.",
        "**Direction:** left, behind, above\n**Distance:** 1.5 m",
        '{"direction": ["left", "behind", "above"], "distance": 1.5}',
        "The sound comes from your left, behind you and above you, about 1.5 meters away.",
        "It is to the left, behind, and above, at a distance of approximately 1.5 meters.",
        "about one and a half metres away, behind you on the left, and higher up",
        "It's behind you to the left and slightly above, roughly 1.5m away.",
        "back left, above, 1.5 m",
        "rear-left, up, 1.5m",
        "upper left behind you, 1.5 m",
        "Behind-left-above, ~1.5m",
        "azimuth 130 degrees, elevation 20 degrees, distance 1.5 m",
        "Azimuth: 130°, Elevation: 20°, Distance: 1.5 m",
        "The source is located behind, left, above the listener at 150 cm.",
        "left; behind; above; 1.5m",
        "(left, behind, above, 1.5m)",
        "<answer>left, behind, above; 1.5m</answer>",
        "The answer is: left, behind, above; 1.5m",
        "left, back, up; 1.5 m",
        "It isn't in front of you but behind, on the left, above, 1.5 m away",
        "left, behind, above; 1.50m",
        "left, behind, above; 1,5 m",
        "left, behind, above; 1.5m.",
        "Sure! left, behind, above; 1.5m",
    ),
)

DISTANCE = Group(
    "D",
    "distance",
    "2.5m",
    {"answer_distance_m": 2.6},
    ("der",),
    (
        "2.5m",
        "2.5 m",
        "2.5",
        "2.5 meters",
        "About 2.5 metres.",
        "approximately 2.5m away",
        "~2.5m",
        "two and a half meters",
        "It is 2.5 meters away from you.",
        "The distance is around 2.5 meters.",
        "Distance: 2.5m",
        "distance=2.5m",
        "distance:2.5",
        "250 cm",
        "roughly 8 feet",
        "2 to 3 meters",
        "between 2 and 3 metres",
        "2.5m (approximately 8 feet)",
        "I estimate 2.5 m.",
        "The sound is about 2.5 m from the listener",
        "**2.5 m**",
        "Answer: 2.5 m",
        "2,5 m",
        "a distance of,2.5m",
        "$2.5\\,\\text{m}$",
    ),
)

YES = Group(
    "E",
    "yes_no",
    "Yes",
    {"answer_bool": True},
    ("accuracy",),
    (
        "Yes",
        "yes",
        "Yes.",
        "YES!",
        "Yes, it is.",
        "Yes, the bark is closer.",
        "Yeah",
        "Yep",
        "Sure",
        "Sure.",
        "Sure, it is.",
        "I think so",
        "I think so.",
        "I believe so",
        "I'd say so.",
        "I would say yes",
        "Correct",
        "That is correct.",
        "That's right.",
        "True",
        "Indeed",
        "Definitely",
        "Absolutely!",
        "Of course.",
        "It is.",
        "It does",
        "They are.",
        "The answer is yes.",
        "Answer: Yes",
        "**Yes**",
        "<answer>Yes</answer>",
        "Based on the audio, yes.",
        "It seems so.",
        "It appears so",
        "I suppose so.",
        "Exactly.",
        "Without a doubt, yes",
        "Affirmative",
        "Y",
        "Most likely yes",
        "Probably yes.",
        "Looks like it.",
        "Right.",
    ),
)

NO = Group(
    "E",
    "yes_no",
    "No",
    {"answer_bool": False},
    ("accuracy",),
    (
        "No",
        "no",
        "No.",
        "No, it is not.",
        "No, it's the clock that is closer.",
        "Nope",
        "Nah",
        "I don't think so",
        "I don't think so.",
        "I do not think so",
        "I don't believe so",
        "I doubt it.",
        "I'd say no",
        "I would say not.",
        "They are on different sides",
        "They are on opposite sides.",
        "The two sounds are on different sides of you.",
        "It isn't.",
        "It is not",
        "They aren't.",
        "They're not.",
        "That is incorrect.",
        "That's not correct",
        "False",
        "Incorrect",
        "Not true",
        "Not really",
        "Not quite.",
        "Not at all",
        "Of course not",
        "Definitely not.",
        "Probably not",
        "It doesn't seem so.",
        "It does not appear so",
        "Certainly not",
        "The answer is no.",
        "Answer: No",
        "**No**",
        "Based on the audio, no.",
        "Negative",
        "N",
        "Wrong",
        "By no means",
        "Neither is.",
    ),
)

WORD = Group(
    "E",
    "direction_word",
    "left",
    {"answer_direction": ("left",), "choices": ("left", "right")},
    ("accuracy",),
    (
        "left",
        "Left.",
        "on the left",
        "to the left",
        "The left side",
        "It is on your left.",
        "left side",
        "It's to the left of the clock.",
        "It comes from the left.",
        "not right but left",
        "**left**",
        "Left-hand side",
        "The sound is more to the left",
        "leftward",
        "I hear it on the left ear side",
    ),
)

CLOCK = Group(
    "X",
    "hour",
    "3 o'clock",
    {},
    ("accuracy",),
    (
        "3 o'clock",
        "3 o’clock",
        "three o'clock",
        "3 o clock",
        "3oclock",
        "At 3 o'clock.",
        "It is at your 3 o'clock",
        "3:00",
        "3",
        "around 3 o'clock",
        "The sound is in the three o'clock direction.",
        "3 o'clock position",
        "**3 o'clock**",
        "Answer: 3 o'clock",
    ),
)

COUNT = Group(
    "X",
    "count",
    "2",
    {"answer_count": 2},
    ("accuracy",),
    (
        "2",
        "two",
        "Two.",
        "2 sounds",
        "There are two sounds.",
        "I hear 2 distinct sounds.",
        "two sources",
        "A couple",
        "a pair of sounds",
        "There are 2.",
        "Answer: 2",
        "**2**",
        "Two (2)",
        "Number of sounds: 2",
    ),
)

OPTION = Group(
    "mcq",
    "distance",
    "B. 1.5m",
    {"choices": ("A. 0.5m", "B. 1.5m", "C. 3m", "D. 6m"), "answer_distance_m": 1.5},
    ("accuracy",),
    (
        "B",
        "b",
        "(B)",
        "B)",
        "B.",
        "B. 1.5m",
        "B: 1.5m",
        "(B) 1.5m",
        "Option B",
        "The answer is B",
        "Answer: B",
        "The correct answer is (B).",
        "1.5m",
        "1.5 meters",
        "**B**",
        "Choice B, 1.5m",
        "\\boxed{B}",
        "It is about 1.5 m, so B.",
    ),
)

GROUPS = (LABELS, LOCATION, DISTANCE, YES, NO, WORD, CLOCK, COUNT, OPTION)
HEDGED = (  # none of these says yes or no
    "I'm not sure.",
    "Not sure",
    "Unsure",
    "I can't tell",
    "Yes and no",
    "Maybe",
    "I don't know",
    "It is on the right.",
    "I don't think I can say",
    "Hard to say",
    "",
)


def reference(group: Group) -> Reference:
    """Return the question of a group."""
    blank: dict[str, Any] = dict.fromkeys(("asked_labels", "choices", "answer_labels", "answer_direction"), ())
    blank |= dict.fromkeys(("answer_distance_m", "answer_bool", "answer_count"))
    blank |= {"qa_id": "q", "scene_id": "s", "split": "test", "type": group.type, "subtype": group.kind}
    return Reference(**blank | {"source_indices": (0,), "kind": group.kind, "answer": group.answer} | group.values)


def read_right(group: Group, answer: str, names: Names) -> bool:
    """Tell whether an answer scores as right."""
    parts = grade(reference(group), None, answer, names).parts
    return all(parts[name].above == (0.0 if name == "der" else 1.0) for name in group.metrics)


def results() -> Iterator[tuple[Group, str, bool]]:
    """Yield every answer with whether it scores as right."""
    names = Names()
    for group in GROUPS:
        for answer in group.answers:
            yield group, answer, read_right(group, answer, names)


def print_shares(found: Iterable[tuple[Group, str, bool]]) -> None:
    """Print the share of answers that score as right, by question type, and those that do not."""
    by_type: dict[str, list[tuple[str, bool]]] = {}
    for group, answer, right in found:
        by_type.setdefault(group.type, []).append((answer, right))
    for name, answers in by_type.items():
        print(f"{name:4} {sum(right for _, right in answers)} of {len(answers)}")
        for answer, right in answers:
            if not right:
                print(f"     not read: {answer!r}")
    every = [right for answers in by_type.values() for _, right in answers]
    print(f"all  {sum(every)} of {len(every)} ({100 * sum(every) / len(every):.1f} %)")


if __name__ == "__main__":
    print_shares(results())
