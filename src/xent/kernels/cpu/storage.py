"""Half precision in and out of float32.

int16 holds the bits of float16 and uint16 those of bfloat16: Numba has neither type on a CPU, and the sign tells them apart.
float16 is converted by the machine where it can (half the time), else by integer arithmetic, which vectorises everywhere.
"""

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic, overload

from xent.kernels.cpu.simd import EXACT, bits_of, f32, float_of, i32


def converts_halves() -> bool:
    """Whether this machine has instructions for float16; LLVM would call a function that no library here holds."""
    return binding.get_default_triple().startswith("aarch64") or bool(binding.get_host_cpu_features().get("f16c"))


@intrinsic
def machine_widen(typing_context, x):
    """float32 of float16 bits by the machine's own instruction."""

    def codegen(context, builder, signature, args):
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.int16), codegen


@intrinsic
def machine_narrow(typing_context, x):
    """float16 bits of a float32, rounded to nearest even by the machine's own instruction."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.int16(types.float32), codegen


def widen(x) -> Any:
    """The float32 of bits in half precision: int16 holds float16, uint16 holds bfloat16; floats stay."""


@overload(widen, jit_options=EXACT)
def _widen(x):
    if x == types.uint16:
        return lambda x: float_of(i32(i32(x) << 16))
    if x == types.int16 and converts_halves():
        return lambda x: machine_widen(x)
    if x == types.int16:

        def half(x):
            # Exponents are rebased by a multiplication, which makes subnormals right too; 2^16 and up were inf and NaN.
            size = float_of(i32((i32(x) & 0x7FFF) << 13)) * f32(2.0**112)
            size = float_of(i32(bits_of(size) | 0x7F800000)) if size >= f32(65536.0) else size
            return float_of(i32(bits_of(size) | ((i32(x) & 0x8000) << 16)))

        return half
    return lambda x: x


def narrow(x, like) -> Any:
    """A float32 rounded to nearest even, as the bits of like's dtype."""


@overload(narrow, jit_options=EXACT)
def _narrow(x, like):
    if like.dtype == types.uint16:

        def brain(x, like):
            bits = bits_of(x)
            rounded = i32(bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            return np.uint16((0x7FC0 if x != x else rounded) & 0xFFFF)

        return brain
    if like.dtype == types.int16 and converts_halves():
        return lambda x, like: machine_narrow(x)
    if like.dtype == types.int16:

        def half(x, like):
            sign = (bits_of(x) >> 16) & 0x8000
            size = float_of(i32(bits_of(x) & 0x7FFFFFFF))
            bits = bits_of(size)
            normal = i32(bits - (112 << 23) + 0xFFF + ((bits >> 13) & 1)) >> 13
            # Adding 0.5 leaves a subnormal's ten bits at the bottom of the sum, rounded.
            small = i32(bits_of(size + f32(0.5)) - 0x3F000000)
            out = small if size < f32(2.0**-14) else normal
            out = 0x7C00 if size >= f32(65520.0) else out
            out = 0x7E00 if x != x else out
            return np.int16(out | sign)

        return half
    return lambda x, like: like.dtype.type(x)
