"""Words that the metadata of a card may use: licences and sizes, as the documentation of the Hugging Face hub has them.

Lists: huggingface.co/docs/hub/repositories-licenses and the template of data set cards in huggingface_hub.
"""

import re

LANGUAGE = "en"  # of the questions, ISO 639-1

LICENCES = frozenset(
    (
        *("apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigcode-openrail-m"),
        *("bigscience-bloom-rail-1.0", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause"),
        *("bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
        *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
        *("cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0"),
        *("etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1"),
        *("lgpl-3.0", "isc", "h-research", "intel-research", "lppl-1.3c", "ms-pl", "mpl-2.0", "odc-by", "odbl"),
        *("openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl", "lgpl-lr"),
        *("unknown", "other"),
    )
)

_SIZES = (
    *((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")),
    *((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B")),
    *((10_000_000_000, "1B<n<10B"), (100_000_000_000, "10B<n<100B"), (1_000_000_000_000, "100B<n<1T")),
)
SIZES = frozenset(name for _, name in _SIZES) | {"n>1T"}

_CREATIVE_COMMONS = re.compile(r"cc[ -]by((?:[ -](?:nc|nd|sa))*)[ -](\d\.\d)")
_OTHERS = (
    (re.compile(r"cc0(?:[ -]1\.0)?"), "cc0-1.0"),
    (re.compile(r"mit"), "mit"),
    (re.compile(r"bsd-([23])-clause"), r"bsd-\1-clause"),
    (re.compile(r"gpl-2(?:\.0)?\+?"), "gpl-2.0"),
    (re.compile(r"gpl-3(?:\.0)?\+?"), "gpl-3.0"),
    (re.compile(r"gpl"), "gpl"),
    (re.compile(r"lgpl-(2\.1|3\.0)\+?"), r"lgpl-\1"),
    (re.compile(r"apache-2\.0"), "apache-2.0"),
)


def hub_licence(text: str) -> str:
    """Return the hub's id of a licence that is written as usual ("CC BY-NC 3.0", "GPL-2+"); else "other"."""
    plain = " ".join(text.casefold().replace("_", "-").split())
    if found := _CREATIVE_COMMONS.fullmatch(plain):
        name = f"cc-by{found[1].replace(' ', '-')}-{found[2]}"
    else:
        name = next((m.expand(to) for pattern, to in _OTHERS if (m := pattern.fullmatch(plain))), "other")
    return name if name in LICENCES else "other"


def size_category(rows: int) -> str:
    """Return the hub's name for a number of examples."""
    return next((name for least, name in _SIZES if rows < least), "n>1T")
