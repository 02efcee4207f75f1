"""The figures of `spatialqa report`: counts over a whole data set, from one pass whose memory does not grow with it."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import spatialqa
from spatialqa.core.audio_io import FULL_SCALE, decode_flac
from spatialqa.core.geometry import FloatArray
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.provenance import without_path
from spatialqa.dataset.reading import require_questions, scene_files
from spatialqa.errors import DatasetError
from spatialqa.views.chosen_scenes import choose_runs, read_chosen
from spatialqa.views.report_counts import Histogram, Sphere, Tally

SCHEMA_VERSION = "1"
_COLUMNS = ("split", "duration_s", "rir_reuse_count", "sources")
_BATCH_ROWS = 2000
_PEAK_RUNS, _PEAK_LENGTH = 8, 25
_CLIPPED = "ClippedSceneError"

Progress = Callable[[int, int], None]


def report_figures(root: Path, table: str = "qa", progress: Progress | None = None) -> dict[str, Any]:
    """Return the figures of a data set as plain data; docs/report.md describes them.

    Args:
        root: the data set.
        table: of the questions, "qa" or "qa-NAME".
        progress: called with (scenes read, scenes in all).

    Raises:
        DatasetError: there is no such data set or table, or a table cannot be read.
    """
    folder = DatasetFolder(root)
    run = folder.read_run()
    require_questions(folder, table)
    scenes = _Scenes()
    paths = scene_files(folder)
    total = sum(pq.ParquetFile(path).metadata.num_rows for path in paths)
    for batch in _batches(paths, _COLUMNS):
        scenes.add(batch)
        if progress:
            progress(scenes.count, total)
    questions = _Questions()
    for batch in _batches(folder.tables(table), ("split", "type", "subtype", "answer")):
        questions.add(batch)
    rejects = Tally()
    for reject in folder.rejects():
        rejects.add(reject.reason.partition(":")[0])
    peaks, full = _peaks(folder)
    audit = folder.meta / f"{table.replace('qa', 'audit', 1)}.json"
    return {
        "schema_version": SCHEMA_VERSION,
        "spatialqa": spatialqa.__version__,
        "dataset": root.resolve().name,
        "table": table,
        "recipe": {key: _public(run.recipe.get(key)) for key in ("rooms", "clips", "channels", "sample_rate", "seed")},
        "engine": run.engine.name,
        "counts": {
            "scenes": scenes.count,
            "sources": sum(scenes.sources.values()),
            "hours": sum(scenes.seconds.values()) / 3600,
            "questions": questions.count,
            "houses": sum(run.plan.houses.values()),
            "classes": scenes.classes.distinct,
        },
        "splits": {
            split: {
                "scenes": scenes.scenes[split],
                "hours": scenes.seconds[split] / 3600,
                "sources": scenes.sources[split],
                "questions": questions.by_split[split],
                "houses": run.plan.houses.get(split, 0),
            }
            for split in scenes.scenes
        },
        "sources_per_scene": {str(n): count for n, count in sorted(scenes.per_scene.items())},
        "rir_reuse": {str(n): count for n, count in sorted(scenes.reuse.items())},
        "line_of_sight": dict(scenes.sight),
        "classes": dict(scenes.classes.most_common()),
        "histograms": {name: one.as_json() for name, one in [*scenes.histograms.items(), ("peak_dbfs", peaks)]},
        "sphere": scenes.sphere.as_json(),
        "clipping": {
            "scenes_looked_at": int(peaks.counts.sum()),
            "at_full_scale": full,
            "draws_rejected": dict(rejects.most_common()).get(_CLIPPED, 0),
        },
        "rejects": dict(rejects.most_common()),
        "questions": questions.as_json(),
        "audit": _audit(DatasetFolder.read_json(audit, "run audit again")) if audit.is_file() else None,
        "validation": None,
    }


class _Scenes:
    """What is counted of scenes and their sources."""

    def __init__(self) -> None:
        self.scenes: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.per_scene: Counter[int] = Counter()
        self.reuse: Counter[int] = Counter()
        self.sight: Counter[str] = Counter()
        self.classes = Tally()
        self.sphere = Sphere()
        self.histograms = {
            "distance_m": Histogram("Distance", "m", np.arange(0.0, 12.5, 0.5)),
            "azimuth_deg": Histogram(
                "Azimuth, positive to the left", "°", np.arange(-180.0, 181.0, 15.0), circular=True
            ),
            "elevation_deg": Histogram("Elevation", "°", np.arange(-90.0, 91.0, 10.0)),
            "height_m": Histogram("Height above the floor", "m", np.arange(0.0, 3.3, 0.2)),
            "rt60_s": Histogram("RT60", "s", np.arange(0.0, 2.05, 0.1)),
            "drr_db": Histogram("Direct-to-reverberant ratio, in sight", "dB", np.arange(-20.0, 21.0, 2.0)),
            "level_db": Histogram("Level at the ears, before the gain", "dBFS", np.arange(-60.0, 3.0, 3.0)),
            "onset_s": Histogram("Onset, audible", "s", np.arange(0.0, 10.5, 0.5)),
            "activity": Histogram("Share of the scene from first to last audible", "%", np.arange(0.0, 101.0, 5.0)),
        }

    @property
    def count(self) -> int:
        """Scenes so far."""
        return sum(self.scenes.values())

    def add(self, batch: pa.RecordBatch) -> None:
        lists = batch.column("sources")
        n_sources = np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), np.int64)
        seconds = _numbers(batch.column("duration_s"))
        for split, n, s in zip(batch.column("split").to_pylist(), n_sources.tolist(), seconds.tolist(), strict=True):
            self.scenes[split] += 1
            self.sources[split] += n
            self.seconds[split] += s
            self.per_scene[n] += 1
        for n in batch.column("rir_reuse_count").to_pylist():
            if n is not None:
                self.reuse[n] += 1
        self._add_sources(lists.flatten(), np.repeat(seconds, n_sources))

    def _add_sources(self, sources: pa.StructArray, duration_s: FloatArray) -> None:
        def numbers(name: str) -> FloatArray:
            held = {field.name for field in sources.type}
            return _numbers(sources.field(name)) if name in held else np.full(len(sources), np.nan)

        for labels in sources.field("labels").to_pylist():
            if labels:  # a source of imported questions may have none
                self.classes.add(labels[0])
        for seen in sources.field("line_of_sight").to_pylist():
            self.sight[{True: "seen", False: "occluded", None: "unknown"}[seen]] += 1
        for name in ("distance_m", "azimuth_deg", "elevation_deg", "height_m", "rt60_s", "drr_db"):
            self.histograms[name].add(numbers(name))
        self.sphere.add(numbers("azimuth_deg"), numbers("elevation_deg"))
        first, last = numbers("audible_onset_s"), numbers("audible_offset_s")
        self.histograms["onset_s"].add(first)
        self.histograms["activity"].add(100.0 * (last - first) / duration_s)
        self.histograms["level_db"].add(_levels(sources.field("wet_level_dbfs")))


class _Questions:
    """What is counted of questions."""

    def __init__(self) -> None:
        self.by_split: Counter[str] = Counter()
        self._answers: dict[tuple[str, str], Tally] = {}

    @property
    def count(self) -> int:
        return sum(self.by_split.values())

    def add(self, batch: pa.RecordBatch) -> None:
        for split, count in _value_counts(batch.column("split")):
            self.by_split[split] += count
        grouped = pa.Table.from_batches([batch]).group_by(["type", "subtype", "answer"]).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            self._answers.setdefault((row["type"], row["subtype"]), Tally()).add(row["answer"], row["count_all"])

    def as_json(self) -> dict[str, Any]:
        return {
            subtype: {
                "type": kind,
                "count": answers.total,
                "distinct_answers": answers.distinct,
                "commonest": dict(answers.most_common(6)),
            }
            for (kind, subtype), answers in sorted(self._answers.items())
        }


def _peaks(folder: DatasetFolder) -> tuple[Histogram, int]:
    """Return the peaks of a sample of scenes, and how many of them reach full scale."""
    peaks = Histogram("Peak of a scene, with the gain", "dBFS", np.arange(-60.0, 3.0, 3.0))
    full = 0
    for _, flac in read_chosen(choose_runs(folder, _PEAK_RUNS, _PEAK_LENGTH)):
        if flac:
            peak = float(np.abs(decode_flac(flac)[0]).max())
            full += peak >= FULL_SCALE
            peaks.add(np.array([20 * np.log10(max(peak, 1e-9))]))
    return peaks, full


def _audit(stored: dict[str, Any]) -> dict[str, Any]:
    """Return what the page says of a stored audit: for every subtype the verdict and the best share of a baseline."""
    subtypes = {}
    for one in stored.get("subtypes", []):
        shares = [
            (attempt["value"], attempt["guesser"], measure)
            for measure in one["measures"]
            for attempt in measure["attempts"]
            if attempt["figure"] == "right"
        ]
        best = max(shares, key=lambda share: share[0], default=None)
        subtypes[one["subtype"]] = {
            "verdict": one["verdict"],
            "best": best and best[0],
            "baseline": best and best[1],
            "majority": best and best[2]["majority"],
        }
    return {"failed": stored.get("failed"), "subtypes": subtypes}


def _batches(paths: list[Path], columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        try:
            file = pq.ParquetFile(path)
            yield from file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None


def _numbers(column: pa.Array) -> FloatArray:
    """Return numbers as float64, nan for null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _levels(column: pa.ListArray) -> FloatArray:
    """Return the mean energy of the channels in dB, nan where it is not known."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False), np.int64)
    energy = 10 ** (_numbers(column.flatten()) / 10)
    out = np.full(len(lengths), np.nan)
    known = lengths > 0
    if known.any():
        ends: npt.NDArray[np.int64] = np.cumsum(lengths[known])
        sums = np.add.reduceat(energy, ends - lengths[known])
        out[known] = 10 * np.log10(np.maximum(sums / lengths[known], 1e-20))
    return out


def _value_counts(column: pa.Array) -> list[tuple[str, int]]:
    return [(one["values"], one["counts"]) for one in pc.value_counts(column).to_pylist()]


def _public(value: Any) -> Any:
    """Return a value of a recipe without a path of this machine, which a page that is shared should not show."""
    return without_path(value) if isinstance(value, str) else value
