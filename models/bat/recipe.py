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
        "how a frozen LLM is held: auto takes bf16 on a GPU; 4-bit needs bitsandbytes",
        choices=("auto", "float32", "bf16", "4-bit"),
    )


@dataclass(frozen=True)
class BATRecipe(LLMKeys, TrainingKeys):
    """Everything that decides what `spatialqa train-baseline --model bat` trains.

    Curriculum, optimiser, batch and the shape beside a large LLM are those of BAT (arXiv 2402.01591).
    """

    model: str = key("bat", "which model", choices=("bat",))
    encoder: str | None = key(None, "the Spatial-AST that it listens with: a run's folder, or a checkpoint", path=True)
    llm: str = key("tiny", "what answers: tiny, smollm2, or the folder or hub id of a causal language model")
    init: str | None = key(None, "weights to start from: a checkpoint of BAT with the same LLM", path=True)
    queries: int | None = key(
        None, "learned queries; this and all to llm_heads as fits the LLM, see docs", minimum=1, maximum=1024
    )
    qformer_layers: int | None = key(None, "layers of the Q-Former", minimum=1, maximum=100)
    qformer_width: int | None = key(None, "its width", minimum=1, maximum=8192)
    qformer_heads: int | None = key(None, "its heads", minimum=1, maximum=128)
    qformer_every: int | None = key(
        None, "which of its layers look at the sound: each so many-th", minimum=1, maximum=100
    )
    qformer_dropout: float | None = key(None, "its dropout", minimum=0.0, maximum=1.0)
    normalise: str = key(
        "auto",
        "bring each of the encoder's tokens to mean 0 and deviation 1; auto does for the LLMs tiny and smollm2",
        choices=("auto", "each", "none"),
    )
    grounded: bool = key(
        False, "let the words of a prompt take up what was heard of the sound that they name; not the paper's"
    )
    lora_rank: int | None = key(
        None, "rank of LoRA on q_proj and v_proj; 0 trains the whole LLM", minimum=0, maximum=1024
    )
    lora_alpha: int | None = key(None, "LoRA's weight, over its rank", minimum=1, maximum=10000)
    lora_dropout: float | None = key(None, "dropout before LoRA", minimum=0.0, maximum=1.0)
    llm_width: int | None = key(None, "width of the LLM tiny", minimum=1, maximum=16384)
    llm_layers: int | None = key(None, "layers of the LLM tiny", minimum=1, maximum=200)
    llm_heads: int | None = key(None, "heads of the LLM tiny", minimum=1, maximum=256)
    qa_name: str | None = key(None, "train on the questions in qa-NAME instead of qa")
    rationale: bool = key(
        False,
        "learn to write a question's rationale before its answer, where make-qa --rationale made one; not the paper's",
    )
    curriculum: str = key("A,B:2;A,B,C,D:2;A,B,C,D,E:3", "stages, each with types of questions and passes over them")
    encoder_frozen: bool = key(True, "leave the encoder as it is; else it is trained too")
    masking: bool = key(False, "leave out frames and bands in an encoder that is trained")
    encoder_lr: float = key(
        0.1, "learning rate of an encoder that is trained, over that of the rest", minimum=0.0, maximum=1000.0
    )
    ears: str = key(
        "both", "what the encoder is given: both ears, or their mean in each (control)", choices=("both", "same")
    )
    silence: bool = key(False, "control: train on silence in the place of every scene")
    silent_share: float = key(
        0.0,
        "share of the questions to ask with nothing to hear, so that it learns what is likely then; not the paper's",
        minimum=0.0,
        maximum=1.0,
    )
    mirror: bool = key(False, "swap ears, and left and right in the text, of every second question; the paper does not")
    batch_size: int = key(16, "questions in one step, over all processes", minimum=1, maximum=MOST_AT_ONCE)
    accumulate: int = key(
        1,
        "parts that a process takes its batch in, one after the other",
        minimum=1,
        maximum=MOST_AT_ONCE,
        execution=True,
    )
    lr: float = key(1e-3, "peak of the learning rate", minimum=0.0, maximum=100.0)
    min_lr: float = key(0.0, "learning rate at the end of the half cosine", minimum=0.0, maximum=100.0)
    warmup_epochs: float = key(
        2.0, "passes in which the learning rate rises, at most half of all", minimum=0.0, maximum=MOST_EPOCHS
    )
    beta1: float = key(0.9, "AdamW's first beta", minimum=0.0, maximum=0.999999)
    beta2: float = key(0.95, "AdamW's second beta", minimum=0.0, maximum=0.999999)
    weight_decay: float = key(0.05, "AdamW's, on matrices", minimum=0.0, maximum=100.0)
    validation_questions: int = key(
        1000, "questions of the validation split that a pass ends with; 0 for all", minimum=0, maximum=1_000_000_000
    )
    patience: int = key(
        0,
        "end a stage after so many passes without a better validation loss; the next begins with its best weights; 0 "
        "never",
        minimum=0,
        maximum=MOST_EPOCHS,
    )
    seed: int = key(0, "seed of weights, order and dropout", minimum=0, maximum=LARGEST_SEED)
    run: str = key("spatialqa-bat", "folder of checkpoints, logs and plots", path=True, execution=True)
    cache: str | None = key(
        None,
        "folder of what the encoder makes of every scene, shared by runs; default in the run's",
        path=True,
        execution=True,
    )
    gradient_checkpointing: bool = key(False, "compute the LLM's layers twice to save memory", execution=True)
    parallel: str = key(
        "ddp",
        "under torchrun: every process holds the LLM, or a part of it (fsdp)",
        choices=("ddp", "fsdp"),
        execution=True,
    )
    workers: int = key(0, "processes that decode scenes for the cache", minimum=0, maximum=MOST_WORKERS, execution=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        stages(self.curriculum)
        if self.silence and self.ears != "both":
            raise RecipeError("silence and ears same are two controls: give one of them")

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

    split: str = key("test", "whose questions are answered", choices=("train", "validation", "test"))
    qa_name: str | None = key(None, "answer the questions in qa-NAME instead of qa")
    types: tuple[str, ...] = key(TYPES, "types of questions")
    unseen: bool = key(
        False, "answer only about scenes with no house or clip that the model or its encoder was trained on"
    )
    limit: int = key(0, "answer the questions of so many scenes; 0 for all", minimum=0, maximum=1_000_000_000)
    beams: int = key(4, "beams of the search; 1 is greedy", minimum=1, maximum=100)
    max_new_tokens: int = key(200, "longest answer", minimum=1, maximum=10_000, unit="tokens")
    ears: str = key(
        "both",
        "let the model hear both ears, the two swapped, or their mean in each (controls)",
        choices=("both", "swapped", "same"),
    )
    silence: bool = key(False, "control: let the model hear silence in the place of every scene")
    llm: str | None = key(None, "the language model's folder, where it is not where training found it")
    batch_size: int = key(32, "questions that are answered together", minimum=1, maximum=MOST_AT_ONCE)
    workers: int = key(0, "processes that decode scenes", minimum=0, maximum=MOST_WORKERS, execution=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := sorted(set(self.types) - set(TYPES)):
            raise RecipeError(f"types: {shown(unknown[0])} is none of {', '.join(TYPES)}")
        if self.silence and self.ears != "both":
            raise RecipeError("silence and ears are two controls: give one of them")


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
                f"curriculum: {shown(part.strip())} is no stage; write types and passes, such as A,B:2;A,B,C,D,E:3"
            )
        found.append(Stage(types, n_epochs))
    return tuple(found)
