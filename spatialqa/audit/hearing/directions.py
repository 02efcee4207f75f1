"""The interaural check of a data set: do the ears point to where the labels say?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.stats import binom

from spatialqa.audit.hearing.interaural import Interaural, lateral_deg, of_rir, of_sound
from spatialqa.core.audio_io import decode_flac, decode_rir
from spatialqa.core.geometry import Pose, direction
from spatialqa.core.scene import Scene, Source
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_audio, read_rows, scene_files
from spatialqa.errors import DatasetError

LATERAL_DEG = 15.0  # nearer to the median plane the sign says little
LEAST_DRR_DB = -10.0  # of a source in a scene: below, reflections hide the side
WRONG_SHARE = 0.05  # of signs in scenes that reflections may turn; none may be wrong in RIRs
SIGNIFICANCE = 0.001  # how seldom the check may fail where that share is wrong
_STRETCH_S = 0.25  # the shortest sound of a single source that is looked at
_SECTOR_DEG = 30.0
_RIR_COLUMNS = (
    "rir_id",
    "listener_position",
    "listener_orientation",
    "source_position",
    "sample_rate",
    "n_samples",
    "rir",
)


@dataclass(frozen=True)
class Ears:
    """One source: its direction by the labels, and what the ears get of it. drr_db: of sources in scenes."""

    where: str  # the scene or RIR
    azimuth_deg: float
    lateral_deg: float
    cues: Interaural
    drr_db: float | None = None

    @property
    def lateral(self) -> bool:
        """Whether it lies far enough to a side, and its direct sound is strong enough, for its signs to count."""
        return abs(self.lateral_deg) >= LATERAL_DEG and (self.drr_db is None or self.drr_db >= LEAST_DRR_DB)

    @property
    def wrong(self) -> bool:
        """Whether both differences point to the other side."""
        return self.lateral and not self.time_right and not self.level_right

    @property
    def time_right(self) -> bool:
        """Whether the nearer ear hears it first."""
        return self.cues.itd_s * self.lateral_deg > 0.0

    @property
    def level_right(self) -> bool:
        """Whether the nearer ear hears it louder."""
        return self.cues.ild_db * self.lateral_deg > 0.0


@dataclass(frozen=True)
class Sector:
    """Sources whose azimuth is within 15 degrees of `azimuth_deg`. signs: of how many the sign counts."""

    azimuth_deg: float
    sources: int
    signs: int
    time_right: int
    level_right: int
    lateral_error_deg: float  # median of its absolute values


@dataclass(frozen=True)
class Directions:
    """The result. measured: "rirs" or "scenes".

    signs: of how many sources the sign counts; time_wrong, level_wrong, wrong: of these, how many point to the other
    side by time, by level, by both. examples: of the last, at most ten.
    """

    measured: str
    sources: int
    signs: int
    time_wrong: int
    level_wrong: int
    wrong: int
    lateral_error_deg: float | None
    sectors: tuple[Sector, ...]
    examples: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether more signs are wrong than the way of measuring explains."""
        if self.measured == "rirs":
            return self.wrong > 0
        return self.wrong > 0 and float(binom.sf(self.wrong - 1, self.signs, WRONG_SHARE)) < SIGNIFICANCE

    @classmethod
    def of(cls, measured: str, heard: Sequence[Ears]) -> "Directions":
        """Count the sources of a data set."""
        lateral = [ears for ears in heard if ears.lateral]
        wrong = [ears for ears in heard if ears.wrong]
        errors = [abs(ears.cues.lateral_deg - ears.lateral_deg) for ears in heard]
        return cls(
            measured,
            len(heard),
            len(lateral),
            sum(not ears.time_right for ears in lateral),
            sum(not ears.level_right for ears in lateral),
            len(wrong),
            float(np.median(errors)) if errors else None,
            tuple(_sectors(heard)),
            tuple(
                f"{e.where} at {e.azimuth_deg:.0f} degrees: {1e6 * e.cues.itd_s:+.0f} us, {e.cues.ild_db:+.1f} dB"
                for e in wrong[:10]
            ),
        )


def _sectors(heard: Sequence[Ears]) -> Iterator[Sector]:
    for k in range(round(360.0 / _SECTOR_DEG)):
        centre = k * _SECTOR_DEG - 150.0
        inside = [e for e in heard if abs((e.azimuth_deg - centre + 180.0) % 360.0 - 180.0) <= _SECTOR_DEG / 2]
        if inside:
            lateral = [ears for ears in inside if ears.lateral]
            yield Sector(
                centre,
                len(inside),
                len(lateral),
                sum(ears.time_right for ears in lateral),
                sum(ears.level_right for ears in lateral),
                float(np.median([abs(ears.cues.lateral_deg - ears.lateral_deg) for ears in inside])),
            )


def check_directions(folder: DatasetFolder, most: int) -> Directions | None:
    """Compare the interaural differences of sources in line of sight with their labels.

    The direct sounds of stored RIRs are used where there are any, else the sound of scenes while one source is alone:
    all of a scene with one source, or the time until the second of several begins.

    Args:
        folder: the data set.
        most: the greatest number of RIRs or scenes that are read.

    Returns:
        None where the channels are not two ears.

    Raises:
        DatasetError: a table cannot be read.
    """
    if folder.tables("rirs"):
        found = list(_of_rirs(folder, most))
        if found:
            return Directions.of("rirs", found)
    heard = list(_of_scenes(folder, most))
    return Directions.of("scenes", heard) if heard else None


def _of_rirs(folder: DatasetFolder, most: int) -> Iterator[Ears]:
    rows = (
        row
        for path in folder.tables("rirs")
        for row in read_rows(path, _RIR_COLUMNS, 64, also=("line_of_sight", "channels"))
        if row.get("line_of_sight") and row.get("channels", "binaural") == "binaural"
    )
    for row in islice(rows, most):
        try:
            rir = decode_rir(row["rir"], row["n_samples"])
        except ValueError:
            raise DatasetError(f"{folder.root}/rirs: {row['rir_id']} has another size than its n_samples") from None
        listener = Pose(tuple(row["listener_position"]), tuple(row["listener_orientation"]))
        seen = direction(listener, tuple(row["source_position"]))
        if cues := of_rir(rir, row["sample_rate"]):
            yield Ears(row["rir_id"], seen.azimuth_deg, lateral_deg(seen.azimuth_deg, seen.elevation_deg), cues)


def _of_scenes(folder: DatasetFolder, most: int) -> Iterator[Ears]:
    scenes = (pair for path in scene_files(folder) for pair in read_audio(path))
    for scene, flac in islice(scenes, most):
        alone = _alone(scene)
        if not flac or alone is None or scene.channels != "binaural":
            continue
        source, start_s, stop_s = alone
        audio, rate = decode_flac(flac)
        if cues := of_sound(audio[:, round(start_s * rate) : round(stop_s * rate)], rate):
            lateral = lateral_deg(source.azimuth_deg, source.elevation_deg)
            yield Ears(scene.scene_id, source.azimuth_deg, lateral, cues, source.drr_db)


def _alone(scene: Scene) -> tuple[Source, float, float] | None:
    """Return the first source of a scene, in line of sight, and from when to when no other sounds."""
    first, *others = sorted(scene.sources, key=lambda source: source.onset_s)
    stop_s = min((source.onset_s for source in others), default=scene.duration_s)
    return (first, first.onset_s, stop_s) if first.line_of_sight and stop_s - first.onset_s >= _STRETCH_S else None
