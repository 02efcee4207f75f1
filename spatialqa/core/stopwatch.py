"""CPU time by stage: what `spatialqa bench` reports."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator


class Stopwatch:
    """Adds up this process's CPU seconds by stage name."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the CPU time of the block towards `name`."""
        start = time.process_time()
        try:
            yield
        finally:
            self.cpu_s[name] += time.process_time() - start
