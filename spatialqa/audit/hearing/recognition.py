"""How often a tagger names the labels of sounds, as they pass from the clip to the scene."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from spatialqa.audit.hearing.matching import best_rank
from spatialqa.audit.hearing.tagger import Tagger

DISTANCES_M = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0, float("inf"))
FIRST = 5
Key = TypeVar("Key", str, int)


@dataclass(frozen=True, eq=False)
class Sounding:
    """One labelled sound at every stage on its way: {"clip": audio, ...}, each float32 (n,) or (channels, n).

    distance_m and line_of_sight are None for a clip that is in no scene. own_level: stages that the tagger hears at
    the level they have; it hears all others at full scale.
    """

    label: str
    mid: str
    sample_rate: int
    stages: Mapping[str, npt.NDArray[np.float32]]
    distance_m: float | None = None
    line_of_sight: bool | None = None
    own_level: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Share:
    """How many of `sounds` the tagger names at each stage; None: no sound has that stage."""

    name: str
    sounds: int
    named: dict[str, int]


@dataclass(frozen=True)
class Recognition:
    """The result. first: how many of the tagger's classes count. unknown: labels that the tagger does not have."""

    first: int
    stages: tuple[str, ...]
    all: Share
    classes: tuple[Share, ...]
    distances: tuple[Share, ...]
    sights: tuple[Share, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class _Outcome:
    label: str
    distance_m: float | None
    line_of_sight: bool | None
    named: dict[str, bool]


def recognise(
    tagger: Tagger, sounds: Iterable[Sounding], first: int = FIRST, on_sound: Callable[[], None] | None = None
) -> Recognition:
    """Run a tagger on sounds and count where it names their labels.

    A label counts as named if it, or its direct parent or child in the ontology, is among the first classes in any
    frame (see `matching`).

    Args:
        tagger: an opened tagger.
        sounds: what it hears.
        first: how many of its classes count.
        on_sound: called after each sound.

    Raises:
        ClipError: the tagger failed.
    """
    outcomes, unknown = [], set()
    for sound in sounds:
        named = {}
        for stage, audio in sound.stages.items():
            scores = tagger.scores(audio, sound.sample_rate, normalise=stage not in sound.own_level)
            rank = best_rank(scores, tagger.mids, sound.mid)
            if rank is None:
                unknown.add(sound.label)
                break
            named[stage] = rank <= first
        else:
            outcomes.append(_Outcome(sound.label, sound.distance_m, sound.line_of_sight, named))
        if on_sound:
            on_sound()
    return _counted(outcomes, first, tuple(sorted(unknown)))


def _counted(outcomes: list[_Outcome], first: int, unknown: tuple[str, ...]) -> Recognition:
    return Recognition(
        first,
        tuple(dict.fromkeys(stage for outcome in outcomes for stage in outcome.named)),
        _share("all", outcomes),
        tuple(_grouped(outcomes, lambda o: o.label, str)),
        tuple(_grouped(outcomes, lambda o: _distance_bin(o.distance_m), _distance_name)),
        tuple(_grouped(outcomes, lambda o: o.line_of_sight, lambda seen: "in sight" if seen else "hidden")),
        unknown,
    )


def _grouped(
    outcomes: list[_Outcome], key: Callable[[_Outcome], Key | None], name: Callable[[Key], str]
) -> Iterator[Share]:
    groups: dict[Key, list[_Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if (value := key(outcome)) is not None:
            groups[value].append(outcome)
    for value in sorted(groups):
        yield _share(name(value), groups[value])


def _share(name: str, outcomes: list[_Outcome]) -> Share:
    named: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        for stage, right in outcome.named.items():
            named[stage] += right
    return Share(name, len(outcomes), dict(named))


def _distance_bin(distance_m: float | None) -> int | None:
    return None if distance_m is None else int(np.searchsorted(DISTANCES_M, distance_m, "right")) - 1


def _distance_name(index: int) -> str:
    low, high = DISTANCES_M[index], DISTANCES_M[index + 1]
    return f"{low:g} m and more" if high == float("inf") else f"{low:g}-{high:g} m"
