"""Runs of a few numbers as whole vectors of 16: what loops over so little would spend on beginning and ending.

Addresses must allow reading, and for `scale_run` writing, up to a whole number of vectors.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16


def _vector_at(builder, address, index, size, vector):
    """A pointer to the index-th vector from an address."""
    offset = builder.mul(index, ir.IntType(64)(LANES * size))
    return builder.inttoptr(builder.add(address, offset), vector.as_pointer())


def _read(builder, address, index, real, vector):
    value = builder.load(_vector_at(builder, address, index, real.bitwidth // 8, vector))
    value.align = real.bitwidth // 8
    return value


def _splat(builder, value, vector):
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))


@intrinsic
def sum_run(typing_context, like, address, count):
    """Sum of count numbers of like's dtype."""
    real = like.dtype

    def codegen(context, builder, signature, args):
        _, at, number = args
        scalar = context.get_value_type(real)
        vector, index = ir.VectorType(scalar, LANES), ir.VectorType(ir.IntType(64), LANES)
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, None))
        whole = builder.lshr(number, ir.IntType(64)(4))
        with cgutils.for_range(builder, whole) as loop:
            builder.store(builder.fadd(builder.load(total), _read(builder, at, loop.index, real, vector)), total)
        rest = builder.and_(number, ir.IntType(64)(LANES - 1))
        mine = builder.icmp_signed("<", ir.Constant(index, list(range(LANES))), _splat(builder, rest, index))
        last = builder.select(mine, _read(builder, at, whole, real, vector), ir.Constant(vector, None))
        name = f"llvm.vector.reduce.fadd.v{LANES}f{real.bitwidth}"
        reduce = cgutils.get_or_insert_function(builder.module, ir.FunctionType(scalar, [scalar, vector]), name)
        return builder.call(reduce, [scalar(-0.0), builder.fadd(builder.load(total), last)], fastmath=("reassoc",))

    return real(like, types.int64, types.int64), codegen


@intrinsic
def scale_run(typing_context, like, source, goal, count, first, second):
    """``goal = source · first · second`` for count numbers of like's dtype, and what follows them up to a whole vector."""
    real = like.dtype

    def codegen(context, builder, signature, args):
        _, at, to, number, *factors = args
        vector = ir.VectorType(context.get_value_type(real), LANES)
        one, two = (_splat(builder, factor, vector) for factor in factors)
        vectors = builder.lshr(builder.add(number, ir.IntType(64)(LANES - 1)), ir.IntType(64)(4))
        with cgutils.for_range(builder, vectors) as loop:
            value = builder.fmul(builder.fmul(_read(builder, at, loop.index, real, vector), one), two)
            stored = builder.store(value, _vector_at(builder, to, loop.index, real.bitwidth // 8, vector))
            stored.align = real.bitwidth // 8
        return context.get_dummy_value()

    return types.none(like, types.int64, types.int64, types.int64, real, real), codegen
