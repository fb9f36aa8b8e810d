"""Softmax losses as functions of a row's statistics: the coefficients are the derivative of the value."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests import truth
from xent.kernels.contract import RowCoefficients, RowStatistics
from xent.losses import categorical
from xent.losses.categorical import CategoricalLoss

N, C = 5, 7
RNG = np.random.default_rng(0)
Z = RNG.normal(0.0, 2.0, (N, C))
LABELS = RNG.integers(0, C, N)
ONEHOT = np.eye(C)[LABELS]
SOFT = RNG.dirichlet(np.ones(C), N)
WEIGHT = np.linspace(0.5, 2.0, C)
STEP = 1e-6

Row = Callable[[RowStatistics], Any]


def statistics(z: np.ndarray, T: np.ndarray, u: np.ndarray) -> RowStatistics:
    """The contract's statistics of rows, by the oracle."""
    soft = truth.softmax(z)
    own = -truth.weigh(T, np.log(np.where(T == 0.0, 1.0, T))).sum(axis=1)
    return RowStatistics(
        peak=soft.peak[:, 0],
        excess=soft.excess[:, 0],
        surprisal=(T * soft.surprisals).sum(axis=1),
        mass=T.sum(axis=1),
        smooth=soft.surprisals @ u,
        target_entropy=own,
    )


def gradient(z: np.ndarray, T: np.ndarray, u: np.ndarray, coefficients: RowCoefficients) -> np.ndarray:
    """``a·p − b·T − c·u``."""
    a, b, c, d = (np.reshape(x, (-1, 1)) for x in (coefficients.a, coefficients.b, coefficients.c, coefficients.d))
    assert not d.any()
    return a * truth.softmax(z).p - b * T - c * u


def differences(value: Row, z: np.ndarray, T: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Central differences of each row's value with respect to each logit."""
    slope = np.empty_like(z)
    for j in range(z.shape[1]):
        up, down = z.copy(), z.copy()
        up[:, j] += STEP
        down[:, j] -= STEP
        slope[:, j] = (value(statistics(up, T, u)) - value(statistics(down, T, u))) / (2.0 * STEP)
    return slope


def assert_coefficients_are_the_slope(value: Row, coefficients: Row, T: np.ndarray, u: np.ndarray) -> None:
    found = gradient(Z, T, u, coefficients(statistics(Z, T, u)))
    truth.assert_near(found, differences(value, Z, T, u), 2e-8)


UNIFORM = np.full(C, 1.0 / C)
PURE: dict[str, tuple[Row, Row]] = {
    "nll": (categorical.nll, categorical.nll_coefficients),
    "z_loss": (categorical.z_loss, categorical.z_loss_coefficients),
} | {
    f"focal {gamma}": (
        lambda rows, gamma=gamma: categorical.focal(rows, gamma),
        lambda rows, gamma=gamma: categorical.focal_coefficients(rows, gamma),
    )
    for gamma in (0.5, 1.0, 2.0, 5.0)
}


@pytest.mark.parametrize("name", PURE)
@pytest.mark.parametrize("T", [ONEHOT, SOFT, SOFT * WEIGHT], ids=["index", "probabilities", "weighted"])
def test_the_coefficients_of_each_loss_are_its_derivative(name: str, T: np.ndarray) -> None:
    value, coefficients = PURE[name]
    assert_coefficients_are_the_slope(value, coefficients, T, UNIFORM)


@pytest.mark.parametrize(("smoothing", "zeta", "gamma"), list(itertools.product((0.0, 0.1, 1.0), (0.0, 1e-2), (0.0, 0.5, 2.0))))
@pytest.mark.parametrize("weighted", [False, True])
def test_the_coefficients_of_every_combination_are_its_derivative(
    smoothing: float, zeta: float, gamma: float, weighted: bool
) -> None:
    u = WEIGHT / C if weighted else UNIFORM
    loss = CategoricalLoss(label_smoothing=smoothing, smooth_mass=float(u.sum()), z_loss=zeta, focal=gamma)
    weight = WEIGHT[LABELS] if weighted else 1.0
    assert_coefficients_are_the_slope(
        lambda rows: loss.values(rows if smoothing else rows._replace(smooth=None), weight),
        lambda rows: loss.coefficients(rows, weight),
        ONEHOT,
        u,
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_coefficients_known_beforehand_are_those_found_afterwards(smoothing: float) -> None:
    loss, weight = CategoricalLoss(label_smoothing=smoothing, smooth_mass=1.3), WEIGHT[LABELS]
    rows = statistics(Z, SOFT * WEIGHT, UNIFORM)
    known = loss.known_coefficients(weight)
    assert known is not None
    for first, second in zip(known.given(rows.mass), loss.coefficients(rows, weight), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-14)


@pytest.mark.parametrize("option", ["z_loss", "focal"])
def test_what_bends_with_the_loss_is_not_known_beforehand(option: str) -> None:
    assert CategoricalLoss(**{option: 0.5}).known_coefficients(1.0) is None


def test_the_coefficients_of_a_divergence_are_its_derivative() -> None:
    loss = CategoricalLoss(minus_target_entropy=True)
    assert_coefficients_are_the_slope(
        lambda rows: loss.values(rows._replace(smooth=None), 1.0), lambda rows: loss.coefficients(rows, 1.0), SOFT, UNIFORM
    )


def test_a_loss_asks_for_what_it_needs_and_no_more() -> None:
    assert CategoricalLoss().want == (False, False, False, False)
    assert CategoricalLoss(label_smoothing=0.1).want.smooth
    assert CategoricalLoss(minus_target_entropy=True).want.target_entropy
    assert not CategoricalLoss(z_loss=1.0, focal=2.0).want.smooth


def rows_with(surprisal: list[float]) -> RowStatistics:
    return RowStatistics(peak=np.zeros(len(surprisal)), excess=np.zeros(len(surprisal)), surprisal=np.array(surprisal))


def test_focal_of_a_certain_row_is_nothing_and_of_an_impossible_one_everything() -> None:
    for gamma in (0.25, 1.0, 2.0, 3.5):
        rows = rows_with([0.0, np.inf])
        np.testing.assert_array_equal(categorical.focal(rows, gamma), [0.0, np.inf])
        np.testing.assert_array_equal(categorical.focal_coefficients(rows, gamma).b, [0.0, 1.0])


def test_focal_keeps_the_digits_of_tiny_surprisals() -> None:
    s = np.array([1e-12, 1e-35, 1e-60])
    truth.assert_near(categorical.focal(rows_with(s.tolist()), 2.0) / s**3, np.ones(3), 1e-11)
    truth.assert_near(categorical.focal_coefficients(rows_with(s.tolist()), 2.0).b / (3.0 * s**2), np.ones(3), 1e-11)


def test_focal_counts_a_sure_row_for_less_than_nll_does() -> None:
    s = np.linspace(0.01, 5.0, 50)
    values = [categorical.focal(rows_with(s.tolist()), gamma) for gamma in (0.5, 1.0, 2.0)]
    assert (values[0] < s).all()
    assert (values[1] < values[0]).all()
    assert (values[2] < values[1]).all()


def test_a_row_of_weight_zero_costs_nothing_though_it_is_infinite() -> None:
    np.testing.assert_array_equal(CategoricalLoss().values(rows_with([np.inf, np.inf]), np.array([0.0, 1.0])), [0.0, np.inf])


def test_coefficients_times_a_number_are_the_gradient_times_it() -> None:
    each = RowCoefficients(a=np.array([1.0, 2.0]), b=1.0, c=0.5, d=0.25).times(np.array([2.0, 3.0]))
    np.testing.assert_array_equal(each.a, [2.0, 6.0])
    np.testing.assert_array_equal(each.b, [2.0, 3.0])
    np.testing.assert_array_equal(each.c, [1.0, 1.5])
    np.testing.assert_array_equal(each.d, [0.5, 0.75])
