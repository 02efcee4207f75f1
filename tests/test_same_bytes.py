"""The bytes of a data set do not depend on threads, cores or BLAS kernels; on instructions only by the last bit."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spatialqa.core.audio_io import decode_flac
from tests.fixtures.datasets import hashes

_RENDER = ("render", "--scenes", "4", "--duration-s", "1", "--save-rirs", "--seed", "4", "--workers", "0")


def _threads(count: int, kernels: str) -> dict[str, str]:
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(variables, str(count)) | {"OPENBLAS_CORETYPE": kernels}


def _start(out: Path, variables: Mapping[str, str], *before: str) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-m", "spatialqa", _RENDER[0], str(out), *_RENDER[1:]]
    return subprocess.Popen(
        command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _wait(*running: subprocess.Popen[str]) -> None:
    for process in running:
        output = process.communicate(timeout=240)[0]
        assert process.returncode == 0, output


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain") / "out"
    _wait(_start(out, _threads(1, "Haswell")))
    return out


@pytest.mark.skipif(sys.platform != "linux", reason="taskset binds a process to a core on Linux")
def test_threads_cores_and_blas_kernels_change_no_byte(tmp_path: Path, plain: Path) -> None:
    one_core, threads = tmp_path / "core", tmp_path / "threads"
    cpu = str(min(os.sched_getaffinity(0)))
    _wait(
        _start(one_core, _threads(4, "Nehalem"), "taskset", "-c", cpu),
        _start(threads, _threads(2, "SandyBridge")),
    )
    assert len(hashes(plain)) >= 6
    assert hashes(one_core) == hashes(plain)
    assert hashes(threads) == hashes(plain)


def test_other_instructions_change_samples_by_one_step_at_most(tmp_path: Path, plain: Path) -> None:
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not found:
        pytest.skip("numpy chooses no kernels by the instruction set on this machine")
    out = tmp_path / "out"
    _wait(_start(out, _threads(1, "Haswell") | {"NPY_DISABLE_CPU_FEATURES": " ".join(found)}))
    for path in sorted((plain / "scenes").rglob("*.parquet")):
        one, other = (pq.read_table(root / path.relative_to(plain)) for root in (plain, out))
        assert other.drop_columns(["audio", "sources"]) == one.drop_columns(["audio", "sources"])
        for here, there in zip(_sources(one), _sources(other), strict=True):
            assert there.pop("wet_level_dbfs") == pytest.approx(here.pop("wet_level_dbfs"), abs=2e-6)
            assert there.pop("rt60_s") == pytest.approx(here.pop("rt60_s"), rel=1e-12)
            assert there == here
        for here, there in zip(one["audio"].to_pylist(), other["audio"].to_pylist(), strict=True):
            difference = decode_flac(here["bytes"])[0] - decode_flac(there["bytes"])[0]
            assert np.abs(difference).max() <= 1.01 * 2.0**-23


def _sources(scenes: pa.Table) -> list[dict[str, Any]]:
    return [source for sources in scenes["sources"].to_pylist() for source in sources]
