"""The recipes of BAT: every key of its training and of its answers, as command line options and as YAML.

A command line option and a recipe key are the same field. No torch here: the command line reads these fields before it
knows whether anything will be trained.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from spatialqa.core.recipe_keys import LARGEST_SEED, key
from spatialqa.errors import RecipeError, shown
from spatialqa.models.training.recipe import MOST_AT_ONCE, MOST_EPOCHS, MOST_WORKERS, ComputeKeys, TrainingKeys

TYPES = ("A", "B", "C", "D", "E", "X")
SHAPE = (  # keys that not given are those of bat.PRESETS for the LLM
    "queries",
    "qformer_layers",
    "qformer_width",
    "qformer_heads",
    "qformer_every",
    "qformer_dropout",
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "llm_width",
    "llm_layers",
    "llm_heads",
)


class Stage(NamedTuple):
    """One stage of a curriculum: its types of questions, and its epochs over them."""

    types: tuple[str, ...]
    epochs: float

    def __str__(self) -> str:
        return "".join(self.types)


@dataclass(frozen=True)
class LLMKeys(ComputeKeys):
    """How the language model is held, in training and in answering."""

    llm_dtype: str = key(
        "auto",
        "data type of a frozen language model; auto uses bf16 on a GPU; 4-bit needs bitsandbytes",
        choices=("auto", "float32", "bf16", "4-bit"),
    )


@dataclass(frozen=True)
class BATRecipe(LLMKeys, TrainingKeys):
    """Everything that decides what `spatialqa train-baseline --model bat` trains.

    Curriculum, optimiser, batch and the shape beside a large LLM are those of BAT (arXiv 2402.01591).
    """

    model: str = key("bat", "model to train", choices=("bat",))
    encoder: str | None = key(None, "trained Spatial-AST: folder of a run, or a checkpoint", path=True)
    llm: str = key("tiny", "language model: tiny, smollm2, or the folder or hub id of a causal language model")
    init: str | None = key(None, "initial weights: a checkpoint of BAT with the same language model", path=True)
    queries: int | None = key(
        None,
        "number of learned queries; default of this and of all options up to --llm-heads by language model",
        minimum=1,
        maximum=1024,
    )
    qformer_layers: int | None = key(None, "number of layers of the Q-Former", minimum=1, maximum=100)
    qformer_width: int | None = key(None, "width of the Q-Former", minimum=1, maximum=8192)
    qformer_heads: int | None = key(None, "number of attention heads of the Q-Former", minimum=1, maximum=128)
    qformer_every: int | None = key(
        None, "cross-attention to the audio in every N-th layer of the Q-Former", minimum=1, maximum=100
    )
    qformer_dropout: float | None = key(None, "dropout of the Q-Former", minimum=0.0, maximum=1.0)
    normalise: str = key(
        "auto",
        "normalise each token of the encoder to mean 0 and deviation 1; auto does so for tiny and smollm2",
        choices=("auto", "each", "none"),
    )
    grounded: bool = key(
        False, "label-conditioned audio embeddings: words that name a sound receive its audio tokens; not in the paper"
    )
    lora_rank: int | None = key(
        None, "rank of LoRA on q_proj and v_proj; 0 trains the whole language model", minimum=0, maximum=1024
    )
    lora_alpha: int | None = key(None, "alpha of LoRA", minimum=1, maximum=10000)
    lora_dropout: float | None = key(None, "dropout of LoRA", minimum=0.0, maximum=1.0)
    llm_width: int | None = key(None, "tiny: width", minimum=1, maximum=16384)
    llm_layers: int | None = key(None, "tiny: number of layers", minimum=1, maximum=200)
    llm_heads: int | None = key(None, "tiny: number of attention heads", minimum=1, maximum=256)
    qa_name: str | None = key(None, "train on the questions in qa-NAME instead of qa")
    rationale: bool = key(
        False,
        "chain of thought: train to write the rationale (make-qa --rationale) before the answer; not in the paper",
    )
    curriculum: str = key("A,B:2;A,B,C,D:2;A,B,C,D,E:3", "stages, each with its question types and number of epochs")
    encoder_frozen: bool = key(True, "freeze the encoder; otherwise it is trained too")
    masking: bool = key(False, "mask frames and bands if the encoder is trained")
    encoder_lr: float = key(0.1, "learning rate of a trained encoder relative to the rest", minimum=0.0, maximum=1000.0)
    ears: str = key("both", "channels as they are, or as a control downmixed to mono (same)", choices=("both", "same"))
    silence: bool = key(False, "control: train with silence instead of audio")
    silent_share: float = key(
        0.0,
        "audio dropout: share of questions with silence instead of audio; not in the paper",
        minimum=0.0,
        maximum=1.0,
    )
    mirror: bool = key(
        False, "left-right flip augmentation of every second question, in audio and text; not in the paper"
    )
    batch_size: int = key(16, "questions per step, over all processes", minimum=1, maximum=MOST_AT_ONCE)
    questions_per_scene: int = key(
        1,
        "up to how many questions of a scene to ask together, so that its audio is read once for all of them",
        minimum=1,
        maximum=MOST_AT_ONCE,
        before=1,
    )
    accumulate: int = key(
        1,
        "gradient accumulation: number of parts of a batch",
        minimum=1,
        maximum=MOST_AT_ONCE,
        execution=True,
    )
    lr: float = key(1e-3, "peak learning rate", minimum=0.0, maximum=100.0)
    min_lr: float = key(0.0, "learning rate at the end (half cosine schedule)", minimum=0.0, maximum=100.0)
    warmup_epochs: float = key(
        2.0, "epochs with rising learning rate, at most half of all", minimum=0.0, maximum=MOST_EPOCHS
    )
    beta1: float = key(0.9, "first beta of AdamW", minimum=0.0, maximum=0.999999)
    beta2: float = key(0.95, "second beta of AdamW", minimum=0.0, maximum=0.999999)
    weight_decay: float = key(0.05, "weight decay of AdamW, for matrices", minimum=0.0, maximum=100.0)
    validation_questions: int = key(
        1000,
        "questions of the validation split that are evaluated after each epoch; 0 for all",
        minimum=0,
        maximum=1_000_000_000,
    )
    patience: int = key(
        0,
        "early stopping: epochs of a stage without a better validation loss (0 disables it); the next stage starts "
        "from its best weights",
        minimum=0,
        maximum=MOST_EPOCHS,
    )
    seed: int = key(0, "seed of weights, order and dropout", minimum=0, maximum=LARGEST_SEED)
    run: str = key("spatialqa-bat", "folder for checkpoints, logs and plots", path=True, execution=True)
    cache: str | None = key(
        None,
        "folder for the encoder tokens of every scene, shared by runs; default inside the run",
        path=True,
        execution=True,
    )
    gradient_checkpointing: bool = key(
        False, "compute the layers of the language model twice to save memory", execution=True
    )
    parallel: str = key(
        "ddp",
        "under torchrun: each process holds the whole language model (ddp), or a part of it (fsdp)",
        choices=("ddp", "fsdp"),
        execution=True,
    )
    workers: int = key(
        0, "number of processes that decode scenes for the cache", minimum=0, maximum=MOST_WORKERS, execution=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        stages(self.curriculum)
        if self.silence and self.ears != "both":
            raise RecipeError("silence and ears same are both controls: set only one")
        if self.questions_per_scene > 1 and (self.gradient_checkpointing or self.parallel == "fsdp"):
            other = "gradient_checkpointing" if self.gradient_checkpointing else "parallel fsdp"
            raise RecipeError(f"questions_per_scene and {other} exclude each other: set only one")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The curriculum, read."""
        return stages(self.curriculum)

    def shape(self) -> dict[str, Any]:
        """Return what was given of the model's shape."""
        given = {name: value for name in SHAPE if (value := getattr(self, name)) is not None}
        return given if self.normalise == "auto" else given | {"normalise": self.normalise == "each"}


@dataclass(frozen=True)
class AnswerRecipe(LLMKeys):
    """Everything that decides how `spatialqa answer` and `spatialqa listen` answer."""

    split: str = key("test", "split whose questions are answered", choices=("train", "validation", "test"))
    qa_name: str | None = key(None, "answer the questions in qa-NAME instead of qa")
    types: tuple[str, ...] = key(TYPES, "question types to answer")
    unseen: bool = key(
        False, "answer only about scenes whose house and clips neither the model nor its encoder was trained on"
    )
    limit: int = key(0, "number of scenes whose questions are answered; 0 for all", minimum=0, maximum=1_000_000_000)
    beams: int = key(4, "beams of the beam search; 1 is greedy", minimum=1, maximum=100)
    max_new_tokens: int = key(200, "greatest length of an answer, tokens", minimum=1, maximum=10_000, unit="tokens")
    ears: str = key(
        "both",
        "channels as they are, or as a control swapped or downmixed to mono (same)",
        choices=("both", "swapped", "same"),
    )
    silence: bool = key(False, "control: silence instead of audio")
    llm: str | None = key(
        None, "language model, if it has moved since training; of a file in the released layout: folder or hub id"
    )
    encoder: str | None = key(
        None,
        "Spatial-AST for a file in the released layout, which has none: a checkpoint, or the folder of a run",
        path=True,
        before=None,
    )
    batch_size: int = key(32, "questions per batch", minimum=1, maximum=MOST_AT_ONCE)
    workers: int = key(0, "number of processes that decode scenes", minimum=0, maximum=MOST_WORKERS, execution=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := sorted(set(self.types) - set(TYPES)):
            raise RecipeError(f"types: {shown(unknown[0])} is not one of {', '.join(TYPES)}")
        if self.silence and self.ears != "both":
            raise RecipeError("silence and ears are both controls: set only one")


def stages(curriculum: str) -> tuple[Stage, ...]:
    """Read a curriculum such as "A,B:2;A,B,C,D,E:3"; raises RecipeError for anything else."""
    found = []
    for part in curriculum.split(";"):
        names, _, epochs = part.partition(":")
        types = tuple(name.strip() for name in names.split(","))
        try:
            n_epochs = float(epochs)
        except ValueError:
            n_epochs = 0.0
        if not 0.0 < n_epochs < MOST_EPOCHS or not set(types) <= set(TYPES) or len(set(types)) < len(types):
            raise RecipeError(
                f"curriculum: {shown(part.strip())} is not a stage; write types and epochs, such as A,B:2;A,B,C,D,E:3"
            )
        found.append(Stage(types, n_epochs))
    return tuple(found)
