"""Sparse rows times a matrix, and their transpose times one.

Both walk tiles of classes that stay in the second-level cache while every row takes its entries from them: a row of the large
matrix is then fetched once, not once for each entry. The order of additions to any number does not depend on the tiles.
"""

from numba import njit

from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.memory import loose, row_at
from xent.kernels.cpu.simd import EXACT, INLINE, full_width
from xent.kernels.cpu.storage import widen

TILE_BYTES = 1 << 20
"""Of the large matrix's rows walked at once."""


def classes_of_tile(width: int, itemsize: int) -> int:
    """How many rows of so many numbers make a tile."""
    return max(1, TILE_BYTES // max(1, width * itemsize))


@njit(**INLINE)
def taken(index, like, address, stride, width):
    """One row of a matrix that starts at an address."""
    return row_at(like, address + index * stride, width)


@njit(**EXACT)
def add_row(out, factor, row):
    """``out += factor · row``."""
    full_width()
    for j in range(out.shape[0]):
        out[j] += factor * out.dtype.type(widen(row[j]))


@njit(**EXACT)
def add_four(out, a, b, c, d, row_a, row_b, row_c, row_d):
    """The same for four rows in turn: out is read and written once, and every number is the one that `add_row` would leave."""
    full_width()
    real = out.dtype.type
    for j in range(out.shape[0]):
        total = out[j] + a * real(widen(row_a[j])) + b * real(widen(row_b[j]))
        out[j] = total + c * real(widen(row_c[j])) + d * real(widen(row_d[j]))


@kernel
def add_product(start, column, value, cursor, like, address, stride, classes, out_like, out_address, out_stride, width, tile):
    """``out += S · matrix``; cursor [N] holds where each row's entries begin, and is moved to where they end."""
    column, value, end, real = loose(column), loose(value), 0, out_like.dtype.type
    place = (like, address, stride, width)
    while end < classes:
        end = min(classes, end + tile)
        for i in range(cursor.shape[0]):
            out, k, stop = taken(i, out_like, out_address, out_stride, width), cursor[i], start[i + 1]
            while k + 3 < stop and column[k + 3] < end:
                row_a, row_b = taken(column[k], *place), taken(column[k + 1], *place)
                row_c, row_d = taken(column[k + 2], *place), taken(column[k + 3], *place)
                add_four(
                    out, real(value[k]), real(value[k + 1]), real(value[k + 2]), real(value[k + 3]), row_a, row_b, row_c, row_d
                )
                k += 4
            while k < stop and column[k] < end:
                add_row(out, real(value[k]), taken(column[k], *place))
                k += 1
            cursor[i] = k


@kernel
def add_transposed(start, column, value, cursor, like, address, stride, classes, out_like, out_address, out_stride, width, tile):
    """``out += Sᵀ · matrix``, to each number of out in the order of rows."""
    column, value, end, real = loose(column), loose(value), 0, out_like.dtype.type
    while end < classes:
        end = min(classes, end + tile)
        for i in range(cursor.shape[0]):
            row, k, stop = taken(i, like, address, stride, width), cursor[i], start[i + 1]
            while k < stop and column[k] < end:
                add_row(taken(column[k], out_like, out_address, out_stride, width), real(value[k]), row)
                k += 1
            cursor[i] = k


@kernel
def add_columns(column, value, out):
    """``out += Sᵀ · 1``."""
    for k in range(column.shape[0]):
        out[column[k]] += value[k]
