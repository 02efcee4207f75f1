"""Reads SpatialSoundQA's released files (arXiv 2402.01591): questions, and positions of sensors and sources."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialqa.core.geometry import Vec3
from spatialqa.core.input_files import open_regular, read_text
from spatialqa.errors import DatasetError

# What the released files call a split, and what we call it.
SPLITS = {"train": "train", "val": "validation", "validation": "validation", "eval": "test", "test": "test"}
_FOLDERS = ("", "questions", "mp3d_reverb", "reverb")
_NO_QUESTIONS = ("mp3d_reverb", "reverb", "audioset", "audio", "binaural", "mono")
_PLACES = "_reverberation.json"
_DEEPEST, _HIGHEST = 3, 4


@dataclass(frozen=True)
class Sounding:
    """One dry clip and the RIR that it is heard through, as the release names them."""

    audio_id: str
    reverb_id: str


@dataclass(frozen=True)
class ReleasedQuestion:
    """One record of a question file."""

    sounds: tuple[Sounding, ...]  # one or two
    question_id: str
    question_type: str
    question: str
    answer: str


@dataclass(frozen=True)
class RirPositions:
    """Where the sensor and the source of one RIR are, metres; the head faces -z."""

    sensor: Vec3
    source: Vec3


@dataclass(frozen=True)
class QuestionFiles:
    """The question files of a release by our split, in the order in which they are read, and what was not taken.

    passed_over: a line for each file that looks like questions and is not read.
    """

    of_split: dict[str, tuple[Path, ...]]
    passed_over: tuple[str, ...]

    @property
    def paths(self) -> list[Path]:
        """All files, in the order in which they are read."""
        return [path for paths in self.of_split.values() for path in paths]


def find_question_files(source: Path, split: str | None = None) -> QuestionFiles:
    """Find the question files of a release.

    Args:
        source: one file, or a folder. Its own files count, those of questions/ below it too; where it has none, those
            of the folders below, three deep (closed-end/, stage2-single/). A name is that of a split, or begins with
            one: train.json, eval-stage2-doa.json, val.jsonl.
        split: what a single file is, where its name does not tell.

    Raises:
        DatasetError: there is none, or the split of a file is unknown.
    """
    if source.is_file():
        known = split or _split_of(source)
        if known is None:
            raise DatasetError(
                f"{source}: its name does not contain a split ({', '.join(SPLITS)}); say which with --split"
            )
        return QuestionFiles({SPLITS.get(known, known): (source,)}, ())
    if not source.is_dir():
        raise DatasetError(f"{source}: no such file or folder; name a question file of SpatialSoundQA or its folder")
    found, passed_over = [], []
    everything = _tables(source)
    near = [path for path in everything if path.parent in (source, source / "questions")]
    use_near = any(_split_of(path) for path in near)
    for path in everything:
        name = path.relative_to(source).as_posix()
        if _split_of(path) is None:
            passed_over.append(f"{name}: its name does not contain a split; import it by itself with --split")
        elif use_near and path not in near:
            passed_over.append(f"{name}: lies below the folder with {near[0].name}; import {name.rpartition('/')[0]}")
        elif path.suffix == ".jsonl" and path.with_suffix(".json") in everything:
            passed_over.append(f"{name}: {path.with_suffix('.json').name} beside it is read")
        else:
            found.append(path)
    if not found:
        raise DatasetError(
            f"{source}: holds no question file; looked for {', '.join(SPLITS)} as .json or .jsonl, also with more "
            f"after a hyphen (eval-stage2-doa.json), here, in questions/ and in the folders below"
        )
    of_split = {
        ours: tuple(path for path in found if SPLITS[_split_of(path) or ""] == ours)
        for ours in dict.fromkeys(SPLITS.values())
    }
    return QuestionFiles({ours: paths for ours, paths in of_split.items() if paths}, tuple(passed_over))


def _split_of(path: Path) -> str | None:
    """Return the word of SPLITS that a file's name is or begins with."""
    word = re.split(r"[-_.]", path.stem, maxsplit=1)[0].lower()
    return word if word in SPLITS else None


def _tables(folder: Path, depth: int = 0) -> list[Path]:
    """Return the JSON files of a folder and of those below it, but for places and for folders of sound."""
    found = []
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed ({error.strerror or error})") from None
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        if entry.suffix in (".json", ".jsonl") and not entry.name.endswith(_PLACES) and entry.is_file():
            found.append(entry)
        elif depth < _DEEPEST and entry.name.lower() not in _NO_QUESTIONS and entry.is_dir():
            found += _tables(entry, depth + 1)
    return found


def find_place_files(source: Path) -> list[Path]:
    """Return the *_reverberation.json files that lie nearest to the questions: beside them, or above, four up.

    At each height the folder itself counts, and its questions/, mp3d_reverb/ and reverb/.
    """
    here = (source if source.is_dir() else source.parent).absolute()
    for top in (here, *here.parents[:_HIGHEST]):
        if found := sorted({path for name in _FOLDERS for path in (top / name).glob(f"*{_PLACES}")}):
            return found
    return []


def read_records(path: Path) -> Iterator[Any]:
    """Yield the raw records of a question file: {"data": [...]}, a bare list, or one object a line.

    Raises:
        DatasetError: the file cannot be read or is none of the three.
    """
    if path.suffix == ".jsonl":
        yield from _lines(path)
        return
    value = _json(path)
    if isinstance(value, dict) and "data" in value:
        value = value["data"]
    if not isinstance(value, list):
        keys = f"an object with {', '.join(map(repr, list(value)[:5]))}" if isinstance(value, dict) else "not a list"
        raise DatasetError(f'{path}: must be {{"data": [...]}}, a list of records, or .jsonl; it is {keys}')
    yield from value


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path, "utf-8-sig"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: is not JSON ({error}); download it again, or name it .jsonl") from None


def _lines(path: Path) -> Iterator[Any]:
    try:
        with open_regular(path) as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                    if text.strip():
                        yield json.loads(text)
                except (ValueError, RecursionError) as error:
                    raise DatasetError(f"{path}: line {number} is not JSON ({error}); download it again") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from None


def parse_record(record: Any) -> ReleasedQuestion:
    """Check one raw record; raises ValueError with the reason when it is not what it must be."""
    if not isinstance(record, dict):
        raise ValueError(f"is not an object: {_short(record)}")
    texts = {name: _text(record, name) for name in ("audio_id", "reverb_id", "question_type", "question", "answer")}
    number = record.get("question_id")
    if isinstance(number, bool) or not isinstance(number, int | str):
        raise ValueError(f"question_id must be a number, got {_short(number)}")
    sounds = [Sounding(texts["audio_id"], texts["reverb_id"])]
    if record.get("audio_id2") is not None or record.get("reverb_id2") is not None:
        sounds.append(Sounding(_text(record, "audio_id2"), _text(record, "reverb_id2")))
    return ReleasedQuestion(tuple(sounds), str(number), texts["question_type"], texts["question"], texts["answer"])


def _text(record: dict[Any, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text, got {_short(value)}")
    return value.strip()


def read_positions(paths: Sequence[Path]) -> dict[str, RirPositions]:
    """Return where sensor and source are, by reverb_id.

    Raises:
        DatasetError: a file cannot be read, an item is not what it must be, or two items disagree.
    """
    places: dict[str, RirPositions] = {}
    for path in paths:
        value = _json(path)
        items = value.get("data") if isinstance(value, dict) else value
        if not isinstance(items, list):
            raise DatasetError(f'{path}: must be {{"data": [...]}} with fname, sensor_position and source_position')
        for number, item in enumerate(items):
            try:
                found = RirPositions(_place(item["sensor_position"]), _place(item["source_position"]))
                name = str(item["fname"])
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise DatasetError(
                    f"{path}: item {number} has no fname, sensor_position and source_position of three numbers "
                    f"({type(error).__name__}: {error}); download it again"
                ) from None
            if places.setdefault(name, found) != found:
                raise DatasetError(f"{path}: item {number}: {name} is given two different places")
    return places


def _place(text: str) -> Vec3:
    x, y, z = (float(part) for part in text.split(","))
    if not all(math.isfinite(value) for value in (x, y, z)):
        raise ValueError(f"{text!r} is not finite")
    return (x, y, z)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
