"""How a kind of file is read by its path alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Reader:
    """Schema and batches of a path."""

    schema: Callable[[str], pa.Schema]
    batches: Callable[[str, Sequence[str], int], Iterator[pa.RecordBatch]]
