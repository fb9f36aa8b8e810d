"""Exact sums: equal to `math.fsum`, in any order, however they are parted."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xent.evaluate._exact import ExactSums, ratio

NUMBERS = st.lists(st.floats(min_value=0.0, max_value=1e300, allow_subnormal=True), max_size=50)


def summed(values: list[float]) -> ExactSums:
    sums = ExactSums(1)
    sums.add(np.array(values, np.float64))
    return sums


@given(NUMBERS)
def test_a_sum_is_that_of_fsum(values: list[float]) -> None:
    assert summed(values).floats()[0] == math.fsum(values)


@given(NUMBERS)
def test_a_sum_is_exact(values: list[float]) -> None:
    assert summed(values).fractions()[0] == sum(map(Fraction, values), Fraction(0))


@given(NUMBERS, st.randoms(use_true_random=False), st.integers(0, 50))
def test_neither_order_nor_parts_change_a_limb(values: list[float], random: object, cut: int) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    parts = summed(shuffled[:cut])
    parts.merge(summed(shuffled[cut:]))
    whole = summed(values)
    assert parts.low == whole.low
    assert np.array_equal(parts.limbs, whole.limbs)


def test_each_value_goes_to_the_sum_its_index_names() -> None:
    rng = np.random.default_rng(1)
    values, index = np.exp(rng.normal(0.0, 30.0, 2000)), rng.integers(0, 7, 2000)
    sums = ExactSums(7)
    sums.add(values, index)
    assert sums.floats().tolist() == [math.fsum(values[index == n]) for n in range(7)]
    assert sums.total() == sum(map(Fraction, values.tolist()))


def test_sums_fold_over_an_axis() -> None:
    sums = ExactSums(6)
    sums.add(np.arange(6.0) + 2.0**-60, np.arange(6))
    assert sums.folded((2, 3), 0).fractions() == [sums.fractions()[n] + sums.fractions()[n + 3] for n in range(3)]


def test_carries_move_on_however_many_there_are() -> None:
    full = float(2**53 - 1)
    sums = ExactSums(1)
    for _ in range(200):
        sums.add(np.full(1000, full))
    assert sums.fractions()[0] == 200_000 * Fraction(full)
    assert (sums.limbs < 2**32).all()


def test_merging_grows_beyond_the_places_of_either() -> None:
    sums = summed([2.0**31])
    for _ in range(40):
        sums.merge(ExactSums(1, sums.limbs.copy(), sums.low))
    assert sums.fractions()[0] == Fraction(2) ** 71


def test_merging_by_index_brings_sums_to_their_places() -> None:
    sums, other = ExactSums(3), ExactSums(2)
    other.add(np.array([1.5, 2.5]), np.array([0, 1]))
    sums.merge(other, np.array([2, 0]))
    assert sums.floats().tolist() == [2.5, 0.0, 1.5]


@pytest.mark.parametrize(
    ("above", "below", "mean"), [(Fraction(1), Fraction(3), 1 / 3), (Fraction(2) ** 2000, Fraction(1), math.inf)]
)
def test_a_mean_is_rounded_once(above: Fraction, below: Fraction, mean: float) -> None:
    assert ratio(above, below) == mean


def test_a_mean_over_nothing_is_nan() -> None:
    assert math.isnan(ratio(Fraction(0), Fraction(0)))
