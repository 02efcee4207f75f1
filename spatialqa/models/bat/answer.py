"""Answers with a trained BAT: the questions of a data set, or one question about a recording.

    spatialqa answer OUT --model RUN --to preds.jsonl           then: spatialqa score preds.jsonl OUT
    spatialqa answer OUT --model RUN --to control.jsonl --silence         control: no audio
    spatialqa listen recording.wav "Where is the sound, and how far away is it?" --model RUN

Answers are appended as they come, and the same command resumes after a kill. A second file beside them,
preds.jsonl.run.json, says which weights, options and data they are of.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch
from torch import Tensor

from spatialqa.core.audio_io import written_gain_db
from spatialqa.core.console import CountProgress, stderr
from spatialqa.core.files import commit_json, sha256_of
from spatialqa.core.input_files import require_regular
from spatialqa.core.names import table_name
from spatialqa.dataset.folder import DatasetFolder, changed_keys
from spatialqa.dataset.reading import read_rows
from spatialqa.errors import ClipError, DatasetError, RecipeError
from spatialqa.models.bat.checkpoint import is_released, released_config, unpack, unpack_released
from spatialqa.models.bat.encoder_lm import llm_options
from spatialqa.models.bat.model import BAT
from spatialqa.models.bat.questions import Questions, encoded, in_parts, open_scenes, read_questions
from spatialqa.models.bat.recipe import AnswerRecipe
from spatialqa.models.data.loading import loader
from spatialqa.models.data.provenance import ORIGIN, TrainingProvenance
from spatialqa.models.data.scene_index import Rows, SceneIndex
from spatialqa.models.spatial_ast.checkpoint import load_checkpoint
from spatialqa.models.spatial_ast.inference import refuse_rate
from spatialqa.models.spatial_ast.model import SpatialAST
from spatialqa.models.training.checkpoint import ModelError, read_weights, weights_file
from spatialqa.models.training.process import autocast, choose_device

SCENES_TOGETHER = 64  # their questions are answered in the order of their lengths
LONGEST_S = 600.0  # of a recording that is read whole
UNKNOWN_PROVENANCE = TrainingProvenance(clips=None)
RELEASED_S = 10.0  # length of the paper's scenes
NORMALISED = 0.98  # peaks from here to full scale
LARGEST_GAIN_DB = 120.0


@dataclass(frozen=True)
class AnswerSummary:
    """What was written: how many answers, and how many of them were there before."""

    to: Path
    answers: int
    before: int


@dataclass(frozen=True)
class TrainingConditions:
    """What a checkpoint says of its training: houses and clips, samples of a scene (None: not stored), and controls."""

    provenance: TrainingProvenance = UNKNOWN_PROVENANCE
    n_samples: int | None = None
    ears: str = "both"
    silence: bool = False

    @classmethod
    def of(cls, stored: Any, sample_rate: int, where: Path) -> "TrainingConditions":
        """Read it as training wrote it; None is nothing known. Raises ModelError for anything else."""
        if stored is None:
            return cls()
        if not isinstance(stored, Mapping):
            raise ModelError(f"{where}: does not say what it was trained on ({stored!r:.60}); train it again")
        known = {name: stored[name] for name in ("n_samples", "ears", "silence") if name in stored}
        n_samples = known.get("n_samples")
        right = {
            "n_samples": n_samples is None or (type(n_samples) is int and 0 < n_samples <= LONGEST_S * sample_rate),
            "ears": known.get("ears", "both") in ("both", "same"),
            "silence": isinstance(known.get("silence", False), bool),
        }
        wrong = [name for name, fine in right.items() if not fine]
        try:
            provenance = TrainingProvenance.of(stored)
        except ValueError as error:
            wrong.append(str(error))
        if wrong:
            raise ModelError(
                f"{where}: cannot have been trained with {wrong[0]} {stored[wrong[0]]!r:.60}; it is damaged, or no "
                f"checkpoint of train-baseline"
            )
        return cls(provenance=provenance, **known)


class Answerer:
    """A model of a file, ready to answer.

    Args:
        checkpoint: best.pt of a run of BAT, or the run's folder.
        recipe: how to answer.

    Raises:
        ModelError: it is no such file, or its LLM cannot be had.
        RecipeError: there is no GPU where one is asked for, or a control would take away what was not there.
    """

    def __init__(self, checkpoint: Path, recipe: AnswerRecipe) -> None:
        self.file = weights_file(checkpoint)
        self.recipe = recipe
        torch.set_num_threads(recipe.threads or 1)
        self.device = choose_device(recipe.device)
        content = read_weights(self.file)
        released = is_released(content)
        bat, encoder = self._released(content) if released else self._unpacked(content)
        if encoder is None:
            raise ModelError(f"{self.file}: has no encoder; use a checkpoint of train-baseline")
        self.trained_with = TrainingConditions.of(content.get("known"), encoder.config.sample_rate, self.file)
        if released:
            n_samples = round(RELEASED_S * encoder.config.sample_rate)
            self.trained_with = TrainingConditions(n_samples=n_samples)
        if recipe.ears != "both" and (self.trained_with.silence or self.trained_with.ears == "same"):
            control = "silence" if self.trained_with.silence else "a mono downmix"
            raise RecipeError(
                f"{self.file}: was trained on {control}, so --ears {recipe.ears} has no effect: leave it out"
            )
        self.bat: BAT = bat.to(self.device)
        self.encoder: SpatialAST = encoder.to(self.device)
        self.autocast = autocast(self.device, recipe.amp)

    def _unpacked(self, content: Mapping[str, Any]) -> tuple[BAT, SpatialAST | None]:
        """Return the models of a file, with the LLM where it is now."""
        if self.recipe.encoder:
            raise RecipeError(
                f"{self.file}: has its own encoder, or is not in the released layout; leave out --encoder"
            )
        stored = content.get("bat")
        config = stored if isinstance(stored, Mapping) else {}
        options = llm_options(self.recipe.llm_dtype, self.device, bool(config.get("lora_rank")))
        llm = self.recipe.llm or config.get("llm")
        try:
            return unpack(content, self.file, self.recipe.llm, **options)
        except ModelError as error:
            if not str(error).startswith(f"llm {llm}: "):
                raise
            raise ModelError(
                f"{self.file}: {error}; where its language model has moved, name the folder with --llm"
            ) from None

    def _released(self, content: Mapping[str, Any]) -> tuple[BAT, SpatialAST]:
        """Return the models of a file in the released layout, with the encoder and the LLM that options name."""
        if self.recipe.encoder is None:
            raise RecipeError(
                f"{self.file}: is in the released layout and has no encoder: name a Spatial-AST with --encoder, and "
                f"the language model with --llm"
            )
        encoder = load_checkpoint(weights_file(self.recipe.encoder))
        config = released_config(content, self.file, self.recipe.llm)
        if encoder.config.embed_dim != config.encoder_width:
            raise ModelError(
                f"{self.recipe.encoder}: its tokens have {encoder.config.embed_dim} values, and {self.file} takes "
                f"{config.encoder_width}; name the encoder that it was trained with"
            )
        options = llm_options(self.recipe.llm_dtype, self.device, frozen=True)
        return unpack_released(content, self.file, config, **options), encoder

    def hear(self, waveform: Tensor) -> Tensor:
        """Return the encoder's tokens of waveforms (B, 2, n), or of silence, as the recipe has it."""
        silent = self.recipe.silence or self.trained_with.silence
        ears = self.recipe.ears if self.recipe.ears != "both" else self.trained_with.ears
        return encoded(self.encoder, torch.zeros_like(waveform) if silent else waveform, ears)

    def answer(self, tokens: Tensor, questions: Sequence[str]) -> list[str]:
        """Return what the model says to each question, with its rationale before; tokens: (questions, n, D)."""
        with self.autocast:
            return self.bat.generate(tokens, questions, self.recipe.beams, self.recipe.max_new_tokens)


def answer(root: Path, checkpoint: Path, to: Path, recipe: AnswerRecipe) -> AnswerSummary:
    """Answer the questions of a split into a file of JSON lines with qa_id and prediction, as `score` reads them.

    A line has a rationale too where the model wrote one.

    What the file already holds of the same run is kept; a last line that a kill cut short is made again.

    Raises:
        DatasetError: nothing is asked there, or the file holds something else or cannot be written.
        ModelError: the checkpoint cannot be used.
        RecipeError: the scenes have another rate than the model expects, or the model was trained on a control.
    """
    scenes = open_scenes([root], recipe.split)
    questions = read_questions(scenes, table_name(recipe.qa_name), recipe.types)
    model = Answerer(checkpoint, recipe)
    refuse_rate(scenes, model.encoder)
    if recipe.unseen and model.trained_with.provenance.clips is None:
        raise ModelError(
            f"{model.file}: does not say on which houses and clips it and its encoder were trained, which --unseen has "
            f"to know; train both again"
        )
    contaminated = contaminated_scenes(model.trained_with.provenance, scenes.index)
    if contaminated and not recipe.unseen:
        stderr.print(
            f"warning: {root}: {len(contaminated)} of these {len(scenes)} scenes have a house or a clip that the model "
            f"was trained on; --unseen leaves them out"
        )
    done = _claim(to, root, recipe, [model.file, *([weights_file(recipe.encoder)] if recipe.encoder else [])])
    of_scene: dict[int, list[int]] = defaultdict(list)
    for k, scene in enumerate(questions.scene.tolist()):
        of_scene[scene].append(k)
    if recipe.unseen:
        of_scene = {scene: rows for scene, rows in of_scene.items() if scene not in contaminated}
        if not of_scene:
            raise DatasetError(
                f"{root}: every scene that is asked about in the {recipe.split} split has a house or a clip that the "
                f"model was trained on"
            )
    if recipe.limit:
        chosen = sorted(of_scene)[: recipe.limit]
        of_scene = {scene: of_scene[scene] for scene in chosen}
    wanted = {questions.qa_id[k] for rows in of_scene.values() for k in rows}
    if strangers := done - wanted:
        raise DatasetError(f"{to}: holds an answer to {min(strangers)}, which is not asked here; remove it")
    first = next((k for k, rows in sorted(of_scene.items()) if any(questions.qa_id[r] not in done for r in rows)), None)
    if first is None:
        return AnswerSummary(to, len(done), len(done))
    start = first // SCENES_TOGETHER
    with CountProgress("answering") as progress:
        number = start * SCENES_TOGETHER
        for batch in loader(scenes, SCENES_TOGETHER, recipe.workers, start=start):
            own = [k for k in range(len(batch.waveform)) if number + k in of_scene]
            rows = np.array([row for k in own for row in of_scene[number + k]], dtype=np.int64)
            if any(questions.qa_id[row] not in done for row in rows):
                tokens = model.hear(batch.waveform[own])
                row_of_scene = {number + k: i for i, k in enumerate(own)}
                for part in _by_length(questions, rows, recipe.batch_size):
                    missing = [row for row in part if questions.qa_id[row] not in done]
                    if missing:
                        own_tokens = tokens[[row_of_scene[int(questions.scene[row])] for row in part]]
                        said = model.answer(own_tokens, [questions.question[row] for row in part])
                        _append(to, _lines(questions, part, said, done))
            number += len(batch.waveform)
            progress.update(min(number, len(scenes)), len(scenes))
            if number > max(of_scene):
                break
    return AnswerSummary(to, len(wanted), len(done))


def _by_length(questions: Questions, rows: Rows, batch_size: int) -> Iterator[Rows]:
    """Yield questions in batches of about the same length: the same ones whatever is done already."""
    lengths = np.array([len(questions.question[row]) for row in rows])
    order = rows[np.argsort(lengths, kind="stable")]
    for k in range(0, len(order), batch_size):
        yield order[k : k + batch_size]


def _lines(questions: Questions, rows: Rows, said: Sequence[str], done: set[str]) -> bytes:
    """Return a line for every answer that was not there."""
    lines = []
    for row, text in zip(rows, said, strict=True):
        if questions.qa_id[row] not in done:
            rationale, answer = in_parts(text)
            line = {"qa_id": questions.qa_id[row], "prediction": answer}
            if rationale:
                line["rationale"] = rationale
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def _append(to: Path, lines: bytes) -> None:
    """Put lines at the end of a file; raises DatasetError where they cannot be."""
    try:
        with to.open("ab") as file:
            file.write(lines)
    except OSError as error:
        raise DatasetError(
            f"{to}: cannot be written ({error.strerror or error}); the answers in it are kept: make room, and the same "
            f"command continues"
        ) from None


def _claim(to: Path, root: Path, recipe: AnswerRecipe, weights: Sequence[Path]) -> set[str]:
    """Make this the file of a run of answers, or check that it is this run's; return the qa_ids that it holds.

    weights: the checkpoint, and an encoder beside it.
    """
    record_file = to.with_name(f"{to.name}.run.json")
    folder, table = DatasetFolder(root), table_name(recipe.qa_name)
    record = {
        "recipe": recipe.identity() | {"types": list(recipe.types)},
        "checkpoint": "+".join(sha256_of(file) for file in weights),
        "data": folder.read_run().fingerprint_hash,
        "questions": folder.questions_identity(table),
    }
    if to.exists():
        advice = f"name another file with --to, or remove {to.name} and {record_file.name}"
        before = DatasetFolder.read_json(record_file, advice) if record_file.is_file() else {}
        if changes := changed_keys({k: before.get(k) for k in record}, record):
            raise DatasetError(
                f"{to}: holds other answers ({'; '.join(changes[:4])}); name another file with --to, or remove it"
            )
    try:
        content = to.read_bytes() if to.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        done = {json.loads(line)["qa_id"] for line in whole.splitlines()}
        if len(whole) < len(content):
            os.truncate(to, len(whole))
        commit_json(record_file, {**record, "model": str(weights[0]), "folder": str(root)})
        return done
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{to}: cannot be resumed ({' '.join(str(error).split())[:200]}); remove it") from None


def contaminated_scenes(provenance: TrainingProvenance, index: SceneIndex) -> set[int]:
    """Return which scenes, by their numbers in an index, have a house or a clip of these."""
    ids = {
        (number, row["scene_id"])
        for number, path in enumerate(index.files)
        for row in read_rows(path, ORIGIN)
        if provenance.has(row)
    }
    return {k for k, key in enumerate(zip(index.file.tolist(), index.scene_id.tolist(), strict=True)) if key in ids}


# --- one recording --------------------------------------------------------------------------------------------------


def listen(wav: Path, question: str, checkpoint: Path, recipe: AnswerRecipe, gain_db: float | None = None) -> str:
    """Return the answer to a question about a binaural recording.

    It is resampled to the model's rate, and cut or padded with silence to the length that the model was trained with.
    Without its gain its level is that at the ears: 0 dBFS is what a sound of 0 dBFS gives at a metre ahead. Warnings
    on stderr say what is cut or padded, and which level is in doubt.

    Args:
        wav: the file.
        question: about it.
        checkpoint: a trained run, or its best.pt.
        recipe: how to answer.
        gain_db: of the file over the level at the ears; by default what a scene that `preview` wrote says, or 0.

    Raises:
        ClipError: the file cannot be read, or is not a sound of two channels, or the gain cannot be.
        ModelError: the checkpoint cannot be used.
        RecipeError: there is no GPU where one is asked for, or the model was trained on a control.
    """
    waveform, rate, written_db = read_binaural(wav)
    if not question.strip():
        raise ClipError(f"{wav}: ask something about it")
    gain = gain_db if gain_db is not None else written_db
    warn_of_level(waveform, wav, known=gain_db is not None)  # a tool that normalises keeps comments
    if gain is not None:
        if not abs(gain) <= LARGEST_GAIN_DB:
            raise ClipError(
                f"{wav}: a gain of {gain:g} dB is not possible; give one within {LARGEST_GAIN_DB:g} dB of 0"
            )
        waveform = waveform * np.float32(10.0 ** (-gain / 20.0))
    model = Answerer(checkpoint, recipe)
    at = int(model.encoder.config.sample_rate)
    if rate != at:
        waveform = soxr.resample(waveform.T, rate, at).T
    fitted = fit(waveform, model.trained_with.n_samples or waveform.shape[1], at, wav)
    (said,) = model.answer(model.hear(torch.from_numpy(fitted)[None]), [question])
    return in_parts(said)[1]


def read_binaural(path: Path) -> tuple[npt.NDArray[np.float32], int, float | None]:
    """Return a recording, float32 (2, n), left then right, its rate in Hz, and the gain in dB that it names, if any.

    Raises:
        ClipError: it cannot be read, has not two channels, is empty or longer than ten minutes.
    """
    try:
        require_regular(path)
        with soundfile.SoundFile(path) as file:
            if file.channels != 2:
                raise ClipError(
                    f"{path}: has {file.channels} channel{'s' * (file.channels != 1)}, and the model listens with two "
                    f"ears: give a binaural recording, left and right"
                )
            if file.frames > LONGEST_S * file.samplerate:
                raise ClipError(f"{path}: is longer than {LONGEST_S / 60:.0f} minutes: cut out what you ask about")
            audio, rate, gain_db = file.read(dtype="float32", always_2d=True), file.samplerate, written_gain_db(file)
    except (soundfile.SoundFileError, OSError) as error:
        raise ClipError(f"{path}: cannot be read as sound ({' '.join(str(error).split())[:200]})") from None
    if not len(audio) or not np.isfinite(audio).all():
        raise ClipError(f"{path}: {'is empty' if not len(audio) else 'has samples that are not numbers'}")
    return np.ascontiguousarray(audio.T), rate, gain_db


def warn_of_level(waveform: npt.NDArray[np.float32], where: Path, known: bool) -> None:
    """Say so where a recording is silent, or of unknown gain with its peak where normalising or clipping puts it."""
    peak = float(np.abs(waveform).max())
    if peak == 0.0:
        stderr.print(f"warning: {where}: is silent")
    elif not known and NORMALISED <= peak <= 1.0:
        stderr.print(
            f"warning: {where}: peaks at full scale, as what was normalised or clipped does; the model takes its level "
            f"for that at the ears, so the distance may be wrong; give its --gain-db"
        )


def fit(waveform: npt.NDArray[np.float32], n_samples: int, sample_rate: int, where: Path) -> npt.NDArray[np.float32]:
    """Return a recording (2, n) with this many samples: its loudest stretch, or with silence after it; says so."""
    n = waveform.shape[1]
    long, wanted = f"{where}: is {n / sample_rate:.1f} s long", f"{n_samples / sample_rate:g} s"
    if n > n_samples:
        power = np.concatenate([[0.0], np.cumsum((waveform.astype(np.float64) ** 2).sum(0))])
        starts = np.arange(0, n - n_samples + 1, max(1, sample_rate // 10))
        first = int(starts[np.argmax(power[starts + n_samples] - power[starts])])
        begin = f"{first / sample_rate:.1f} s"
        stderr.print(f"warning: {long}; the model hears the loudest {wanted} of it, from {begin} on")
        return np.ascontiguousarray(waveform[:, first : first + n_samples], dtype=np.float32)
    if n < n_samples:
        stderr.print(f"warning: {long}; silence follows, up to the {wanted} that the model was trained with")
    return np.pad(waveform, ((0, 0), (0, n_samples - n))).astype(np.float32)
