"""Files of sound with tables beside them: each is read back by its library, or as its description says."""

import csv
import json
from pathlib import Path

import pytest
import soundfile

from spatialqa.errors import DatasetError
from spatialqa.interop.export import export_dataset
from tests.fixtures.datasets import Row, planned, rows_of


def sounds(rows: list[Row]) -> dict[str, bytes]:
    return {row["scene_id"]: row["audio"]["bytes"] for row in rows}


def test_a_chat_line_is_a_question_about_a_file(small: Path, tmp_path: Path) -> None:
    summary = export_dataset(small, tmp_path / "chat", "chat")
    questions = {row["qa_id"]: row for row in rows_of(small, "qa")}
    stored = sounds(rows_of(small, "scenes"))
    lines = []
    for split in ("train", "validation", "test"):
        lines += [json.loads(line) for line in (tmp_path / "chat" / f"{split}.jsonl").read_text().splitlines()]
    assert [line["qa_id"] for line in lines] == list(questions)
    for line in lines:
        row = questions[line["qa_id"]]
        assert line["messages"] == [
            {"role": "user", "content": "<audio>" + row["question"]},
            {"role": "assistant", "content": row["answer"]},
        ]
        (audio,) = line["audios"]
        assert (tmp_path / "chat" / audio).read_bytes() == stored[row["scene_id"]]
    known = json.loads((tmp_path / "chat/dataset_info.json").read_text())
    assert {entry["file_name"] for entry in known.values()} == {"train.jsonl", "validation.jsonl", "test.jsonl"}
    assert summary.lines() == [f"24 scenes and {len(questions)} questions in {tmp_path / 'chat'}"]


def test_an_interrupted_export_resumes_and_another_is_refused(small: Path, tmp_path: Path) -> None:
    export_dataset(small, tmp_path / "chat", "chat")
    before = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "chat/test.jsonl").unlink()
    next((tmp_path / "chat/audio/test").iterdir()).unlink()
    export_dataset(small, tmp_path / "chat", "chat")
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    with pytest.raises(DatasetError, match="holds another export"):
        export_dataset(small, tmp_path / "chat", "audio")


def test_hugging_face_reads_the_audio_folder(small: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("torchcodec")  # which datasets 4 and later need to read a folder of audio
    export_dataset(small, tmp_path / "audio", "audio")
    scenes = {row["scene_id"]: row for row in rows_of(small, "scenes")}
    read = datasets.load_dataset("audiofolder", data_dir=str(tmp_path / "audio"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in read.items()} == {"train": 12, "validation": 6, "test": 6}
    for rows in read.values():
        for row in rows.cast_column("audio", datasets.Audio(decode=False)):
            scene = scenes[row["scene_id"]]
            assert Path(row["audio"]["path"]).read_bytes() == scene["audio"]["bytes"]
            distances = [float(part) for part in str(row["distance_m"]).split(";")]
            assert distances == [source["distance_m"] for source in scene["sources"]]


def test_the_manifests_of_lhotse_say_what_the_files_hold(small: Path, tmp_path: Path) -> None:
    export_dataset(small, tmp_path / "lhotse", "lhotse")
    for split in ("train", "validation", "test"):
        recordings = {}
        for line in (tmp_path / f"lhotse/recordings-{split}.jsonl").read_text().splitlines():
            recording = json.loads(line)
            recordings[recording["id"]] = recording
            info = soundfile.info(tmp_path / "lhotse" / recording["sources"][0]["source"])
            facts = (info.samplerate, info.frames, list(range(info.channels)))
            assert (recording["sampling_rate"], recording["num_samples"], recording["channel_ids"]) == facts
        for line in (tmp_path / f"lhotse/supervisions-{split}.jsonl").read_text().splitlines():
            supervision = json.loads(line)
            recording = recordings[supervision["recording_id"]]
            assert 0 <= supervision["start"] < supervision["start"] + supervision["duration"] <= recording["duration"]


def test_lhotse_validates_its_manifests(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lhotse = pytest.importorskip("lhotse")
    export_dataset(small, tmp_path / "lhotse", "lhotse")
    monkeypatch.chdir(tmp_path / "lhotse")
    for split in ("train", "validation", "test"):
        recordings = lhotse.RecordingSet.from_file(f"recordings-{split}.jsonl")
        supervisions = lhotse.SupervisionSet.from_file(f"supervisions-{split}.jsonl")
        lhotse.validate_recordings_and_supervisions(recordings, supervisions, read_data=True)


def test_scenes_without_audio_are_refused(tmp_path: Path) -> None:
    planned(tmp_path / "plan", 2, splits="1,0,0")
    for form in ("chat", "audio", "lhotse"):
        with pytest.raises(DatasetError, match="has no audio; render it first"):
            export_dataset(tmp_path / "plan", tmp_path / form, form)


def test_metadata_has_a_row_a_file(small: Path, tmp_path: Path) -> None:
    export_dataset(small, tmp_path / "audio", "audio")
    for split in ("train", "validation", "test"):
        with (tmp_path / "audio" / split / "metadata.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        files = {path.name for path in (tmp_path / "audio" / split).glob("*.flac")}
        assert {row["file_name"] for row in rows} == files
