"""Right to a few ulp, on shapes off every tile, at any logit scale, in every dtype: rows 15 and 16."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

import xent
from tests import truth
from tests.contract.conventions import (
    CLASSES,
    DTYPES,
    ROWS,
    SCALES,
    Array,
    assert_rows,
    assert_same_bits,
    contract,
    cross_entropy,
    dtype_of,
    labels,
    normal,
    probabilities,
    stored,
)

HARD = Path(__file__).parent.parent / "hard_rows.csv"
TORCH_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}


def rows_for(classes: int) -> tuple[int, ...]:
    return ROWS if classes < 50257 else ROWS[:2]


def confident(n: int, classes: int, dtype: str) -> tuple[Array, Array]:
    """Rows whose target leads by 14 to 80, other logits around −1."""
    x, target = normal(n, classes, 1.0, "float64") - 1.0, labels(n, classes)
    x[np.arange(n), target] = x.max(axis=1) + np.linspace(14.0, 80.0, n)
    return stored(x, dtype), target


@contract(15, 16, dtype=DTYPES, classes=CLASSES)
def test_losses_and_gradients_are_right(backend: str, dtype: str, classes: int) -> None:
    for n in rows_for(classes):
        for scale in SCALES:
            assert_rows(backend, normal(n, classes, scale, dtype), labels(n, classes), f"{n} x {classes}, scale {scale}")


@contract(15, 16)
def test_losses_and_gradients_are_right_at_the_widest(backend: str) -> None:
    assert_rows(backend, normal(257, 50257), labels(257, 50257))


@contract(15, 16, dtype=DTYPES)
def test_values_without_gradients_are_the_same_bits(backend: str, dtype: str) -> None:
    for classes in CLASSES:
        x, target = normal(7, classes, 10.0, dtype), labels(7, classes)
        for options in ({}, {"label_smoothing": 0.1, "z_loss": 1e-3}):
            value = xent.cross_entropy(x, target, reduction="none", backend=backend, **options)
            assert_same_bits(value, cross_entropy(backend, x, target, **options)[0], f"{classes} {options}")


@contract(15, 16, dtype=DTYPES)
def test_losses_of_probability_targets_are_right(backend: str, dtype: str) -> None:
    for classes in CLASSES[:-1]:
        for n, scale in ((1, 1.0), (7, 0.1), (7, 100.0), (257, 1.0)):
            assert_rows(backend, normal(n, classes, scale, dtype), probabilities(n, classes), f"{n} x {classes}, scale {scale}")
    assert_rows(backend, normal(1, CLASSES[-1], 1.0, dtype), probabilities(1, CLASSES[-1]))


@contract(16, dtype=DTYPES)
def test_tiny_losses_are_right_and_not_zero(backend: str, dtype: str) -> None:
    for classes in CLASSES[1:-1]:
        x, target = confident(57, classes, dtype)
        assert_rows(backend, x, target, f"{classes} classes")
        loss, gradient = cross_entropy(backend, x, target)
        assert (loss > 0.0).all()
        if dtype in ("float32", "float64", "bfloat16"):
            assert (gradient[np.arange(57), target].astype(np.float64) < 0.0).all()
    for options in ({"label_smoothing": 0.1}, {"z_loss": 1e-3}, {"weight": np.linspace(0.5, 2.0, 33)}, {"scale": 0.5}):
        x, target = confident(57, 33, dtype)
        assert_rows(backend, x, target, str(options), **options)


@contract(16, dtype=("bfloat16", "float32", "float64"))
def test_tiny_losses_of_many_far_classes_are_right(backend: str, dtype: str) -> None:
    """Classes too far away to matter alone may matter together."""
    for classes in (10, 33, 500, 5000):
        x = np.full((6, classes), -88.0)
        x[:, -1], x[:, 0] = [-80.0, -75.0, -60.0, -40.0, -20.0, -88.0], 0.0
        x[3, 2:] = -60.0
        assert_rows(backend, stored(x, dtype), np.zeros(6, int), f"{classes} classes")
        spread, target = normal(57, classes, 10.0, "float64"), labels(57, classes)
        spread[np.arange(57), target] = spread.max(axis=1) + np.linspace(40.0, 79.0, 57)
        assert_rows(backend, stored(spread, dtype), target, f"{classes} classes, spread")


@contract(16, dtype=DTYPES)
def test_tiny_focal_losses_are_right(backend: str, dtype: str) -> None:
    x, target = confident(57, 33, dtype)
    for gamma in (0.5, 1.0, 2.0):
        assert_rows(backend, x, target, f"gamma {gamma}", focal=gamma)


@contract(16)
def test_wide_rows_of_great_spread_are_right(backend: str) -> None:
    x, target = normal(4, 32768, 5.0), labels(4, 32768)
    target[2] = x[2].argmax()
    assert_rows(backend, x, target)
    assert_rows(backend, x, target, label_smoothing=0.1)


def wide_row(seed: int, classes: int = 32768) -> Array:
    """N(0, 5) in whole sixty-fourths from integers alone: the same on every machine."""
    state, total = np.arange(classes, dtype=np.uint64) + np.uint64(seed * 1_000_003), np.zeros(classes, np.int64)
    for _ in range(12):
        state = (state + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(31)
        total += (state >> np.uint64(48)).astype(np.int64)
    return (np.round((total / 65536.0 - 6.0) * 5.0 * 64.0) / 64.0).astype(np.float32)


def hard_rows() -> list[dict[str, Any]]:
    """name, dtype, logits, target, and the loss and the target's gradient that are nearest to the truth."""
    with HARD.open(newline="") as file:
        return [read_hard_row(line) for line in csv.DictReader(file)]


def read_hard_row(line: dict[str, str]) -> dict[str, Any]:
    if line["logits"].startswith("wide:"):
        _, seed, digest = line["logits"].split(":")
        logits = wide_row(int(seed))
        assert hashlib.sha256(logits.tobytes()).hexdigest()[:16] == digest, "the row is not the one that was judged"
    else:
        logits = stored([float.fromhex(x) for x in line["logits"].split()], line["dtype"])
    numbers = {name: float.fromhex(line[name]) for name in ("loss", "gradient")}
    return (
        {"name": line["name"], "dtype": line["dtype"], "logits": logits, "target": int(line["target"])}
        | numbers
        | {"max_ulp": float(line["max_ulp"])}
    )


@contract(16, dtype=DTYPES)
def test_hard_rows_come_out_as_kept(backend: str, dtype: str) -> None:
    for row in hard_rows():
        if row["dtype"] != dtype:
            continue
        x = row["logits"][None]
        loss, gradient = cross_entropy(backend, x, np.array([row["target"]]))
        assert loss.dtype == truth.computed_in(dtype)
        truth.assert_near(loss[0], row["loss"], row["max_ulp"] * truth.ulp(row["loss"], truth.computed_in(dtype)), row["name"])
        slope = gradient[0, row["target"]]
        # Half precision is rounded once, from numbers much finer: it is the nearest or its neighbour.
        ulps = row["max_ulp"] if dtype in ("float32", "float64") else 1.0
        truth.assert_near(slope, row["gradient"], ulps * truth.ulp(row["gradient"], dtype), f"{row['name']}, gradient")


def torch_result(x: Array, target: Array, dtype: str, options: dict[str, Any]) -> tuple[Array, Array]:
    """The plain framework: torch in the same dtype, options composed as a user would."""
    o = dict(options)
    theirs = torch.tensor(x.astype(np.float64), dtype=TORCH_DTYPES[dtype], requires_grad=True)
    z = theirs * o.pop("scale", 1.0)
    cap = o.pop("softcap", None)
    z = cap * torch.tanh(z / cap) if cap else z
    zeta = o.pop("z_loss", 0.0)
    goal = torch.tensor(target) if target.dtype.kind == "i" else torch.tensor(target, dtype=TORCH_DTYPES[dtype])
    weight = o.pop("weight", None)
    w = None if weight is None else torch.tensor(weight, dtype=TORCH_DTYPES[dtype])
    loss = torch.nn.functional.cross_entropy(z, goal, w, reduction="none", **o)
    loss = loss + zeta * torch.logsumexp(z, 1) ** 2
    loss.sum().backward()
    # Where torch gives NaN (float16 overflows) nothing is farther from the truth.
    return tuple(np.nan_to_num(found.detach().double().numpy(), nan=np.inf) for found in (loss, theirs.grad))


@contract(
    15,
    16,
    dtype=DTYPES,
    options=(
        {},
        {"label_smoothing": 0.1},
        {"z_loss": 1e-3},
        {"softcap": 30.0},
        {"scale": 0.7},
        {"label_smoothing": 0.1, "z_loss": 1e-3, "softcap": 30.0, "scale": 1.3},
    ),
)
def test_no_farther_from_the_truth_than_the_plain_framework(backend: str, dtype: str, options: dict[str, Any]) -> None:
    """``|xent − truth| ≤ |torch − truth| + few ulp``: of the loss, of the gradient's dtype, and of what z was rounded to."""
    for classes in (2, 10, 100, 507):
        for scale in SCALES:
            x, target = normal(57, classes, scale, dtype), labels(57, classes)
            right = truth.rows(x, target, dtype=dtype, **options)
            loss, gradient = cross_entropy(backend, x, target, **options)
            plain_loss, plain_gradient = torch_result(x, target, dtype, options)
            what = f"{classes} classes, scale {scale}"
            slack = 4 * truth.ulp(right.value, truth.computed_in(dtype)) + z_rounding(x, dtype, options)
            truth.assert_near(loss, right.value, np.abs(plain_loss - right.value) + slack, f"loss {what}")
            slack = 4 * truth.eps(dtype) + 4 * z_rounding(x, dtype, options) + 0.51 * truth.eps_of(dtype)
            truth.assert_near(gradient, right.gradient, np.abs(plain_gradient - right.gradient) + slack, f"gradient {what}")


def z_rounding(x: Array, dtype: str, options: dict[str, Any]) -> float:
    """What rounding z may cost a loss, where z is not the logits themselves, or lse where no dtype is wider."""
    if not {"softcap", "scale"} & options.keys() and dtype != "float64":
        return 0.0
    greatest = float(np.abs(x.astype(np.float64)).max()) * options.get("scale", 1.0)
    return 2.0 * truth.eps(dtype) * min(options.get("softcap", np.inf), greatest)


@contract(15, dtype=DTYPES)
def test_results_come_in_the_dtypes_promised(backend: str, dtype: str) -> None:
    wide, own = np.dtype(truth.computed_in(dtype)), dtype_of(dtype)
    x, target, y = normal(7, 10, 1.0, dtype), labels(7, 10), probabilities(7, 10)
    for reduction in ("none", "sum", "mean"):
        loss, gradient = cross_entropy(backend, x, target, reduction=reduction)
        assert (loss.dtype, gradient.dtype) == (wide, own)
        loss, gradient = xent.kl_divergence_loss_and_grad(x, y, reduction=reduction, backend=backend)
        assert (loss.dtype, gradient.dtype) == (wide, own)
        loss, gradient = xent.binary_cross_entropy_and_grad(x, y, reduction=reduction, backend=backend)
        assert (loss.dtype, gradient.dtype) == (wide, own)
        loss, gradient = xent.mse_loss_and_grad(x, x, reduction=reduction, backend=backend)
        assert (loss.dtype, gradient.dtype) == (wide, own)
        loss, both = xent.gaussian_nll_loss_and_grad(x, x, np.ones_like(x), reduction=reduction, backend=backend)
        assert [loss.dtype, *(g.dtype for g in both)] == [wide, own, own]
    for function in (xent.softmax, xent.log_softmax, xent.sigmoid, xent.log_sigmoid):
        assert function(x, backend=backend).dtype == own
    assert xent.logsumexp(x, backend=backend).dtype == wide


@contract(15, dtype=("float16", "bfloat16"))
def test_half_precision_is_read_as_it_is_and_rounded_once(backend: str, dtype: str) -> None:
    for classes in CLASSES[1:-1]:
        for scale in SCALES:
            x, target = normal(57, classes, scale, dtype), labels(57, classes)
            loss, gradient = cross_entropy(backend, x, target)
            single, slope = cross_entropy(backend, x.astype(np.float32), target)
            right = truth.rows(x, target)
            truth.assert_near(loss, right.value, right.value_limit)
            truth.assert_near(single, right.value, right.value_limit)
            once = slope.astype(np.float64)
            limit = 0.5 * (1 + 2.0**-10) * truth.ulp(once, dtype) + right.gradient_limit
            truth.assert_near(gradient, once, limit)
            exact = right.gradient
            neighbour = 0.5 * truth.ulp(exact, dtype) + right.gradient_limit
            truth.assert_near(gradient, exact, neighbour)


@contract(15, dtype=("float16", "bfloat16"))
def test_the_mean_of_many_half_precision_losses_neither_overflows_nor_drifts(backend: str, dtype: str) -> None:
    x = stored(np.tile([19.0, 0.0], (8192, 1)), dtype)
    loss = xent.cross_entropy(x, np.ones(8192, int), backend=backend)
    truth.assert_near(loss, 19.0 + np.log1p(np.exp(-19.0)), truth.ulp(19.0, "float32"))
    loss = xent.binary_cross_entropy(x, np.zeros((8192, 2)), backend=backend)
    truth.assert_near(loss, (19.0 + np.log1p(np.exp(-19.0)) + np.log(2.0)) / 2, truth.ulp(19.0, "float32"))


@contract(15)
def test_great_sums_are_taken_in_float64(backend: str) -> None:
    x = np.zeros((200_000, 2), np.float32)
    x[0, 0] = 3e7
    target = np.zeros(200_000, int)
    target[0] = 1
    expected = 3e7 + 199_999 * np.log(2.0)
    truth.assert_near(xent.cross_entropy(x, target, reduction="sum", backend=backend), expected, truth.ulp(expected, "float32"))
    loss = xent.mse_loss(np.sqrt(x), np.zeros_like(x) + 1e-4, reduction="sum", backend=backend)
    exact = ((np.sqrt(x).astype(np.float64) - np.float32(1e-4)) ** 2).sum()
    truth.assert_near(loss, exact, 4 * truth.ulp(exact, "float32"))
