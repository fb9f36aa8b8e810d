"""Compilation on first call, kept on disk and forgotten when any source of this folder changes.

Numba's own cache looks at the file of the outermost function alone: an edited helper would leave stale machine code behind.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


def _stamp() -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every source that compiled code may come from."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return tuple((source.name, source.stat().st_size, source.stat().st_mtime_ns) for source in sources)


_STAMP = _stamp()


class _FolderCache(FunctionCache):
    """Numba's cache, whose key also holds the state of this folder."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), _STAMP)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function compiled for the types it is called with, free of the GIL, cached where a folder can be written."""
    compiled: Any = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    try:
        compiled._cache = _FolderCache(function)
    except RuntimeError:
        # No folder can be written: compile anew in each process.
        pass
    return compiled
