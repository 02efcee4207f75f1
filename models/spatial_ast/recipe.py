"""The recipe of Spatial-AST: every key of its training and evaluation, as command line options and as YAML.

A command line option and a key of a recipe's `train` section are the same field. No torch here: the command line reads
these fields before it knows whether anything will be trained.
"""

from dataclasses import dataclass

from spatialqa.core.names import SPLITS
from spatialqa.core.recipe_keys import LARGEST_SEED, key
from spatialqa.errors import RecipeError
from spatialqa.models.training.recipe import MOST_AT_ONCE, MOST_EPOCHS, MOST_WORKERS, TrainingKeys


@dataclass(frozen=True)
class TrainRecipe(TrainingKeys):
    """Everything that decides what `spatialqa train-baseline` trains, and how what it trained is judged.

    Loss weights, layer decay, weight decay, learning rates and warm-up are those of Spatial-AST (arXiv 2402.01591).
    """

    model: str = key("spatial-ast", "which model", choices=("spatial-ast",))
    preset: str = key("tiny", "its size; paper is 86 million parameters", choices=("paper", "small", "tiny"))
    channels: str = key("binaural", "what it hears: two ears, or the mean of both", choices=("binaural", "mono"))
    features: str = key(
        "preset",
        "levels and phase differences, levels alone, or directional cues; default as the preset has, levels for mono",
        choices=("preset", "mel+ipd", "mel", "cues"),
    )
    max_sources: int = key(
        1, "train on scenes with up to so many sounds; the model answers for so many", minimum=1, maximum=4
    )
    init: str | None = key(None, "weights to start from: a run's folder, a checkpoint, or AudioMAE's", path=True)
    data: str = key(
        "stored",
        "train on the stored scenes, or on new ones of the same clips convolved with stored RIRs (rirs/)",
        choices=("stored", "on-the-fly"),
    )
    class_epochs: int = key(
        5, "first stage, the class alone: passes through the training split", minimum=0, maximum=MOST_EPOCHS
    )
    joint_epochs: int = key(20, "second stage, class, direction and distance: passes", minimum=0, maximum=MOST_EPOCHS)
    cache: str | None = key(
        None,
        "folder to keep the front end's maps of stored scenes in (up to 1 MB each), so that sound is decoded and "
        "transformed once for all passes and runs",
        path=True,
        execution=True,
    )
    batch_size: int = key(64, "sounds in one step, over all processes", minimum=1, maximum=MOST_AT_ONCE)
    base_lr: float = key(1e-3, "learning rate at a batch of 256; it grows with the batch", minimum=0.0, maximum=100.0)
    min_lr: float = key(1e-6, "learning rate at the end of a stage's half cosine", minimum=0.0, maximum=100.0)
    warmup: float = key(0.1, "share of a stage in which the learning rate rises", minimum=0.0, maximum=1.0)
    weight_decay: float = key(5e-4, "AdamW's, on matrices", minimum=0.0, maximum=100.0)
    layer_decay: float = key(
        0.75, "learning rate of each layer over that of the next one up", minimum=1e-3, maximum=1.0
    )
    class_weight: float = key(1250.0, "weight of the class's binary cross-entropy", minimum=0.0, maximum=1e6)
    distance_weight: float = key(1.0, "weight of the distance's cross-entropy", minimum=0.0, maximum=1e6)
    azimuth_weight: float = key(2.0, "weight of the azimuth's cross-entropy", minimum=0.0, maximum=1e6)
    elevation_weight: float = key(2.0, "weight of the elevation's cross-entropy", minimum=0.0, maximum=1e6)
    smoothing_deg: float = key(
        0.0,
        "spread each true angle over its neighbours: a Gaussian of so many degrees; the paper has none",
        minimum=0.0,
        maximum=180.0,
    )
    masking: bool = key(True, "leave out frames and bands in training, as the paper does")
    mirror: bool = key(False, "swap the ears and the side of every second training sound; the paper does not")
    patience: int = key(
        5, "stop a stage after so many passes without a better validation loss; 0 never", minimum=0, maximum=MOST_EPOCHS
    )
    shuffle_labels: bool = key(False, "control: give every training sound the labels of another one")
    seed: int = key(0, "seed of weights, order and masking", minimum=0, maximum=LARGEST_SEED)
    run: str = key("spatialqa-model", "folder of checkpoints, logs and plots", path=True, execution=True)
    compile: bool = key(False, "compile the model (torch.compile)", execution=True)
    workers: int = key(
        0,
        "processes that decode scenes; 0 decodes in the training process",
        minimum=0,
        maximum=MOST_WORKERS,
        execution=True,
    )
    split: str = key("test", "evaluation: which split", choices=SPLITS, execution=True)
    ears: str = key(
        "both",
        "evaluation: let the model hear both ears, the two swapped, or their mean in each (controls)",
        choices=("both", "swapped", "same"),
        execution=True,
    )
    decode: str = key(
        "auto",
        "evaluation: how a direction is read off: argmax, mean, median; auto is what was best in validation",
        choices=("auto", "argmax", "mean", "median"),
        execution=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels == "mono" and self.features not in ("preset", "mel"):
            raise RecipeError(f"channels mono has no differences between ears, and features {self.features} needs them")
        if self.cache and self.data == "on-the-fly":
            raise RecipeError("cache keeps what is the same in every pass, and data on-the-fly is not: leave one out")
        if self.class_epochs + self.joint_epochs == 0:
            raise RecipeError("class_epochs and joint_epochs are both 0: there is nothing to train")
