"""The matrix products of a schedule, which a front door may hand to its own framework."""

import math
from typing import Any, Protocol

import numpy as np

from xent._typing import Array, Floats, Storage
from xent.kernels.cpu.threads import for_each
from xent.kernels.reference import narrow, widen

PIECE_BYTES = 4 << 20
"""What is made at once where a product is added to, or numbers change their dtype: it stays in the cache."""
NARROWED_BYTES = 128 << 10
"""The same where numbers are rounded, which takes several times as much on every thread."""


class Algebra(Protocol):
    """Products and changes of dtype; matrices are float32 or float64, stored arrays are in storage dtype (bfloat16 as bits)."""

    @property
    def room(self) -> int:
        """Bytes it takes for itself while it adds."""
        ...

    def multiply(self, a: Floats, b: Floats, out: Floats, *, add: bool) -> None:
        """``out = a·b``, or ``out += a·b``."""
        ...

    def widen(self, stored: Array, storage: Storage, out: Floats) -> None:
        """The same numbers in the dtype of out; exact."""
        ...

    def narrow(self, values: Floats, storage: Storage, out: Array) -> None:
        """Rounded to nearest even into out, in storage dtype."""
        ...


def slices(length: int, step: int) -> list[slice]:
    """Consecutive slices that cover the length."""
    return [slice(i, min(length, i + step)) for i in range(0, length, max(1, step))]


def pieces(array: Array, size: int = PIECE_BYTES) -> list[slice]:
    """Slices of the first axis of about so many bytes."""
    width = max(1, math.prod(array.shape[1:]) * array.itemsize)
    return slices(len(array), max(1, size // width))


class NumpyAlgebra:
    """Products by the BLAS that NumPy was built with, on that library's own threads."""

    room = PIECE_BYTES

    def multiply(self, a: Floats, b: Floats, out: Floats, *, add: bool) -> None:
        """``out = a·b``, or ``out += a·b`` a piece at a time: NumPy has no product that adds."""
        with np.errstate(all="ignore"):
            for part in pieces(out):
                if add:
                    out[part] += np.matmul(a[part], b)
                else:
                    np.matmul(a[part], b, out=out[part])

    def widen(self, stored: Array, storage: Storage, out: Floats) -> None:
        """On all threads."""

        def work(part: slice) -> None:
            if storage == "bfloat16":
                np.left_shift(stored[part], np.uint32(16), out=_bits(out, part), dtype=np.uint32, casting="unsafe")
            else:
                with np.errstate(all="ignore"):
                    out[part] = stored[part]

        if storage == "bfloat16" and out.dtype != np.float32:
            out[...] = widen(stored, storage)
        else:
            for_each(work, pieces(out))

    def narrow(self, values: Floats, storage: Storage, out: Array) -> None:
        """On all threads."""
        for_each(lambda part: narrow(values[part], storage, out[part]), pieces(values, NARROWED_BYTES))


def _bits(out: Floats, part: slice) -> Any:
    return out[part].view(np.uint32)
