"""Losses of one number at a time: flat blocks in a fixed order, whatever the layout."""

import math

import numpy as np
import pytest

import xent
from tests.contract.conventions import assert_same_bits
from xent.kernels.contract import POINTWISE_BLOCK
from xent.kernels.reference import ReferenceKernel
from xent.losses.regression import GAUSSIAN_NLL, SQUARED_ERROR
from xent.schedules import pointwise

SIZES = (0, 1, 7, POINTWISE_BLOCK - 1, POINTWISE_BLOCK, POINTWISE_BLOCK + 1, 3 * POINTWISE_BLOCK + 5)


@pytest.mark.parametrize("size", SIZES)
def test_every_element_is_visited_once(size: int) -> None:
    x = np.random.default_rng(0).normal(size=size)
    values, gradient = np.full(size, np.nan), np.full(size, np.nan)
    found = pointwise.evaluate(
        ReferenceKernel(), SQUARED_ERROR, (x, np.zeros(size)), "float64", values=values, gradients=(gradient,), factor=0.5
    )
    np.testing.assert_array_equal(values, x * x)
    np.testing.assert_array_equal(gradient, x)
    assert found == pytest.approx(math.fsum(x * x), rel=1e-14)


def test_a_vector_of_the_last_axis_is_repeated() -> None:
    x, weight = np.ones((50_000, 3)), np.array([1.0, 10.0, 100.0])
    values = np.empty_like(x)
    pointwise.evaluate(ReferenceKernel(), SQUARED_ERROR, (x, np.zeros_like(x), weight), "float64", values=values)
    np.testing.assert_array_equal(values, np.broadcast_to(weight, x.shape))


def test_the_layout_changes_no_bit() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 300, 500)).astype(np.float32)
    expected = np.empty_like(x)
    total = pointwise.evaluate(ReferenceKernel(), SQUARED_ERROR, (x, y), "float32", gradients=(expected,))
    for given, goal in ((np.asfortranarray(x), y), (x, np.asfortranarray(y)), (np.repeat(x, 2, 1)[:, ::2], y)):
        gradient = np.full_like(given, np.nan)
        assert pointwise.evaluate(ReferenceKernel(), SQUARED_ERROR, (given, goal), "float32", gradients=(gradient,)) == total
        assert_same_bits(gradient, expected)


def test_two_gradients_are_written_where_two_are_asked_for() -> None:
    mean, y, var = np.random.default_rng(0).exponential(1.0, (3, 100_000))
    to_mean, to_var = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    pointwise.evaluate(ReferenceKernel(), GAUSSIAN_NLL, (mean, y, var), "float64", gradients=(to_mean, to_var))
    expected = GAUSSIAN_NLL.derivatives(mean, y, var)
    np.testing.assert_array_equal(to_mean, expected[0])
    np.testing.assert_array_equal(to_var, expected[1])


def test_the_sum_does_not_depend_on_threads() -> None:
    x = np.random.default_rng(0).normal(size=5 * POINTWISE_BLOCK)
    sums = set()
    for threads in (1, 2, 4):
        xent.set_num_threads(threads)
        sums.add(pointwise.evaluate(ReferenceKernel(), SQUARED_ERROR, (x, np.zeros_like(x)), "float64"))
    xent.set_num_threads(None)
    assert len(sums) == 1
