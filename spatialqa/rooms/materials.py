"""Acoustic materials: absorption, scattering and transmission by frequency, and their names in meshes."""

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import yaml

from spatialqa.core.input_files import read_text
from spatialqa.errors import RoomError, shown

Curve = tuple[tuple[float, float], ...]  # ((frequency_hz, value in [0, 1]), ...), by rising frequency
PROPERTIES = ("absorption", "scattering", "transmission")

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # also splits camelCase and a run of capitals: TVCabinet
_LONGEST_PHRASE = 3


@dataclass(frozen=True)
class Material:
    """One surface material. Each curve gives the fraction of the incident energy at its octave-band centres."""

    name: str
    absorption: Curve
    scattering: Curve
    transmission: Curve

    def __post_init__(self) -> None:
        for quantity in PROPERTIES:
            curve: Curve = getattr(self, quantity)
            if not curve or any(not 0.0 <= value <= 1.0 for _, value in curve):
                raise RoomError(f"material {self.name!r}: {quantity} needs values from 0 to 1, got {curve}")
            if curve[0][0] <= 0.0 or any(high <= low for (low, _), (high, _) in pairwise(curve)):
                raise RoomError(f"material {self.name!r}: the frequencies of {quantity} must be positive and rise")


@cache
def load_materials() -> Mapping[str, Material]:
    """Return the built-in materials by name: the figures of SoundSpaces 2.0, octave bands from 125 to 4000 Hz."""
    text = resources.files("spatialqa.data").joinpath("materials.tsv").read_text(encoding="utf-8")
    return MappingProxyType(parse_materials(text, "materials.tsv"))


def read_materials(path: Path) -> dict[str, Material]:
    """Read a user's own materials from a table in the form of spatialqa/data/materials.tsv.

    Raises RoomError when the file cannot be read, a row is malformed or incomplete, or a value lies outside 0 to 1.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RoomError(f"cannot read the material table {path}: {error}") from error
    return parse_materials(text, str(path))


def parse_materials(text: str, where: str) -> dict[str, Material]:
    """Return the materials in a tab-separated table; `where` names it in errors.

    Lines that start with '#' are comments. The header is `material`, `property` and one `<frequency>_hz` column per
    band; each material has one row per property: absorption, scattering, transmission.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = list(csv.reader(lines, delimiter="\t"))
    bands = [re.fullmatch(r"(\d+(?:\.\d+)?)_hz", column) for column in rows[0][2:]] if rows else []
    if not bands or rows[0][:2] != ["material", "property"] or None in bands:
        raise RoomError(f"{where}: the header must be material, property and columns such as 125_hz, split by tabs")
    frequencies = [float(band[1]) for band in bands if band]
    curves: dict[str, dict[str, Curve]] = {}
    for row in rows[1:]:
        try:
            name, quantity, *cells = row
            values = [float(cell) for cell in cells]
            if len(values) != len(frequencies) or quantity not in PROPERTIES or quantity in curves.get(name, {}):
                raise ValueError
        except ValueError:
            raise RoomError(
                f"{where}: cannot use the row {shown(row)}: it needs a name, a property ({', '.join(PROPERTIES)}) that "
                f"was not given before, and {len(frequencies)} numbers"
            ) from None
        curves.setdefault(name, {})[quantity] = tuple(zip(frequencies, values, strict=True))
    for name, found in curves.items():
        if missing := [quantity for quantity in PROPERTIES if quantity not in found]:
            raise RoomError(f"{where}: material {shown(name)} has no row for {' and '.join(missing)}")
    return {name: Material(name, **found) for name, found in curves.items()}


def material(name: str, extra: Mapping[str, Material] | None = None) -> Material:
    """Return a material by name, from `extra` (a user's own) before the built-in table; raises RoomError if unknown."""
    known = {**load_materials(), **(extra or {})}
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name[:200].lower().replace(" ", "_"), known, n=1, cutoff=0.0)[0]
    raise RoomError(f"there is no material {shown(name)}: did you mean {nearest!r}?")


@cache
def _vocabulary() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the words for substances and for objects, without spaces, each with its material."""
    text = resources.files("spatialqa.data").joinpath("material_names.yaml").read_text(encoding="utf-8")
    tables: list[dict[str, str]] = []
    for section in ("substances", "objects"):
        words: dict[str, str] = {}
        for name, phrases in yaml.safe_load(text)[section].items():
            words.update({phrase.replace(" ", ""): name for phrase in phrases})
        tables.append(words)
    return tables[0], tables[1]


@dataclass(frozen=True)
class Spoken:
    """What a name speaks of. substance, thing: the materials of the substance and of the object that it names; word:
    that object's, without spaces and in the singular.
    """

    substance: str | None = None
    thing: str | None = None
    word: str | None = None


def guess_material(name: str) -> str | None:
    """Return the built-in material that an object, group or texture name speaks of, or None when it speaks of none.

    A substance ("oak", "glass") says more than an object ("table").
    """
    said = speaks_of(name)
    return said.substance or said.thing


def speaks_of(name: str) -> Spoken:
    """Return the materials of the substance and of the object in a name.

    Names are read word by word (`TVCabinet_01`, `wood-floor`, `002_bed`), so `stable` is not a table. Among equals the
    last word counts, as in `table_lamp`.
    """
    tokens = [token.lower() for token in _TOKEN.findall(name)]
    substances, objects = _vocabulary()
    substance = thing = named = None
    start = 0
    while start < len(tokens):
        step = 1
        for length in range(min(_LONGEST_PHRASE, len(tokens) - start), 0, -1):
            joined = "".join(tokens[start : start + length])
            word = next((form for form in _singulars(joined) if form in substances or form in objects), None)
            if word is not None:
                substance = substances.get(word, substance)
                if word in objects:
                    thing, named = objects[word], word
                step = length
                break
        start += step
    return Spoken(substance, thing, named)


def _singulars(word: str) -> tuple[str, ...]:
    return (word, word.removesuffix("s"), word.removesuffix("es"), f"{word.removesuffix('ves')}f")
