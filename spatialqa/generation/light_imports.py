"""Keeps libraries from importing others that are not used here, where a program has no other code than ours."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_HEAVY = ("pandas",)  # pyarrow imports it with the first array of a list, to know a data frame: 0.4 s of CPU time


class _NotHere:
    """A finder that says that modules are not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in _HEAVY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def without_heavy_libraries() -> None:
    """Let pandas seem not to be installed, unless it is loaded already; for processes that render."""
    if not any(isinstance(finder, _NotHere) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NotHere())
