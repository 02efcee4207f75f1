"""The picture of a scene in Python: well-formed SVG with everything at its place, and images that decode."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from spatialqa.core.charts import encode_png
from spatialqa.views.scene_plot import scene_svg
from tests.views.drawn import azimuth_deg, read_svg
from tests.views.pages import RATE, SECONDS, scenes

SVG = "{http://www.w3.org/2000/svg}"


def test_sources_are_where_their_rows_say_and_are_written_below() -> None:
    for scene in scenes():
        text = scene_svg(scene, None)
        ElementTree.fromstring(text)
        plan = read_svg(re.findall(r"<svg class=.room plan.*?</svg>", text, re.DOTALL)[0])
        for k, source in enumerate(scene.sources):
            assert azimuth_deg(*plan.sources[k]) == pytest.approx(source.azimuth_deg, abs=0.7)
            assert f"{source.labels[0]}: azimuth {source.azimuth_deg:+.0f}°".replace("-", "\N{MINUS SIGN}") in text
        assert "<image" not in text


def test_onsets_are_on_the_axis_of_time_and_both_ears_have_an_image() -> None:
    scene = scenes()[0]
    tone = np.sin(2 * np.pi * 440 * np.arange(int(RATE * SECONDS)) / RATE).astype(np.float32)
    root = ElementTree.fromstring(scene_svg(scene, None, np.stack([tone, 0.1 * tone])))
    images = list(root.iter(f"{SVG}image"))
    assert len(images) == 2
    width = float(images[0].get("width", "nan"))
    onsets = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("class") == "onset"]
    assert [float(re.findall(r"[\d.]+", d)[0]) / width * SECONDS for d in onsets] == pytest.approx([0.0, 0.5], abs=0.01)


def test_a_name_with_markup_stays_text() -> None:
    scene = scenes()[0]
    object.__setattr__(scene, "region_label", "<script>&")
    root = ElementTree.fromstring(scene_svg(scene, None))
    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>&" in (text.text or "") for text in root.iter(f"{SVG}text"))


def test_its_styles_hold_inside_the_picture_alone() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", scene_svg(scenes()[0], None), re.DOTALL)
    selectors = [one.strip() for rule in re.findall(r"([^{}]+)\{", style) for one in rule.split(",")]
    assert len(selectors) > 20
    assert [one for one in selectors if not one.startswith(".sqa ")] == []


def test_an_image_holds_the_colour_of_each_level_and_is_the_same_each_time() -> None:
    levels = np.arange(0, 252, 21, dtype=np.uint8).reshape(3, 4)
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 7)], axis=1).astype(np.uint8)
    data = encode_png(levels, colours)
    assert data == encode_png(levels, colours)
    assert b"tEXt" not in data
    assert np.array_equal(np.round(255 * imread(io.BytesIO(data)))[..., :3], colours[levels])


def test_a_spectrogram_has_low_frequencies_below() -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(int(RATE * SECONDS)) / RATE).astype(np.float32)
    root = ElementTree.fromstring(scene_svg(scenes()[0], None, np.stack([tone, tone])))
    image = next(root.iter(f"{SVG}image")).get("href", "").removeprefix("data:image/png;base64,")
    dark = 3 - imread(io.BytesIO(base64.b64decode(image)))[..., :3].sum(axis=2)
    assert int(dark.mean(axis=1).argmax()) > 0.6 * len(dark)
