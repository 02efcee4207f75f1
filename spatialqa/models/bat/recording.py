"""One question about one binaural recording.

spatialqa listen recording.wav "Where is the sound, and how far away is it?" --model RUN
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch

from spatialqa.core.audio_io import written_gain_db
from spatialqa.core.console import stderr
from spatialqa.core.input_files import require_regular
from spatialqa.errors import ClipError
from spatialqa.models.bat.answerer import LONGEST_S, Answerer
from spatialqa.models.bat.questions import in_parts
from spatialqa.models.bat.recipe import AnswerRecipe

NORMALISED = 0.98  # peaks from here to full scale
LARGEST_GAIN_DB = 120.0


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
