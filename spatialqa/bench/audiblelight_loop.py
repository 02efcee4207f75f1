"""Renders scenes with AudibleLight and prints their CPU times; its Python needs AudibleLight, and not spatialqa.

    python audiblelight_loop.py JOB.json

The job names the mesh, the clips, and how many scenes, rays and bounces. One JSON object a line is printed: how the
scene was made ("new": a Scene of its own; "kept": a Scene whose events and microphones are replaced) and its CPU
seconds. A scene whose simulation fails, because a position is where no sound gets, is drawn again and not counted.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


def main(job: dict[str, Any]) -> None:
    """Do a job."""
    scene_class = importlib.import_module("audiblelight.core").Scene
    importlib.import_module("loguru").logger.remove()
    folder = Path(job["folder"])
    waypoints = folder / "waypoints.json"
    waypoints.write_text("[]", encoding="utf-8")  # without a file of them, a mesh has to have a name of its own
    rays = {"indirect_ray_count": job["rays"], "indirect_ray_depth": job["depth"]}

    def new() -> Any:
        return scene_class(
            duration=job["duration_s"],
            backend="RLR",
            sample_rate=job["sample_rate"],
            class_mapping=None,
            backend_kwargs={"mesh": job["mesh"], "waypoints_json": str(waypoints), "rlr_kwargs": dict(rays)},
        )

    def render(scene: Any, k: int) -> None:
        scene.add_microphone(microphone_type="binaural")
        for j in range(2):
            clip = job["clips"][(2 * k + j) % len(job["clips"])]
            scene.add_event(event_type="static", filepath=clip, scene_start=0.0)
        scene.generate(output_dir=folder, metadata_json=False, metadata_dcase=False, audio_fname=f"scene-{k}")

    kept, made, tries = None, {"new": -1, "kept": -1}, 0  # the first of each is not counted
    while min(made.values()) < job["scenes"] and tries < 10 * (job["scenes"] + 2):
        tries += 1
        how = "new" if made["new"] <= made["kept"] else "kept"
        start = time.process_time()
        try:
            if how == "new" or kept is None:
                scene = new()
            else:
                scene = kept
                scene.clear_events()
                scene.clear_microphones()
            render(scene, tries)
        except (RuntimeError, IndexError, ValueError) as error:
            print(json.dumps({"failed": f"{type(error).__name__}: {error}"}), flush=True)
            kept = None
            continue
        kept = scene
        made[how] += 1
        if made[how]:
            print(json.dumps({"how": how, "cpu_s": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
