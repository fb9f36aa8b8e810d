"""What vectorises on any instruction set: exponentials, maxima, sums and conversions of a contiguous chunk.

Every function is written once and compiled for float32 and float64 by its argument types.

exp: ``x = k·ln 2 + r`` and ``e^x = 2^k·e^r`` with a polynomial in r, |r| <= ln 2 / 2, whose relative error is the least for its
degree (Remez's exchange: 3e-9 in float32, 4e-18 in float64), and 2^k made from the bits of the very float that rounded k.
The shift by a row's maximum is a whole number K of halvings folded into the rounding constant, so ``e^(x−m)`` never rounds
x − m: a class 80 nats behind keeps every bit that it has.
Flags matter: ``reassoc`` would cancel the rounding constant, so it is on in the sums alone; ``nnan`` is off, for NaN travels.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

PLAIN: Any = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
EXACT: Any = {"fastmath": {"contract", "nsz"}, **PLAIN}
SUMMING: Any = {"fastmath": {"contract", "nsz", "reassoc"}, **PLAIN}
"""Division by zero is an infinity: an exception would be a second way out of the loop, and end vectorisation."""
INLINE: Any = {"forceinline": True, **PLAIN}
"""For what is called once a chunk, where a call would cost as much as a stripe."""
INTO: Any = {"inline": "always", **PLAIN}
"""For what has one caller or little to say: compiled as part of its callers, not by itself and then again in each of them.

Never for a function with fast-math flags of its own: it would lose them."""
CHUNK = 512
"""Elements summed in their own precision before float64 takes over: 8 a lane on the widest machine."""


f32, f64, i32, i64 = np.float32, np.float64, np.int32, np.int64
LN2 = 0.6931471805599453
LN2_HIGH, LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
"""ln 2 in two parts, of which whole multiples of the first are exact."""
LOG2_E = 1.4426950408889634


def _bitcast(integer: types.Integer, real: types.Float, width: int, ir_real: ir.Type):
    """The integer under a float, and the float over an integer."""

    def to_bits(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(width))

    def to_float(context, builder, signature, args):
        return builder.bitcast(args[0], ir_real)

    return integer(real), to_bits, real(integer), to_float


_CASTS = {
    32: _bitcast(types.int32, types.float32, 32, ir.FloatType()),
    64: _bitcast(types.int64, types.float64, 64, ir.DoubleType()),
}


@intrinsic
def bits_of(typing_context, x):
    """The bits of a float as a signed integer of its width; Numba widens integers, so cast what is computed from them."""
    return _CASTS[x.bitwidth][:2]


@intrinsic
def float_of(typing_context, k):
    """The float that has these bits."""
    return _CASTS[k.bitwidth][2:]


@intrinsic
def full_width(typing_context):
    """Let the enclosing function use the machine's widest vectors: LLVM halves them on AVX-512 chips that once ran hot."""

    def codegen(context, builder, signature, args):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), codegen


def magic(like, halvings) -> Any:
    """The constant whose addition rounds to a whole number k and leaves k − halvings as a biased exponent."""


@overload(magic)
def _magic(like, halvings):
    if like.dtype == types.float32:
        return lambda like, halvings: f32(12582912.0 + 127.0 - halvings)
    return lambda like, halvings: 6755399441055744.0 + 1023.0 - halvings


def floor_of(like, halvings) -> Any:
    """The least argument of `exp_shifted`: it, and all below, give exactly 0."""


@overload(floor_of)
def _floor_of(like, halvings):
    if like.dtype == types.float32:
        return lambda like, halvings: f32((halvings - 126.8) * LN2)
    return lambda like, halvings: (halvings - 1022.8) * LN2


def near(like, value) -> Any:
    """Whether a shift by halvings is exact for a maximum of that size; beyond, x − m is exact wherever it matters."""


@overload(near)
def _near(like, value):
    limit = 256.0 if like.dtype == types.float32 else 2048.0
    return lambda like, value: -limit < value < limit


@njit(**EXACT)
def beyond(value, base, halvings):
    """``value − shift`` in float64, where the shift is a base and K halvings."""
    return ((value - base) - halvings * LN2_HIGH) - halvings * LN2_LOW


@njit(**EXACT)
def whole_halvings(value):
    """The K for which 2^K is nearest to e^value."""
    return (value * LOG2_E + 6755399441055744.0) - 6755399441055744.0


def exp_parts(d, rounding, floor) -> Any:
    """f and 2^k with ``e^d · 2^−K = (1 + f)·2^k`` for the K in `rounding`; 2^k is 0 at and below `floor`; f is NaN of NaN."""


@overload(exp_parts, jit_options=EXACT)
def _exp_parts(d, rounding, floor):
    if d == types.float32:

        def single(d, rounding, floor):
            d = floor if d < floor else d
            n = d * f32(LOG2_E) + rounding
            k = n - rounding
            r = d - k * f32(0.693359375)
            r = r - k * f32(-2.12194440054690583e-4)
            p = f32(0.0013814540176801306) * r + f32(0.0083687451089425907)
            p = p * r + f32(0.041668390783547914)
            p = p * r + f32(0.16666520399042530)
            p = p * r + f32(0.49999993432129290)
            p = p * r + f32(1.0)
            return p * r, float_of(i32(bits_of(n) << i32(23)))

        return single

    def double(d, rounding, floor):
        d = floor if d < floor else d
        n = d * LOG2_E + rounding
        k = n - rounding
        r = d - k * LN2_HIGH
        r = r - k * LN2_LOW
        p = 2.5000018833187373e-8 * r + 2.7630306250293600e-7
        p = p * r + 2.7557586803895324e-6
        p = p * r + 2.4801492949633869e-5
        p = p * r + 1.9841269505773775e-4
        p = p * r + 1.3888888943759955e-3
        p = p * r + 8.3333333334949773e-3
        p = p * r + 0.041666666666529728
        p = p * r + 0.16666666666666411
        p = p * r + 0.50000000000000107
        p = p * r + 1.0
        return p * r, float_of(i64(bits_of(n) << 52))

    return double


def exp_shifted(d, rounding, floor) -> Any:
    """``e^d · 2^−K``; exactly 0 at and below `floor`; NaN of NaN."""


@overload(exp_shifted, jit_options=EXACT)
def _exp_shifted(d, rounding, floor):
    one = f32(1.0) if d == types.float32 else 1.0

    def shifted(d, rounding, floor):
        f, power = exp_parts(d, rounding, floor)
        return (f + one) * power

    return shifted


def _better(order: str):
    """The greater or the less of two floats, free to be wrong about NaN: an honest comparison does not vectorise."""

    def choose(typing_context, a, b):
        def codegen(context, builder, signature, args):
            first = builder.fcmp_ordered(order, *args, flags=("nnan", "nsz"))
            return builder.select(first, *args, flags=("nnan", "nsz"))

        return a(a, b), codegen

    return intrinsic(choose)


greater, lesser = _better(">"), _better("<")


@njit(**PLAIN)
def greatest(x):
    """The maximum where nothing is NaN; who must know of NaN asks a sum."""
    full_width()
    best = x.dtype.type(-np.inf)
    for j in range(x.shape[0]):
        best = greater(x[j], best)
    return best


@njit(**PLAIN)
def least(x):
    """The minimum in the same way."""
    full_width()
    best = x.dtype.type(np.inf)
    for j in range(x.shape[0]):
        best = lesser(x[j], best)
    return best


@njit(**SUMMING)
def extent(z) -> Any:
    """Minimum, maximum and sum: where the sum is finite nothing is NaN, and the two are right."""
    full_width()
    low, high, total = z.dtype.type(np.inf), z.dtype.type(-np.inf), z.dtype.type(0)
    for j in range(z.shape[0]):
        low, high = lesser(z[j], low), greater(z[j], high)
        total += z[j]
    return low, high, total


@njit(forceinline=True, **SUMMING)
def exponentials(z, base, rounding, floor, out) -> Any:
    """``e^(z − base)·2^−K`` of one chunk, their sum in their own precision, and the greatest z where nothing is NaN."""
    full_width()
    total, best = z.dtype.type(0), z.dtype.type(-np.inf)
    for j in range(out.shape[0]):
        x = z[j]
        best = greater(x, best)
        e = exp_shifted(x - base, rounding, floor)
        out[j] = e
        total += e
    return total, best


@njit(**SUMMING)
def sum_shifted_below(z, base, rounding, floor, peak):
    """The sum over the elements that differ from peak: those that equal it are moved to the floor, where exp is 0."""
    full_width()
    total = z.dtype.type(0)
    for j in range(z.shape[0]):
        x = z[j]
        d = floor if x == peak else x - base
        total += exp_shifted(d, rounding, floor)
    return total


@njit(**PLAIN)
def count_equal(z, peak):
    """How many elements equal peak."""
    full_width()
    count = 0
    for j in range(z.shape[0]):
        count += z[j] == peak
    return count


def log_positive(x) -> Any:
    """Natural logarithm of a positive finite float64, as ``k·ln 2 + 2·artanh((m−1)/(m+1))``; 0 of 0, for 0·log 0."""


@overload(log_positive, jit_options=EXACT)
def _log_positive(x):
    def log(x):
        x = 1.0 if x <= 0.0 else x
        tiny = x < 2.2250738585072014e-308
        bits = bits_of(x * 18014398509481984.0 if tiny else x)
        # 0x3FE6A09E... is sqrt(1/2): it splits the range so that m lies within a factor sqrt(2) of 1.
        k = (bits - 0x3FE6A09E667F3BCD) >> 52
        f = float_of(i64(bits - (k << 52)))
        f = (f - 1.0) / (f + 1.0)
        s = f * f
        p = s * (2 / 21) + 2 / 19
        p = p * s + 2 / 17
        p = p * s + 2 / 15
        p = p * s + 2 / 13
        p = p * s + 2 / 11
        p = p * s + 2 / 9
        p = p * s + 2 / 7
        p = p * s + 2 / 5
        p = p * s + 2 / 3
        return (k - (54 if tiny else 0)) * LN2 + (f * s * p + 2.0 * f)

    return log


@njit(**EXACT)
def exp_minus(x):
    """``e^x − 1`` in float64 for x <= 0, right where x is tiny; −1 of −inf."""
    f, power = exp_parts(x, 6755399441055744.0 + 1023.0, -708.8)
    return f if power == 1.0 else (f + 1.0) * power - 1.0


@njit(**EXACT)
def exp_double(x):
    """``e^x`` in float64 for x <= 700."""
    return exp_shifted(x, 6755399441055744.0 + 1023.0, -708.8)


@njit(**EXACT)
def log_plus(u):
    """``log(1 + u)`` in float64 for u >= 0, right where u is tiny; NaN of NaN."""
    w = 1.0 + u
    # What w lost is next to nothing: a reciprocal in float32 is right enough for it.
    return log_positive(w) + (u - (w - 1.0)) * float(f32(1.0) / f32(w))
