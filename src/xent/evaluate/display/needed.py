"""What some methods need beside the rest: packages that are loaded when they are called."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from xent._errors import MissingExtraError
from xent.evaluate import INSTALL

EXTRAS = {"altair", "vl_convert", "jinja2", "markupsafe", "matplotlib"}


@contextmanager
def needed(what: str) -> Generator[None]:
    """A block that imports; MissingExtraError, with the line that installs it, where a package is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise MissingExtraError(f"{what} needs optional packages", f"{package} is not installed", INSTALL) from error
