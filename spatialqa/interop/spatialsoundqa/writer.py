"""Exports a data set in SpatialSoundQA's released layout, for the reference BAT code."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io.wavfile

from spatialqa.clips.prepare import PreparedClip
from spatialqa.core.audio_io import decode_rir
from spatialqa.core.files import commit_file, commit_json
from spatialqa.core.scene import ListenerGroup, Scene, Source, place_index
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.json_records import RunRecord
from spatialqa.dataset.reading import join_questions, read_rows, read_scenes, scene_files
from spatialqa.errors import DatasetError
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.replay import StoredRun, by_group
from spatialqa.generation.stored_recipe import stored_recipe
from spatialqa.interop.destination import Destination
from spatialqa.interop.spatialsoundqa.clip_lists import CLASSES, FOLDER, write_clip_lists
from spatialqa.interop.spatialsoundqa.released_names import (
    CLIP_RMS_DBFS,
    DURATION_S,
    QUESTION_TYPES,
    REVERB_ROOT,
    SAMPLE_RATE_HZ,
    SPLIT_NAMES,
    audio_name,
    dry_signal,
    file_name,
    position_text,
    source_position,
)

_MOST_SOURCES = 2

Row = dict[str, Any]
_Use = tuple[str, int, int, tuple[int, ...]]  # a clip, its start and onset in samples, and `plays` of `audio_name`
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReleasedSummary:
    """What an export holds: questions by (split, question type), questions left out by reason, and what to know."""

    dest: Path
    questions: Counter[tuple[str, str]]
    left_out: Counter[str]
    rirs: int
    clips: int
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the summary in words."""
        lines = [f"{split} {kind}: {n}" for (split, kind), n in sorted(self.questions.items())]
        lines += [f"left out: {reason} ({n})" for reason, n in sorted(self.left_out.items())]
        lines += [f"note: {note}" for note in self.notes]
        total = sum(self.questions.values())
        return [*lines, f"{total} questions, {self.clips} dry clips, {self.rirs} RIRs in {self.dest}"]


def export_spatialsoundqa(
    root: Path, dest: Path, table: str = "qa", progress: Progress | None = None
) -> ReleasedSummary:
    """Write questions, dry clips, RIRs and positions of a data set; a second call resumes it.

    RIRs come from the `rirs` table where there is one, else the groups are simulated again.

    Args:
        root: the data set, at 32 kHz, binaural, scenes of at most 10 s.
        dest: a new folder, or one in which this export was begun.
        table: its questions, "qa" or "qa-NAME".
        progress: called with (scenes done, scenes in all).

    Raises:
        DatasetError: the data set cannot be represented in this format, or the destination holds something else.
        SpatialQAError: a room, a clip or the engine is not there any more, or has changed.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    recipe = stored_recipe(folder)
    _check(root, recipe)
    if not folder.tables(table):
        raise DatasetError(f"{root}: holds no questions in {table!r}; run `spatialqa make-qa {root}` first")
    files = scene_files(folder)
    identity = {"format": "spatialsoundqa", "fingerprint": run.fingerprint_hash, "table": table}
    target = Destination(dest, root, identity)
    with StoredRun(recipe) as inputs:
        writer = _Writer(folder, run, table, target, inputs, files, progress)
        for split in dict.fromkeys(split_of(path) for path in files):
            writer.write_split(split)
    n_classes = write_clip_lists(dest, writer.labels)
    notes = (*_notes(recipe), f"{FOLDER}/{CLASSES} has {n_classes} classes: give Spatial-AST --nb_classes {n_classes}")
    summary = ReleasedSummary(dest, writer.questions, writer.left_out, writer.n_rirs, len(writer.audio), notes)
    target.finish(
        {
            "questions": {f"{split} {kind}": n for (split, kind), n in writer.questions.items()},
            "left_out": dict(writer.left_out),
            "rirs": summary.rirs,
            "clips": summary.clips,
            "notes": list(notes),
        }
    )
    return summary


def _check(root: Path, recipe: RenderRecipe) -> None:
    if recipe.plan_only:
        raise DatasetError(f"{root}: holds planned scenes without audio; render it without plan_only first")
    if recipe.channels != "binaural":
        raise DatasetError(f"{root}: is {recipe.channels}, and this format is binaural; render it binaural")
    if recipe.sample_rate != SAMPLE_RATE_HZ:
        raise DatasetError(
            f"{root}: is at {recipe.sample_rate} Hz, and readers of this format assume {SAMPLE_RATE_HZ} Hz; "
            f"render it with --sample-rate {SAMPLE_RATE_HZ}"
        )
    if recipe.duration_s > DURATION_S:
        raise DatasetError(
            f"{root}: has scenes of {recipe.duration_s:g} s, and readers of this format keep {DURATION_S:g} s; "
            f"render it with --duration-s {DURATION_S:g}"
        )


def _notes(recipe: RenderRecipe) -> tuple[str, ...]:
    notes = [f"readers hear signals without the data set's gain of {recipe.gain_db:g} dB"] if recipe.gain_db else []
    if recipe.mix != "mean":
        notes.append("readers average two sources, the data set adds them: there such scenes are 6 dB quieter")
    if recipe.clip_rms_dbfs != CLIP_RMS_DBFS:
        shift = CLIP_RMS_DBFS - recipe.clip_rms_dbfs
        notes.append(f"readers bring clips to {CLIP_RMS_DBFS:g} dBFS: all is {shift:+g} dB louder there")
    if recipe.rir_time_zero == "emission":
        notes.append("the RIRs keep the propagation delay, which SpatialSoundQA's own do not have")
    return tuple(notes)


def _use_of(source: Source, rate: int) -> _Use:
    """Return what the dry signal of a rendered source depends on."""
    if source.clip_start_s is None:
        raise DatasetError(f"source {source.rir_id}: does not say where in its clip it begins (clip_start_s)")
    plays: tuple[int, ...] = ()
    if source.clip_end_s is not None or len(source.starts_s or ()) > 1:
        end = -1 if source.clip_end_s is None else round(source.clip_end_s * rate)
        plays = (end, *(round(start * rate) for start in source.starts_s or ()))
    return source.clip_id, round(source.clip_start_s * rate), round(source.onset_s * rate), plays


class _Writer:
    """Writes split after split; what it counts is read afterwards."""

    def __init__(
        self,
        folder: DatasetFolder,
        run: RunRecord,
        table: str,
        target: Destination,
        inputs: StoredRun,
        files: Sequence[Path],
        progress: Progress | None,
    ) -> None:
        self._folder, self._run, self._table = folder, run, table
        self._target, self._inputs, self._files = target, inputs, files
        self._progress = progress
        self._rir_files = {path.name: path for path in folder.tables("rirs")}
        self._done, self._total = 0, sum(record.scenes for record in folder.shards())
        self.questions: Counter[tuple[str, str]] = Counter()
        self.left_out: Counter[str] = Counter()
        self.n_rirs = 0
        self.audio: dict[str, _Use] = {}  # what each file of a dry clip holds
        self.labels: dict[str, dict[str, list[str]]] = {}  # by split, of each file of a dry clip
        self._rirs_of_room: Counter[str] = Counter()
        self._reverb_ids: dict[str, str] = {}  # by rir_id, of the current shard

    def write_split(self, split: str) -> None:
        """Write everything of one split; the questions come last, when all that they name is there."""
        name = SPLIT_NAMES[split]
        self.labels[name] = {}
        positions: list[dict[str, str]] = []
        lines = self._target.root / "questions" / f"{name}.jsonl"

        def write_lines(aside: Path) -> None:
            with aside.open("w", encoding="utf-8", newline="") as stream:
                for record in self._records(split, name, positions):
                    stream.write(json.dumps(record, ensure_ascii=False) + "\n")

        def write_wrapped(aside: Path) -> None:
            with lines.open(encoding="utf-8") as records, aside.open("w", encoding="utf-8", newline="") as stream:
                stream.write('{"data": [')
                for i, line in enumerate(records):
                    stream.write(("," if i else "") + "\n" + line.rstrip("\n"))
                stream.write("\n]}\n")

        commit_file(lines, write_lines)
        commit_file(lines.with_suffix(".json"), write_wrapped)
        commit_json(self._target.root / REVERB_ROOT / f"{name}_reverberation.json", {"data": positions})

    def _records(self, split: str, name: str, positions: list[dict[str, str]]) -> Iterator[Row]:
        number = 0
        scenes = self._scenes(split, positions)
        for scene, rows in join_questions(scenes, self._folder, self._table, split):
            where: Row | None = None
            for row in rows:
                if reason := _why_not(scene, row):
                    self.left_out[reason] += 1
                    continue
                where = where or self._sounds(scene, name)
                kind = QUESTION_TYPES[row["subtype"]]
                asked = {"question_id": number, "question_type": kind}
                yield where | asked | {"question": row["question"], "answer": row["answer"]}
                self.questions[name, kind] += 1
                number += 1
            self._done += 1
            if self._progress:
                self._progress(self._done, self._total)

    def _scenes(self, split: str, positions: list[dict[str, str]]) -> Iterator[Scene]:
        for path in self._files:
            if split_of(path) == split:
                scenes = list(read_scenes(path))
                self._write_rirs(path.name, scenes, positions)
                yield from scenes

    def _sounds(self, scene: Scene, name: str) -> Row:
        """Write the dry clips of a scene and return what its records say of them."""
        rate = scene.sample_rate
        row: Row = {"audio_id": None, "reverb_id": None, "audio_id2": None, "reverb_id2": None}
        clips: list[PreparedClip] | None = None
        for index, source in enumerate(scene.sources):
            key = _use_of(source, rate)
            audio_id = f"{name}/audio/{audio_name(*key)}"
            if self.audio.setdefault(audio_id, key) != key:
                raise DatasetError(
                    f"clips {key[0]!r} and {self.audio[audio_id][0]!r} have the same file name: rename one"
                )
            own = [mid or label for label, mid in zip(source.labels, source.mids, strict=True)]
            self.labels[name].setdefault(audio_id, own)
            path = self._target.root / f"{audio_id}.wav"
            if not path.is_file():
                clips = clips or self._inputs.sounds(scene)
                assert source.clip_start_s is not None
                dry = dry_signal(
                    clips[index].audio,
                    rate,
                    scene.duration_s,
                    source.clip_start_s,
                    source.onset_s,
                    end_s=source.clip_end_s,
                    starts_s=source.starts_s,
                )
                commit_file(path, partial(scipy.io.wavfile.write, rate=rate, data=dry))
            end = ("", "2")[index]
            row |= {f"audio_id{end}": audio_id, f"reverb_id{end}": self._reverb_ids[source.rir_id]}
        return row

    def _write_rirs(self, shard_file: str, scenes: Sequence[Scene], positions: list[dict[str, str]]) -> None:
        """Write the RIRs that the scenes of a shard use, and where their sensor and source are."""
        used = {source.rir_id for scene in scenes for source in scene.sources}
        groups = list(read_rows(self._folder.root / "groups" / shard_file))
        self._reverb_ids = {}
        for group in groups:
            room = file_name(group["room_id"])
            read = ListenerGroup.from_row(group)
            for k, place in enumerate(read.places):
                rir_id = read.rir_id(k)
                if rir_id not in used:
                    continue
                self._reverb_ids[rir_id] = f"{room}/{self._rirs_of_room[room]}.npy"
                self._rirs_of_room[room] += 1
                positions.append(
                    {
                        "fname": self._reverb_ids[rir_id],
                        "sensor_position": position_text(read.listener.position),
                        "source_position": position_text(source_position(read.listener, place.position)),
                    }
                )
        self.n_rirs += len(self._reverb_ids)
        missing = {rir_id for rir_id, reverb_id in self._reverb_ids.items() if not self._npy(reverb_id).is_file()}
        for rir_id, rir in self._rirs(shard_file, groups, scenes, missing):
            commit_file(self._npy(self._reverb_ids[rir_id]), partial(_save, rir=rir))

    def _npy(self, reverb_id: str) -> Path:
        return self._target.root / REVERB_ROOT / "binaural" / reverb_id

    def _rirs(
        self, shard_file: str, groups: Sequence[Row], scenes: Sequence[Scene], wanted: set[str]
    ) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the wanted RIRs of a shard, float32 (2, n), read or simulated again."""
        if shard_file in self._rir_files:
            for row in read_rows(self._rir_files[shard_file], ("rir_id", "n_samples", "rir"), batch_rows=16):
                if row["rir_id"] in wanted:
                    yield row["rir_id"], decode_rir(row["rir"], row["n_samples"])
            return
        scenes_of = by_group(scenes)
        for group in groups:
            own = {rir_id for rir_id in wanted if rir_id.rpartition("/")[0] == group["group_id"]}
            if own:
                self._inputs.require_engine(self._folder.root, self._run)
                simulated = self._inputs.simulate(group, scenes_of[group["group_id"]])
                for rir_id in sorted(own, key=place_index):
                    yield rir_id, simulated.rirs[place_index(rir_id)]


def _save(aside: Path, rir: npt.NDArray[np.float32]) -> None:
    with aside.open("wb") as stream:  # given a path, numpy would add an ending
        np.save(stream, np.ascontiguousarray(rir, dtype=np.float32), allow_pickle=False)


def _why_not(scene: Scene, question: Row) -> str | None:
    """Return why a question cannot be represented in the released format, or None."""
    if question["subtype"] not in QUESTION_TYPES:
        return f"no question type for {question['subtype']}"
    if len(question["choices"] or ()) > 2:
        return "multiple choice"
    if len(scene.sources) > _MOST_SOURCES:
        return f"more than {_MOST_SOURCES} sources"
    return None
