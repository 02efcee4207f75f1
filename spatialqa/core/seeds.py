"""Random generators keyed by (seed, stage, stable id), never by worker, order or time."""

import hashlib

import numpy as np


def _words(stage: str, stable_id: str, attempt: int) -> list[int]:
    digest = hashlib.sha256(f"{stage}\x1f{stable_id}\x1f{attempt}".encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4)]


def rng(seed: int, stage: str, stable_id: str, attempt: int = 0) -> np.random.Generator:
    """Return the generator of one draw.

    Args:
        seed: the run's non-negative seed.
        stage: what is drawn ("group", "scene", "question", ...).
        stable_id: the id of the thing drawn for; it means the same thing in every run.
        attempt: counts repeated draws of the same thing.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *_words(stage, stable_id, attempt)])))


def derived_seed(seed: int, stage: str, stable_id: str, attempt: int = 0) -> int:
    """Return a non-negative int64 that names the stream of `rng` with the same arguments."""
    state = np.random.SeedSequence([seed, *_words(stage, stable_id, attempt)]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
