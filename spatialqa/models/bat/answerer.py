"""A trained BAT with its encoder, ready to answer questions about waveforms.

model = Answerer(Path("runs/bat"), AnswerRecipe())
model.answer(model.hear(waveform), ["Where is the sound, and how far away is it?"])    # waveform: (1, 2, n)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spatialqa.errors import RecipeError
from spatialqa.models.bat.checkpoint import is_released, released_config, unpack, unpack_released
from spatialqa.models.bat.encoder_lm import llm_options
from spatialqa.models.bat.model import BAT
from spatialqa.models.bat.questions import encoded
from spatialqa.models.bat.recipe import AnswerRecipe
from spatialqa.models.data.provenance import TrainingProvenance
from spatialqa.models.spatial_ast.checkpoint import load_checkpoint
from spatialqa.models.spatial_ast.model import SpatialAST
from spatialqa.models.training.checkpoint import ModelError, read_weights, weights_file
from spatialqa.models.training.process import autocast, choose_device

LONGEST_S = 600.0  # of a recording that is read whole
UNKNOWN_PROVENANCE = TrainingProvenance(clips=None)
RELEASED_S = 10.0  # length of the paper's scenes


@dataclass(frozen=True)
class TrainingConditions:
    """What a checkpoint says of its training: houses and clips, samples of a scene (None: not stored), and controls."""

    provenance: TrainingProvenance = UNKNOWN_PROVENANCE
    n_samples: int | None = None
    ears: str = "both"
    silence: bool = False

    @classmethod
    def of(cls, stored: Any, sample_rate: int, where: Path) -> "TrainingConditions":
        """Read it as training wrote it; None is nothing known. Raises ModelError for anything else."""
        if stored is None:
            return cls()
        if not isinstance(stored, Mapping):
            raise ModelError(f"{where}: does not say what it was trained on ({stored!r:.60}); train it again")
        known = {name: stored[name] for name in ("n_samples", "ears", "silence") if name in stored}
        n_samples = known.get("n_samples")
        right = {
            "n_samples": n_samples is None or (type(n_samples) is int and 0 < n_samples <= LONGEST_S * sample_rate),
            "ears": known.get("ears", "both") in ("both", "same"),
            "silence": isinstance(known.get("silence", False), bool),
        }
        wrong = [name for name, fine in right.items() if not fine]
        try:
            provenance = TrainingProvenance.of(stored)
        except ValueError as error:
            wrong.append(str(error))
        if wrong:
            raise ModelError(
                f"{where}: cannot have been trained with {wrong[0]} {stored[wrong[0]]!r:.60}; it is damaged, or no "
                f"checkpoint of train-baseline"
            )
        return cls(provenance=provenance, **known)


class Answerer:
    """A model of a file, ready to answer.

    Args:
        checkpoint: best.pt of a run of BAT, or the run's folder.
        recipe: how to answer.

    Raises:
        ModelError: it is no such file, or its LLM cannot be had.
        RecipeError: there is no GPU where one is asked for, or a control would take away what was not there.
    """

    def __init__(self, checkpoint: Path, recipe: AnswerRecipe) -> None:
        self.file = weights_file(checkpoint)
        self.recipe = recipe
        torch.set_num_threads(recipe.threads or 1)
        self.device = choose_device(recipe.device)
        content = read_weights(self.file)
        released = is_released(content)
        bat, encoder = self._released(content) if released else self._unpacked(content)
        if encoder is None:
            raise ModelError(f"{self.file}: has no encoder; use a checkpoint of train-baseline")
        self.trained_with = TrainingConditions.of(content.get("known"), encoder.config.sample_rate, self.file)
        if released:
            n_samples = round(RELEASED_S * encoder.config.sample_rate)
            self.trained_with = TrainingConditions(n_samples=n_samples)
        if recipe.ears != "both" and (self.trained_with.silence or self.trained_with.ears == "same"):
            control = "silence" if self.trained_with.silence else "a mono downmix"
            raise RecipeError(
                f"{self.file}: was trained on {control}, so --ears {recipe.ears} has no effect: leave it out"
            )
        self.bat: BAT = bat.to(self.device)
        self.encoder: SpatialAST = encoder.to(self.device)
        self.autocast = autocast(self.device, recipe.amp)

    def _unpacked(self, content: Mapping[str, Any]) -> tuple[BAT, SpatialAST | None]:
        """Return the models of a file, with the LLM where it is now."""
        if self.recipe.encoder:
            raise RecipeError(
                f"{self.file}: has its own encoder, or is not in the released layout; leave out --encoder"
            )
        stored = content.get("bat")
        config = stored if isinstance(stored, Mapping) else {}
        options = llm_options(self.recipe.llm_dtype, self.device, bool(config.get("lora_rank")))
        llm = self.recipe.llm or config.get("llm")
        try:
            return unpack(content, self.file, self.recipe.llm, **options)
        except ModelError as error:
            if not str(error).startswith(f"llm {llm}: "):
                raise
            raise ModelError(
                f"{self.file}: {error}; where its language model has moved, name the folder with --llm"
            ) from None

    def _released(self, content: Mapping[str, Any]) -> tuple[BAT, SpatialAST]:
        """Return the models of a file in the released layout, with the encoder and the LLM that options name."""
        if self.recipe.encoder is None:
            raise RecipeError(
                f"{self.file}: is in the released layout and has no encoder: name a Spatial-AST with --encoder, and "
                f"the language model with --llm"
            )
        encoder = load_checkpoint(weights_file(self.recipe.encoder))
        config = released_config(content, self.file, self.recipe.llm)
        if encoder.config.embed_dim != config.encoder_width:
            raise ModelError(
                f"{self.recipe.encoder}: its tokens have {encoder.config.embed_dim} values, and {self.file} takes "
                f"{config.encoder_width}; name the encoder that it was trained with"
            )
        options = llm_options(self.recipe.llm_dtype, self.device, frozen=True)
        return unpack_released(content, self.file, config, **options), encoder

    def hear(self, waveform: Tensor) -> Tensor:
        """Return the encoder's tokens of waveforms (B, 2, n), or of silence, as the recipe has it."""
        silent = self.recipe.silence or self.trained_with.silence
        ears = self.recipe.ears if self.recipe.ears != "both" else self.trained_with.ears
        return encoded(self.encoder, torch.zeros_like(waveform) if silent else waveform, ears)

    def answer(self, tokens: Tensor, questions: Sequence[str]) -> list[str]:
        """Return what the model says to each question, with its rationale before; tokens: (questions, n, D)."""
        with self.autocast:
            return self.bat.generate(tokens, questions, self.recipe.beams, self.recipe.max_new_tokens)
