"""Image sources: a shoebox against pyroomacoustics, and mirrors that are not there."""

import numpy as np
import pytest

from tests.acoustics.boxes import CEILING, Faces, Vertices, box_mesh, joined, material, room, without
from tests.acoustics.geometric.hearing import DRY, LISTENER, SIZE, SOURCES, engine

pra = pytest.importorskip("pyroomacoustics")


@pytest.mark.parametrize("size", [SIZE, (9.0, 4.0, 12.0)])
def test_a_shoebox_has_the_image_sources_of_pyroomacoustics(size: tuple[float, float, float]) -> None:
    """To order 3: the same number, times within a sample and levels within 0.5 dB."""
    absorption = 0.2
    box = room(*box_mesh((0.0, 0.0, 0.0), size), material(absorption, 0.0))
    paths = engine(**DRY).open(box).trace(LISTENER.position, SOURCES).paths
    for s, source in enumerate(SOURCES):
        reference = pra.ShoeBox(size, fs=32_000, materials=pra.Material(absorption), max_order=3, air_absorption=False)
        reference.add_source(source)
        reference.add_microphone(LISTENER.position)
        reference.image_source_model()
        (images,) = reference.sources
        length = np.linalg.norm(images.images - np.array(LISTENER.position)[:, None], axis=0)
        gain = images.damping.ravel() / length
        expected = sorted(zip(np.round(length, 3), gain, strict=True))
        found = paths.chosen(paths.source == s)
        got = sorted(zip(np.round(found.length_m, 3), found.gains[:, 3], strict=True))
        assert len(got) == len(expected)
        assert np.abs(np.array(got)[:, 0] - np.array(expected)[:, 0]).max() < 343 / 32_000
        assert np.abs(20 * np.log10(np.array(got)[:, 1] / np.array(expected)[:, 1])).max() < 0.5


def test_a_path_needs_its_mirror_and_a_free_way() -> None:
    vertices, faces = box_mesh((0.0, 0.0, 0.0), SIZE)
    first = engine(**DRY, specular_order=1)

    def count(mesh: tuple[Vertices, Faces]) -> int:
        return len(first.open(room(*mesh, material(0.2, 0.0))).trace(LISTENER.position, SOURCES[:1]).paths)

    assert count((vertices, faces)) == 1 + 6
    assert count((vertices, without(faces, CEILING))) == 1 + 5
    shelf = box_mesh((2.9, 2.8, 2.4), (3.13, 2.9, 2.9))  # on the way to the mirror point of the ceiling
    assert count(joined((vertices, faces), shelf)) == 1 + 5


def test_what_is_scattered_is_not_mirrored() -> None:
    box = room(*box_mesh((0.0, 0.0, 0.0), SIZE), material(0.2, 0.5))
    paths = engine(**DRY, specular_order=1).open(box).trace(LISTENER.position, SOURCES[:1]).paths
    assert paths.gains[1:, 0] * paths.length_m[1:] == pytest.approx(np.sqrt(0.8 * 0.5))
