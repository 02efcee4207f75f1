"""BAT: the released layout, what the language model reads and learns from, answers in batches, and files."""

import importlib.util
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from torch.nn import functional  # noqa: E402

from spatialqa.errors import MissingDependencyError  # noqa: E402
from spatialqa.models.bat.checkpoint import load_bat, load_released, pack, save_bat, unpack  # noqa: E402
from spatialqa.models.bat.config import PRESETS, BATConfig  # noqa: E402
from spatialqa.models.bat.encoder_lm import new_encoder_lm  # noqa: E402
from spatialqa.models.bat.llm import PROMPT, tiny_llm, tiny_tokenizer  # noqa: E402
from spatialqa.models.bat.model import BAT, IGNORED, Projector  # noqa: E402
from spatialqa.models.bat.recipe import BATRecipe  # noqa: E402
from spatialqa.models.spatial_ast.model import PRESETS as ENCODERS  # noqa: E402
from spatialqa.models.spatial_ast.model import SpatialAST  # noqa: E402
from spatialqa.models.training.checkpoint import ModelError, read_weights  # noqa: E402
from spatialqa.models.training.process import Process  # noqa: E402

MINI = BATConfig(
    llm="tiny",
    queries=4,
    qformer_layers=2,
    qformer_width=32,
    qformer_heads=2,
    qformer_dropout=0.0,
    encoder_width=24,
    lora_rank=0,
    lora_dropout=0.0,
    llm_width=32,
    llm_layers=2,
    llm_heads=2,
)
TOKENIZER = tiny_tokenizer()
QUESTIONS = [
    "Where is the sound of the dog, and how far is it?",
    "Which?",
    'Is the sound of "whack, thwack" closer to you than the sound of the cat?',
]
ANSWERS = ["left, front, above; 2.5m", "zither", "No"]


def mini(**changes: Any) -> BAT:
    torch.manual_seed(0)
    return BAT(replace(MINI, **changes), tokenizer=TOKENIZER).eval()


def sound(n: int = 3, seed: int = 0) -> Any:
    return torch.randn(n, 7, 24, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A language model as a user has one on disk."""
    path = tmp_path_factory.mktemp("llm")
    torch.manual_seed(4)
    tiny_llm(len(TOKENIZER), 32, 2, 2).save_pretrained(path)
    TOKENIZER.save_pretrained(path)
    return str(path)


def adapted(folder: str, **changes: Any) -> BAT:
    """Return a model with LoRA whose second matrices are not zero, as after training."""
    model = mini(llm=folder, lora_rank=3, **changes)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    return model


@pytest.fixture(scope="module")
def listener() -> BAT:
    """A model that has learned to say which of three patterns it hears, and nothing of it without."""
    torch.manual_seed(1)
    model = BAT(MINI, tokenizer=TOKENIZER).train()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    rng = torch.Generator().manual_seed(2)
    for _ in range(120):
        tokens, answers = heard(12, rng)
        loss = model(tokens, model.encode([QUESTIONS[k % 3] for k in range(12)], answers))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def heard(n: int, rng: Any) -> tuple[Any, list[str]]:
    patterns = torch.randn(3, 7, 24, generator=torch.Generator().manual_seed(8))
    which = torch.randint(3, (n,), generator=rng)
    return patterns[which] + 0.3 * torch.randn(n, 7, 24, generator=rng), [ANSWERS[k] for k in which.tolist()]


# --- the released layout --------------------------------------------------------------------------------------------


def linear(name: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def norm(name: str, n: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (n,), f"{name}.bias": (n,)}


def layout(width: int, encoder: int, llm: int, queries: int, layers: int) -> dict[str, tuple[int, ...]]:
    """Return the tensors of the released projector, by name without its prefix."""
    expected: dict[str, tuple[int, ...]] = {"query": (1, queries, width), **norm("qformer.layernorm", width)}
    for k in range(layers):
        layer = f"qformer.encoder.layer.{k}"
        for part, keys in [("attention", width)] + ([("crossattention", encoder)] if k % 2 == 0 else []):
            expected |= linear(f"{layer}.{part}.attention.query", width, width)
            expected |= linear(f"{layer}.{part}.attention.key", width, keys)
            expected |= linear(f"{layer}.{part}.attention.value", width, keys)
            expected |= linear(f"{layer}.{part}.output.dense", width, width)
            expected |= norm(f"{layer}.{part}.output.LayerNorm", width)
        expected |= linear(f"{layer}.intermediate_query.dense", 4 * width, width)
        expected |= linear(f"{layer}.output_query.dense", width, 4 * width)
        expected |= norm(f"{layer}.output_query.LayerNorm", width)
    return expected | linear("linear", llm, width) | norm("norm", llm)


def test_the_papers_projector_has_the_released_tensors() -> None:
    with torch.device("meta"):
        projector = Projector(PRESETS["paper"], 4096)
    assert {k: tuple(v.shape) for k, v in projector.state_dict().items()} == layout(768, 768, 4096, 64, 8)


def test_the_papers_qformer_is_the_default_one_but_for_two_values() -> None:
    from transformers import Blip2QFormerConfig

    with torch.device("meta"):
        ours = Projector(PRESETS["paper"], 4096).qformer.config.to_dict()
    default = Blip2QFormerConfig().to_dict()
    different = {k for k in ours.keys() | default.keys() if ours.get(k) != default.get(k)}
    assert {k: ours[k] for k in different - {"dtype", "architectures"}} == {
        "num_hidden_layers": 8,
        "encoder_hidden_size": 768,
    }


def test_lora_adapts_what_the_paper_says_with_the_released_names(folder: str) -> None:
    model = mini(llm=folder, lora_rank=8)
    trained = {name: tuple(p.shape) for name, p in model.named_parameters() if p.requires_grad}
    expected = {f"encoder_projector.{k}": v for k, v in layout(32, 24, 32, 4, 2).items()}
    for k in range(2):
        for part in ("q_proj", "v_proj"):
            name = f"llm.base_model.model.model.layers.{k}.self_attn.{part}"
            expected |= {f"{name}.lora_A.default.weight": (8, 32), f"{name}.lora_B.default.weight": (32, 8)}
    assert trained == expected
    assert model.llm.peft_config["default"].lora_alpha == 32
    before = model(sound(), model.encode(QUESTIONS, ANSWERS))
    assert torch.equal(before, model(sound(), model.encode(QUESTIONS, ANSWERS)))


@pytest.mark.parametrize(("adapter", "prefix", "wrapped"), [(".default", "", False), ("", "module.", True)])
def test_a_file_in_the_released_layout_is_read(
    adapter: str, prefix: str, wrapped: bool, folder: str, tmp_path: Path
) -> None:
    rng = torch.Generator().manual_seed(6)
    shapes = {f"encoder_projector.{k}": v for k, v in layout(32, 24, 32, 4, 2).items()}
    for k in range(2):
        for part in ("q_proj", "v_proj"):
            name = f"llm.base_model.model.model.layers.{k}.self_attn.{part}"
            shapes |= {f"{name}.lora_A{adapter}.weight": (3, 32), f"{name}.lora_B{adapter}.weight": (32, 3)}
    weights = {prefix + name: torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    torch.save({"model": weights} if wrapped else weights, tmp_path / "released.pt")
    config = replace(MINI, llm=folder, lora_rank=3)
    model = load_released(tmp_path / "released.pt", config)
    assert not model.training
    state = model.state_dict()
    for name, value in weights.items():
        ours = name.removeprefix(prefix)
        if not adapter:
            ours = ours.replace("lora_A.", "lora_A.default.").replace("lora_B.", "lora_B.default.")
        assert torch.equal(state[ours], value), name

    first = next(iter(weights))
    for wrong, words in [
        ({k: v for k, v in weights.items() if k != first}, "lacks 1 tensors, such as encoder_projector"),
        ({**weights, "encoder.bn.weight": torch.zeros(2)}, "none of its own, such as encoder.bn"),
        ({**weights, first: torch.zeros(1, 5, 32)}, "shape"),
        ({**weights, first: 3.0}, "shape"),
        ({"encoder_projector.linear.bias": 1}, "linear.bias"),
    ]:
        torch.save(wrong, tmp_path / "wrong.pt")
        with pytest.raises(ModelError, match=words):
            load_released(tmp_path / "wrong.pt", config)


# --- the sequence and the loss --------------------------------------------------------------------------------------


def read_by(model: BAT, tokens: Any, text: Any) -> Any:
    """Return the embeddings that the language model is given."""
    seen: list[Any] = []
    hook = model.llm.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs), with_kwargs=True)
    model(tokens, text)
    hook.remove()
    return seen[0]["inputs_embeds"]


def test_tokens_are_normalised_for_small_models_and_not_for_the_papers() -> None:
    assert not PRESETS["paper"].normalise
    assert PRESETS["tiny"].normalise
    assert PRESETS["smollm2"].normalise
    tokens = sound()
    louder = 30.0 * tokens + 5.0
    as_they_are, each = mini(), mini(normalise=True)
    assert torch.allclose(each.audio(tokens), each.audio(louder), atol=1e-4)
    assert not torch.allclose(as_they_are.audio(tokens), as_they_are.audio(louder), atol=1e-2)
    assert BATRecipe(normalise="each").shape() == {"normalise": True}
    assert BATRecipe(normalise="none").shape() == {"normalise": False}
    assert BATRecipe().shape() == {}


def test_audio_comes_first_then_prompt_answer_and_end() -> None:
    model, tokens = mini(), sound()
    text = model.encode(QUESTIONS, ANSWERS)
    assert text.labels is not None
    embeddings = read_by(model, tokens, text)
    words = model.llm.get_input_embeddings().weight
    for row, (question, answer) in enumerate(zip(QUESTIONS, ANSWERS, strict=True)):
        whole = TOKENIZER(PROMPT.format(question=question) + answer)["input_ids"] + [TOKENIZER.eos_token_id]
        expected = torch.cat([model.audio(tokens)[row], words[whole]])
        assert torch.allclose(embeddings[row, : len(expected)], expected, atol=1e-6)
        assert text.mask[row].sum() == len(whole)
        counted = text.labels[row] != IGNORED
        assert TOKENIZER.decode(text.labels[row][counted]) == answer + TOKENIZER.eos_token
        assert torch.equal(text.labels[row][counted], text.ids[row][counted])
        assert counted.nonzero()[-1] == len(whole) - 1


def test_the_loss_is_the_mean_over_the_tokens_of_answers_and_ends() -> None:
    model, tokens = mini(), sound()
    surprise: list[list[float]] = []
    for row, (question, answer) in enumerate(zip(QUESTIONS, ANSWERS, strict=True)):
        prompt = TOKENIZER(PROMPT.format(question=question))["input_ids"]
        target = TOKENIZER(answer)["input_ids"] + [TOKENIZER.eos_token_id]
        words = model.llm.get_input_embeddings()(torch.tensor([prompt + target]))
        sequence = torch.cat([model.audio(tokens[row : row + 1]), words], dim=1)
        logits = model.llm(inputs_embeds=sequence).logits[0, MINI.queries + len(prompt) - 1 : -1]
        likely = functional.log_softmax(logits, dim=-1)
        surprise.append([-likely[k, token].item() for k, token in enumerate(target)])
    text = model.encode(QUESTIONS, ANSWERS)
    every = [value for row in surprise for value in row]
    assert model(tokens, text).item() == pytest.approx(sum(every) / len(every), rel=1e-5)
    means = [sum(row) / len(row) for row in surprise]
    assert model(tokens, text, each=True).tolist() == pytest.approx(means, rel=1e-5)


NAMES = ("dog", "cat", "piano")


def read_lengths(model: BAT, *given: Any) -> list[tuple[int, ...]]:
    """Return the rows and positions of everything that the language model reads for a loss."""
    seen: list[tuple[int, ...]] = []
    hook = model.llm.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(tuple(kwargs["inputs_embeds"].shape[:2])), with_kwargs=True
    )
    model(*given)
    hook.remove()
    return seen


@pytest.mark.parametrize("names", [(), NAMES])
def test_questions_about_one_sound_have_the_loss_and_gradients_that_they_have_apart(
    folder: str, names: tuple[str, ...]
) -> None:
    for model in (mini(names=names), adapted(folder, names=names)):
        of = torch.tensor([1, 0, 1, 0, 0, 1])
        text, tokens = model.encode(QUESTIONS * 2, ANSWERS * 2), sound(2)
        found = []
        for given in ((tokens, text, of), (tokens[of], text)):
            model.zero_grad()
            loss = model(*given)
            loss.backward()
            found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
            found[-1] |= {"loss": loss.detach(), "each": model(*given, each=True).detach()}
        assert found[0].keys() == found[1].keys()
        for name, value in found[0].items():
            assert torch.allclose(value, found[1][name], atol=1e-5, rtol=1e-4), name


def other_llm(kind: str, folder: Path) -> str:
    """Write a small language model of random weights that is no LLaMA."""
    import transformers

    sizes = {"vocab_size": len(TOKENIZER), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0}
    config = {
        "mistral": lambda: transformers.MistralConfig(
            **sizes, **ends, intermediate_size=64, num_key_value_heads=1, sliding_window=6
        ),
        "opt": lambda: transformers.OPTConfig(**sizes, **ends, ffn_dim=64, word_embed_proj_dim=32),
        "lfm2": lambda: transformers.Lfm2Config(
            **sizes, **ends, intermediate_size=64, num_key_value_heads=1, layer_types=["conv", "full_attention"]
        ),
    }[kind]()
    torch.manual_seed(4)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(("kind", "shares"), [("mistral", True), ("opt", True), ("lfm2", False)])
def test_other_language_models_share_sounds_where_their_cache_has_a_row_for_each(
    kind: str, shares: bool, tmp_path: Path
) -> None:
    model = adapted(other_llm(kind, tmp_path))
    assert model.can_share == shares
    of, tokens = torch.tensor([1, 0, 1, 0, 0, 1]), sound(2)
    text = model.encode(QUESTIONS * 2, ANSWERS * 2)
    together, apart = model(tokens, text, of, each=True), model(tokens[of], text, each=True)
    assert torch.allclose(together, apart, atol=1e-4)
    assert len(read_lengths(model, tokens, text, of)) == (2 if shares else 1)
    recipe = BATRecipe(llm=str(tmp_path), normalise="none", questions_per_scene=2, queries=2, qformer_layers=1)
    recipe = replace(recipe, qformer_width=32, qformer_heads=2)
    process = Process(0, 1, torch.device("cpu"))
    encoder = SpatialAST(replace(ENCODERS["tiny"], embed_dim=24, depth=1, n_classes=5))
    if shares:
        assert new_encoder_lm(recipe, encoder, process).bat.can_share
    else:
        with pytest.raises(ModelError, match=r"has no cache that questions can share; leave out --questions-per-scene"):
            new_encoder_lm(recipe, encoder, process)
    # prompts that begin with nothing in common share the audio alone
    alone = model(tokens, replace(text, shared=0), of, each=True)
    assert torch.allclose(alone, apart, atol=1e-4)


def test_a_sound_and_the_beginning_of_the_prompt_are_read_once_for_all_its_questions() -> None:
    model, tokens, of = mini(), sound(2), torch.tensor([1, 0, 1, 0, 0, 1])
    text = model.encode(QUESTIONS * 2, ANSWERS * 2)
    beginning = TOKENIZER(PROMPT.partition("{question}")[0])["input_ids"]
    assert text.ids[0, : text.shared].tolist() == beginning
    queries, length = MINI.queries, text.ids.shape[1]
    assert read_lengths(model, tokens, text, of) == [(2, queries + text.shared), (6, length - text.shared)]
    # too few questions for a sound: a second reading would cost more than it saves
    five = sound(5)[torch.arange(6) % 5]
    assert read_lengths(model, sound(5), text, torch.arange(6) % 5) == [(6, queries + length)]
    assert read_lengths(model, five, text) == [(6, queries + length)]
    with pytest.raises(ModelError, match="sounds are given for 5 questions, and there are 6"):
        model(tokens, text, of[:5])


def test_prompts_that_are_all_alike_share_no_token_of_an_answer() -> None:
    model, of = mini(), torch.zeros(4, dtype=torch.int64)
    text = model.encode(["Which?"] * 4, ["No"] * 4)
    assert text.labels is not None
    assert 0 < text.shared < text.first
    assert torch.allclose(model(sound(1), text, of), model(sound(1)[of], text), atol=1e-6)


def test_logits_are_computed_where_an_answer_is_predicted_and_nowhere_else() -> None:
    model, tokens = mini(), sound()
    text = model.encode(QUESTIONS, ANSWERS)
    seen: list[tuple[int, ...]] = []
    head = model.llm.get_output_embeddings()
    hook = head.register_forward_hook(lambda _, states, logits: seen.append(tuple(logits.shape)))
    model(tokens, text)
    model.generate(tokens, QUESTIONS, beams=1, max_new_tokens=1)
    hook.remove()
    assert text.labels is not None
    assert seen == [(int((text.labels != IGNORED).sum()), len(TOKENIZER)), (3, 1, len(TOKENIZER))]


def test_what_stands_in_the_padding_is_never_seen() -> None:
    model, tokens = mini(), sound()
    text = model.encode(QUESTIONS, ANSWERS)
    other = replace(text, ids=torch.where(text.mask, text.ids, 77))
    assert (other.ids != text.ids).any()
    assert torch.allclose(model(tokens, other), model(tokens, text), atol=1e-6)


def starting(tokenizer: Any) -> Any:
    """Return a tokenizer that begins a text with its own token and ends it with one, as LLaMA's may."""
    from tokenizers.processors import TemplateProcessing

    changed = tiny_tokenizer(tokenizer.backend_tokenizer.to_str())
    changed.add_special_tokens({"bos_token": "<s>"})
    begin, end = changed.bos_token_id, changed.eos_token_id
    changed.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"<s> $A {changed.eos_token}", special_tokens=[("<s>", begin), (changed.eos_token, end)]
    )
    return changed


def test_a_token_that_the_tokenizer_puts_before_a_text_stands_between_audio_and_prompt() -> None:
    tokenizer = starting(TOKENIZER)
    model = BAT(MINI, tokenizer=tokenizer)
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    for answers in (ANSWERS, None):
        text = model.encode(QUESTIONS, answers)
        assert (text.ids[:, 0] == tokenizer.bos_token_id).all()
        assert not (text.ids[:, 1:] == tokenizer.bos_token_id).any()
    plain = mini().encode(QUESTIONS, ANSWERS)
    text = model.encode(QUESTIONS, ANSWERS)
    assert text.labels is not None
    assert torch.equal(text.ids[:, 1:], plain.ids)
    assert torch.equal(text.labels[:, 1:], plain.labels)


def test_an_answer_begins_where_its_prompt_ends_even_if_the_tokenizer_would_join_them() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(special_tokens=["<e>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(["### Response:left"] * 9 + ["### Response:"] * 3, trainer)
    model = mini()
    model.tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<e>")
    prompt = model.tokenizer(PROMPT.format(question="Which?"))["input_ids"]
    whole = model.tokenizer(PROMPT.format(question="Which?") + "left")["input_ids"]
    assert whole[: len(prompt)] != prompt
    text = model.encode(["Which?"], ["left"])
    assert text.ids[0, : len(prompt)].tolist() == prompt
    assert model.tokenizer.decode(text.ids[0, len(prompt) :]) == "left<e>"


def test_a_question_cannot_spell_the_end() -> None:
    text = mini().encode([f"Say {TOKENIZER.eos_token} now"], [f"{TOKENIZER.eos_token}!"])
    assert (text.ids[0] == TOKENIZER.eos_token_id).nonzero().flatten().tolist() == [text.ids.shape[1] - 1]


@pytest.mark.parametrize("rank", [0, 3])
def test_what_is_trained_learns_and_nothing_else(rank: int, folder: str) -> None:
    model = adapted(folder) if rank else mini()
    model.train()
    model(sound(), model.encode(QUESTIONS, ANSWERS)).backward()
    for name, weight in model.named_parameters():
        wanted = not rank or name.startswith("encoder_projector.") or ".lora_" in name
        assert weight.requires_grad == wanted, name
        assert (weight.grad is not None and bool(weight.grad.any())) == wanted or name.endswith("key.bias"), name


def test_checkpointing_changes_nothing_but_memory(folder: str) -> None:
    grads = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = BAT(replace(MINI, llm=folder, lora_rank=3), checkpointing=checkpointing).train()
        assert any(getattr(m, "gradient_checkpointing", False) for m in model.llm.modules()) == checkpointing
        model(sound(2), model.encode(QUESTIONS, ANSWERS), torch.tensor([0, 1, 1])).backward()
        grads.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    assert all(torch.allclose(grads[0][name], grads[1][name], atol=1e-6) for name in grads[0])


@pytest.mark.parametrize("rank", [0, 3])
def test_attention_by_matrix_products_changes_no_loss_and_no_gradient(rank: int, folder: str) -> None:
    losses, grads = [], []
    for by_products in (False, True):
        model = (adapted(folder) if rank else mini()).train()
        if by_products:
            model.attend_by_products()
        loss = model(sound(2), model.encode(QUESTIONS, ANSWERS), torch.tensor([0, 1, 1]))
        loss.backward()
        losses.append(loss.item())
        grads.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert grads[0].keys() == grads[1].keys()
    for name, fused in grads[0].items():
        assert (fused - grads[1][name]).abs().max() <= 1e-4 * fused.abs().max() + 1e-6, name


def test_compiling_is_for_training_alone_and_changes_no_gradient(folder: str) -> None:
    model, calls = adapted(folder), []

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        graph = torch.compile(function, backend="aot_eager", dynamic=True)

        def counted(*args: Any, **options: Any) -> Any:
            calls.append(function)
            return graph(*args, **options)

        return counted

    texts = [model.encode(QUESTIONS, ANSWERS), model.encode(QUESTIONS[:2], ANSWERS[:2])]
    grads = []
    for compiling in (False, True):
        if compiling:
            model.compile_for_training(compiled)
        model.zero_grad()
        model(sound(2), texts[0], torch.tensor([0, 1, 1])).backward()
        model(sound(2), texts[1]).backward()
        grads.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert len(calls) == 3 + 2  # the language model twice for shared sounds
    for name, plain in grads[0].items():
        assert (plain - grads[1][name]).abs().max() <= 1e-4 * plain.abs().max() + 1e-6, name
    with torch.no_grad():
        model(sound(), texts[0])
    model.generate(sound(), QUESTIONS, beams=1, max_new_tokens=3)
    assert len(calls) == 3 + 2


def test_a_compiled_language_model_is_one_graph_up_to_its_logits(folder: str) -> None:
    n_graphs = []
    for selects in (False, True):
        torch._dynamo.reset()
        graphs: list[Any] = []

        def counted(graph: Any, inputs: Any, graphs: list[Any] = graphs) -> Any:
            graphs.append(graph)
            return graph.forward

        model = BAT(replace(MINI, llm=folder, lora_rank=0), tokenizer=TOKENIZER)
        model.compile_for_training(partial(torch.compile, backend=counted, dynamic=True))
        model._selects = model._selects or selects
        model(sound(), model.encode(QUESTIONS, ANSWERS)).backward()
        n_graphs.append(len(graphs))
    assert n_graphs[0] < n_graphs[1]


def test_bfloat16_holds_the_language_model_and_changes_little(folder: str) -> None:
    config = replace(MINI, llm=folder, lora_rank=3)
    torch.manual_seed(0)
    exact = BAT(config).eval()
    torch.manual_seed(0)
    rough = BAT(config, dtype=torch.bfloat16).eval()
    kinds = {name: weight.dtype for name, weight in rough.named_parameters()}
    assert {kind for name, kind in kinds.items() if not rough.get_parameter(name).requires_grad} == {torch.bfloat16}
    assert {kind for name, kind in kinds.items() if rough.get_parameter(name).requires_grad} == {torch.float32}
    text = exact.encode(QUESTIONS, ANSWERS)
    assert rough(sound(), text).item() == pytest.approx(exact(sound(), text).item(), rel=0.01)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert exact(sound().half(), text).item() == pytest.approx(exact(sound(), text).item(), rel=0.01)


# --- answers --------------------------------------------------------------------------------------------------------


def test_it_answers_from_what_it_hears_and_from_nothing_else(listener: BAT) -> None:
    tokens, truth = heard(24, torch.Generator().manual_seed(33))
    questions = [QUESTIONS[k % 3] for k in range(24)]
    for beams in (1, 4):
        assert listener.generate(tokens, questions, beams=beams, max_new_tokens=12) == truth
    silent = listener.generate(torch.zeros_like(tokens), questions, beams=1, max_new_tokens=12)
    assert sum(a == b for a, b in zip(silent, truth, strict=True)) < 16


def restless() -> BAT:
    """Return a model that does not say one token for ever, as random weights do that are the same at both ends."""
    model = mini()
    for name, weight in model.llm.named_parameters():
        if "proj" in name:
            torch.nn.init.normal_(weight, std=0.4)
    return model


@pytest.mark.parametrize("beams", [1, 3])
def test_neighbours_in_a_batch_change_no_answer(beams: int) -> None:
    model, tokens = restless(), sound()
    together = model.generate(tokens, QUESTIONS, beams=beams, max_new_tokens=8)
    alone = [model.generate(tokens[k : k + 1], [QUESTIONS[k]], beams=beams, max_new_tokens=8)[0] for k in range(3)]
    assert together == alone
    assert len(set(together)) == 3
    assert model.generate(tokens, QUESTIONS, beams=beams, max_new_tokens=8) == together


def test_greedy_answers_are_the_likeliest_next_tokens() -> None:
    model, tokens = restless(), sound()
    for row, question in enumerate(QUESTIONS):
        audio = tokens[row : row + 1]
        ids = model.encode([question]).ids
        start = ids.shape[1]
        for _ in range(6):
            words = model.llm.get_input_embeddings()(ids)
            logits = model.llm(inputs_embeds=torch.cat([model.audio(audio), words], dim=1)).logits
            ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
        expected = TOKENIZER.decode(ids[0, start:], skip_special_tokens=True).strip()
        assert model.generate(audio, [question], beams=1, max_new_tokens=6) == [expected]


def test_answering_leaves_mode_and_chance_alone() -> None:
    model = mini(qformer_dropout=0.5).train()
    state = torch.get_rng_state()
    first = model.generate(sound(), QUESTIONS, beams=1, max_new_tokens=5)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert model.generate(sound(), QUESTIONS, beams=1, max_new_tokens=5) == first


def test_a_language_model_in_the_home_folder_is_found(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path(folder).parent))
    near = f"~/{Path(folder).name}"
    text = mini(llm=folder).encode(QUESTIONS, ANSWERS)
    model = mini(llm=near)
    assert model.config.llm == near
    assert torch.equal(model(sound(), text), mini(llm=folder)(sound(), text))


def test_without_transformers_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = pack(mini())
    torch.save(content["weights"], tmp_path / "released.pt")
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "transformers" else there(name))
    ways: list[Callable[[], Any]] = [
        mini,
        lambda: BAT(replace(MINI, llm="nowhere")),
        lambda: Projector(MINI, 32),
        lambda: unpack(content, "some.pt"),
        lambda: load_released(tmp_path / "released.pt", MINI),
    ]
    for make in ways:
        with pytest.raises(MissingDependencyError, match=r"needs transformers: pip install 'spatialqa\[models\]'"):
            make()


def test_what_cannot_be_read_or_heard_is_refused() -> None:
    model = mini()
    for tokens in (torch.zeros(3, 7, 25), torch.zeros(7, 24), torch.zeros(3, 0, 24)):
        with pytest.raises(ModelError, match=r"\(B, n, 24\)"):
            model.audio(tokens)
    with pytest.raises(ModelError, match="2 sounds for 3 questions"):
        model.generate(sound(2), QUESTIONS)
    with pytest.raises(ModelError, match="longer than the language model reads"):
        model.encode(["dog " * 5000])
    with pytest.raises(ModelError, match="needs answers"):
        model(sound(), model.encode(QUESTIONS))
    with pytest.raises(ModelError, match="lora_rank"):
        BAT(MINI, four_bit=True)


def test_a_language_model_without_the_adapted_parts_is_refused(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=len(TOKENIZER), n_embd=32, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has no q_proj and v_proj") as caught:
        mini(llm=str(tmp_path), lora_rank=2)
    assert "\n" not in str(caught.value)
    whole = mini(llm=str(tmp_path))
    assert math.isfinite(whole(sound(), whole.encode(QUESTIONS, ANSWERS)).item())


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_file_of_tiny_is_complete_and_gives_the_same_answers(listener: BAT, tmp_path: Path) -> None:
    encoder = SpatialAST(replace(ENCODERS["tiny"], embed_dim=48, depth=1, n_classes=5)).eval()
    save_bat(tmp_path / "bat.pt", listener, encoder)
    again, hears = load_bat(tmp_path / "bat.pt")
    assert again.config == listener.config
    assert not again.training
    tokens, truth = heard(9, torch.Generator().manual_seed(5))
    questions = [QUESTIONS[k % 3] for k in range(9)]
    text = again.encode(questions, truth)
    assert torch.equal(again(tokens, text), listener(tokens, listener.encode(questions, truth)))
    assert again.generate(tokens, questions, max_new_tokens=12) == truth
    assert again.tokenizer.backend_tokenizer.to_str() == listener.tokenizer.backend_tokenizer.to_str()
    assert again.llm.get_input_embeddings().weight is again.llm.get_output_embeddings().weight
    waveform = torch.randn(1, 2, 16000)
    assert hears is not None
    assert torch.equal(hears.forward_tokens(waveform), encoder.forward_tokens(waveform))


@pytest.mark.parametrize("rank", [0, 3])
def test_a_file_holds_what_was_trained_of_other_language_models(rank: int, folder: str, tmp_path: Path) -> None:
    model = adapted(folder) if rank else mini(llm=folder)
    save_bat(tmp_path / "bat.pt", model)
    held = read_weights(tmp_path / "bat.pt")["weights"]
    assert any("lora_" in name for name in held) == bool(rank)
    assert any("mlp" in name for name in held) == (not rank)
    again, hears = load_bat(tmp_path / "bat.pt")
    assert hears is None
    text = model.encode(QUESTIONS, ANSWERS)
    assert torch.equal(again(sound(), text), model(sound(), text))


def test_a_language_model_that_has_moved_is_named(folder: str, tmp_path: Path) -> None:
    model = adapted(folder)
    content = pack(model)
    moved = shutil.copytree(folder, tmp_path / "moved")
    content["bat"]["llm"] = str(tmp_path / "before")
    with pytest.raises(ModelError, match="before: no such folder"):
        unpack(content, "some.pt")
    again, _ = unpack(content, "some.pt", str(moved))
    text = model.encode(QUESTIONS, ANSWERS)
    assert torch.equal(again(sound(), text), model(sound(), text))
    with pytest.raises(ModelError, match="some.pt: its language model is tiny, .* leave out --llm"):
        unpack(pack(mini()), "some.pt", str(moved))


def test_lora_on_tiny_comes_back_too(tmp_path: Path) -> None:
    model = mini(lora_rank=2)
    save_bat(tmp_path / "bat.pt", model)
    torch.manual_seed(99)
    again, _ = load_bat(tmp_path / "bat.pt")
    text = model.encode(QUESTIONS, ANSWERS)
    assert torch.equal(again(sound(), text), model(sound(), text))


def test_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    good = pack(mini(), SpatialAST(replace(ENCODERS["tiny"], embed_dim=48, depth=1, n_classes=5)))
    weights, config = good["weights"], good["bat"]
    first = next(iter(weights))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"bat": None}, "holds no BAT"),
        ({"weights": 3}, "holds no BAT"),
        ({"weights": {**weights, 3: torch.zeros(1)}}, "holds no BAT"),
        ({"bat": {**config, "wings": 2}}, "wings"),
        ({"bat": {**config, "queries": "four"}}, "queries"),
        ({"bat": {**config, "qformer_heads": 3}}, "multiple of 3"),
        ({"tokenizer": None}, "lacks the tokenizer"),
        ({"tokenizer": "{"}, "tokenizer cannot be read"),
        ({"weights": {k: v for k, v in weights.items() if k != first}}, "lacks 1 tensors"),
        ({"weights": {**weights, "llm.wings": torch.zeros(1)}}, "none of its own"),
        ({"weights": {**weights, first: torch.zeros(2)}}, "shape"),
        ({"encoder": {"config": {}}}, "encoder cannot be used"),
        ({"encoder": {"config": {}, "model": {}}}, "lacks"),
        ({"encoder": 4}, "encoder cannot be used"),
    ]
    for changes, words in wrong:
        with pytest.raises(ModelError, match=words):
            unpack({**good, **changes}, "some.pt")
    torch.save({"config": {}, "model": {}}, tmp_path / "ast.pt")
    with pytest.raises(ModelError, match="holds no BAT"):
        load_bat(tmp_path / "ast.pt")


def test_a_file_cannot_take_memory_by_what_it_says() -> None:
    good = pack(mini())
    said: list[dict[str, int]] = [
        {"llm_width": 8192, "llm_heads": 64, "llm_layers": 96},
        {"qformer_width": 16384, "qformer_heads": 256, "qformer_layers": 96},
        {"encoder_width": 65536},
    ]
    for changes in said:
        started = time.monotonic()
        with pytest.raises(ModelError, match="does not hold the weights"):
            unpack({**good, "bat": {**good["bat"], **changes}}, "some.pt")
        assert time.monotonic() - started < 20
    with pytest.raises(ModelError, match="up to 4096"):
        BATConfig(queries=10**9)


def test_configurations_are_plain_and_strict() -> None:
    for config in PRESETS.values():
        assert BATConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    for wrong, words in [
        ({"llm": ""}, "llm"),
        ({"lora_rank": -1}, "lora_rank"),
        ({"qformer_width": 100}, "multiple of 12"),
        ({"llm_width": 9}, "multiple of 6"),
        ({"lora_dropout": 1.0}, "below 1"),
    ]:
        with pytest.raises(ModelError, match=words):
            BATConfig(**wrong)  # type: ignore[arg-type]
