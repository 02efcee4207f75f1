"""Clip records as columns, for millions of clips; a record is created when it is accessed."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import numpy.typing as npt

from spatialqa.clips.clip import ClipRecord
from spatialqa.clips.label_filter import ChosenLabels
from spatialqa.core.ontology import ontology

PREFIX = "audioset/"
LICENCE = "YouTube: rights with the uploader"
ATTRIBUTION = "AudioSet (Gemmeke et al., ICASSP 2017), Google: labels CC BY 4.0; sounds from YouTube videos"
MAX_CLIP_S = 600.0
MAX_EXTRA_S = 1.0  # a file that is this much longer than its segment holds something else, such as the whole video


@dataclass(frozen=True, eq=False)
class ClipTable(Sequence[ClipRecord]):
    """Records of files that were not opened, sorted by id.

    ids: S (n,), ASCII, sorted, each once; the clip_id is `prefix` and the id, and the origin is that up to a slash in
    the id. durations_s: float32 (n,). set_of: int32 (n,), index into `label_sets`: (names, mids). split_of: int8 (n,),
    index into `splits`. files: a hash that tells which files serve the ids.
    """

    prefix: str
    ids: npt.NDArray[np.bytes_]
    durations_s: npt.NDArray[np.float32]
    set_of: npt.NDArray[np.int32]
    label_sets: tuple[tuple[tuple[str, ...], tuple[str | None, ...]], ...]
    split_of: npt.NDArray[np.int8]
    splits: tuple[str | None, ...]
    licence: str | None
    attribution: str | None
    files: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> ClipRecord: ...

    @overload
    def __getitem__(self, index: slice) -> list[ClipRecord]: ...

    def __getitem__(self, index: int | slice) -> ClipRecord | list[ClipRecord]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        names, mids = self.label_sets[self.set_of[index]]
        return self._record(self.ids[index], float(self.durations_s[index]), names, mids, int(self.split_of[index]))

    def __iter__(self) -> Iterator[ClipRecord]:
        columns = (self.ids, self.durations_s, self.set_of, self.split_of)
        for start in range(0, len(self), 65536):
            part = (column[start : start + 65536].tolist() for column in columns)
            for clip_id, duration_s, labels, split in zip(*part, strict=True):
                names, mids = self.label_sets[int(labels)]
                yield self._record(clip_id, duration_s, names, mids, split)

    def _record(
        self, clip_id: bytes, duration_s: float, names: tuple[str, ...], mids: tuple[str | None, ...], split: int
    ) -> ClipRecord:
        name = self.prefix + clip_id.decode("ascii")
        slash = name.find("/", len(self.prefix))
        return ClipRecord(
            clip_id=name,
            sha256=None,
            native_sample_rate=None,
            duration_s=duration_s,
            licence=self.licence,
            labels=names,
            mids=mids,
            attribution=self.attribution,
            official_split=self.splits[split],
            origin=name if slash < 0 else name[:slash],
        )

    def find(self, clip_id: str) -> int | None:
        """Return the row of a clip, or None."""
        if not clip_id.startswith(self.prefix):
            return None
        return find_id(self.ids, clip_id.removeprefix(self.prefix))

    def only(self, rows: npt.NDArray[np.integer]) -> "ClipTable":
        """Return the table of some rows, in ascending order (they stay sorted by id)."""
        rows = np.sort(rows)
        return replace(
            self,
            ids=self.ids[rows],
            durations_s=self.durations_s[rows],
            set_of=self.set_of[rows],
            split_of=self.split_of[rows],
        )

    def content_hash(self) -> str:
        """Return one sha256 of which files there are and what the records say of them, but for the attribution."""
        digest = hashlib.sha256(repr((self.prefix, self.label_sets, self.splits, self.licence, self.files)).encode())
        digest.update(repr(self.ids.dtype).encode())
        for column in (self.ids, self.durations_s, self.set_of, self.split_of):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


def by_id(records: Sequence[ClipRecord]) -> Callable[[str], ClipRecord | None]:
    """Return a function that finds a clip by its id; of a table it makes no other record."""
    if isinstance(records, ClipTable):
        return lambda clip_id: None if (row := records.find(clip_id)) is None else records[row]
    return {record.clip_id: record for record in records}.get


def find_id(ids: npt.NDArray[np.bytes_], text: str) -> int | None:
    """Return where a text stands in a sorted array of ASCII ids, or None."""
    if not text.isascii():
        return None
    key = text.encode()
    row = int(np.searchsorted(ids, key))
    return row if row < len(ids) and ids[row] == key else None


def audioset_table(
    ids: npt.NDArray[np.bytes_],
    durations_s: npt.NDArray[np.floating],
    chosen: ChosenLabels,
    split_of: npt.NDArray[np.int8],
    splits: Sequence[str | None],
    files: str,
) -> ClipTable:
    """Return AudioSet's clips as a table, from columns in any order; clips without labels are left out."""
    order = np.argsort(ids)
    order = order[chosen.set_of[order] >= 0]
    nodes = ontology().nodes
    return ClipTable(
        prefix=PREFIX,
        ids=ids[order],
        durations_s=durations_s[order].astype(np.float32),
        set_of=chosen.set_of[order],
        label_sets=tuple((tuple(nodes[i].name for i in own), tuple(nodes[i].mid for i in own)) for own in chosen.sets),
        split_of=split_of[order],
        splits=tuple(splits),
        licence=LICENCE,
        attribution=ATTRIBUTION,
        files=files,
    )
