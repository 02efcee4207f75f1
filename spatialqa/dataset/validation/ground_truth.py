"""Ground truth for validation: position and labels of every source of a split.

Worked out from positions, the listener's pose and labels alone, by code that the questions were not made with.
"""

import math
from array import array
from dataclasses import dataclass
from functools import cache

from spatialqa.core.geometry import Vec3, to_head
from spatialqa.core.ontology import OntologyNode, ontology
from spatialqa.core.scene import Scene

_ENDS = {"left": (0, -1), "right": (0, 1), "above": (1, 1), "below": (1, -1), "front": (2, -1), "behind": (2, 1)}
AXES = (("left", "right"), ("front", "behind"), ("above", "below"))
_HEARD = {"mono": AXES[:0], "stereo": AXES[:1]}  # all axes in other channels
OPPOSITE = {"left": "right", "right": "left", "front": "behind", "behind": "front", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Label:
    """One label of a source: its name in lower case, its mid, and whether a question may name it."""

    name: str
    mid: str | None
    nameable: bool

    def fits(self, other: "Label") -> bool:
        """Return whether who hears of one may think of the other: the same class, or one above the other."""
        if self.name == other.name:
            return True
        return self.mid is not None and other.mid is not None and _related(self.mid, other.mid)


@cache
def _related(a: str, b: str) -> bool:
    return ontology().related(a, b)


@cache
def _nodes() -> dict[str, OntologyNode]:
    """AudioSet's classes by mid and by their names in lower case."""
    return {key: node for node in ontology().nodes for key in (node.name.lower(), node.mid)}


@cache
def label_of(name: str, mid: str | None) -> Label:
    """Return the label with this name. Without a mid that AudioSet has, the name decides which class it is."""
    node = _nodes().get(mid or "") or _nodes().get(name.lower())
    return Label(name.lower(), node.mid if node else None, not node.restrictions if node else True)


@dataclass(frozen=True, slots=True)
class TrueSource:
    """A source as the listener has it: its place in the head frame (metres), its labels, its room, its level.

    faint: it was rendered and never reaches the gate of audibility.
    """

    head: Vec3
    labels: tuple[Label, ...]
    region: str | None
    level_dbfs: tuple[float, ...] | None  # of each channel
    faint: bool = False

    @property
    def distance_m(self) -> float:
        """Distance from the centre of the head."""
        x, y, z = self.head
        return math.sqrt(x * x + y * y + z * z)

    @property
    def azimuth_deg(self) -> float:
        """0 straight ahead, positive to the left, in [-180, 180]."""
        return math.degrees(math.atan2(-self.head[0], -self.head[2]))

    @property
    def elevation_deg(self) -> float:
        """Degrees above the level of the ears."""
        return math.degrees(math.atan2(self.head[1], math.hypot(self.head[0], self.head[2])))

    @property
    def words(self) -> tuple[str, str, str]:
        """The octant: left or right, front or behind, above or below."""
        x, y, z = self.head
        return ("left" if x < 0 else "right", "front" if z < 0 else "behind", "above" if y > 0 else "below")

    def lies(self, word: str) -> bool:
        """Return whether the source is on this side of the listener."""
        return word in self.words

    def along(self, word: str) -> float:
        """Return how far the source lies in the direction of a word, metres."""
        axis, sign = _ENDS[word]
        return sign * self.head[axis]

    def angle_along(self, word: str) -> float:
        """Return the angle by which the source is out of the plane where the word begins, degrees, -90 to 90."""
        axis, sign = _ENDS[word]
        rest = [c for i, c in enumerate(self.head) if i != axis]
        return sign * math.degrees(math.atan2(self.head[axis], math.hypot(*rest)))

    def has(self, label: Label) -> bool:
        """Return whether a label fits this source."""
        return any(label.fits(own) for own in self.labels)

    @property
    def label_names(self) -> list[str]:
        """Every label in lower case, in the order of the alphabet, each once."""
        return sorted({label.name for label in self.labels})


@dataclass(frozen=True, slots=True)
class TrueScene:
    """The sources of a scene, the room that the listener is in, and the channels that it is heard in."""

    sources: tuple[TrueSource, ...]
    region: str | None
    channels: str = "binaural"

    @property
    def heard_axes(self) -> tuple[tuple[str, str], ...]:
        """The axes, as their two words, along which the channels tell where a sound is."""
        return _HEARD.get(self.channels, AXES)


class SplitTruth:
    """The scenes of one split, packed: about 300 bytes a scene with two sources, so 100,000 scenes take 30 MB."""

    def __init__(self) -> None:
        self._row: dict[str, int] = {}
        self._first = array("q", [0])
        self._heads = array("d")
        self._levels = array("f")
        self._first_level = array("q", [0])
        self._faint = array("b")
        self._names: dict[tuple[Label, ...] | str | None, int] = {}  # label sets, regions and channels, each kept once
        self._labels = array("l")
        self._regions = array("l")
        self._listener_regions = array("l")
        self._channels = array("l")
        self._by_number: list[tuple[Label, ...] | str | None] = []
        self._last: tuple[str, TrueScene] | None = None

    def __len__(self) -> int:
        """Return how many rows were added, more than there are ids where one came twice."""
        return len(self._first) - 1

    def __contains__(self, scene_id: str) -> bool:
        return scene_id in self._row

    def add(self, scene: Scene) -> None:
        """Take in a scene; one whose id is known replaces the first."""
        self._row[scene.scene_id] = len(self._first) - 1
        self._listener_regions.append(self._number(scene.region_id))
        self._channels.append(self._number(scene.channels))
        if scene.sources:
            heads = to_head(scene.listener, [source.position for source in scene.sources])
            self._heads.extend(heads.ravel().tolist())
        for source in scene.sources:
            self._labels.append(self._number(tuple(map(label_of, source.labels, source.mids))))
            self._regions.append(self._number(source.region_id))
            self._levels.extend(source.wet_level_dbfs or ())
            self._first_level.append(len(self._levels))
            rendered = source.wet_level_dbfs is not None and source.starts_s is not None
            self._faint.append(rendered and source.audible_onset_s is None)
        self._first.append(len(self._labels))

    def _number(self, name: tuple[Label, ...] | str | None) -> int:
        return self._names.setdefault(name, len(self._names))

    def row(self, scene_id: str) -> int | None:
        """Return the number of a scene, or None where the split has none of this id."""
        return self._row.get(scene_id)

    def scene(self, scene_id: str) -> TrueScene | None:
        """Return what is true of a scene, or None where the split has none of this id."""
        if self._last is None or self._last[0] != scene_id:
            row = self._row.get(scene_id)
            if row is None:
                return None
            self._last = (scene_id, self._unpack(row))
        return self._last[1]

    def _unpack(self, row: int) -> TrueScene:
        if len(self._by_number) != len(self._names):
            self._by_number = list(self._names)
        sources = []
        for i in range(self._first[row], self._first[row + 1]):
            levels = tuple(self._levels[self._first_level[i] : self._first_level[i + 1]])
            x, y, z = self._heads[3 * i : 3 * i + 3]
            labels, region = self._by_number[self._labels[i]], self._by_number[self._regions[i]]
            assert isinstance(labels, tuple)
            sources.append(TrueSource((x, y, z), labels, _text(region), levels or None, bool(self._faint[i])))
        channels = str(self._by_number[self._channels[row]])
        return TrueScene(tuple(sources), _text(self._by_number[self._listener_regions[row]]), channels)


def _text(name: tuple[Label, ...] | str | None) -> str | None:
    return name if isinstance(name, str) else None
