"""Croissant metadata of a data set (mlcommons.org/croissant, 1.0) with responsible-AI fields: croissant.json.

Every table is a set of files and a set of records, whose fields are the columns with their descriptions. A column that
the format cannot represent (bytes that are not audio, lists of lists) is left out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.provenance import Part

CROISSANT = "croissant.json"
_OWN = {"cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/"}
_OWN |= {"dct": "http://purl.org/dc/terms/", "sc": "https://schema.org/", "conformsTo": "dct:conformsTo"}
_TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **_OWN,
    **{name: f"cr:{name}" for name in _TERMS},
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
_TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "int32": "sc:Integer",
    "int64": "sc:Integer",
    "float32": "sc:Float",
    "float64": "sc:Float",
    "bytes and path": "sc:AudioObject",
}
_KEYS = {"scenes": "scene_id", "groups": "group_id", "rirs": "rir_id", "qa": "qa_id"}
_LICENCE_PAGES = re.compile(r"cc-(by[a-z-]*)-(\d\.\d)")
Columns = Mapping[str, Sequence[tuple[str, str, str]]]


def croissant_of(
    run: RunRecord,
    parts: Sequence[Part],
    licences: Sequence[str],
    columns: Columns,
    limits: Sequence[str],
    name: str,
    published: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the metadata as plain data.

    Args:
        run: the run record.
        parts: origins with their licences.
        licences: the hub's ids of the licences.
        columns: (name, type, description) by table.
        limits: sentences on what the data cannot show.
        name: of the data set.
        published: `url` and `datePublished`, once they are known.
    """
    bank = run.makes == "groups"
    origins = [f"{part.what}: {part.origin} ({part.licence}): {part.obligation}" for part in parts]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": re.sub(r"[^A-Za-z0-9_.-]+", "-", name.rpartition("/")[2]) or "spatialqa",
        "description": (
            "Room impulse responses with exact positions of listener and source."
            if bank
            else "Spatial sound scenes with the exact position of every source, and questions about them."
        )
        + f" Made by spatialqa {run.spatialqa}.",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "license": [_licence_page(licence) for licence in licences],
        "creator": {"@type": "sc:Organization", "name": "the makers of this data set, with spatialqa"},
        "citeAs": f"{name}, made with spatialqa {run.spatialqa}",
        "version": "1.0.0",
        "inLanguage": "en",
        "isLiveDataset": False,
        **(published or {}),
        **_responsible(run, origins, limits),
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": f"{table}-files",
                "name": f"{table}-files",
                "encodingFormat": "application/x-parquet",
                "includes": f"{table}/*.parquet",
            }
            for table in columns
        ],
        "recordSet": [_record_set(table, own) for table, own in columns.items()],
    }


def _responsible(run: RunRecord, origins: Sequence[str], limits: Sequence[str]) -> dict[str, Any]:
    """Return the responsible-AI fields."""
    engine = run.engine
    acoustics = "without audio" if engine.name == "none" else f"rendered by {engine.name} {engine.version}"
    return {
        "rai:dataCollection": f"Simulated: rooms, places and sounds are drawn by a seed; the scenes are {acoustics}.",
        "rai:dataCollectionType": ["Software Collection", "Others"],
        "rai:dataCollectionRawData": "; ".join(origins),
        "rai:dataAnnotationProtocol": (
            "Positions, angles and levels are computed from the simulated geometry and sound. Labels of sounds are "
            "those of the clips. Questions and answers come from templates over both."
        ),
        "rai:dataAnnotationPlatform": [f"spatialqa {run.spatialqa}"],
        "rai:machineAnnotationTools": [f"spatialqa {run.spatialqa}"],
        "rai:dataPreprocessingProtocol": [
            "Clips are resampled, levelled and cut; the recipe in _spatialqa/run.json has every setting."
        ],
        "rai:dataLimitations": list(limits),
        "rai:dataBiases": [
            "Classes, their names and their frequencies follow the clips and AudioSet's class list.",
            "One set of ears stands for all listeners unless the recipe names several.",
        ],
        "rai:dataUseCases": [
            "Training and testing of models that locate sounds and reason about them.",
            "Not validated for safety-critical use, such as driving or hearing aids.",
        ],
        "rai:dataSocialImpact": "Results on simulated rooms may not carry over to real rooms and real listeners.",
        "rai:personalSensitiveInformation": [
            "Recorded clips may contain voices of people; see the origin of the clips. There is no other personal data."
        ],
        "rai:dataReleaseMaintenancePlan": (
            "The data set can be made again from its recipe; the hashes of all files are in _spatialqa/manifest.sha256."
        ),
    }


def _record_set(table: str, columns: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    fields = []
    for name, type_name, text in columns:
        if "." in name:
            continue
        if type_name == "list of records":
            own = [(n.partition(".")[2], t, d) for n, t, d in columns if n.startswith(f"{name}.")]
            field = _field(table, name, text) | {"repeated": True}
            field["subField"] = [made for column in own if (made := _leaf(table, *column, within=name))]
            fields.append(field)
        elif leaf := _leaf(table, name, type_name, text):
            fields.append(leaf)
    return {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "key": {"@id": f"{table}/{_KEYS[table.split('-')[0]]}"},
        "field": fields,
    }


def _leaf(table: str, name: str, type_name: str, text: str, within: str = "") -> dict[str, Any] | None:
    """Return a field of plain values; None for a type that the format cannot represent."""
    one = type_name.removeprefix("list of ")
    if one not in _TYPES or (within and one != type_name):
        return None
    column = within or name
    field = _field(table, f"{within}/{name}" if within else name, text, column) | {"dataType": _TYPES[one]}
    path = name if within else "bytes" if one == "bytes and path" else ""
    if path:
        field["source"]["transform"] = {"jsonPath": path}
    return field | ({"repeated": True} if one != type_name else {})


def _field(table: str, name: str, text: str, column: str | None = None) -> dict[str, Any]:
    source = {"fileSet": {"@id": f"{table}-files"}, "extract": {"column": column or name}}
    return {
        "@type": "cr:Field",
        "@id": f"{table}/{name}",
        "name": f"{table}/{name}",
        "description": text,
        "source": source,
    }


def _licence_page(licence: str) -> str:
    if found := _LICENCE_PAGES.fullmatch(licence):
        return f"https://creativecommons.org/licenses/{found[1]}/{found[2]}/"
    return "https://creativecommons.org/publicdomain/zero/1.0/" if licence == "cc0-1.0" else licence
