"""Where text goes."""

from typing import NoReturn

from rich.console import Console


class PipeConsole(Console):
    """A console that raises BrokenPipeError where the reader of a pipe left, and leaves the rest to its caller."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise what was raised, in place of SystemExit."""
        self.quiet = True
        raise BrokenPipeError
