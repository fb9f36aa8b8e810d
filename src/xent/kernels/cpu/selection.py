"""Which probabilities of a row may go: the smallest, the earlier class first among equals, as long as their sum stays in budget.

What lies below ``budget / C`` may all go together and is summed as vectors; the others are collected as candidates. What is left
of the budget buys the smallest of these. The first that it cannot buy is found digit by digit of its bits, from the sums of those
that share a digit: no row is sorted, and none takes longer than a few visits, however alike its probabilities.
A probability of infinity is one that has to stay.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from xent.kernels.cpu.blocks import STRIPE
from xent.kernels.cpu.memory import place
from xent.kernels.cpu.simd import PLAIN, SUMMING, bits_of, full_width, i64

DIGIT = 10
"""Bits told apart at once: half an octave's worth of bins for each of the octaves between a cut and its budget."""
BINS = 1 << DIGIT


@intrinsic
def at_least(typing_context, like, address, value):
    """A bit for each of the `STRIPE` numbers of like's dtype from an address: whether it reaches a value."""
    real = like.dtype

    def codegen(context, builder, signature, args):
        vector = ir.VectorType(context.get_value_type(real), STRIPE)
        found = builder.load(builder.inttoptr(args[1], vector.as_pointer()))
        found.align = real.bitwidth // 8
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), args[2], ir.IntType(32)(0))
        every = builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), STRIPE), None))
        return builder.bitcast(builder.fcmp_ordered(">=", found, every), ir.IntType(STRIPE))

    return types.uint64(like, types.int64, real), codegen


@intrinsic
def lowest(typing_context, mask):
    """The place of the lowest bit of a mask that is not 0."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.uint64), codegen


@njit(**SUMMING)
def sum_below(p, cut):
    """The sum of what lies below a cut, of a chunk in its own precision."""
    full_width()
    total = p.dtype.type(0)
    for j in range(p.shape[0]):
        total += p[j] if p[j] < cut else p.dtype.type(0)
    return total


@njit(**PLAIN)
def collect(p, cut, start, column, kept, count):
    """Append what reaches the cut, and its column, after the first count of kept; p ends with a whole stripe. The new count."""
    full_width()
    for c in range(0, p.shape[0], STRIPE):
        mask = at_least(p, place(p) + c * p.itemsize, cut)
        while mask:
            j = c + lowest(mask)
            column[count], kept[count] = start + j, p[j]
            count += 1
            mask &= mask - np.uint64(1)
    return count


@njit(**PLAIN)
def fill_bins(p, first, shift, bins):
    """Sums of those whose bits, counted from `first`, share all but the last `shift`."""
    for d in range(BINS):
        bins[d] = 0.0
    for k in range(p.shape[0]):
        digit = (i64(bits_of(p[k])) - first) >> shift
        if 0 <= digit < BINS:
            bins[digit] += float(p[k])


@njit(**PLAIN)
def boundary(p, cut, spent, budget, bins) -> Any:
    """The bits below which everything may go, and what has been spent on it; of those with these very bits, not all may go."""
    # The bits of positive floats are ordered as they are.
    first, shift = i64(bits_of(cut)), 0
    while (i64(bits_of(p.dtype.type(budget))) - first) >> shift >= BINS:
        shift += DIGIT
    while True:
        fill_bins(p, first, shift, bins)
        d = 0
        while d < BINS and spent + bins[d] <= budget:
            spent += bins[d]
            d += 1
        first += d << shift
        if shift == 0:
            return first, spent
        shift -= DIGIT


@njit(**PLAIN)
def compact(column, p, first, spent, budget) -> Any:
    """Move the columns that stay to the front: how many these are, and what has been spent on the others."""
    stay = 0
    for k in range(p.shape[0]):
        own = i64(bits_of(p[k]))
        goes = own < first
        if own == first and spent + float(p[k]) <= budget:
            goes, spent = True, spent + float(p[k])
        column[stay] = column[k]
        stay += not goes
    return stay, spent
