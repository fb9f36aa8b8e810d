"""Where a chunk's values and derivatives are built, and how they reach the caller's arrays."""

from typing import Any

from numba import njit
from numba.extending import overload

from xent.kernels.cpu.memory import fetch_lines, part, place, upcoming
from xent.kernels.cpu.simd import SUMMING, full_width
from xent.kernels.cpu.storage import narrow


def built_in(gradient, start, stop, scratch) -> Any:
    """Where the derivatives of a chunk are built: the gradient itself if it is there and of the computing dtype."""


@overload(built_in)
def _built_in(gradient, start, stop, scratch):
    def there(gradient, start, stop, scratch):
        goal = upcoming(gradient, start, stop)
        return goal if goal.shape[0] else part(scratch, 0, stop - start)

    return there if gradient.dtype == scratch.dtype else lambda gradient, start, stop, scratch: part(scratch, 0, stop - start)


def delivered(built, gradient, start) -> Any:
    """Store derivatives that were built in scratch."""


@overload(delivered)
def _delivered(built, gradient, start):
    def rounded(built, gradient, start):
        for j in range(min(built.shape[0], gradient.shape[0])):
            gradient[start + j] = narrow(built[j], gradient)

    return (lambda built, gradient, start: None) if gradient.dtype == built.dtype else rounded


@njit(**SUMMING)
def settle(v, g, values, gradient, start):
    """Sum of a chunk's values, which are stored with its derivatives where there is room for them."""
    full_width()
    total = 0.0
    if gradient.shape[0]:
        fetch_lines(place(gradient) + start * gradient.itemsize, g.shape[0] * gradient.itemsize)
    for j in range(v.shape[0]):
        total += float(v[j])
    for j in range(min(v.shape[0], values.shape[0])):
        values[start + j] = values.dtype.type(v[j])
    for j in range(min(v.shape[0], gradient.shape[0])):
        gradient[start + j] = narrow(g[j], gradient)
    return total
