"""The page of `spatialqa preview --quiz`: a listening test that one takes in a browser.

A person hears a scene, answers a question about it, and sees the answer. The answers can be saved as JSON lines that
`spatialqa score` reads. Before that, a check tells headphones from loudspeakers: a tone at one ear, and of three tones
the faintest, where one has opposite phases at the ears (Woods et al., 2017).
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from spatialqa.core.scene import Scene
from spatialqa.errors import DatasetError
from spatialqa.views.entry import Entry
from spatialqa.views.templating import environment

QUIZ_ASSETS = ("style.css", "headphones.js", "quiz.js")

Row = Mapping[str, Any]


def first_questions(
    scenes: Sequence[Scene], asked: Mapping[str, Sequence[Row]], count: int, where: str
) -> dict[str, list[Row]]:
    """Return up to `count` questions of each scene, those of subtypes first that came least before.

    Raises:
        DatasetError: there are none.
    """
    times: Counter[str] = Counter()
    chosen: dict[str, list[Row]] = {}
    for scene in scenes:
        left = list(asked.get(scene.scene_id, []))
        while left and len(chosen.get(scene.scene_id, [])) < count:
            row = min(left, key=lambda row: times[row["subtype"]])
            left.remove(row)
            times[row["subtype"]] += 1
            chosen.setdefault(scene.scene_id, []).append(row)
    if not chosen:
        raise DatasetError(f"{where}: has no questions about these scenes; ask some with `spatialqa make-qa`")
    return chosen


def quiz_html(name: str, entries: Sequence[Entry]) -> str:
    """Return the page; raises DatasetError where no scene has audio."""
    heard = [entry for entry in entries if entry.sound and entry.questions]
    if not heard:
        raise DatasetError(f"{name}: has no audio to be asked about; render it first")
    questions = [
        {
            "qa_id": row["qa_id"],
            "scene": number,
            "question": row["question"],
            "answer": row["answer"],
            "sources": row["source_indices"] or [],
            **_kind(row),
        }
        for number, entry in enumerate(heard)
        for row in entry.questions
    ]
    names = sorted({label for row in questions if row["kind"] == "labels" for label in str(row["answer"]).split("; ")})
    return (
        environment()
        .get_template("quiz.html.j2")
        .render(name=name, entries=heard, count=len(questions), questions=_json(questions), names=names)
    )


def _kind(row: Row) -> dict[str, Any]:
    """Return how a question is answered on the page, and what it needs to judge an answer."""
    direction, distance_m = row["answer_direction"], row["answer_distance_m"]
    if row["choices"]:
        return {"kind": "choice", "choices": row["choices"]}
    if row["answer_count"] is not None:
        return {"kind": "count"}
    if direction and distance_m is not None:
        return {"kind": "location", "words": direction, "metres": distance_m}
    if distance_m is not None:
        return {"kind": "distance", "metres": distance_m}
    if direction and "o'clock" in direction[0]:
        return {"kind": "choice", "choices": [f"{hour} o'clock" for hour in range(1, 13)]}
    return {"kind": "labels" if row["answer_labels"] else "text"}


def _json(value: Any) -> str:
    """Return plain data as JSON that can stand inside a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
