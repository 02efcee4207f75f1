"""Sets of answer options chosen so that every member is the right answer equally often.

Let a set be drawn for an answer in proportion to the product of factors of its members. It is then shown with any of
its members as the answer equally often when each item, over all sets that hold it, is shown as often as it is an
answer. The factors are fitted to that (iterative proportional fitting: Deming and Stephan 1940).
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from spatialqa.core.geometry import FloatArray
from spatialqa.core.ontology import ontology

Option = TypeVar("Option", bound=Hashable)

_LEAST_GAP = 2  # half metres: twice the 0.5 m within which a distance counts as right
_GAPS = {2: range(_LEAST_GAP, _LEAST_GAP + 7), 4: range(_LEAST_GAP, _LEAST_GAP + 4)}
_FITTING_ROUNDS = 1000
_SOUND_ROUNDS = 200
_FEW_SOUNDS = 64  # up to which the chance of a set without two alike is worked out exactly
_TRIES = 200
_LARGEST_FACTOR = 0.3  # of the sum: an answer more frequent than one in four cannot be fitted, and must starve no other
_SURE = 0.05  # a chance that some of this many tries meet


def distance_sets(values: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Return all sets of `size` of these distances (half metres) that lie near one another, at least 1 m apart."""
    known = set(values)
    candidates = (
        tuple(first + sum(steps[:k]) for k in range(size))
        for first in sorted(known)
        for steps in product(_GAPS[size], repeat=size - 1)
    )
    return [members for members in candidates if known.issuperset(members)]


class FairSets(Generic[Option]):
    """Chooses among given sets of equal size.

    counts: how often the data set has each item as an answer. sets: the sets there are.
    """

    def __init__(self, counts: Mapping[Option, float], sets: Sequence[tuple[Option, ...]]) -> None:
        self._sets = sets
        weights = self._fit(counts)
        containing: dict[Option, list[int]] = defaultdict(list)
        for k, members in enumerate(sets):
            for member in members:
                containing[member].append(k)
        self._drawn = {item: (ks, np.cumsum(weights[ks])) for item, ks in containing.items()}

    def _fit(self, counts: Mapping[Option, float]) -> FloatArray:
        items = list(counts)
        index = {item: k for k, item in enumerate(items)}
        members = np.array([[index[item] for item in chosen] for chosen in self._sets], dtype=np.intp)
        wanted = np.array([counts[item] for item in items])
        wanted = wanted / wanted.sum()
        factors = np.ones(len(items))
        weights = np.ones(len(self._sets))
        for _ in range(_FITTING_ROUNDS if len(self._sets) else 0):
            weights = np.prod(factors[members], axis=1)
            shown = np.bincount(members.ravel(), np.repeat(weights, members.shape[1]), len(items))
            step = np.divide(wanted, shown, out=np.ones_like(wanted), where=shown > 0)
            factors *= step ** (1 / members.shape[1])
        return weights

    def draw(self, item: Option, rng: np.random.Generator) -> tuple[Option, ...] | None:
        """Return a set that holds this item, or None where there is none."""
        if item not in self._drawn:
            return None
        containing, cumulated = self._drawn[item]
        return self._sets[containing[_index(cumulated, rng.random())]]


class Sound(NamedTuple):
    """What a source may be called in an answer."""

    labels: tuple[str, ...]
    mids: tuple[str | None, ...]
    names: tuple[str, ...]


class SoundSets:
    """Draws sounds beside one that is the answer, no two of them alike: a label of one is never a kind of another's.

    counts: how often the data set has each sound as an answer.
    """

    def __init__(self, counts: Mapping[Sound, float]) -> None:
        self.sounds = [sound for sound, n in counts.items() if n > 0]
        self._index = {sound: k for k, sound in enumerate(self.sounds)}
        wanted = np.array([counts[sound] for sound in self.sounds])
        self._alike = _alike_pairs(self.sounds)
        self._alike_sets = [
            frozenset(self._alike.indices[a:b].tolist())
            for a, b in zip(self._alike.indptr[:-1], self._alike.indptr[1:], strict=True)
        ]
        self._factors = self._fit(wanted / wanted.sum()) if self.sounds else wanted

    @property
    def serves_all(self) -> bool:
        """Whether every sound can be drawn three others beside it."""
        rest = 1.0 - self._alike @ self._factors
        beside = self._beside(self._factors)
        return bool(len(self.sounds)) and bool((beside > _SURE * rest**3).all()) and bool((rest > 0).all())

    def _fit(self, wanted: FloatArray) -> FloatArray:
        """Find factors f with f(a) * (mass of the threes that fit beside a) in proportion to how often a is wanted."""
        factors = wanted.copy()
        for _ in range(_SOUND_ROUNDS):
            shown = factors * self._beside(factors)
            if not shown.sum():
                return wanted
            shown /= shown.sum()
            step = np.divide(wanted, shown, out=np.ones_like(wanted), where=shown > 0)
            factors *= step**0.5
            factors /= factors.sum()
            factors = np.minimum(factors, _LARGEST_FACTOR)
            factors /= factors.sum()
            if np.abs(step - 1).max() < 1e-3:
                break
        return factors

    def _beside(self, factors: FloatArray) -> FloatArray:
        return self._mass_exactly(factors) if len(factors) <= _FEW_SOUNDS else self._mass_nearly(factors)

    def _mass_exactly(self, factors: FloatArray) -> FloatArray:
        """Return for each sound the mass of the ordered threes beside it without two alike: triangles of a graph."""
        apart = 1.0 - self._alike.toarray()
        mass = np.empty(len(factors))
        for k in range(len(factors)):
            root = np.sqrt(factors * apart[k])
            graph = root[:, None] * apart * root
            mass[k] = np.einsum("ij,ji->", graph @ graph, graph)
        return mass

    def _mass_nearly(self, factors: FloatArray) -> FloatArray:
        """Return the same where there are many sounds, to first order in the chance that two of the three are alike."""
        alike = self._alike
        own = alike @ factors
        scaled = alike.multiply(factors)
        among = (alike.multiply(scaled @ alike)) @ factors
        pairs = factors @ own - 2 * (alike @ (factors * own)) + among
        rest = 1.0 - own
        mass: FloatArray = np.maximum(rest**3 - 3 * rest * pairs, 0.0)
        return mass

    def draw(self, chosen: Sequence[Sound], count: int, rng: np.random.Generator) -> list[Sound] | None:
        """Return `count` sounds that are like none of `chosen` and not alike, or None where there seem to be none."""
        left = self._factors.copy()
        left[[k for sound in chosen for k in self._alike_to(sound)]] = 0.0
        cumulated = np.cumsum(left)
        if not len(left) or not cumulated[-1] > 0:
            return None
        draws = np.searchsorted(cumulated, rng.random((_TRIES, count)) * cumulated[-1], side="right")
        for picks in draws.tolist():
            # all are thrown away together, since taking them one by one would favour those with few relatives
            if all(a not in self._alike_sets[b] for i, a in enumerate(picks) for b in picks[:i]):
                return [self.sounds[k] for k in picks]
        return None

    def _alike_to(self, sound: Sound) -> frozenset[int]:
        if sound in self._index:
            return self._alike_sets[self._index[sound]]
        return frozenset(k for k, other in enumerate(self.sounds) if alike(sound, other))


def alike(a: Sound, b: Sound) -> bool:
    """Return whether a label of one is, or is a kind of, a label of the other."""
    if set(a.labels) & set(b.labels):
        return True
    tree = ontology()
    return any(tree.related(x, y) for x in a.mids for y in b.mids if x is not None and y is not None)


def _alike_pairs(sounds: Sequence[Sound]) -> csr_array:
    """Return which sounds are alike, each like itself: sparse float64 (n, n) of ones."""
    tree = ontology()
    by_key: dict[str, set[int]] = defaultdict(set)
    for k, sound in enumerate(sounds):
        for key in (*sound.labels, *filter(None, sound.mids)):
            by_key[key].add(k)
    rows: list[int] = []
    columns: list[int] = []
    for k, sound in enumerate(sounds):
        keys = {*sound.labels, *(key for mid in sound.mids if mid for key in (mid, *tree.ancestors(mid)))}
        near = set().union({k}, *(by_key.get(key, set()) for key in keys))
        rows += [k] * len(near)
        columns += near
    one_way = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(sounds), len(sounds)))
    both: csr_array = ((one_way + one_way.T) > 0).astype(np.float64).tocsr()
    return both


def _index(cumulated: npt.NDArray[np.float64], u: float) -> int:
    return min(int(np.searchsorted(cumulated, u * cumulated[-1], side="right")), len(cumulated) - 1)
