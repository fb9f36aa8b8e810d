"""Numbers that are probabilities already: only the target's entries are visited."""

import numpy as np

from tests.contract.conventions import DTYPES, labels, probabilities, stored
from xent.losses.given import FromLogProbs, FromProbs
from xent.schedules import given

P = probabilities(6, 5) * 0.5 + 0.1
TARGET = labels(6, 5)


def test_only_the_targets_entry_is_read() -> None:
    spoiled = np.full_like(P, np.nan)
    spoiled[np.arange(6), TARGET] = P[np.arange(6), TARGET]
    found = given.picked_values(FromProbs(), spoiled[None], "float64", TARGET, 1.0)
    np.testing.assert_array_equal(found, -np.log(P[np.arange(6), TARGET]))


def test_only_the_targets_entry_has_a_gradient() -> None:
    out = np.full((1, 6, 5), np.nan)
    given.picked_gradient(FromProbs(), P[None], "float64", TARGET, 1.0, 0.5, out)
    expected = np.zeros_like(P)
    expected[np.arange(6), TARGET] = -0.5 / P[np.arange(6), TARGET]
    np.testing.assert_allclose(out[0], expected, rtol=1e-15)


def test_ignored_rows_and_rows_of_weight_zero_say_nothing() -> None:
    target, weight = np.where(np.arange(6) == 2, -1, TARGET), np.where(np.arange(6) == 4, 0.0, 2.0)
    p = P.copy()
    p[[2, 4]] = 0.0
    values, out = given.picked_values(FromProbs(), p[None], "float64", target, weight), np.full((1, 6, 5), np.nan)
    given.picked_gradient(FromProbs(), p[None], "float64", target, weight, 1.0, out)
    assert not values[[2, 4]].any()
    assert not out[0, [2, 4]].any()
    assert np.isfinite(out).all()


def test_rows_come_in_the_order_of_the_outer_axes() -> None:
    cube = P.reshape(2, 3, 5)
    flat = given.picked_values(FromProbs(), P[None], "float64", TARGET, 1.0)
    np.testing.assert_array_equal(given.picked_values(FromProbs(), cube, "float64", TARGET, 1.0), flat)


def test_an_expectation_is_the_sum_over_classes() -> None:
    y, weight, log_p = probabilities(6, 5), np.linspace(0.5, 1.5, 5), np.log(P)
    found = given.expected_values(FromLogProbs(), log_p[None], "float64", y[None], weight)
    np.testing.assert_allclose(found, -(y * weight * log_p).sum(axis=1), rtol=1e-14)
    out = np.full((1, 6, 5), np.nan)
    given.expected_gradient(FromLogProbs(), log_p[None], "float64", y[None], weight, 0.25, out)
    np.testing.assert_allclose(out[0], -0.25 * y * weight, rtol=1e-15)


def test_every_storage_is_read_exactly_and_written_rounded_once() -> None:
    for dtype in DTYPES:
        p = stored(P, dtype)
        bits = p.view(np.uint16) if dtype == "bfloat16" else p
        exact = -np.log(p.astype(np.float64)[np.arange(6), TARGET])
        np.testing.assert_array_equal(given.picked_values(FromProbs(), bits[None], dtype, TARGET, 1.0), exact)
        out = np.zeros_like(p)
        given.picked_gradient(FromProbs(), bits[None], dtype, TARGET, 1.0, 1.0, (out.view(bits.dtype))[None])
        slope = (-1.0 / p.astype(np.float64)[np.arange(6), TARGET]).astype(p.dtype)
        np.testing.assert_array_equal(out[np.arange(6), TARGET], slope)
