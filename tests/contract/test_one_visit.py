"""Statistics and gradient at once: the same numbers, wherever a row's maximum stands (DESIGN §2)."""

import itertools

import numpy as np

from tests import truth
from tests.contract.conventions import DTYPES, KERNEL, Array, assert_same_bits, contract, dtype_of, labels, normal, poisoned
from tests.contract.test_kernels import TRANSFORMS, WIDTHS, Case, expected_gradient, random_target, storage_bits
from xent.kernels.contract import KnownCoefficients, RowStatistics, Want

KNOWN = (
    KnownCoefficients(a=1.5),
    KnownCoefficients(b=0.7),
    KnownCoefficients(a=0.3, b=0.7, c=0.4),
    KnownCoefficients(a=0.3, b=np.linspace(0.1, 2.0, 7), c=0.4),
    KnownCoefficients(b=1e-25),
)


def one_visit(case: Case, want: Want, known: KnownCoefficients) -> tuple[RowStatistics, Array]:
    out = poisoned(case.x)
    return case.kernel.statistics_and_gradient(case.problem, want, known, storage_bits(out)), out


def assert_right(case: Case, known: KnownCoefficients, found: Array, what: str) -> None:
    """The gradient of ``(a + b·mass)·p − b·T − c·u``."""
    mass = 1.0 if case.T is None else case.T.sum(axis=1)
    right, limit = expected_gradient(case, {"a": known.a + known.b * mass, "b": known.b, "c": known.c, "d": 0.0})
    truth.assert_near(found, right, limit, what)


@contract(KERNEL, dtype=DTYPES, kind=("index", "float32", "float64", "none"))
def test_both_at_once_are_the_statistics_and_their_gradient(backend: str, dtype: str, kind: str) -> None:
    for classes, transform, with_vector in itertools.product(WIDTHS, TRANSFORMS, (False, True)):
        target, u = random_target(kind, 7, classes), np.linspace(0.0, 2.0, classes) / classes
        weight = np.linspace(0.5, 1.5, classes) if kind == "float64" else None
        vector = u if with_vector else None
        case = Case(backend, normal(7, classes, 3.0, dtype), target, weight=weight, vector=vector, transform=transform)
        want = Want(smooth=with_vector, target_entropy=target is not None and target.ndim == 2)
        for known in KNOWN:
            known = known if with_vector else known._replace(c=0.0)
            rows, gradient = one_visit(case, want, known)
            assert_right(case, known, gradient, f"{kind} {classes} {transform} {known}")
            apart = case.statistics(want)
            unit = case.unit * (8.0 + np.max(case.reach))
            truth.assert_near(rows.lse, apart.lse, unit * np.maximum(1.0, apart.excess) + 2.0**-50 * np.abs(apart.lse))
            truth.assert_near(rows.surprisal, apart.surprisal, unit * (apart.surprisal + np.asarray(apart.mass)))
            truth.assert_near(np.asarray(rows.mass), np.asarray(apart.mass), 1e-14)
            for name in ("smooth", "target_entropy"):
                there, expected = getattr(rows, name), getattr(apart, name)
                assert (there is None) == (expected is None)
                if expected is not None:
                    truth.assert_near(there, expected, unit * (np.abs(expected) + 1.0), name)


@contract(KERNEL, dtype=DTYPES, kind=("index", "float32"))
def test_both_at_once_may_overwrite_the_logits(backend: str, dtype: str, kind: str) -> None:
    for classes, transform, with_vector in itertools.product(WIDTHS, TRANSFORMS, (False, True)):
        vector, target = (np.full(classes, 1.0 / classes) if with_vector else None), random_target(kind, 7, classes)
        case = Case(backend, normal(7, classes, 3.0, dtype), target, vector=vector, transform=transform)
        own = Case(backend, case.x.copy(), target, vector=vector, transform=transform)
        known = KnownCoefficients(a=0.3, b=0.7, c=0.4 if with_vector else 0.0)
        rows, expected = one_visit(case, Want(smooth=with_vector), known)
        there = own.kernel.statistics_and_gradient(own.problem, Want(smooth=with_vector), known, storage_bits(own.x))
        assert_same_bits(own.x, expected)
        assert_same_bits(there.surprisal, rows.surprisal)


def climbing(classes: int, dtype: str) -> dict[str, Array]:
    """Rows whose beginning says nothing about their maximum, or the wrong thing."""
    base = normal(1, classes, 1.0, "float64")[0]
    start = min(64, classes - 1)
    rows = {
        "a ramp up": np.linspace(-300.0, 300.0, classes),
        "a ramp down": np.linspace(300.0, -300.0, classes),
        "a peak at the end": np.where(np.arange(classes) == classes - 1, 120.0, base),
        "just within reach": np.where(np.arange(classes) == classes - 1, 19.0, base),
        "a masked beginning": np.where(np.arange(classes) < start, -np.inf, base),
        "a beginning far below": np.where(np.arange(classes) < start, -6e4, base),
        "a low first": np.where(np.arange(classes) == 0, -6e4, base),
        "steps": 40.0 * np.floor(np.arange(classes) / 512) + base,
        "far from zero": 2000.0 + base,
        "far below, then above": np.where(np.arange(classes) < start, -2000.0, 2000.0) + base,
    }
    return {name: row.astype(dtype_of(dtype)) for name, row in rows.items()}


@contract(KERNEL, dtype=DTYPES)
def test_a_row_is_right_wherever_its_maximum_stands(backend: str, dtype: str) -> None:
    for classes in (2, 10, 100, 507, 5003):
        for name, row in climbing(classes, dtype).items():
            for kind in ("index", "none"):
                target = np.array([0, classes // 2, classes - 1]) if kind == "index" else None
                case = Case(backend, np.tile(row, (3, 1)), target)
                rows, gradient = one_visit(case, Want(), KnownCoefficients(a=0.5, b=0.5 if target is not None else 0.0))
                excess = case.soft.excess[:, 0]
                lse = case.soft.peak[:, 0] + excess
                truth.assert_near(rows.lse, lse, case.unit * (4.0 * np.maximum(excess, 1.0)) + 2.0**-50 * np.abs(lse), name)
                assert_right(case, KnownCoefficients(0.5, 0.5 if target is not None else 0.0), gradient, f"{name} {classes}")
                truth.assert_near(case.statistics(Want()).lse, rows.lse, 2.0**-50 * np.maximum(1.0, np.abs(lse)), name)


@contract(KERNEL, dtype=DTYPES)
def test_rows_without_a_distribution_are_nan_alone_at_once(backend: str, dtype: str) -> None:
    for classes in (2, 10, 507):
        x = normal(6, classes, 1.0, dtype)
        x[1, -1], x[2, 0], x[3] = np.nan, np.inf, -np.inf
        target = labels(6, classes)
        target[4] = -1
        x[4] = np.nan
        case = Case(backend, x, target)
        rows, gradient = one_visit(case, Want(), KnownCoefficients(b=1.0))
        bad = np.array([False, True, True, True, False, False])
        np.testing.assert_array_equal(np.isnan(rows.surprisal), bad)
        np.testing.assert_array_equal(np.isnan(gradient.astype(np.float64)).all(axis=1), bad)
        np.testing.assert_array_equal(np.isnan(gradient.astype(np.float64)).any(axis=1), bad)
        assert rows.surprisal[4] == 0.0
        assert (gradient[4] == 0).all()
