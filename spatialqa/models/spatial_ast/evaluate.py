"""Evaluates checkpoints of Spatial-AST on a split of data sets: the paper's figures beside constant baselines.

    spatialqa train-baseline OUT --evaluate RUN                 a run's best checkpoint, on OUT's test split
    spatialqa train-baseline OUT --evaluate RUN1,RUN2,RUN3      several training seeds: mean and spread
    spatialqa train-baseline OUT --evaluate RUN --ears swapped  control: channels swapped, left and right change places
    spatialqa train-baseline OUT --evaluate RUN --ears same     control: mono downmix, left or right falls to chance

Figures are of all sounds, of those in line of sight, of the occluded ones, and of those that make-qa asks about; all
by distance and by DRR too. Only scenes with one source are evaluated. The same checkpoint on the same scenes gives the
same figures: nothing is random.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from spatialqa.core.charts import write_svg
from spatialqa.core.console import stderr, stdout
from spatialqa.core.files import commit_json
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_scenes, scene_files
from spatialqa.errors import DatasetError
from spatialqa.models.data.loading import loader
from spatialqa.models.data.scenes import SceneDataset
from spatialqa.models.spatial_ast import metrics, plots
from spatialqa.models.spatial_ast.checkpoint import read_encoder
from spatialqa.models.spatial_ast.inference import posterior_of, predict, refuse_rate
from spatialqa.models.spatial_ast.metrics import Figure, GroundTruth, Positions, Posterior
from spatialqa.models.spatial_ast.recipe import TrainRecipe
from spatialqa.models.training.checkpoint import BEST, weights_file
from spatialqa.models.training.process import choose_device
from spatialqa.qa.ask_options import AskOptions
from spatialqa.scoring.intervals import FEWEST_HOUSES

_TITLES = {
    "map": "mAP, %",
    "mae_deg": "MAE, degrees",
    "er20": "ER20, %",
    "der": "DER over 0.5 m, %",
    "der_classes": "DER over 1 class, %",
    "left_right": "left or right, %",
    "front_behind": "front or behind, %",
    "above_below": "above or below, %",
    "octant": "octant, %",
}
PARTS = ("all", "line of sight", "occluded", "asked")


@dataclass(frozen=True)
class Evaluation:
    """The figures of one checkpoint.

    `parts` has those of all sounds, of those in line of sight, of the occluded ones, and of those whose direction
    make-qa asks about: 5 degrees or more from every plane where a direction word changes.
    """

    checkpoint: str
    data: tuple[str, ...]
    split: str
    ears: str
    n: Mapping[str, int]
    n_houses: int
    n_houses_trained_on: int | None  # of those; 0 where the split is truly held out, None where it is not known
    n_classes: int
    direction_decoder: str
    distance_decoder: str
    decoders: Mapping[str, float]  # MAE in degrees and DER of every decoder, on these sounds
    parts: Mapping[str, Mapping[str, Figure]]
    by_distance: Sequence[Mapping[str, float | int | None]]
    by_drr: Sequence[Mapping[str, float | int | None]]
    octants: Sequence[Sequence[int]]  # rows: where sounds are; columns: where they were put, both as metrics.OCTANTS

    def as_json(self) -> dict[str, Any]:
        """Return the plain form; shares are 0 to 1."""
        return {**asdict(self), "octant_names": list(metrics.OCTANTS)}


def read_ground_truth(folder: Path, split: str, vocabulary: Sequence[str]) -> tuple[list[str], GroundTruth]:
    """Return the ids of a split's one-source scenes, in the order of the files, and the ground truth of their sounds.

    It is read from the tables, independently of the batches that training is given.
    """
    number = {mid: k for k, mid in enumerate(vocabulary)}
    scenes = [
        scene
        for path in scene_files(DatasetFolder(folder), split)
        for scene in read_scenes(path)
        if len(scene.sources) == 1
    ]
    sources = [scene.sources[0] for scene in scenes]
    classes = np.zeros((len(scenes), len(vocabulary)), dtype=np.bool_)
    for row, source in enumerate(sources):
        classes[row, [number[mid] for mid in source.mids if mid in number]] = True
    columns = np.array([(s.azimuth_deg, s.elevation_deg, s.distance_m) for s in sources]).reshape(-1, 3).T
    drr = [np.nan if s.drr_db is None else s.drr_db for s in sources]
    seen = [-1 if s.line_of_sight is None else int(s.line_of_sight) for s in sources]
    truth = GroundTruth(
        Positions(*columns),
        classes,
        [f"{scene.room_set}/{scene.house_id}" for scene in scenes],
        np.array(drr, dtype=np.float64),
        np.array(seen, dtype=np.int64),
    )
    return [scene.scene_id for scene in scenes], truth


def read_ground_truths(folders: Sequence[Path], split: str, vocabulary: Sequence[str]) -> tuple[list[str], GroundTruth]:
    """Return `read_ground_truth` of several data sets, one after the other.

    Raises:
        DatasetError: there is no one-source scene.
    """
    read = [read_ground_truth(folder, split, vocabulary) for folder in folders]
    truths = [truth for _, truth in read]
    ids = [scene_id for own, _ in read for scene_id in own]
    if not ids:
        raise DatasetError(
            f"{', '.join(map(str, folders))}: the {split} split has no scene with one source to evaluate; render with "
            f"--sources-per-scene 1=1"
        )
    positions = Positions(
        *(
            np.concatenate([getattr(truth.positions, name) for truth in truths])
            for name in ("azimuth_deg", "elevation_deg", "distance_m")
        )
    )
    return ids, GroundTruth(
        positions,
        np.concatenate([truth.classes for truth in truths]),
        [house for truth in truths for house in truth.house],
        np.concatenate([truth.drr_db for truth in truths]),
        np.concatenate([truth.line_of_sight for truth in truths]),
    )


def evaluate(folders: Sequence[Path], checkpoint: Path, recipe: TrainRecipe, device: torch.device) -> Evaluation:
    """Judge one checkpoint, a file or a run's folder, on the split `recipe.split` of data sets.

    Raises:
        ModelError: it is neither a checkpoint of a training run of ours nor one in the reference's layout.
        DatasetError: the data sets have no such scenes.
    """
    trained = read_encoder(weights_file(checkpoint))
    ids, truth = read_ground_truths(folders, recipe.split, trained.vocabulary)
    data = SceneDataset(folders, recipe.split, trained.vocabulary, 1, shuffle=False)
    model = trained.model.to(device)
    refuse_rate(data, model)
    batches = (batch.waveform for batch in loader(data, recipe.batch_size, recipe.workers))
    posterior = posterior_of(predict(model, batches, device, recipe.ears))
    assert ids == data.index.scene_id.tolist()
    return judge(posterior, truth, str(checkpoint), folders, recipe, trained.decoders, trained.houses)


def judge(
    posterior: Posterior,
    truth: GroundTruth,
    checkpoint: str,
    folders: Sequence[Path],
    recipe: TrainRecipe,
    decoders: Mapping[str, str],
    trained_on: Collection[str] | None = (),
) -> Evaluation:
    """Return every figure of what a model believes, against what is true.

    trained_on: the houses that it was trained on; None where that is not known.
    """
    best = decoders["direction"], decoders["distance"]
    direction, distance = best if recipe.decode == "auto" else metrics.DECODERS[recipe.decode]
    positions = metrics.decode(posterior, direction, distance)
    columns = metrics.errors(positions, truth.positions)
    everything = np.arange(len(truth.house))
    in_sight = truth.line_of_sight
    asked = metrics.plane_angles_deg(truth.positions).min(1) >= AskOptions.direction_margin_deg
    chosen = (everything, np.flatnonzero(in_sight == 1), np.flatnonzero(in_sight == 0), np.flatnonzero(asked))
    rows = dict(zip(PARTS, chosen, strict=True))
    known = np.ones(truth.classes.shape[1], dtype=np.bool_)
    parts, n_classes = {}, 0
    for name, own in rows.items():
        if len(own):
            parts[name] = metrics.figures(columns, truth, own)
            if scored := metrics.mean_average_precision(posterior.classes, truth, known, own):
                parts[name] = {"map": scored[0], **parts[name]}
                n_classes = max(n_classes, scored[1])
    return Evaluation(
        checkpoint,
        tuple(map(str, folders)),
        recipe.split,
        recipe.ears,
        {name: len(own) for name, own in rows.items()},
        len(set(truth.house)),
        None if trained_on is None else len(set(truth.house).intersection(trained_on)),
        n_classes,
        direction,
        distance,
        metrics.best_decoders(posterior, truth.positions)[2],
        parts,
        metrics.by_bin(columns, truth.positions.distance_m, metrics.DISTANCE_EDGES_M),
        metrics.by_bin(columns, truth.drr_db, metrics.DRR_EDGES_DB),
        metrics.octant_confusion(positions, truth.positions).tolist(),
    )


def evaluate_all(folders: Sequence[Path], checkpoints: Sequence[Path], recipe: TrainRecipe) -> list[Evaluation]:
    """Judge several checkpoints, print the figures (mean and spread where there are several) and write them down.

    Each run's folder gets evaluation-SPLIT.json and .svg, with the ears in the name where they are not both.
    """
    torch.set_num_threads(recipe.threads or 1)
    device = choose_device(recipe.device)
    found = []
    for checkpoint in checkpoints:
        evaluation = evaluate(folders, checkpoint, recipe, device)
        ears = "" if recipe.ears == "both" else f"-ears-{recipe.ears}"
        into = checkpoint if checkpoint.is_dir() else checkpoint.parent
        of = "" if checkpoint.is_dir() or checkpoint.name == BEST else f"{checkpoint.stem}-"
        name = f"{of}evaluation-{recipe.split}{ears}"
        commit_json(into / f"{name}.json", evaluation.as_json())
        title = f"{into.name} on {', '.join(folder.name for folder in folders)}, {recipe.split}{ears}"
        parts = (evaluation.octants, evaluation.by_distance, evaluation.by_drr)
        write_svg(into / f"{name}.svg", plots.evaluation(title, *parts))
        stdout.print(f"{into / name}.json and .svg written")
        found.append(evaluation)
    print_evaluations(found)
    return found


def print_evaluations(found: Sequence[Evaluation]) -> None:
    """Print the figures of one checkpoint with their intervals, or of several as mean and spread."""
    first = found[0]
    table = Table("", box=None)
    for part in PARTS:
        table.add_column(f"{part}, n {first.n[part]}", justify="right")
        table.add_column("constant", justify="right")
    for name, title in _TITLES.items():
        cells = []
        for part in PARTS:
            own = [evaluation.parts[part][name] for evaluation in found if name in evaluation.parts.get(part, {})]
            n = first.n[part]
            cells += [_value(own, name, n), _shown([own[0].constant], name, n)] if own else ["-", "-"]
        table.add_row(title, *cells)
    for row in _other_decoders(found):
        table.add_row(*row)
    Console(width=max(stdout.width, 160), highlight=False).print(table)
    few = first.n_houses < FEWEST_HOUSES
    over = f"scenes, too narrow with {first.n_houses} of {FEWEST_HOUSES} houses" if few else "houses"
    many = f"mean and standard deviation of {len(found)} checkpoints; " if len(found) > 1 else f"95 % over {over}; "
    if min(first.n.values()) < metrics.FEWEST_SOUNDS:
        many += f"below {metrics.FEWEST_SOUNDS} scenes: counts instead of percentages; "
    stdout.print(
        f"{many}{first.n_houses} houses of the {first.split} split of {', '.join(first.data)}, ears: {first.ears}; mAP "
        f"over {first.n_classes} classes; constant: the best constant answer, for mAP the label prior; asked: "
        f"{AskOptions.direction_margin_deg:g} degrees or more from every plane where a direction word changes, as "
        f"make-qa asks"
    )
    for evaluation in found:
        if evaluation.n_houses_trained_on is None:
            stderr.print(f"{evaluation.checkpoint}: does not say which houses and clips it was trained on")
        elif evaluation.n_houses_trained_on:
            stderr.print(
                f"warning: {evaluation.checkpoint} was trained on {evaluation.n_houses_trained_on} of these houses"
            )
        stdout.print(
            f"{evaluation.checkpoint}: direction by {evaluation.direction_decoder}, distance by "
            f"{evaluation.distance_decoder}"
        )


def _other_decoders(found: Sequence[Evaluation]) -> Iterator[tuple[str, str]]:
    """Yield a row for each decoder that the headline does not have: MAE, or DER over 0.5 m, of all sounds."""
    first, n = found[0], found[0].n["all"]
    for label in first.decoders:
        kind, decoder = label.split()
        if decoder != (first.direction_decoder if kind == "direction" else first.distance_decoder):
            name = "mae_deg" if kind == "direction" else "der"
            yield f"{_TITLES[name]}: {decoder}", _shown([e.decoders[label] for e in found], name, n)


def _value(figures: Sequence[Figure], name: str, n: int) -> str:
    low, high = figures[0].low, figures[0].high
    shown = _shown([figure.value for figure in figures], name, n)
    if len(figures) > 1 or low is None or high is None or n < metrics.FEWEST_SOUNDS:
        return shown
    return f"{shown} ({_scaled(low, name)} - {_scaled(high, name)})"


def _shown(values: Sequence[float], name: str, n: int) -> str:
    """Return a figure, or mean and standard deviation of several; of few sounds no percentage but a count."""
    mean = float(np.mean(values))
    if n < metrics.FEWEST_SOUNDS and name != "mae_deg":
        return "-" if name == "map" else f"{n * mean:.3g} of {n}"
    return _scaled(mean, name) + (f" ± {_scaled(float(np.std(values, ddof=1)), name)}" if len(values) > 1 else "")


def _scaled(value: float, name: str) -> str:
    return f"{value if name == 'mae_deg' else 100 * value:.1f}"
