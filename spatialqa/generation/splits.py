"""Assigns houses and clips to train, validation and test, disjoint by house and by clip content."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from spatialqa.clips.clip import ClipRecord
from spatialqa.clips.clip_table import ClipTable
from spatialqa.core import seeds
from spatialqa.core.names import SPLITS
from spatialqa.errors import ClipError, EngineError, RoomError

Shares = tuple[float, float, float]
AUTO_SHARES: Shares = (0.8, 0.1, 0.1)
ALL_TRAIN: Shares = (1.0, 0.0, 0.0)


def apportion(total: int, weights: Sequence[float], at_least_one: bool = False) -> list[int]:
    """Divide `total` in proportion to `weights` (largest remainders); with at_least_one, no positive weight gets 0."""
    exact = total * np.asarray(weights, dtype=np.float64) / sum(weights)
    parts = np.floor(exact + 1e-9).astype(int)
    for i in np.argsort(-(exact - parts), kind="stable")[: total - int(parts.sum())]:
        parts[i] += 1
    if at_least_one:
        for i, weight in enumerate(weights):
            if weight > 0 and parts[i] == 0:
                parts[int(np.argmax(parts))] -= 1
                parts[i] += 1
    return [int(part) for part in parts]


def official_shares(asked: Shares | None, houses: Mapping[str, int]) -> Shares:
    """Return the shares over houses whose splits are given: those asked for, or the usual ones where there are houses.

    Raises:
        RoomError: a split that was asked for has no house.
    """
    for split, share in zip(SPLITS, asked or (0.0, 0.0, 0.0), strict=True):
        if share > 0 and not houses.get(split):
            have = ", ".join(f"{n} in {name}" for name, n in houses.items() if n) or "none in any"
            raise RoomError(
                f"the {split} split has no house by the room set's own lists (there are {have}): add houses of that "
                f"list, leave the split out with --splits, or choose other lists with --room-splits"
            )
    if asked is not None:
        return asked
    weights = [share if houses.get(split) else 0.0 for split, share in zip(SPLITS, AUTO_SHARES, strict=True)]
    if not sum(weights):
        raise RoomError("no house of the room set is on its lists of splits: choose other lists with --room-splits")
    a, b, c = (weight / sum(weights) for weight in weights)
    return (a, b, c)


def split_houses(houses: Sequence[str], rooms_wanted: Mapping[str, int], seed: int) -> dict[str, set[str]]:
    """Give every split its houses, in proportion to the rooms it wants and at least one each.

    Raises:
        RoomError: there are fewer houses than splits that want one.
    """
    wanting = [split for split in SPLITS if rooms_wanted.get(split, 0) > 0]
    distinct = sorted(set(houses))
    if len(distinct) < len(wanting):
        raise RoomError(
            f"the splits {', '.join(wanting)} need {len(wanting)} different houses and there are {len(distinct)}: "
            f"add rooms, or render with --splits 1,0,0"
        )
    order = seeds.rng(seed, "houses", "split").permutation(len(distinct))
    counts = apportion(len(distinct), [rooms_wanted[split] for split in wanting], at_least_one=True)
    bounds = np.cumsum([0, *counts])
    return {
        split: {distinct[i] for i in order[a:b]} for split, a, b in zip(wanting, bounds[:-1], bounds[1:], strict=True)
    }


def split_heads(subjects: Sequence[str], scenes: Mapping[str, int], seed: int) -> dict[str, list[str]]:
    """Give every split that has scenes its own heads, in proportion to the scenes and at least one each.

    Raises:
        EngineError: there are fewer heads than such splits.
    """
    wanting = [split for split in SPLITS if scenes.get(split, 0) > 0]
    if len(subjects) < len(wanting):
        raise EngineError(
            f"hrtf: the splits {', '.join(wanting)} need {len(wanting)} different heads and the folder has "
            f"{len(subjects)}: add SOFA files, or render with --splits 1,0,0"
        )
    order = seeds.rng(seed, "heads", "split").permutation(len(subjects))
    counts = apportion(len(subjects), [scenes[split] for split in wanting], at_least_one=True)
    bounds = np.cumsum([0, *counts])
    return {
        split: [subjects[i] for i in sorted(order[a:b])]
        for split, a, b in zip(wanting, bounds[:-1], bounds[1:], strict=True)
    }


def split_clips(
    records: Sequence[ClipRecord], shares: Shares, seed: int, official: bool = True
) -> dict[str, Sequence[ClipRecord]]:
    """Divide clips among the splits that have a share, sorted by id; the same bytes are never in two of them.

    With `official`, a clip whose makers gave it a split goes there, or nowhere where that split has no share. A split
    that they filled with no clip (AudioSet has no validation) takes its share of their training clips.
    """
    clips = [
        _Clip(row, _content(r), r.labels[0], r.official_split if official else None) for row, r in enumerate(records)
    ]
    given = {clip.split for clip in clips} - {None}
    taken: set[str] = set()
    rows: dict[str, list[int]] = {}
    fixed = [split for split in reversed(SPLITS) if split in given and split != "train"]
    for split in fixed:
        own = [clip for clip in clips if clip.split == split and clip.content not in taken]
        taken.update(clip.content for clip in own)
        rows[split] = [clip.row for clip in own]
    rest = [clip for clip in clips if clip.split in ("train", None) and clip.content not in taken]
    a, b, c = (0.0 if split in fixed else share for split, share in zip(SPLITS, shares, strict=True))
    if a + b + c:
        rows |= _divide(rest, (a, b, c), seed)
    wanted = [split for split, share in zip(SPLITS, shares, strict=True) if share > 0]
    return {split: _chosen(records, rows[split]) for split in wanted if split in rows}


class _Clip(NamedTuple):
    row: int
    content: str
    label: str
    split: str | None


def _content(clip: ClipRecord) -> str:
    """Return what must not be in two splits: the recording that a clip was cut from, else its bytes, else its id."""
    return clip.origin or clip.sha256 or clip.clip_id


def _chosen(records: Sequence[ClipRecord], rows: Sequence[int]) -> Sequence[ClipRecord]:
    if isinstance(records, ClipTable):  # which stays a table: millions of records are not made
        return records.only(np.asarray(rows, dtype=np.int64))
    return sorted((records[row] for row in rows), key=lambda clip: clip.clip_id)


def _divide(clips: Sequence[_Clip], shares: Shares, seed: int) -> dict[str, list[int]]:
    """Divide clips by content, class by class (the first label); a class with one clip goes to train.

    Files with the same bytes stay together, in the split of the first of them. A class with two clips gives one to
    train and one to validation or test, which take turns, so that how many classes each has does not depend on the
    seed; which ones they are does. Larger classes give every split at least one. Returns rows by split.
    """
    contents: dict[str, list[int]] = {}
    by_class: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        if clip.content not in contents:
            by_class[clip.label].append(clip.content)
        contents.setdefault(clip.content, []).append(clip.row)
    used = [i for i, share in enumerate(shares) if share > 0]
    sizes = {label: len(members) for label, members in by_class.items()}
    counts = _class_counts(sizes, [shares[i] for i in used], used[0] == 0, seed)
    result: dict[str, list[int]] = {SPLITS[i]: [] for i in used}
    for label in sorted(by_class):
        members = sorted(by_class[label])
        order = seeds.rng(seed, "clips", label).permutation(len(members))
        bounds = np.cumsum([0, *counts[label]])
        for i, a, b in zip(used, bounds[:-1], bounds[1:], strict=True):
            for member in order[a:b]:
                result[SPLITS[i]].extend(contents[members[member]])
    return result


def _class_counts(
    sizes: Mapping[str, int], shares: Sequence[float], has_train: bool, seed: int
) -> dict[str, list[int]]:
    """Return how many of a class's clips each split gets.

    Classes with fewer clips than there are splits are allocated in a seeded order: train takes one of each, and the
    evaluation splits take what is left in turns that continue from class to class.
    """
    counts = {label: apportion(n, shares, at_least_one=True) for label, n in sizes.items() if n >= len(shares)}
    small = sorted(label for label, n in sizes.items() if n < len(shares))
    turn = 0
    for k in seeds.rng(seed, "clips", "small classes").permutation(len(small)):
        label = small[k]
        own = [0] * len(shares)
        own[0] = int(has_train)
        for _ in range(sizes[label] - int(has_train)):
            own[int(has_train) + turn % (len(shares) - int(has_train))] += 1
            turn += 1
        counts[label] = own
    return counts


def choose_shares(
    asked: Shares | None, n_houses: int, records: Sequence[ClipRecord], n_sounds: int, seed: int, official: bool = True
) -> tuple[Shares, dict[str, Sequence[ClipRecord]]]:
    """Return the shares of the run and the clips of every split that has one.

    The shares are those asked for, or 0.8,0.1,0.1 where houses and clips allow it, else all train.

    Args:
        asked: the recipe's shares; None is `auto`.
        n_houses: how many different houses there are.
        records: the clips.
        n_sounds: the most sounds of different classes that one scene needs.
        seed: the run's seed.
        official: whether clips keep the splits that their makers gave them.

    Raises:
        RoomError, ClipError: shares were asked for that houses or clips cannot serve.
    """
    shares = AUTO_SHARES if asked is None else asked
    used = sum(share > 0 for share in shares)
    if n_houses < used:
        if asked is None:
            return choose_shares(ALL_TRAIN, n_houses, records, n_sounds, seed, official)
        raise RoomError(
            f"the splits {','.join(f'{s:g}' for s in shares)} need {used} different houses and the room set has "
            f"{n_houses}: add rooms, or render with --splits 1,0,0"
        )
    clips = split_clips(records, shares, seed, official)
    for split, own in clips.items():
        classes = {clip.labels[0] for clip in own}
        if len(classes) < n_sounds:
            if asked is None:
                return choose_shares(ALL_TRAIN, n_houses, records, n_sounds, seed, official)
            raise ClipError(
                f"the {split} split gets clips of {len(classes)} classes and a scene needs {n_sounds} different ones: "
                f"add clips, or ask for fewer splits or fewer sources per scene"
            )
    return shares, clips
