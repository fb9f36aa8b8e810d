"""Where a row falls, from its key alone: the same bucket, fold and draw in whatever order and on whatever machine it is read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xent.kernels import tally
from xent.kernels.tally import Keys, mixed

BUCKETS = 1024
"""Rows are drawn again, in the bootstrap, by the bucket."""
FOLDS = 5
"""Parts of the rows, each judged by a calibration fitted to the others."""


def row_keys(source: int, first: int, count: int) -> Keys:
    """Keys of consecutive rows of a source: its number among the sources, and theirs in it, from 0."""
    start = mixed(np.array([source], np.int64).view(np.uint64))
    return mixed(np.arange(first, first + count, dtype=np.uint64), int(start[0]))


def buckets(keys: Keys) -> npt.NDArray[np.int64]:
    """The bucket of each row, in [0, 1024)."""
    return (keys & np.uint64(BUCKETS - 1)).view(np.int64)


def folds(keys: Keys) -> npt.NDArray[np.int64]:
    """The fold of each row, in [0, 5), whatever its bucket."""
    return (mixed(keys) % np.uint64(FOLDS)).astype(np.int64)


def fingerprint(keys: Keys, target: npt.NDArray[np.int64]) -> int:
    """A number of a set of rows and their targets, in any order: sets that differ hardly ever share one."""
    marks = mixed(np.arange(int(target.max(initial=0)) + 1, dtype=np.uint64))
    return tally.fingerprint(keys, target, marks)


def weight_print(keys: Keys, target: npt.NDArray[np.int64], weight: npt.NDArray[np.float64] | None) -> int:
    """The same of rows, their targets and their weights; 0 where there are none. Of rows of one key the target tells which."""
    if weight is None:
        return 0
    # A zero has one sign.
    marks = mixed((weight + 0.0).view(np.uint64))
    return fingerprint(mixed(keys ^ marks), target)


def poisson_counts(replicates: int, seed: int) -> npt.NDArray[np.float64]:
    """[B, 1024] draws of a Poisson distribution of mean 1, each from its place and the seed alone."""
    start = mixed(np.array([seed], np.uint64))
    draws = mixed(np.arange(replicates * BUCKETS, dtype=np.uint64), int(start[0]))
    uniform = (draws >> np.uint64(11)).astype(np.float64) * 2.0**-53
    probabilities = np.exp(-1.0) / np.cumprod([1.0, *range(1, 20)])
    counts = np.searchsorted(np.cumsum(probabilities), uniform, side="right")
    return counts.astype(np.float64).reshape(replicates, BUCKETS)
