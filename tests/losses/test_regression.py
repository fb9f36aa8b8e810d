"""Squared error, and the Gaussian likelihood it comes from."""

import numpy as np

from tests import truth
from xent.losses import regression

RNG = np.random.default_rng(1)
MEAN, Y, VAR = RNG.normal(0.0, 3.0, 101), RNG.normal(0.0, 3.0, 101), RNG.exponential(1.0, 101) + 0.05
STEP = 1e-6


def test_squared_error_is_the_square_of_the_error() -> None:
    truth.assert_near(regression.squared_error(MEAN, Y), (MEAN - Y) * (MEAN - Y), 0.0)
    truth.assert_near(regression.squared_error(MEAN, Y, VAR), VAR * (MEAN - Y) ** 2, 1e-13)


def test_its_slope_is_its_derivative() -> None:
    rise = (regression.squared_error(MEAN + STEP, Y, VAR) - regression.squared_error(MEAN - STEP, Y, VAR)) / (2.0 * STEP)
    truth.assert_near(regression.squared_error_slope(MEAN, Y, VAR)[0], rise, 1e-6)


def test_the_gaussian_loss_is_minus_the_logarithm_of_its_density() -> None:
    density = np.exp(-((Y - MEAN) ** 2) / (2.0 * VAR)) / np.sqrt(2.0 * np.pi * VAR)
    found = regression.gaussian_nll(MEAN, Y, VAR) + regression.HALF_LOG_TWO_PI
    near = density > 1e-290
    truth.assert_near(found[near], -np.log(density[near]), 1e-12 * np.abs(found[near]) + 1e-13)


def test_its_slopes_are_its_derivatives() -> None:
    to_mean, to_var = regression.gaussian_nll_slopes(MEAN, Y, VAR)
    nll = regression.gaussian_nll
    truth.assert_near(
        to_mean, (nll(MEAN + STEP, Y, VAR) - nll(MEAN - STEP, Y, VAR)) / (2.0 * STEP), 1e-6 * (1.0 + np.abs(to_mean))
    )
    rise = (nll(MEAN, Y, VAR + STEP / 10) - nll(MEAN, Y, VAR - STEP / 10)) / (STEP / 5)
    truth.assert_near(to_var, rise, 1e-6 * (1.0 + np.abs(to_var)))


def test_at_a_fixed_variance_its_gradient_is_that_of_squared_error() -> None:
    for var in (0.25, 1.0, 9.0):
        to_mean = regression.gaussian_nll_slopes(MEAN, Y, np.full_like(MEAN, var))[0]
        truth.assert_near(to_mean, regression.squared_error_slope(MEAN, Y)[0] / (2.0 * var), 2.0**-50 * np.abs(to_mean))


def test_the_best_variance_is_the_squared_error() -> None:
    residual = (Y - MEAN) ** 2
    truth.assert_near(regression.gaussian_nll_slopes(MEAN, Y, residual)[1], np.zeros_like(residual), 1e-12 / residual)
    best = regression.gaussian_nll(MEAN, Y, residual)
    assert (best < regression.gaussian_nll(MEAN, Y, residual * 1.1)).all()
    assert (best < regression.gaussian_nll(MEAN, Y, residual * 0.9)).all()
