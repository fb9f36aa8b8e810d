"""Arrays as addresses: parts that no owner counts, and memory asked for before it is needed.

A slice of an array that owns its memory counts one owner more, which costs as much as a stripe of arithmetic; what is made from
an address does not. And the machine's own foresight ends with each page, so that loops which compute wait for memory in turn.
"""

from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils
from numba.np.arrayobj import populate_array

from xent.kernels.cpu.simd import INLINE

intrinsic: Any = extending.intrinsic
"""Typed as anything: to a type checker its results would be functions that never return."""
AHEAD = 8192
"""Bytes before their use at which memory is asked for: a block of half precision, half a block of single."""


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


def _vector(context, builder, kind, data, size):
    """A contiguous array over memory that somebody else owns."""
    array, item = context.make_array(kind)(context, builder), context.get_constant(types.intp, kind.dtype.bitwidth // 8)
    populate_array(array, data=data, shape=[size], strides=[item], itemsize=item, meminfo=None)
    return array._getvalue()


@intrinsic
def row_at(typing_context, like, address, size):
    """The row of like's dtype that starts at an address."""
    kind = types.Array(like.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        pointer = context.get_data_type(kind.dtype).as_pointer()
        return _vector(context, builder, kind, builder.inttoptr(args[1], pointer), args[2])

    return kind(like, types.int64, types.int64), codegen


@intrinsic
def place(typing_context, array):
    """The address of an array's first element."""

    def codegen(context, builder, signature, args):
        return builder.ptrtoint(context.make_array(array)(context, builder, args[0]).data, ir.IntType(64))

    return types.int64(array), codegen


@intrinsic
def part(typing_context, array, start, stop):
    """``array[start:stop]`` of a contiguous array."""
    kind = types.Array(array.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        data = builder.gep(context.make_array(array)(context, builder, args[0]).data, [args[1]])
        return _vector(context, builder, kind, data, builder.sub(args[2], args[1]))

    return kind(array, types.int64, types.int64), codegen


@intrinsic
def lane(typing_context, matrix, row):
    """``matrix[row]`` of a contiguous matrix."""
    kind = types.Array(matrix.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        whole = context.make_array(matrix)(context, builder, args[0])
        size = builder.extract_value(whole.shape, 1)
        return _vector(context, builder, kind, builder.gep(whole.data, [builder.mul(args[1], size)]), size)

    return kind(matrix, types.int64), codegen


@intrinsic
def loose(typing_context, array):
    """The same array, whose slices count no owner."""

    def codegen(context, builder, signature, args):
        free = context.make_array(array)(context, builder, args[0])
        free.meminfo = cgutils.get_null_value(free.meminfo.type)
        free.parent = cgutils.get_null_value(free.parent.type)
        return free._getvalue()

    return array(array), codegen


@njit(**INLINE)
def fetch_lines(address, size) -> None:
    """Ask for that many bytes, `AHEAD` of an address."""
    for line in range(address + AHEAD, address + AHEAD + size, 64):
        fetch(line)


@njit(**INLINE)
def upcoming(array, start, stop) -> Any:
    """``array[start:stop]`` of a contiguous array, and what follows it asked for; nothing of an empty one."""
    if array.shape[0]:
        fetch_lines(place(array) + start * array.itemsize, (stop - start) * array.itemsize)
        return part(array, start, stop)
    return part(array, 0, 0)
