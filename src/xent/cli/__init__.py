"""The command `xent`: one file per command; parse, call, print."""

from xent.cli._main import main

__all__ = ["main"]
