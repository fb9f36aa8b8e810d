"""Losses of numbers that are probabilities, or their logarithms, already."""

import warnings

import numpy as np

from tests import truth
from xent.losses.given import FromLogProbs, FromProbs

P = np.array([1.0, 0.75, 0.5, 1e-3, 1e-300, 5e-324])


def test_both_say_the_same_surprisal() -> None:
    truth.assert_near(FromProbs().surprisal(P), FromLogProbs().surprisal(np.log(P)), 0.0)


def test_the_slopes_are_the_derivatives() -> None:
    p, step = P[:4], 1e-7
    rise = (FromProbs().surprisal(p + step) - FromProbs().surprisal(p - step)) / (2.0 * step)
    truth.assert_near(FromProbs().slope(p), rise, 1e-5 / p)
    np.testing.assert_array_equal(FromLogProbs().slope(np.log(p)), -np.ones(4))


def test_a_probability_of_zero_is_an_infinite_surprise_and_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FromProbs().surprisal(np.zeros(1))[0] == np.inf
        assert FromProbs().slope(np.zeros(1))[0] == -np.inf


def test_certainty_costs_a_zero_that_is_positive() -> None:
    assert not np.signbit(FromProbs().surprisal(np.ones(1))[0])
