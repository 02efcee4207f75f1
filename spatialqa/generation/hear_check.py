"""The hearing check of a data set or a clip set: opens what it needs and puts the report together."""

from pathlib import Path

from spatialqa.audit.hearing.directions import check_directions
from spatialqa.audit.hearing.recognition import Recognition, recognise
from spatialqa.audit.hearing.report import HearingReport
from spatialqa.audit.hearing.tagger import Tagger
from spatialqa.core.recipe_keys import build
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.generation.inputs import clips_for
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.stages import clip_sounds, scene_sounds

_FOLEY_POOL = 10_000  # clips of a class that are drawn from,
_FOLEY_TUNED = 1_000  # but for the first, which the models of foley were tuned with


def hear_dataset(
    root: Path, tagger: Path | None, classes: Path | None, first: int, scenes: int, ablation: bool
) -> HearingReport:
    """Check the interaural differences of a data set and, with a tagger, whether its labels are heard.

    Args:
        root: the data set.
        tagger: ONNX file; None leaves that part out.
        classes: class list of the tagger.
        first: how many of its classes count.
        scenes: the greatest number of scenes.
        ablation: whether to hear what lies between clip and scene.

    Raises:
        SpatialQAError: the data set, its clips, the tagger or, for the ablation, the engine cannot be used.
    """
    folder = DatasetFolder(root)
    folder.read_run()
    heard: Recognition | None = None
    if tagger:
        heard = recognise(Tagger(tagger, classes), scene_sounds(root, scenes, ablation), first)
    return HearingReport(heard, check_directions(folder, scenes))


def hear_clips(clips: str, tagger: Path, classes: Path | None, first: int, per_class: int, seed: int) -> HearingReport:
    """Check whether a tagger hears the labels of the clips of a source, such as "foley" or "folder:DIR".

    Raises:
        SpatialQAError: the clips or the tagger cannot be used.
    """
    opened = Tagger(tagger, classes)
    pool = {"foley_clips_per_class": _FOLEY_POOL, "classes": ["all"]} if clips == "foley" else {}
    recipe = build(RenderRecipe, {"clips": clips, **pool}, "hear-check")
    sounds = clip_sounds(clips_for(recipe), per_class, seed, _FOLEY_TUNED if pool else 0)
    return HearingReport(recognise(opened, sounds, first), None)
