"""Questions as training batches: the `qa` table joined to what the encoder computes from each question's scene.

    scenes = open_scenes([OUT], "train")
    questions = read_questions(scenes, "qa")
    lengths = np.array([len(text) for text in questions.question])
    question_set = QuestionSet(questions, encoder_rows(scenes, encoder, cache, {"encoder": "one"}), lengths)
    for rows in question_set.batches(32, seed=0, epoch="0/0"):
        batch = question_set.read(rows)

The order is a pure function of seed and epoch, so a run resumes in the middle of an epoch by leaving out what is done.
Questions of about the same length share a batch, since the shorter ones are padded.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spatialqa.core import seeds
from spatialqa.dataset.folder import DatasetFolder, split_of
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import DatasetError
from spatialqa.models.data.feature_cache import CachedScenes
from spatialqa.models.data.scene_index import Rows
from spatialqa.models.data.scenes import SceneDataset
from spatialqa.models.spatial_ast.inference import hear
from spatialqa.models.spatial_ast.model import SpatialAST, maps_identity

ANY_NUMBER = range(1, 100)  # of sources
POOLED = 32  # batches whose questions are sorted by length together

SO = " -> "  # after what an answer follows from; in no answer

_COLUMNS = ("qa_id", "scene_id", "type", "subtype", "question", "answer")
_SIDE = re.compile(r"\b(left|right)(?! (?:now|here|that)\b)", re.IGNORECASE)
_HOUR = re.compile(r"\b(1[0-2]|[1-9])(?= o'clock)")
_OTHER_SIDE = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "LEFT": "RIGHT", "RIGHT": "LEFT"}


class NoQuestionsError(DatasetError):
    """A split of whole data sets has no question of these types."""


# --- the tables -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Questions:
    """Rows of `qa`. scene: int64 (questions,), the row of the index of scenes that each is asked about."""

    qa_id: list[str]
    type: list[str]
    subtype: list[str]
    question: list[str]
    answer: list[str]
    scene: Rows

    def __len__(self) -> int:
        return len(self.qa_id)

    def take(self, rows: Rows) -> "Questions":
        """Return some of them."""
        columns = (self.qa_id, self.type, self.subtype, self.question, self.answer)
        qa_id, kind, subtype, question, answer = ([column[k] for k in rows] for column in columns)
        return Questions(qa_id, kind, subtype, question, answer, self.scene[rows])


def open_scenes(roots: Sequence[Path], split: str) -> SceneDataset:
    """Return the scenes of a split with any number of sources, in the order of the files."""
    return SceneDataset(roots, split, [], ANY_NUMBER, shuffle=False)


def data_sets(scenes: SceneDataset) -> list[Path]:
    """Return the folders that scenes come from."""
    return list(dict.fromkeys(path.parent.parent for path in scenes.index.files))


def in_parts(said: str) -> tuple[str, str]:
    """Return the rationale, or "", and the answer of what a model says."""
    rationale, _, answer = said.rpartition(SO.strip())
    return rationale.strip(), answer.strip()


def read_questions(
    scenes: SceneDataset, table: str, types: Sequence[str] | None = None, *, rationale: bool = False
) -> Questions:
    """Return what is asked of these scenes, in the order of the tables.

    Args:
        scenes: of one or several data sets.
        table: "qa" or "qa-NAME".
        types: of questions; all by default.
        rationale: give the answers of questions with a rationale as "RATIONALE -> ANSWER".

    Raises:
        DatasetError: a data set has no such table, a question is about a scene that is not there, or no question has
            the rationale that is asked for.
        NoQuestionsError: there is no such question.
    """
    index, roots = scenes.index, data_sets(scenes)
    root_of_file = np.array([roots.index(path.parent.parent) for path in index.files])
    columns: dict[str, list[str]] = {name: [] for name in _COLUMNS}
    rows: list[int] = []
    explained = 0
    for number, root in enumerate(roots):
        folder = DatasetFolder(root)
        files = [path for path in folder.tables(table) if split_of(path) == scenes.split]
        if not files:
            there = ", ".join(folder.question_tables()) or "none"
            raise DatasetError(
                f"{root}: holds no questions of the {scenes.split} split in {table!r} (it has {there}); run `spatialqa "
                f"make-qa {root}` first"
            )
        own = np.flatnonzero(root_of_file[index.file] == number)
        row_of = dict(zip(index.scene_id[own].tolist(), own.tolist(), strict=True))
        for path in files:
            for row in read_rows(path, (*_COLUMNS, "rationale"), batch_rows=8192):
                if types is not None and row["type"] not in types:
                    continue
                if row["scene_id"] not in row_of:
                    raise DatasetError(f"{path}: {row['qa_id']} is about a scene that is not there; run make-qa again")
                rows.append(row_of[row["scene_id"]])
                if rationale and row["rationale"] is not None:
                    row["answer"] = f"{row['rationale']}{SO}{row['answer']}"
                    explained += 1
                for name in _COLUMNS:
                    columns[name].append(row[name])
    of = f" of type {', '.join(types)}" if types is not None else ""
    if not rows:
        raise NoQuestionsError(
            f"{', '.join(map(str, roots))}: nothing{of} is asked in the {scenes.split} split; see --types of make-qa"
        )
    if rationale and not explained:
        raise DatasetError(
            f"{', '.join(map(str, roots))}: no question{of} in the {scenes.split} split has a rationale; run "
            f"`spatialqa make-qa --rationale --rationale-form brief`, or train without --rationale"
        )
    qa_id, _, kind, subtype, question, answer = columns.values()
    return Questions(qa_id, kind, subtype, question, answer, np.array(rows, dtype=np.int64))


# --- what the encoder makes of scenes -------------------------------------------------------------------------------


def encoder_rows(
    scenes: SceneDataset,
    encoder: SpatialAST,
    folder: Path,
    identity: Mapping[str, Any],
    *,
    frozen: bool = True,
    ears: str = "both",
    silence: bool = False,
    mirror: bool = False,
    workers: int = 0,
) -> npt.NDArray[np.float16]:
    """Return what an encoder makes of scenes, float16 (scenes, 1, ...), or 2 with tokens of swapped channels.

    Maps are those that Spatial-AST is trained on, in the same files, and are mirrored when they are read.

    Args:
        scenes: as open_scenes has them.
        encoder: in evaluation mode.
        folder: where it is kept; read again by later runs.
        identity: of the encoder's weights, plain values.
        frozen: the tokens; else the maps that a trained encoder starts from.
        ears: what it is given, see inference.hear.
        silence: a control: all scenes have the row of silence, and none is read.
        mirror: of tokens, also those of the scenes with swapped channels.
        workers: processes that decode scenes.
    """
    make = _maker(encoder, frozen, ears, mirror and frozen)
    if silence:
        quiet = make(torch.zeros(1, 2, scenes.index.n_samples)).cpu().numpy().astype(np.float16)
        return np.broadcast_to(quiet, (len(scenes), *quiet.shape[1:]))
    if frozen:
        what = {"bat": "tokens", "ears": ears, "mirror": mirror, **identity, "config": encoder.config.to_dict()}
    else:
        what = maps_identity(encoder) | ({"ears": ears} if ears != "both" else {})
    cached = CachedScenes(
        data_sets(scenes),
        scenes.split,
        [],
        ANY_NUMBER,
        shuffle=False,
        make=make if frozen else lambda waveform: make(waveform)[:, 0],
        folder=folder,
        identity=what,
        workers=workers,
    )
    rows: npt.NDArray[np.float16] = cached.rows if frozen else cached.rows[:, None]
    return rows


def encoded(encoder: SpatialAST, waveform: Tensor, ears: str = "both") -> Tensor:
    """Return the tokens of waveforms (B, 2, n), float32 (B, tokens, D), without a gradient."""
    return _tokens(encoder, encoder.maps(hear(waveform.to(next(encoder.parameters()).device), ears)))


def _tokens(encoder: SpatialAST, maps: Tensor) -> Tensor:
    with torch.no_grad():
        return encoder.forward_tokens(maps, mask=False).float()


def _maker(encoder: SpatialAST, frozen: bool, ears: str, mirror: bool) -> Callable[[Tensor], Tensor]:
    device = next(encoder.parameters()).device

    def make(waveform: Tensor) -> Tensor:
        maps = encoder.maps(hear(waveform.to(device), ears))
        ways = (maps, encoder.mirrored(maps)) if mirror else (maps,)
        return torch.stack([_tokens(encoder, way) if frozen else way for way in ways], dim=1)

    return make


# --- batches --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class QuestionBatch:
    """Questions and answers.

    sound: float32 (S, ...), the encoder's tokens or maps of every scene that is asked about, once as it is, flipped or
    silenced. of: int64 (B,), which of them each question is about.
    """

    sound: Tensor
    of: Tensor
    questions: list[str]
    answers: list[str]
    types: list[str]


class QuestionSet:
    """Questions and the encoder's rows of their scenes.

    Args:
        questions: what is asked; their `scene` counts rows.
        rows: float16 (scenes, 1 or 2, ...), see encoder_rows.
        length: int64 (questions,), by which they share a batch: tokens of question and answer, say.
        swapped: gives rows with swapped channels, where they are not stored: SpatialAST.mirrored, of maps.
        quiet: float16 (...), the row of silence, for audio dropout.
    """

    def __init__(
        self,
        questions: Questions,
        rows: npt.NDArray[np.float16],
        length: Rows,
        swapped: Callable[[Tensor], Tensor] | None = None,
        quiet: npt.NDArray[np.float16] | None = None,
    ) -> None:
        self.questions, self.rows, self.length, self.swapped, self.quiet = questions, rows, length, swapped, quiet

    def __len__(self) -> int:
        return len(self.questions)

    def _take(self, chosen: Rows) -> "QuestionSet":
        return QuestionSet(self.questions.take(chosen), self.rows, self.length[chosen], self.swapped, self.quiet)

    def of_types(self, types: Sequence[str]) -> "QuestionSet":
        """Return the questions of some types."""
        return self._take(np.flatnonzero(np.isin(np.array(self.questions.type, dtype=str), list(types))))

    def sample(self, n: int, seed: int) -> "QuestionSet":
        """Return n questions, as many of each type as there are; all where n is 0 or there are no more."""
        if n == 0 or n >= len(self):
            return self
        order = seeds.rng(seed, "questions", "sample").permutation(len(self))
        seen: dict[str, int] = {}
        turn = []
        for k in order:
            seen[self.questions.type[k]] = seen.get(self.questions.type[k], 0) + 1
            turn.append(seen[self.questions.type[k]])
        chosen = np.sort(order[np.argsort(turn, kind="stable")[:n]])
        return self._take(chosen)

    def batches(self, batch_size: int, seed: int, epoch: str, per_scene: int = 1) -> list[Rows]:
        """Return an epoch: every question at most once, in whole batches unless there are too few for one.

        The last few that make no whole batch are left out; they are others in every epoch.

        Args:
            batch_size: questions in a batch.
            seed: with the epoch, decides the order.
            epoch: which one.
            per_scene: up to how many questions of a scene stand together, most of them in one batch.
        """
        rng = seeds.rng(seed, "questions", epoch)
        order = rng.permutation(len(self))
        key = self.length
        if per_scene > 1:
            order, key = self._together(order, per_scene)
        size = min(batch_size, len(order))
        order = order[: len(order) // size * size]
        parts = []
        for start in range(0, len(order), POOLED * size):
            pool = order[start : start + POOLED * size]
            parts += list(pool[np.argsort(key[pool], kind="stable")].reshape(-1, size))
        return [parts[k] for k in rng.permutation(len(parts))]

    def _together(self, order: Rows, per_scene: int) -> tuple[Rows, Rows]:
        """Return the order with up to per_scene questions of a scene together, and a key to sort questions by.

        The key sorts these groups by their longest question and keeps each together.
        """
        scene = self.questions.scene
        by_scene = order[np.argsort(scene[order], kind="stable")]
        starts = np.flatnonzero(np.diff(scene[by_scene], prepend=-1))
        nth = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
        group = np.cumsum(nth % per_scene == 0) - 1  # of each row of by_scene
        longest = np.zeros(group[-1] + 1, dtype=np.int64)
        np.maximum.at(longest, group, self.length[by_scene])
        # a group stands where its first question stands in the order
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        at = place[by_scene[nth % per_scene == 0]]
        key = np.zeros(len(order), dtype=np.int64)
        key[by_scene] = longest[group] * len(order) + at[group]
        return by_scene[np.argsort(at[group], kind="stable")], key

    def in_order(self, batch_size: int) -> list[Rows]:
        """Return every question once, by length."""
        order = np.argsort(self.length, kind="stable")
        return [order[k : k + batch_size] for k in range(0, len(order), batch_size)]

    def flipped(self, seed: int, epoch: str, per_scene: int = 1) -> npt.NDArray[np.bool_]:
        """Return which questions an epoch flips left-right in sound and text (augmentation): about half of them.

        With more than one per scene, questions of a scene are flipped together.
        """
        return self._drawn(seeds.rng(seed, "mirror", epoch), per_scene) < 0.5

    def silenced(self, seed: int, epoch: str, share: float, per_scene: int = 1) -> npt.NDArray[np.bool_]:
        """Return of which questions an epoch silences the audio (audio dropout): about this share of them.

        With more than one per scene, questions of a scene are silenced together.
        """
        return self._drawn(seeds.rng(seed, "silent", epoch), per_scene) < share

    def _drawn(self, rng: np.random.Generator, per_scene: int) -> npt.NDArray[np.float64]:
        return rng.random(len(self)) if per_scene == 1 else rng.random(len(self.rows))[self.questions.scene]

    def read(
        self,
        rows: Rows,
        flipped: npt.NDArray[np.bool_] | None = None,
        silenced: npt.NDArray[np.bool_] | None = None,
    ) -> QuestionBatch:
        """Return these questions.

        Args:
            rows: which ones.
            flipped: bool (questions,), those whose left and right change places, in sound and text.
            silenced: bool (questions,), those with silence in the place of their sound.
        """
        own = np.zeros(len(rows), dtype=np.bool_) if flipped is None else flipped[rows]
        silent = np.zeros(len(rows), dtype=np.bool_) if silenced is None else silenced[rows]
        asked: Rows = np.stack([self.questions.scene[rows], own.astype(np.int64), silent.astype(np.int64)], axis=1)
        (scene, turned, hushed), of = _distinct(asked)
        stored = self.rows.shape[1] > 1
        sound = self.rows[scene, turned * stored].astype(np.float32)
        if turned.any() and not stored:
            assert self.swapped is not None
            sound[turned == 1] = self.swapped(torch.from_numpy(sound[turned == 1])).numpy()
        if hushed.any():
            assert self.quiet is not None
            sound[hushed == 1] = self.quiet
        texts = [
            [mirrored(column[k]) if turn else column[k] for k, turn in zip(rows, own, strict=True)]
            for column in (self.questions.question, self.questions.answer)
        ]
        types = [self.questions.type[k] for k in rows]
        return QuestionBatch(torch.from_numpy(sound), torch.from_numpy(of), texts[0], texts[1], types)


def _distinct(rows: Rows) -> tuple[Rows, Rows]:
    """Return the columns of the distinct rows, in the order of their first occurrence, and which one each row is."""
    _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rows[first[order]].T, rank[which.reshape(-1)]


def mirrored(text: str) -> str:
    """Return a question or an answer as it is when left and right change places.

    "right now", "right here" and "is it right that" are not sides. Hours are counted from the nose: 3 o'clock and 9
    o'clock change places.
    """
    swapped = _SIDE.sub(lambda match: _OTHER_SIDE.get(match[1], match[1]), text)
    return _HOUR.sub(lambda match: str(12 - int(match[1]) % 12), swapped)
