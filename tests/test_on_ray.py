"""Ray beside another Ray; workers that end with code 0; a node that is lost."""

import os
import signal
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from spatialqa.errors import DatasetError, RecipeError
from spatialqa.generation.on_ray import CRASHES_PER_SHARD, on_ray
from spatialqa.generation.recipe import RenderRecipe
from tests.fixtures.datasets import PLANNED
from tests.fixtures.kills import Started, spatialqa
from tests.soak import descendants, two_nodes


@dataclass(frozen=True)
class Task:
    """Stands for a shard."""

    name: str


def report(flag: Path, task: Task) -> Any:
    """Return where the worker runs and how nice it is; the first task, and `dead` always, ends its process."""
    import ray

    if not flag.exists() or task.name == "dead":
        flag.touch()
        os._exit(0)
    return ray.get_runtime_context().gcs_address, os.nice(0)


def test_an_instance_of_its_own_beside_another_ray_tries_again_what_dead_workers_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with two_nodes(second=False) as (cluster, _):
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        capfd.readouterr()
        before = signal.getsignal(signal.SIGTERM)
        heard: list[Any] = []
        tasks = [Task("a"), Task("dead"), Task("b")]
        with pytest.raises(DatasetError, match=rf"shard dead: its worker died {CRASHES_PER_SHARD} times"):
            list(on_ray(report, tmp_path / "flag", RenderRecipe(workers=2), tasks, 2, heard.append))
        assert capfd.readouterr() == ("", "")  # of what Ray says about the worker that ended
        assert len(heard) == 2
        for address, niceness in heard:
            assert address != cluster.address
            assert niceness == os.nice(0)
        assert signal.getsignal(signal.SIGTERM) == before


def test_a_lost_node_is_one_line(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"render": asdict(replace(PLANNED, scenes=20000, workers=1, splits="1,0,0"))}))
    root = tmp_path / "data"
    render = Started(spatialqa("render", root, "--recipe", recipe))
    assert render.reaches(lambda: any(root.glob("_spatialqa/shards/*.json"))), render.printed
    (raylet,) = [pid for pid, words in descendants(render.process.pid) if words.split()[0].endswith("/raylet")]
    os.kill(raylet, signal.SIGKILL)
    assert render.wait() in (1, 2)
    assert render.printed.startswith("spatialqa: ")
    assert "Ray" in render.printed
    assert render.printed.endswith("run the same command again to resume\n")
    assert render.printed.count("\n") == 1


@pytest.mark.parametrize("address", [":", "", "host", "host:", ":6379", "host:port", "host:0", "host:99999", "ray://"])
def test_what_is_no_address_is_refused_before_anything_is_written(address: str) -> None:
    with pytest.raises(RecipeError, match=r"must be auto or HOST:PORT|is empty: leave it out"):
        RenderRecipe(ray_address=address)


@pytest.mark.parametrize("address", [None, "auto", "10.0.0.1:6379", "ray://head:10001", "localhost:1"])
def test_what_is_an_address_is_taken(address: str | None) -> None:
    assert RenderRecipe(ray_address=address).ray_address == address
