"""Names for Python files with user-defined subtypes; see docs/questions.md and examples/own_question.py."""

from spatialqa.core.scene import Scene, Source
from spatialqa.dataset.validation.answers import AskedQuestion, Expected
from spatialqa.qa.ask_options import AskOptions
from spatialqa.qa.fact import (
    MASKED,
    NEAR_BOUNDARY,
    NEEDS_ONE_SOURCE,
    NEEDS_THREE_SOURCES,
    NEEDS_TWO_SOURCES,
    NO_NAME,
    NO_REGIONS,
    NOT_APART,
    Fact,
    Facts,
    count_fact,
    distance_fact,
    hour_fact,
    label_fact,
    labels_fact,
    location_fact,
    why_not_named,
    word_fact,
    yes_no_fact,
)
from spatialqa.qa.listener_view import SceneView, SourceView
from spatialqa.qa.question_modules import OwnQuestions, load_question_modules
from spatialqa.qa.subtype import ANSWER_KINDS, Subtype

__all__ = [
    "ANSWER_KINDS",
    "MASKED",
    "NEAR_BOUNDARY",
    "NEEDS_ONE_SOURCE",
    "NEEDS_THREE_SOURCES",
    "NEEDS_TWO_SOURCES",
    "NOT_APART",
    "NO_NAME",
    "NO_REGIONS",
    "AskOptions",
    "AskedQuestion",
    "Expected",
    "Fact",
    "Facts",
    "OwnQuestions",
    "Scene",
    "SceneView",
    "Source",
    "SourceView",
    "Subtype",
    "count_fact",
    "distance_fact",
    "hour_fact",
    "label_fact",
    "labels_fact",
    "load_question_modules",
    "location_fact",
    "why_not_named",
    "word_fact",
    "yes_no_fact",
]
