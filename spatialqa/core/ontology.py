"""AudioSet's classes: names, mids and hierarchy, and matching of user spellings.

Source: the AudioSet ontology (Gemmeke et al., ICASSP 2017), shipped as `spatialqa/data/ontology.tsv`; terms in
`spatialqa/data/LICENSE-DATA.md`. How a class is spoken of is in `spatialqa/data/class_phrases.tsv`, and where such a
thing usually is in `spatialqa/data/class_heights.tsv`.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, cached_property
from importlib import resources

from spatialqa.errors import ClipError

ANYWHERE = "anywhere"
_MISSPELT = 0.8  # likeness of spelling from which on a label is taken for a misspelt class


@dataclass(frozen=True)
class LabelRef:
    """One label of a clip: an AudioSet display name with its mid, or a user's own name with mid None."""

    name: str
    mid: str | None


@dataclass(frozen=True)
class OntologyNode:
    """One sound class. Restrictions are AudioSet's: "abstract" (a mere group), "blacklist" (hard for raters)."""

    mid: str
    name: str
    parents: tuple[str, ...]  # mids
    restrictions: tuple[str, ...]
    class_index: int | None  # among AudioSet's 527 label classes
    in_spatialsoundqa: bool  # one of the 355 classes of arXiv 2402.01591
    phrase: str | None  # what follows "the sound of": "a dog barking"; None for classes that name no sound
    height: str = ANYWHERE  # where such a thing is: floor, table, hand, head, ceiling or anywhere

    @property
    def abstract(self) -> bool:
        """Whether this is a heading of the tree, never the label of a sound."""
        return "abstract" in self.restrictions


@dataclass(frozen=True)
class Ontology:
    """The whole tree (632 classes, some with two parents), in AudioSet's order."""

    nodes: tuple[OntologyNode, ...]

    @cached_property
    def _by_mid(self) -> dict[str, OntologyNode]:
        return {node.mid: node for node in self.nodes}

    @cached_property
    def _by_spelling(self) -> dict[str, OntologyNode]:
        return {_slug(key): node for node in self.nodes for key in (node.name, node.mid)}

    @cached_property
    def phrases(self) -> dict[str, str]:
        """What follows "the sound of" in a sentence, by lower-case display name."""
        return {node.name.lower(): node.phrase for node in self.nodes if node.phrase}

    @cached_property
    def _ancestors(self) -> dict[str, frozenset[str]]:
        known: dict[str, frozenset[str]] = {}

        def above(mid: str) -> frozenset[str]:
            if mid not in known:
                parents = self._by_mid[mid].parents
                known[mid] = frozenset(parents).union(*(above(parent) for parent in parents))
            return known[mid]

        return {node.mid: above(node.mid) for node in self.nodes}

    def by_mid(self, mid: str) -> OntologyNode:
        """Return the class with this mid; raises ClipError when AudioSet has none."""
        try:
            return self._by_mid[mid]
        except KeyError:
            raise ClipError(f"AudioSet has no class with the mid {mid!r}") from None

    def by_name(self, name: str) -> OntologyNode:
        """Return the class with this display name, in any case; raises ClipError with the nearest names."""
        node = self.find(name)
        if node is None or node.name.casefold() != name.strip().casefold():
            raise ClipError(self.unknown(name))
        return node

    def find(self, text: str) -> OntologyNode | None:
        """Return the class that `text` spells (see resolve_label), or None."""
        return self._by_spelling.get(_slug(text))

    def ancestors(self, mid: str) -> frozenset[str]:
        """Return the mids above this one, up to the roots; raises ClipError for an unknown mid."""
        return self._ancestors[self.by_mid(mid).mid]

    def related(self, mid_a: str, mid_b: str) -> bool:
        """Return whether the two are the same class or one is an ancestor of the other."""
        return mid_a == mid_b or mid_a in self.ancestors(mid_b) or mid_b in self.ancestors(mid_a)

    def is_nameable(self, mid: str) -> bool:
        """Return whether a listener can be asked for this class: it is neither abstract nor blacklisted."""
        return not self.by_mid(mid).restrictions

    def height_kind(self, mids: Sequence[str | None]) -> str:
        """Return where a thing with these labels is: what the first of them says that is not `anywhere`.

        A custom label (None), and a mid that AudioSet lacks, is `anywhere`.
        """
        nodes = (self._by_mid.get(mid) for mid in mids if mid is not None)
        return next((node.height for node in nodes if node and node.height != ANYWHERE), ANYWHERE)

    def suggest(self, text: str, n: int = 3) -> list[str]:
        """Return the `n` display names nearest to `text`, best first; among equals the more specific comes first.

        A name counts as near when the whole of it, or one of its parts between commas, is spelt alike, or when its
        words are words of the text ("dog bark": Bark, Dog).
        """
        wanted = _slug(text)
        ranked = sorted(
            (node for node in self.nodes if not node.abstract),
            key=lambda node: (-_likeness(wanted, node.name), -len(self._ancestors[node.mid]), node.name),
        )
        return [node.name for node in ranked[:n]]

    def misspelt(self, text: str) -> str | None:
        """Return the display name that a label which is not a class is almost spelt like, or None."""
        wanted = _slug(text)
        if self.find(text) is not None or not wanted:
            return None
        likeness, _, name = max((_alike(wanted, _slug(node.name)), -k, node.name) for k, node in enumerate(self.nodes))
        return name if likeness >= _MISSPELT else None

    def unknown(self, text: str) -> str:
        """Return the line that says a label is unknown and names the nearest ones."""
        return f"{text!r} is not an AudioSet class; the nearest are " + ", ".join(
            repr(name) for name in self.suggest(text)
        )


def _slug(text: str) -> str:
    """Return what two spellings of one name share: its words without case, punctuation and the word "and".

    Data sets that name folders or tags after AudioSet (FSD50K: `Male_speech_and_man_speaking`) put `_and_` for a comma.
    """
    return " ".join(word for word in re.findall(r"\w+", text.casefold().replace("_", " ")) if word != "and")


def _likeness(wanted: str, name: str) -> float:
    """Return how near a display name is to a slug, 0 to 1."""
    forms = {_slug(form) for form in (name, *name.split(","))}
    spelling = max(SequenceMatcher(None, wanted, form).ratio() for form in forms)
    words = set(wanted.split())
    shared = max(len(words & set(form.split())) / len(words | set(form.split())) for form in forms) if words else 0.0
    # A shared whole word tells more than shared letters ("dog bark" is near Bark, not near Dogsled).
    return max(spelling, 0.5 + 0.5 * shared if shared else 0.0)


def _alike(a: str, b: str) -> float:
    """Return how alike two spellings are, 0 to 1; those with the same letters in another order are alike."""
    return 1.0 if sorted(a) == sorted(b) else SequenceMatcher(None, a, b).ratio()


@cache
def ontology() -> Ontology:
    """Return AudioSet's ontology as it is shipped with spatialqa."""
    phrases = {row["mid"]: row["phrase"] for row in _table("class_phrases.tsv")}
    heights = {row["mid"]: row["kind"] for row in _table("class_heights.tsv")}
    return Ontology(
        tuple(
            OntologyNode(
                mid=row["mid"],
                name=row["name"],
                parents=tuple(row["parents"].split()),
                restrictions=tuple(row["restrictions"].split()),
                class_index=int(row["class_index"]) if row["class_index"] else None,
                in_spatialsoundqa=row["in_spatialsoundqa"] == "1",
                phrase=phrases.get(row["mid"]),
                height=heights.get(row["mid"], ANYWHERE),
            )
            for row in _table("ontology.tsv")
        )
    )


def _table(name: str) -> Iterator[dict[str, str]]:
    text = resources.files("spatialqa.data").joinpath(name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def resolve_label(text: str) -> LabelRef:
    """Return the AudioSet class that a user means.

    Accepts a display name in any case, a mid, and the spellings that folders have: underscores or hyphens for spaces,
    punctuation left out, `_and_` for a comma, `m_09x0r` for a mid.

    Raises:
        ClipError: no class is spelt so (the text names the nearest), or it is an abstract heading ("Human sounds").
    """
    tree = ontology()
    node = tree.find(text)
    if node is None:
        raise ClipError(tree.unknown(text))
    if node.abstract:
        below = next(n.name for n in tree.nodes if not n.abstract and node.mid in tree.ancestors(n.mid))
        raise ClipError(f"{node.name!r} is a heading of AudioSet, not a sound; name one below it, such as {below!r}")
    return LabelRef(node.name, node.mid)
