"""The Python API; `import spatialqa as sqa` gives the same names. docs/python.md shows how they are used.

inputs: rooms, clips and engines. sources, hand_made and saving: scenes placed by hand. data_set: whole data sets.
plan_view: the picture of a scene from above. values: checks of what is passed.
"""

from spatialqa.api.data_set import Dataset, export, load_dataset, render, score, validate
from spatialqa.api.hand_made import RenderedScene, ask, render_scene, simulate_rirs
from spatialqa.api.inputs import Room, open_clips, open_engine, open_rooms
from spatialqa.api.saving import save_scenes
from spatialqa.api.sources import Listener, Source
from spatialqa.qa.question import Question

__all__ = [
    "Dataset",
    "Listener",
    "Question",
    "RenderedScene",
    "Room",
    "Source",
    "ask",
    "export",
    "load_dataset",
    "open_clips",
    "open_engine",
    "open_rooms",
    "render",
    "render_scene",
    "save_scenes",
    "score",
    "simulate_rirs",
    "validate",
]
