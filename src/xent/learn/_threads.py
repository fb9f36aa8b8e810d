# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""Matrix products on several threads: a product is cut into pieces, and BLAS keeps to one thread in each.

BLAS's own threads wait by spinning. NumPy and SciPy bring a BLAS each, which take the cores from each other and from the
threads of the loss: with 1,000 classes an iteration takes three times as long, and ten times where others are at work too.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np

Work: TypeAlias = Callable[[slice], None]
Team: TypeAlias = Callable[[Work, Sequence[slice]], None]
"""Does the work of every piece."""

PIECES = 8
"""Into which a product is cut, whatever the number of threads: the sums are the same, to the bit."""
SMALL_PRODUCT = 2**26
"""Below this many multiplications in a pass over the rows one thread is faster."""


def alone(work: Work, pieces: Sequence[slice]) -> None:
    """One piece after the other."""
    for piece in pieces:
        work(piece)


@contextmanager
def team(multiplications: int) -> Generator[Team]:
    """As many threads as BLAS would take for products of that size; in the block it takes one."""
    # Whoever only reads a plan of `xent fit` needs no scikit-learn, which brings this package.
    from threadpoolctl import threadpool_limits

    threads = blas_threads()
    with threadpool_limits(limits=1, user_api="blas"):
        if threads == 1 or multiplications < SMALL_PRODUCT:
            yield alone
            return
        with ThreadPoolExecutor(threads) as pool:
            yield lambda work, pieces: _together(pool, work, pieces)


def blas_threads() -> int:
    """How many threads BLAS takes where nothing else is said."""
    from threadpoolctl import threadpool_info

    return max((int(found["num_threads"]) for found in threadpool_info() if found["user_api"] == "blas"), default=1)


def pieces_of(length: int, most: int | None = None) -> list[slice]:
    """`PIECES` consecutive slices, or more where they would be longer than the most."""
    step = max(1, min(length if most is None else most, -(-length // PIECES)))
    return [slice(first, min(length, first + step)) for first in range(0, length, step)]


def _together(pool: ThreadPoolExecutor, work: Work, pieces: Sequence[slice]) -> None:
    def quietly(piece: slice) -> None:
        # What NumPy is to ignore is said for each thread.
        with np.errstate(over="ignore", invalid="ignore"):
            work(piece)

    for _ in pool.map(quietly, pieces):
        pass
