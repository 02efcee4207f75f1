"""The command line: which commands there are, and how errors and signals end them."""

import errno
import gc
import signal
import sys

import click

from spatialqa import __version__
from spatialqa.cli import supervisor
from spatialqa.cli.commands import check, exchange, inputs, make, measure, models
from spatialqa.cli.help import Commands
from spatialqa.core.interrupts import stop_on_signals, stopped_by
from spatialqa.errors import DATA, USAGE, SpatialQAError, one_line

_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="spatialqa")
def cli() -> None:
    """Generate data sets for spatial-audio question answering: scenes in simulated rooms, exact labels, questions."""


for command in (
    *(make.render, make.rirs, make.make_qa_command),
    *(check.preview, check.report, check.status, check.validate, check.audit, check.hear_check),
    *(
        models.score_command,
        exchange.export,
        exchange.push,
        models.train_baseline,
        models.answer_command,
        models.listen_command,
    ),
    *(exchange.import_group, inputs.hrtf, inputs.templates, inputs.clips, inputs.rooms_group),
    *(measure.bench, measure.compare_engines, measure.doctor),
):
    cli.add_command(command)


def main() -> None:
    """Be the program `spatialqa`: `run_here`, with its own handlers of signals and a parent process; see supervisor."""
    stop_on_signals()
    supervisor.available = True
    code = 1
    try:
        code = _run()
    finally:
        supervisor.finished(code)
    gc.freeze()  # before it ends, Python would search all that was made for garbage: up to a third of a second
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        supervisor.leave(code)
    sys.exit(code)


def run_here() -> None:
    """Run the command line in this process: errors that a user can mend are one line and an exit code, see errors."""
    sys.exit(_run())


def _run() -> int:
    """Run a command and return its exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except click.ClickException as error:
        where = getattr(getattr(error, "ctx", None), "command_path", "spatialqa")
        click.echo(f"{where}: {one_line(error.format_message())} (see {where} --help)", err=True)
        return USAGE
    except SpatialQAError as error:
        click.echo(f"spatialqa: {one_line(error)}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(supervisor.stopped(stopped_by()), err=True)
        return 128 + stopped_by()
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:  # a full disk, a folder without permission, a name that became too long
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"spatialqa: {one_line(f'{where}{error.strerror or error}')}", err=True)
        return DATA if error.errno in _OF_THE_MACHINE else USAGE
    except MemoryError:
        click.echo("spatialqa: out of memory; give it more, or ask for less at a time", err=True)
        return DATA
    return 0


if __name__ == "__main__":
    main()
