"""Groups of rows: what they are called, and to which each row belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of N rows.

    Args:
        names: what they are called, sorted, each once.
        place: [N] the place of each row's group among them.
    """

    names: tuple[str, ...]
    place: Indices

    def __len__(self) -> int:
        """N."""
        return len(self.place)

    @classmethod
    def of(cls, texts: Sequence[str]) -> Groups:
        """From the name of each row's group."""
        codes = {name: number for number, name in enumerate(dict.fromkeys(texts))}
        return cls.coded(list(codes), np.array([codes[name] for name in texts], np.int64))

    @classmethod
    def coded(cls, names: Sequence[str], codes: npt.NDArray[np.integer]) -> Groups:
        """From names in any order, of which two may be the same, and the number of each row's among them."""
        known = tuple(sorted({str(name) for name in names}))
        place = {name: number for number, name in enumerate(known)}
        return cls(known, np.array([place[str(name)] for name in names], np.int64)[codes])

    def taken(self, rows: Indices) -> Groups:
        """Those of some rows."""
        here = self.place[rows]
        used = np.flatnonzero(np.bincount(here, minlength=len(self.names)))
        moved = np.zeros(len(self.names), np.int64)
        moved[used] = np.arange(len(used))
        return Groups(tuple(self.names[number] for number in used.tolist()), moved[here])
