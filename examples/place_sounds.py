"""Places two sounds around a listener, writes what the listener hears, and asks questions about it.

Run it with `python examples/place_sounds.py [FOLDER]`; it writes scene.wav and scene.svg there.
"""

import sys
from pathlib import Path

import spatialqa as sqa

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "place-sounds-out")
folder.mkdir(parents=True, exist_ok=True)

room = sqa.open_rooms("procedural").load("home-000042")
me = sqa.Listener(room.sample_point(seed=3), yaw_deg=30)
sources = [
    sqa.Source("Bark", azimuth_deg=130, elevation_deg=-20, distance_m=1.5),  # behind you on the left, near the floor
    sqa.Source("Knock", azimuth_deg=-45, distance_m=2.0, onset_s=1.0),
]
scene = sqa.render_scene(room, me, sources, duration_s=4)
scene.write(folder / "scene.wav")
scene.plot().save(folder / "scene.svg")

for source in scene.sources:
    print(
        f"{source.labels[0]}: azimuth {source.azimuth_deg:+.0f} degrees, {source.distance_m:.1f} m, "
        f"RT60 {source.rt60_s:.2f} s"
    )
for question in sqa.ask(scene, types=("C", "D", "E")):
    print(f"{question.question}  {question.answer}")
print(f"listen to {folder / 'scene.wav'}, look at {folder / 'scene.svg'}")
