"""A scene of a page, as templates read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spatialqa.core.scene import Scene
from spatialqa.views.scene_drawing import SceneDrawing


@dataclass(frozen=True)
class Entry:
    """A scene with what is shown of it.

    rows: of each source what the table of ground truth and the filters say. questions: rows of the table of questions.
    sound: the file of its audio, below the page; None where there is none. decays: whether its RIRs are shown.
    """

    scene: Scene
    rows: Sequence[Mapping[str, Any]]
    questions: Sequence[Mapping[str, Any]]
    drawing: SceneDrawing
    why_no_outline: str | None
    sound: str | None
    decays: bool
