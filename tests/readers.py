"""Runs the code that a card shows, in environments of other versions of `datasets`, and of pandas, polars and duckdb.

    python -m tests.readers OUT [FOLDER]

OUT is a data set with audio and questions. FOLDER keeps the environments (by default a temporary one); `uv` makes them.
It is no part of `make test`. The exit code is 1 if a block fails, or gives other samples than the tables hold.
"""

import hashlib
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import soundfile

from spatialqa.dataset.folder import DatasetFolder

# by the name of an environment: its packages, and a word of the block of the card that it runs
ENVIRONMENTS = {
    **{f"datasets-{v}": (f"datasets>={v},<{v + 1}", "soundfile", "load_dataset") for v in (3, 4, 5)},
    "pandas": ("pandas", "pyarrow", "import pandas"),
    "polars": ("polars", "import polars"),
    "duckdb": ("duckdb", "import duckdb"),
}
# printed after a block: the versions, and the SHA-256 of the bytes of the first sound, or the shape of the first audio
_AFTER = """
import hashlib, importlib.metadata as m
print({name: m.version(name) for name in ("datasets", "pandas", "polars", "duckdb", "pyarrow") if name in
       {d.metadata["Name"].lower() for d in m.distributions()}})
try:
    print("audio", audio.shape, float(abs(audio[:, 0] - audio[:, 1]).max()) > 0, hashlib.sha256(
        scenes[0]["audio"]["bytes"]).hexdigest())
except NameError:
    found = sound if "sound" in globals() else table[0][2]
    print("sound", len(table), hashlib.sha256(bytes(found)).hexdigest())
"""


def blocks(card: str) -> list[str]:
    """Return the Python code of a card."""
    return [block.partition("```")[0] for block in card.split("```python\n")[1:]]


def environment(folder: Path, name: str, packages: tuple[str, ...]) -> Path:
    """Return the Python of an environment, which is made where it is not there."""
    python = folder / name / "bin/python"
    if not python.exists():
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, folder / name], check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, *packages], check=True)
    return python


def known_sounds(out: Path) -> set[str]:
    """Return the SHA-256 of the audio of all scenes, and check that it has two channels that differ."""
    known = set()
    for path in DatasetFolder(out).tables("scenes"):
        for audio in pq.read_table(path, columns=["audio"])["audio"].to_pylist():
            known.add(hashlib.sha256(audio["bytes"]).hexdigest())
            assert soundfile.read(io.BytesIO(audio["bytes"]))[0].shape[1] > 1
    return known


def main(out: Path, folder: Path) -> int:
    """Run every block in its environments; return the exit code."""
    known, failed = known_sounds(out), 0
    code = blocks((out / "README.md").read_text(encoding="utf-8"))
    for name, (*packages, word) in ENVIRONMENTS.items():
        (block,) = [text for text in code if word in text]
        python = environment(folder, name, tuple(packages))
        done = subprocess.run(
            [python, "-c", block + _AFTER], cwd=out.resolve().parent, capture_output=True, text=True, check=False
        )
        lines = done.stdout.strip().splitlines()
        right = done.returncode == 0 and lines[-1].rpartition(" ")[2] in known
        failed += not right
        print(f"{'ok ' if right else 'BAD'} {name}: {' | '.join(lines) or done.stderr[-500:]}")
    return int(failed > 0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(scratch)))
