"""Further right answers, written before any was tried: how well the parser reads new styles (docs/scoring.md).

python -m tests.scoring.unseen_styles
"""

from collections.abc import Iterator

from spatialqa.scoring.parsing.class_names import Names
from tests.scoring.answer_styles import (
    CLOCK,
    COUNT,
    DISTANCE,
    LABELS,
    LOCATION,
    NO,
    OPTION,
    WORD,
    YES,
    Group,
    print_shares,
    read_right,
)

UNSEEN: tuple[tuple[Group, tuple[str, ...]], ...] = (
    (
        LABELS,
        (
            "Two sources are audible. The first is a barking dog, the second one a clock.",
            "Bark (dog), clock (ticking)",
            "In this recording one can hear barking as well as a clock.",
            "Labels: Bark | Clock",
            "It's a dog that barks, plus a clock in the background.",
            "Sure! The clip contains the following sounds: bark, clock.",
            "<answer>bark; clock</answer>",
            '{"labels": ["bark", "clock"]}',
            "Based on the audio, the sounds are bark and clock.",
            "A clock ticks while a dog is barking.",
        ),
    ),
    (
        LOCATION,
        (
            "The source is situated to the rear left of the listener, slightly elevated, at roughly 1.5 m.",
            "Direction: left-behind-above. Distance: 1.5 m.",
            "Back-left, above ear level, 1.5 m away",
            "It comes from over your left shoulder, about 1.5 metres away, above you.",
            '{"direction": ["left", "behind", "above"], "distance": 1.5}',
            "left / behind / above / 1.5m",
            "Behind you to the left and higher than your head; approx. 1.5m",
            "The sound comes from the left-rear quadrant, upper hemisphere, at a distance of 1.5 meters.",
            "Sure, here it is: left, behind, above; 1.5m",
            "azimuth: 150°, elevation: 20°, distance: 1.5 m",
        ),
    ),
    (
        DISTANCE,
        (
            "They are separated by roughly 2.5 meters.",
            "Distance = 2.5m",
            "I'd estimate two and a half meters.",
            "~2.5 m",
            "The gap between them is 250 cm.",
            "2.5 (metres)",
            "Somewhere around 2.5 metres, I think.",
            "between 2 and 3 meters",
        ),
    ),
    (
        YES,
        (
            "Yes — both of them are.",
            "Affirmative.",
            "That is correct.",
            "Definitely yes.",
            "I believe so.",
            "Absolutely",
            "The answer to the question is yes.",
            "Based on what I hear, yes, the bark is nearer than the clock.",
            '{"answer": "yes"}',
            "That's right, it is.",
            "Right.",
            "True, they are.",
        ),
    ),
    (
        NO,
        (
            "Negative.",
            "That is incorrect.",
            "I do not believe so.",
            "Definitely not.",
            "No — the clock is.",
            "Not at all.",
            "It isn't.",
            "Unlikely; no.",
            "The answer to the question is no.",
            '{"answer": "no"}',
            "That's not the case.",
            "Wrong, it is the other one.",
        ),
    ),
    (
        WORD,
        (
            "The bark is further to the left.",
            "leftwards",
            "Left-hand side",
            "It's the left one",
            "to its left",
            "L: left",
        ),
    ),
    (
        CLOCK,
        (
            "roughly 3 o'clock",
            "It is located at the 3 o'clock position.",
            "Clock position: 3",
            "three o’clock direction",
        ),
    ),
    (COUNT, ("a total of two", "There're 2 sound sources", "Count: 2", "exactly two sounds can be heard", "2 (two)")),
    (
        OPTION,
        (
            "I would choose B.",
            "My answer is option (B) 1.5m",
            "B is correct.",
            "Answer is B",
            "<answer>B</answer>",
            '{"answer": "B"}',
            "Looking at the options, B seems right.",
            "The second option, B.",
        ),
    ),
)


def results() -> Iterator[tuple[Group, str, bool]]:
    """Yield every answer with whether it scores as right."""
    names = Names()
    for group, answers in UNSEEN:
        for answer in answers:
            yield group, answer, read_right(group, answer, names)


if __name__ == "__main__":
    print_shares(results())
