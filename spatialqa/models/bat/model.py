"""BAT, the model: a language model that answers questions about audio that a Spatial-AST encoder has embedded.

The model of "BAT: Learning to Reason about Spatial Sounds with Large Language Models" (Zheng et al., ICML 2024,
arXiv 2402.01591): encoder tokens -> Q-Former with learned queries -> linear and LayerNorm -> audio embeddings, which
stand before the prompt in the input of a causal language model.

    model = BAT(config.PRESETS["tiny"])                                 # or checkpoint.load_bat("best.pt")[0]
    loss = model(tokens, model.encode(questions, answers))              # tokens: float (B, n, encoder_width)
    model.generate(tokens, ["Where is the sound of a dog, and how far away is it?"])   # ["left, front, above; 2.5m"]

A sequence is [audio][prompt][answer][eos]; the loss is on the answer and its eos. The prompt's tokens are what the
language model's own tokenizer makes of the text, so LLaMA's <s> stands between audio and prompt, as in the released
weights' training; SmolLM2 and tiny put nothing there.
"""

import inspect
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialqa.models.bat.config import BATConfig
from spatialqa.models.bat.grounding import OF_A_SOUND, Grounding
from spatialqa.models.bat.llm import PROMPT, TINY, make_llm, need, tiny_llm
from spatialqa.models.training.checkpoint import ModelError
from spatialqa.qa.spoken_name import bare_name, bare_sound, sound_of

IGNORED = -100
SHARED_UP_TO = 0.75  # sounds per question; with more of them, reading each once costs more than it saves
SELECTABLE = {"full_attention", "sliding_attention"}  # layers whose cache has a row for each sound
ADAPTED = ("q_proj", "v_proj")


@dataclass(frozen=True)
class Text:
    """Prompts, and answers where there are any, padded at the end.

    ids: int64 (B, L). mask: bool (B, L), false at padding. labels: int64 (B, L), IGNORED but on an answer and its eos;
    None without answers. first: the least position of an answer. shared: with how many tokens all prompts begin alike.
    """

    ids: Tensor
    mask: Tensor
    labels: Tensor | None
    first: int
    shared: int

    @property
    def prompt(self) -> Tensor:
        """Which tokens are of the prompt: bool (B, L)."""
        return self.mask if self.labels is None else self.mask & (self.labels == IGNORED)

    def to(self, device: torch.device | str) -> "Text":
        """Return the same on a device."""
        labels = None if self.labels is None else self.labels.to(device, non_blocking=True)
        ids, mask = (x.to(device, non_blocking=True) for x in (self.ids, self.mask))
        return Text(ids, mask, labels, self.first, self.shared)


class Projector(nn.Module):
    """From the encoder's tokens to embeddings of the language model; its attributes have the released names."""

    def __init__(self, config: BATConfig, llm_width: int) -> None:
        super().__init__()
        transformers = need("transformers", "spatialqa[models]", "BAT")
        c = config
        shape = transformers.Blip2QFormerConfig(
            num_hidden_layers=c.qformer_layers,
            encoder_hidden_size=c.encoder_width,
            hidden_size=c.qformer_width,
            num_attention_heads=c.qformer_heads,
            intermediate_size=4 * c.qformer_width,
            hidden_dropout_prob=c.qformer_dropout,
            attention_probs_dropout_prob=c.qformer_dropout,
            cross_attention_frequency=c.qformer_every,
            initializer_range=0.02 * (768 / c.qformer_width) ** 0.5,  # 0.02 at the usual width; as far apart at others
        )
        self.normalise = c.normalise
        self.query = nn.Parameter(torch.randn(1, c.queries, c.qformer_width))
        self.qformer = transformers.Blip2QFormerModel(shape)
        self.linear = nn.Linear(c.qformer_width, llm_width)
        self.norm = nn.LayerNorm(llm_width, eps=1e-5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, queries, llm_width) of (B, n, encoder_width)."""
        query = self.query.expand(len(tokens), -1, -1)
        if self.normalise:
            tokens = functional.layer_norm(tokens, tokens.shape[-1:])
        heard = self.qformer(query_embeds=query, encoder_hidden_states=tokens).last_hidden_state
        embeddings: Tensor = self.norm(self.linear(heard))
        return embeddings


class BAT(nn.Module):
    """The projector and the language model; its attributes carry the names of the released layout.

    First weights (of the projector, LoRA, tiny) are drawn from torch's generator. What is not trained has
    requires_grad False.
    """

    def __init__(
        self,
        config: BATConfig,
        *,
        dtype: torch.dtype = torch.float32,
        four_bit: bool = False,
        checkpointing: bool = False,
        tokenizer: Any = None,
    ) -> None:
        """Make the model.

        Args:
            config: what it is.
            dtype: of the language model's weights; the projector's and LoRA's are float32.
            four_bit: hold the language model in 4 bits, on a GPU.
            checkpointing: compute the language model's activations again in the backward pass, to save memory.
            tokenizer: of tiny, where it is not the one that is made now.

        Raises:
            MissingDependencyError: a package is needed that is not installed.
            ModelError: the language model cannot be had, or cannot be adapted.
        """
        super().__init__()
        self.config = config
        if four_bit and not config.lora_rank:
            raise ModelError("weights in 4 bits cannot be trained; set lora_rank to 1 or more")
        sizes = {"width": config.llm_width, "layers": config.llm_layers, "heads": config.llm_heads}
        if config.llm == TINY and tokenizer is not None:
            llm = tiny_llm(len(tokenizer), *sizes.values()).to(dtype)
        else:
            llm, tokenizer = make_llm(os.path.expanduser(config.llm), **sizes, dtype=dtype, four_bit=four_bit)
        if four_bit:
            peft = need("peft", "spatialqa[models]", "LoRA")
            llm = peft.prepare_model_for_kbit_training(llm, use_gradient_checkpointing=False)
        if checkpointing:
            # the name since transformers 5, and the one before
            enable = getattr(llm, "activation_checkpointing_enable", None) or llm.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        self.tokenizer = tokenizer
        self.encoder_projector = Projector(config, llm.get_input_embeddings().embedding_dim)
        llm.generation_config = type(llm.generation_config)()  # penalties of a chat model are no part of an answer
        self.grounding = make_grounding(config, tokenizer, llm.get_input_embeddings().embedding_dim)
        self.llm = _adapted(llm, config) if config.lora_rank else llm.requires_grad_(True)
        whole = getattr(llm.config, "max_position_embeddings", None) or 4096
        self.longest = whole - config.queries
        self.cache_name = _cache_name(llm)
        self.can_share = self.cache_name != "" and not checkpointing  # with checkpointing, transformers keeps no cache
        self._selects = True
        self._wanted: Tensor | None = None
        llm.get_output_embeddings().register_forward_pre_hook(self._wanted_states)

    def attend_by_products(self) -> None:
        """Compute attention by matrix products, not by torch's fused kernel.

        In bfloat16 on a CPU the backward pass of the fused kernel takes a third of a training step. In float32, and on
        a GPU, the fused kernel is faster.
        """
        for transformer in (self.llm, self.encoder_projector.qformer):
            whole = transformer.get_base_model() if hasattr(transformer, "get_base_model") else transformer
            whole.set_attn_implementation("eager")

    def compile_for_training(self, compiled: Callable[[Any], Any]) -> None:
        """Compile the Q-Former and the language model where gradients are computed; answering stays as it is.

        compiled: returns a function as torch.compile has it.
        """
        self._selects = False  # a number of rows that depends on the data would cut the graph
        for part in (self.encoder_projector, self.llm):
            setattr(part, "forward", _in_training(compiled(part.forward), part.forward))  # noqa: B010  mypy: a method

    def audio(self, tokens: Tensor) -> Tensor:
        """Return the embeddings, (B, queries, llm width), of the encoder's tokens, (B, n, encoder_width).

        Raises:
            ModelError: the tokens have another shape.
        """
        least = OF_A_SOUND * self.config.slots if self.config.names else 1
        if tokens.dim() != 3 or tokens.shape[2] != self.config.encoder_width or tokens.shape[1] < least:
            raise ModelError(
                f"tokens have the shape (B, n, {self.config.encoder_width}), as the encoder of this model gives them; "
                f"got {tuple(tokens.shape)}"
            )
        weight = self.encoder_projector.query
        embeddings: Tensor = self.encoder_projector(tokens.to(weight.dtype))
        return embeddings

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Text:
        """Return the token ids of prompts, with answers for training and without to generate.

        Raises:
            ModelError: a text is longer than the language model can read.
        """
        prompts = [PROMPT.format(question=question) for question in questions]
        before = self._ids(prompts)
        after: list[list[int]] = [[] for _ in prompts]
        if answers is not None:
            wholes = self._ids([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)])
            for row, (start, whole, answer) in enumerate(zip(before, wholes, answers, strict=True)):
                # generation continues from the prompt's own tokens: without them, the answer stands alone
                goes_on = whole[: len(start)] == start
                after[row] = whole[len(start) :] if goes_on else self._ids([answer], special=False)[0]
                after[row].append(self.tokenizer.eos_token_id)
        length = max(len(start) + len(end) for start, end in zip(before, after, strict=True))
        if length > self.longest:
            raise ModelError(f"a question of {length} tokens is longer than the language model reads ({self.longest})")
        ids = torch.full((len(prompts), length), self.tokenizer.eos_token_id)
        mask = torch.zeros(ids.shape, dtype=torch.bool)
        labels = torch.full_like(ids, IGNORED)
        for row, (start, end) in enumerate(zip(before, after, strict=True)):
            n = len(start) + len(end)
            ids[row, :n] = torch.tensor(start + end)
            labels[row, len(start) : n] = ids[row, len(start) : n]
            mask[row, :n] = True
        first = min(map(len, before))
        alike = (ids == ids[:1]).all(0)[: first - 1].long()
        return Text(ids, mask, None if answers is None else labels, first, int(alike.cumprod(0).sum()))

    def _ids(self, texts: list[str], special: bool = True) -> list[list[int]]:
        """Return the tokens of texts, with what the tokenizer puts before a text; no text can spell a special token."""
        rows: list[list[int]] = self.tokenizer(
            texts, add_special_tokens=special, split_special_tokens=True, return_attention_mask=False
        )["input_ids"]
        for row in rows:
            while row and row[-1] == self.tokenizer.eos_token_id:  # put there by the tokenizer, if at all
                row.pop()
        return rows

    def forward(self, tokens: Tensor, text: Text, of: Tensor | None = None, each: bool = False) -> Tensor:
        """Return the mean cross-entropy of the answers' tokens, or with `each` every example's own mean, (B,).

        Args:
            tokens: of the encoder, float (S, n, encoder_width).
            text: B questions with answers, from `encode`.
            of: int64 (B,), which of the S sounds each question is about; by default each question has its own. The
                language model reads a sound, and what all prompts begin with, once for all its questions.
            each: a loss for each example; their mean weighs a short answer as much as a long one.
        """
        if text.labels is None:
            raise ModelError("a loss needs answers")
        if of is not None and len(of) != len(text.ids):
            raise ModelError(f"sounds are given for {len(of)} questions, and there are {len(text.ids)}")
        labels = text.labels[:, text.first :]
        counted = labels != IGNORED
        logits = self._logits(tokens, text, of, functional.pad(counted, (0, 1)))  # a state predicts the next token
        said = functional.cross_entropy(logits.float(), labels[counted], reduction="none")
        loss = said.new_zeros(counted.shape).masked_scatter(counted, said)
        return loss.sum(1) / counted.sum(1) if each else loss.sum() / counted.sum()

    def _logits(self, tokens: Tensor, text: Text, of: Tensor | None, wanted: Tensor) -> Tensor:
        """Return the logits (N, vocabulary) at N wanted positions; wanted: bool (B, k), of the last k of each row."""
        # Padding is at the end, where no token that counts can see it: so the only mask is causality.
        if of is None or not self.can_share or len(tokens) > SHARED_UP_TO * len(of):
            sounds = tokens if of is None else tokens[of]
            return self._read(self._embeddings(sounds, text), wanted, use_cache=False)[0]
        heard, words = self.audio(tokens), self._words(tokens[of], text)
        one_each = torch.zeros(len(tokens), dtype=torch.int64, device=of.device)
        one_each[of] = torch.arange(len(of), device=of.device)
        opening = torch.cat([heard.to(words.dtype), words[one_each, : text.shared]], dim=1)
        _, cache = self._read(opening, wanted.new_zeros(len(tokens), 1), use_cache=True)
        cache.batch_select_indices(of)
        return self._read(words[:, text.shared :], wanted, use_cache=True, **{self.cache_name: cache})[0]

    def _read(self, embeddings: Tensor, wanted: Tensor, **options: Any) -> tuple[Tensor, Any]:
        """Return the logits at wanted positions of embeddings, see _logits, and the language model's cache, if any."""
        self._wanted = wanted if self._selects else None
        try:
            made = self.llm(inputs_embeds=embeddings, logits_to_keep=wanted.shape[1], **options)
        finally:
            self._wanted = None
        logits = made.logits if self._selects else made.logits[wanted]
        return logits, made[self.cache_name] if options["use_cache"] else None

    def _wanted_states(self, _: nn.Module, states: tuple[Tensor, ...]) -> tuple[Tensor]:
        """Return the states, (B, n, width), that become logits: in training those that predict an answer, (N, width).

        The logits of the others, as large as the vocabulary, would be computed and thrown away. Without contiguous()
        torch would multiply each example by a copy of a frozen matrix of its own.
        """
        return (states[0].contiguous() if self._wanted is None else states[0][self._wanted],)

    def _embeddings(self, tokens: Tensor, text: Text) -> Tensor:
        if len(tokens) != len(text.ids):
            raise ModelError(f"{len(tokens)} sounds for {len(text.ids)} questions: each question needs its own")
        heard, words = self.audio(tokens), self._words(tokens, text)
        return torch.cat([heard.to(words.dtype), words], dim=1)

    def _words(self, tokens: Tensor, text: Text) -> Tensor:
        """Return the embeddings of texts, (B, L, llm width); tokens: of the encoder, of the sound of each."""
        embedding = self.llm.get_input_embeddings()
        words: Tensor = embedding(text.ids)
        if self.grounding is not None:
            words = self.grounding(tokens.to(self.grounding.head.weight.dtype), words, text.prompt, embedding)
        return words

    @torch.no_grad()
    def generate(
        self, tokens: Tensor, questions: Sequence[str], beams: int = 4, max_new_tokens: int = 200
    ) -> list[str]:
        """Return an answer to each question, by beam search, or greedily with one beam; never by chance.

        What comes out for a question does not depend on the others beside it, but for rounding.
        """
        from transformers import GenerationConfig

        end = self.tokenizer.eos_token_id
        how = GenerationConfig(
            num_beams=beams, do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=end, pad_token_id=end
        )
        text = self.encode(questions).to(tokens.device)
        was_training = self.training
        self.eval()
        try:
            sequence = self._embeddings(tokens, text)
            heard = functional.pad(text.mask, (self.config.queries, 0), value=True)
            embeddings, mask = _end_together(sequence, heard)
            ids = self.llm.generate(inputs_embeds=embeddings, attention_mask=mask.long(), generation_config=how)
        finally:
            self.train(was_training)
        said: list[str] = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [answer.strip() for answer in said]


def _cache_name(llm: Any) -> str:
    """Return the argument of a language model that takes a cache with a row for each sound; "" where it has none."""
    layers = set(getattr(llm.config, "layer_types", None) or ())
    if getattr(llm, "_is_stateful", False) or not layers <= SELECTABLE:
        return ""
    taken = inspect.signature(llm.forward).parameters
    return next((name for name in ("cache", "past_key_values") if name in taken), "")  # in newer and older transformers


def make_grounding(config: BATConfig, tokenizer: Any, llm_width: int) -> Grounding | None:
    """Return what grounds questions, where the configuration has names."""
    if not config.names:
        return None
    if tokenizer is None:  # for the shapes of weights alone
        spelled = alone = [[0]] * len(config.names)
    else:
        spelled = [_in_a_question(name, f"Where is {sound_of(name)}?", tokenizer) for name in config.names]
        alone = [_in_a_question(name, f"You hear {bare_sound(name)}.", tokenizer) for name in config.names]
    return Grounding(config.encoder_width, config.slots, spelled, llm_width, () if alone == spelled else alone)


def _in_a_question(name: str, text: str, tokenizer: Any) -> list[int]:
    """Return the tokens of a sound's name where a text names it last: after a space or a quotation mark."""
    spoken = bare_name(name)
    first = text.rindex(spoken)
    try:
        read = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    except NotImplementedError:  # of one that is written in Python
        raise ModelError(
            "the tokenizer of the language model does not report the positions of its tokens: leave out --grounded"
        ) from None
    within = [start < first + len(spoken) and end > first for start, end in read["offset_mapping"]]
    return [token for token, inside in zip(read["input_ids"], within, strict=True) if inside]


def _in_training(compiled: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is the compiled one where gradients are computed, and the plain one elsewhere."""

    def forward(*args: Any, **options: Any) -> Any:
        return (compiled if torch.is_grad_enabled() else plain)(*args, **options)

    return forward


def _end_together(sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move the padding of (B, L, D) and its mask (B, L) from the end to the beginning."""
    n = mask.shape[1]
    source = torch.arange(n, device=mask.device) - (n - mask.sum(1, keepdim=True))
    moved = sequence.gather(1, source.clamp(min=0)[:, :, None].expand_as(sequence))
    return moved, source >= 0


def _adapted(llm: Any, config: BATConfig) -> Any:
    """Return the language model frozen, with trainable LoRA matrices (Hu et al. 2021)."""
    peft = need("peft", "spatialqa[models]", "LoRA")
    lora = peft.LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(ADAPTED),
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # between peft and transformers
            return peft.get_peft_model(llm, lora).eval()
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"llm {config.llm}: has no {' and '.join(ADAPTED)} for LoRA to adapt ({reason})") from None
