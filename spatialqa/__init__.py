"""Data sets for spatial-audio question answering: plans scenes, renders them in simulated rooms, asks questions.

`import spatialqa as sqa` loads nothing else. Each name of the Python API (docs/python.md) is imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from spatialqa.api import (
        Dataset,
        Listener,
        Question,
        RenderedScene,
        Room,
        Source,
        ask,
        export,
        load_dataset,
        open_clips,
        open_engine,
        open_rooms,
        render,
        render_scene,
        save_scenes,
        score,
        simulate_rirs,
        validate,
    )
    from spatialqa.errors import SpatialQAError

__all__ = [
    "Dataset",
    "Listener",
    "Question",
    "RenderedScene",
    "Room",
    "Source",
    "SpatialQAError",
    "__version__",
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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'spatialqa' has no attribute {name!r}")
    home = "spatialqa.errors" if name == "SpatialQAError" else "spatialqa.api"
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
