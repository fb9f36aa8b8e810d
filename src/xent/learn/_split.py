"""Which rows to train on and which to test on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError
from xent.learn._table import Table

Labels = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """Class codes (N,) and sorted class names (C,), and the rows of the two parts."""

    labels: Labels
    classes: npt.NDArray[Any]
    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]


def stratified_split(table: Table, test_fraction: float, seed: int) -> Split:
    """Rows of every class in the given proportion, at least one of each on either side, chosen by the seed."""
    classes, labels, counts = np.unique(table.target, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        found = f"all {len(labels)} rows of {table.target_name!r} hold {classes[0].item()!r}"
        raise ArgumentError("a classifier needs at least 2 classes", found, "Add rows of another class.")
    if counts.min() < 2:
        rare = classes[counts < 2]
        more = f" (and {len(rare) - 1} more of {len(classes)} classes)" if len(rare) > 1 else ""
        found = f"class {rare[0].item()!r} of {table.target_name!r} has 1 row{more}"
        remedy = "Add rows, or merge or remove rare classes; if the target is a measured number, group it into classes."
        raise ArgumentError("every class needs 2 rows, one to train on and one to test on", found, remedy)
    shares = np.clip(np.rint(test_fraction * counts), 1, counts - 1)
    # Rows class by class, in random order within a class; the first of each class are for testing.
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    place = np.arange(len(labels)) - (np.cumsum(counts) - counts)[labels[order]]
    test = np.zeros(len(labels), dtype=np.bool_)
    test[order] = place < shares[labels[order]]
    return Split(labels, classes, np.flatnonzero(~test), np.flatnonzero(test))
