"""Names that are fixed: of the splits, and of the tables of questions. Nothing is imported here."""

SPLITS = ("train", "validation", "test")


def table_name(name: str | None) -> str:
    """Return the table that `make-qa --name NAME` writes."""
    return f"qa-{name}" if name else "qa"
