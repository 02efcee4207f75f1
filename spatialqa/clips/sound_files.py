"""Single sound files outside a clip set, for scenes by hand."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spatialqa.clips.clip import ClipRecord, ClipSet, RawClip, RejectedClip
from spatialqa.clips.decode import BadSoundError, cause, read_sound
from spatialqa.core.ontology import LabelRef, ontology, resolve_label
from spatialqa.errors import ClipError, ClipGoneError


@dataclass(frozen=True)
class SoundFile:
    """A sound file and what it is a recording of. clip_id: how scenes name it."""

    clip_id: str
    path: Path
    label: str


class WithSoundFiles:
    """The clips of a set, and single sound files as further ones.

    A label is an AudioSet class (display name or mid, as `spatialqa.core.ontology.resolve_label` reads it), or else a
    custom label, whose mid is None.

    Args:
        clip_set: the set.
        files: the sound files; each clip_id once, none of them the set's.

    Raises:
        ClipError: a file cannot be used, with its path and the reason.
    """

    def __init__(self, clip_set: ClipSet, files: Sequence[SoundFile]) -> None:
        self.name = clip_set.name
        self._clip_set = clip_set
        self._files = {file.clip_id: file for file in files}
        self._own = [_record(self._files[clip_id]) for clip_id in sorted(self._files)]

    def records(self) -> Sequence[ClipRecord]:
        """Return the clips of the set, then the files by clip_id."""
        return [*self._clip_set.records(), *self._own]

    def rejected(self) -> Sequence[RejectedClip]:
        """Return the files that the set left out."""
        return self._clip_set.rejected()

    def load(self, record: ClipRecord) -> RawClip:
        """Read one clip; raises ClipGoneError when a file is gone, damaged or has changed."""
        file = self._files.get(record.clip_id)
        if file is None:
            return self._clip_set.load(record)
        try:
            raw = read_sound(file.path)
        except (OSError, BadSoundError) as error:
            raise ClipGoneError(f"{file.path} cannot be read: {cause(error)}; start again") from error
        if raw.sha256 != record.sha256:
            raise ClipGoneError(f"{file.path} has changed since it was listed; start again")
        return raw


def label_of(text: str) -> LabelRef:
    """Return the AudioSet class of this name, or a custom label where there is none."""
    try:
        return resolve_label(text)
    except ClipError:
        return LabelRef(text, None)


def misspelt_labels(records: Iterable[ClipRecord]) -> list[str]:
    """Return a line for every custom label that is spelt almost like a class: it may be a mistake."""
    custom = Counter(
        label for record in records for label, mid in zip(record.labels, record.mids, strict=True) if mid is None
    )
    return [
        f"{label!r} is not an AudioSet class and is kept as a custom label (of {n} clips); did you mean {near!r}?"
        for label, n in custom.items()
        if (near := ontology().misspelt(label))
    ]


def _record(file: SoundFile) -> ClipRecord:
    try:
        raw = read_sound(file.path)
    except (OSError, BadSoundError) as error:
        raise ClipError(f"{file.path} cannot be used: {cause(error)}") from error
    label = label_of(file.label)
    return ClipRecord(
        clip_id=file.clip_id,
        sha256=raw.sha256,
        native_sample_rate=raw.sample_rate,
        duration_s=raw.audio.size / raw.sample_rate,
        licence=None,
        labels=(label.name,),
        mids=(label.mid,),
    )
