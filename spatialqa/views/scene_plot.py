"""A scene as one SVG picture: the building with listener and sources, waveform and spectrogram, and the positions."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialqa.core.charts import encode_png
from spatialqa.core.scene import Scene, Source
from spatialqa.rooms.room import Room
from spatialqa.views.listening import for_two_ears
from spatialqa.views.scene_drawing import COLOURS, draw_scene
from spatialqa.views.sound_curves import LOWEST_HZ, Audio, envelope, highest_hz, levels
from spatialqa.views.templating import asset, environment, minus

_GAP = 70.0  # between drawings and curves, for the ticks
_SOUND_WIDTH, _WAVE, _IMAGE = 480.0, 44.0, 88.0
_COLUMNS = 240
_TICKS_HZ = ((125.0, "125 Hz"), (1000.0, "1 kHz"), (8000.0, "8 kHz"))
_STOPS = ((255, 255, 255), (214, 226, 240), (120, 166, 208), (38, 98, 158), (10, 30, 70))
_STEPS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
_MARGIN = 20.0


def scene_svg(scene: Scene, room: Room | None, audio: Audio | None = None) -> str:
    """Return the picture.

    Args:
        scene: its record.
        room: its building; None draws positions alone.
        audio: (channels, n) of the scene; None draws no curves.
    """
    drawing = draw_scene(scene, room)
    section_y = 52 + drawing.plan.height + 30
    left_height = section_y + drawing.section.height
    table_x, table_y = drawing.plan.width + _GAP - 44, 52.0 + 16
    sound = None
    if audio is not None and audio.shape[1]:
        sound = _sound(scene, for_two_ears(audio, scene.channels, scene.sample_rate))
        sound["x"] = drawing.plan.width + _GAP
        table_y = 52 + sound["height"] + 60
    height = max(left_height, table_y + 22 * len(scene.sources)) + _MARGIN
    return (
        environment()
        .get_template("scene.svg.j2")
        .render(
            scene=scene,
            d=drawing,
            width=drawing.plan.width + _GAP + _SOUND_WIDTH + _MARGIN,
            height=height,
            section_y=section_y,
            sound=sound,
            table_x=table_x,
            table_y=table_y,
            rows=[
                {"number": k + 1, "colour": k % COLOURS, "text": _words(source)}
                for k, source in enumerate(scene.sources)
            ],
            style=asset("picture.css"),
        )
    )


def _words(source: Source) -> str:
    sight = {True: "", False: ", occluded", None: ""}[source.line_of_sight]
    return (
        f"{'; '.join(source.labels)}: azimuth {minus(f'{source.azimuth_deg:+.0f}')}°, elevation "
        f"{minus(f'{source.elevation_deg:+.0f}')}°, {source.distance_m:.1f} m{sight}"
    )


def _sound(scene: Scene, ears: Audio) -> dict[str, Any]:
    """Return waveforms, spectrograms and onsets as the template draws them, in units from the corner of the curves."""
    extremes = envelope(ears, _COLUMNS)
    peak = max(float(np.abs(extremes).max()), 1e-9)
    images = levels(ears, scene.sample_rate)
    high = highest_hz(scene.sample_rate)
    drawn = []
    for k, name in enumerate(("left", "right")):
        wave_y = _WAVE / 2 + k * (_WAVE + 6)
        image_y = 2 * (_WAVE + 6) + k * (_IMAGE + 6)
        span = float(np.log(high / LOWEST_HZ))
        drawn.append(
            {
                "name": name,
                "wave_y": wave_y,
                "wave": _wave(extremes[k] / peak, wave_y),
                "image_y": image_y,
                "png": base64.b64encode(encode_png(images[k][::-1], _palette())).decode("ascii"),
                "frequencies": [
                    {"y": image_y + _IMAGE * (1 - float(np.log(hz / LOWEST_HZ)) / span), "label": label}
                    for hz, label in _TICKS_HZ
                    if hz < high
                ],
            }
        )
    height = 2 * (_WAVE + 6) + 2 * _IMAGE + 6
    return {
        "ears": drawn,
        "width": _SOUND_WIDTH,
        "height": height,
        "image_height": _IMAGE,
        "times": _times(scene.duration_s),
        "marks": _marks(scene),
    }


def _wave(extremes: npt.NDArray[np.float64], middle: float) -> str:
    """Return the outline of an envelope (columns, 2) of -1 to 1 as an SVG path."""
    x = (np.arange(len(extremes)) + 0.5) * _SOUND_WIDTH / len(extremes)
    low, high = middle - extremes.T * _WAVE / 2
    points = [f"{a:.1f} {b:.1f}" for a, b in zip([*x, *x[::-1]], [*(high - 0.3), *(low[::-1] + 0.3)], strict=True)]
    return "M" + "L".join(points) + "Z"


def _times(duration_s: float) -> list[dict[str, Any]]:
    step = next((step for step in _STEPS_S if duration_s / step <= 6), duration_s)
    ticks = []
    for value in np.arange(0.0, duration_s + 1e-6, step):
        x = float(_SOUND_WIDTH * value / duration_s)
        anchor = "start" if value == 0 else "end" if x > _SOUND_WIDTH - 12 else "middle"
        ticks.append({"x": x, "label": f"{value:g} s", "anchor": anchor})
    return ticks


def _marks(scene: Scene) -> list[dict[str, Any]]:
    """Return a line for each play of each source, and a numbered flag for the first; flags do not lie on each other."""
    plays = sorted(
        (start, n, k)
        for k, source in enumerate(scene.sources)
        for n, start in enumerate(source.starts_s or (source.onset_s,))
    )
    marks, last = [], -np.inf
    for start, n, k in plays:
        x = min(_SOUND_WIDTH * start / scene.duration_s, _SOUND_WIDTH)
        flag_x = max(x, last + 17) if n == 0 else x
        last = flag_x if n == 0 else last
        marks.append({"x": x, "flag_x": flag_x, "first": n == 0, "number": k + 1, "colour": k % COLOURS})
    return marks


def _palette() -> npt.NDArray[np.uint8]:
    at = np.linspace(0, len(_STOPS) - 1, 256)
    channels = [np.interp(at, np.arange(len(_STOPS)), [stop[c] for stop in _STOPS]) for c in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)
