"""Imports SpatialSoundQA's released questions, so that answers to them can be scored."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

import spatialqa
from spatialqa.core.files import FileRecord, commit_text, digest, sha256_of
from spatialqa.core.geometry import IDENTITY, Direction, Pose, direction
from spatialqa.core.ontology import ontology
from spatialqa.core.scene import EngineIdentity
from spatialqa.dataset.card import write_card
from spatialqa.dataset.commit import commit_table
from spatialqa.dataset.folder import RUN_FILE, DatasetFolder
from spatialqa.dataset.json_records import (
    Attribution,
    ImportRecord,
    PlanRecord,
    QuestionsRecord,
    RunRecord,
    write_record,
)
from spatialqa.dataset.manifest import CARD, IMPORT_REJECTS, write_manifest
from spatialqa.dataset.schema import QA, SCENES
from spatialqa.errors import DatasetError, SpatialQAError
from spatialqa.interop.spatialsoundqa.answers import read_question
from spatialqa.interop.spatialsoundqa.released_files import (
    ReleasedQuestion,
    RirPositions,
    Sounding,
    find_place_files,
    find_question_files,
    parse_record,
    read_positions,
    read_records,
)

_NAME = "spatialsoundqa"
_ROWS = 20_000

Row = dict[str, Any]


@dataclass(frozen=True)
class ImportSummary:
    """What an import brought: questions by (split, question type), and records left out by reason."""

    root: Path
    questions: Counter[tuple[str, str]]
    scenes: int  # those whose places are known
    rejected: int
    first_reject: str | None
    disagreeing: int  # questions whose answer is not what the places of their sources say
    repeated: int = 0  # records that another file holds too
    renamed: int = 0  # questions whose id another file uses for another question
    passed_over: tuple[str, ...] = ()  # files that were not read, with the reason
    place_files: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the summary in words."""
        lines = [f"{split} {kind}: {n}" for (split, kind), n in sorted(self.questions.items())]
        if self.first_reject:
            where = f"{self.root}/_spatialqa/rejects/import.jsonl"
            lines.append(f"records left out: {self.rejected} ({where}); the first: {self.first_reject}")
        lines += [f"skipped: {text}" for text in self.passed_over]
        if self.repeated:
            lines.append(f"{self.repeated} records are in several files and were taken once")
        if self.renamed:
            lines.append(f"{self.renamed} questions have the name of their file in their qa_id: another has the id")
        if self.place_files:
            lines.append(f"places: {', '.join(self.place_files)}")
        if self.disagreeing:
            lines.append(f"{self.disagreeing} answers are not what the places of their sources say")
        if not self.place_files:
            lines.append("no *_reverberation.json was found: answers can be scored, angles in them cannot")
        elif not self.scenes:
            lines.append("these are not the places of the questions: answers can be scored, angles in them cannot")
        return [*lines, f"{sum(self.questions.values())} questions of {self.scenes} placed scenes in {self.root}"]


def import_spatialsoundqa(
    source: Path,
    root: Path,
    split: str | None = None,
    places: Sequence[Path] = (),
    progress: Callable[[int], None] | None = None,
) -> ImportSummary:
    """Import released question files.

    A question's qa_id is `{question_type}-{question_id}`, the key under which the reference code logs its answers;
    those of splits other than eval have the split in front. Where two files of one split use an id for different
    questions, those of the later file have its name in front. A record that cannot be used is left out, counted and
    written to _spatialqa/rejects/import.jsonl; what another file holds too is counted.

    Args:
        source: a question file, or the folder of a release or of our own export.
        root: a new or empty folder, or one with the same import.
        split: of a single file whose name does not tell it.
        places: *_reverberation.json files; where none is given they are looked for beside the questions and above.
        progress: called regularly with the number of records read.

    Raises:
        DatasetError: a file is not what it must be, or not one record can be used.
    """
    files = find_question_files(source, split)
    place_files = list(places) or find_place_files(source)
    known = read_positions(place_files)
    hashes = {name: sha256_of(path) for path, name in _names([*files.paths, *place_files]).items()}
    folder = DatasetFolder(root)
    folder.refuse_foreign()
    with folder.lock(), folder.claimed(_run_record(hashes)):
        importer = _Importer(folder, known, progress, _names(files.paths))
        for ours, paths in files.of_split.items():
            importer.add(ours, paths)
        summary = importer.finish(source)
        told = tuple(str(path) for path in place_files)
        return replace(summary, passed_over=files.passed_over, place_files=told)


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a name for each file: its own, with as many folders in front as it takes to tell it from the others."""
    names = {}
    for path in dict.fromkeys(paths):
        others = [other for other in paths if other != path]
        depth = 1
        while depth < len(path.parts) and any(other.parts[-depth:] == path.parts[-depth:] for other in others):
            depth += 1
        names[path] = "/".join(path.parts[-depth:])
    return names


def _run_record(hashes: Mapping[str, str]) -> RunRecord:
    fingerprint = {"imported": _NAME, "files": dict(sorted(hashes.items()))}
    recipe = {"rooms": _NAME, "clips": _NAME, "sample_rate": 32000, "duration_s": 10.0, "gain_db": 0.0, "seed": 0}
    terms = Attribution(
        "SpatialSoundQA: CC BY 4.0 by its README, CC BY-NC 4.0 by its LICENSE file",
        "BAT: Learning to Reason about Spatial Sounds with Large Language Models",
        clips=0,
    )
    return RunRecord(
        spatialqa=spatialqa.__version__,
        recipe=recipe | {"plan_only": True},
        fingerprint=fingerprint,
        fingerprint_hash=digest(fingerprint),
        engine=EngineIdentity("none", "-", "", {}, "", "-", 1.0, 32000, True),
        plan=PlanRecord({}, {}, {}, ()),
        attributions=(terms,),
        imported=ImportRecord(_NAME, dict(sorted(hashes.items()))),
    )


class _ReleasedScene:
    """A scene while its questions are read: its sounds, where they are, and their labels as far as questions tell."""

    def __init__(self, scene_id: str, sounds: Sequence[Sounding], places: Sequence[RirPositions] | None) -> None:
        self.scene_id, self.sounds = scene_id, sounds
        self.labels: list[list[str]] = [[] for _ in sounds]
        self.places = places
        self.directions: list[Direction] | None = None
        if places is not None:
            try:
                self.directions = [direction(Pose(place.sensor), place.source) for place in places]
            except SpatialQAError:  # a source in the listener's head has no direction
                self.places = None

    def to_row(self, split: str) -> Row:
        """Return a row of `scenes`; what the release does not say is null."""
        assert self.places is not None
        assert self.directions is not None
        sources = []
        for sound, place, there, labels in zip(self.sounds, self.places, self.directions, self.labels, strict=True):
            nodes = [ontology().find(label) for label in labels]
            sources.append(
                dict.fromkeys(SCENES.field("sources").type.value_type.names)
                | {
                    "clip_id": sound.audio_id,
                    "labels": [node.name if node else label for node, label in zip(nodes, labels, strict=True)],
                    "mids": [node.mid if node else None for node in nodes],
                    "position": _as_one_listener(self.places[0], place),
                    **there._asdict(),
                    "rir_id": sound.reverb_id,
                }
            )
        house = self.sounds[0].reverb_id.rpartition("/")[0]
        return dict.fromkeys(SCENES.names) | {
            "scene_id": self.scene_id,
            "split": split,
            "sample_rate": 32000,
            "duration_s": 10.0,
            "channels": "binaural",
            "room_set": _NAME,
            "room_id": house,
            "house_id": house,
            "listener_position": list(self.places[0].sensor),
            "listener_orientation": list(IDENTITY),
            "sources": sources,
        }


def _as_one_listener(first: RirPositions, place: RirPositions) -> list[float]:
    """Return a source's place for the listener of the scene's first RIR; each RIR may have been made at its own."""
    return [a + (b - c) if a != c else b for a, b, c in zip(first.sensor, place.source, place.sensor, strict=True)]


class _Importer:
    """Reads file after file and writes their tables."""

    def __init__(
        self,
        folder: DatasetFolder,
        places: Mapping[str, RirPositions],
        progress: Callable[[int], None] | None,
        names: Mapping[Path, str],
    ) -> None:
        self._folder, self._places, self._progress, self._names = folder, places, progress, names
        self._files: list[FileRecord] = []
        self._scene_files: list[FileRecord] = []
        self._rejects: list[Row] = []
        self._seen: dict[str, tuple[str, int]] = {}  # by qa_id: the file, and a hash of the record
        self._repeated = self._renamed = 0
        self._records = self._scenes = self._disagreeing = self._scenes_in_all = 0
        self._questions: Counter[tuple[str, str]] = Counter()
        self._subtypes: Counter[str] = Counter()

    def add(self, split: str, paths: Sequence[Path]) -> None:
        """Import the question files of one split."""
        scenes: dict[tuple[Sounding, ...], _ReleasedScene] = {}
        batches = []
        rows = (row for path in paths for row in self._rows(split, path, scenes))
        while some := list(islice(rows, _ROWS)):
            batches += pa.Table.from_pylist(some, schema=QA).to_batches()
        name = f"{split}-00000-of-00001.parquet"
        self._files.append(commit_table(self._folder.root, f"qa/{name}", pa.Table.from_batches(batches, QA), 10_000))
        known = [scene.to_row(split) for scene in scenes.values() if scene.places is not None]
        self._scenes_in_all += len(scenes)
        self._scenes += len(known)
        if known:
            table = pa.Table.from_pylist(known, schema=SCENES)
            self._scene_files.append(commit_table(self._folder.root, f"scenes/{name}", table, 10_000))

    def _rows(self, split: str, path: Path, scenes: dict[tuple[Sounding, ...], _ReleasedScene]) -> Iterator[Row]:
        file = self._names[path]
        for number, record in enumerate(read_records(path)):
            self._records += 1
            if self._progress:
                self._progress(self._records)
            try:
                asked = parse_record(record)
                plain = f"{asked.question_type}-{asked.question_id}"
                qa_id = plain = plain if split == "test" else f"{split}-{plain}"
                if (known := self._seen.get(qa_id)) is not None and known[0] != file:
                    if known[1] == hash(asked):
                        self._repeated += 1
                        continue
                    qa_id = f"{file.rpartition('.')[0]}/{plain}"
                if qa_id in self._seen:
                    raise ValueError(f"question_id {asked.question_id} of {asked.question_type} is a duplicate")
                scene = scenes.get(asked.sounds) or self._scene(f"{split}-{len(scenes):08d}", asked)
                read = read_question(asked, scene.directions)
            except ValueError as error:
                self._rejects.append({"file": file, "record": number, "reason": str(error)})
                continue
            scenes[asked.sounds] = scene
            self._seen[qa_id] = (file, hash(asked))
            self._renamed += qa_id != plain
            self._disagreeing += read.follows is False
            if read.row["type"] in "AC":
                for index in read.row["source_indices"]:
                    own = scene.labels[index]
                    own += [label for label in read.row["answer_labels"] if label not in own]
            self._questions[split, asked.question_type] += 1
            self._subtypes[read.row["subtype"]] += 1
            said = {"question": asked.question, "answer": asked.answer, "template_id": _NAME}
            yield {"qa_id": qa_id, "scene_id": scene.scene_id, "split": split} | said | read.row

    def _scene(self, scene_id: str, asked: ReleasedQuestion) -> _ReleasedScene:
        places = [self._places.get(sound.reverb_id) for sound in asked.sounds]
        known = [place for place in places if place is not None]
        return _ReleasedScene(scene_id, asked.sounds, known if len(known) == len(places) else None)

    def finish(self, source: Path) -> ImportSummary:
        """Write the records of the import and its card."""
        first = self._rejects[0] if self._rejects else None
        where = f"{first['file']}: record {first['record']}: {first['reason']}" if first else None
        if not self._questions:
            raise DatasetError(f"{source}: not one record can be used; {where or 'it holds none'}")
        lines = "".join(json.dumps(reject, ensure_ascii=False) + "\n" for reject in self._rejects)
        commit_text(self._folder.root, IMPORT_REJECTS, lines)
        record = QuestionsRecord(
            spatialqa=spatialqa.__version__,
            scenes=self._scenes_in_all,
            recipe={},
            questions=dict(self._subtypes),
            skipped=(),
            files=tuple(self._files),
        )
        write_record(self._folder.questions_file("qa"), record)
        run = self._folder.read_run()
        assert run.imported is not None
        imported = replace(run.imported, scenes=tuple(self._scene_files))
        write_record(self._folder.meta / RUN_FILE, replace(run, imported=imported))
        write_card(self._folder)
        write_manifest(self._folder, [CARD, IMPORT_REJECTS])
        return ImportSummary(
            self._folder.root,
            self._questions,
            self._scenes,
            len(self._rejects),
            where,
            self._disagreeing,
            self._repeated,
            self._renamed,
        )
