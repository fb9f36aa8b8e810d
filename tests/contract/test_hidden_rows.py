"""Ignored rows, zeros times infinities, masked classes, rows without a softmax, any magnitude: rows 3, 6, 7, 8, 9, 10."""

import numpy as np

import xent
from tests import truth
from tests.contract.conventions import (
    CLASSES,
    DTYPES,
    assert_rows,
    assert_same_bits,
    contract,
    cross_entropy,
    labels,
    normal,
    probabilities,
    stored,
)

INF = np.inf
OPTIONS = (
    {},
    {"label_smoothing": 0.1},
    {"z_loss": 1e-2},
    {"focal": 2.0},
    {"softcap": 5.0, "scale": 0.5},
    {"label_smoothing": 0.1, "z_loss": 1e-2, "focal": 1.5, "softcap": 5.0},
)
WIDTHS = (1, 2, 10, 33, 507, 5000)
"""On and off every tile, without the widest."""


def spoiled(x: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The logits with rows of NaN, inf and −inf in turn."""
    bad = x.copy()
    for r, value in zip(np.flatnonzero(where), np.tile([np.nan, INF, -INF], len(x)), strict=False):
        bad[r, r % x.shape[1] :: 2] = value
    bad[np.flatnonzero(where)[-1:]] = -INF
    return bad


@contract(3, dtype=DTYPES, options=OPTIONS)
def test_ignored_rows_count_nothing_whatever_they_hold(backend: str, dtype: str, options: dict[str, float]) -> None:
    for classes in WIDTHS:
        x, target = normal(57, classes, 3.0, dtype), labels(57, classes)
        ignored = np.arange(57) % 3 == 1
        target[ignored] = -100
        weight = np.linspace(0.5, 2.0, classes)
        loss, gradient = cross_entropy(backend, spoiled(x, ignored), target, weight=weight, **options)
        kept, slope = cross_entropy(backend, x[~ignored], target[~ignored], weight=weight, **options)
        assert_same_bits(loss[~ignored], kept, f"{classes} classes")
        assert_same_bits(gradient[~ignored], slope, f"{classes} classes")
        assert not loss[ignored].any()
        assert not gradient[ignored].astype(np.float64).any()
        mean = xent.cross_entropy(spoiled(x, ignored), target, weight=weight, backend=backend, **options)
        expected = xent.cross_entropy(x[~ignored], target[~ignored], weight=weight, backend=backend, **options)
        truth.assert_near(mean, expected, 16 * truth.ulp(expected, truth.computed_in(dtype)))


@contract(3)
def test_the_mark_of_ignored_rows_may_be_any_whole_number(backend: str) -> None:
    x, target = normal(7, 10), labels(7, 10)
    for mark, integer in ((-1, "int8"), (0, "int64"), (255, "uint8"), (5, "int32"), (-(2**63), "int64"), (2**64 - 1, "uint64")):
        marked = np.where(np.arange(7) % 2 == 0, 3, target).astype(integer)
        marked[2] = mark if mark >= 0 else np.array(mark).astype(integer)
        right = truth.rows(x, marked.astype(object).astype(float).astype(np.int64) if mark < 2**63 else marked, ignore_index=mark)
        loss, gradient = cross_entropy(backend, x, marked, ignore_index=mark)
        truth.assert_near(loss, right.value, right.value_limit, f"mark {mark}")
        truth.assert_near(gradient, right.gradient, right.gradient_limit, f"mark {mark}")
        assert not gradient[2].any()


@contract(3)
def test_a_mark_below_zero_ignores_no_unsigned_label(backend: str) -> None:
    x, target = normal(7, 300), np.array([156, 0, 1, 2, 3, 4, 5], np.uint8)
    assert_rows(backend, x, target)


@contract(3)
def test_ignored_rows_of_probabilities_count_nothing(backend: str) -> None:
    p, target = probabilities(7, 5), labels(7, 5)
    p[:, 0], p[:, -1] = 0.1, 0.1
    p /= p.sum(axis=1, keepdims=True)
    bad, marked = p.copy(), target.copy()
    bad[2], bad[4], marked[[2, 4]] = np.nan, 7.0, -100
    rest = np.delete(np.arange(7), [2, 4])
    for function, given, wrong in (
        (xent.log_loss_and_grad, p, bad),
        (xent.nll_loss_and_grad, np.log(p + 1e-300), np.where(bad == p, np.log(p + 1e-300), bad)),
    ):
        loss, gradient = function(wrong, marked, backend=backend)
        expected, slope = function(given[rest], target[rest], backend=backend)
        assert_same_bits(loss, expected)
        assert_same_bits(gradient[rest], slope)
        assert not gradient[[2, 4]].any()


@contract(6, dtype=DTYPES)
def test_a_target_of_zero_on_a_logit_of_minus_infinity_is_zero(backend: str, dtype: str) -> None:
    for classes in (2, 10, 33, 507):
        x, y = normal(7, classes, 1.0, dtype), probabilities(7, classes)
        mask = np.arange(classes) % 2 == 1
        y = np.where(mask, 0.0, y)
        y /= y.sum(axis=1, keepdims=True)
        x[:, mask] = -INF
        assert_rows(backend, x, y, f"{classes} classes")
        assert_rows(backend, x, y, f"z-loss, {classes} classes", z_loss=1e-2)
        loss, gradient = cross_entropy(backend, x, y)
        kept, slope = cross_entropy(backend, x[:, ~mask].copy(), y[:, ~mask].copy())
        truth.assert_near(loss, kept, 4 * truth.ulp(kept, truth.computed_in(dtype)))
        truth.assert_near(gradient[:, ~mask], slope, 16 * truth.eps(dtype) + truth.ulp(slope, dtype))
        assert not gradient[:, mask].astype(np.float64).any()


@contract(6)
def test_smoothing_over_a_class_of_weight_zero_at_minus_infinity_is_finite(backend: str) -> None:
    x, target, weight = normal(7, 10), np.arange(7) + 1, np.ones(10)
    x[:, 0], weight[0] = -INF, 0.0
    assert_rows(backend, x, target, weight=weight, label_smoothing=0.1)
    assert np.isfinite(cross_entropy(backend, x, target, weight=weight, label_smoothing=0.1)[0]).all()


@contract(6)
def test_a_target_smoothed_away_says_nothing(backend: str) -> None:
    """At ε = 1 the label has no share left, so 0 · inf is 0."""
    x, target, weight = normal(7, 10), np.zeros(7, int), np.ones(10)
    x[:, 0], weight[0] = -INF, 0.0
    loss = cross_entropy(backend, x, target, weight=weight, label_smoothing=1.0)[0]
    right = truth.rows(x, target, dtype=x.dtype.name, weight=weight, label_smoothing=1.0).value
    truth.assert_near(loss, right, 4 * truth.ulp(right, "float32"))
    assert np.isfinite(cross_entropy(backend, x, target, weight=weight, label_smoothing=1.0)[0]).all()
    assert (cross_entropy(backend, x, target, label_smoothing=1.0)[0] == INF).all()


@contract(6, dtype=DTYPES)
def test_a_divergence_from_a_target_with_zeros_is_finite(backend: str, dtype: str) -> None:
    x, y = normal(7, 33, 1.0, dtype), probabilities(7, 33)
    x[:, (y == 0.0).all(axis=0)] = -INF
    right = truth.rows(x, y, dtype=dtype, minus_target_entropy=True)
    loss, gradient = xent.kl_divergence_loss_and_grad(x, y, reduction="none", backend=backend)
    assert np.isfinite(right.value).all()
    truth.assert_near(loss, right.value, right.value_limit)
    truth.assert_near(gradient, right.gradient, right.gradient_limit)


@contract(6)
def test_an_impossible_class_that_never_happens_costs_nothing(backend: str) -> None:
    p = np.array([[0.5, 0.5, 0.0]])
    loss, gradient = xent.log_loss_and_grad(p, p, backend=backend)
    truth.assert_near(loss, np.log(2.0), 1e-15)
    assert_same_bits(gradient, np.array([[-1.0, -1.0, 0.0]]))
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    loss, gradient = xent.nll_loss_and_grad(log_p, p, backend=backend)
    truth.assert_near(loss, np.log(2.0), 1e-15)
    assert_same_bits(gradient, np.array([[-0.5, -0.5, 0.0]]))


@contract(6, dtype=DTYPES)
def test_a_certain_binary_answer_costs_nothing(backend: str, dtype: str) -> None:
    x, y = stored([-INF, INF, -INF, INF], dtype), np.array([0.0, 1.0, 1.0, 0.0])
    for weights in ({}, {"pos_weight": np.float64(3.0)}, {"weight": np.full(4, 2.0)}):
        loss, gradient = xent.binary_cross_entropy_and_grad(x, y, reduction="none", backend=backend, **weights)
        np.testing.assert_array_equal(loss, [0.0, 0.0, INF, INF], err_msg=str(weights))
        by = np.array([1.0, 1.0, -3.0, 1.0]) if "pos_weight" in weights else np.array([1.0, 1.0, -1.0, 1.0])
        expected = [0.0, 0.0, by[2], by[3]] if "weight" not in weights else [0.0, 0.0, -2.0, 2.0]
        np.testing.assert_array_equal(gradient.astype(np.float64), expected, err_msg=str(weights))


@contract(7, dtype=DTYPES)
def test_a_target_at_minus_infinity_is_an_infinite_surprise(backend: str, dtype: str) -> None:
    for classes in (2, 10, 33, 507):
        x, target = normal(7, classes, 1.0, dtype), labels(7, classes)
        x[3, target[3]] = -INF
        for options in ({}, {"label_smoothing": 0.1}, {"focal": 2.0}, {"z_loss": 1e-2}):
            assert_rows(backend, x, target, f"{classes} {options}", **options)
            loss, gradient = cross_entropy(backend, x, target, **options)
            assert loss[3] == INF
            assert np.isfinite(gradient.astype(np.float64)).all()
        loss, gradient = cross_entropy(backend, x, target, reduction="mean", normalizer=8.0)
        assert loss == INF
        assert gradient[3, target[3]] == -0.125


@contract(8, dtype=DTYPES)
def test_masked_classes_have_no_part(backend: str, dtype: str) -> None:
    for classes in CLASSES[1:-1]:
        x, target = normal(7, classes, 1.0, dtype), labels(7, classes)
        mask = np.random.default_rng(3).random((7, classes)) < 0.7
        mask[np.arange(7), target] = False
        x[mask] = -INF
        for options in ({}, {"focal": 2.0}, {"z_loss": 1e-2}, {"scale": 2.0}):
            assert_rows(backend, x, target, f"{classes} {options}", **options)
        assert not cross_entropy(backend, x, target)[1].astype(np.float64)[mask].any()


@contract(8, dtype=DTYPES)
def test_a_masked_block_has_no_part(backend: str, dtype: str) -> None:
    classes = 5000
    x, target = normal(4, classes, 1.0, dtype), np.array([4999, 0, 2500, 4998])
    for r, hidden in enumerate((slice(0, 4990), slice(1, None), slice(0, 2500), slice(4, 4996))):
        x[r, hidden] = -INF
    assert_rows(backend, x, target)
    loss, gradient = cross_entropy(backend, x, target)
    assert loss[1] == 0.0
    assert not gradient[1].astype(np.float64).any()


@contract(9, dtype=DTYPES)
def test_a_row_without_a_softmax_is_nan_alone(backend: str, dtype: str) -> None:
    for classes in WIDTHS:
        x, target = normal(57, classes, 3.0, dtype), labels(57, classes)
        for kind, value in (("NaN", np.nan), ("+inf", INF), ("all -inf", -INF)):
            bad, rows = x.copy(), np.array([0, 20, 56])
            for r, c in zip(rows, (0, classes - 1, classes // 2), strict=True):
                bad[r, slice(None) if kind == "all -inf" else c] = value
            rest = np.delete(np.arange(57), rows)
            for options in ({}, {"label_smoothing": 0.1, "z_loss": 1e-2}):
                loss, gradient = cross_entropy(backend, bad, target, **options)
                kept, slope = cross_entropy(backend, x, target, **options)
                assert np.isnan(loss[rows]).all(), f"{kind} {classes}"
                assert np.isnan(gradient[rows].astype(np.float64)).all(), f"{kind} {classes}"
                assert_same_bits(loss[rest], kept[rest], f"{kind} {classes}")
                assert_same_bits(gradient[rest], slope[rest], f"{kind} {classes}")


@contract(9, dtype=DTYPES)
def test_a_row_without_a_softmax_is_nan_for_probability_targets_too(backend: str, dtype: str) -> None:
    for classes in WIDTHS:
        x, y = normal(7, classes, 3.0, dtype), probabilities(7, classes)
        bad = x.copy()
        bad[1, -1], bad[3], bad[5, 0] = np.nan, -INF, INF
        rows, rest = [1, 3, 5], [0, 2, 4, 6]
        loss, gradient = cross_entropy(backend, bad, y)
        kept, slope = cross_entropy(backend, x, y)
        assert np.isnan(loss[rows]).all()
        assert np.isnan(gradient[rows].astype(np.float64)).all()
        assert_same_bits(loss[rest], kept[rest])
        assert_same_bits(gradient[rest], slope[rest])


@contract(9, dtype=DTYPES)
def test_normalisation_of_such_a_row_is_nan_alone(backend: str, dtype: str) -> None:
    x = normal(7, 33, 3.0, dtype)
    bad = x.copy()
    bad[1, -1], bad[3], bad[5, 0] = np.nan, -INF, INF
    rest = [0, 2, 4, 6]
    for function in (xent.softmax, xent.log_softmax, xent.logsumexp):
        found, kept = function(bad, backend=backend), function(x, backend=backend)
        assert np.isnan(found[[1, 3, 5]].astype(np.float64)).all()
        assert_same_bits(found[rest], kept[rest])


@contract(10, dtype=("bfloat16", "float32", "float64"))
def test_logits_of_any_magnitude_do_not_overflow(backend: str, dtype: str) -> None:
    for classes in (2, 3, 33, 507):
        big = stored(3e38, dtype)
        x, target = stored(np.zeros((6, classes)), dtype), np.array([0, 0, classes - 1, 0, classes - 1, 0])
        x[0], x[1], x[2, -1], x[3, 1:] = big, -big, big, -big
        x[4], x[4, 0], x[5], x[5, 0] = -big / 2, big / 4, big / 4, -big / 4
        assert_rows(backend, x, target, f"{classes} classes")
        loss, _ = cross_entropy(backend, x, target)
        truth.assert_near(loss[:2], np.full(2, np.log(classes)), 4 * truth.ulp(np.log(classes), truth.computed_in(dtype)))
        assert loss[2] == 0.0
        assert loss[3] == 0.0


@contract(10, dtype=DTYPES)
def test_a_mean_of_great_losses_does_not_overflow(backend: str, dtype: str) -> None:
    top = {"float16": 60000.0, "float64": 1e307}.get(dtype, 3e38)
    x = stored(np.tile([[top / 2, -top / 2]], (7, 1)), dtype)
    loss = xent.cross_entropy(x, np.ones(7, int), backend=backend)
    expected = x[0].astype(np.float64) @ [1.0, -1.0]
    truth.assert_near(loss, expected, 4 * truth.ulp(expected, truth.computed_in(dtype)))


@contract(10)
def test_great_scales_of_tiny_logits_and_the_reverse(backend: str) -> None:
    x, target = normal(7, 33), labels(7, 33)
    for factor in (2.0**100, 2.0**-100):
        loss, _ = cross_entropy(backend, (x * np.float32(factor)).astype(np.float32), target, scale=1 / factor)
        expected, _ = cross_entropy(backend, x, target)
        truth.assert_near(loss, expected, 4 * truth.ulp(expected, "float32"))
