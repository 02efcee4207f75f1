"""Writes a data set as files of sound with tables beside them, in the forms that trainers read.

- `audio`: SPLIT/SCENE.flac and SPLIT/metadata.csv, the layout of `audiofolder` of Hugging Face datasets.
- `chat`: SPLIT.jsonl with messages and audios, as ms-swift and LLaMA-Factory read them, and dataset_info.json.
- `lhotse`: recordings-SPLIT.jsonl and supervisions-SPLIT.jsonl, manifests of lhotse.

The FLAC files are those of the data set, byte for byte.
"""

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from spatialqa.core.channels import CHANNEL_NAMES
from spatialqa.core.files import commit_file, commit_json, file_name
from spatialqa.core.scene import Scene
from spatialqa.interop.destination import Destination
from spatialqa.interop.playing import playing_s
from spatialqa.interop.samples import Samples

_Stored = tuple[Scene, str, list[dict[str, Any]]]  # a scene, the path of its sound, its questions
AUDIO_TAG = "<audio>"  # where the sound stands in a message
_COLUMNS = (
    *("file_name", "scene_id", "duration_s", "sample_rate", "n_sources", "labels", "azimuth_deg", "elevation_deg"),
    *("distance_m", "onset_s", "offset_s", "line_of_sight"),
)


@dataclass(frozen=True)
class AudioFolderSummary:
    """What an export holds."""

    dest: Path
    scenes: int
    questions: int
    with_questions: bool

    def lines(self) -> list[str]:
        """Return the summary in words."""
        asked = f" and {self.questions} questions" if self.with_questions else ""
        return [f"{self.scenes} scenes{asked} in {self.dest}"]


def export_audio(
    root: Path, dest: Path, table: str = "qa", progress: Callable[[int, int], None] | None = None
) -> AudioFolderSummary:
    """Write SPLIT/SCENE.flac and SPLIT/metadata.csv, a row a scene; values of several sources are joined by ";".

    Args:
        root: the data set.
        dest: a new folder, or one in which this export was begun.
        table: not used by this format but for the check that it exists.
        progress: called with (scenes done, scenes in all).

    Raises:
        DatasetError: the data set has no audio or cannot be read, or the destination holds something else.
    """
    samples, target = _opened(root, dest, "audio", table, progress)
    for split in samples.splits:

        def write(stream: TextIO, split: str = split) -> None:
            rows = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
            rows.writeheader()
            for scene, name, _ in _stored(samples, target, split, split):
                rows.writerow({"file_name": name.removeprefix(f"{split}/"), **_row(scene)})

        _write_text(target.root / split / "metadata.csv", write)
    target.finish({"scenes": samples.scenes})
    return AudioFolderSummary(dest, samples.scenes, samples.questions, with_questions=False)


def export_chat(
    root: Path, dest: Path, table: str = "qa", progress: Callable[[int, int], None] | None = None
) -> AudioFolderSummary:
    """Write SPLIT.jsonl, a line a question, and audio/SPLIT/SCENE.flac; arguments and errors are those of export_audio.

    A line has `messages` (the question, with AUDIO_TAG in front, and the answer), `audios` (the path of the scene's
    file, relative to the folder) and `qa_id`, under which `spatialqa score` takes an answer.
    """
    samples, target = _opened(root, dest, "chat", table, progress)
    for split in samples.splits:

        def write(stream: TextIO, split: str = split) -> None:
            for _, name, questions in _stored(samples, target, split, f"audio/{split}"):
                for row in questions:
                    messages = [
                        {"role": "user", "content": f"{AUDIO_TAG}{row['question']}"},
                        {"role": "assistant", "content": row["answer"]},
                    ]
                    line = {"messages": messages, "audios": [name], "qa_id": row["qa_id"]}
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")

        _write_text(target.root / f"{split}.jsonl", write)
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "audios": "audios"}
    commit_json(
        target.root / "dataset_info.json",
        {
            f"spatialqa_{split}": {
                "file_name": f"{split}.jsonl",
                "formatting": "sharegpt",
                "columns": columns,
                "tags": tags,
            }
            for split in samples.splits
        },
    )
    target.finish({"scenes": samples.scenes, "questions": samples.questions})
    return AudioFolderSummary(dest, samples.scenes, samples.questions, with_questions=True)


def export_lhotse(
    root: Path, dest: Path, table: str = "qa", progress: Callable[[int, int], None] | None = None
) -> AudioFolderSummary:
    """Write manifests of recordings and supervisions; arguments and errors are those of export_audio.

    A source is a supervision from its onset to its offset, in all channels, with its first label as text; place, all
    labels and measured values are in `custom`. The questions of a scene are in `custom` of its first source.
    """
    samples, target = _opened(root, dest, "lhotse", table, progress)
    for split in samples.splits:
        scenes: list[tuple[Scene, list[dict[str, Any]]]] = []

        def recordings(
            stream: TextIO, split: str = split, scenes: list[tuple[Scene, list[dict[str, Any]]]] = scenes
        ) -> None:
            for scene, name, questions in _stored(samples, target, split, f"audio/{split}"):
                stream.write(json.dumps(_recording(scene, name), ensure_ascii=False) + "\n")
                scenes.append((scene, questions))

        def supervisions(stream: TextIO, scenes: list[tuple[Scene, list[dict[str, Any]]]] = scenes) -> None:
            for scene, questions in scenes:
                for line in _supervisions(scene, questions):
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")

        _write_text(target.root / f"recordings-{split}.jsonl", recordings)
        _write_text(target.root / f"supervisions-{split}.jsonl", supervisions)
    target.finish({"scenes": samples.scenes, "questions": samples.questions})
    return AudioFolderSummary(dest, samples.scenes, samples.questions, with_questions=True)


def _opened(
    root: Path, dest: Path, form: str, table: str, progress: Callable[[int, int], None] | None
) -> tuple[Samples, Destination]:
    samples = Samples(root, table, progress)
    identity = {"format": form, "fingerprint": samples.run.fingerprint_hash, "table": table}
    return samples, Destination(dest, root, identity)


def _stored(samples: Samples, target: Destination, split: str, folder: str) -> Iterator[_Stored]:
    """Write the sound of every scene of a split; yield scene, path below the destination, questions."""
    for scene, flac, questions in samples.of(split):
        name = f"{folder}/{file_name(scene.scene_id, samples.folder.root)}.flac"
        path = target.root / name
        if not path.is_file():  # an export that was interrupted has written it whole

            def write(aside: Path, flac: bytes = flac) -> None:
                aside.write_bytes(flac)

            path.parent.mkdir(parents=True, exist_ok=True)
            commit_file(path, write)
        yield scene, name, questions


def _write_text(path: Path, write: Callable[[TextIO], None]) -> None:
    def write_aside(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as stream:
            write(stream)

    path.parent.mkdir(parents=True, exist_ok=True)
    commit_file(path, write_aside)


def _row(scene: Scene) -> dict[str, Any]:
    def joined(values: Iterable[Any]) -> str:
        return ";".join("" if value is None else str(value) for value in values)

    return {
        "scene_id": scene.scene_id,
        "duration_s": scene.duration_s,
        "sample_rate": scene.sample_rate,
        "n_sources": len(scene.sources),
        "labels": joined(",".join(s.labels) for s in scene.sources),
        **{
            name: joined(getattr(s, name) for s in scene.sources)
            for name in ("azimuth_deg", "elevation_deg", "distance_m", "onset_s", "offset_s", "line_of_sight")
        },
    }


def _recording(scene: Scene, name: str) -> dict[str, Any]:
    channels = list(range(len(CHANNEL_NAMES[scene.channels])))
    return {
        "id": scene.scene_id,
        "sources": [{"type": "file", "channels": channels, "source": name}],
        "sampling_rate": scene.sample_rate,
        "num_samples": round(scene.duration_s * scene.sample_rate),
        "duration": scene.duration_s,
        "channel_ids": channels,
    }


def _supervisions(scene: Scene, questions: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for k, source in enumerate(scene.sources):
        custom = {
            "labels": list(source.labels),
            "azimuth_deg": source.azimuth_deg,
            "elevation_deg": source.elevation_deg,
            "distance_m": source.distance_m,
            "line_of_sight": source.line_of_sight,
            "playing_s": [list(play) for play in playing_s(source, scene.duration_s)],
        }
        if k == 0:
            custom["questions"] = [{name: row[name] for name in ("qa_id", "question", "answer")} for row in questions]
        yield {
            "id": f"{scene.scene_id}-{k}",
            "recording_id": scene.scene_id,
            "start": source.onset_s,
            "duration": math.floor(1e6 * ((source.offset_s or scene.duration_s) - source.onset_s)) / 1e6,
            "channel": list(range(len(CHANNEL_NAMES[scene.channels]))),
            "text": source.labels[0],
            "custom": custom,
        }
