"""Prints sample questions and rationales, one a line, for a reader or for a grammar checker (see grammar.mjs).

python -m tests.english.samples 300 > samples.txt
"""

import random
import sys
from itertools import zip_longest

from spatialqa.qa.ask import ask
from spatialqa.qa.ask_options import TYPES, AskOptions
from spatialqa.qa.templating.templates import bundled_templates
from tests.fixtures.scenes import random_scenes


def samples(count: int, seed: int = 0) -> list[str]:
    """Return texts of every subtype, drawn evenly: three questions, and then a rationale, of different scenes."""
    options = AskOptions(types=TYPES, rationale=True)
    by_subtype: dict[str, list[str]] = {}
    for scene in random_scenes(max(30, count // 2), seed=seed, source_counts=(1, 2, 2, 3)):
        for question in ask(scene, options, bundled_templates()).questions:
            texts = by_subtype.setdefault(question.subtype, [])
            texts.append(question.rationale or "" if len(texts) % 4 == 3 else question.question)
    draw = random.Random(seed)
    order = [texts for _, texts in sorted(by_subtype.items())]
    for texts in order:
        draw.shuffle(texts)
    in_turn = [text for turn in zip_longest(*order) for text in turn if text is not None]
    return in_turn[:count]


if __name__ == "__main__":
    print("\n".join(samples(int(sys.argv[1]) if len(sys.argv) > 1 else 300, int((sys.argv[2:] or ["0"])[0]))))
