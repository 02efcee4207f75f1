"""A question subtype of one's own: is a sound in the room that the listener is in?

    spatialqa make-qa OUT --types A,X --question-modules own_question.py
    spatialqa validate OUT --question-modules own_question.py

Copy this file and change it; docs/questions.md describes every part.
"""

from spatialqa.qa.own_questions import AskedQuestion, AskOptions, Fact, Facts, SceneView, Subtype, yes_no_fact


def find(view: SceneView, options: AskOptions) -> Facts:
    """Return everything that can be asked about a scene, or the reason why there is nothing.

    Sources that are masked by the others, or have no name of their own, are left out afterwards.
    """
    here = view.scene.region_id
    if here is None:
        return "the listener's room is not known"
    known = [number for number, source in enumerate(view.sources) if source.region_id is not None]
    return [yes_no_fact((number,), view.sources[number].region_id == here) for number in known]


def because(view: SceneView, fact: Fact) -> str:
    """Return the reason of an answer, for the rationale."""
    where = view.scene.sources[fact.sources[0]].region_label or "another room"
    return "you are in the same room" if fact.answer_bool else f"it is in the {where}, where you are not"


def recompute(asked: AskedQuestion) -> bool:
    """Return the right answer from the ground truth alone, so that `validate` can compare."""
    return asked.who[0].region == asked.scene.region


SUBTYPES = [
    Subtype(
        name="in_your_room",
        type="X",
        answer="yes_no",
        finder=find,
        forms={"open": ("source",)},
        templates={
            "own-room-1": "Is {source} in the [same room as you|room that you are in]?",
            "own-room-2": "Does {source} come from [inside your room|the room around you]?",
            "own-room-3": "In this [recording], are you in the same room as {source}?",
            "own-room-4": "Can {source} be [found|reached] without leaving your room?",
            "own-room-5": "Would you say that {source} is in your own room?",
        },
        synonyms={"recording": ["recording", "clip", "audio clip"]},
        because=because,
        recompute=recompute,
    )
]
