"""The oracle is itself held against mpmath, and its comparisons are seen to fail."""

import itertools
from typing import Any

import mpmath
import numpy as np
import pytest

from tests import exact, hard_rows, truth
from tests.contract import test_precision

SCALES = (0.1, 1.0, 10.0, 100.0)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"weight": True},
    {"label_smoothing": 0.1},
    {"z_loss": 1e-3},
    {"focal": 2.0},
    {"focal": 0.5},
    {"softcap": 30.0},
    {"scale": 0.3},
    {"weight": True, "label_smoothing": 0.2, "z_loss": 1e-2, "focal": 1.5, "softcap": 20.0, "scale": 1.7},
]


def example(classes: int, scale: float, seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, scale, (3, classes)), rng.integers(0, classes, 3), rng.dirichlet(np.ones(classes), 3)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "+".join(o) or "plain")
@pytest.mark.parametrize("soft_target", [False, True], ids=["index", "probabilities"])
def test_rows_are_right_to_a_few_roundings_of_float64(options: dict[str, Any], soft_target: bool) -> None:
    if soft_target and options.get("weight") and options.get("focal"):
        options = options | {"focal": 0.0}
    for classes, scale in itertools.product((1, 2, 7), SCALES):
        x, index, y = example(classes, scale, classes)
        o = options | {"weight": np.linspace(0.5, 2.0, classes) if options.get("weight") else None}
        target = y if soft_target else index
        found = truth.rows(x, target, dtype="float64", **o)
        for r in range(len(x)):
            goal = list(y[r]) if soft_target else int(index[r])

            def loss(logits: list[Any], goal: Any = goal, o: dict[str, Any] = o) -> Any:
                return exact.row(logits, goal, **o)

            value = float(loss(list(x[r])))
            gradient = [float(g) for g in exact.gradient(loss, list(x[r]))]
            truth.assert_near(found.value[r], value, found.value_limit[r] * 2, f"value of {scale} x {classes}")
            truth.assert_near(found.gradient[r], gradient, found.gradient_limit[r] * 2, f"gradient of {scale} x {classes}")


@pytest.mark.parametrize("lead", [14.0, 30.0, 80.0])
def test_tiny_losses_of_the_oracle_are_right_relatively(lead: float) -> None:
    x = np.array([[lead, 0.1, -1.3, 0.7]])
    value = truth.rows(x, np.array([0]), dtype="float64").value
    right = exact.row(list(x[0]), 0)
    assert abs(float((mpmath.mpf(float(value[0])) - right) / right)) <= 4 * 2.0**-53


@pytest.mark.parametrize("x", [-300.0, -3.0, -1e-9, 0.0, 0.7, 40.0, 500.0])
@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
def test_binary_rows_are_right(x: float, y: float) -> None:
    found = truth.binary(np.array([x]), np.array([y]), 1.5, 2.5, dtype="float64")
    slope = exact.gradient(lambda point: exact.binary(point[0], y, 1.5, 2.5), [x])[0]
    truth.assert_near(found.value, [float(exact.binary(x, y, 1.5, 2.5))], found.value_limit)
    truth.assert_near(found.gradients[0], [float(slope)], found.gradient_limits[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_an_ulp_is_numpys_spacing(dtype: str) -> None:
    values = np.array([1.0, 0.75, 2.0**-14, 3e-5, 1e-7, 60000.0], dtype)
    np.testing.assert_array_equal(truth.ulp(values, dtype), np.spacing(values).astype(np.float64))


def test_the_nearest_number_is_that_of_a_conversion() -> None:
    for value in (0.1, 1.0 + 2.0**-24, 1.0 + 3 * 2.0**-24, 1e-40, -3.3, 0.0):
        assert exact.nearest(mpmath.mpf(value), "float32") == float(np.float32(value))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1.1])
def test_a_wrong_number_is_a_miss(wrong: float) -> None:
    with pytest.raises(AssertionError, match="truth"):
        truth.assert_near([1.0, wrong], [1.0, 1.0], 0.05)


def test_infinity_and_asked_for_nan_are_met_only_by_themselves() -> None:
    truth.assert_near([np.inf, np.nan], [np.inf, np.nan], 0.0, nan=True)
    assert truth.misses([-np.inf, 1.0], [np.inf, np.nan], 1.0, nan=True).all()
    with pytest.raises(AssertionError, match="the truth is NaN"):
        truth.assert_near([np.nan], [np.nan], 0.0)


def test_a_shape_that_differs_is_no_agreement() -> None:
    with pytest.raises(AssertionError, match="shape"):
        truth.assert_near([1.0], [[1.0]], 1.0)


def test_hard_rows_hold_what_fifty_digits_say() -> None:
    for row in test_precision.hard_rows():
        logits, target, dtype = row["logits"].astype(np.float64).tolist(), row["target"], row["dtype"]
        if len(logits) > 100:
            found = truth.rows([logits], [target]).value[0]
            assert abs(found - row["loss"]) <= 0.51 * truth.ulp(found, "float32"), row["name"]
            continue
        assert row["loss"] == exact.nearest(exact.row(logits, target), truth.computed_in(dtype)), row["name"]
        assert row["gradient"] == exact.nearest(hard_rows.exact_gradient_at_target(logits, target), dtype), row["name"]
    assert len(test_precision.hard_rows()) > 100
