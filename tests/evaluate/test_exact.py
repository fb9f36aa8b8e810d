"""Exact sums: equal to `math.fsum`, in any order, however they are parted."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xent.evaluate.state.exact import UNIT, ExactSums, ratio

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
    assert summed(values).wholes()[0] == UNIT * sum(map(Fraction, values), Fraction(0))


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
    assert sums.total() == UNIT * sum(map(Fraction, values.tolist()))


def test_sums_fold_over_an_axis() -> None:
    sums = ExactSums(6)
    sums.add(np.arange(6.0) + 2.0**-60, np.arange(6))
    assert sums.folded((2, 3), 0).wholes() == [sums.wholes()[n] + sums.wholes()[n + 3] for n in range(3)]


def test_carries_move_on_however_many_there_are() -> None:
    full = float(2**53 - 1)
    sums = ExactSums(1)
    for _ in range(200):
        sums.add(np.full(1000, full))
    assert sums.wholes()[0] == 200_000 * int(full) * UNIT
    assert (sums.limbs < 2**32).all()


def test_merging_grows_beyond_the_places_of_either() -> None:
    sums = summed([2.0**31])
    for _ in range(40):
        sums.merge(ExactSums(1, sums.limbs.copy(), sums.low))
    assert sums.wholes()[0] == 2**71 * UNIT


def test_merging_by_index_brings_sums_to_their_places() -> None:
    sums, other = ExactSums(3), ExactSums(2)
    other.add(np.array([1.5, 2.5]), np.array([0, 1]))
    sums.merge(other, np.array([2, 0]))
    assert sums.floats().tolist() == [2.5, 0.0, 1.5]


@pytest.mark.parametrize(
    "values", [[2.0**53, 1.0], [2.0**53, 1.0, 2.0**-1000], [2.0**53 + 2.0, 1.0], [2.0**-1022, 2.0**-1074], []]
)
def test_what_lies_between_two_floats_is_rounded_as_fsum_does(values: list[float]) -> None:
    assert summed(values).floats()[0] == math.fsum(values)


@pytest.mark.parametrize("place", [0, 17, 986, 1030, 1074])
def test_whole_numbers_of_a_place_are_added_as_they_are(place: int) -> None:
    whole = np.array([0, 1, 2**32 + 5, 2**62 - 1])
    sums = ExactSums(4)
    sums.add(np.array([0.5, 3.0]), np.array([0, 3]))
    sums.add_whole(whole, place)
    assert sums.wholes() == [UNIT // 2, 1 << place, (2**32 + 5) << place, 3 * UNIT + ((2**62 - 1) << place)]


@pytest.mark.parametrize(("above", "below", "mean"), [(1, 3, 1 / 3), (2**2000, 1, math.inf)])
def test_a_mean_is_rounded_once(above: int, below: int, mean: float) -> None:
    assert ratio(above, below) == mean


def test_a_mean_over_nothing_is_nan() -> None:
    assert math.isnan(ratio(0, 0))
