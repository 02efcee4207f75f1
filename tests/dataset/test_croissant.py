"""croissant.json describes every table, and mlcroissant reads records by it where it is installed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from spatialqa.dataset.croissant import CROISSANT
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import columns_of
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe
from tests.fixtures.datasets import rows_of


@pytest.fixture(scope="module")
def root(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(small, tmp_path_factory.mktemp("croissant") / "my scenes"))
    make_qa(copy, QaRecipe())
    return copy


def test_every_table_is_a_record_set_whose_files_are_there(root: Path) -> None:
    metadata = json.loads((root / CROISSANT).read_text())
    assert metadata["name"] == "my-scenes"
    assert [item["includes"] for item in metadata["distribution"]] == [
        f"{table}/*.parquet" for table in ("groups", "rirs", "scenes", "qa")
    ]
    left_out = {"groups": {"source_positions"}, "rirs": {"rir"}}
    for record_set in metadata["recordSet"]:
        table = record_set["@id"]
        path = DatasetFolder(root).tables(table)[0]
        columns = {name: text for name, _, text in columns_of(path, table) if "." not in name}
        fields = {field["@id"].partition("/")[2]: field["description"] for field in record_set["field"]}
        assert fields == {name: text for name, text in columns.items() if name not in left_out.get(table, ())}
    assert {key for key in metadata if key.startswith("rai:")} >= {
        *("rai:dataCollection", "rai:dataLimitations", "rai:dataBiases", "rai:dataUseCases"),
        *("rai:personalSensitiveInformation", "rai:dataAnnotationProtocol"),
    }


def test_mlcroissant_validates_it_and_reads_records(root: Path) -> None:
    mlcroissant: Any = pytest.importorskip("mlcroissant")
    metadata = mlcroissant.Dataset(jsonld=root / CROISSANT)
    assert metadata.metadata.issues.errors == set()
    for table in ("scenes", "groups", "rirs", "qa"):
        assert len(list(metadata.records(table))) == len(rows_of(root, table))
