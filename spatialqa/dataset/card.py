"""The data set card, README.md: YAML for Hugging Face `datasets`, and text for readers."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.files import commit_text
from spatialqa.core.scene import EngineIdentity
from spatialqa.dataset.folder import DatasetFolder, split_of, split_order
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.licences import guarded_rooms
from spatialqa.dataset.reading import read_rows
from spatialqa.dataset.schema import TABLES

_MAX_ATTRIBUTIONS = 200
_KINDS = {
    "foa": "Scenes in first-order ambisonics (AmbiX)",
    "mono": "Scenes of one channel",
    "stereo": "Scenes of a mid-side stereo pair",
}


@dataclass(eq=False)
class CardFacts:
    """What the records of a data set say of its tables, counted in one pass.

    rows: by table and split. scenes: by split. room_sets: those of the groups.
    """

    rows: Counter[tuple[str, str]]
    scenes: Counter[str]
    room_sets: set[str]


def card_facts(folder: DatasetFolder) -> CardFacts:
    """Count what a data set holds, without its questions.

    Raises:
        DatasetError: a record, or a file of groups, is damaged.
    """
    facts = CardFacts(Counter(), Counter(), set())
    run = folder.read_run()
    for item in (run.imported and run.imported.scenes) or ():
        facts.rows["scenes", split_of(Path(item.path))] += item.rows
    for record in folder.each_shard(run):
        facts.scenes[record.split] += record.scenes
        for item in record.files:
            table = item.path.partition("/")[0]
            if table in TABLES:
                facts.rows[table, record.split] += item.rows
            if table == "groups":
                rows = read_rows(folder.root / item.path, ["room_set"])
                facts.room_sets.update(row["room_set"] for row in rows)
    return facts


def write_card(folder: DatasetFolder, facts: CardFacts | None = None) -> None:
    """Write the card of what is committed now; run again whenever a table is added.

    facts: as card_facts gives them; a command that may not fail halfway counts them before it changes anything.
    """
    run, facts = folder.read_run(), facts or card_facts(folder)
    questions = _question_counts(folder)
    front = {
        "pretty_name": "spatialqa data set",
        "task_categories": ["question-answering", "audio-classification"],
        "tags": ["spatial-audio", run.recipe.get("channels", "binaural"), "spatialqa"],
        "configs": _configs({**facts.rows, **questions}),
    }
    bank = run.makes == "groups"
    if bank:
        front |= {"pretty_name": "spatialqa RIR bank", "task_categories": ["other"]}
    body = _bank_body(folder, run, facts) if bank else _body(folder, run, facts, questions)
    text = "---\n" + yaml.safe_dump(front, sort_keys=False, allow_unicode=True) + "---\n\n" + body
    commit_text(folder.root, "README.md", text)


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


def _body(folder: DatasetFolder, run: RunRecord, facts: CardFacts, questions: Mapping[tuple[str, str], int]) -> str:
    recipe, engine, plan, counts = run.recipe, run.engine, run.plan, facts.scenes
    rendered = engine.name != "none"
    kind = _KINDS.get(recipe.get("channels", ""), "Binaural scenes")
    made = kind if rendered and not run.export else "Scenes without audio, but"
    lines = [
        "# A spatialqa data set",
        "",
        f"{made} with exact source positions, made by spatialqa {run.spatialqa}.",
        "",
        "| | |",
        "|---|---|",
        f"| scenes | {', '.join(f'{split} {counts[split]}' for split in sorted(counts, key=split_order))} |",
        f"| houses | {', '.join(f'{split} {n}' for split, n in plan.houses.items())} |",
        f"| clips | {', '.join(f'{split} {n}' for split, n in plan.clips.items())} |",
        f"| rooms | {_cell(_without_path(recipe['rooms']))} |",
        f"| sounds | {_cell(_without_path(recipe['clips']))} |",
        *(_audio_lines(recipe, engine) if rendered else ["| audio | none: the scenes are planned, without audio |"]),
        f"| seed | {recipe['seed']} |",
        "",
        "Angles are in the head frame: azimuth 0 straight ahead, positive to the left; elevation positive up.",
        "Positions are metres in the world frame: +x right, +y up, -z forward.",
        "",
        *_how_to_read(folder, recipe, facts, rendered and not run.export),
    ]
    if questions:
        lines += ["## Questions", "", "| table | split | questions |", "|---|---|---|"]
        lines += [f"| {table} | {split} | {n} |" for (table, split), n in questions.items()]
        lines.append("")
    lines += _licences(run, facts)
    return "\n".join(lines) + "\n"


def _how_to_read(folder: DatasetFolder, recipe: dict[str, Any], facts: CardFacts, has_audio: bool) -> list[str]:
    """Return the lines that open the scenes with Hugging Face `datasets`, which averages channels when it decodes."""
    load = f'load_dataset({json.dumps(_name(folder), ensure_ascii=False)}, "scenes"'
    if not has_audio:
        return ["```python", "from datasets import load_dataset", f"scenes = {load})", "```", ""]
    splits = sorted((split for table, split in facts.rows if table == "scenes"), key=split_order)
    names = _channels(recipe)
    return [
        "```python",
        "import io",
        "",
        "import soundfile",
        "from datasets import Audio, load_dataset",
        "",
        f"scenes = {load}, split={json.dumps(next(iter(splits), 'train'))})",
        'scenes = scenes.cast_column("audio", Audio(decode=False))',
        'audio, sample_rate = soundfile.read(io.BytesIO(scenes[0]["audio"]["bytes"]))'
        f"  # (samples, {len(names)}): {', '.join(names)}",
        "```",
        "",
        f"`Audio(decode=False)` keeps the {len(names)} channels. What `datasets` itself decodes is their mean, without "
        'direction: `scenes[0]["audio"]["array"]`, before version 4 (seen in 3.6) and in 4 and 5 (as far as 5.2, where '
        '`scenes[0]["audio"].get_all_samples()` keeps them; huggingface/datasets#8005).',
        "",
    ]


def _bank_body(folder: DatasetFolder, run: RunRecord, facts: CardFacts) -> str:
    recipe, engine = run.recipe, run.engine
    channels = recipe.get("channels", "binaural")
    lines = [
        "# A spatialqa bank of room impulse responses",
        "",
        f"RIRs with exact positions of listener and source, made by spatialqa {run.spatialqa}.",
        "",
        "| | |",
        "|---|---|",
        f"| listeners | {_rows_by_split(facts, 'groups')} |",
        f"| RIRs | {_rows_by_split(facts, 'rirs')} |",
        f"| houses | {', '.join(f'{split} {n}' for split, n in run.plan.houses.items())} |",
        f"| rooms | {_cell(_without_path(recipe['rooms']))} |",
        f"| engine | {engine.name} {engine.version}, HRTF {_cell(engine.hrtf)}{_lag(engine)} |",
        f"| form | {recipe['sample_rate']} Hz, {channels}, float32 little-endian, C order (channels, n) |",
        f"| seed | {recipe['seed']} |",
        "",
        "Positions are metres in the world frame: +x right, +y up, -z forward. Scenes are made from it with",
        f"`spatialqa render --rooms bank:{_name(folder)}`.",
        "",
        *_room_licences(run, facts),
    ]
    return "\n".join(lines) + "\n"


def _rows_by_split(facts: CardFacts, table: str) -> str:
    counts = {split: n for (name, split), n in facts.rows.items() if name == table}
    return ", ".join(f"{split} {counts[split]}" for split in sorted(counts, key=split_order))


def _channels(recipe: dict[str, Any]) -> tuple[str, ...]:
    return CHANNEL_NAMES.get(recipe.get("channels", ""), CHANNEL_NAMES["binaural"])


def _audio_lines(recipe: dict[str, Any], engine: EngineIdentity) -> list[str]:
    *most, last = _channels(recipe)
    names = f"{', '.join(most)} and {last}" if most else last
    form = f"{recipe['sample_rate']} Hz, {recipe['duration_s']:g} s, {names}, FLAC with 24 bits"
    return [
        f"| engine | {engine.name} {engine.version}, HRTF {_cell(engine.hrtf)}{_lag(engine)} |",
        f"| audio | {form} |",
        f"| gain | {recipe['gain_db']:g} dB on every scene: signal level = audio / 10^({recipe['gain_db']:g}/20) |",
    ]


def _lag(engine: EngineIdentity) -> str:
    """Return, for the row of the engine, how late its HRTF makes the direct sound."""
    return (
        f", lag of the direct sound {round(1e3 * engine.hrtf_lag_s, 2) + 0.0:.2f} ms"
        if engine.hrtf_lag_s is not None
        else ""
    )


def _name(folder: DatasetFolder) -> str:
    root = folder.root.resolve()  # "." has no name of its own
    return root.name or str(root)


def _cell(text: str) -> str:
    """Return text as one cell of a Markdown table: on one line, its bars, backslashes and tags taken as written."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _question_counts(folder: DatasetFolder) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for table in folder.question_tables():
        for item in folder.files(table):
            counts[table, split_of(Path(item.path))] += item.rows
    return dict(counts)


def _room_licences(run: RunRecord, facts: CardFacts) -> list[str]:
    """Say whose terms the RIRs are under: those of the engine, and of the rooms if they have an owner."""
    lines = ["## Licences and attributions", ""]
    if run.engine.name.rpartition(":")[2] in ("soundspaces", "habitat"):
        lines += [
            "The room impulse responses were computed by RLRAudioPropagation (SoundSpaces 2.0), CC BY-NC 4.0.",
            "",
        ]
    for reason in guarded_rooms(run.recipe, facts.room_sets):
        lines += [f"Rooms: {reason}.", ""]
    return lines


def _licences(run: RunRecord, facts: CardFacts) -> list[str]:
    lines = _room_licences(run, facts)
    lines += ["Class names come from AudioSet (class list CC BY 4.0, ontology CC BY-SA 4.0).", ""]
    lines += ["| licence of the clips | attribution | clips |", "|---|---|---|"]
    items = run.attributions
    for item in items[:_MAX_ATTRIBUTIONS]:
        lines.append(f"| {_cell(item.licence)} | {_cell(item.attribution)} | {item.clips} |")
    if len(items) > _MAX_ATTRIBUTIONS:
        lines.append(f"| ... | {len(items) - _MAX_ATTRIBUTIONS} more in _spatialqa/run.json | |")
    return lines


def _without_path(source: str) -> str:
    """Return `folder:clips` for `folder:/home/somebody/clips`: local paths are private."""
    kind, colon, path = source.partition(":")
    return f"{kind}{colon}{path.rpartition('/')[2]}"
