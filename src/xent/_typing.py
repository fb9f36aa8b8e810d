"""Shape-annotated aliases. Letters: N rows, C classes, D hidden width; ``...`` is any shape.

NumPy's types carry no shapes, so the aliases say them to the reader; the front door checks them.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
"""``...`` of one floating dtype."""
MatrixNC: TypeAlias = npt.NDArray[Any]
"""``[N, C]``, one of the two contiguous, in storage dtype (bfloat16 as uint16 bits)."""
MatrixCD: TypeAlias = npt.NDArray[Any]
"""``[C, D]``: one row a class, contiguous along D."""
MatrixND: TypeAlias = npt.NDArray[Any]
"""``[N, D]``: one row a row, contiguous along D."""
RowsN: TypeAlias = npt.NDArray[np.float64]
"""``[N]`` float64: one number a row."""
PerRow: TypeAlias = float | npt.NDArray[np.float64]
"""``[N]`` float64, or one number for all rows."""
IndicesN: TypeAlias = npt.NDArray[np.int64]
"""``[N]`` int64 class indices, -1 where the row is ignored."""
ClassesC: TypeAlias = npt.NDArray[np.float64]
"""``[C]`` float64: one number a class."""

Storage: TypeAlias = Literal["float16", "bfloat16", "float32", "float64"]
Reduction: TypeAlias = Literal["none", "sum", "mean"]
Empty: TypeAlias = Literal["nan", "zero", "raise"]
Validate: TypeAlias = Literal["raise", "warn", "off"]
Unit: TypeAlias = Literal["nat", "bit", "hartley"]


@dataclass(frozen=True, slots=True)
class RowMeasure:
    """What decides whether rows are distributions; each [N] float64, NaN where the row holds NaN."""

    total: RowsN
    lowest: RowsN
    highest: RowsN
