"""The data set card, README.md: YAML for the Hugging Face hub and `datasets`, and text for readers.

Beside it lies croissant.json, the same facts for programs.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from spatialqa.core.files import commit_json, commit_text
from spatialqa.dataset.card_text import LIMITS, bank_body, body
from spatialqa.dataset.croissant import CROISSANT, croissant_of
from spatialqa.dataset.folder import DatasetFolder, split_of, split_order
from spatialqa.dataset.hub_terms import LANGUAGE, size_category
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.provenance import NOT_STATED, Part, card_licences, parts_of
from spatialqa.dataset.reading import columns_of, read_clips, read_rows
from spatialqa.dataset.schema import TABLES

_TAGS = ("spatial-audio", "audio-question-answering", "spatialqa")


@dataclass(eq=False)
class CardFacts:
    """What the records and tables of a data set say, counted in one pass.

    rows: by table and split. scenes: by split. room_sets: those of the groups. clips: hashes of the ids of the clips
    that scenes use, by split. licences: how many clips are under each.
    """

    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    scenes: Counter[str] = field(default_factory=Counter)
    room_sets: set[str] = field(default_factory=set)
    clips: dict[str, set[int]] = field(default_factory=dict)
    licences: Counter[str] = field(default_factory=Counter)

    def add_clips(self, split: str, path: Path) -> None:
        """Count the clips that a file of scenes uses."""
        known = self.clips.setdefault(split, set())
        for names, licences in read_clips(path):
            for name, licence in zip(names, licences, strict=True):
                if name is not None and hash(name) not in known:
                    known.add(hash(name))
                    self.licences[licence or NOT_STATED] += 1

    def uses(self, clip_id: str) -> bool:
        """Return whether a scene uses the clip."""
        return any(hash(clip_id) in known for known in self.clips.values())


def card_facts(folder: DatasetFolder) -> CardFacts:
    """Count what a data set holds, without its questions.

    Raises:
        DatasetError: a record, or a file of groups or scenes, is damaged.
    """
    facts = CardFacts()
    run = folder.read_run()
    folder.tables("scenes")  # raises where a file is gone
    for item in (run.imported and run.imported.scenes) or ():
        facts.rows["scenes", split_of(Path(item.path))] += item.rows
    for record in folder.each_shard(run):
        facts.scenes[record.split] += record.scenes
        for item in record.files:
            table = item.path.partition("/")[0]
            if table in TABLES:
                facts.rows[table, record.split] += item.rows
            if table == "scenes":
                facts.add_clips(record.split, folder.root / item.path)
            if table == "groups":
                rows = read_rows(folder.root / item.path, ["room_set"])
                facts.room_sets.update(row["room_set"] for row in rows)
    return facts


def origins(run: RunRecord, facts: CardFacts) -> list[Part]:
    """Return the parts of a data set, with their licences and what each asks."""
    licences = facts.licences or [item.licence for item in run.attributions]
    return parts_of(run, licences, facts.room_sets)


@dataclass(frozen=True)
class Published:
    """How a data set is published. name: what readers load it by. licence: the hub's id, of the whole."""

    name: str
    licence: str | None = None
    url: str | None = None
    date: str | None = None  # ISO 8601

    def facts(self) -> dict[str, str]:
        """Return what is known of it, by the names that Croissant has for it."""
        return {key: value for key, value in (("url", self.url), ("datePublished", self.date)) if value}


def write_card(
    folder: DatasetFolder,
    facts: CardFacts | None = None,
    run: RunRecord | None = None,
    published: Published | None = None,
) -> None:
    """Write the card of what is committed now; run again whenever a table is added.

    Args:
        folder: the data set.
        facts: as card_facts gives them; a command that may not fail halfway counts them before it changes anything.
        run: the run record that will be written, where it is not the present one.
        published: how it is published; by default under the name of its folder.
    """
    facts, run = facts or card_facts(folder), run or folder.read_run()
    published = published or Published(_name(folder))
    questions = _question_counts(folder)
    rows = {**facts.rows, **questions}
    parts = origins(run, facts)
    licences = [published.licence] if published.licence else card_licences(parts)
    columns = _columns(folder, rows)
    text = (
        bank_body(run, facts.rows, parts, columns, published.name)
        if run.makes == "groups"
        else body(run, facts, parts, questions, columns, published.name)
    )
    front = yaml.safe_dump(_front(run, rows, licences, published.name), sort_keys=False, allow_unicode=True)
    metadata = croissant_of(run, parts, licences, columns, LIMITS, published.name, published.facts())
    commit_json(folder.root / CROISSANT, metadata)
    commit_text(folder.root, "README.md", f"---\n{front}---\n\n{text}")


def _front(run: RunRecord, rows: Mapping[tuple[str, str], int], licences: list[str], name: str) -> dict[str, Any]:
    """Return the metadata; keys and values are those that the hub knows."""
    bank = run.makes == "groups"
    examples = sum(n for (table, _), n in rows.items() if table == _examples(rows))
    front: dict[str, Any] = {
        "pretty_name": f"{name} ({'RIR bank' if bank else 'spatial audio questions'} by spatialqa)",
        "language": [LANGUAGE],
        "license": licences[0] if len(licences) == 1 else licences,
    }
    if "other" in licences:
        front |= {"license_name": "several", "license_link": "README.md"}
    return front | {
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "size_categories": [size_category(examples)],
        "task_categories": ["other"] if bank else ["question-answering", "audio-classification"],
        "tags": [*_TAGS, run.recipe.get("channels", "binaural")],
        "configs": _configs(rows),
    }


def _examples(rows: Mapping[tuple[str, str], int]) -> str:
    """Return the table whose rows count as examples: the questions, else the scenes, of a bank the RIRs."""
    tables = {table for (table, _), n in rows.items() if n}
    return next((table for table in ("qa", *sorted(tables - {"groups"}, reverse=True)) if table in tables), "groups")


def _configs(rows: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """One config a table; `scenes` is the default. The Parquet files carry their features themselves."""
    configs: list[dict[str, Any]] = []
    own = ["scenes", "groups", "rirs"]
    for name in [*own, *sorted({table for table, _ in rows}.difference(own))]:
        splits = sorted((split for table, split in rows if table == name), key=split_order)
        if splits:
            files = [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in splits]
            configs.append({"config_name": name, "data_files": files})
    if configs:
        configs[0]["default"] = True
    return configs


def _columns(folder: DatasetFolder, rows: Mapping[tuple[str, str], int]) -> dict[str, list[tuple[str, str, str]]]:
    """Return (name, type, description) of the columns of every table."""
    tables = sorted({table for table, _ in rows}, key=lambda table: (table.startswith("qa"), table))
    found = {table: folder.files(table) for table in tables}
    return {table: columns_of(folder.root / files[0].path, table) for table, files in found.items() if files}


def _name(folder: DatasetFolder) -> str:
    root = folder.root.resolve()  # "." has no name of its own
    return root.name or str(root)


def _question_counts(folder: DatasetFolder) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for table in folder.question_tables():
        for item in folder.files(table):
            counts[table, split_of(Path(item.path))] += item.rows
    return dict(counts)
