"""Reads untrusted YAML: plain values only, of bounded size and depth, without duplicate keys.

Refused are aliases (which can grow without bound), tags (which can name classes), merge keys, and numbers of more
digits than any key takes. Dates and `1:30` are texts, not dates and not 90.
"""

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from spatialqa.core.input_files import open_regular
from spatialqa.errors import SpatialQAError, one_line, shown

LARGEST_BYTES = 1 << 20
_DEEPEST = 20
_MOST_DIGITS = 40
_PLAIN = "tag:yaml.org,2002:"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str) -> Any:
    """Return the plain values that a YAML text holds; raises ValueError, in one line, for any other text."""
    try:
        _check_events(text)
        return yaml.load(text, Loader=_StrictLoader)  # a SafeLoader underneath
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{where}{one_line(error.problem or error.context or '', 200)}") from None
    except (yaml.YAMLError, OverflowError, RecursionError) as error:
        raise ValueError(one_line(error, 200)) from None


def read_yaml(file: Traversable, what: str, error: type[SpatialQAError]) -> Any:
    """Return the plain values of a YAML file.

    Args:
        file: the file.
        what: how an error names it, such as "recipe r.yaml".
        error: what is raised where it cannot be read, is larger than 1 MiB, or is not plain YAML.
    """
    try:
        with open_regular(file) if isinstance(file, Path) else file.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
    except OSError as fault:
        raise error(f"{what}: cannot be read ({fault.strerror or fault})") from None
    if len(raw) > LARGEST_BYTES:
        raise error(f"{what}: larger than 1 MiB, more than such a file can need")
    try:
        return load_yaml(raw.decode("utf-8-sig"))
    except ValueError as fault:  # UnicodeDecodeError is one
        raise error(f"{what}: not readable as YAML: {one_line(fault, 200)}") from None


def _check_events(text: str) -> None:
    """Refuse what must not be composed: it would take memory or depth without bound."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _fault(event, "aliases (*name) are not allowed")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _fault(event, f"tags are not allowed, and it has {shown(tag)}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _fault(event, f"nested more than {_DEEPEST} deep")


def _fault(at: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


class _StrictLoader(_Loader):  # type: ignore[misc]
    """Plain values only, and every key of a mapping once."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        tag: str = super().resolve(kind, value, implicit)
        if kind is yaml.ScalarNode and (tag.removeprefix(_PLAIN) in ("timestamp", "value", "merge") or ":" in value):
            return _PLAIN + "str"
        return tag

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str) or key.value in seen:
                raise _fault(key, f"{shown(key.value)} is a duplicate or no plain key")
            if key.value == "<<":
                raise _fault(key, "merge keys (<<) are not allowed")
            seen.add(key.value)
        values = dict(super().construct_mapping(node, deep))
        if len(values) < len(node.value):  # 1 and 1.0 are one key
            raise _fault(node, f"one of the keys {', '.join(sorted(seen))} is a duplicate")
        return values

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _MOST_DIGITS:
            raise _fault(node, f"a number of more than {_MOST_DIGITS} digits")
        return int(super().construct_yaml_int(node))


_StrictLoader.add_constructor(_PLAIN + "int", _StrictLoader.construct_yaml_int)
