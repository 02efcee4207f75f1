"""Fixed names: splits, and tables of questions. This module imports nothing."""

SPLITS = ("train", "validation", "test")


_LONGEST_NAME = 200  # bytes: with what is put around it, still the name of a folder


def table_name_fault(name: str) -> str | None:
    """Return why no table of questions can have this name, or None where one can."""
    if not name.replace("-", "").replace("_", "").isalnum():
        return f"name {name[:60]!r} becomes part of a folder name: use letters, digits, - and _"
    if len(name.encode("utf-8")) > _LONGEST_NAME:
        return f"name {name[:20]}... is too long: it becomes part of a folder name, use at most {_LONGEST_NAME} bytes"
    return None


def table_name(name: str | None) -> str:
    """Return the table that `make-qa --name NAME` writes."""
    return f"qa-{name}" if name else "qa"
