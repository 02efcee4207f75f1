"""What shapes BAT: its configuration, and the presets."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from spatialqa.models.bat.llm import SMOLLM2, TINY
from spatialqa.models.training.checkpoint import ModelError


@dataclass(frozen=True)
class BATConfig:
    """Everything that shapes the model. The defaults are the paper's.

    llm: `tiny`, `smollm2`, a folder or an id of the Hugging Face hub. queries: learned queries, which become as many
    embeddings. The qformer_ values are of transformers' Blip2QFormerModel; every qformer_every-th of its layers, the
    first among them, looks at the audio. normalise: bring each of the encoder's tokens to mean 0 and deviation 1 first;
    the paper does not. lora_rank: of the matrices added to q_proj and v_proj of the frozen language
    model; 0 trains all of it. The llm_ sizes are those of tiny and mean nothing to others. names: what the encoder's
    classes are called, where words of a question are to take up what was heard of the sound that they name (see
    grounding); none in the paper. slots: sounds that the encoder has tokens for, for these.
    """

    llm: str = "meta-llama/Llama-2-7b-hf"
    queries: int = 64
    qformer_layers: int = 8
    qformer_width: int = 768
    qformer_heads: int = 12
    qformer_every: int = 2
    qformer_dropout: float = 0.1
    encoder_width: int = 768
    normalise: bool = False
    lora_rank: int = 8
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    llm_width: int = 192
    llm_layers: int = 4
    llm_heads: int = 3
    names: tuple[str, ...] = ()
    slots: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.llm, str) or not self.llm:
            raise ModelError(f"llm {self.llm!r} must be the name of a language model")
        for name, largest in _LARGEST.items():
            value = getattr(self, name)
            if type(value) is not int or not (0 if name == "lora_rank" else 1) <= value <= largest:
                raise ModelError(f"{name} {value!r} must be a whole number up to {largest}")
        if not isinstance(self.names, tuple) or not all(isinstance(name, str) and name for name in self.names):
            raise ModelError("names must be the names of classes")
        if not isinstance(self.normalise, bool):
            raise ModelError(f"normalise {self.normalise!r} must be true or false")
        for name in ("qformer_dropout", "lora_dropout"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0.0 <= value < 1.0:
                raise ModelError(f"{name} {value!r} must be at least 0 and below 1")
        for width, heads in (("qformer_width", "qformer_heads"), ("llm_width", "llm_heads")):
            step = getattr(self, heads) * (2 if width == "llm_width" else 1)  # positions turn pairs
            if getattr(self, width) % step:
                raise ModelError(f"{width} {getattr(self, width)} must be a multiple of {step}, with this many heads")

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read the plain form; raises ModelError for a key that is not known here or a value that cannot be."""
        unknown = sorted(str(key) for key in values.keys() - {f.name for f in dataclasses.fields(cls)})
        if unknown:
            raise ModelError(f"the model's configuration has unknown keys: {', '.join(unknown)}")
        names = values.get("names", ())
        return cls(**{**values, "names": tuple(names) if isinstance(names, list | tuple) else names})


# greater is a mistake, or a file that would take all memory
_LARGEST = {
    "queries": 4096,
    "qformer_layers": 96,
    "qformer_width": 16384,
    "qformer_heads": 256,
    "qformer_every": 96,
    "encoder_width": 65536,
    "lora_rank": 1024,
    "lora_alpha": 65536,
    "llm_width": 8192,
    "llm_layers": 96,
    "llm_heads": 256,
    "slots": 16,
}

_SMALL = BATConfig(
    queries=16, qformer_layers=2, qformer_width=192, qformer_heads=3, qformer_every=1, encoder_width=192, normalise=True
)  # for Spatial-AST's preset tiny, whose tokens reach 30: as they are, the Q-Former learns more slowly

PRESETS = {
    "paper": BATConfig(),
    "smollm2": dataclasses.replace(_SMALL, llm=SMOLLM2),
    # all of tiny is trained, since random weights are nothing to adapt
    "tiny": dataclasses.replace(_SMALL, llm=TINY, qformer_dropout=0.0, lora_rank=0),
}
