"""What passes between losses and kernels: every statistic and every coefficient, on every storage (DESIGN §2)."""

import itertools
from typing import Any

import numpy as np

from tests import truth
from tests.contract.conventions import (
    DTYPES,
    KERNEL,
    Array,
    assert_same_bits,
    contract,
    dtype_of,
    labels,
    normal,
    poisoned,
    probabilities,
)
from xent.kernels import select
from xent.kernels.contract import Kernel, PointwiseTask, Problem, RowCoefficients, RowStatistics, Transform, Want
from xent.losses.binary import BINARY_CROSS_ENTROPY, LOG_SIGMOID, SIGMOID
from xent.losses.regression import GAUSSIAN_NLL, SQUARED_ERROR

ALL = Want(smooth=True, entropy=True, rank=True, target_entropy=True)
WIDTHS = (1, 2, 10, 33, 100, 507, 5003)
TRANSFORMS = (Transform(), Transform(scale=0.5), Transform(scale=1.3, softcap=7.0))


def storage_bits(array: Array) -> Array:
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


class Case:
    """A problem, its kernel, and what is true of it."""

    def __init__(
        self,
        backend: str,
        x: Array,
        target: Array | None = None,
        *,
        weight: Array | None = None,
        vector: Array | None = None,
        transform: Transform = Transform(),
    ) -> None:
        self.x, self.dtype, self.transform = x, x.dtype.name, transform
        self.kernel: Kernel = select.choose(backend, self.dtype)
        indexed = target is not None and target.ndim == 1
        self.index = target if indexed else None
        self.T = None if indexed or target is None else target.astype(np.float64) * (1.0 if weight is None else weight)
        self.vector = np.zeros(x.shape[1]) if vector is None else vector
        self.problem = Problem(
            logits=storage_bits(x),
            storage=self.dtype,
            target=self.index,
            target_probs=None if indexed else target,
            class_weight=weight,
            class_vector=vector,
            transform=transform,
        )
        self.z, self.slope = truth.bend(x.astype(np.float64), transform.softcap, transform.scale)
        self.soft = truth.softmax(self.z)
        self.unit = truth.eps(self.dtype)
        size = np.abs(np.where(np.isfinite(self.z), self.z, 0.0)).max(axis=1)
        rounded = 4.0 * size if transform.softcap or np.frexp(transform.scale)[0] != 0.5 else 0.0
        self.reach = rounded + (size * 2 if self.dtype == "float64" else 0.0)
        """Ulp of 1 by which exponents may be off."""

    def statistics(self, want: Want = ALL) -> RowStatistics:
        return self.kernel.statistics(self.problem, want)

    def gradient(self, rows: RowStatistics, coefficients: RowCoefficients) -> Array:
        out = poisoned(self.x)
        self.kernel.gradient(self.problem, rows, coefficients, storage_bits(out))
        return out


def random_target(kind: str, n: int, classes: int) -> Array | None:
    """Indices with an ignored row, probabilities in either dtype, or none."""
    if kind == "none":
        return None
    if kind == "index":
        target = labels(n, classes)
        target[n // 2] = -1
        return target
    return probabilities(n, classes).astype(kind)


@contract(KERNEL, dtype=DTYPES, kind=("index", "float32", "float64", "none"))
def test_statistics_are_right(backend: str, dtype: str, kind: str) -> None:
    for classes, transform in itertools.product(WIDTHS, TRANSFORMS):
        target, u = random_target(kind, 7, classes), np.linspace(0.0, 2.0, classes) / classes
        weight = np.linspace(0.5, 1.5, classes) if kind == "float64" else None
        case = Case(backend, normal(7, classes, 3.0, dtype), target, weight=weight, vector=u, transform=transform)
        found, surprise, p = case.statistics(), case.soft.surprisals, case.soft.p
        counted = np.ones(7, bool) if case.index is None else case.index >= 0

        def near(name: str, right: Array, limit: Array | float, counted: Array = counted, found: RowStatistics = found) -> None:
            given = getattr(found, name)
            assert given.dtype == np.float64
            truth.assert_near(given, np.where(counted, right, 0.0), np.where(counted, limit, 0.0), f"{name} {classes}")  # noqa: B023

        excess = case.soft.excess[:, 0]
        lse = case.soft.peak[:, 0] + excess
        # What lse is off, every probability is off relatively: a few ulp, wherever the sum was shifted to.
        near("lse", lse, case.unit * (4.0 * np.maximum(excess, 1.0) + case.reach) + 2.0**-51 * np.abs(lse))
        assert (found.excess >= 0.0).all()
        near("smooth", surprise @ u, u.sum() * case.unit * (4.0 * surprise.max(axis=1) + case.reach))
        entropy = (p * surprise).sum(axis=1)
        near("entropy", entropy, case.unit * (8.0 + surprise.max(axis=1) + case.reach) * (entropy + excess))
        if case.index is not None:
            s = np.take_along_axis(surprise, np.maximum(case.index, 0)[:, None], 1)[:, 0]
            near("surprisal", s, case.unit * (4.0 * s + case.reach))
            above = (case.z > np.take_along_axis(case.z, np.maximum(case.index, 0)[:, None], 1)).sum(axis=1)
            near("rank", above, 0.0)
            assert found.mass == 1.0
        elif case.T is not None:
            s, mass = (case.T * surprise).sum(axis=1), case.T.sum(axis=1)
            near("surprisal", s, case.unit * (4.0 * s + case.reach * mass))
            near("mass", mass, 2.0**-50 * mass)
            y = target.astype(np.float64)
            own = -(case.T * np.log(np.where(y == 0.0, 1.0, y))).sum(axis=1)
            near("target_entropy", own, 2.0**-48 * (own + 1.0))
        else:
            near("surprisal", np.zeros(7), 0.0)


@contract(KERNEL)
def test_statistics_not_asked_for_change_nothing(backend: str) -> None:
    for classes in WIDTHS:
        case = Case(backend, normal(7, classes), labels(7, classes), vector=np.full(classes, 1.0 / classes))
        few, many = case.statistics(Want()), case.statistics(ALL)
        assert_same_bits(few.peak, many.peak)
        assert_same_bits(few.excess, many.excess)
        assert_same_bits(few.surprisal, many.surprisal)
        assert few.smooth is None
        assert few.entropy is None
        assert few.rank is None


@contract(KERNEL, dtype=DTYPES)
def test_rank_counts_the_classes_strictly_above(backend: str, dtype: str) -> None:
    for classes in (3, 33, 507):
        x = np.zeros((3, classes)).astype(dtype_of(dtype))
        x[0, -1], x[1, :-1], x[2, ::2] = 1.0, 1.0, -np.inf
        case = Case(backend, x, np.array([0, classes - 1, 1]))
        np.testing.assert_array_equal(case.statistics(Want(rank=True)).rank, [1, classes - 1, 0])


COEFFICIENTS = ("a", "b", "c", "d")


@contract(KERNEL, dtype=DTYPES, kind=("index", "float32", "float64", "none"))
def test_every_coefficient_moves_its_own_term(backend: str, dtype: str, kind: str) -> None:
    """``(a·p − b·T − c·u − d·p·(log p + entropy))·dz/dx`` for each alone and all together, as one number and one a row."""
    for classes, transform in itertools.product(WIDTHS, TRANSFORMS):
        target, u = random_target(kind, 7, classes), np.linspace(0.0, 2.0, classes) / classes
        weight = np.linspace(0.5, 1.5, classes) if kind == "float64" else None
        case = Case(backend, normal(7, classes, 3.0, dtype), target, weight=weight, vector=u, transform=transform)
        rows = case.statistics()
        for chosen in ("a", "b", "c", "d", "ab", "abc", "abcd"):
            for per_row in (False, True):
                values = {name: 0.0 for name in COEFFICIENTS} | {name: 0.5 + COEFFICIENTS.index(name) for name in chosen}
                if per_row:
                    values = {name: value * np.linspace(0.1, 2.0, 7) for name, value in values.items()}
                found = case.gradient(rows, RowCoefficients(**values))
                right, limit = expected_gradient(case, values)
                truth.assert_near(found, right, limit, f"{chosen} {classes} {transform} {per_row}")


def expected_gradient(case: Case, values: dict[str, Any]) -> tuple[Array, Array]:
    """The formula, and what rounding each of its terms may cost."""
    a, b, c, d = (np.reshape(values[name], (-1, 1)) for name in COEFFICIENTS)
    p, surprise = case.soft.p, np.where(np.isfinite(case.soft.surprisals), case.soft.surprisals, 0.0)
    entropy = (p * surprise).sum(axis=1, keepdims=True)
    onehot = np.zeros_like(p) if case.T is None else case.T
    pull_of_p = a * p
    if case.index is not None:
        counted = case.index >= 0
        onehot = (np.arange(p.shape[1]) == case.index[:, None]).astype(float)
    curved = d * p * (entropy - surprise)
    gradient = (pull_of_p - b * onehot - c * case.vector - curved) * case.slope
    size = pull_of_p + b * onehot + c * case.vector
    error = (6.0 + surprise + np.reshape(case.reach, (-1, 1))) * size
    error = error + (8.0 + 2.0 * surprise + 4.0 * np.reshape(case.reach, (-1, 1))) * d * p * (entropy + surprise + 1.0)
    if case.dtype == "float64":
        # a·p − b at the target is (a − b) + a·expm1(−s), for which no dtype is wider.
        error = error + 4.0 * (np.abs(a) * onehot if case.index is not None else 0.0)
    bent = 4.0 * case.transform.scale * (size + np.abs(curved)) if case.transform.softcap else 0.0
    limit = case.unit * (error * np.abs(case.slope) + bent) + truth.rounding(gradient, case.dtype)
    if case.index is not None:
        gradient, limit = np.where(counted[:, None], gradient, 0.0), np.where(counted[:, None], limit, 0.0)
    return gradient, limit


@contract(KERNEL, dtype=DTYPES)
def test_the_gradient_at_a_leading_target_keeps_its_digits(backend: str, dtype: str) -> None:
    for classes in (2, 10, 33, 507):
        x, target = normal(4, classes, 1.0, dtype), labels(4, classes)
        x[np.arange(4), target] = np.array([14.0, 30.0, 50.0, 80.0]).astype(x.dtype)
        case = Case(backend, x, target)
        found = case.gradient(case.statistics(Want()), RowCoefficients(a=1.0, b=1.0))[np.arange(4), target]
        right = -case.soft.miss(target)[:, 0]
        limit = (4.0 + case.reach) * case.unit * np.abs(right) + truth.rounding(right, dtype)
        truth.assert_near(found, right, limit, f"{classes} classes")


@contract(KERNEL, dtype=DTYPES)
def test_log_probs_are_right_and_may_overwrite_the_logits(backend: str, dtype: str) -> None:
    for classes, transform in itertools.product(WIDTHS, TRANSFORMS):
        case = Case(backend, normal(7, classes, 10.0, dtype), transform=transform)
        out, own = poisoned(case.x), Case(backend, case.x.copy(), transform=transform)
        case.kernel.log_probs(case.problem, storage_bits(out))
        right = -case.soft.surprisals
        error = case.unit * (4.0 * np.abs(right) + np.reshape(case.reach, (-1, 1)))
        truth.assert_near(out, right, error + truth.rounding(right, dtype), f"{classes} {transform}")
        own.kernel.log_probs(own.problem, storage_bits(own.x))
        assert_same_bits(own.x, out)


@contract(KERNEL, dtype=DTYPES)
def test_the_gradient_may_overwrite_the_logits(backend: str, dtype: str) -> None:
    for classes, transform in itertools.product(WIDTHS, TRANSFORMS):
        u = np.linspace(0.0, 2.0, classes) / classes
        case = Case(backend, normal(7, classes, 3.0, dtype), labels(7, classes), vector=u, transform=transform)
        own = Case(backend, case.x.copy(), case.index, vector=u, transform=transform)
        coefficients = RowCoefficients(a=1.5, b=1.0, c=0.5, d=np.linspace(0.1, 1.0, 7))
        expected = case.gradient(case.statistics(), coefficients)
        own.kernel.gradient(own.problem, own.statistics(), coefficients, storage_bits(own.x))
        assert_same_bits(own.x, expected)


@contract(KERNEL, dtype=DTYPES)
def test_rows_are_measured_right(backend: str, dtype: str) -> None:
    for classes in WIDTHS:
        x = normal(9, classes, 3.0, dtype)
        x[1, -1], x[3, 0], x[5, classes // 2] = np.nan, np.inf, -np.inf
        found = select.choose(backend, dtype).measure(storage_bits(x), dtype)
        wide = x.astype(np.float64)
        bad = np.isnan(wide).any(axis=1)
        right = wide.sum(axis=1)
        limit = np.where(np.isfinite(right), 2.0**-50 * np.abs(wide).sum(axis=1), 0.0)
        truth.assert_near(found.total, right, np.where(bad, 0.0, limit), nan=True)
        truth.assert_near(found.lowest, wide.min(axis=1), 0.0, nan=True)
        truth.assert_near(found.highest, wide.max(axis=1), 0.0, nan=True)


POINTWISE = {
    "binary": (BINARY_CROSS_ENTROPY, lambda x, y, dtype: truth.binary(x, y, dtype=dtype)),
    "squared": (SQUARED_ERROR, lambda x, y, dtype: truth.squared(x, y, dtype=dtype)),
}


@contract(KERNEL, dtype=DTYPES, name=tuple(POINTWISE))
def test_a_flat_block_gives_values_gradients_and_their_sum(backend: str, dtype: str, name: str) -> None:
    loss, oracle = POINTWISE[name]
    for size in (1, 7, 64, 1001):
        x, y = normal(1, size, 5.0, dtype)[0], probabilities(1, size)[0]
        right = oracle(x.astype(np.float64), y, dtype)
        values, gradient = np.full(size, np.nan, truth.computed_in(dtype)), poisoned(x)
        task = PointwiseTask((storage_bits(x), y), dtype, values, (storage_bits(gradient),), 0.25)
        total = select.choose(backend, dtype, loss.name).pointwise(loss, task)
        truth.assert_near(values, right.value, right.value_limit)
        truth.assert_near(gradient, 0.25 * right.gradients[0], right.gradient_limits[0])
        truth.assert_near(total, right.value.sum(), right.value_limit.sum() + 2.0**-50 * right.value.sum())


@contract(KERNEL, dtype=DTYPES)
def test_pointwise_losses_are_served_by_name_or_refused(backend: str, dtype: str) -> None:
    for loss in (BINARY_CROSS_ENTROPY, SQUARED_ERROR, GAUSSIAN_NLL, SIGMOID, LOG_SIGMOID):
        assert select.reason(backend, dtype, loss.name) is None
