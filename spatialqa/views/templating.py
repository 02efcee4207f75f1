"""The templates of pages: HTML that escapes what comes from a data set."""

import functools
from pathlib import Path

import jinja2

PAGE = Path(__file__).parent / "page"


@functools.cache
def environment() -> jinja2.Environment:
    """Return the environment of the templates in `page/`; a name that a template misses is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["unit"] = lambda value: f"{value:.2f}".rstrip("0").rstrip(".")
    made.filters["signed"] = lambda value, digits=0: minus(f"{value:+.{digits}f}")
    made.filters["number"] = lambda value, digits=0: minus(f"{value:.{digits}f}")
    made.filters["amount"] = amount
    return made


def amount(value: float | None, form: str, unit: str) -> str:
    """Return a number with its unit, or a dash where it is not known."""
    return "\N{EN DASH}" if value is None else minus(format(value, form)) + unit


def asset(name: str) -> str:
    """Return a style sheet or a script of `page/`."""
    return (PAGE / name).read_text(encoding="utf-8")


def minus(text: str) -> str:
    """Return a number with a minus sign in place of a hyphen."""
    return text.replace("-", "\N{MINUS SIGN}")
