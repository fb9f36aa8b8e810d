"""Which optional packages the commands need, and the one line that installs all of them."""

from importlib.util import find_spec

from xent._errors import MissingExtraError
from xent.learn import INSTALL

MODULES = {
    "cli": ("cyclopts", "rich", "matplotlib"),
    "learn": ("scipy", "sklearn"),
    "data": ("pyarrow",),
    "report": ("altair", "vl_convert", "jinja2"),
}


def require(*extras: str) -> None:
    """Raise MissingExtraError unless the modules of these extras are installed; imports none of them.

    The message names what other commands lack as well, so that one installation is enough.
    """
    if not all(has(extra) for extra in extras):
        missing = ", ".join(name for names in MODULES.values() for name in names if find_spec(name) is None)
        raise MissingExtraError("this command needs optional packages", f"missing: {missing}", INSTALL)


def has(extra: str) -> bool:
    """Whether every module of an extra is installed."""
    return all(find_spec(name) is not None for name in MODULES[extra])
