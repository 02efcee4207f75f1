"""Which words of a question are found to name a sound, in the templates and in paraphrases of them."""

from functools import cache
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from spatialqa.core.ontology import ontology  # noqa: E402
from spatialqa.models.bat.config import BATConfig  # noqa: E402
from spatialqa.models.bat.grounding import Grounding  # noqa: E402
from spatialqa.models.bat.llm import PROMPT, tiny_tokenizer  # noqa: E402
from spatialqa.models.bat.model import make_grounding  # noqa: E402
from spatialqa.qa.ask import ask  # noqa: E402
from spatialqa.qa.ask_options import AskOptions  # noqa: E402
from spatialqa.qa.spoken_name import bare_name  # noqa: E402
from spatialqa.qa.templating.slots import BARE_SLOTS  # noqa: E402
from spatialqa.qa.templating.template_file import Slot  # noqa: E402
from spatialqa.qa.templating.templates import load_templates, templates_folder  # noqa: E402
from tests.fixtures.scenes import random_scenes  # noqa: E402

NAMES = tuple(node.name.lower() for node in ontology().nodes if node.class_index is not None)
LLM_WIDTH = 256
NAMED = 0.5  # the share from which a word takes up more of a sound than of none


@cache
def setting() -> tuple[Grounding, Any]:
    """What grounds, with first weights of the language model, and an encoder that tells its classes for certain."""
    torch.manual_seed(0)
    config = BATConfig.from_dict({"llm": "tiny", "encoder_width": len(NAMES), "slots": 2, "names": NAMES})
    tokenizer = tiny_tokenizer()
    embedding = torch.nn.Embedding(len(tokenizer), LLM_WIDTH)
    torch.nn.init.normal_(embedding.weight, std=LLM_WIDTH**-0.5)
    grounding = make_grounding(config, tokenizer, LLM_WIDTH)
    assert grounding is not None
    with torch.no_grad():
        grounding.head.weight.copy_(5.0 * torch.eye(len(NAMES)))
        grounding.head.bias.zero_()
    return grounding, embedding


def is_found(question: str, asked: tuple[str, ...], sounds: list[str]) -> bool:
    """Whether the words that name each asked sound take up that sound, and more of it than all other words do."""
    grounding, embedding = setting()
    text = PROMPT.format(question=question)
    read = tiny_tokenizer()(text, add_special_tokens=False, return_offsets_mapping=True)
    words = embedding(torch.tensor([read["input_ids"]]))
    heard = torch.eye(len(NAMES))[[NAMES.index(name) for name in sounds]][None] * 9.0
    with torch.no_grad():
        share = grounding.shares(heard, words, torch.ones(1, words.shape[1], dtype=torch.bool), embedding)[0]
    start = 0
    for name in asked:
        spoken = bare_name(name)
        start = text.index(spoken, start)
        stop = start + len(spoken)
        inside = torch.tensor([a < stop and b > start for a, b in read["offset_mapping"]])
        own = share[:, sounds.index(name)]
        if own[inside].max() < NAMED or own[inside].max() <= own[~inside].max():
            return False
        start = stop
    return True


@cache
def found(templates: str | None, bare: bool) -> tuple[int, int]:
    """In how many of how many questions of D and E the words that name the asked sounds are found."""
    asked = load_templates(templates_folder(templates))
    without = {t.template_id for t in asked.all() if any(isinstance(p, Slot) and p.name in BARE_SLOTS for p in t.parts)}
    hits = n = 0
    for scene in random_scenes(60, seed=5):
        for question in ask(scene, AskOptions(types=("D", "E")), asked).questions:
            named = question.asked_labels
            if not named or (question.template_id in without) != bare or not set(named) <= set(NAMES):
                continue
            others = [source.labels[0].lower() for k, source in enumerate(scene.sources)]
            sounds = [*named, *(name for name in others if name not in named and name in NAMES)]
            if len(sounds) >= 2 and len(set(sounds[:2])) == 2:
                hits += is_found(question.question, named, sounds[:2])
                n += 1
    return hits, n


@pytest.mark.parametrize(("templates", "bare"), [(None, False), ("paraphrases", False), ("paraphrases", True)])
def test_the_words_that_name_the_asked_sounds_are_found(templates: str | None, bare: bool) -> None:
    hits, n = found(templates, bare)
    assert n >= 40
    assert hits / n > 0.98, (hits, n)


def test_without_the_other_spelling_they_are_found_after_the_sound_of_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    grounding, _ = setting()
    monkeypatch.setattr(grounding, "spelled", grounding.spelled[:1])
    monkeypatch.setattr(grounding, "is_letter", grounding.is_letter[:1])
    after, n = found.__wrapped__("paraphrases", False)
    assert after / n > 0.95
    alone, n = found.__wrapped__("paraphrases", True)
    assert alone / n < 0.7
