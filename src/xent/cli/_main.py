"""Entry of the command line: exit codes, one line per error, and nothing heavy imported before it is needed."""

import os
import shlex
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from xent._errors import XentError
from xent.cli._extras import require

OK, REFUSED, INTERRUPTED, PIPE_CLOSED, TERMINATED = 0, 2, 130, 141, 143


def main() -> NoReturn:
    """Run the command that ``sys.argv`` names and exit: 0 done, 2 refused with one line on stderr, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except XentError as error:
        return _refused(str(error))
    except KeyboardInterrupt:
        print("xent: interrupted; nothing is half written", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left. Python flushes once more at exit; let that go nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return PIPE_CLOSED


def _run(arguments: Sequence[str]) -> int:
    """Parse and call; an argument that does not parse is refused like a bad table."""
    require("cli")
    from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError

    from xent.cli._app import app

    try:
        app(arguments, exit_on_error=False, print_error=False)
    except UnusedCliTokensError as error:
        return _refused(f"{_unclaimed(error.unused_tokens or [], arguments)} {_manual(arguments)}")
    except MissingArgumentError as error:
        names = error.argument.names if error.argument is not None else ("an argument",)
        fault = "needs a value" if set(names) & set(arguments) else "is missing"
        return _refused(f"{names[0]} {fault}. {_manual(arguments)}")
    except CycloptsError as error:
        said = str(error).rstrip(".")
        return _refused(f"{said}{'' if said.endswith('?') else '.'} {_manual(arguments)}")
    return OK


def _manual(arguments: Sequence[str]) -> str:
    """Where to read on."""
    return f"See: xent {arguments[0] + ' ' if arguments[:1] in (['fit'], ['evaluate'], ['calibrate']) else ''}--help"


def _unclaimed(words: Sequence[str], arguments: Sequence[str]) -> str:
    """What to do about words that belong to no option."""
    found = f"{' '.join(map(repr, words))} belong{'s' if len(words) == 1 else ''} to no option."
    if any(argument.startswith("--drop") for argument in arguments):
        return f"{found} Write --drop once per column: {' '.join(f'--drop {shlex.quote(word)}' for word in words)}."
    if any(argument.startswith("--target") for argument in arguments):
        return f"{found} Put quotes around a name that holds spaces."
    return f"{found} Name the class column with --target {shlex.quote(words[0])}."


def _refused(message: str) -> int:
    """One line on stderr."""
    line = " ".join(message.split())
    print("xent:", "".join(c if c.isprintable() else repr(c)[1:-1] for c in line), file=sys.stderr)
    return REFUSED


def _terminated(signum: int, frame: FrameType | None) -> None:
    """End as after Ctrl-C, so that temporary files are removed."""
    sys.exit(TERMINATED)
