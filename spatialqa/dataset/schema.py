"""The tables of a data set. Names and types are fixed, because other programs read them; columns may be appended.

`columns` says what each of them holds; the text is in the metadata of the columns.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from spatialqa.dataset.columns import COMMON, OWN

SCHEMA_VERSION = "1"
_DESCRIPTION = b"description"  # key of the metadata of a column

_LIST_F64 = pa.list_(pa.float64())
_LIST_F32 = pa.list_(pa.float32())
_LIST_STR = pa.list_(pa.string())
AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _fields(table: str, columns: Sequence[tuple[str, pa.DataType]]) -> list[pa.Field]:
    texts = {name: OWN.get((table, name)) or COMMON[name] for name, _ in columns}
    return [pa.field(name, kind, metadata={_DESCRIPTION: texts[name]}) for name, kind in columns]


SOURCE = pa.struct(
    _fields(
        "sources",
        [
            ("clip_id", pa.string()),
            ("clip_sha256", pa.string()),
            ("clip_start_s", pa.float64()),
            ("native_sample_rate", pa.int32()),
            ("licence", pa.string()),
            ("labels", _LIST_STR),
            ("mids", _LIST_STR),
            ("position", _LIST_F64),
            ("azimuth_deg", pa.float64()),
            ("elevation_deg", pa.float64()),
            ("distance_m", pa.float64()),
            ("region_id", pa.string()),
            ("region_label", pa.string()),
            ("onset_s", pa.float64()),
            ("offset_s", pa.float64()),
            ("dry_level_dbfs", pa.float32()),
            ("wet_level_dbfs", _LIST_F32),
            ("line_of_sight", pa.bool_()),
            ("drr_db", pa.float32()),
            ("rt60_s", pa.float64()),
            ("rir_id", pa.string()),
            ("level_index", pa.int32()),
            ("starts_s", _LIST_F64),  # when each play of the clip begins, the first at onset_s
            ("clip_end_s", pa.float64()),  # where in the clip a play ends; null for its end
            ("start_share", pa.float64()),  # drawn for clip_start active
            ("audible_onset_s", pa.float64()),
            ("audible_offset_s", pa.float64()),
            ("height_m", pa.float64()),  # above the floor of the storey
        ],
    )
)

SCENES = pa.schema(
    _fields(
        "scenes",
        [
            ("scene_id", pa.string()),
            ("split", pa.string()),
            ("audio", AUDIO),
            ("sample_rate", pa.int32()),
            ("duration_s", pa.float64()),
            ("channels", pa.string()),
            ("room_set", pa.string()),
            ("room_id", pa.string()),
            ("house_id", pa.string()),
            ("region_id", pa.string()),
            ("region_label", pa.string()),
            ("level_index", pa.int32()),
            ("group_id", pa.string()),
            ("engine", pa.string()),
            ("engine_config_hash", pa.string()),
            ("hrtf", pa.string()),
            ("rir_time_zero", pa.string()),
            ("listener_position", _LIST_F64),
            ("listener_orientation", _LIST_F64),
            ("gain_db", pa.float32()),
            ("rir_reuse_count", pa.int32()),
            ("sources", pa.list_(SOURCE)),
            ("seed", pa.int64()),
            ("recipe_hash", pa.string()),
        ],
    )
)

SCENES_BY_HAND = SCENES.append(_fields("scenes", [("scene", pa.string())])[0])  # its name in the table of placements
_SUBJECT = _fields("scenes", [("subject", pa.string())])[0]  # whose head it is, where there are several

GROUPS = pa.schema(
    _fields(
        "groups",
        [
            ("group_id", pa.string()),
            ("split", pa.string()),
            ("room_set", pa.string()),
            ("room_id", pa.string()),
            ("room_sha256", pa.string()),
            ("listener_position", _LIST_F64),
            ("listener_orientation", _LIST_F64),
            ("source_positions", pa.list_(_LIST_F64)),
            ("engine", pa.string()),
            ("engine_config", pa.string()),
            ("engine_sha256", pa.string()),
            ("sample_rate", pa.int32()),
            ("seed", pa.int64()),
            ("ray_efficiency", pa.float32()),
            ("bank_rirs", _LIST_STR),  # of rooms from a bank: its own name for the RIR of every place
        ],
    )
)

RIRS = pa.schema(
    _fields(
        "rirs",
        [
            ("rir_id", pa.string()),
            ("group_id", pa.string()),
            ("room_id", pa.string()),
            ("room_sha256", pa.string()),
            ("listener_position", _LIST_F64),
            ("listener_orientation", _LIST_F64),
            ("source_position", _LIST_F64),
            ("sample_rate", pa.int32()),
            ("n_samples", pa.int32()),
            ("rir", pa.binary()),
            ("rir_time_zero", pa.string()),
            ("engine", pa.string()),
            ("engine_config_hash", pa.string()),
            ("drr_db", pa.float32()),
            ("rt60_s", pa.float64()),
            ("house_id", pa.string()),
            ("hrtf", pa.string()),
            ("channels", pa.string()),
            ("line_of_sight", pa.bool_()),
            ("region_id", pa.string()),  # the source's
            ("region_label", pa.string()),
            ("level_index", pa.int32()),  # the listener's, like the next two
            ("listener_region_id", pa.string()),
            ("listener_region_label", pa.string()),
            ("source_level_index", pa.int32()),
        ],
    )
)

QA = pa.schema(
    _fields(
        "qa",
        [
            ("qa_id", pa.string()),
            ("scene_id", pa.string()),
            ("split", pa.string()),
            ("type", pa.string()),
            ("subtype", pa.string()),
            ("question", pa.string()),
            ("answer", pa.string()),
            ("template_id", pa.string()),
            ("source_indices", pa.list_(pa.int32())),
            ("asked_labels", _LIST_STR),
            ("asked_direction", _LIST_STR),
            ("asked_distance_m", pa.float64()),
            ("polarity", pa.string()),
            ("choices", _LIST_STR),
            ("answer_labels", _LIST_STR),
            ("answer_direction", _LIST_STR),
            ("answer_distance_m", pa.float64()),
            ("answer_bool", pa.bool_()),
            ("answer_count", pa.int32()),
            ("margin_deg", pa.float64()),
            ("margin_m", pa.float64()),
            ("rationale", pa.string()),
        ],
    )
)

QA_WITH_AUDIO = QA.append(SCENES.field("audio"))  # of `make-qa --with-audio`

# The column of each table of a shard that holds sound; None where there is none.
AUDIO_COLUMNS: Mapping[str, str | None] = {"scenes": "audio", "groups": None, "rirs": "rir"}

TABLES = {"scenes": SCENES, "groups": GROUPS, "rirs": RIRS, "qa": QA}


def with_subject(schema: pa.Schema) -> pa.Schema:
    """Return the schema of scenes, groups or rirs of a run in which every listener group has its own head."""
    return schema.append(_SUBJECT)


def descriptions(schema: pa.Schema) -> dict[str, str]:
    """Return what each column of a schema holds, by its name; that of a record in a list is `sources.azimuth_deg`."""
    return dict(_descriptions(schema, ""))


def type_name(kind: pa.DataType) -> str:
    """Return the type of a column in words: `list of float64`, `list of records`."""
    if kind == AUDIO:
        return "bytes and path"
    if pa.types.is_list(kind):
        return f"list of {'records' if pa.types.is_struct(kind.value_type) else type_name(kind.value_type)}"
    return _HF_DTYPES.get(str(kind), str(kind))


def described(table: str) -> pa.Schema:
    """Return the schema of a table by its name, with every column that a file of it may have."""
    kind = table.split("-")[0]
    return QA_WITH_AUDIO if kind == "qa" else with_subject(SCENES_BY_HAND if kind == "scenes" else TABLES[kind])


def is_described(schema: pa.Schema) -> bool:
    """Return whether the columns of a schema have descriptions; those of files of older versions have none."""
    return any(_DESCRIPTION in (field.metadata or {}) for field in schema)


def without_descriptions(schema: pa.Schema) -> pa.Schema:
    """Return the schema as older versions wrote it."""
    return pa.schema([pa.field(field.name, _bare(field.type)) for field in schema])


def _descriptions(fields: Iterable[pa.Field], prefix: str) -> Iterator[tuple[str, str]]:
    for field in fields:
        yield prefix + field.name, (field.metadata or {}).get(_DESCRIPTION, b"").decode()
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        if pa.types.is_struct(kind) and kind != AUDIO:
            yield from _descriptions(kind, f"{prefix}{field.name}.")


def _bare(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _bare(field.type)) for field in kind])
    return pa.list_(_bare(kind.value_type)) if pa.types.is_list(kind) else kind


def hf_features(schema: pa.Schema) -> dict[str, Any]:
    """Return the schema as Hugging Face `datasets` features, in their JSON form."""
    return {field.name: _hf_feature(field.type) for field in schema}


def _hf_feature(kind: pa.DataType) -> Any:
    if kind == AUDIO:
        return {"_type": "Audio"}
    if pa.types.is_struct(kind):
        return {field.name: _hf_feature(field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_hf_feature(kind.value_type)]  # the list-of-one form: every version of `datasets` reads it
    return {"dtype": _HF_DTYPES.get(str(kind), str(kind)), "_type": "Value"}


_HF_DTYPES = {"double": "float64", "float": "float32"}


def with_metadata(schema: pa.Schema) -> pa.Schema:
    """Return the schema with our version and the features that let `datasets` see `audio` as sound."""
    return schema.with_metadata(
        {
            "schema_version": SCHEMA_VERSION,
            "huggingface": json.dumps({"info": {"features": hf_features(schema)}}),
        }
    )
