"""Binary cross-entropy and its sigmoid: identities, derivatives, and no number that overflows."""

import numpy as np
import pytest

from tests import truth
from xent.losses import binary
from xent.losses.binary import BINARY_CROSS_ENTROPY, LOG_SIGMOID, SIGMOID, PointwiseLoss

X = np.concatenate([np.linspace(-40.0, 40.0, 81), [-700.0, -1e-12, 1e-300, 700.0]])
Y = np.resize([0.0, 0.25, 0.5, 1.0], X.shape)
WEIGHT, POSITIVE = np.resize([0.5, 1.0, 3.0], X.shape), np.resize([2.0, 0.0, 1.0, 0.5, 7.0], X.shape)


def central(function: object, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    return (function(x + step) - function(x - step)) / (2.0 * step)


def test_the_loss_is_the_truth() -> None:
    right = truth.binary(X, Y, WEIGHT, POSITIVE, dtype="float64")
    truth.assert_near(binary.binary_cross_entropy(X, Y, WEIGHT, POSITIVE), right.value, right.value_limit)
    truth.assert_near(binary.binary_cross_entropy_slope(X, Y, WEIGHT, POSITIVE)[0], right.gradients[0], right.gradient_limits[0])


@pytest.mark.parametrize("loss", [SIGMOID, LOG_SIGMOID], ids=lambda loss: loss.name)
def test_the_slope_is_the_derivative(loss: PointwiseLoss) -> None:
    x = np.linspace(-20.0, 20.0, 101)
    truth.assert_near(loss.derivatives(x)[0], central(loss.value, x), 1e-8)


def test_the_slope_of_the_loss_is_its_derivative() -> None:
    x, y = X[:81], Y[:81]
    for weight, positive in ((1.0, 1.0), (WEIGHT[:81], POSITIVE[:81])):
        slope = BINARY_CROSS_ENTROPY.derivatives(x, y, weight, positive)[0]
        truth.assert_near(slope, central(lambda v, w=weight, p=positive: BINARY_CROSS_ENTROPY.value(v, y, w, p), x), 3e-7)


def test_the_gradient_without_weights_is_p_minus_y() -> None:
    truth.assert_near(binary.binary_cross_entropy_slope(X, Y)[0], binary.sigmoid(X) - Y, 2.0**-52)


def test_the_sigmoid_of_the_negative_is_the_complement() -> None:
    truth.assert_near(binary.sigmoid(X) + binary.sigmoid(-X), np.ones_like(X), 2.0**-52)
    assert (np.diff(binary.sigmoid(np.linspace(-30.0, 30.0, 100))) > 0.0).all()
    assert binary.sigmoid(np.array(0.0)) == 0.5


def test_softplus_differs_by_x() -> None:
    truth.assert_near(binary.softplus(X) - binary.softplus(-X), X, 2.0**-52 * np.maximum(np.abs(X), 1.0))
    truth.assert_near(binary.log_sigmoid(X), -binary.softplus(-X), 0.0)


def test_one_logit_is_two_classes_of_which_one_is_zero() -> None:
    z = np.stack([np.zeros_like(X), X], axis=1)
    for label in (0, 1):
        right = truth.rows(z, np.full(len(X), label), dtype="float64")
        truth.assert_near(binary.binary_cross_entropy(X, np.full_like(X, label)), right.value, 2 * right.value_limit + 1e-320)


def test_any_magnitude_is_right_and_silent() -> None:
    x = np.array([-1e308, -3e38, 3e38, 1e308])
    np.testing.assert_array_equal(binary.binary_cross_entropy(x, np.ones(4)), [1e308, 3e38, 0.0, 0.0])
    np.testing.assert_array_equal(binary.binary_cross_entropy(x, np.zeros(4)), [0.0, 0.0, 3e38, 1e308])
    np.testing.assert_array_equal(binary.sigmoid(x), [0.0, 0.0, 1.0, 1.0])


def test_the_loss_is_least_where_the_probability_is_the_target() -> None:
    for y in (0.1, 0.5, 0.9):
        best = np.log(y / (1.0 - y))
        at = binary.binary_cross_entropy(best + np.array([-0.1, 0.0, 0.1]), np.full(3, y))
        assert at[1] < min(at[0], at[2])
        truth.assert_near(at[1], -(y * np.log(y) + (1 - y) * np.log(1 - y)), 1e-15)


def test_nan_is_passed_on_though_the_target_is_certain() -> None:
    for y in (0.0, 0.5, 1.0):
        assert np.isnan(binary.binary_cross_entropy(np.array([np.nan]), np.array([y]))).all()
