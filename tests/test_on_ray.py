"""A Ray cluster whose head is lost; a program that uses Ray already; addresses."""

import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from spatialqa.core.interrupts import stop_on_signals, stopped_by
from spatialqa.errors import RecipeError
from spatialqa.generation import on_ray
from spatialqa.generation.recipe import RenderRecipe
from tests.fixtures.datasets import PLANNED
from tests.fixtures.kills import Started, spatialqa
from tests.soak import descendants, two_nodes


@dataclass(frozen=True)
class Task:
    """Stands for a shard."""

    name: str


def ray_of(job: None, task: Task) -> Any:
    """Return which Ray the worker is of."""
    import ray

    return ray.get_runtime_context().gcs_address


def test_a_lost_head_is_one_line(tmp_path: Path) -> None:
    with two_nodes(second=False) as (cluster, _):
        render = {"scenes": 20000, "workers": 1, "splits": "1,0,0", "ray_address": cluster.address}
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(yaml.safe_dump({"render": asdict(replace(PLANNED, **render))}))
        root = tmp_path / "data"
        command = Started(spatialqa("render", root, "--recipe", recipe))
        assert command.reaches(lambda: any(root.glob("_spatialqa/shards/*.json"))), command.printed
        (raylet,) = [pid for pid, words in descendants(os.getpid()) if words.split()[0].endswith("/raylet")]
        os.kill(raylet, signal.SIGKILL)
        assert command.wait() in (1, 3)
    assert command.printed.startswith("spatialqa: ")
    assert "Ray" in command.printed
    assert command.printed.endswith("run the same command again to resume\n")
    assert command.printed.count("\n") == 1


def test_a_program_that_uses_ray_already_keeps_it() -> None:
    code = (
        "import ray; from tests.test_on_ray import ray_of, Task\n"
        "from spatialqa.generation.recipe import RenderRecipe; from spatialqa.generation.workers import on_workers\n"
        "ray.init(address='local', num_cpus=1, include_dashboard=False, log_to_driver=False)\n"
        "((_, address),) = on_workers(ray_of, None, RenderRecipe(workers=1), [Task('a')], 1, print)\n"
        "assert address == ray.get_runtime_context().gcs_address and ray.is_initialized()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1], timeout=120)


@pytest.mark.parametrize("address", [":", "", "host", "host:", ":6379", "host:port", "host:0", "host:99999", "ray://"])
def test_what_is_no_address_is_refused_before_anything_is_written(address: str) -> None:
    with pytest.raises(RecipeError, match=r"must be auto or HOST:PORT|is empty: leave it out"):
        RenderRecipe(ray_address=address)


@pytest.mark.parametrize("address", [None, "auto", "10.0.0.1:6379", "ray://head:10001", "localhost:1"])
def test_what_is_an_address_is_taken(address: str | None) -> None:
    assert RenderRecipe(ray_address=address).ray_address == address


def test_a_stop_while_ray_connects_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray sets a handler of SIGTERM of its own when it connects, which would end the program without a word."""

    def join(ray: Any, address: str) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)

    ray = pytest.importorskip("ray")
    monkeypatch.setattr(on_ray, "_join", join)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop_on_signals()
    try:
        with pytest.raises(KeyboardInterrupt), on_ray._connected(ray, "127.0.0.1:1"):
            pass
        assert stopped_by() == signal.SIGTERM
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
