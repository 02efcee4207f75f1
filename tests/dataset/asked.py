"""Scenes made by hand and one right question of every subtype about them, for tests of `validate`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from spatialqa.core.geometry import Pose, Vec3, yaw_quaternion
from spatialqa.core.scene import Scene
from spatialqa.dataset.schema import QA
from spatialqa.dataset.validation.answers import Margins
from spatialqa.dataset.validation.ground_truth import SplitTruth
from spatialqa.dataset.validation.question import question_problems
from tests.fixtures.scenes import Sound, heard_at, with_angles

POSE = Pose((2.0, 1.6, -3.0), yaw_quaternion(40.0))
MARGINS = Margins(direction_margin_deg=5.0, relation_margin_deg=10.0, distance_margin_m=0.5, masking_db=15.0)


def scene_of(sounds: Sequence[Sound], pose: Pose = POSE, **fields: Any) -> Scene:
    """Return a scene with sounds at places in the head frame."""
    return with_angles(heard_at(*sounds, listener=pose, **fields))


def row_of(scene_id: str = "train-00000000", **values: Any) -> dict[str, Any]:
    """Return a row of `qa`; what is not given is null."""
    row: dict[str, Any] = dict.fromkeys(QA.names)
    row.update(scene_id=scene_id, split=scene_id.split("-")[0], template_id="t-01", **values)
    return {"qa_id": f"{scene_id}-{row['subtype']}-0"} | {k: v for k, v in row.items() if k != "qa_id"}


def problems_of(
    scene: Scene, row: Mapping[str, Any], margins: Margins = MARGINS, own_templates: bool = False
) -> list[str]:
    """Return what `validate` finds wrong with one question about a scene."""
    truth = SplitTruth()
    truth.add(scene)
    packed = truth.scene(scene.scene_id)
    assert packed is not None
    return list(question_problems(row, packed, margins, own_templates))


def out_of_plane(head: Vec3, axis: int) -> float:
    """Return the angle of a head-frame point with the plane across an axis, degrees, signed as the coordinate."""
    return math.degrees(math.asin(head[axis] / math.sqrt(sum(c * c for c in head))))


DOG: Vec3 = (-2.0, 0.5, -1.5)  # 2.5495 m: left, front, above
PIANO: Vec3 = (3.0, -0.6, 1.0)  # 3.2187 m: right, behind, below
ONE = scene_of([(DOG, ["Bark", "Dog"])])
TWO = scene_of([(DOG, ["Bark", "Dog"]), (PIANO, ["Piano"])], levels=[(-30.0, -34.0), (-38.0, -33.0)])
CELLO: Vec3 = (0.5, 1.0, 4.0)  # 4.1533 m
THREE = scene_of(
    [(DOG, ["Bark", "Dog"]), (PIANO, ["Piano"]), (CELLO, ["Cello"])], regions=["room-1", "room-2", "room-2"]
)
_APART_M = math.sqrt(5.0**2 + 1.1**2 + 2.5**2)  # 5.6974 m
_PIANO_ROUNDED_M = 0.25 - (math.sqrt(10.36) - 3.0)
_DOG_MARGIN_DEG, _PIANO_MARGIN_DEG = out_of_plane(DOG, 1), -out_of_plane(PIANO, 1)
_LEFT_DEG = out_of_plane(PIANO, 0) - out_of_plane(DOG, 0)

RIGHT: dict[str, tuple[Scene, dict[str, Any]]] = {
    "classification": (
        ONE,
        row_of(
            type="A",
            subtype="classification",
            question="Which sounds do you hear?",
            answer="bark; dog",
            source_indices=[0],
            answer_labels=["bark", "dog"],
        ),
    ),
    "location": (
        ONE,
        row_of(
            type="B",
            subtype="location",
            question="Where is the sound, and how far away?",
            answer="left, front, above; 2.5m",
            source_indices=[0],
            answer_direction=["left", "front", "above"],
            answer_distance_m=math.sqrt(6.5),
            margin_deg=_DOG_MARGIN_DEG,
            margin_m=0.25 - (math.sqrt(6.5) - 2.5),
        ),
    ),
    "classification_at_location": (
        TWO,
        row_of(
            type="C",
            subtype="classification_at_location",
            question="What sounds at right, behind, below, about 3 meters away?",
            answer="piano",
            source_indices=[1],
            asked_direction=["right", "behind", "below"],
            asked_distance_m=3.0,
            answer_labels=["piano"],
            margin_deg=_PIANO_MARGIN_DEG,
        ),
    ),
    "location_of_class": (
        TWO,
        row_of(
            type="D",
            subtype="location_of_class",
            question="Where is the sound of the piano?",
            answer="right, behind, below; 3m",
            source_indices=[1],
            asked_labels=["piano"],
            answer_direction=["right", "behind", "below"],
            answer_distance_m=math.sqrt(10.36),
            margin_deg=_PIANO_MARGIN_DEG,
            margin_m=_PIANO_ROUNDED_M,
        ),
    ),
    "relative_direction": (
        TWO,
        row_of(
            type="E",
            subtype="relative_direction",
            question="Is it right that the sound of the bark is to the left of the sound of the piano?",
            answer="Yes",
            source_indices=[0, 1],
            asked_labels=["bark", "piano"],
            asked_direction=["left"],
            polarity="yes",
            choices=["Yes", "No"],
            answer_bool=True,
            margin_deg=_LEFT_DEG,
            margin_m=5.0,
        ),
    ),
    "both_on_side": (
        TWO,
        row_of(
            type="E",
            subtype="both_on_side",
            question="Are the sound of the piano and the sound of the dog both behind you?",
            answer="No",
            source_indices=[1, 0],
            asked_labels=["piano", "dog"],
            asked_direction=["behind"],
            polarity="no",
            choices=["Yes", "No"],
            answer_bool=False,
            margin_deg=out_of_plane(PIANO, 2),
        ),
    ),
    "relative_distance": (
        TWO,
        row_of(
            type="E",
            subtype="relative_distance",
            question="Is the sound of the piano nearer to you than the sound of the bark?",
            answer="No",
            source_indices=[1, 0],
            asked_labels=["piano", "bark"],
            asked_direction=["closer"],
            polarity="no",
            choices=["Yes", "No"],
            answer_bool=False,
            margin_m=math.sqrt(10.36) - math.sqrt(6.5),
        ),
    ),
    "distance_between": (
        TWO,
        row_of(
            type="E",
            subtype="distance_between",
            question="How far apart are the sound of the bark and the sound of the piano?",
            answer="5.5m",
            source_indices=[0, 1],
            asked_labels=["bark", "piano"],
            answer_distance_m=_APART_M,
            margin_m=0.25 - (_APART_M - 5.5),
        ),
    ),
    "source_at_direction": (
        TWO,
        row_of(
            type="E",
            subtype="source_at_direction",
            question="Which sound is in front of you?",
            answer="dog",
            source_indices=[0],
            asked_direction=["front"],
            answer_labels=["dog"],
            margin_deg=out_of_plane(PIANO, 2),
        ),
    ),
    "direction_word": (
        TWO,
        row_of(
            type="E",
            subtype="direction_word",
            question="Is the sound of the piano ahead of or behind the sound of the bark?",
            answer="behind",
            source_indices=[1, 0],
            asked_labels=["piano", "bark"],
            choices=["front", "behind"],
            answer_direction=["behind"],
            margin_deg=out_of_plane(PIANO, 2) - out_of_plane(DOG, 2),
            margin_m=2.5,
        ),
    ),
    "direction_word of the listener": (
        TWO,
        row_of(
            type="E",
            subtype="direction_word",
            question="Do you hear the sound of the piano on your left or on your right?",
            answer="right",
            source_indices=[1],
            asked_labels=["piano"],
            choices=["left", "right"],
            answer_direction=["right"],
            margin_deg=out_of_plane(PIANO, 0),
        ),
    ),
    "clock": (
        TWO,
        row_of(
            type="X",
            subtype="clock",
            question="At which o'clock position is the sound of the bark?",
            answer="10 o'clock",
            source_indices=[0],
            asked_labels=["bark"],
            answer_direction=["10 o'clock"],
            margin_deg=15.0 - (math.degrees(math.atan2(1.5, 2.0)) - 30.0),
        ),
    ),
    "clock of the only source": (
        ONE,
        row_of(
            type="X",
            subtype="clock",
            question="At which o'clock position is the sound?",
            answer="10 o'clock",
            source_indices=[0],
            answer_direction=["10 o'clock"],
            margin_deg=15.0 - (math.degrees(math.atan2(1.5, 2.0)) - 30.0),
        ),
    ),
    "count": (
        THREE,
        row_of(
            type="X",
            subtype="count",
            question="How many sounds are there?",
            answer="3",
            source_indices=[0, 1, 2],
            answer_count=3,
        ),
    ),
    "closest": (
        THREE,
        row_of(
            type="X",
            subtype="closest",
            question="Which sound is nearest to you?",
            answer="bark",
            source_indices=[0],
            answer_labels=["bark"],
            margin_m=math.sqrt(10.36) - math.sqrt(6.5),
        ),
    ),
    "farthest": (
        THREE,
        row_of(
            type="X",
            subtype="farthest",
            question="Which sound is at the greatest distance?",
            answer="cello",
            source_indices=[2],
            answer_labels=["cello"],
            margin_m=math.sqrt(17.25) - math.sqrt(10.36),
        ),
    ),
    "region": (
        THREE,
        row_of(
            type="X",
            subtype="region",
            question="Is the sound of the cello in a different room from the sound of the piano?",
            answer="No",
            source_indices=[2, 1],
            asked_labels=["cello", "piano"],
            asked_direction=["different"],
            polarity="no",
            choices=["Yes", "No"],
            answer_bool=False,
        ),
    ),
}


def lettered(row: Mapping[str, Any], *options: str) -> dict[str, Any]:
    """Return an open question as one with options; the answer is the option that says it."""
    choices = [f"{letter}. {option}" for letter, option in zip("ABCDEF", options, strict=False)]
    answer = next((choice for choice in choices if choice[3:] == row["answer"]), row["answer"])
    return {**row, "question": "\n".join([row["question"], *choices]), "choices": choices, "answer": answer}
