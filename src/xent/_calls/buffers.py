"""Room for large results, kept from one step to the next.

A training step frees its gradient and the next one asks for as much again: mapping and clearing fresh pages costs more than
computing what is written there. A freed buffer is kept here, but its pages are handed to the system as free for the taking
(``MADV_FREE``): they are still there a moment later, and gone as soon as anything else needs memory.
"""

import math
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from xent._typing import Array

LEAST_BYTES = 4 << 20
"""Smaller arrays come from NumPy, which keeps those itself or gets them quickly."""
MOST_KEPT = 2
"""Buffers kept; more are unmapped."""
WASTE = 1.125
"""A buffer serves an array if it is at most so many times as large."""

_kept: dict[int, list[mmap.mmap]] = {}
"""By process, oldest first. No lock: one list operation at a time is enough, and a forked child could find a lock taken."""
_ADVICE = getattr(mmap, "MADV_FREE", None), getattr(mmap, "MADV_HUGEPAGE", None)


def empty(shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """A contiguous array of no particular values."""
    count = math.prod(shape)
    size = count * dtype.itemsize
    if size < LEAST_BYTES or None in _ADVICE or sys.platform != "linux":
        return np.empty(shape, dtype)
    room = _taken(size) or _mapped(size)
    flat = np.frombuffer(room, dtype, count)
    # Whoever holds the array, through whatever view, holds the mapping; when none does, it comes back here.
    weakref.finalize(flat, _give_back, os.getpid(), room).atexit = False
    return flat.reshape(shape)


def empty_like(array: Array) -> Array:
    """The same with an array's shape, dtype and layout."""
    if array.nbytes < LEAST_BYTES:
        return np.empty_like(array, subok=False)
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    return empty([array.shape[axis] for axis in order], array.dtype).transpose(np.argsort(order))


def cut(array: Array, used: int) -> None:
    """Hand back the memory of a buffer behind so many bytes, which nobody will read again."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    room = owner.obj if isinstance(owner, memoryview) else owner
    start = -(-used // mmap.PAGESIZE) * mmap.PAGESIZE
    if isinstance(room, mmap.mmap) and start < len(room):
        room.madvise(mmap.MADV_DONTNEED, start, len(room) - start)


def forget() -> None:
    """Unmap what is kept."""
    _kept.clear()


def _mapped(size: int) -> mmap.mmap:
    """Private pages, huge where the system has them."""
    room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    room.madvise(mmap.MADV_HUGEPAGE)
    return room


def _taken(size: int) -> mmap.mmap | None:
    """A kept buffer that is large enough and not much larger."""
    rooms = _kept.get(os.getpid(), [])
    for room in sorted(rooms, key=len):
        if size <= len(room) <= WASTE * size:
            with suppress(ValueError):
                rooms.remove(room)
                return room
    return None


def _give_back(process: int, room: mmap.mmap) -> None:
    """Keep the newest few."""
    room.madvise(mmap.MADV_FREE)
    rooms = _kept.setdefault(process, [])
    rooms.append(room)
    del rooms[:-MOST_KEPT]
