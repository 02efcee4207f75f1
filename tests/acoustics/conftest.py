import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def kemar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MIT KEMAR as Debian's libmysofa1 carries it: $SPATIALQA_TEST_SOFA, the installed file, or the package's."""
    inside = "usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa"
    for known in (os.environ.get("SPATIALQA_TEST_SOFA"), f"/{inside}"):
        if known and Path(known).is_file():
            return Path(known)
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        pytest.skip("MIT KEMAR is not installed (libmysofa1) and there is no apt-get")
    folder = tmp_path_factory.mktemp("kemar")
    try:
        subprocess.run(["apt-get", "download", "libmysofa1"], cwd=folder, check=True, capture_output=True, timeout=60)
        package = next(folder.glob("*.deb"))
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=folder, check=True, capture_output=True, timeout=60)
    except (subprocess.SubprocessError, StopIteration) as error:
        pytest.skip(f"libmysofa1 cannot be downloaded: {error}")
    return folder / inside
