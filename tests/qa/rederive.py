"""Answers worked out again from a scene and a question's row, by arithmetic that shares nothing with the generator."""

import math
from collections.abc import Iterable
from typing import Any

from spatialqa.core.ontology import ontology
from spatialqa.core.scene import Scene, Source

AXIS_OF = {"left": (0, -1), "right": (0, 1), "front": (2, -1), "behind": (2, 1), "above": (1, 1), "below": (1, -1)}
PARENTS = {node.mid: node.parents for node in ontology().nodes}
BARRED = {node.mid for node in ontology().nodes if node.restrictions}


def head_frame(scene: Scene, source: Source) -> tuple[float, float, float]:
    """Rotate the offset by the conjugate quaternion: v + 2w(u x v) + 2u x (u x v)."""
    w, qx, qy, qz = scene.listener_orientation
    u = (-qx, -qy, -qz)
    v = tuple(p - h for p, h in zip(source.position, scene.listener_position, strict=True))
    c = cross(u, v)
    cc = cross(u, c)
    x, y, z = (a + 2 * w * b + 2 * d for a, b, d in zip(v, c, cc, strict=True))
    return x, y, z


def cross(a: Any, b: Any) -> tuple[float, float, float]:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def octant(p: tuple[float, float, float]) -> list[str]:
    return ["left" if p[0] < 0 else "right", "front" if p[2] < 0 else "behind", "above" if p[1] > 0 else "below"]


def towards(p: tuple[float, float, float], word: str) -> float:
    """Return metres in the direction of a word."""
    axis, sign = AXIS_OF[word]
    return p[axis] * sign


def tilt_deg(p: tuple[float, float, float], word: str) -> float:
    """Return the angle from the word's boundary plane, positive on the word's side."""
    across = math.sqrt(sum(c * c for c in p) - towards(p, word) ** 2)
    return math.degrees(math.atan2(towards(p, word), across))


def half_metres(distance_m: float) -> str:
    """Return the distance as text, rounded to 0.5 m, half to even."""
    doubled = distance_m * 2
    low = math.floor(doubled)
    rest = doubled - low
    steps = low + (1 if rest > 0.5 or (rest == 0.5 and low % 2) else 0)
    return f"{steps // 2}m" if steps % 2 == 0 else f"{steps // 2}.5m"


def lineage(mid: str) -> set[str]:
    todo, found = [mid], set()
    while todo:
        at = todo.pop()
        found.add(at)
        todo.extend(PARENTS[at])
    return found


def fits(label: str, source: Source) -> bool:
    """Return whether a lower-case label is, or is above or below, one of the source's labels."""
    mids = {node.mid for node in ontology().nodes if node.name.lower() == label}
    for own, own_mid in zip(source.labels, source.mids, strict=True):
        if own.lower() == label:
            return True
        for mid in mids:
            if own_mid is not None and (mid in lineage(own_mid) or own_mid in lineage(mid)):
                return True
    return False


def label_text(labels: Iterable[str]) -> str:
    return "; ".join(sorted({label.lower() for label in labels}))


def answer(scene: Scene, row: dict[str, Any]) -> str:
    """Return the answer to a question, from its row's referents and asked words and the scene alone."""
    points = [head_frame(scene, s) for s in scene.sources]
    radii = [math.dist(p, (0, 0, 0)) for p in points]
    first, *rest = row["source_indices"]
    asked = row["asked_direction"]
    match row["subtype"]:
        case "classification":
            return label_text(scene.sources[0].labels)
        case "location" | "location_of_class":
            return f"{', '.join(octant(points[first]))}; {half_metres(radii[first])}"
        case "classification_at_location":
            metres = f"{row['asked_distance_m']:g}m"
            fitting = [i for i, p in enumerate(points) if octant(p) == asked and half_metres(radii[i]) == metres]
            assert fitting == [first]
            return label_text(scene.sources[first].labels)
        case "relative_direction":
            return "Yes" if towards(points[first], asked[0]) > towards(points[rest[0]], asked[0]) else "No"
        case "both_on_side":
            return "Yes" if all(asked[0] in octant(points[i]) for i in (first, *rest)) else "No"
        case "relative_distance":
            nearer = radii[first] < radii[rest[0]]
            return "Yes" if nearer == (asked[0] == "closer") else "No"
        case "distance_between":
            here, there = scene.sources[first].position, scene.sources[rest[0]].position
            return half_metres(math.dist(here, there))
        case "source_at_direction":
            (only,) = [i for i, p in enumerate(points) if asked[0] in octant(p)]
            assert only == first
            (label,) = row["answer_labels"]
            assert label in [own.lower() for own in scene.sources[only].labels]
            return str(label)
        case "direction_word":
            origin = points[rest[0]] if rest else (0.0, 0.0, 0.0)
            one, other = row["choices"]
            return str(one if towards(points[first], one) > towards(origin, one) else other)
        case "clock":
            x, _, z = points[first]
            turned = math.degrees(math.acos(-z / math.hypot(x, z)))
            clockwise = turned if x > 0 else 360 - turned
            (hour,) = [h for h in range(1, 13) if min(abs(clockwise - 30 * h), abs(clockwise + 360 - 30 * h)) < 15]
            return f"{hour} o'clock"
        case "count":
            return str(len(scene.sources))
        case "closest" | "farthest":
            nearest_first = sorted(range(len(radii)), key=lambda i: radii[i])
            assert first == nearest_first[0 if row["subtype"] == "closest" else -1]
            (label,) = row["answer_labels"]
            assert label in [own.lower() for own in scene.sources[first].labels]
            return str(label)
        case "region":
            one, other = (scene.sources[i].region_id for i in (first, *rest))
            assert one is not None
            assert other is not None
            return "Yes" if (one == other) == (asked == ["same"]) else "No"
    raise AssertionError(row["subtype"])
