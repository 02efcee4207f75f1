"""Plants faults in a data set, as if they had been written so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.json_records import QuestionsRecord, ShardRecord, read_record, write_record
from spatialqa.dataset.manifest import write_manifest
from spatialqa.dataset.schema import TABLES, with_subject


def changed(root: Path, table: str, change: Any) -> None:
    """Rewrite the first file of a table with changed rows, and record it as if we had written it so."""
    folder = DatasetFolder(root)
    path = folder.tables(table)[0]
    rows = pq.read_table(path).to_pylist()
    schema = TABLES[table.split("-")[0]]
    schema = with_subject(schema) if "subject" in pq.read_schema(path).names else schema
    change(rows)
    relative = str(path.relative_to(root))
    record = commit_table(root, relative, pa.Table.from_pylist(rows, schema=schema))
    for owner in [*(folder.meta / "shards").glob("*.json"), *folder.meta.glob("qa.json")]:
        stored: Any = read_record(QuestionsRecord if owner.stem == "qa" else ShardRecord, owner)
        files = tuple(record if item.path == relative else item for item in stored.files)
        write_record(owner, replace(stored, files=files))
    write_manifest(folder)
