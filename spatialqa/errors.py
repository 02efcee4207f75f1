"""All errors that a user can meet, and the exit codes of the command line, which prints an error in one line.

0  done
1  a check found problems, or part of what was asked for is missing
2  what was typed, or an input that it names, cannot be used: the same command would fail again
3  data are damaged or gone, or the machine failed (a full disk, a lost worker): repeat the command once that is mended
130, 143  stopped by SIGINT, SIGTERM
"""

from typing import Any, ClassVar

FOUND, USAGE, DATA = 1, 2, 3

_LONGEST_LINE = 1000  # characters of a message


class SpatialQAError(Exception):
    """Root of every error that a user can cause or mend; its text says what, where and what to do."""

    exit_code: ClassVar[int] = USAGE


class RecipeError(SpatialQAError):
    """A recipe key or command line option is unknown or has a value that cannot be used."""


class MissingDependencyError(SpatialQAError):
    """An optional package or engine is needed and absent; the text names the pip command."""


class RoomError(SpatialQAError):
    """A room cannot be read, is not a closed space, or has an unknown material."""


class PlacementError(SpatialQAError):
    """A room has no valid place for a listener or a source; the text says why."""


class ClipError(SpatialQAError):
    """A clip or a folder of clips cannot be used."""


class ClipGoneError(ClipError):
    """A clip that was listed cannot be read now or has changed: a fault from outside, which fails the shard."""

    exit_code = DATA


class DownloadError(ClipError):
    """A collection of clips cannot be downloaded: the network or its home failed, or sent something else."""

    exit_code = DATA


class EngineError(SpatialQAError):
    """An acoustic engine refused its configuration or failed while it simulated."""


class EngineCrashError(EngineError):
    """An engine crashed, hung, or ended its process, where it could be seen: in a process of its own."""

    exit_code = DATA


class DatasetError(SpatialQAError):
    """A data set folder is not ours, differs from the run that is asked for, or fails validation."""


class DamagedError(DatasetError):
    """A file of a data set is damaged or gone; the text says how it is made again."""

    exit_code = DATA


class UnfinishedError(DatasetError):
    """A run could not make what it should, for reasons outside of the command; what it has made stays and counts."""

    exit_code = DATA


class QuestionModuleError(SpatialQAError):
    """A Python file or package with a user's own subtypes cannot be used."""


class TemplateError(SpatialQAError):
    """A question template cannot be read or uses a slot that does not exist."""


def one_line(text: object, longest: int = _LONGEST_LINE) -> str:
    """Return a text in one line: white space joined, control characters escaped, the middle of a long text left out."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(str(text).split()))
    half = (longest - 5) // 2
    return line if len(line) <= longest else f"{line[:half]} ... {line[-half:]}"


def shown(value: Any, longest: int = 60) -> str:
    """Return the repr of a given value, at most `longest` characters of it."""
    try:
        return one_line(repr(value), longest)
    except ValueError:  # Python writes no whole number of more than some 4300 digits
        return "a number of thousands of digits"
