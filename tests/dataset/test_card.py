"""The card is what the hub's own library reads, and says where every part comes from and what every column holds."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard

from spatialqa.dataset.columns import COMMON, OWN
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.hub_terms import LICENCES, SIZES, hub_licence, size_category
from spatialqa.dataset.provenance import obligation
from spatialqa.dataset.reading import columns_of, read_scenes, schema_of
from spatialqa.dataset.schema import (
    GROUPS,
    QA_WITH_AUDIO,
    RIRS,
    SCENES_BY_HAND,
    descriptions,
    is_described,
    with_subject,
    without_descriptions,
)
from spatialqa.qa.make import make_qa
from spatialqa.qa.recipe import QaRecipe

SCHEMAS = {
    "scenes": with_subject(SCENES_BY_HAND),
    "groups": with_subject(GROUPS),
    "rirs": with_subject(RIRS),
    "qa": QA_WITH_AUDIO,
}


@pytest.fixture(scope="module")
def root(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(small, tmp_path_factory.mktemp("card") / "my-scenes"))
    make_qa(copy, QaRecipe())
    return copy


def front_of(root: Path) -> dict[str, object]:
    text = (root / "README.md").read_text()
    front: dict[str, object] = yaml.safe_load(text.split("---\n")[1])
    return front


def test_the_hubs_library_reads_the_metadata_back_unchanged(root: Path) -> None:
    card = DatasetCard.load(root / "README.md")
    front = front_of(root)
    assert card.data.to_dict() == front
    assert card.data.language == ["en"]
    assert set(card.data.license) == {"cc-by-4.0", "mit"} <= LICENCES
    assert set(card.data.size_categories) == {"n<1K"} <= SIZES
    assert card.data.pretty_name.startswith("my-scenes ")
    assert [config["config_name"] for config in card.data.configs] == ["scenes", "groups", "rirs", "qa"]
    again = DatasetCard(card.content)
    again.save(root / "again.md")
    assert yaml.safe_load((root / "again.md").read_text().split("---\n")[1]) == front


@pytest.mark.parametrize(
    ("text", "name", "asks"),
    [
        ("CC0 1.0", "cc0-1.0", "none"),
        ("CC0-1.0", "cc0-1.0", "none"),
        ("CC BY 3.0", "cc-by-3.0", "name the authors"),
        ("CC BY-NC 3.0", "cc-by-nc-3.0", "no commercial use"),
        ("CC-BY-SA-4.0", "cc-by-sa-4.0", "same licence"),
        ("CC BY-NC-ND 4.0", "cc-by-nc-nd-4.0", "no altered versions"),
        ("CC BY-SA 2.0", "other", "same licence"),
        ("CC Sampling+ 1.0", "other", "advertising"),
        ("GPL-2+", "gpl-2.0", "same licence"),
        ("MIT", "mit", "keep the notice"),
        ("not stated", "other", "ask the owner"),
        ("as we agreed", "other", "read the licence"),
    ],
)
def test_a_licence_has_an_id_of_the_hub_and_an_obligation(text: str, name: str, asks: str) -> None:
    assert hub_licence(text) == name
    assert name in LICENCES
    assert asks in obligation(text)


def test_sizes_have_the_hubs_names() -> None:
    sizes = [size_category(10**power) for power in range(2, 14)]
    assert sizes[:3] == ["n<1K", "1K<n<10K", "10K<n<100K"]
    assert sizes[-2:] == ["n>1T", "n>1T"]
    assert size_category(999) == "n<1K"
    assert set(sizes) == set(SIZES)


def test_the_card_counts_the_clips_that_scenes_use(root: Path) -> None:
    folder = DatasetFolder(root)
    used: dict[str, set[str]] = {}
    for path in folder.tables("scenes"):
        for scene in read_scenes(path):
            used.setdefault(scene.split, set()).update(source.clip_id for source in scene.sources)
    run = folder.read_run()
    pool = run.plan.clips
    assert all(0 < len(used[split]) < pool[split] for split in pool)
    text = (root / "README.md").read_text()
    assert f"| clips that are used | {', '.join(f'{split} {len(used[split])}' for split in pool)} |" in text
    assert [item.clips for item in run.attributions] == [sum(map(len, used.values()))]


def test_every_column_is_described_in_one_place_for_the_card_and_the_files(root: Path) -> None:
    text = (root / "README.md").read_text()
    for table, schema in SCHEMAS.items():
        found = descriptions(schema)
        assert all(found.values())
        for path in DatasetFolder(root).tables(table):
            read = descriptions(pq.read_schema(path))
            assert read == {name: found[name] for name in read}
            for name, kind, description in columns_of(path, table):
                assert f"| `{name}` | {kind} | " in text
                assert description == read[name]
    assert {name for schema in SCHEMAS.values() for name in (n.rpartition(".")[2] for n in descriptions(schema))} == {
        *COMMON,
        *(name for _, name in OWN),
    }


def test_page_indexes_are_written(root: Path) -> None:
    for table in SCHEMAS:
        for path in DatasetFolder(root).tables(table):
            group = pq.ParquetFile(path).metadata.row_group(0)
            assert all(group.column(k).has_offset_index for k in range(group.num_columns))


def test_files_of_older_versions_are_written_again_as_they_were(root: Path, tmp_path: Path) -> None:
    (path, *_) = DatasetFolder(root).tables("scenes")
    rows = pq.read_table(path).to_pylist()
    old = without_descriptions(schema_of(path, "scenes"))
    first = commit_table(tmp_path, "scenes/old.parquet", pa.Table.from_pylist(rows, schema=old))
    assert not is_described(pq.read_schema(tmp_path / "scenes/old.parquet"))
    schema = schema_of(tmp_path / "scenes/old.parquet", "scenes")
    again = commit_table(tmp_path, "scenes/again.parquet", pa.Table.from_pylist(rows, schema=schema))
    assert again.sha256 == first.sha256
    assert not pq.ParquetFile(tmp_path / "scenes/old.parquet").metadata.row_group(0).column(0).has_offset_index


def test_what_the_card_shows_of_pandas_joins_questions_and_sound(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [
        block.partition("```")[0]
        for block in (root / "README.md").read_text().split("```python\n")[1:]
        if "import pandas" in block
    ]
    monkeypatch.chdir(root.parent)
    values: dict[str, object] = {}
    exec(code, values)
    assert len(values["table"]) == len(pd.read_parquet(root / "qa")) > 0  # type: ignore[arg-type]
    assert values["sound"][:4] == b"fLaC"  # type: ignore[index]


def test_the_licences_name_each_part_and_what_it_asks(root: Path) -> None:
    text = (root / "README.md").read_text()
    rows = [line.split(" | ") for line in text.partition("| part |")[2].splitlines()[2:] if line.startswith("| ")]
    assert [row[0] for row in rows[:4]] == ["| engine", "| rooms", "| clips", "| class names"]
    assert rows[0][1:3] == ["geometric, of spatialqa", "MIT"]
    assert str(root.parent) not in text
