"""Arrays as addresses: parts that no owner counts, and memory asked for before it is needed.

A slice of an array that owns its memory counts one owner more, which costs as much as a stripe of arithmetic; what is made from
an address does not. And the machine's own foresight ends with each page, so that loops which compute wait for memory in turn.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from xent.kernels.cpu.simd import INLINE, PLAIN

AHEAD = 8192
"""Bytes before their use at which memory is asked for: a block of half precision, half a block of single."""


@intrinsic
def pointer_at(typing_context, address):
    """An address as a pointer, for `numba.carray`."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@intrinsic
def fetch(typing_context, address):
    """Ask for the cache line at an address, which need not exist."""

    def codegen(context, builder, signature, args):
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        reading, everywhere, data = number(0), number(3), number(1)
        builder.call(prefetch, [builder.inttoptr(args[0], byte), reading, everywhere, data])
        return context.get_dummy_value()

    return types.none(types.int64), codegen


@njit(**PLAIN)
def row_at(like, address, classes) -> Any:
    """The row that starts at an address."""
    return carray(pointer_at(address), (classes,), like.dtype)


@njit(**PLAIN)
def place(array):
    """The address of an array's first element."""
    return np.int64(array.ctypes.data)


@njit(**PLAIN)
def part(array, start, stop) -> Any:
    """``array[start:stop]`` of a contiguous array."""
    return row_at(array, place(array) + start * array.itemsize, stop - start)


@njit(**PLAIN, **INLINE)
def fetch_lines(address, size) -> None:
    """Ask for that many bytes, `AHEAD` of an address."""
    for line in range(address + AHEAD, address + AHEAD + size, 64):
        fetch(line)


@njit(**PLAIN, **INLINE)
def upcoming(array, start, stop) -> Any:
    """``array[start:stop]`` of a contiguous array, and what follows it asked for; nothing of an empty one."""
    if array.shape[0]:
        fetch_lines(place(array) + start * array.itemsize, (stop - start) * array.itemsize)
        return part(array, start, stop)
    return part(array, 0, 0)


@njit(**PLAIN)
def loose(array) -> Any:
    """A contiguous array whose slices count no owner."""
    return carray(pointer_at(place(array)), array.shape, array.dtype)
