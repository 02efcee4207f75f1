"""The engine of a bank: returns stored RIRs and simulates nothing."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from spatialqa.acoustics.engine import Closing
from spatialqa.banks.bank import Bank
from spatialqa.banks.bank_rooms import BankRoom
from spatialqa.banks.open_bank import open_bank
from spatialqa.core.geometry import Pose, Vec3
from spatialqa.core.scene import EngineIdentity
from spatialqa.errors import EngineError, RoomError
from spatialqa.rooms.room import Room

Rir = npt.NDArray[np.float32]


class BankEngine:
    """Gives the RIRs of a bank at one sample rate.

    Args:
        path: see `open_bank`.
        sample_rate: Hz.
        resample: resample RIRs of another rate (soxr, very high quality) instead of refusing them. What is kept is the
            frequency response, so a sound is as loud as at the bank's own rate; the energy of the direct sound is not,
            by as much as the band gets wider or the RIR has above the new band.
        channels: what the scenes hold; a bank holds one layout.

    Raises:
        EngineError: another sample rate or layout.
        RoomError: the bank cannot be used.
    """

    def __init__(self, path: Path, sample_rate: int, resample: bool = False, channels: str = "binaural") -> None:
        bank: Bank = open_bank(path)
        facts = bank.facts
        if facts.channels != channels:
            raise EngineError(
                f"{path}: is a {facts.channels} bank and the scenes are {channels}: use --channels {facts.channels}"
            )
        rates = sorted(set(bank.index["sample_rate"].to_pylist()))
        if rates != [sample_rate] and not resample:
            raise EngineError(
                f"{path}: its RIRs are at {' and '.join(map(str, rates))} Hz and the scenes at {sample_rate} Hz: use "
                f"--sample-rate {rates[0]}, or --bank-resample"
            )
        config = {
            "bank": facts.kind,
            "channels": facts.channels,
            "rir_time_zero": facts.rir_time_zero,
            "calibrated": facts.calibrated,
            "resample": resample,
            "sample_rate": sample_rate,
            "made_with": {"engine": facts.engine, "config": facts.made_with},
        }
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        self.sample_rate = sample_rate
        self._identity = EngineIdentity(
            name=f"bank:{facts.engine}",
            version=facts.kind,
            sha256=bank.identity(),
            config=config,
            config_hash=digest[:16],
            hrtf=facts.hrtf,
            calibration_gain=1.0,
            sample_rate=sample_rate,
            seeded=True,
        )
        self._bank = bank

    @property
    def identity(self) -> EngineIdentity:
        """The bank, to the byte of its positions; its name is `bank:` and what made the RIRs."""
        return self._identity

    def open(self, room: Room) -> "BankAcoustics":
        """Return a room of the bank; raises EngineError for any other room."""
        if not isinstance(room, BankRoom):
            raise EngineError(f"a bank has no RIRs of room {room.room_id}: it serves --rooms bank:DIR only")
        return BankAcoustics(self._bank, room, self.sample_rate)


class BankAcoustics(Closing):
    """The RIRs of one room of a bank."""

    ray_efficiency: float | None = None
    warnings: tuple[str, ...] = ()

    def __init__(self, bank: Bank, room: BankRoom, sample_rate: int) -> None:
        self._bank, self._room, self._sample_rate = bank, room, sample_rate

    def rirs(self, listener: Pose, sources: Sequence[Vec3], seed: int) -> list[Rir]:
        """Return the bank's RIR of every source, in order: float32 (channels, n).

        Raises:
            RoomError: the bank has none between two of these positions, or it cannot be read.
        """
        rows = []
        for source in sources:
            row = self._room.rows.get((listener, source))
            if row is None:
                raise RoomError(
                    f"{self._bank.path}: has no RIR in room {self._room.room_id} from {source} to a listener at "
                    f"{listener.position}"
                )
            rows.append(row)
        rates = self._bank.index["sample_rate"].take(rows).to_pylist()
        return [
            resample_rir(rir, rate, self._sample_rate) for rir, rate in zip(self._bank.read(rows), rates, strict=True)
        ]

    def close(self) -> None:
        """Do nothing."""


def resample_rir(rir: Rir, old_rate: int, new_rate: int) -> Rir:
    """Return an RIR (channels, n) at another rate with the same frequency response, so that convolution has equal gain.

    An RIR stands for a continuous response times the sample period, so its samples scale by old_rate / new_rate.
    """
    if old_rate == new_rate:
        return rir
    out = soxr.resample(np.ascontiguousarray(rir.T), old_rate, new_rate, quality="VHQ")
    return np.ascontiguousarray(out.T * np.float32(old_rate / new_rate), dtype=np.float32)
