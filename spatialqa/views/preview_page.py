"""The page of `spatialqa preview`: scenes that one can look at, hear and read the questions of."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from spatialqa.core.audio_io import decode_flac
from spatialqa.core.files import file_name
from spatialqa.core.geometry import direction_words, to_head
from spatialqa.core.scene import Scene, Source
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.provenance import without_path
from spatialqa.views.chosen_scenes import RoomsOfScenes, choose, questions_of, read_chosen
from spatialqa.views.entry import Entry
from spatialqa.views.listening import Coding, coding_for, encode, for_two_ears
from spatialqa.views.page_folder import PageFolder, place_beside
from spatialqa.views.quiz_page import QUIZ_ASSETS, first_questions, quiz_html
from spatialqa.views.scene_drawing import COLOURS, SceneDrawing, draw_scene
from spatialqa.views.scene_rirs import RirsOfScenes
from spatialqa.views.sound_curves import Audio, decay, spectrogram, waveform
from spatialqa.views.templating import asset, environment

DEFAULT_COUNT = 50
_HEADROOM_DB = 1.0
_MOST_GAIN_DB = 40.0
_MOST_REJECTS = 300  # that are listed one by one
_DISTANCES_M = (1.0, 2.0, 4.0)
_ASSETS = ("style.css", "curves.js", "preview.js")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PreviewSummary:
    """Where the page is, how many scenes it shows, and its size."""

    index: Path
    scenes: int
    total_bytes: int

    def lines(self) -> list[str]:
        """Return what the command prints."""
        return [
            f"{self.scenes} scenes in {self.index} ({self.total_bytes / 1e6:.1f} MB): open it in a browser, with "
            f"headphones"
        ]


def write_preview(
    root: Path,
    to: Path | None = None,
    *,
    count: int = DEFAULT_COUNT,
    scene_id: str | None = None,
    split: str | None = None,
    table: str = "qa",
    questions: int | None = None,
    quiz: bool = False,
    simulate: bool = True,
    progress: Progress | None = None,
) -> PreviewSummary:
    """Write a page about scenes of a data set into a folder of its own. Nothing is written in the data set.

    Args:
        root: the data set.
        to: the folder; by default beside the data set, its name with -preview.
        count: how many scenes, spread evenly.
        scene_id: show this scene alone.
        split: show scenes of this split alone.
        table: of the questions, "qa" or "qa-NAME".
        questions: the greatest number of questions of each scene; None for all, or for one where it is a quiz.
        quiz: hide answers until one has guessed.
        simulate: simulate RIRs again that are not stored, for their decay; a quiz shows none.
        progress: called with (scenes written, scenes in all).

    Raises:
        DatasetError: there is no such data set, scene or table, or the folder holds something else; a quiz has no
            questions.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    place = to or place_beside(root, "preview")
    page = PageFolder(place, root)
    chosen = choose(folder, count, scene_id, split)
    gain_db, coding, scenes = _loudness(read_chosen(chosen))
    asked = questions_of(folder, table, scenes)
    if quiz:
        asked = first_questions(scenes, asked, 1 if questions is None else questions, f"{root}: {table}")
    drawings = _drawings(folder, scenes)
    size = 0
    with (
        page.whole({"page": "quiz" if quiz else "preview", "dataset": str(root), "scenes": len(scenes)}),
        contextlib.closing(RirsOfScenes(folder, [] if quiz else scenes, simulate)) as rirs,
    ):
        entries = []
        for number, (scene, flac) in enumerate(read_chosen(chosen), start=1):
            name = file_name(scene.scene_id, "scene_id")
            audio, rate = decode_flac(flac) if flac else (None, 0)
            ears = None if audio is None else for_two_ears(audio, scene.channels, rate)
            sound = None if ears is None else f"scenes/{name}.{coding.suffix}"
            if ears is not None and sound is not None:
                size += page.write(sound, encode(ears * np.float32(10 ** (gain_db / 20)), rate, coding))
            decays = False
            if not quiz:
                curves = _curves(scene, ears, rate, rirs.of(scene))
                decays = bool(curves["decays"])
                size += page.write(
                    f"scenes/{name}.js", f"spatialqaScene({json.dumps(curves, separators=(',', ':'))});\n"
                )
            own, rows = asked.get(scene.scene_id, [])[:questions], [_row(scene, source) for source in scene.sources]
            entries.append(Entry(scene, rows, own, *drawings[scene.scene_id], sound, decays))
            if progress:
                progress(number, len(scenes))
        if quiz:
            html = quiz_html(folder.root.resolve().name, entries)
        else:
            html = _html(folder, table, entries, run.recipe, gain_db, coding, rirs)
        size += page.write("index.html", html)
        size += sum(page.write(name, asset(name)) for name in (QUIZ_ASSETS if quiz else _ASSETS))
    return PreviewSummary(place / "index.html", len(entries), size)


def _loudness(scenes: Any) -> tuple[float, Coding, list[Scene]]:
    """Return by how much the page raises all its audio, dB, how it is coded, and the scenes themselves."""
    peak, frames, found = 0.0, 0, []
    for scene, flac in scenes:
        found.append(scene)
        if flac:
            audio, rate = decode_flac(flac)
            peak = max(peak, float(np.abs(for_two_ears(audio, scene.channels, rate)).max()))
            frames += audio.shape[1]
    room_db = -_HEADROOM_DB - _db(peak) if peak > 0 else 0.0
    return float(np.floor(min(room_db, _MOST_GAIN_DB))), coding_for(frames), found


def _drawings(folder: DatasetFolder, scenes: Sequence[Scene]) -> dict[str, tuple[SceneDrawing, str | None]]:
    """Return the drawings by scene, made room by room; and why one has no outline."""
    rooms = RoomsOfScenes(folder)
    rooms.expect(scenes)
    drawn = {}
    for scene in sorted(scenes, key=lambda scene: scene.room_id):
        room, why = rooms.of(scene)
        drawing = draw_scene(scene, room)
        drawn[scene.scene_id] = drawing, why or (None if drawing.outline else "rooms of this set have no surfaces")
    return drawn


def _curves(scene: Scene, ears: Audio | None, rate: int, rirs: Mapping[str, Audio]) -> dict[str, Any]:
    """Return what the page loads of a scene when it comes into view."""
    data: dict[str, Any] = {"id": scene.scene_id, "seconds": scene.duration_s, "sources": _plays(scene)}
    if ears is not None:
        data["waveform"], data["spectrogram"] = waveform(ears), spectrogram(ears, rate)
    data["decays"] = [
        {"source": k, **decay(rirs[source.rir_id], scene.sample_rate, scene.channels)}
        for k, source in enumerate(scene.sources)
        if source.rir_id in rirs
    ]
    return data


def _plays(scene: Scene) -> list[dict[str, Any]]:
    return [
        {
            "starts": [start for start in source.starts_s or (source.onset_s,) if start is not None],
            "colour": k % COLOURS,
        }
        for k, source in enumerate(scene.sources)
    ]


def _row(scene: Scene, source: Source) -> dict[str, Any]:
    """Return what the table of ground truth and the filters say of a source."""
    return {
        "source": source,
        "words": direction_words(to_head(scene.listener, source.position)),
        "sight": {True: "seen", False: "occluded", None: "unknown"}[source.line_of_sight],
        "nearness": _nearness(source.distance_m),
    }


def _nearness(distance_m: float) -> str:
    """Return the name of the range of distances that a source is in."""
    bounds = (0.0, *_DISTANCES_M)
    low = max(bound for bound in bounds if distance_m >= bound)
    if low == _DISTANCES_M[-1]:
        return f"{low:g} m or more"
    return f"under {_DISTANCES_M[0]:g} m" if low == 0 else f"{low:g} to {bounds[bounds.index(low) + 1]:g} m"


def _html(
    folder: DatasetFolder,
    table: str,
    entries: Sequence[Entry],
    recipe: Mapping[str, Any],
    gain_db: float,
    coding: Coding,
    rirs: RirsOfScenes,
) -> str:
    rejects = list(folder.rejects())
    return (
        environment()
        .get_template("preview.html.j2")
        .render(
            name=folder.root.resolve().name,
            table=table,
            entries=entries,
            recipe={key: without_path(str(recipe[key])) for key in ("rooms", "clips") if key in recipe},
            gain_db=gain_db,
            coding=coding,
            simulated=rirs.simulated,
            other_version=rirs.other_version,
            missing_decays=rirs.missing,
            foa=any(entry.scene.channels == "foa" for entry in entries),
            total=sum(pq.ParquetFile(path).metadata.num_rows for path in folder.tables("scenes")),
            reasons=Counter(reject.reason for reject in rejects).most_common(),
            rejects=rejects[:_MOST_REJECTS],
            rejected=len(rejects),
            facets=_facets(entries),
            filters=_filters(entries),
            missing_outlines=Counter(entry.why_no_outline for entry in entries if entry.why_no_outline),
        )
    )


def _facets(entries: Sequence[Entry]) -> str:
    """Return what filters compare, as JSON: of every scene its split, sources and questions."""
    facets = [
        {
            "split": entry.scene.split,
            "sources": [
                {
                    "class": list(row["source"].labels),
                    "distance": row["nearness"],
                    "direction": list(row["words"]),
                    "sight": row["sight"],
                }
                for row in entry.rows
            ],
            "questions": [[question["type"], question["subtype"]] for question in entry.questions],
        }
        for entry in entries
    ]
    return json.dumps(facets, separators=(",", ":")).replace("<", "\\u003c")


def _filters(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return the values that each filter offers, those that occur."""
    rows = [row for entry in entries for row in entry.rows]
    asked = [question for entry in entries for question in entry.questions]
    nearness = [_nearness(m) for m in (0.0, *_DISTANCES_M)]
    here = {row["nearness"] for row in rows}
    return {
        "type": sorted({question["type"] for question in asked}),
        "subtype": sorted({question["subtype"] for question in asked}),
        "class": sorted({label for row in rows for label in row["source"].labels}, key=str.lower),
        "distance": [name for name in nearness if name in here],
        "side": ["left", "right", "front", "behind", "above", "below"],
        "octant": sorted({", ".join(row["words"]) for row in rows}),
        "sight": sorted({row["sight"] for row in rows}, reverse=True),
        "split": list(dict.fromkeys(entry.scene.split for entry in entries)),
    }


def _db(value: float) -> float:
    return 20 * float(np.log10(max(value, 1e-9)))
