"""Finds the clips of scenes by hand: the clip that a row names, or one drawn from its class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spatialqa.clips.clip import ClipRecord, ClipSet
from spatialqa.clips.clip_table import by_id
from spatialqa.clips.sound_files import SoundFile, WithSoundFiles, label_of
from spatialqa.core import seeds
from spatialqa.core.ontology import ontology
from spatialqa.errors import RecipeError
from spatialqa.generation.placements import PlacedScene, PlacedSource, Placements
from spatialqa.generation.sound_sampling import DrawnSound


def with_placed_files(clips: ClipSet, placements: Placements) -> ClipSet:
    """Return a clip set with the sound files that placements name beside its own clips.

    Raises:
        RecipeError: a row names what is neither a clip of the set nor a file, or a file without a label.
        ClipError: a file cannot be used.
    """
    known = by_id(clips.records())
    files: dict[str, tuple[SoundFile, str]] = {}
    for scene in placements.scenes:
        for source in scene.sources:
            if source.clip is None or known(source.clip) is not None:
                continue
            file = _sound_file(source, source.clip, placements.path.parent, clips.name)
            first, where = files.setdefault(file.clip_id, (file, source.where))
            if first.label != file.label:
                raise RecipeError(
                    f"{source.where}: {file.clip_id} is labelled {file.label!r}, and {first.label!r} in {where}"
                )
    return WithSoundFiles(clips, [file for file, _ in files.values()]) if files else clips


def _sound_file(source: PlacedSource, name: str, folder: Path, clip_set: str) -> SoundFile:
    path = folder / name
    try:
        found = path.is_file()
    except OSError:  # a name that no file can have
        found = False
    if not found:
        place = "there is no such file" if Path(name).is_absolute() else f"no file in {folder}"
        raise RecipeError(f"{source.where}: clip {name!r} is not a clip of {clip_set} and {place}")
    if source.label is None:
        raise RecipeError(f"{source.where}: does not say what {name} is a sound of; give its label")
    return SoundFile(name, path, source.label)


@dataclass(frozen=True, eq=False)
class PlacedSounds:
    """Finds the clips of scenes by hand; the same in every process that holds the same clips. clips: by split."""

    seed: int
    clips: Mapping[str, Sequence[ClipRecord]]
    _rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _by_id: dict[str, Callable[[str], ClipRecord | None]] = field(default_factory=dict)

    def draw(self, scene: PlacedScene, scene_id: str, attempt: int = 0) -> list[DrawnSound]:
        """Return what each source plays, in order: the clip that is named, or one of the class, drawn by the seed.

        Raises:
            RecipeError: there is no such clip or class; the message names the row.
        """
        sounds = []
        for k, source in enumerate(scene.sources):
            if source.clip is not None:
                clip = self._named(scene.split, source, source.clip)
            else:
                rows = self._of_class(scene.split, source)
                rng = seeds.rng(self.seed, "placed", f"{scene_id}/{k}", attempt)
                clip = self.clips[scene.split][rows[int(rng.integers(len(rows)))]]
            sounds.append(DrawnSound(clip, 0.0, source.onset_s, repeats=source.fill == "repeat"))
        return sounds

    def record(self, split: str, clip_id: str) -> ClipRecord:
        """Return the clip of a split that has this id; raises KeyError when there is none."""
        if split not in self._by_id:
            self._by_id[split] = by_id(self.clips[split])
        record = self._by_id[split](clip_id)
        if record is None:
            raise KeyError(clip_id)
        return record

    def _named(self, split: str, source: PlacedSource, clip_id: str) -> ClipRecord:
        try:
            record = self.record(split, clip_id)
        except KeyError:
            raise RecipeError(f"{source.where}: clip {clip_id!r} is not among the clips of the {split} split") from None
        if source.label is not None and label_of(source.label).name not in record.labels:
            raise RecipeError(
                f"{source.where}: clip {clip_id!r} is a sound of {', '.join(record.labels)}, not of {source.label!r}; "
                f"leave out its label"
            )
        return record

    def _of_class(self, split: str, source: PlacedSource) -> list[int]:
        assert source.label is not None
        label = label_of(source.label)
        key = (split, label.name)
        if key not in self._rows:
            records = self.clips[split]
            rows = [row for row, record in enumerate(records) if label.name in record.labels]
            if not rows and label.mid is not None:  # "Dog" of a set that has only barks
                rows = [row for row, record in enumerate(records) if _below(label.mid, record)]
            self._rows[key] = rows
        if not self._rows[key]:
            custom = "" if label.mid else f" ({ontology().unknown(source.label)})"
            raise RecipeError(f"{source.where}: no clip of the {split} split is a sound of {source.label!r}{custom}")
        return self._rows[key]


def _below(mid: str, record: ClipRecord) -> bool:
    return any(own is not None and mid in ontology().ancestors(own) for own in record.mids)
