"""YAML from strangers: plain data only, of a bounded size, without aliases, tags or keys that replace one another."""

from importlib.resources.abc import Traversable
from typing import Any

import yaml

from spatialqa.errors import TemplateError

LARGEST_FILE_BYTES = 1 << 20


def read_mapping(file: Traversable) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; nothing in it is executed and no other file is read.

    Raises:
        TemplateError: the file is too large, not plain YAML, or no mapping.
    """
    try:
        with file.open("rb") as handle:
            raw = handle.read(LARGEST_FILE_BYTES + 1)
        if len(raw) > LARGEST_FILE_BYTES:
            raise TemplateError(f"{file.name}: larger than 1 MiB, which no template file needs")
        data = yaml.load(raw.decode("utf-8"), Loader=_StrictLoader)  # a SafeLoader underneath
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError, ValueError) as error:
        raise TemplateError(f"{file.name}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise TemplateError(f"{file.name}: must be a mapping such as `type: A` and `templates: ...`")
    return data


class _StrictLoader(yaml.SafeLoader):
    """Plain data only, and neither aliases (which can grow without bound) nor a key that silently replaces another."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.YAMLError("merge keys (<<) are not allowed")
            if not isinstance(key.value, str) or key.value in seen:
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: {key.value!r} is a duplicate or no plain key")
            seen.add(key.value)
        return super().construct_mapping(node, deep)
