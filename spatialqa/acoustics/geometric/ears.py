"""What an engine hears with: one head or set of microphones, or a folder of heads of which each call names one."""

import functools
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from spatialqa.acoustics.geometric.carriers import Carriers, noise_carriers
from spatialqa.acoustics.geometric.parametric_head import parametric_head
from spatialqa.acoustics.geometric.receiver import Receiver, binaural, frontal_lag, microphones
from spatialqa.acoustics.geometric.sofa_head import sofa_head
from spatialqa.acoustics.head_set import head_set, refuse_no_subject

NO_HRTF = "none"  # of microphones
_KEPT = 4  # heads of a folder that are kept ready, 30 MB each


class Ears(NamedTuple):
    """A receiver and its stored noise, see receiver.py and carriers.py, and its lag in samples, 0 of microphones."""

    receiver: Receiver
    carriers: Carriers
    lag: float


def _from_file(hrtf: Path, sample_rate: int) -> tuple[Receiver, str]:
    head = sofa_head(hrtf, sample_rate)
    return binaural(head, sample_rate), head.label


@functools.lru_cache(maxsize=2)
def _built_in(sample_rate: int, speed_m_s: float) -> tuple[Receiver, str]:
    """Return the built-in head, which engines of one process share: it takes a tenth of a second."""
    head = parametric_head(sample_rate, speed_m_s=speed_m_s)
    return binaural(head, sample_rate), head.label


class EarsSource:
    """Makes ears when they are first needed, and keeps them.

    Args:
        sample_rate: Hz.
        hrtf: a SOFA file, a folder of them, or None for the built-in head.
        channels: see `GeometricEngine`.
        speed_m_s: of sound, for the built-in head.

    Raises:
        EngineError: the file or folder cannot be used.
    """

    def __init__(self, sample_rate: int, hrtf: Path | None, channels: str, speed_m_s: float) -> None:
        self._sample_rate = sample_rate
        self._ready: OrderedDict[str, Ears] = OrderedDict()
        self._receiver: Receiver | None = None
        self._is_binaural = channels == "binaural"
        self.heads = head_set(hrtf)
        if channels != "binaural":
            self._receiver, self.label = microphones(channels, sample_rate), NO_HRTF
        elif self.heads is not None:
            self.label = self.heads.label
        else:
            self._receiver, self.label = _from_file(hrtf, sample_rate) if hrtf else _built_in(sample_rate, speed_m_s)

    @property
    def lag(self) -> float | None:
        """The lag of its ears in samples; None where there are several heads."""
        return None if self._receiver is None else self._lag_of(self._receiver)

    def _lag_of(self, receiver: Receiver) -> float:
        return frontal_lag(receiver) if self._is_binaural else 0.0

    def of(self, subject: str | None) -> Ears:
        """Return the ears of a subject of the folder, or the only ones for None.

        Raises:
            EngineError: the folder has no such subject, or several and none is named.
        """
        name = subject or self.label
        if name not in self._ready:
            self._ready[name] = self._made(subject)
            if len(self._ready) > _KEPT:
                self._ready.popitem(last=False)
        self._ready.move_to_end(name)
        return self._ready[name]

    def prepare(self) -> None:
        """Make the only ears, if there are not several heads."""
        if self._receiver is not None:
            self.of(None)

    def _made(self, subject: str | None) -> Ears:
        receiver = self._receiver
        if receiver is None:
            assert self.heads is not None
            if subject is None:
                refuse_no_subject(self.heads)
            path = self.heads.file(str(subject))
            receiver = binaural(sofa_head(path, self._sample_rate), self._sample_rate)
        return Ears(receiver, noise_carriers(receiver), self._lag_of(receiver))
