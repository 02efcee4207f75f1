"""Label-conditioned audio embeddings (`grounded`): adds a sound's audio tokens to the words of a prompt that name it.

Not in the paper. The language model tiny hardly learns to look up which of two sounds a question is about, not even in
text, so this does it (docs/models.md; larger ones were hardly tried). The encoder's class tokens give a distribution
over class names, and through these an embedding of each sound in the language model's own space. A word whose embedding
is closer to one sound than to the average name has that sound's tokens added to it.

    grounding = Grounding(192, 2, [[17, 4], [9]], 192)       # two sounds; two classes, named by these tokens
    words = grounding(tokens, words, prompt, embedding)
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialqa.core.ontology import ontology
from spatialqa.errors import RecipeError
from spatialqa.models.spatial_ast.checkpoint import vocabulary_of
from spatialqa.models.spatial_ast.model import SpatialAST
from spatialqa.models.training.checkpoint import ModelError, read_weights

SHARPNESS = 12.0
EVEN = 0.3  # likeness at which a word names a sound as likely as none
OF_A_SOUND = 3  # tokens that Spatial-AST has for each: distance, direction, class


def encoder_class_names(encoder_file: Path) -> tuple[str, ...]:
    """Return the names of the classes of an encoder, in lower case.

    Raises:
        ModelError: the file cannot be read.
        RecipeError: it does not say which classes it knows.
    """
    content = read_weights(encoder_file)
    try:
        vocabulary = vocabulary_of(content, encoder_file)
    except ModelError:
        raise RecipeError(
            f"{encoder_file}: does not name its classes, which --grounded has to know: leave that out, or train an "
            f"encoder with train-baseline"
        ) from None
    names = {node.mid: node.name for node in ontology().nodes}
    return tuple(names.get(mid, mid).lower() for mid in vocabulary)


class Grounding(nn.Module):
    """Adds to the embeddings of words the audio tokens of the sound that they name."""

    spelled: Tensor
    is_letter: Tensor

    def __init__(
        self,
        encoder_width: int,
        slots: int,
        spelled: Sequence[Sequence[int]],
        llm_width: int,
        alone: Sequence[Sequence[int]] = (),
    ) -> None:
        """Make it, of random weights.

        Args:
            encoder_width: of the encoder's tokens.
            slots: sounds that it has tokens for.
            spelled: the language model's tokens of each class's name, after "the sound of".
            llm_width: of the language model's embeddings.
            alone: the tokens of each class's name after any other word, where a tokenizer has others there.
        """
        super().__init__()
        self.slots = slots
        self.norm = nn.LayerNorm(encoder_width, eps=1e-6)
        self.head = nn.Linear(encoder_width, len(spelled))
        self.value = nn.Linear(OF_A_SOUND * encoder_width, llm_width)
        self.value_norm = nn.LayerNorm(llm_width)
        for part in (self.norm, self.head):  # trained, they lost the classes in a stage that named no sounds
            part.requires_grad_(False)
        ways = [spelled, alone] if alone else [spelled]
        longest = max(len(name) for way in ways for name in way)
        ids = torch.tensor([[[*name, *[0] * (longest - len(name))] for name in way] for way in ways])
        letters = torch.tensor([[[k < len(name) for k in range(longest)] for name in way] for way in ways])
        self.register_buffer("spelled", ids, persistent=False)  # (ways, classes, tokens)
        self.register_buffer("is_letter", letters, persistent=False)

    def take_over(self, encoder: SpatialAST) -> None:
        """Copy the encoder's class head and its norm, from which the classes of sounds are read."""
        self.norm.load_state_dict(encoder.fc_norm.state_dict())
        self.head.load_state_dict(encoder.head.state_dict())

    def forward(self, tokens: Tensor, words: Tensor, prompt: Tensor, embedding: nn.Module) -> Tensor:
        """Return the words, (B, L, D), with audio tokens added to those of the prompt that name a sound.

        Args:
            tokens: of the encoder, float (B, n, encoder_width).
            words: embeddings of the language model, (B, L, D).
            prompt: bool (B, L), true at every token before the answer.
            embedding: the language model's, from ids to embeddings.
        """
        own = tokens[:, : OF_A_SOUND * self.slots].unflatten(1, (self.slots, OF_A_SOUND))
        share = self.shares(own[:, :, -1], words, prompt, embedding)
        place = self.value(functional.layer_norm(own, own.shape[-1:]).flatten(2))
        added = share @ self.value_norm(place.float())
        scale = (words.float().square().mean(-1, keepdim=True) + 1e-12).sqrt()  # a padding's words may be 0
        return (words + scale * added).to(words.dtype)

    def shares(self, class_tokens: Tensor, words: Tensor, prompt: Tensor, embedding: nn.Module) -> Tensor:
        """Return how much each word names each sound, float32 (B, L, slots), 0 to 1; 0 outside the prompt.

        Args:
            class_tokens: of the encoder, float (B, slots, encoder_width).
            words, prompt, embedding: see forward.
        """
        with torch.no_grad():
            heard = self.head(self.norm(class_tokens)).float().softmax(-1)  # (B, slots, classes)
        unit = functional.normalize(words.float(), dim=-1)
        ways = []
        for ids, is_letter in zip(self.spelled, self.is_letter, strict=True):
            letters = embedding(ids).float() * is_letter[:, :, None]
            names = functional.normalize(letters.sum(1), dim=-1)
            # what a word is like all names says nothing: after training, and in pretrained models, all words are alike
            sounds = functional.normalize(heard @ names, dim=-1) - names.mean(0)
            ways.append(unit @ sounds.mT)
        like = torch.stack(ways).amax(0)
        none = torch.full_like(like[..., :1], EVEN)
        return (torch.cat([like, none], dim=-1) * SHARPNESS).softmax(-1)[..., :-1] * prompt[:, :, None]
