import io
import json
import os
import re
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spatialqa.errors import DatasetError
from spatialqa.scoring.predictions import read_predictions

PAIRS = {"test-00000000-location-0": "left, front; 2m", "q2": "", "q3": "ja, ½ m \u2028 ✓"}


def test_json_lines_and_parquet_say_the_same(tmp_path: Path) -> None:
    lines, table = tmp_path / "p.txt", tmp_path / "p.bin"  # the bytes tell, not the name
    rows = [{"qa_id": q, "prediction": p, "model": "x"} for q, p in PAIRS.items()]
    lines.write_text("\ufeff" + "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), table)
    assert read_predictions(lines).by_id == PAIRS
    assert read_predictions(table).by_id == PAIRS


def test_large_and_dictionary_strings_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    ids = pa.array(list(PAIRS), pa.large_string())
    texts = pa.array(list(PAIRS.values())).dictionary_encode()
    pq.write_table(pa.table({"prediction": texts, "qa_id": ids}), path)
    assert read_predictions(path).by_id == PAIRS


def test_null_is_an_empty_answer_and_the_first_of_several_counts(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(
        '{"qa_id": "a", "prediction": null}\n{"qa_id": "b", "prediction": "x"}\n'
        '{"qa_id": "b", "prediction": "y"}\n{"qa_id": "b", "prediction": "x"}\n'
    )
    read = read_predictions(path)
    assert read.by_id == {"a": "", "b": "x"}
    assert read.duplicates == {"b": 2}


def test_two_columns_of_text_are_what_the_decoder_of_slam_llm_writes(tmp_path: Path) -> None:
    path = tmp_path / "decode_pred"
    path.write_text("\ufeffCLASSIFICATION-0\tdog; bark\nDOA-1\t\n\nDOA-2\tleft,\tfront\r\n", encoding="utf-8")
    assert read_predictions(path).by_id == {"CLASSIFICATION-0": "dog; bark", "DOA-1": "", "DOA-2": "left,\tfront"}


GOOD = '{"qa_id": "a", "prediction": "x"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + '{"qa_id": "b", "prediction": "x"\n', "line 2: is not JSON"),
        (GOOD + "\n" + '["b", "x"]\n', "line 3: must be an object with qa_id and prediction, got ['b', 'x']"),
        (GOOD + '{"qa_id": "b", "answer": "x"}\n', "line 2: has no 'prediction' (it has ['answer', 'qa_id'])"),
        ('{"id": "b", "prediction": "x"}\n', "line 1: has no 'qa_id'"),
        (GOOD + '{"qa_id": "b", "prediction": ["x"]}\n', "line 2: prediction must be a text, got ['x']"),
        (GOOD + '{"qa_id": 7, "prediction": "x"}\n', "line 2: qa_id must be a text, got 7"),
        (GOOD + "[" * 100_000, "line 2: is not JSON"),
        ("\n", "holds no predictions"),
        (b"\xff\xfe\x00", "line 1: is not JSON"),
        ("a\tx\nb x\n", "line 2: has no tab between qa_id and prediction"),
        ("a\tx\n\ty\n", "line 2: qa_id must be a text, got ''"),
        (b"a\tx\nb\t\xff\n", "line 2: is not UTF-8 text"),
        (b"PAR1 and nothing else", "cannot be read as Parquet"),
    ],
)
def test_broken_files_are_told_by_line_in_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError, match=re.escape(message)) as caught:
        read_predictions(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_broken_tables_are_told_by_row(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"qa_id": ["a", None], "prediction": ["x", "y"]}), path)
    with pytest.raises(DatasetError, match="row 2: qa_id must be a text, got None"):
        read_predictions(path)
    pq.write_table(pa.table({"qa_id": ["a"], "answer": ["x"]}), path)
    with pytest.raises(DatasetError, match=r"has no column 'prediction' \(it has \['qa_id', 'answer'\]\)"):
        read_predictions(path)


def test_a_folder_and_a_missing_file_are_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.jsonl"):
        with pytest.raises(DatasetError, match="cannot be read"):
            read_predictions(path)


def test_standard_input_and_a_pipe_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b'{"qa_id": "a", "prediction": "left"}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    found = read_predictions(Path("-"))
    assert found.by_id == {"a": "left"}
    assert str(found) == "-"
    assert read_predictions(found) is found
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[text])
    writer.start()
    assert read_predictions(pipe).by_id == {"a": "left"}
    writer.join()
