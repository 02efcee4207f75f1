"""Prints where the sources of a data set are: densities of azimuth, elevation, distance and height; 1.00 is even.

Run it with `python examples/place_density.py FOLDER`. A folder without a data set gets one of 2,000 planned scenes.
"""

import sys
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

ears, places, labels, angles = [], [], [], []
for scene in data.records():
    for source in scene.sources:
        ears.append(scene.listener_position)
        places.append(source.position)
        labels.append(source.labels[0])
        angles.append((source.azimuth_deg, source.elevation_deg, source.distance_m))
azimuth, elevation, distance = np.array(angles).T
offset = np.array(places) - np.array(ears)


def densities(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the counts between edges over their mean."""
    counts = np.histogram(values, edges)[0]
    return counts / counts.mean()


def percent(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the counts between edges as percent of all."""
    return 100 * np.histogram(values, edges)[0] / len(values)


def line(name: str, numbers: NDArray[np.float64]) -> None:
    """Print numbers behind their name."""
    print(f"{name:<44}", *(f"{number:5.2f}" for number in numbers))


print(f"{len(azimuth):,} sources of {len(data):,} scenes")
from_plane = np.abs((azimuth + 45) % 90 - 45)
line("azimuth, from a plane of the head, 5 degrees", densities(from_plane, np.arange(0, 46, 5)))
line("azimuth from -180, 30 degrees", densities(azimuth, np.arange(-180, 181, 30)))
octant = (azimuth > 0) * 4 + (np.abs(azimuth) < 90) * 2 + (elevation > 0)
line("octants, percent", 100 * np.bincount(octant, minlength=8) / len(octant))
line("elevation from -90, 15 degrees, percent", percent(elevation, np.arange(-90, 91, 15)))
for low in np.arange(0.5, min(distance.max(), 6.0), 0.5):
    line(f"distance from {low:g} m, 0.1 m", densities(distance, low + 0.1 * np.arange(6)))
line("distance from 0.5 m, 0.5 m, percent", percent(distance, np.arange(0.5, 10.1, 0.5)))

in_body = (np.hypot(offset[:, 0], offset[:, 2]) < BODY_RADIUS_M) & (offset[:, 1] < 0.1)
print(f"inside the body (radius {BODY_RADIUS_M:g} m): {in_body.mean():.1%}")

height = np.array(places)[:, 1]  # above the floor of the home; procedural homes have one storey
line("height from 0.2 m, 0.2 m, percent", percent(height, np.arange(0.2, 2.6, 0.2)))
for label in ("Walk, footsteps", "Typing", "Laughter", "Thunder"):
    own = height[np.array(labels) == label]
    if len(own):
        print(f"{label}: {len(own)}, height {own.min():.2f} to {own.max():.2f} m, {np.mean(own > 1.5):.0%} over 1.5 m")
