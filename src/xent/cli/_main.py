"""Entry of the command line: exit codes, one line per error, and nothing heavy imported before it is needed."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from xent._errors import XentError
from xent.cli._extras import require

OK, PIPE_CLOSED, REFUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


def main() -> NoReturn:
    """Run the command that ``sys.argv`` names and exit: 0 done, 2 refused with one line on stderr, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit code."""
    try:
        return _run(arguments)
    except XentError as error:
        return _refused(str(error))
    except KeyboardInterrupt:
        print("xent: interrupted; nothing is half written", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left. Python flushes stdout once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _run(arguments: Sequence[str]) -> int:
    """Parse and call; an argument that does not parse is refused like a bad table."""
    require("cli")
    from cyclopts import CycloptsError

    from xent.cli._app import app

    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _refused(f"{str(error).rstrip('.')}. See: xent fit --help")
    return OK


def _refused(message: str) -> int:
    """One line on stderr."""
    print("xent:", " ".join(message.split()), file=sys.stderr)
    return REFUSED


def _terminated(signum: int, frame: FrameType | None) -> None:
    """End as after Ctrl-C, so that temporary files are removed."""
    sys.exit(TERMINATED)
