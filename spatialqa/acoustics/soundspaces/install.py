"""Installs the engine's library without a compiler: `python -m spatialqa.acoustics.soundspaces.install`.

The package rlr-audio-propagation is published as source: a compiled library, and a binding of C++ around it. spatialqa
calls the library itself, so the binding need not be built. pip downloads the source of the pinned version, whose hash
is compared, and the library is installed from it under the package's own name, with its licence and nothing else.
"""

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from spatialqa.acoustics.soundspaces.rlr_api import DISTRIBUTION, LIBRARY, check_platform
from spatialqa.errors import MissingDependencyError, SpatialQAError

VERSION = "0.0.1"
SHA256 = "ab30868303e5fb9f93f0673f68d6862733b3459babd6d7639b452b3c9c4724f2"  # of the source package
_NAME = "rlr_audio_propagation"
_LIBRARY = f"RLRAudioPropagationPkg/libs/linux/x64/{LIBRARY}"
_TAG = "py3-none-linux_x86_64"
_NOTICE = f"""{DISTRIBUTION} {VERSION} is licensed under CC BY-NC 4.0: audio rendered with the engine soundspaces is for
non-commercial use only. The licence is installed beside the library."""


def install(options: Sequence[str] = ()) -> None:
    """Download the package, and install its library for this Python.

    Args:
        options: more options of `pip install`, such as `--target DIR`.

    Raises:
        EngineError: the platform is not Linux on x86-64.
        MissingDependencyError: pip is missing, or could not download or install the package.
    """
    check_platform()
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{DISTRIBUTION}=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
        _pip("download", "--no-deps", "--no-binary", DISTRIBUTION, "--dest", folder, "-r", str(wanted))
        wheel = library_wheel(Path(folder) / f"{_NAME}-{VERSION}.tar.gz", Path(folder))
        _pip("install", "--no-deps", *options, str(wheel))


def library_wheel(source: Path, folder: Path) -> Path:
    """Write a wheel that holds the library of a source package, its metadata and its licence; return its path.

    source: the .tar.gz. folder: where the wheel goes.
    """
    top, info = f"{_NAME}-{VERSION}", f"{_NAME}-{VERSION}.dist-info"
    with tarfile.open(source) as archive:

        def member(name: str) -> bytes:
            stream = archive.extractfile(f"{top}/{name}")
            assert stream is not None
            return stream.read()

        files = {
            _LIBRARY: member(_LIBRARY),
            f"{info}/licenses/LICENSE": member("LICENSE"),
            f"{info}/METADATA": member("PKG-INFO"),
        }
    head = ["Wheel-Version: 1.0", "Generator: spatialqa", "Root-Is-Purelib: false", f"Tag: {_TAG}"]
    files[f"{info}/WHEEL"] = ("\n".join(head) + "\n").encode()
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    files[record] = ("\n".join([*lines, f"{record},,"]) + "\n").encode()
    wheel = folder / f"{_NAME}-{VERSION}-{_TAG}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in files.items():
            written.writestr(name, data)
    return wheel


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if any("No module named pip" in line for line in said):
        raise MissingDependencyError(f"{sys.executable} has no pip: run {sys.executable} -m ensurepip, then this again")
    faults = [line for line in said if line.startswith("ERROR")] or said or ["no reason given"]
    raise MissingDependencyError(f"pip {arguments[0]} of {DISTRIBUTION} failed: {faults[-1]}")


def main(options: Sequence[str]) -> int:
    """Install with these options of pip; return the exit code."""
    print(_NOTICE)
    try:
        install(options)
    except SpatialQAError as error:
        print(f"spatialqa: {error}", file=sys.stderr)
        return 2
    print("installed; spatialqa doctor tells whether it works")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
