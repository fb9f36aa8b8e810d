"""Which optional packages the commands need, and the one line that installs all of them."""

from importlib.util import find_spec

from xent._errors import MissingExtraError
from xent.learn import INSTALL

MODULES = {"cli": ("cyclopts", "rich", "matplotlib"), "learn": ("scipy", "sklearn"), "data": ("pyarrow",)}


def require(*extras: str) -> None:
    """Raise MissingExtraError unless the modules of these extras are installed; imports none of them.

    The message names what other commands lack as well, so that one installation is enough.
    """
    lacking = {extra: [name for name in names if find_spec(name) is None] for extra, names in MODULES.items()}
    if any(lacking[extra] for extra in extras):
        missing = ", ".join(name for names in lacking.values() for name in names)
        raise MissingExtraError("this command needs optional packages", f"missing: {missing}", INSTALL)
