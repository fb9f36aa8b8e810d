"""What is summed over classes and bins is exact, whatever the numbers are and however they lie in memory."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from xent.evaluate import Batch, Spec, Totals
from xent.evaluate.means.temperature import Scored

N, CLASSES, BINS = 300, 7, 15
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "every other": lambda values: np.repeat(np.repeat(values, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda values: values[::-1, ::-1].copy()[::-1, ::-1],
}


def predictions(dtype: str) -> np.ndarray:
    """Some that are even, and some whose least is next to nothing."""
    rng = np.random.default_rng(5)
    even, sharp = rng.dirichlet(np.ones(CLASSES), N // 2), rng.dirichlet(np.full(CLASSES, 0.02), N - N // 2)
    probs = np.concatenate([even, np.maximum(sharp, 0.0)])
    probs[:3] = [[1.0, *[0.0] * 6], [1.0, 5e-324, 1e-300, 1e-40, 1e-20, 1e-15, 0.0], [0.5, 0.5, *[0.0] * 5]]
    return probs.astype(dtype)


def state(values: np.ndarray, weight: np.ndarray | None) -> Totals:
    spec = Spec("probs", tuple("abcdefg"), weighted=weight is not None, bins=BINS)
    totals = Totals(spec)
    totals.update(Batch(values, np.arange(N) % (CLASSES + 1) - 1, weight=weight))
    return totals


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_class_and_bin_are_those_of_fsum(dtype: str, weighted: bool) -> None:
    weight = np.exp(np.random.default_rng(1).normal(0.0, 20.0, N)) if weighted else None
    values = predictions(dtype)
    totals, wide = state(values, weight), values.astype(np.float64)
    counted = np.arange(N) % (CLASSES + 1) > 0
    shown = np.ones(N) if weight is None else weight
    bins = np.minimum((wide * BINS).astype(int), BINS - 1)
    inside = (bins[:, :, None] == np.arange(BINS)) & counted[:, None, None]
    probability = [math.fsum((wide[:, j] * shown)[inside[:, j, b]]) for j in range(CLASSES) for b in range(BINS)]
    mass = [math.fsum(shown[inside[:, j, b]]) for j in range(CLASSES) for b in range(BINS)]
    assert totals.sums["classwise_probability"].floats().tolist() == probability
    assert totals.sums["classwise_weight"].floats().tolist() == mass


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_changes_no_bit(dtype: str, layout: str) -> None:
    values = predictions(dtype)
    assert state(LAYOUTS[layout](values), None).to_bytes() == state(values, None).to_bytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("inverse", [0.01, 1.0, 30.0])
def test_a_temperature_gives_the_loss_and_its_derivatives(layout: str, inverse: float) -> None:
    rng = np.random.default_rng(2)
    logits, target = 5.0 * rng.normal(size=(N, CLASSES)), rng.integers(0, CLASSES, N)
    logits[::9, 1] = -np.inf
    target[::9] = 0
    found = Scored(LAYOUTS[layout](logits), target, np.ones(N)).terms(inverse)
    shifted = inverse * (logits - logits.max(axis=1, keepdims=True))
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    probs, own = np.exp(log_probs), logits[np.arange(N), target]
    gaps = np.where(probs > 0.0, logits - own[:, None], 0.0)
    mean = (probs * gaps).sum(axis=1)
    assert found[0] == pytest.approx(-log_probs[np.arange(N), target], rel=1e-12, abs=1e-14)
    assert found[1] == pytest.approx(mean, rel=1e-12, abs=1e-12)
    assert found[2] == pytest.approx((probs * gaps**2).sum(axis=1) - mean**2, rel=1e-9, abs=1e-9)


def test_a_row_at_a_temperature_does_not_depend_on_those_beside_it() -> None:
    rng = np.random.default_rng(3)
    logits, target = rng.normal(size=(N, CLASSES)).astype(np.float32), rng.integers(0, CLASSES, N)
    whole = Scored(logits, target, np.ones(N)).terms(1.7)
    parts = [Scored(logits[n : n + 1], target[n : n + 1], np.ones(1)).terms(1.7) for n in range(N)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize("bins", [1, BINS])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_zero_below_zero_adds_what_a_zero_does(bins: int, weighted: bool) -> None:
    values = np.tile([[1.0, 0.0]], (500, 1))
    states: list[bytes] = []
    for zero in (0.0, -0.0):
        values[:, 1] = zero
        totals = Totals(Spec("probs", ("a", "b"), weighted=weighted, bins=bins))
        totals.update(Batch(values, np.zeros(500, np.int64), weight=np.full(500, 3.0) if weighted else None))
        states.append(totals.to_bytes())
    assert states[0] == states[1]


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">f2"])
def test_the_order_of_bytes_changes_no_bit(dtype: str) -> None:
    values = predictions(np.dtype(dtype).newbyteorder("=").str)
    assert state(values.astype(dtype), None).to_bytes() == state(values, None).to_bytes()


@pytest.mark.parametrize("inverse", [1e-3, 1.0, 1e3])
def test_a_constant_in_all_logits_leaves_no_trace_at_any_temperature(inverse: float) -> None:
    rng = np.random.default_rng(4)
    logits, target = np.round(rng.normal(size=(N, CLASSES)) * 2.0**20) / 2.0**20, rng.integers(0, CLASSES, N)
    plain, far = (Scored(logits + constant, target, np.ones(N)).terms(inverse) for constant in (0.0, 2.0**27))
    assert np.array_equal(plain, far)
