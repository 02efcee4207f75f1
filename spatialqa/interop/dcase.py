"""Writes a data set in the layout of DCASE's tasks on sound event localisation and detection (SELD).

- 2022 (2023 is the same): lines of frame,class,source,azimuth,elevation, no header; first-order ambisonics.
- 2024: the same with a distance in centimetres at the end.
- 2025: frame,class,source,azimuth,distance,onscreen with a header; stereo, so azimuths are folded to the front.

A frame is 100 ms. Angles are whole degrees, azimuth counter-clockwise from the front and elevation upwards, as here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from spatialqa.core.audio_io import Audio, decode_flac
from spatialqa.core.files import commit_file, file_name
from spatialqa.core.interrupts import interrupts_wait
from spatialqa.core.scene import Scene, Source
from spatialqa.errors import DatasetError
from spatialqa.interop.destination import Destination
from spatialqa.interop.playing import playing_s
from spatialqa.interop.samples import Samples

FRAME_S = 0.1
YEARS = (2022, 2024, 2025)
_HEADER_2025 = "frame,class,source,azimuth,distance,onscreen"
_FOLDERS = {"train": "dev-train", "validation": "dev-val", "test": "dev-test"}
_FORM = {"foa": "foa", "stereo": "stereo", "binaural": "binaural"}


@dataclass(frozen=True)
class DcaseSummary:
    """What an export holds, and what this layout cannot represent."""

    dest: Path
    scenes: int
    classes: int
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the summary in words."""
        return [f"{self.scenes} scenes, {self.classes} classes in {self.dest}", *self.notes]


def export_dcase(root: Path, dest: Path, year: int, progress: Callable[[int, int], None] | None = None) -> DcaseSummary:
    """Write FORM_dev/dev-SPLIT/SCENE.wav (16 bit), metadata_dev/dev-SPLIT/SCENE.csv and classes.csv.

    Args:
        root: the data set, of first-order ambisonics; for 2025 also binaural or stereo.
        dest: a new folder, or one in which this export was begun.
        year: one of YEARS. 2025 turns ambisonics into a mid-side pair, left (W + Y) / 2 and right (W - Y) / 2.
        progress: called with (scenes done, scenes in all).

    Raises:
        DatasetError: the data set has other channels or no audio, or the destination holds something else.
    """
    samples = Samples(root, "qa", progress)
    channels = str(samples.run.recipe.get("channels", "binaural"))
    if channels not in (("foa", "stereo", "binaural") if year == 2025 else ("foa",)):
        takes = "foa or stereo" if year == 2025 else "foa"
        raise DatasetError(f"{root}: is {channels}, and DCASE {year} takes {takes}; render it with --channels foa")
    identity = {"format": f"dcase{year}", "fingerprint": samples.run.fingerprint_hash}
    target = Destination(dest, root, identity)
    classes = _classes(samples)
    form = "stereo" if year == 2025 and channels == "foa" else _FORM[channels]
    _write(target.root / "classes.csv", "".join(f'{index},"{name}"\n' for name, index in classes.items()).encode())
    for split in samples.splits:
        for scene, flac, _ in samples.of(split):
            name = f"{_FOLDERS[split]}/{file_name(scene.scene_id, root)}"
            lines = list(frames(scene, classes, year))
            text = "".join(f"{line}\n" for line in ([_HEADER_2025] if year == 2025 else []) + lines)
            _write(target.root / f"metadata_dev/{name}.csv", text.encode())
            wav = target.root / f"{form}_dev/{name}.wav"
            if not wav.is_file():
                audio, sample_rate = decode_flac(flac)
                _write_wav(wav, _mid_side(audio) if form == "stereo" and channels == "foa" else audio, sample_rate)
    target.finish({"scenes": samples.scenes})
    return DcaseSummary(dest, samples.scenes, len(classes), tuple(_notes(year, channels)))


def frames(scene: Scene, classes: dict[str, int], year: int) -> Iterator[str]:
    """Yield a line for every frame of 100 ms of which a source plays at least half, by frame and then by source."""
    total = int(np.ceil(scene.duration_s / FRAME_S - 1e-9))
    begin = np.arange(total) * FRAME_S
    played = np.zeros((total, len(scene.sources)))
    for k, source in enumerate(scene.sources):
        for first, last in playing_s(source, scene.duration_s):
            played[:, k] += np.clip(np.minimum(begin + FRAME_S, last) - np.maximum(begin, first), 0.0, None)
    for frame, k in zip(*np.nonzero(played >= FRAME_S / 2 - 1e-9), strict=True):
        source = scene.sources[k]
        yield f"{frame},{classes[source.labels[0]]},{k},{_place(source, year)}"


def _place(source: Source, year: int) -> str:
    azimuth, centimetres = source.azimuth_deg, round(100 * source.distance_m)
    if year == 2025:  # left and right only: what is behind counts as its mirror image in front
        folded = float(np.degrees(np.arcsin(np.sin(np.radians(azimuth)))))
        return f"{round(folded)},{centimetres},0"
    angles = f"{round(azimuth)},{round(source.elevation_deg)}"
    return angles if year == 2022 else f"{angles},{centimetres}"


def _classes(samples: Samples) -> dict[str, int]:
    """Return the index of every first label, in alphabetical order: the same for all splits."""
    names = {
        source.labels[0]
        for path in samples.folder.tables("scenes")
        for scene in samples.scenes_of(path)
        for source in scene.sources
    }
    return {name: index for index, name in enumerate(sorted(names))}


def _mid_side(foa: Audio) -> Audio:
    w, y = foa[0], foa[1]
    return np.stack([w + y, w - y]) * np.float32(0.5)  # so that neither side clips


def _write_wav(path: Path, audio: Audio, sample_rate: int) -> None:
    def write(aside: Path) -> None:
        with interrupts_wait(), aside.open("wb") as stream:
            soundfile.write(stream, audio.T, sample_rate, format="WAV", subtype="PCM_16")

    path.parent.mkdir(parents=True, exist_ok=True)
    commit_file(path, write)


def _write(path: Path, content: bytes) -> None:
    def write(aside: Path) -> None:
        aside.write_bytes(content)

    path.parent.mkdir(parents=True, exist_ok=True)
    commit_file(path, write)


def _notes(year: int, channels: str) -> Iterator[str]:
    yield "the class of a source is its first label, see classes.csv; other labels and the questions are left out"
    yield "sounds are 16 bit here and 24 bit in the data set"
    if year == 2022:
        yield "this layout has no distances"
    if year == 2025:
        yield "azimuths are folded to the front, there are no elevations, and onscreen is always 0: there is no picture"
        if channels == "binaural":
            yield "the sound is binaural, and DCASE 2025 is a mid-side pair; render --channels foa for that"
