"""What goes out in the released layout comes back in by the import with the same truth."""

from pathlib import Path

import pytest

from spatialqa.interop.spatialsoundqa.importer import import_spatialsoundqa
from spatialqa.interop.spatialsoundqa.writer import export_spatialsoundqa
from spatialqa.scoring.score import score
from tests.fixtures.datasets import rows_of
from tests.imports.released_files import write_truth


def test_our_own_export_comes_back_with_the_same_truth(hard: Path, tmp_path: Path) -> None:
    export_spatialsoundqa(hard, tmp_path / "export")
    summary = import_spatialsoundqa(tmp_path / "export", tmp_path / "data")
    assert (summary.rejected, summary.disagreeing) == (0, 0)
    scenes = {row["scene_id"]: row for row in rows_of(hard, "scenes")}
    back = {row["scene_id"]: row for row in rows_of(tmp_path / "data", "scenes")}
    asked = [row for row in rows_of(hard, "qa") if row["type"] != "X"]
    asked = [row for row in asked if len(scenes[row["scene_id"]]["sources"]) <= 2]
    for row, again in zip(asked, rows_of(tmp_path / "data", "qa"), strict=True):
        for name in ("split", "type", "subtype", "question", "answer"):
            assert again[name] == row[name], (name, row["qa_id"])
        for name in ("answer_labels", "answer_direction", "answer_bool", "polarity"):
            if row[name] is not None:
                assert again[name] == row[name], (name, row["qa_id"])
        assert again["choices"] in (row["choices"], None)
        if row["type"] in "ABCD":
            assert again["source_indices"] == row["source_indices"]
            index = row["source_indices"][0]
            source, found = (s["sources"][index] for s in (scenes[row["scene_id"]], back[again["scene_id"]]))
            for name in ("azimuth_deg", "elevation_deg", "distance_m"):
                assert found[name] == pytest.approx(source[name], abs=1e-9)
    report = score(write_truth(tmp_path / "p.jsonl", tmp_path / "data"), tmp_path / "data", text_model="none")
    assert all(metric.value == (0.0 if "DER" in name else 1.0) for name, metric in report.paper.items())
    splits = {row["qa_id"].split("-")[0] for row in rows_of(tmp_path / "data", "qa") if row["split"] != "test"}
    assert splits == {"train", "validation"}
