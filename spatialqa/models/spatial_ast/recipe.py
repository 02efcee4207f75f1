"""The recipe of Spatial-AST: every key of its training and evaluation, as command line options and as YAML.

A command line option and a key of a recipe's `train` section are the same field. No torch here: the command line reads
these fields before it knows whether anything will be trained.
"""

from dataclasses import dataclass
from typing import Any

from spatialqa.core.names import SPLITS
from spatialqa.core.recipe_keys import LARGEST_SEED, key
from spatialqa.errors import RecipeError
from spatialqa.models.training.recipe import MOST_AT_ONCE, MOST_EPOCHS, MOST_WORKERS, TrainingKeys

# what the reference code has, and what the other presets have, of keys that are not given
OF_PRESET: dict[str, tuple[Any, Any]] = {
    "clip_norm": (0.0, 1.0),
    "head_std": (2e-5, 0.02),
    "specaugment": ("batch", "scene"),
    "patience": (0, 5),
}


@dataclass(frozen=True)
class TrainRecipe(TrainingKeys):
    """Everything that decides what `spatialqa train-baseline` trains, and how what it trained is judged.

    Loss weights, layer decay, weight decay, learning rates and warm-up are those of Spatial-AST (arXiv 2402.01591). The
    keys of OF_PRESET that are None get the value of the preset when the recipe is made.
    """

    model: str = key("spatial-ast", "model to train", choices=("spatial-ast",))
    preset: str = key("tiny", "size of the model; paper has 86 million parameters", choices=("paper", "small", "tiny"))
    channels: str = key("binaural", "input channels: two ears, or their mono downmix", choices=("binaural", "mono"))
    features: str = key(
        "preset",
        "input features: those of the preset, levels and phase differences, levels alone, or directional cues",
        choices=("preset", "mel+ipd", "mel", "cues"),
    )
    max_sources: int | None = key(
        None,
        "greatest number of sources per scene; default 2 if training scenes have two, else 1; of preset paper 1",
        minimum=1,
        maximum=4,
    )
    init: str | None = key(None, "initial weights: folder of a run, a checkpoint, or AudioMAE weights", path=True)
    data: str = key(
        "stored",
        "train on the stored scenes, or on new ones: the same clips convolved with stored RIRs (rirs/)",
        choices=("stored", "on-the-fly"),
    )
    class_epochs: int = key(5, "epochs of the first stage, which trains the class only", minimum=0, maximum=MOST_EPOCHS)
    joint_epochs: int = key(
        20, "epochs of the second stage, which trains class, direction and distance", minimum=0, maximum=MOST_EPOCHS
    )
    cache: str | None = key(
        None,
        "folder for the features of stored scenes (up to 1 MB each), computed once for all epochs and runs",
        path=True,
        execution=True,
    )
    batch_size: int = key(64, "scenes per step, over all processes", minimum=1, maximum=MOST_AT_ONCE)
    base_lr: float = key(1e-3, "learning rate for a batch of 256; it scales with the batch", minimum=0.0, maximum=100.0)
    min_lr: float = key(1e-6, "learning rate at the end of a stage (half cosine schedule)", minimum=0.0, maximum=100.0)
    warmup: float = key(0.1, "share of a stage with rising learning rate", minimum=0.0, maximum=1.0)
    weight_decay: float = key(5e-4, "weight decay of AdamW, for matrices", minimum=0.0, maximum=100.0)
    layer_decay: float = key(0.75, "learning rate of a layer relative to the next layer up", minimum=1e-3, maximum=1.0)
    class_weight: float = key(1250.0, "weight of the class loss (binary cross-entropy)", minimum=0.0, maximum=1e6)
    distance_weight: float = key(1.0, "weight of the distance loss (cross-entropy)", minimum=0.0, maximum=1e6)
    azimuth_weight: float = key(2.0, "weight of the azimuth loss (cross-entropy)", minimum=0.0, maximum=1e6)
    elevation_weight: float = key(2.0, "weight of the elevation loss (cross-entropy)", minimum=0.0, maximum=1e6)
    smoothing_deg: float = key(
        0.0,
        "label smoothing of angles: standard deviation of a Gaussian, degrees; 0 in the paper",
        minimum=0.0,
        maximum=180.0,
    )
    masking: bool = key(True, "mask frames and bands in training, as the paper does")
    mirror: bool = key(
        False, "left-right flip augmentation: swap channels and side of every second training scene; not in the paper"
    )
    clip_norm: float | None = key(
        None,
        "greatest norm of the gradient; 0 disables clipping; default 1, of preset paper 0",
        minimum=0.0,
        maximum=1e6,
    )
    head_std: float | None = key(
        None,
        "standard deviation of the heads' first weights; default 0.02, of preset paper 2e-5",
        minimum=0.0,
        maximum=1.0,
        before=0.02,
    )
    specaugment: str | None = key(
        None,
        "SpecAugment: another mask for every scene, or one for the batch; default scene, of preset paper batch",
        choices=("scene", "batch"),
        before="scene",
    )
    patience: int | None = key(
        None,
        "early stopping: epochs without a better loss; default 5, of preset paper 0",
        minimum=0,
        maximum=MOST_EPOCHS,
    )
    shuffle_labels: bool = key(False, "control: train every scene with the labels of another one")
    seed: int = key(0, "seed of weights, order and masking", minimum=0, maximum=LARGEST_SEED)
    run: str = key("spatialqa-model", "folder of checkpoints, logs and plots", path=True, execution=True)
    workers: int = key(
        0,
        "number of processes that decode scenes; 0 decodes in the training process",
        minimum=0,
        maximum=MOST_WORKERS,
        execution=True,
    )
    split: str = key("test", "evaluation: split", choices=SPLITS, execution=True)
    ears: str = key(
        "both",
        "evaluation: channels as they are, or as a control swapped or downmixed to mono (same)",
        choices=("both", "swapped", "same"),
        execution=True,
    )
    decode: str = key(
        "argmax",
        "evaluation: decoder of the headline; argmax is the reference's, auto was best on the validation split",
        choices=("argmax", "auto", "mean", "median"),
        execution=True,
    )

    def __post_init__(self) -> None:
        for name, (reference, other) in OF_PRESET.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, reference if self.preset == "paper" else other)
        super().__post_init__()
        if self.channels == "mono" and self.features not in ("preset", "mel"):
            raise RecipeError(f"features {self.features} needs two channels, and channels is mono: use features mel")
        if self.cache and self.data == "on-the-fly":
            raise RecipeError(
                "cache needs the same scenes in every epoch, and data on-the-fly draws new ones: leave one out"
            )
        if self.class_epochs + self.joint_epochs == 0:
            raise RecipeError("class_epochs and joint_epochs are both 0: there is nothing to train")
