"""The sources of a scene in the listener's head frame, and which of them may be asked about."""

import math
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from spatialqa.core import geometry
from spatialqa.core.channels import axes_heard
from spatialqa.core.ontology import ontology
from spatialqa.core.scene import Scene, Source
from spatialqa.errors import DatasetError
from spatialqa.qa.ask_options import AskOptions


class Axis(NamedTuple):
    """A head axis: the word at its positive and at its negative end."""

    positive: str
    negative: str


AXES = (Axis("left", "right"), Axis("front", "behind"), Axis("above", "below"))
HORIZONTAL_AXES = (0, 1)
FRONT_AXIS = 1
VERTICAL_AXIS = 2
LABEL_BUCKETS = 4096


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source, in the listener's head frame.

    along_m: metres towards the left, the front and above (head -x, -z, +y).
    angle_deg: degrees from each axis' boundary plane, -90 to 90, positive to the left, front, above.
    words: the octant: left or right, front or behind, above or below.
    labels: as given, mids beside them. names: lower-case labels that name this source and no other of the scene.
    bucket: which of LABEL_BUCKETS counters the first label, the class of the clip, is counted in.
    """

    head_m: geometry.Vec3
    distance_m: float
    along_m: geometry.Vec3
    angle_deg: geometry.Vec3
    words: geometry.DirectionWords
    labels: tuple[str, ...]
    names: tuple[str, ...]
    masked: bool
    mids: tuple[str | None, ...] = ()
    bucket: int = 0
    region_id: str | None = None

    def clear_of(self, axis: int, margin_deg: float) -> bool:
        """Return whether the source is at least `margin_deg` from the plane at which the word of this axis changes."""
        return abs(self.angle_deg[axis]) >= margin_deg

    @property
    def octant_margin_deg(self) -> float:
        """The angle to the nearest of the three boundary planes."""
        return min(abs(a) for a in self.angle_deg)


@dataclass(frozen=True, slots=True)
class SceneView:
    """All sources of a scene as they are heard; `scene` is the record that they were read from.

    axes_heard: the axes, by their positive ends, along which its channels tell where sound comes from.
    """

    sources: tuple[SourceView, ...]
    scene: Scene
    axes_heard: tuple[str, ...] = tuple(axis.positive for axis in AXES)

    def hears(self, axis: int) -> bool:
        """Return whether its channels tell the two ends of an axis, an index into AXES, apart."""
        return AXES[axis].positive in self.axes_heard

    def audible(self) -> list[int]:
        """Return the indices of the sources that are not masked."""
        return [i for i, s in enumerate(self.sources) if not s.masked]

    def namable(self) -> list[int]:
        """Return the indices of the sources that are not masked and have a name of their own."""
        return [i for i, s in enumerate(self.sources) if s.names and not s.masked]


def view(scene: Scene, options: AskOptions) -> SceneView:
    """Return the scene as its listener has it.

    Raises:
        DatasetError: a source is at the centre of the head, or its channels are not known.
    """
    heads = geometry.to_head(scene.listener, [source.position for source in scene.sources]).tolist()
    heard = []
    for i, (source, (x, y, z)) in enumerate(zip(scene.sources, heads, strict=True)):
        distance = math.sqrt(x * x + y * y + z * z)
        if distance == 0:
            raise DatasetError(f"scene {scene.scene_id}: source {i} is at the centre of the listener's head")
        along = (-x, -z, y)
        left, front, above = (math.degrees(math.asin(max(-1.0, min(1.0, c / distance)))) for c in along)
        heard.append(
            SourceView(
                head_m=(x, y, z),
                distance_m=distance,
                along_m=along,
                angle_deg=(left, front, above),
                words=geometry.direction_words((x, y, z)),
                labels=source.labels,
                names=_names(i, scene.sources),
                masked=_inaudible(source, options.masking_db) or _masked(i, scene.sources, options.masking_db),
                mids=source.mids,
                bucket=label_bucket(source.labels[0]),
                region_id=source.region_id,
            )
        )
    return SceneView(tuple(heard), scene, axes_heard(scene.channels))


def label_bucket(label: str) -> int:
    """Return the bucket of a label: the same one in every run."""
    return zlib.crc32(label.lower().encode()) % LABEL_BUCKETS


def _names(index: int, sources: tuple[Source, ...]) -> tuple[str, ...]:
    """Return the labels of one source that fit no other, in lower case, each once.

    A label also fits a source that has an ancestor or a descendant of it: among an animal and a dog, "animal" fits
    both, and the animal may be a dog.
    """
    tree = ontology()
    names: dict[str, None] = {}
    for label, mid in zip(sources[index].labels, sources[index].mids, strict=True):
        if mid is not None and not tree.is_nameable(mid):
            continue
        name = label.lower()
        fits_another = any(
            name == other_label.lower() or (mid is not None and other_mid is not None and tree.related(mid, other_mid))
            for j, other in enumerate(sources)
            if j != index
            for other_label, other_mid in zip(other.labels, other.mids, strict=True)
        )
        if name and not fits_another:
            names[name] = None
    return tuple(names)


def _inaudible(source: Source, masking_db: float) -> bool:
    """Return whether a source was rendered below the gate of audibility; masking_db 0 asks about it all the same."""
    return masking_db != 0 and source.inaudible


def _masked(index: int, sources: tuple[Source, ...], masking_db: float) -> bool:
    """Return whether a source is too far below the others in both ears."""
    own = sources[index].wet_level_dbfs
    others = [s.wet_level_dbfs for j, s in enumerate(sources) if j != index and s.wet_level_dbfs is not None]
    if own is None or not others or masking_db == 0:
        return False
    for ear, level in enumerate(own):
        masker = sum(10 ** (other[ear] / 10) for other in others)
        if masker == 0 or level - 10 * math.log10(masker) >= -masking_db:
            return False
    return True
