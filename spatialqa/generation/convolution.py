"""Convolves dry signals with the RIRs of a group, block by block (overlap-add)."""

import math
from collections.abc import Sequence

import numpy as np
import scipy.fft

from spatialqa.core.audio_io import Audio

_LEAST_OVER_RIR = 1.4  # samples of a block's transform, over those of the RIR
_LEAST = 8192  # of its samples
_AT_ONCE = 4  # blocks: as many as one vector of float32 holds on every processor, and few enough for the cache


class Convolver:
    """Convolves mono signals with one RIR, whose spectrum is computed once.

    rir: float32 (channels, m), linear.
    """

    def __init__(self, rir: Audio) -> None:
        self._length = rir.shape[1]
        self._fft = max(_LEAST, 1 << math.ceil(math.log2(_LEAST_OVER_RIR * self._length)))
        self._block = self._fft - self._length + 1
        self._spectra = scipy.fft.rfft(rir, self._fft)

    def __call__(self, dry: Audio) -> Audio:
        """Return a mono signal (n,) convolved with every channel: float32 (channels, n + m - 1)."""
        blocks = -(-len(dry) // self._block)
        pieces = np.zeros((blocks, self._block), dtype=np.float32)
        pieces.reshape(-1)[: len(dry)] = dry
        wet = np.zeros((len(self._spectra), blocks * self._block + self._length - 1), dtype=np.float32)
        for first in range(0, blocks, _AT_ONCE):
            spectra = scipy.fft.rfft(pieces[first : first + _AT_ONCE], self._fft)
            for channel, spectrum in zip(wet, self._spectra, strict=True):
                for k, piece in enumerate(scipy.fft.irfft(spectra * spectrum, self._fft, overwrite_x=True), first):
                    channel[k * self._block : k * self._block + self._fft] += piece
        return wet[:, : len(dry) + self._length - 1]

    def played(self, dry: Audio, plays: Sequence[tuple[int, int]], n_samples: int) -> Audio:
        """Return what a signal that plays a sound several times gives, up to a last sample.

        Args:
            dry: float32 (n,), which repeats the sound of its first play.
            plays: the samples [first, last) of `dry` of each play. All have the same sound; the last may be cut off, at
                `n_samples`.
            n_samples: samples to return at most.

        Returns:
            float32 (channels, the lesser of n_samples and n + m - 1).
        """
        once = self(dry[plays[0][0] : plays[0][1]])
        if len(plays) == 1:
            return once[:, :n_samples]
        wet = np.zeros((len(once), min(n_samples, len(dry) + self._length - 1)), dtype=np.float32)
        for begin, _ in plays:
            rest = wet[:, begin : begin + once.shape[1]]
            rest += once[:, : rest.shape[1]]
        return wet
