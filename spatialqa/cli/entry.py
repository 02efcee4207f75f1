"""Where the program `spatialqa` begins: Ctrl-C ends it in silence as long as nothing of it is imported."""

import signal


def main() -> None:
    """Be the program `spatialqa`; see main.main."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from spatialqa.cli.main import main as command_line

    command_line()
