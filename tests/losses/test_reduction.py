"""From rows to one number."""

import math

import numpy as np

from tests import truth
from xent.losses.reduction import mean, per_unit, total


def test_a_total_is_that_of_exact_addition_to_a_few_roundings() -> None:
    for n in (1, 7, 129, 1_000_003):
        values = np.random.default_rng(n).exponential(1.0, n)
        truth.assert_near(total(values), math.fsum(values), 16 * 2.0**-53 * math.fsum(values))


def test_a_total_of_many_small_numbers_beside_a_great_one_keeps_them() -> None:
    values = np.full(1 << 20, 1e-9)
    values[0] = 1e6
    truth.assert_near(total(values), math.fsum(values), 1e-9)


def test_a_total_of_nothing_is_zero() -> None:
    assert total(np.zeros(0)) == 0.0


def test_a_mean_is_the_sum_over_the_weight_and_nan_over_nothing() -> None:
    assert mean(6.0, 4.0) == 1.5
    assert math.isnan(mean(0.0, 0.0))
    assert math.isnan(mean(1.0, 0.0))


def test_the_share_of_a_row_is_nothing_over_nothing() -> None:
    assert per_unit(4.0) == 0.25
    assert per_unit(0.0) == 0.0
