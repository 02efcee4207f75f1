"""The picture of a scene in Python: well-formed SVG with everything at its place, and images that decode."""

import base64
import re
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest

from spatialqa.core.png import encode_png
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


def test_a_png_holds_its_pixels_and_checksums() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    data = base64.b64decode(base64.b64encode(encode_png(pixels, palette)))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + size
    assert struct.unpack(">IIBB", chunks[b"IHDR"][:10]) == (4, 3, 8, 3)
    assert chunks[b"PLTE"] == palette.tobytes()
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(3, 5)
    assert np.array_equal(rows[:, 1:], pixels)
    assert not rows[:, 0].any()
