"""Rows that are kept as they are: the most surprising ones, and a sample that no order of reading changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

MOST_WORST = 100
SAMPLE_ROWS, SAMPLE_BYTES = 1 << 16, 16 << 20
"""So many rows are kept for what needs whole rows, such as fitting a temperature, or as many as fit."""


def sample_size(n_classes: int) -> int:
    """Rows of a sample."""
    return max(1, min(SAMPLE_ROWS, SAMPLE_BYTES // (4 * max(n_classes, 1))))


@dataclass(slots=True)
class Rows:
    """Columns of some rows, all of one length; sorted by the rule of who keeps them."""

    columns: dict[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        """How many rows."""
        return len(next(iter(self.columns.values())))

    def taken(self, index: Indices) -> Rows:
        """Some of them, in that order."""
        return Rows({name: column[index] for name, column in self.columns.items()})

    @classmethod
    def together(cls, parts: list[Rows]) -> Rows:
        """All of them."""
        return cls({name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns})


def worst(rows: Rows) -> Rows:
    """The rows of greatest loss; among equals the lesser key first, then by all that is known of them."""
    nats = rows.columns["nats"]
    if len(rows) > MOST_WORST:
        least = np.partition(nats, len(nats) - MOST_WORST)[len(nats) - MOST_WORST]
        rows = rows.taken(np.flatnonzero(nats >= least))
    columns = rows.columns
    rest = (columns["confidence"], columns["predicted"], columns["weight"], columns["target"], columns["row"], columns["source"])
    named = np.unique(columns["id"].astype(np.object_), return_inverse=True)[1]
    return rows.taken(np.lexsort((named, *rest, columns["key"], -columns["nats"]))[:MOST_WORST])


def sampled(rows: Rows, most: int) -> Rows:
    """The rows whose key is least, whatever order they came in; rows of one key stand in the order of what they hold."""
    key = rows.columns["key"]
    order = np.argsort(key, kind="stable")
    in_order = key[order]
    if (in_order[1:] == in_order[:-1]).any():
        columns = rows.columns
        held = np.unique(columns["values"], axis=0, return_inverse=True)[1].reshape(-1)
        rest = (columns["row"], columns["source"], columns["weight"], columns["target"], columns["nats"])
        order = np.lexsort((held, *rest, key))
    return rows.taken(order[:most])
