"""Linear cross-entropy against the dense way in float64: exact logits, each way through them, and what rounding may cost.

Hidden states and weights are multiples of 1/8 of few digits, so that every logit is exact in float32 whatever dtype holds them:
what a result then lacks was lost after the logits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import labels, probabilities, stored
from xent._calls import linear as calls
from xent.schedules.linear.plan import Order, Plan, Shape

Array = np.ndarray[Any, Any]


class Way(NamedTuple):
    """An order, and how many rows and classes exist at once."""

    order: Order
    rows: int
    classes: int = 1 << 40

    def plan(self, shape: Shape) -> Plan:
        """For a shape, whatever its bytes."""
        rows, classes = max(1, min(self.rows, shape.rows)), min(self.classes, shape.classes)
        products = (4 if self.order == "classes" else 3) if shape.gradients else 1
        return Plan(self.order, rows, shape.classes if self.order == "rows" else classes, 0, products, shape)


ROWS, CLASSES = Way("rows", 1 << 40), Way("classes", 1 << 40, 16)
FEW = (ROWS, Way("rows", 5), CLASSES, Way("classes", 5, 16))
WAYS = (*FEW, Way("rows", 1), Way("classes", 5, 7), Way("classes", 1, 13), Way("classes", 1 << 40, 1), Way("classes", 4, 1 << 40))
KINDS = ("index", "probabilities", "pair")
backends = pytest.mark.parametrize("backend", ["numba", "reference"])


def name_of(way: Any) -> str:
    return f"{way.order}-{min(way.rows, 999)}x{min(way.classes, 999)}" if isinstance(way, Way) else str(way)


few_ways = pytest.mark.parametrize("way", FEW, ids=name_of)
all_ways = pytest.mark.parametrize("way", WAYS, ids=name_of)


@contextmanager
def taking(way: Way) -> Iterator[None]:
    """Calls go that way, which `plan` would choose for other shapes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "plan", lambda shape, limit=None, rows=None: way.plan(shape))
        yield


@contextmanager
def plans_taken() -> Iterator[list[Plan]]:
    """The plans of the calls made here, as they were chosen."""
    taken: list[Plan] = []
    original = calls.plan

    def remembering(shape: Shape, limit: int | None = None, rows: int | None = None) -> Plan | None:
        found = original(shape, limit, rows)
        taken.extend([] if found is None else [found])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "plan", remembering)
        yield taken


class Layer(NamedTuple):
    """What is multiplied."""

    hidden: Array
    classifier: Array
    bias: Array | None = None

    @property
    def dtype(self) -> str:
        """What it is computed in."""
        double = "float64" in (self.hidden.dtype.name, self.classifier.dtype.name)
        return "float64" if double else "float32"

    @property
    def logits(self) -> Array:
        """[..., C] in float64."""
        bias = 0.0 if self.bias is None else self.bias.astype(np.float64)
        with np.errstate(all="ignore"):
            return self.hidden.astype(np.float64) @ self.classifier.astype(np.float64).T + bias


def eighths(shape: tuple[int, ...], dtype: str, seed: int, most: int = 12) -> Array:
    """Multiples of 1/8 that every dtype holds."""
    return stored(np.random.default_rng(seed).integers(-most, most + 1, shape) / 8, dtype)


def layer(
    rows: int | tuple[int, ...],
    classes: int,
    width: int = 6,
    *,
    dtype: str = "float32",
    other: str | None = None,
    bias: bool = True,
) -> Layer:
    """Exact logits of a spread of a few nats."""
    lead = rows if isinstance(rows, tuple) else (rows,)
    other = other or dtype
    return Layer(
        eighths((*lead, width), dtype, 0), eighths((classes, width), other, 1), eighths((classes,), other, 2) if bias else None
    )


def pairs(lead: tuple[int, ...], classes: int, few: int = 3) -> tuple[Array, Array]:
    """A few classes a row, one of them perhaps twice, and their probabilities, the last 0."""
    rng = np.random.default_rng(3)
    mass = rng.exponential(1.0, (*lead, few))
    mass[..., -1] = 0.0
    return rng.integers(0, classes, (*lead, few)), mass / mass.sum(axis=-1, keepdims=True)


def spread(pair: tuple[Array, Array], classes: int) -> Array:
    """The same as probabilities of all classes."""
    few, mass = (part.reshape(-1, part.shape[-1]) for part in pair)
    result = np.zeros((len(few), classes))
    np.add.at(result, (np.arange(len(few))[:, None], few), mass)
    return result.reshape(*pair[0].shape[:-1], classes)


def target_of(kind: str, lead: tuple[int, ...], classes: int) -> Any:
    """A target of that kind for rows of that shape; the sixth label is ignored."""
    number = int(np.prod(lead))
    if kind == "pair":
        return pairs(lead, classes)
    if kind == "probabilities":
        return probabilities(number, classes).reshape(*lead, classes)
    return np.where(np.arange(number) == 5, -100, labels(max(1, number), classes)[:number]).reshape(lead)


class Right(NamedTuple):
    """The truth for N rows, each times its weight, and its limits; and the denominator of the mean."""

    value: Array
    value_limit: Array
    gradient: Array
    """[N, C], by the logits."""
    gradient_limit: Array
    weight_sum: float


def moved(values: Array, shift: int, lead: tuple[int, ...], nothing: float) -> Array:
    """What stands so many positions ahead on the last axis of rows."""
    result = np.full_like(values, nothing)
    if shift < (lead[-1] if lead else 1):
        axis = len(lead) - 1
        here, there = [slice(None)] * values.ndim, [slice(None)] * values.ndim
        if lead:
            here[axis], there[axis] = slice(0, lead[-1] - shift), slice(shift, None)
        result[tuple(here)] = values[tuple(there)]
    return result


def right(given: Layer, target: Any, *, sample_weight: Any = None, shift: int = 0, **options: Any) -> Right:
    """By the definition, in float64, one row after the other."""
    x, classes, lead = given.logits, len(given.classifier), given.hidden.shape[:-1]
    goal = spread(target, classes) if isinstance(target, tuple) else np.asarray(target)
    v = np.ones(lead) if sample_weight is None else np.asarray(sample_weight, np.float64)
    v, number = moved(v, shift, lead, 0.0).reshape(-1), int(np.prod(lead))
    index = goal.dtype.kind in "iu"
    goal = moved(goal, shift, lead, options.get("ignore_index", -100) if index else 1.0 / classes)
    goal = goal.reshape(-1) if index else goal.reshape(-1, classes)
    found = truth.rows(x.reshape(number, classes), goal, dtype=given.dtype, **options)
    counts = v > 0.0
    weight = v
    if index:
        counts &= goal != options.get("ignore_index", -100)
        w = np.ones(classes) if options.get("weight") is None else np.asarray(options["weight"], np.float64)
        weight = v * np.where(counts, w[np.where(counts, goal, 0)], 0.0)
    each = np.where(counts, v, 0.0)
    by_row, by_logit = (
        [truth.weigh(np.broadcast_to(each.reshape(-1, *[1] * (a.ndim - 1)), a.shape), a) for a in parts]
        for parts in ((found.value, found.value_limit), (found.gradient, found.gradient_limit))
    )
    return Right(by_row[0], by_row[1], by_logit[0], by_logit[1], float(weight.sum()))


def assert_right(given: Layer, target: Any, what: str = "", *, nan: bool = False, slack: float = 1.0, **options: Any) -> None:
    """Losses and all three gradients are as true as their dtypes allow."""
    own = {"reduction": "none", "normalizer": None, "backend": None} | {
        k: options.pop(k) for k in ("reduction", "normalizer", "backend", "memory_limit", "validate") if k in options
    }
    truly = right(given, target, **options)
    by = {"mean": own["normalizer"] or truly.weight_sum}.get(own["reduction"], 1.0)
    loss, found = xent.linear_cross_entropy_and_grad(given.hidden, given.classifier, target, bias=given.bias, **own, **options)
    assert loss.dtype == given.dtype, what
    alone = xent.linear_cross_entropy(given.hidden, given.classifier, target, bias=given.bias, **own, **options)
    assert_losses(loss, truly, by, given, what, nan=nan, slack=slack, reduction=own["reduction"])
    assert_losses(alone, truly, by, given, f"{what} alone", nan=nan, slack=slack, reduction=own["reduction"])
    assert_gradients(found, truly, by, given, what, nan=nan, slack=slack)


def assert_losses(
    loss: Any, truly: Right, by: float, given: Layer, what: str, *, nan: bool, slack: float, reduction: str
) -> None:
    value, limit = truly.value, truly.value_limit
    # A weight is one more rounding, and float64 has no wider dtype to hide its sums in.
    limit = slack * limit + 2.0 * truth.eps(given.dtype) * np.abs(np.nan_to_num(value, posinf=0.0))
    if reduction == "none":
        truth.assert_near(loss, value.reshape(given.hidden.shape[:-1]), limit.reshape(loss.shape), f"loss {what}", nan=nan)
        return
    whole = value.sum() / by
    rounding = 4.0 * truth.ulp(whole if np.isfinite(whole) else 0.0, given.dtype)
    truth.assert_near(loss, whole, limit.sum() / by + rounding, f"loss {what}", nan=nan)


def assert_gradients(found: Any, truly: Right, by: float, given: Layer, what: str, *, nan: bool, slack: float) -> None:
    """``G·W``, ``Gᵀ·H`` and ``Σ G``: the limit of G carried along, one rounding for each term of a sum, one into the dtype."""
    counts = truly.gradient_limit.any(axis=1) | np.isnan(truly.gradient).any(axis=1)
    h = np.where(counts[:, None], given.hidden.astype(np.float64).reshape(len(counts), given.hidden.shape[-1]), 0.0)
    w, unit = given.classifier.astype(np.float64), truth.eps(given.dtype)
    g, limit = truly.gradient / by, slack * truly.gradient_limit / by + 4.0 * unit * np.abs(truly.gradient) / by
    parts = (
        ("hidden", g, w, given.hidden),
        ("classifier", g.T, h, given.classifier),
        ("bias", g.T, np.ones((len(g), 1)), given.bias),
    )
    for name, left, other, like in parts:
        if like is None:
            assert getattr(found, name) is None, what
            continue
        result = getattr(found, name)
        assert result.dtype == like.dtype, f"{name} {what}"
        assert result.shape == like.shape, f"{name} {what}"
        miss = (limit if name == "hidden" else limit.T) @ np.abs(other)
        with np.errstate(invalid="ignore"):
            miss = miss + unit * (4.0 + np.sqrt(len(other))) * (np.abs(left) @ np.abs(other))
            product = left @ other
        miss = np.nan_to_num(miss + truth.rounding(np.nan_to_num(product), like.dtype.name))
        truth.assert_near(result.reshape(product.shape), product, miss, f"{name} {what}", nan=nan)
