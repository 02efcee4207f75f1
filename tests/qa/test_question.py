from spatialqa.qa.question import Question

# DESIGN's qa table, written out once more: other programs read it.
COLUMNS = """
    qa_id scene_id split type subtype question answer template_id source_indices asked_labels asked_direction
    asked_distance_m polarity choices answer_labels answer_direction answer_distance_m answer_bool answer_count
    margin_deg margin_m rationale
"""


def test_a_row_has_the_columns_of_the_qa_table_in_order() -> None:
    question = Question("s-location-0", "s", "test", "B", "location", "Where?", "l", "b-1", (0,), asked_labels=("dog",))
    row = question.to_row()
    assert " ".join(row) == " ".join(COLUMNS.split())
    assert row["source_indices"] == [0]
    assert row["asked_labels"] == ["dog"]
    assert row["rationale"] is None
