"""Grounding: the words of a question take up what was heard of the sound that they name, and no others do."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn import functional  # noqa: E402

from spatialqa.errors import RecipeError  # noqa: E402
from spatialqa.models.bat.checkpoint import load_bat, pack, save_bat, unpack  # noqa: E402
from spatialqa.models.bat.config import BATConfig  # noqa: E402
from spatialqa.models.bat.grounding import Grounding, encoder_class_names  # noqa: E402
from spatialqa.models.bat.llm import tiny_llm, tiny_tokenizer  # noqa: E402
from spatialqa.models.bat.model import BAT, make_grounding  # noqa: E402
from spatialqa.models.spatial_ast.model import SpatialAST, SpatialASTConfig  # noqa: E402
from spatialqa.models.training.checkpoint import ModelError, save  # noqa: E402
from spatialqa.qa.spoken_name import sound_of  # noqa: E402

WIDTH = 40
NAMES = (
    "dog",
    "bell",
    "drum",
    "violin, fiddle",
    "rain",
    "cat",
    "train",
    "frog",
    "piano",
    "wind",
    "saw",
    "hen, rooster",
    *("clock", "whistle", "thunder", "bee", "duck", "hammer", "crow", "sheep", "cough", "owl", "harp", "gong"),
    *("zither", "pig", "horse", "goat"),
)
TAUGHT = 24  # of the names
CONFIG = BATConfig(
    llm="tiny",
    queries=4,
    qformer_layers=1,
    qformer_width=32,
    qformer_heads=2,
    qformer_dropout=0.0,
    encoder_width=WIDTH,
    lora_rank=0,
    llm_width=64,
    llm_layers=2,
    llm_heads=2,
    slots=2,
)


def grounded() -> BAT:
    """Return a model whose encoder tells its classes for certain."""
    torch.manual_seed(0)
    model = BAT(BATConfig.from_dict({**CONFIG.to_dict(), "names": NAMES}))
    assert model.grounding is not None
    with torch.no_grad():
        model.grounding.head.weight.copy_(5.0 * torch.eye(len(NAMES), WIDTH))
        model.grounding.head.bias.zero_()
    return model


def pairs(n: int, first: int, last: int, seed: int) -> tuple[Any, list[str], list[str]]:
    """Return tokens of two sounds of these classes, one on each side, and a question about one of them."""
    draw = torch.Generator().manual_seed(seed)
    tokens, questions, answers = torch.zeros(n, 7, WIDTH), [], []
    for row in range(n):
        one, other = (torch.randperm(last - first, generator=draw)[:2] + first).tolist()
        left, asked = torch.randint(2, (2,), generator=draw).tolist()
        for slot, name in enumerate((one, other)):
            tokens[row, 3 * slot + 1, len(NAMES) + (slot == left)] = 3.0
            tokens[row, 3 * slot + 2, name] = 3.0
        questions.append(f"Where is {sound_of(NAMES[(one, other)[asked]])}?")
        answers.append("left" if asked == left else "right")
    return tokens, questions, answers


@pytest.mark.parametrize("alike", [0.0, 0.07])
def test_a_word_takes_up_the_sound_that_it_names_in_the_prompt_alone(alike: float) -> None:
    """Also where all words have much in common, as after training: with 0.07 their cosines are 0.5."""
    torch.manual_seed(0)
    grounding = Grounding(12, 2, [[3], [5, 6], [8], [2], [7], [9]], 256)
    embedding = torch.nn.Embedding(10, 256)
    torch.nn.init.normal_(embedding.weight, mean=alike, std=0.07)
    with torch.no_grad():
        grounding.head.weight.copy_(5.0 * torch.eye(6, 12))
    tokens = torch.randn(1, 9, 12)
    tokens[0, 2], tokens[0, 5] = 9.0 * torch.eye(12)[0], 9.0 * torch.eye(12)[1]
    ids = torch.tensor([[1, 3, 5, 6, 8, 3]])
    prompt = torch.tensor([[True, True, True, True, True, False]])
    words = embedding(ids)
    added = (grounding(tokens, words, prompt, embedding) - words)[0]
    own = functional.layer_norm(tokens[0, :6], (12,)).reshape(2, 36)
    heard = grounding.value_norm(grounding.value(own))
    likeness = functional.cosine_similarity(added[:, None], heard[None], dim=-1)
    assert likeness[1].argmax() == 0
    assert likeness[[2, 3]].argmax(1).tolist() == [1, 1]
    assert (likeness[[1, 2, 3]].amax(1) > 0.95).all()
    size = added.norm(dim=1) / words[0].norm(dim=1)
    assert (size[[1, 2, 3]] > 0.4).all()
    assert (size[[0, 4]] < 0.1).all()  # another word; a class that was not heard
    assert added[5].abs().max() == 0.0  # of the answer, which nobody has said yet when it is looked for
    both = grounding(
        tokens.repeat(2, 1, 1), words.repeat(2, 1, 1) * torch.tensor([[[1.0]], [[9.0]]]), prompt, embedding
    )
    torch.testing.assert_close(both[0] - words[0], added, rtol=1e-4, atol=1e-6)


def test_it_answers_about_names_that_no_question_had_in_training() -> None:
    right = {}
    for has_names in (True, False):
        model = grounded().train()
        known = [p.clone() for part in (model.grounding.norm, model.grounding.head) for p in part.parameters()]
        if not has_names:
            model.grounding = None
        optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
        for step in range(150):
            tokens, questions, answers = pairs(16, 0, TAUGHT, step)
            loss = model(tokens, model.encode(questions, answers))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        tokens, questions, answers = pairs(60, TAUGHT, len(NAMES), 1000)
        said = model.generate(tokens, questions, beams=1, max_new_tokens=3)
        if has_names:  # what is known of the classes stays as the encoder had it
            parts = (model.grounding.norm, model.grounding.head)
            assert all(map(torch.equal, known, [p for part in parts for p in part.parameters()]))
        right[has_names] = sum(a == b for a, b in zip(said, answers, strict=True)) / len(answers)
    assert right[True] > 0.9
    assert right[False] < 0.75


def test_names_are_spelled_as_a_question_spells_them() -> None:
    """Many tokenizers have other tokens for a word after a space than without one."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    questions = [f"Where is {sound_of(name)}?" for name in ("dog", "sound", "frog", "hen, rooster")] * 9
    questions += ["dog"] * 9
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), special_tokens=["</s>"], show_progress=False
    )
    model.train_from_iterator(questions, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=model, eos_token="</s>")
    config = BATConfig.from_dict({**CONFIG.to_dict(), "names": ("dog", "sound", "hen, rooster", "frog")})
    grounding = make_grounding(config, tokenizer, 64)
    assert grounding is not None
    rows = zip(grounding.spelled[0], grounding.is_letter[0], strict=True)
    said = [tokenizer.decode(ids[mask]) for ids, mask in rows]
    assert said == [" dog", " sound", "hen, rooster", " frog"]
    assert not set(tokenizer("dog")["input_ids"]) & set(grounding.spelled[0, 0].tolist())


def test_a_file_holds_it_and_a_file_without_it_is_refused(tmp_path: Path) -> None:
    model = grounded().eval()
    tokens, questions, _ = pairs(6, 0, len(NAMES), 0)
    said = model.generate(tokens, questions, beams=1, max_new_tokens=4)
    save_bat(tmp_path / "bat.pt", model)
    again, _ = load_bat(tmp_path / "bat.pt")
    assert again.config == model.config
    assert again.generate(tokens, questions, beams=1, max_new_tokens=4) == said
    content = pack(model)
    del content["weights"]["grounding.head.bias"]
    with pytest.raises(ModelError, match=r"lacks 1 tensors, such as grounding\.head\.bias"):
        unpack(content, "bat.pt")
    fewer = pack(model)
    fewer["bat"]["names"] = NAMES[:3]
    with pytest.raises(ModelError, match=r"grounding\.head\.\w+ has the shape"):
        unpack(fewer, "bat.pt")
    with pytest.raises(ModelError, match="names must be the names of classes"):
        BATConfig.from_dict({**CONFIG.to_dict(), "names": "dog"})
    with pytest.raises(ModelError, match="tokens have the shape"):
        model.generate(tokens[:, :5], questions)


def test_a_file_of_an_adapted_language_model_holds_it_too(tmp_path: Path) -> None:
    llm = tiny_llm(len(tiny_tokenizer()), 32, 1, 2)
    llm.save_pretrained(tmp_path / "llm")
    tiny_tokenizer().save_pretrained(tmp_path / "llm")
    adapted = {**CONFIG.to_dict(), "names": NAMES, "llm": str(tmp_path / "llm"), "lora_rank": 2}
    model = BAT(BATConfig.from_dict(adapted)).eval()
    assert model.grounding is not None
    torch.nn.init.normal_(model.grounding.head.weight)
    save_bat(tmp_path / "bat.pt", model)
    again, _ = load_bat(tmp_path / "bat.pt")
    assert again.grounding is not None
    here, there = model.grounding.state_dict(), again.grounding.state_dict()
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)
    assert not any(name.startswith("llm.") and "lora_" not in name for name in pack(model)["weights"])


def test_it_begins_with_what_the_encoder_knows(tmp_path: Path) -> None:
    config = SpatialASTConfig(embed_dim=WIDTH, depth=1, heads=2, n_classes=3, slots=2, n_mels=32, patch_mel=32)
    encoder = SpatialAST(config).eval()
    torch.nn.init.normal_(encoder.fc_norm.weight)
    torch.nn.init.normal_(encoder.fc_norm.bias)
    grounding = Grounding(WIDTH, 2, [[1], [2], [3]], 64)
    grounding.take_over(encoder)
    tokens = torch.randn(2, WIDTH)
    assert torch.equal(grounding.head(grounding.norm(tokens)), encoder.head(encoder.fc_norm(tokens)))
    save(tmp_path / "best.pt", {"model": encoder.state_dict(), "vocabulary": ["/m/0bt9lr", "My own", "/m/07qrkrw"]})
    assert encoder_class_names(tmp_path / "best.pt") == ("dog", "my own", "meow")
    save(tmp_path / "bare.pt", {"model": encoder.state_dict()})
    with pytest.raises(RecipeError, match=r"bare\.pt: does not name its classes, which --grounded has to know"):
        encoder_class_names(tmp_path / "bare.pt")
