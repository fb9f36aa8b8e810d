"""Which optional packages a command needs, and the one line that installs what is missing."""

from importlib.util import find_spec

from xent._errors import MissingExtraError

MODULES = {"cli": ("cyclopts", "rich"), "learn": ("scipy", "sklearn"), "data": ("pyarrow",), "report": ("matplotlib",)}


def require(*extras: str) -> None:
    """Raise MissingExtraError unless the modules of these extras are installed; imports none of them."""
    lacking = {extra: [name for name in MODULES[extra] if find_spec(name) is None] for extra in extras}
    wanted = [extra for extra, names in lacking.items() if names]
    if wanted:
        missing = ", ".join(name for names in lacking.values() for name in names)
        raise MissingExtraError(
            "this command needs optional packages", f"missing: {missing}", f'Run: pip install "xent[{",".join(wanted)}]"'
        )
