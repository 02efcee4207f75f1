"""What a listener makes of plane waves: filters, gains and delays by direction.

A `Head` is what the makers of HRTFs give: impulse responses on a grid of directions, with their delays apart. A
`Receiver` is the form that the kernels of the synthesis read, of two ears (`binaural`), of first-order ambisonics, of
one microphone or of a mid-side pair. Directions are unit vectors in the frame of the head: +x right, +y up, -z nose.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.fft

from spatialqa.acoustics.geometric.bands import BANDS_HZ, band_masks
from spatialqa.acoustics.geometric.interpolation import INDEX_CELLS, neighbour_table
from spatialqa.acoustics.geometric.octahedral import cell_of
from spatialqa.acoustics.rir_metrics import direct_index
from spatialqa.core.channels import CHANNEL_NAMES

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

FRONT = (0.0, 0.0, -1.0)
LEAD = (
    32  # samples of a band's filter that may precede its arrival: a band that is cut out of a spectrum rings both ways
)
_FILTER_TAPS = 224  # after those, of receivers without an HRTF
_MOST_TAPS = 256
_REST = BANDS_HZ.index(500.0)


@dataclass(frozen=True, eq=False)
class Head:
    """Head-related impulse responses, delays apart.

    label: names the head in data sets; it changes whenever the responses do. directions: float64 (D, 3), unit vectors
    in the frame of the head, all around. responses: float32 (D, 2, n), left then right, linear, at the rate that the
    head was asked for, each beginning with its own arrival (at most a few samples before its peak). delays: float64
    (D, 2), samples, when the sound reaches each ear after it would have reached the centre of the head, had there been
    none; negative at the nearer ear.

    Levels need no calibration: an engine scales all responses by one factor.
    """

    label: str
    directions: Float64
    responses: Float32
    delays: Float64


class Receiver(NamedTuple):
    """A head or microphone as kernels read it; a plane wave of band amplitudes a from direction u sounds as

        out[c](t) = gain[c](u) * sum over i of weight[i] * sum over b of a[b] * filters[index[i], c, b](t - delay[c])

    with the three (index, weight) of the cell of u in `index_table`, and `gain[c] = gains[c, 0] + gains[c, 1:] . u`.

    filters: float32 (D, F, B, taps); sample LEAD is time zero; F is the number of channels, or 1 where all share one.
    delays: float32 (D, F), samples, interpolated as the filters are. gains: float32 (C, 4).
    index_table: int32 (n * n, 3), weight_table: float32 (n * n, 3), by octahedral cell, n = INDEX_CELLS.
    """

    filters: Float32
    delays: Float32
    gains: Float32
    index_table: npt.NDArray[np.int32]
    weight_table: Float32

    @property
    def channels(self) -> int:
        """The number of its channels."""
        return len(self.gains)


def binaural(head: Head, sample_rate: int) -> Receiver:
    """Return two ears, scaled so that a plane wave of amplitude 1 from the front has energy 1, the ears' mean."""
    index, weight = neighbour_table(head.directions)
    responses = head.responses[..., : _MOST_TAPS - LEAD]
    gains = np.zeros((2, 4), dtype=np.float32)
    gains[:, 0] = 1.0
    receiver = Receiver(_band_filters(responses, sample_rate), head.delays.astype(np.float32), gains, index, weight)
    ahead = plane_wave(receiver, FRONT).astype(np.float64)
    scale = 1.0 / np.sqrt(np.sum(ahead * ahead) / 2.0)
    return receiver._replace(filters=(receiver.filters * scale).astype(np.float32))


def microphones(channels: str, sample_rate: int) -> Receiver:
    """Return coincident microphones: `mono` (a sphere), `foa` (AmbiX) or `stereo` (a mid-side pair).

    The pair is a sphere (mid) and a figure of eight to the left (side): left is mid + side, right is mid - side.
    """
    sphere, left, up, front = (1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, -1.0)
    of_layout = {
        "mono": [sphere],
        "foa": [sphere, left, up, front],
        "stereo": [(1.0, -1.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0)],
    }
    gains = np.array(of_layout[channels], dtype=np.float32)
    assert len(gains) == len(CHANNEL_NAMES[channels])
    impulse = np.zeros((1, 1, _FILTER_TAPS), dtype=np.float32)
    impulse[..., 0] = 1.0
    cells = INDEX_CELLS * INDEX_CELLS
    weight = np.zeros((cells, 3), dtype=np.float32)
    weight[:, 0] = 1.0
    none = np.zeros((1, 1), dtype=np.float32)
    return Receiver(_band_filters(impulse, sample_rate), none, gains, np.zeros((cells, 3), dtype=np.int32), weight)


def plane_wave(receiver: Receiver, direction: tuple[float, float, float]) -> Float32:
    """Return what a plane wave of amplitude 1 in all bands sounds like, delays left out: float32 (C, taps)."""
    cell = cell_of(*direction, INDEX_CELLS)
    filters = receiver.filters.sum(axis=2)
    mixed = np.einsum("i,ict->ct", receiver.weight_table[cell], filters[receiver.index_table[cell]])
    gain = receiver.gains[:, 0] + receiver.gains[:, 1:] @ np.asarray(direction, dtype=np.float32)
    return np.asarray(gain[:, None] * mixed, dtype=np.float32)


def frontal_lag(receiver: Receiver) -> float:
    """Return the samples by which a sound from the front comes later than without a head, the mean of both ears.

    It arrives with the first sample within 20 dB of the largest, as in `rir_metrics.direct_index`.
    """
    cell = cell_of(*FRONT, INDEX_CELLS)
    delays = receiver.weight_table[cell] @ receiver.delays[receiver.index_table[cell]]
    return direct_index(plane_wave(receiver, FRONT), "binaural") - LEAD + float(delays.mean())


def _band_filters(responses: Float32, sample_rate: int) -> Float32:
    """Split responses (D, F, n) into bands that add up to them: float32 (D, F, B, LEAD + n), later by LEAD samples.

    Each band is cut out without a shift of phase, faded in over LEAD samples before the arrival and out at the end.
    What this leaves out, the ringing of the lowest bands, goes to the band at 500 Hz.
    """
    taps = responses.shape[-1] + LEAD
    n_fft = 1 << int(np.ceil(np.log2(4 * taps)))
    spectrum = scipy.fft.rfft(np.asarray(responses, dtype=np.float32), n_fft)
    masks = band_masks(n_fft, sample_rate).astype(np.float32)
    split = np.empty((*responses.shape[:-1], len(masks), taps), dtype=np.float32)
    for b, mask in enumerate(masks):
        band = scipy.fft.irfft(spectrum * mask, n_fft)
        split[..., b, :LEAD], split[..., b, LEAD:] = band[..., -LEAD:], band[..., : taps - LEAD]
    fade = np.ones(taps, dtype=np.float32)
    fade[:LEAD] = np.sin(np.pi / 2 * (np.arange(LEAD) + 0.5) / LEAD) ** 2
    tail = taps // 4
    fade[-tail:] = np.cos(np.pi / 2 * (np.arange(tail) + 0.5) / tail) ** 2
    split *= fade
    rest = -split.sum(axis=-2)
    rest[..., LEAD:] += responses
    split[..., _REST, :] += rest
    return split
