"""Linear cross-entropy: every option and every combination of options against the truth, by either order."""

import itertools
from typing import Any

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import DTYPES, labels, probabilities, stored
from tests.functional.linear import (
    FEW,
    KINDS,
    Layer,
    Way,
    all_ways,
    assert_right,
    backends,
    few_ways,
    layer,
    name_of,
    plans_taken,
    right,
    taking,
    target_of,
)
from tests.functional.test_from_logits import COMBINATIONS, REDUCTIONS
from xent.schedules.linear import algebra

N, C = 13, 37
WEIGHT = np.linspace(0.0, 2.0, C)


def combinations(kind: str) -> list[dict[str, Any]]:
    found = [o | {"weight": None if o["weight"] is None else WEIGHT} for o in COMBINATIONS]
    return [o for o in found if kind == "index" or not o["focal"] or o["weight"] is None]


kinds = pytest.mark.parametrize("kind", KINDS)


@backends
@kinds
def test_every_combination_of_options_of_a_linear_loss_is_the_truth(backend: str, kind: str) -> None:
    given, target = layer(N, C), target_of(kind, (N,), C)
    for number, options in enumerate(combinations(kind)):
        reduction, normalizer = REDUCTIONS[number % 4]
        way = FEW[(number + number // 4) % 4]
        with taking(way):
            what = f"{name_of(way)} {reduction} {options}"
            assert_right(given, target, what, reduction=reduction, normalizer=normalizer, backend=backend, **options)


@backends
@kinds
@all_ways
def test_each_way_through_the_logits_is_the_truth(backend: str, kind: str, way: Way) -> None:
    options = {"label_smoothing": 0.1, "z_loss": 1e-2, "softcap": 4.0, "scale": -0.7}
    for chosen in ({}, options, {"focal": 2.0}):
        with taking(way):
            assert_right(layer(N, C), target_of(kind, (N,), C), backend=backend, **chosen)


@few_ways
@kinds
def test_every_pair_of_dtypes_is_served(way: Way, kind: str) -> None:
    for dtype, other in itertools.product(DTYPES, DTYPES):
        given = layer(N, C, dtype=dtype, other=other)
        with taking(way):
            assert_right(given, target_of(kind, (N,), C), f"{dtype} {other}", weight=None, sample_weight=np.arange(N) % 3)


@few_ways
def test_a_bias_has_a_dtype_of_its_own(way: Way) -> None:
    for dtype, other in itertools.product(DTYPES, DTYPES):
        given = layer(N, C, dtype=dtype)._replace(bias=layer(N, C, dtype=other).bias)
        with taking(way):
            assert_right(given, target_of("index", (N,), C), f"{dtype} {other}")


@few_ways
@kinds
@pytest.mark.parametrize("lead", [(2, 3, 4), (3, 4), (4,), (2, 0), (0, 4)], ids=str)
def test_a_shift_looks_ahead_on_the_last_axis_of_rows(way: Way, kind: str, lead: tuple[int, ...]) -> None:
    given, target, weight = layer(lead, C), target_of(kind, lead, C), np.arange(np.prod(lead)).reshape(lead) % 3 / 2
    for shift, sample_weight in itertools.product((0, 1, 2, 4, 9), (None, weight)):
        with taking(way):
            assert_right(given, target, f"{shift}", shift=shift, sample_weight=sample_weight)
            if right(given, target, shift=shift, sample_weight=sample_weight).weight_sum:
                assert_right(given, target, f"{shift}", shift=shift, sample_weight=sample_weight, reduction="mean")


@few_ways
def test_a_shift_is_the_call_on_all_but_the_last_positions(way: Way) -> None:
    given, target, v = layer((2, 6), C), target_of("index", (2, 6), C), np.linspace(0.5, 2.0, 12).reshape(2, 6)
    for shift in (1, 2, 5):
        with taking(way):
            loss = xent.linear_cross_entropy(given.hidden, given.classifier, target, shift=shift, sample_weight=v)
            same = xent.linear_cross_entropy(
                given.hidden[:, :-shift], given.classifier, target[:, shift:], sample_weight=v[:, shift:]
            )
        truth.assert_near(loss, same, 2 * truth.ulp(same, "float32"))


@few_ways
@kinds
def test_one_row_needs_no_axis_of_rows(way: Way, kind: str) -> None:
    given, target = layer((), C), target_of(kind, (), C)
    with taking(way):
        for reduction in ("none", "sum", "mean"):
            assert_right(given, target, reduction, reduction=reduction)


@few_ways
@kinds
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_row_weights_multiply_losses_and_the_denominator(way: Way, kind: str, reduction: str) -> None:
    for v in (np.linspace(0.0, 3.0, N), np.arange(N, dtype=np.int8), stored(np.arange(N) % 2, "bfloat16"), np.ones(N, bool)):
        with taking(way):
            assert_right(layer(N, C), target_of(kind, (N,), C), reduction=reduction, sample_weight=v, z_loss=1e-2)


@few_ways
def test_row_weights_and_class_weights_multiply(way: Way) -> None:
    given, v = layer(N, C), np.linspace(0.0, 3.0, N)
    for kind, smoothing in itertools.product(("index", "probabilities"), (0.0, 0.1)):
        with taking(way):
            options = {"sample_weight": v, "weight": WEIGHT, "label_smoothing": smoothing}
            assert_right(given, target_of(kind, (N,), C), f"{kind} {smoothing}", reduction="mean", **options)


@few_ways
def test_class_weights_multiply_the_few_probabilities_of_a_pair(way: Way) -> None:
    with taking(way):
        for smoothing in (0.0, 0.1):
            assert_right(layer(N, C), target_of("pair", (N,), C), weight=WEIGHT, label_smoothing=smoothing)


@few_ways
def test_a_pair_is_the_probabilities_it_names(way: Way) -> None:
    given, (few, mass) = layer(N, C), target_of("pair", (N,), C)
    for some in ((few.astype(np.int8), mass), (few.astype(np.uint64), mass.astype(np.float32)), (few.tolist(), mass.tolist())):
        with taking(way):
            assert_right(given, target_of("pair", (N,), C), validate="raise")
            found = xent.linear_cross_entropy(given.hidden, given.classifier, some, bias=given.bias)
            truth.assert_near(found, right(given, target_of("pair", (N,), C)).value.mean(), 1e-6)


@few_ways
def test_a_pair_of_one_certain_class_is_its_index(way: Way) -> None:
    given, target = layer(N, C), labels(N, C)
    with taking(way):
        certain = (target[:, None], np.ones((N, 1)))
        found = xent.linear_cross_entropy_and_grad(given.hidden, given.classifier, certain, bias=given.bias, reduction="none")
        by_index = xent.linear_cross_entropy_and_grad(given.hidden, given.classifier, target, bias=given.bias, reduction="none")
    truth.assert_near(found[0], by_index[0], 2 * truth.ulp(by_index[0], "float32"))
    for mine, theirs in zip(found[1], by_index[1], strict=True):
        truth.assert_near(mine, theirs, 2e-6)


@few_ways
def test_half_precision_probabilities_are_read(way: Way) -> None:
    given = layer(N, C)
    for dtype in ("float16", "bfloat16", "float32"):
        y = stored(probabilities(N, C), dtype)
        with taking(way):
            assert_right(given, y, dtype, validate="off")
            xent.linear_cross_entropy(given.hidden, given.classifier, y)


@few_ways
def test_narrow_layers_are_layers(way: Way) -> None:
    for rows, classes, width in itertools.product((0, 1, 2, 13), (1, 2, 17), (1, 2, 9)):
        given = layer(rows, classes, width)
        with taking(way):
            for kind in ("index", "probabilities"):
                target = np.resize(np.arange(classes), rows) if kind == "index" else target_of(kind, (rows,), classes)
                assert_right(given, target, f"{rows} {classes} {width}")


@few_ways
def test_hidden_states_without_numbers_leave_the_bias(way: Way) -> None:
    given = layer(N, C, 6)
    bare = Layer(given.hidden[:, :0], given.classifier[:, :0], given.bias)
    with taking(way):
        assert_right(bare, target_of("index", (N,), C))


@few_ways
def test_gradients_are_the_central_differences_of_losses(way: Way) -> None:
    given, step = layer(5, 19, 3, dtype="float64"), 1e-5
    options: dict[str, Any] = {"weight": np.linspace(0.5, 2.0, 19), "label_smoothing": 0.1, "z_loss": 1e-2, "softcap": 4.0}
    options |= {"sample_weight": np.linspace(0.0, 2.0, 5), "scale": -0.7}
    for kind in ("index", "probabilities"):
        target = labels(5, 19) if kind == "index" else probabilities(5, 19)
        with taking(way):
            _, found = xent.linear_cross_entropy_and_grad(*given[:2], target, bias=given.bias, **options)
            for name, place in (("hidden", (3, 1)), ("classifier", (17, 2)), ("classifier", (0, 0)), ("bias", (18,))):
                ends = []
                for sign in (1.0, -1.0):
                    moved = getattr(given, name).copy()
                    moved[place] += sign * step
                    there = given._replace(**{name: moved})
                    ends.append(xent.linear_cross_entropy(*there[:2], target, bias=there.bias, **options))
                truth.assert_near(getattr(found, name)[place], (ends[0] - ends[1]) / (2.0 * step), 1e-9, f"{kind} {name}")


SHAPES = {"rows": (100, 60, 6), "classes": (13, 300, 6)}


@backends
@kinds
@pytest.mark.parametrize("order", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_limit_of_memory_decides_the_order_and_the_numbers_stay_right(backend: str, kind: str, order: str, dtype: str) -> None:
    rows, classes, width = SHAPES[order]
    given = layer(rows, classes, width, dtype=dtype)
    target = labels(rows, classes) if kind == "index" else target_of(kind, (rows,), classes)
    least = smallest_limit(rows, classes, width, dtype=dtype)
    for more in (1 << 12, 1 << 13):
        plan = xent.plan_linear(rows, classes, width, dtype=dtype, memory_limit=least + more)
        assert plan.order == order
        assert plan.rows < rows or plan.classes < classes
        with plans_taken() as taken:
            assert_right(given, target, f"{more}", memory_limit=least + more, backend=backend, z_loss=1e-2)
        assert {p.order for p in taken if p.shape.gradients} == {order}
        assert all(p.bytes <= least + more for p in taken)


def smallest_limit(rows: int, classes: int, width: int, **told: Any) -> int:
    """What the error says works."""
    with pytest.raises(xent.ArgumentError) as caught:
        xent.plan_linear(rows, classes, width, memory_limit=1, **told)
    return int(str(caught.value).partition("works here is ")[2].partition(";")[0])


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_smallest_limit_that_an_error_names_works_and_no_smaller_one(gradients: bool, dtype: str) -> None:
    given, target = layer(N, 300, dtype=dtype), labels(N, 300)
    function = xent.linear_cross_entropy_and_grad if gradients else xent.linear_cross_entropy
    least = smallest_limit(N, 300, 6, dtype=dtype, gradients=gradients)
    with pytest.raises(xent.ArgumentError, match=f"works here is {least};"):
        function(*given[:2], target, memory_limit=least - 1)
    with plans_taken() as taken:
        function(*given[:2], target, memory_limit=least)
    assert taken[-1].bytes <= least
    if gradients:
        assert_right(given, target, memory_limit=least)


@pytest.mark.parametrize("frozen", ["hidden", "classifier"])
def test_what_is_frozen_has_no_gradient_and_costs_no_product(frozen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    hidden, classifier, bias, target = rng.normal(size=(6, 3)), rng.normal(size=(9, 3)), rng.normal(size=9), np.arange(6)
    _, whole = xent.linear_cross_entropy_and_grad(hidden, classifier, target, bias=bias)
    shapes: list[tuple[int, ...]] = []
    multiply = algebra.NumpyAlgebra.multiply
    monkeypatch.setattr(
        algebra.NumpyAlgebra,
        "multiply",
        lambda self, a, b, out, *, add: (shapes.append(out.shape), multiply(self, a, b, out, add=add))[1],
    )
    _, found = xent.linear_cross_entropy_and_grad(hidden, classifier, target, bias=bias, frozen=frozen)
    assert getattr(found, frozen) is None
    assert {"hidden": (6, 3), "classifier": (9, 3)}[frozen] not in shapes
    for name in {"hidden", "classifier", "bias"} - {frozen}:
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


@pytest.mark.parametrize("dtype", ["float16", np.float16, np.dtype(np.float16)])
def test_a_plan_takes_a_dtype_as_it_is_written(dtype):
    assert xent.plan_linear(64, 1000, 32, dtype=dtype) == xent.plan_linear(64, 1000, 32, dtype="float16")
    assert "1 row x" in str(xent.plan_linear(1, 1000, 32, dtype=dtype))
