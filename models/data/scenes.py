"""Scenes as batches of tensors, read from the `scenes` table (on_the_fly.py makes them from clips and RIRs instead).

    vocabulary = class_vocabulary(OUT)
    dataset = SceneDataset(OUT, "train", vocabulary, seed=0)
    for batch in loader(dataset, batch_size=32, workers=4, epoch=0):
        heads = model(batch.to("cuda").waveform)

The order of scenes is a pure function of seed, epoch and batch size: it does not depend on how many workers there are
or which process of several asks, and a run resumes in the middle of an epoch with `loader(..., start=batches done)`.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import soundfile
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from spatialqa.core import seeds
from spatialqa.core.audio_io import decode_flac
from spatialqa.core.ontology import ontology
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import scene_files
from spatialqa.errors import DatasetError

Rows = npt.NDArray[np.int64]
Roots = Path | str | Sequence[Path | str]

SLICE = 16  # scenes of a file that are read together
SLICES_MIXED = 8  # slices, each of another file, whose scenes are shuffled among themselves
LANES = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Targets:
    """What is true of the sources of some scenes. Of one-source scenes there are as many sources as scenes: N = B.

    scene_id: of every scene. scene: int64 (N,), which scene a source is in. slot: int64 (N,), which of its sources it
    is. classes: float32 (N, classes), 1 for every label that the vocabulary has. azimuth_deg, elevation_deg,
    distance_m: float32 (N,), as the tables have them.
    """

    scene_id: list[str]
    scene: Tensor
    slot: Tensor
    classes: Tensor
    azimuth_deg: Tensor
    elevation_deg: Tensor
    distance_m: Tensor

    def moved(self, move: Callable[[Tensor], Tensor]) -> Self:
        """Return the same with every tensor moved."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values |= {name: move(value) for name, value in values.items() if isinstance(value, Tensor)}
        return type(self)(**values)

    def pin_memory(self) -> Self:
        """Return it in memory that a GPU copies from directly; torch's DataLoader calls this."""
        return self.moved(Tensor.pin_memory)


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch(Targets):
    """Some scenes.

    waveform: float32 (B, 2, n), left and right, at signal level (the gain of the data set undone); or what a cache
    keeps of it (see feature_cache.py).
    """

    waveform: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on a device."""
        return self.moved(lambda tensor: tensor.to(device, non_blocking=True))


class NoScenesError(DatasetError):
    """A split of whole data sets has no scene of this many sources."""


# --- which classes --------------------------------------------------------------------------------------------------


def class_ids(labels: Sequence[str], mids: Sequence[str | None]) -> list[str]:
    """Return the ids of a source's labels in a vocabulary: their AudioSet mids, or a custom label's own name."""
    return [mid or label for label, mid in zip(labels, mids, strict=True)]


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


# --- in which order -------------------------------------------------------------------------------------------------


def shuffled_batches(file: Rows, batch_size: int, rng: np.random.Generator, lanes: int = LANES) -> list[Rows]:
    """Return every scene once, in whole batches but the last, so mixed that files can be read from front to end.

    Files are allocated to lanes. In a lane, slices of SLICE scenes of SLICES_MIXED files at a time are shuffled
    together.
    Batch i is of lane i mod lanes, so that workers whose number divides `lanes` share no file; what is left of the
    lanes makes the last batches.

    Args:
        file: int64 (scenes,), ascending: which file each lies in.
        batch_size: scenes in a batch.
        rng: the source of randomness.
        lanes: how many.
    """
    of_file = np.split(np.arange(len(file)), np.flatnonzero(np.diff(file)) + 1)
    order = rng.permutation(len(of_file))
    whole: list[list[Rows]] = []
    left: list[Rows] = []
    for lane in range(lanes):
        own = [of_file[k] for k in order[lane::lanes]]
        mixed: list[Rows] = [np.empty(0, dtype=np.int64)]
        for k in range(0, len(own), SLICES_MIXED):
            together = own[k : k + SLICES_MIXED]
            for start in range(0, max(map(len, together)), SLICE):
                mixed.append(rng.permutation(np.concatenate([rows[start : start + SLICE] for rows in together])))
        rows = np.concatenate(mixed)
        cut = len(rows) // batch_size * batch_size
        whole.append(list(rows[:cut].reshape(-1, batch_size)))
        left.append(rows[cut:])
    batches = [lane[k] for k in range(max(map(len, whole))) for lane in whole if k < len(lane)]
    rest = rng.permutation(np.concatenate(left))
    return batches + [rest[k : k + batch_size] for k in range(0, len(rest), batch_size)]


# --- reading --------------------------------------------------------------------------------------------------------


class RowReader:
    """Reads rows of many files in an order that goes through each file roughly from front to end.

    Args:
        index: of all scenes.
        wanted: the scenes that will be asked for, each once; others are read over and not kept.
        columns: which columns.
    """

    def __init__(self, index: SceneIndex, wanted: Rows, columns: Sequence[str]) -> None:
        self.index, self.columns = index, list(columns)
        self._wanted: dict[int, dict[int, int]] = {}
        for scene in wanted:
            self._wanted.setdefault(int(index.file[scene]), {})[int(index.row[scene])] = int(scene)
        self._open: dict[int, Generator[None, None, None]] = {}
        self._held: dict[int, dict[str, Any]] = {}

    def get(self, scene: int) -> dict[str, Any]:
        """Return the row of a scene."""
        number = int(self.index.file[scene])
        while scene not in self._held:
            if number not in self._open:
                self._open[number] = self._read(number)
            next(self._open[number])
        wanted = self._wanted[number]
        del wanted[int(self.index.row[scene])]
        if not wanted:
            self._open.pop(number).close()  # else what it read last stays in memory
        return self._held.pop(scene)

    def _read(self, number: int) -> Generator[None, None, None]:
        """Read one file slice by slice, keeping the wanted rows."""
        path, wanted = self.index.files[number], self._wanted[number]
        try:
            file = pq.ParquetFile(path, memory_map=True)
            row = 0
            for group in range(file.metadata.num_row_groups):
                rows = range(row, row + file.metadata.row_group(group).num_rows)
                row = rows.stop
                if not any(k in wanted for k in rows):
                    continue
                at = rows.start
                for part in file.iter_batches(SLICE, [group], self.columns, use_threads=False):
                    for k in range(at, at + len(part)):
                        if k in wanted:
                            self._held[wanted[k]] = part.slice(k - at, 1).to_pylist()[0]
                    at += len(part)
                    del part  # as large as what it gave, and this file may stay open for long
                    yield
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None


class SceneDataset:
    """The rendered scenes of a split, of one data set or of several of the same rate and length.

    Args:
        roots: folder or folders.
        split: which split.
        vocabulary: the classes, see class_vocabulary.
        sources: keep the scenes with this many sources; a number or several.
        shuffle: shuffle the order in every epoch; else it is that of the files.
        seed: of the order.
        lanes: see shuffled_batches; a multiple of the number of workers, over all processes, reads least.

    Raises:
        DatasetError: see index_scenes.
    """

    columns: Sequence[str] = ("audio.bytes",)
    needs_audio = True

    def __init__(
        self,
        roots: Roots,
        split: str,
        vocabulary: Sequence[str],
        sources: int | Sequence[int] = 1,
        shuffle: bool = True,
        seed: int = 0,
        lanes: int = LANES,
    ) -> None:
        counts = (sources,) if isinstance(sources, int) else tuple(sources)
        self.split, self.vocabulary, self.shuffle, self.seed, self.lanes = split, list(vocabulary), shuffle, seed, lanes
        self.index = index_scenes(roots, split, vocabulary, counts, self.needs_audio)
        self.used = np.arange(len(self.index))

    def leave_out(self, scenes: Collection[tuple[Path, str]]) -> int:
        """Let no batch have these scenes, named by file and id, and return how many of them there are."""
        index = self.index
        names = ((index.files[file], scene) for file, scene in zip(index.file, index.scene_id.tolist(), strict=True))
        kept = np.array([name not in scenes for name in names])
        self.used = np.flatnonzero(kept)
        if not len(self.used):
            raise DatasetError(f"nothing is left of the {self.split} split; render the data sets with other seeds")
        return int((~kept).sum())

    def __len__(self) -> int:
        return len(self.index)

    @property
    def sample_rate(self) -> int:
        """The rate of every scene, Hz."""
        return self.index.sample_rate

    def batches(self, batch_size: int, epoch: int = 0) -> list[Rows]:
        """Return which scenes make each batch of an epoch, as rows of the index.

        A shuffled epoch leaves out a last batch that is not whole, unless it is the only one.
        """
        if not self.shuffle:
            return [self.used[k : k + batch_size] for k in range(0, len(self.used), batch_size)]
        rng = seeds.rng(self.seed, "epoch", f"{self.split}/{epoch}")
        batches = [self.used[b] for b in shuffled_batches(self.index.file[self.used], batch_size, rng, self.lanes)]
        return batches[:-1] if len(batches) > 1 and len(batches[-1]) < batch_size else batches

    def read(self, scenes: Rows, reader: RowReader, epoch: int) -> Batch:
        """Return these scenes; `reader` must know them."""
        waveform = torch.empty(len(scenes), 2, self.index.n_samples)
        for k, scene in enumerate(scenes):
            waveform[k] = torch.from_numpy(self._audio(int(scene), reader.get(int(scene))["audio"]["bytes"]))
        return Batch(waveform=waveform, **self.truth(scenes))

    def _audio(self, scene: int, flac: bytes) -> npt.NDArray[np.float32]:
        where = f"{self.index.files[self.index.file[scene]]}: {self.index.scene_id[scene]}"
        try:
            audio, rate = decode_flac(flac)
        except (soundfile.SoundFileError, TypeError) as error:
            raise DatasetError(f"{where}: its audio cannot be decoded ({error}): validate the data set") from None
        if audio.shape != (2, self.index.n_samples) or rate != self.index.sample_rate:
            raise DatasetError(f"{where}: its audio is {audio.shape} at {rate} Hz, not what its row says: validate")
        return audio * np.float32(10.0 ** (-self.index.gain_db[scene] / 20.0))

    def truth(self, scenes: Rows) -> dict[str, Any]:
        """Return the fields of a Batch that are not sound."""
        index = self.index
        counts = index.first[scenes + 1] - index.first[scenes]
        slot = np.concatenate([np.arange(n) for n in counts])
        source = np.repeat(index.first[scenes], counts) + slot
        classes = torch.zeros(len(source), len(self.vocabulary))
        for k, row in enumerate(source):
            classes[k, torch.from_numpy(index.class_index[index.first_class[row] : index.first_class[row + 1]])] = 1.0
        azimuth, elevation, distance = torch.from_numpy(index.position[source]).unbind(1)
        return {
            "scene_id": index.scene_id[scenes].tolist(),
            "scene": torch.from_numpy(np.repeat(np.arange(len(scenes)), counts)),
            "slot": torch.from_numpy(slot),
            "classes": classes,
            "azimuth_deg": azimuth,
            "elevation_deg": elevation,
            "distance_m": distance,
        }


class _Epoch(IterableDataset[Batch]):
    """The batches of one process in one epoch; worker k of n makes every n-th, from the k-th on."""

    def __init__(self, dataset: SceneDataset, batches: Sequence[Rows], epoch: int) -> None:
        super().__init__()
        self.dataset, self.batches, self.epoch = dataset, batches, epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        own = self.batches if worker is None else self.batches[worker.id :: worker.num_workers]
        if not len(own):
            return
        reader = RowReader(self.dataset.index, np.concatenate(own), self.dataset.columns)
        for scenes in own:
            yield self.dataset.read(scenes, reader, self.epoch)


class _Epochs(IterableDataset[Batch]):
    """The batches of one process, of the epoch that `at` names when the iteration begins: epoch, first batch."""

    def __init__(self, dataset: SceneDataset, batch_size: int, rank: int, world: int) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.rank, self.world = dataset, batch_size, rank, world
        self.at = torch.zeros(2, dtype=torch.int64).share_memory_()  # loading processes see what is written here

    def __iter__(self) -> Iterator[Batch]:
        epoch, start = self.at.tolist()
        own = _own_batches(self.dataset, self.batch_size, epoch, self.rank, self.world)
        return iter(_Epoch(self.dataset, own[start:], epoch))


class SceneLoader:
    """The batches of epoch after epoch, made by loading processes that are kept between epochs.

    Batches and their order are those of `loader`. Args: see there.
    """

    def __init__(self, dataset: SceneDataset, batch_size: int, workers: int = 0, rank: int = 0, world: int = 1) -> None:
        self._epochs = _Epochs(dataset, batch_size, rank, world)
        self._loader = DataLoader(
            self._epochs,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def count(self, epoch: int) -> int:
        """Return the number of batches of an epoch."""
        e = self._epochs
        return len(_own_batches(e.dataset, e.batch_size, epoch, e.rank, e.world))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch from `start` on; an iteration that is not over ends."""
        self._epochs.at[:] = torch.tensor([epoch, start])
        return iter(self._loader)


def _own_batches(dataset: SceneDataset, batch_size: int, epoch: int, rank: int, world: int) -> list[Rows]:
    batches = dataset.batches(batch_size, epoch)
    return batches[rank::world][: len(batches) // world] if world > 1 else batches


def loader(
    dataset: SceneDataset,
    batch_size: int,
    workers: int = 0,
    epoch: int = 0,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
) -> "DataLoader[Batch]":
    """Return the batches of an epoch; iterate over it once.

    Args:
        dataset: of scenes.
        batch_size: scenes in a batch of one process.
        workers: processes that read and decode; 0 does it here. Batches and their order are the same for any number.
        epoch: which one.
        start: leave out this many batches, to resume where a run was stopped.
        rank: of `world` training processes, which one this is; each has another part, all the same number of batches.
        world: how many training processes there are.
    """
    own = _own_batches(dataset, batch_size, epoch, rank, world)
    stream = _Epoch(dataset, own[start:], epoch)
    return DataLoader(stream, batch_size=None, num_workers=workers, pin_memory=torch.cuda.is_available())
