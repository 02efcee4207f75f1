"""The text of a data set card: what the data set holds, how to read and rebuild it, its licences and limits."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.scene import EngineIdentity
from spatialqa.dataset.folder import split_order
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.provenance import Part, text_of, without_path

Columns = Mapping[str, Sequence[tuple[str, str, str]]]

_MAX_ATTRIBUTIONS = 200
_KINDS = {
    "foa": "Scenes in first-order ambisonics (AmbiX)",
    "mono": "Scenes of one channel",
    "stereo": "Scenes of a mid-side stereo pair",
}
LIMITS = (
    "The sound is simulated. Rooms, materials and heads are models; listener and sources do not move.",
    "Labels are those of the clips. A clip may contain sounds that its labels do not name.",
    "Questions and answers are made from templates, in English. `spatialqa audit` measures how many answers can be "
    "guessed from the text alone.",
    "Level indicates distance, because all scenes have the same gain. Normalising scenes one by one removes that.",
    "Who is heard and how they are named follows the class list of AudioSet, with its biases.",
)


class Facts(Protocol):
    """What the text takes of the counts of a data set (`card.CardFacts`)."""

    rows: Any
    scenes: Any
    clips: Any


def body(
    run: RunRecord,
    facts: Facts,
    parts: Sequence[Part],
    questions: Mapping[tuple[str, str], int],
    columns: Columns,
    name: str,
) -> str:
    """Return the text of the card of scenes and questions.

    Args:
        run: the run record.
        facts: the counts.
        parts: origins with their licences.
        questions: how many there are by table and split.
        columns: (name, type, description) by table.
        name: what readers load the data set by.
    """
    recipe, engine, plan, counts = run.recipe, run.engine, run.plan, facts.scenes
    rendered = engine.name != "none"
    has_audio = rendered and not run.export
    kind = _KINDS.get(recipe.get("channels", ""), "Binaural scenes")
    used = {split: f"{len(names)}" for split, names in facts.clips.items()}
    lines = [
        f"# {text_of(name)}",
        "",
        f"{kind if has_audio else 'Scenes without audio, but'} with exact source positions, made by spatialqa "
        f"{run.spatialqa}.",
        "",
        "| | |",
        "|---|---|",
        f"| scenes | {_by_split(counts)} |",
        f"| houses | {_by_split(plan.houses)} |",
        f"| clips that are used | {_by_split(used)} |",
        f"| rooms | {text_of(without_path(recipe['rooms']))} |",
        f"| sounds | {text_of(without_path(recipe['clips']))} |",
        *(_audio_lines(recipe, engine) if rendered else ["| audio | none: the scenes are planned, without audio |"]),
        f"| seed | {recipe['seed']} |",
        "",
        "Angles are in the head frame: azimuth 0 straight ahead, positive to the left; elevation positive up.",
        "Positions are metres in the frame of the building: +x right, +y up, -z forward.",
        "",
        *_how_to_read(name, recipe, facts, questions, has_audio),
    ]
    if questions:
        lines += ["## Questions", "", "| table | split | questions |", "|---|---|---|"]
        lines += [f"| {table} | {split} | {n} |" for (table, split), n in questions.items()]
        lines.append("")
    lines += _columns(columns)
    if not run.imported and not run.export:
        lines += _rebuild(run)
    lines += ["## Limits", "", *(f"- {limit}" for limit in LIMITS), ""]
    lines += _licences(parts)
    lines += ["Class names come from AudioSet (class list CC BY 4.0, ontology CC BY-SA 4.0).", ""]
    lines += _attributions(run)
    return "\n".join(lines) + "\n"


def bank_body(
    run: RunRecord, rows: Mapping[tuple[str, str], int], parts: Sequence[Part], columns: Columns, name: str
) -> str:
    """Return the text of the card of a bank of RIRs; arguments as for `body`."""
    recipe, engine = run.recipe, run.engine
    channels = recipe.get("channels", "binaural")
    lines = [
        f"# {text_of(name)}",
        "",
        f"A bank of room impulse responses with exact positions of listener and source, made by spatialqa "
        f"{run.spatialqa}.",
        "",
        "| | |",
        "|---|---|",
        f"| listeners | {_by_split(_of_table(rows, 'groups'))} |",
        f"| RIRs | {_by_split(_of_table(rows, 'rirs'))} |",
        f"| houses | {_by_split(run.plan.houses)} |",
        f"| rooms | {text_of(without_path(recipe['rooms']))} |",
        f"| engine | {engine.name} {engine.version}, HRTF {text_of(engine.hrtf)}{_lag(engine)} |",
        f"| form | {recipe['sample_rate']} Hz, {channels}, float32 little-endian, C order (channels, n) |",
        f"| seed | {recipe['seed']} |",
        "",
        "Positions are metres in the frame of the building: +x right, +y up, -z forward. Scenes are made from it with",
        f"`spatialqa render --rooms bank:{name}`.",
        "",
        *_columns(columns),
        *_rebuild(run),
        *_licences(parts),
    ]
    return "\n".join(lines) + "\n"


def _of_table(rows: Mapping[tuple[str, str], int], table: str) -> dict[str, int]:
    return {split: n for (name, split), n in rows.items() if name == table}


def _by_split(counts: Mapping[str, object]) -> str:
    return ", ".join(f"{split} {counts[split]}" for split in sorted(counts, key=split_order))


def _how_to_read(
    name: str, recipe: dict[str, Any], facts: Facts, questions: Mapping[tuple[str, str], int], has_audio: bool
) -> list[str]:
    """Return the lines that open the tables with datasets, pandas, polars and duckdb, with all channels."""
    quoted = json.dumps(name, ensure_ascii=False)
    load = f'load_dataset({quoted}, "scenes"'
    splits = sorted((split for table, split in facts.rows if table == "scenes"), key=split_order)
    split = next(iter(splits), "train")
    if not has_audio:
        return ["## Reading", "", "```python", "from datasets import load_dataset", f"scenes = {load})", "```", ""]
    names = _channels(recipe)
    table = next((table for table, own in questions if own == split), None)
    lines = [
        "## Reading",
        "",
        "`pip install datasets soundfile` is all that this needs, with `datasets` 3, 4 or 5. It needs neither "
        "torchcodec nor ffmpeg:",
        "",
        "```python",
        "import io",
        "",
        "import soundfile",
        "from datasets import Audio, load_dataset",
        "",
        f"scenes = {load}, split={json.dumps(split)})",
        'scenes = scenes.cast_column("audio", Audio(decode=False))',
        'audio, sample_rate = soundfile.read(io.BytesIO(scenes[0]["audio"]["bytes"]))'
        f"  # (samples, {len(names)}): {', '.join(names)}",
        "```",
        "",
        f"`Audio(decode=False)` keeps the {len(names)} channels. What `datasets` itself decodes is their mean, without "
        'direction: `scenes[0]["audio"]["array"]`, before version 4 (seen in 3.6) and in 4 and 5 (as far as 5.2, where '
        '`scenes[0]["audio"].get_all_samples()` keeps them; huggingface/datasets#8005). Decoding with version 4 or 5 '
        "needs torchcodec, and torchcodec needs ffmpeg.",
        "",
    ]
    if table is None:
        return lines
    return [
        *lines,
        "The questions refer to scenes by `scene_id`. With `pip install pandas pyarrow`, "
        "`pip install polars` or `pip install duckdb`, in the folder above the data set:",
        "",
        "```python",
        "import pandas as pd",
        "",
        f"questions = pd.read_parquet({json.dumps(f'{name}/{table}', ensure_ascii=False)})",
        f"scenes = pd.read_parquet({json.dumps(f'{name}/scenes', ensure_ascii=False)})",
        'table = questions.merge(scenes, on=["scene_id", "split"])',
        'sound = table["audio"][0]["bytes"]  # FLAC, all channels',
        "```",
        "",
        "```python",
        "import polars as pl",
        "",
        f"questions = pl.read_parquet({json.dumps(f'{name}/{table}/*.parquet', ensure_ascii=False)})",
        f"scenes = pl.read_parquet({json.dumps(f'{name}/scenes/*.parquet', ensure_ascii=False)})",
        'table = questions.join(scenes, on=["scene_id", "split"])',
        'sound = table["audio"][0]["bytes"]',
        "```",
        "",
        "```python",
        "import duckdb",
        "",
        'query = """',
        "    SELECT question, answer, s.audio.bytes AS sound",
        f"    FROM '{_sql(f'{name}/{table}')}/*.parquet' q",
        f"    JOIN '{_sql(f'{name}/scenes')}/*.parquet' s USING (scene_id)",
        '"""',
        "table = duckdb.sql(query).fetchall()",
        "```",
        "",
    ]


def _sql(path: str) -> str:
    return path.replace("'", "''").replace("\\", "\\\\")


def _columns(columns: Columns) -> list[str]:
    lines = ["## Columns", ""]
    for table, rows in _by_kind(columns).items():
        lines += [f"### {table}", "", "| column | type | what it holds |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {text_of(text)} |" for name, kind, text in rows]
        lines.append("")
    return lines


def _by_kind(columns: Columns) -> Columns:
    """Return one table of questions for all of them: that with the most columns."""
    kinds: dict[str, Sequence[tuple[str, str, str]]] = {}
    for table, rows in columns.items():
        kind = "qa" if table.startswith("qa") else table
        kinds[kind] = max(kinds.get(kind, ()), rows, key=len)
    return kinds


def _rebuild(run: RunRecord) -> list[str]:
    """Return how to make the data set again, and with what it was made."""
    versions = run.fingerprint.get("versions")
    made = ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, dict) else ""
    command = "rirs" if run.makes == "groups" else "render"
    kinds = {name: str(run.recipe[name]).partition(":") for name in ("rooms", "clips")}
    paths = "".join(f" --{name} {kind}:PATH" for name, (kind, colon, _) in kinds.items() if colon)
    return [
        "## Making it again",
        "",
        "The recipe is stored in `_spatialqa/run.json`. With the same rooms, clips and versions, this gives the same "
        "bytes:",
        "",
        f"    spatialqa {command} AGAIN --from THIS-FOLDER{paths}",
        "",
        *([f"It was made with {made}.", ""] if made else []),
    ]


def _channels(recipe: dict[str, Any]) -> tuple[str, ...]:
    return CHANNEL_NAMES.get(recipe.get("channels", ""), CHANNEL_NAMES["binaural"])


def _audio_lines(recipe: dict[str, Any], engine: EngineIdentity) -> list[str]:
    *most, last = _channels(recipe)
    names = f"{', '.join(most)} and {last}" if most else last
    form = f"{recipe['sample_rate']} Hz, {recipe['duration_s']:g} s, {names}, FLAC with 24 bits"
    return [
        f"| engine | {engine.name} {engine.version}, HRTF {text_of(engine.hrtf)}{_lag(engine)} |",
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


def _licences(parts: Sequence[Part]) -> list[str]:
    """Say what each part is, under which terms, and what these ask of those who pass the data set on."""
    lines = ["## Licences and attributions", "", "| part | from | licence | what it asks |", "|---|---|---|---|"]
    lines += [
        f"| {part.what} | {text_of(part.origin)} | {text_of(part.licence)} | {text_of(part.obligation)} |"
        for part in parts
    ]
    return [*lines, ""]


def _attributions(run: RunRecord) -> list[str]:
    lines = ["| licence of the clips | attribution | clips |", "|---|---|---|"]
    items = run.attributions
    for item in items[:_MAX_ATTRIBUTIONS]:
        lines.append(f"| {text_of(item.licence)} | {text_of(item.attribution)} | {item.clips} |")
    if len(items) > _MAX_ATTRIBUTIONS:
        lines.append(f"| ... | {len(items) - _MAX_ATTRIBUTIONS} more in _spatialqa/run.json | |")
    return lines
