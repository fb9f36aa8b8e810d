"""Softmax and its relatives, along one axis, on every backend and dtype."""

import numpy as np

import xent
from tests import truth
from tests.contract.conventions import CLASSES, DTYPES, SCALES, assert_same_bits, contract, normal, stored


@contract(15, 16, dtype=DTYPES)
def test_the_softmax_the_log_softmax_and_the_logsumexp_are_right(backend: str, dtype: str) -> None:
    for classes in CLASSES:
        for scale in SCALES:
            x = normal(7, classes, scale, dtype)
            soft, unit = truth.softmax(x.astype(np.float64)), truth.eps(dtype)
            reach = 2.0 * np.abs(x.astype(np.float64)).max() if dtype == "float64" else 0.0
            what = f"{classes} classes, scale {scale}"
            error = unit * (4.0 + soft.surprisals + reach) * soft.p
            truth.assert_near(xent.softmax(x, backend=backend), soft.p, error + truth.rounding(soft.p, dtype), what)
            error = unit * (4.0 * soft.surprisals + reach) + truth.rounding(soft.surprisals, dtype)
            truth.assert_near(xent.log_softmax(x, backend=backend), -soft.surprisals, error, what)
            lse = soft.lse[:, 0]
            error = unit * (4.0 * soft.excess[:, 0] + reach) + 0.51 * truth.ulp(lse, truth.computed_in(dtype))
            truth.assert_near(xent.logsumexp(x, backend=backend), lse, error, what)


@contract(dtype=DTYPES)
def test_each_row_of_a_softmax_sums_to_one_and_not_the_whole(backend: str, dtype: str) -> None:
    x = normal(7, 33, 3.0, dtype)
    for axis in (0, 1, -1, -2):
        p = xent.softmax(x, axis=axis, backend=backend).astype(np.float64)
        truth.assert_near(p.sum(axis=axis), np.ones(p.shape[1 - axis % 2]), 33 * truth.ulp(1.0 / 8, dtype))


@contract()
def test_any_axis_of_any_array(backend: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    for axis in range(-4, 4):
        moved = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        for function in (xent.softmax, xent.log_softmax):
            found = function(x, axis=axis, backend=backend)
            assert_same_bits(np.moveaxis(found, axis, -1), function(moved, backend=backend))
        assert_same_bits(xent.logsumexp(x, axis=axis, backend=backend), xent.logsumexp(moved, backend=backend))
    assert xent.logsumexp(np.zeros(4), backend=backend) == np.log(4.0)


@contract(15, 16, dtype=DTYPES)
def test_the_sigmoid_and_its_logarithm_are_right(backend: str, dtype: str) -> None:
    for scale in (0.1, 1.0, 10.0, 60.0):
        x = stored(np.random.default_rng(0).normal(0.0, scale, 1001), dtype)
        wide, unit = x.astype(np.float64), truth.eps(dtype)
        log_p = -np.logaddexp(0.0, -wide)
        p = np.exp(log_p)
        far = np.abs(wide) if dtype == "float64" else 0.0
        truth.assert_near(xent.sigmoid(x, backend=backend), p, unit * (4.0 + far) * p + truth.rounding(p, dtype))
        error = 4.0 * unit * np.abs(log_p) + truth.rounding(log_p, dtype)
        truth.assert_near(xent.log_sigmoid(x, backend=backend), log_p, error)


@contract(8, 9, dtype=DTYPES)
def test_the_ends_of_the_line(backend: str, dtype: str) -> None:
    x = stored([-np.inf, 0.0, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(xent.sigmoid(x, backend=backend).astype(np.float64), [0.0, 0.5, 1.0, np.nan])
    found = xent.log_sigmoid(x, backend=backend).astype(np.float64)
    assert found[0] == -np.inf
    assert found[2] == 0.0
    assert np.isnan(found[3])
    masked = stored([[0.0, -np.inf, 0.0]], dtype)
    np.testing.assert_array_equal(xent.softmax(masked, backend=backend).astype(np.float64), [[0.5, 0.0, 0.5]])
    assert xent.log_softmax(masked, backend=backend).astype(np.float64)[0, 1] == -np.inf


@contract(10, dtype=("bfloat16", "float32", "float64"))
def test_any_magnitude(backend: str, dtype: str) -> None:
    x = stored([[3e38, 3e38], [-3e38, -3e38], [3e38, -3e38]], dtype)
    expected = [[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]
    np.testing.assert_array_equal(xent.softmax(x, backend=backend).astype(np.float64), expected)
    truth.assert_near(xent.log_softmax(x, backend=backend)[:2], np.full((2, 2), -np.log(2.0)), truth.ulp(0.7, dtype))
    assert np.isfinite(xent.logsumexp(x, backend=backend)).all()


@contract(14)
def test_nothing_gives_nothing(backend: str) -> None:
    for function in (xent.softmax, xent.log_softmax):
        assert function(np.zeros((0, 5), np.float32), backend=backend).shape == (0, 5)
    assert xent.logsumexp(np.zeros((0, 5), np.float32), backend=backend).shape == (0,)
    assert xent.sigmoid(np.zeros((0, 5), np.float32), backend=backend).shape == (0, 5)
