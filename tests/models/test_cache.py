"""What is kept of scenes: the same batches in the same order, computed once, whole or not at all."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from spatialqa.errors import DatasetError  # noqa: E402
from spatialqa.models.data.feature_cache import CachedScenes  # noqa: E402
from spatialqa.models.data.loading import loader  # noqa: E402
from spatialqa.models.data.scene_index import class_vocabulary  # noqa: E402
from spatialqa.models.data.scenes import SceneDataset  # noqa: E402


def loudness(waveform: Any) -> Any:
    return waveform.square().mean(2).sqrt().clamp(min=1e-6).log10()


def refuse(waveform: Any) -> Any:
    raise AssertionError("it is kept already")


def kept(root: Path, folder: Path, make: Callable[[Any], Any], **identity: Any) -> CachedScenes:
    return CachedScenes(
        root, "train", class_vocabulary(root), (1, 2), seed=3, make=make, folder=folder, identity=identity
    )


def test_batches_are_those_of_the_scenes_with_what_was_made_for_waveforms(small: Path, tmp_path: Path) -> None:
    scenes = SceneDataset(small, "train", class_vocabulary(small), (1, 2), seed=3)
    data = kept(small, tmp_path, loudness)
    for epoch in (0, 1):
        for own, theirs in zip(loader(data, 4, epoch=epoch), loader(scenes, 4, epoch=epoch), strict=True):
            assert own.scene_id == theirs.scene_id
            assert torch.equal(own.azimuth_deg, theirs.azimuth_deg)
            assert torch.equal(own.classes, theirs.classes)
            assert own.waveform.dtype == torch.float32
            torch.testing.assert_close(own.waveform, loudness(theirs.waveform), atol=0, rtol=1e-3)


def test_it_is_computed_once_for_the_same_data_and_identity(small: Path, tmp_path: Path) -> None:
    first = kept(small, tmp_path, loudness, bands=1)
    assert kept(small, tmp_path, refuse, bands=1).file == first.file
    with pytest.raises(AssertionError, match="kept already"):
        kept(small, tmp_path, refuse, bands=2)


def test_a_computation_that_is_cut_short_leaves_nothing(small: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        kept(small, tmp_path, refuse)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(small: Path, tmp_path: Path) -> None:
    file = kept(small, tmp_path, loudness).file
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(DatasetError, match=f"{file}.*remove it"):
        kept(small, tmp_path, refuse)


def test_a_disk_without_room_is_one_line_and_leaves_nothing(small: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))  # the header fits, the rows do not
    try:
        with pytest.raises(DatasetError, match="cannot be written"):
            kept(small, tmp_path, loudness)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_what_the_disk_has_no_room_for_is_refused_before_it_is_made(small: Path, tmp_path: Path) -> None:
    made = []

    def endless(waveform: Any) -> Any:
        made.append(len(waveform))
        return torch.zeros(1, 1).expand(len(waveform), 10**14)  # one number in memory

    scenes = len(SceneDataset(small, "train", class_vocabulary(small), (1, 2)))
    needed = rf"{2e14 * scenes / 1e9:,.1f} GB are needed for .* {scenes} scenes, and [\d,.]+ GB are free; .* --cache"
    with pytest.raises(DatasetError, match=needed):
        kept(small, tmp_path, endless)
    assert len(made) == 1
    assert not list(tmp_path.iterdir())
