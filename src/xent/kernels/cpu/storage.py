"""Half precision in and out of float32 by integer arithmetic, which vectorises everywhere.

int16 holds the bits of float16 and uint16 those of bfloat16: Numba has neither type on a CPU, and the sign tells them apart.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from xent.kernels.cpu.simd import EXACT, bits_of, f32, float_of, i32


def widen(x) -> Any:
    """The float32 of bits in half precision: int16 holds float16, uint16 holds bfloat16; floats stay."""


@overload(widen, jit_options=EXACT)
def _widen(x):
    if x == types.uint16:
        return lambda x: float_of(i32(i32(x) << 16))
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
