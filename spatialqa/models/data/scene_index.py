"""The index of the scenes of a split: where each lies in the `scenes` table, and what is true of its sources."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spatialqa.core.ontology import ontology
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import scene_files
from spatialqa.errors import DatasetError

Rows = npt.NDArray[np.int64]
Roots = Path | str | Sequence[Path | str]


class NoScenesError(DatasetError):
    """A split of whole data sets has no scene of this many sources."""


# --- which classes --------------------------------------------------------------------------------------------------


def class_ids(labels: Sequence[str], mids: Sequence[str | None]) -> list[str]:
    """Return the ids of a source's labels in a vocabulary: their AudioSet mids, or a custom label's own name."""
    return [mid or label for label, mid in zip(labels, mids, strict=True)]


def class_name(class_id: str) -> str:
    """Return the label of a class of a vocabulary, in lower case."""
    return next((node.name for node in ontology().nodes if node.mid == class_id), class_id).lower()


def class_vocabulary(roots: Roots, split: str = "train") -> list[str]:
    """Return the classes that sound in a split of some data sets: mids in AudioSet's order, then custom labels by name.

    Evaluation scores these only: what training never had cannot have been learnt.

    Raises:
        DatasetError: there are no such scenes.
    """
    found: set[str] = set()
    for path in _files(roots, split):
        sources = _read_index(path, ["sources"])["sources"].combine_chunks().flatten()
        mids, labels = sources.field("mids").flatten(), sources.field("labels").flatten()
        found.update(pc.unique(pc.coalesce(mids, labels)).to_pylist())
    known = [node.mid for node in ontology().nodes if node.mid in found]
    return known + sorted(found.difference(known))


def paper_vocabulary() -> list[str]:
    """Return the mids of SpatialSoundQA's 355 classes in AudioSet's order of classes."""
    chosen = [node for node in ontology().nodes if node.in_spatialsoundqa]
    return [node.mid for node in sorted(chosen, key=lambda node: node.class_index or 0)]


def source_counts(roots: Roots, split: str) -> Counter[int]:
    """Return how many scenes of a split have each number of sources.

    Raises:
        DatasetError: there are no such scenes, or they cannot be read.
    """
    counts: Counter[int] = Counter()
    for path in _files(roots, split):
        counts.update(pc.list_value_length(_read_index(path, ["sources"])["sources"]).to_pylist())
    return counts


# --- what there is --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SceneIndex:
    """Where every scene of a split lies and what is true of its sources; source k of scene i is row first[i] + k."""

    files: tuple[Path, ...]
    file: Rows
    row: Rows  # within the file
    scene_id: npt.NDArray[np.str_]
    gain_db: npt.NDArray[np.float32]
    first: Rows  # (scenes + 1,)
    position: npt.NDArray[np.float32]  # (sources, 3): azimuth_deg, elevation_deg, distance_m
    first_class: Rows  # (sources + 1,)
    class_index: Rows  # into the vocabulary
    sample_rate: int
    n_samples: int

    def __len__(self) -> int:
        return len(self.file)


_INDEX_COLUMNS = ("scene_id", "sample_rate", "duration_s", "channels", "gain_db", "sources")


def index_scenes(
    roots: Roots, split: str, vocabulary: Sequence[str], sources: Sequence[int], audio: bool
) -> SceneIndex:
    """Read all but the audio of a split's scenes that have one of these numbers of sources.

    Raises:
        NoScenesError: there are no such scenes.
        DatasetError: they are not binaural, differ in length or rate, or `audio` is wanted and they were planned only.
    """
    files = _files(roots, split)
    columns = [*_INDEX_COLUMNS, "audio.path"] if audio else list(_INDEX_COLUMNS)
    tables, numbers, rows = [], [], []
    for number, path in enumerate(files):
        table = _read_index(path, columns)
        if audio and table["audio"].combine_chunks().field("path").null_count:
            raise DatasetError(
                f"{path}: its scenes were planned only and have no audio: render them without --plan-only, or train on "
                f"the fly from a bank of RIRs"
            )
        row = np.flatnonzero(np.isin(pc.list_value_length(table["sources"]).to_numpy(), sources))
        tables.append(table.take(pa.array(row)).select(list(_INDEX_COLUMNS)))
        numbers.append(np.full(len(row), number))
        rows.append(row)
    table = pa.concat_tables(tables).combine_chunks()
    where = ", ".join(str(root) for root in _roots(roots))
    if not len(table):
        counts = " or ".join(map(str, sources))
        raise NoScenesError(f"{where}: the {split} split has no scene of {counts} sources; see --sources-per-scene")
    if other := set(pc.unique(table["channels"]).to_pylist()) - {"binaural"}:
        raise DatasetError(f"{where}: has {min(other)} scenes, and the model needs two: render binaural ones")
    shapes = set(zip(table["sample_rate"].to_pylist(), table["duration_s"].to_pylist(), strict=True))
    if len(shapes) > 1:
        raise DatasetError(
            f"{where}: mixes scenes of different length or rate ({sorted(shapes)[:3]}): train on one kind"
        )
    ((sample_rate, duration_s),) = shapes
    lists = table["sources"].combine_chunks()
    flat = lists.flatten()
    position = [
        flat.field(name).to_numpy(zero_copy_only=False) for name in ("azimuth_deg", "elevation_deg", "distance_m")
    ]
    names = pc.coalesce(flat.field("mids").flatten(), flat.field("labels").flatten())
    owner = np.repeat(np.arange(len(flat)), flat.field("labels").value_lengths().to_numpy())
    index = pc.fill_null(pc.index_in(names, pa.array(list(vocabulary), pa.string())), -1).to_numpy()
    owner, index = owner[index >= 0], index[index >= 0].astype(np.int64)
    return SceneIndex(
        files=tuple(files),
        file=np.concatenate(numbers),
        row=np.concatenate(rows),
        scene_id=np.array(table["scene_id"].to_pylist()),
        gain_db=table["gain_db"].to_numpy().astype(np.float32),
        first=_starts(lists.value_lengths().to_numpy()),
        position=np.stack(position, axis=1).astype(np.float32),
        first_class=_starts(np.bincount(owner, minlength=len(flat))),
        class_index=index,
        sample_rate=sample_rate,
        n_samples=round(duration_s * sample_rate),
    )


def _roots(roots: Roots) -> list[Path]:
    return [Path(root) for root in ([roots] if isinstance(roots, Path | str) else roots)]


def _files(roots: Roots, split: str) -> list[Path]:
    found = []
    for root in _roots(roots):
        folder = DatasetFolder(root)
        folder.read_run()
        files = scene_files(folder)
        own = [path for path in files if path.name.startswith(f"{split}-")]
        if not own:
            have = sorted({path.name.split("-")[0] for path in files})
            raise DatasetError(f"{root}: has no {split} split, only {', '.join(have)}; see --splits of render")
        found += own
    return found


def _read_index(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        if missing := [name for name in columns if name.split(".")[0] not in file.schema_arrow.names]:
            raise KeyError(f"it has no column {missing[0]}")
        return file.read(columns=list(columns), use_threads=False)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{path}: cannot be read as scenes of spatialqa ({' '.join(str(error).split())[:200]})"
        ) from None


def _starts(counts: npt.NDArray[Any]) -> Rows:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
