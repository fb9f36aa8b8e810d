"""From rows to one number. Values travel as (sum, weight); the one division of xent is here, at the very end."""

import numpy as np

from xent._typing import RowsN


def total(values: RowsN) -> float:
    """Sum in float64 by pairs, in an order that depends on the number of values alone."""
    return float(np.add.reduce(values))


def mean(value_sum: float, weight_sum: float) -> float:
    """``sum / weight``; NaN over nothing."""
    return value_sum / weight_sum if weight_sum else float("nan")


def per_unit(weight_sum: float) -> float:
    """What each row's gradient is multiplied by under a mean: ``1 / weight``; 0 over nothing."""
    return 1.0 / weight_sum if weight_sum else 0.0
