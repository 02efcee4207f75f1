"""Prints where the sources of a data set are: densities of azimuth, elevation, distance and height; 1.00 is even.

Run it with `python examples/place_density.py FOLDER`. A folder without a data set gets one of 2,000 planned scenes.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import spatialqa as sqa

BODY_RADIUS_M = 0.3

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "planned-out")
if folder.exists():
    data = sqa.load_dataset(folder)
else:
    data = sqa.render(folder, None, scenes=2000, groups_per_room=8, plan_only=True, workers=0, progress=False)

ears, places, labels, angles, heights, houses = [], [], [], [], [], []
for scene in data.records():
    for source in scene.sources:
        heights.append(source.height_m if source.height_m is not None else source.position[1])
        houses.append(scene.house_id)
        ears.append(scene.listener_position)
        places.append(source.position)
        labels.append(source.labels[0])
        angles.append((source.azimuth_deg, source.elevation_deg, source.distance_m))
azimuth, elevation, distance = np.array(angles).T
offset = np.array(places) - np.array(ears)
house = np.unique(houses, return_inverse=True)[1]


def densities(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the counts between edges over their mean."""
    counts = np.histogram(values, edges)[0]
    return counts / counts.mean()


def percent(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the counts between edges as percent of all."""
    return 100 * np.histogram(values, edges)[0] / len(values)


def standard_error(values: NDArray[np.float64], edges: NDArray[np.float64]) -> float:
    """Return the standard error of the densities between edges, their mean, with houses as independent samples."""
    n_bins = len(edges) - 1
    at = np.searchsorted(edges, values, side="right") - 1
    inside = (at >= 0) & (at < n_bins)
    counts = np.zeros((house.max() + 1, n_bins))
    np.add.at(counts, (house[inside], at[inside]), 1.0)
    total = counts.sum()
    rest = counts - counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / total
    return float(np.mean(np.sqrt(np.square(rest).sum(axis=0))) * n_bins / total)


def line(name: str, numbers: Iterable[float]) -> None:
    """Print numbers behind their name."""
    print(f"{name:<44}", *(f"{number:5.2f}" for number in numbers))


print(f"{len(azimuth):,} sources of {len(data):,} scenes")
from_plane, steps = np.abs((azimuth + 45) % 90 - 45), np.arange(0, 46, 5)
line("azimuth, from a plane of the head, 5 degrees", densities(from_plane, steps))
line("  standard error", [standard_error(from_plane, steps)])
line("azimuth from -180, 30 degrees", densities(azimuth, np.arange(-180, 181, 30)))
octant = (azimuth > 0) * 4 + (np.abs(azimuth) < 90) * 2 + (elevation > 0)
line("octants, percent", 100 * np.bincount(octant, minlength=8) / len(octant))
line("  standard error", [12.5 * standard_error(octant, np.arange(9))])
line("above the ears, percent", [100 * np.mean(elevation > 0)])
line("elevation from -90, 15 degrees, percent", percent(elevation, np.arange(-90, 91, 15)))
for low in np.arange(0.5, min(distance.max(), 6.0), 0.5):
    steps = low + 0.1 * np.arange(6)
    line(
        f"distance from {low:g} m, 0.1 m, and its error", [*densities(distance, steps), standard_error(distance, steps)]
    )
line("distance from 0.5 m, 0.5 m, percent", percent(distance, np.arange(0.5, 10.1, 0.5)))

in_body = (np.hypot(offset[:, 0], offset[:, 2]) < BODY_RADIUS_M) & (offset[:, 1] < 0.1)
print(f"inside the body (radius {BODY_RADIUS_M:g} m): {in_body.mean():.1%}")

height = np.array(heights)  # above the floor of the storey
line("height from 0.2 m, 0.2 m, percent", percent(height, np.arange(0.2, 2.6, 0.2)))
for label in ("Bark", "Laughter", "Helicopter", "Walk, footsteps"):
    own = height[np.array(labels) == label]
    if len(own):
        print(f"{label}: {len(own)}, height {own.min():.2f} to {own.max():.2f} m, {np.mean(own > 1.5):.0%} over 1.5 m")
