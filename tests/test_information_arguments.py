"""What xent.information accepts, keeps and refuses, and what it says when it refuses."""

import math
from collections.abc import Callable
from typing import Any

import array_api_strict
import ml_dtypes
import numpy as np
import pytest
import torch

from xent._errors import ArgumentError, DistributionError, DTypeError, ShapeError, XentError
from xent.information import (
    binary_entropy,
    conditional_entropy,
    cross_entropy,
    entropy,
    js_divergence,
    kl_divergence,
    mutual_information,
    perplexity,
    self_information,
)

ROUNDING_UNIT = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-14, "float64": 2.0**-21}
LIBRARIES: dict[str, Any] = {"numpy": np, "torch": torch, "strict": array_api_strict}
HALVES = [
    pytest.param(lambda x: x.astype(np.float16), id="numpy-float16"),
    pytest.param(lambda x: x.astype(ml_dtypes.bfloat16), id="numpy-bfloat16"),
    pytest.param(lambda x: torch.from_numpy(x).to(torch.float16), id="torch-float16"),
    pytest.param(lambda x: torch.from_numpy(x).to(torch.bfloat16), id="torch-bfloat16"),
]
ONE, TWO = np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.6, 0.3])
EVERY_CALL: list[tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = [
    (self_information, (ONE,)),
    (binary_entropy, (ONE,)),
    (entropy, (ONE,)),
    (perplexity, (ONE,)),
    (cross_entropy, (ONE, TWO)),
    (kl_divergence, (ONE, TWO)),
    (js_divergence, (ONE, TWO)),
    (conditional_entropy, (np.outer(ONE, TWO),)),
    (mutual_information, (np.outer(ONE, TWO),)),
]
every_call = pytest.mark.parametrize(("f", "arrays"), EVERY_CALL, ids=[f.__name__ for f, _ in EVERY_CALL])
in_each_library = pytest.mark.parametrize("library", LIBRARIES)

ROWS = "Counts become probabilities divided by their sum, logits by softmax, log-probabilities by exp."
EVENTS = "A logit becomes a probability by the sigmoid, a log-probability by exp, a percentage divided by 100."
NUMBERS = "A NaN often comes from 0/0 in a normalisation: mend or drop it where it arises."
FLOATS = "Convert probabilities to a floating dtype; class indices and counts are no probabilities."
AXES = "Axes count from 0, or from -1 backwards."
TABLE = "A table has one axis for X and one for Y."

IN_0_TO_1 = "p must hold probabilities, from 0 to 1;"
LAST, FIRST = {"axis": -1}, {"axis": 0}
WRONG_ROWS: list[tuple[Callable[..., Any], list[Any], dict[str, int], str]] = [
    (entropy, [[1.25, 0.25]], LAST, "p must sum to 1 along axis 0; it sums to 1.5."),
    (entropy, [[[0.5, 0.5], [0.5, 0.25], [0.5, 2.0]]], LAST, "p must sum to 1 along axis 1; row 2 sums to 2.5 (2 of 3 rows)."),
    (perplexity, [[[0.5, 0.5], [0.25, 0.5]]], FIRST, "p must sum to 1 along axis 0; row 0 sums to 0.75 (1 of 2 rows)."),
    (entropy, [[[[0.5], [1.0]], [[1.0], [1.0]]]], LAST, "p must sum to 1 along axis 2; row 0, 0 sums to 0.5 (1 of 4 rows)."),
    (entropy, [[math.inf, 0.0]], LAST, "p must sum to 1 along axis 0; it sums to inf."),
    (cross_entropy, [[0.5, 0.5], [0.5, 0.25]], LAST, "q must sum to 1 along axis 0; it sums to 0.75."),
    (js_divergence, [[0.5, 0.25], [0.5, 0.5]], LAST, "p must sum to 1 along axis 0; it sums to 0.75."),
    (kl_divergence, [[1.5, -0.5], [1.0, 0.0]], LAST, f"{IN_0_TO_1} p[1] is -0.5 (1 of 2 entries)."),
    (entropy, [[[-1.0, 2.0], [-3.0, 4.0]]], LAST, f"{IN_0_TO_1} p[1, 0] is -3 (2 of 4 entries)."),
    (mutual_information, [[[0.5, 0.5], [0.5, 0.5]]], {}, "joint must sum to 1 over axes 0 and 1; it sums to 2."),
    (
        mutual_information,
        [[[[0.5, 0.5]], [[0.5, 0.0]]]],
        {},
        "joint must sum to 1 over axes 1 and 2; table 1 sums to 0.5 (1 of 2 tables).",
    ),
    (
        conditional_entropy,
        [[[1.5, -0.5]]],
        {},
        "joint must hold probabilities, from 0 to 1; joint[0, 1] is -0.5 (1 of 2 entries).",
    ),
]
WRONG_EVENTS: list[tuple[Callable[..., Any], list[Any], dict[str, int], str]] = [
    (self_information, [1.5], {}, f"{IN_0_TO_1} it is 1.5."),
    (self_information, [[-0.5, 1.0]], {}, f"{IN_0_TO_1} p[0] is -0.5 (1 of 2 entries)."),
    (binary_entropy, [[0.5, 75.0, 2.0]], {}, f"{IN_0_TO_1} p[1] is 75 (2 of 3 entries)."),
]
WRONG_NUMBERS: list[tuple[Callable[..., Any], list[Any], dict[str, int], str]] = [
    (entropy, [[-1.0, math.nan]], {}, f"{IN_0_TO_1} p[1] is nan (2 of 2 entries)."),
    (binary_entropy, [math.nan], {}, f"{IN_0_TO_1} it is nan."),
]
WRONG = [
    (*found, remedy)
    for group, remedy in ((WRONG_ROWS, ROWS), (WRONG_EVENTS, EVENTS), (WRONG_NUMBERS, NUMBERS))
    for found in group
]


def message(kind: type[XentError], f: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        f(*arguments, **options)
    assert type(caught.value) is kind
    return str(caught.value)


def numbers(array: Any) -> np.ndarray:
    return np.asarray(array.detach().double() if isinstance(array, torch.Tensor) else array).astype(np.float64)


@in_each_library
@pytest.mark.parametrize(("f", "values", "options", "found", "remedy"), WRONG)
def test_what_is_no_distribution_is_named(
    library: str, f: Callable[..., Any], values: list[Any], options: dict[str, int], found: str, remedy: str
) -> None:
    xp = LIBRARIES[library]
    arrays = [xp.asarray(value, dtype=xp.float64) for value in values]
    assert message(DistributionError, f, *arrays, **options) == f"{found} {remedy}"


def test_a_row_without_classes_is_no_distribution() -> None:
    expected = f"p must sum to 1 along axis 1; row 0 sums to 0 (2 of 2 rows). {ROWS}"
    assert message(DistributionError, entropy, np.zeros((2, 0))) == expected
    assert entropy(np.zeros((0, 2))).shape == (0,)


def test_a_tensor_that_records_gradients_is_refused_in_the_same_words() -> None:
    p = torch.tensor([0.5, 0.25], requires_grad=True)
    assert message(DistributionError, entropy, p) == f"p must sum to 1 along axis 0; it sums to 0.75. {ROWS}"


@in_each_library
@every_call
def test_whole_numbers_and_truth_values_are_no_probabilities(library: str, f: Callable[..., Any], arrays: Any) -> None:
    xp = LIBRARIES[library]
    name = "joint" if f in (conditional_entropy, mutual_information) else "p"
    for dtype in ("int64", "uint8", "bool"):
        wrong = [xp.asarray((array > 0.4).tolist(), dtype=getattr(xp, dtype)) for array in arrays]
        expected = f"{name} must be float16, bfloat16, float32 or float64; it is {dtype}. {FLOATS}"
        assert message(DTypeError, f, *wrong) == expected


def test_other_dtypes_are_refused_by_name() -> None:
    for value, dtype in ((["a"], "str32"), (None, "object"), ([True], "bool"), (1j, "complex128")):
        expected = f"p must be float16, bfloat16, float32 or float64; it is {dtype}. {FLOATS}"
        assert message(DTypeError, entropy, value) == expected


@every_call
def test_masked_arrays_are_refused(f: Callable[..., Any], arrays: Any) -> None:
    name = "joint" if f in (conditional_entropy, mutual_information) else "p"
    expected = f"{name} must be a plain array; it is a masked array. Fill it, or leave masked rows out."
    assert message(DTypeError, f, *map(np.ma.masked_array, arrays)) == expected


@every_call
def test_an_unknown_unit_is_refused(f: Callable[..., Any], arrays: Any) -> None:
    if f is perplexity:
        with pytest.raises(TypeError, match="unit"):
            f(*arrays, unit="bit")
        return
    for unit in ("nats", "BIT", None, ["bit"]):
        expected = f'unit must be "nat", "bit" or "hartley"; it is {unit!r}. Base-2 logarithms are unit="bit".'
        assert message(ArgumentError, f, *arrays, unit=unit) == expected


def test_axes_must_be_there() -> None:
    def said(axis: object, shape: str, name: str = "p") -> str:
        return f"axis must be an axis of {name}; axis is {axis!r} and {name} has shape {shape}. {AXES}"

    for axis in (1, -2, None, 0.0, "0"):
        assert message(ShapeError, entropy, ONE, axis=axis) == said(axis, "(3,)")
    assert message(ShapeError, entropy, 1.0) == said(-1, "()")
    assert message(ShapeError, kl_divergence, ONE, TWO, axis=3) == said(3, "(3,)")
    assert message(ShapeError, mutual_information, ONE) == said(-2, "(3,)", "joint")
    assert message(ShapeError, conditional_entropy, [ONE], axis=(0, 2)) == said(2, "(1, 3)", "joint")


@pytest.mark.parametrize("axis", [(0, 0), (0, -2), (0,), (), (0, 1, -1), 0, None])
def test_a_table_has_two_axes(axis: Any) -> None:
    expected = f"axis must name two axes of joint; it is {axis!r}. {TABLE}"
    assert message(ShapeError, mutual_information, [ONE], axis=axis) == expected


@pytest.mark.parametrize("f", [cross_entropy, kl_divergence, js_divergence])
def test_rows_of_different_shape_are_not_broadcast(f: Callable[..., Any]) -> None:
    for p, q in (((3,), (1, 3)), ((2, 3), (3,)), ((2, 3), (3, 2)), ((1, 3), (2, 3))):
        given = f"p is {p} and q is {q}. Repeat the smaller one with broadcast_to if that is meant."
        assert message(ShapeError, f, np.ones(p), np.ones(q)) == f"p and q must have the same shape; {given}"


def test_a_ragged_list_is_no_array() -> None:
    expected = "p must be rectangular; its rows differ in length. Fill short rows with zeros."
    assert message(ShapeError, entropy, [[0.5, 0.5], [1.0]]) == expected


def test_two_libraries_do_not_mix() -> None:
    expected = "arrays must come from one library; p from torch and q from numpy. Convert one; lists count as numpy."
    assert message(DTypeError, cross_entropy, torch.tensor([0.5, 0.5]), [0.5, 0.5]) == expected


def softmax_rows(classes: int, spread: float) -> np.ndarray:
    x = spread * np.random.default_rng(classes).standard_normal((4, classes))
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("narrow", HALVES)
@pytest.mark.parametrize("classes", [2, 10, 1000, 50257])
def test_half_precision_is_read_as_it_is_and_computed_in_float32(narrow: Callable[..., Any], classes: int) -> None:
    p, q = (narrow(softmax_rows(classes, spread)) for spread in (0.5, 1.0))
    a, b = numbers(p), numbers(q)
    truth = {entropy: -(a * np.log(a)).sum(-1), cross_entropy: -(a * np.log(b)).sum(-1)}
    truth |= {kl_divergence: (a * np.log(a / b) - a + b).sum(-1)}
    for f, expected in truth.items():
        actual = f(p) if f is entropy else f(p, q)
        assert str(actual.dtype).endswith("float32")
        assert np.all(np.abs(numbers(actual) - expected) <= 1e-5 * expected)


@pytest.mark.parametrize(("dtype", "unit"), ROUNDING_UNIT.items())
@pytest.mark.parametrize("classes", [1, 3, 1000])
def test_a_sum_may_miss_one_by_what_rounding_explains(dtype: str, unit: float, classes: int) -> None:
    slack = unit * (2.0 + 0.5 * math.log(classes))
    for off, fine in ((0.9, True), (-0.9, True), (1.35, False), (-1.35, False)):
        p = torch.zeros(classes, dtype=getattr(torch, dtype))
        p[0] = 1.0 + off * slack
        if fine:
            assert float(entropy(p)) >= 0.0
            assert float(kl_divergence(p, p)) == 0.0
            assert abs(float(mutual_information(p.reshape(1, -1)))) <= 2 * slack
        else:
            assert "sums to" in message(DistributionError, entropy, p)


@pytest.mark.parametrize(("dtype", "unit"), ROUNDING_UNIT.items())
def test_an_event_may_exceed_one_by_what_rounding_explains(dtype: str, unit: float) -> None:
    barely, wrong = (torch.tensor(1.0 + units * unit, dtype=getattr(torch, dtype)) for units in (2.0, 4.0))
    assert float(self_information(barely)) == float(binary_entropy(barely)) == 0.0
    assert "it is 1.0" in message(DistributionError, self_information, wrong)


@every_call
def test_lists_and_numbers_become_float64(f: Callable[..., Any], arrays: Any) -> None:
    answer = f(*(array.tolist() for array in arrays))
    assert np.asarray(answer).dtype == np.float64
    assert np.array_equal(answer, f(*arrays))


def test_whole_numbers_in_lists_are_numbers() -> None:
    assert kl_divergence([1, 0, 0], (0.7, 0.2, 0.1)) == kl_divergence([1.0, 0.0, 0.0], [0.7, 0.2, 0.1])
    assert self_information(1) == binary_entropy(0) == entropy([[1]])[0] == 0.0


@every_call
def test_answers_stay_in_dtype_library_and_device(f: Callable[..., Any], arrays: Any) -> None:
    device = array_api_strict.Device("device1")
    for dtype in ("float32", "float64"):
        tensor = f(*(torch.tensor(array, dtype=getattr(torch, dtype)) for array in arrays))
        assert isinstance(tensor, torch.Tensor)
        assert tensor.dtype is getattr(torch, dtype)
        strict = f(*(array_api_strict.asarray(a.tolist(), dtype=getattr(array_api_strict, dtype), device=device) for a in arrays))
        assert strict.device == device
        assert strict.dtype == getattr(array_api_strict, dtype)
        assert f(*(array.astype(dtype) for array in arrays)).dtype == dtype


def test_float32_beside_float64_makes_float64() -> None:
    single, double = ONE.astype(np.float32), ONE
    for f in (cross_entropy, kl_divergence, js_divergence):
        assert f(single, double).dtype == f(double, single).dtype == np.float64


@every_call
def test_inputs_may_be_read_only_strided_or_foreign_and_are_kept(f: Callable[..., Any], arrays: Any) -> None:
    expected = f(*arrays)
    for shown in (lambda a: np.repeat(a, 2, axis=-1)[..., ::2], lambda a: np.asfortranarray(a), lambda a: a.astype(">f8")):
        given = [shown(array) for array in arrays]
        before = [array.copy() for array in given]
        for array in given:
            array.flags.writeable = False
        assert np.allclose(f(*given), expected, rtol=1e-15, atol=0.0)
        assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))


@every_call
def test_no_gradient_is_nan_where_a_probability_is_zero(f: Callable[..., Any], arrays: Any) -> None:
    corners = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 1.0]]
    for p in corners:
        for q in corners:
            rows = [torch.tensor(row, dtype=torch.float64) for row in (p, q)]
            given = [torch.outer(*rows)] if arrays[0].ndim == 2 else rows[: len(arrays)]
            given = [row.requires_grad_() for row in given]
            f(*given).sum().backward()
            assert all(bool(torch.isfinite(row.grad).all()) for row in given)


@pytest.mark.parametrize("step", [0.0, 1e-9, 1e-3, 0.1])
def test_gradients_are_those_of_the_formulae(step: float) -> None:
    p, q = (
        torch.tensor(row, dtype=torch.float64, requires_grad=True) for row in ([0.2, 0.3, 0.5], [0.2 + step, 0.3, 0.5 - step])
    )
    m = (p + q).detach() / 2
    expected = {
        cross_entropy: (-torch.log(q), -p / q),
        kl_divergence: (torch.log(p / q), 1 - p / q),
        js_divergence: (torch.log(p / m) / 2, torch.log(q / m) / 2),
    }
    for f, gradients in expected.items():
        for actual, formula in zip(torch.autograd.grad(f(p, q), (p, q)), gradients, strict=True):
            assert bool((torch.abs(actual - formula) <= 1e-13).all())
    (actual,) = torch.autograd.grad(entropy(p), p)
    assert bool((torch.abs(actual + torch.log(p) + 1) <= 1e-14).all())


def test_jax_answers_and_differentiates() -> None:
    jax = pytest.importorskip("jax")
    p, q = jax.numpy.asarray([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]), jax.numpy.asarray([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    for f in (cross_entropy, kl_divergence, js_divergence):
        assert isinstance(f(p, q), jax.Array)
        assert np.allclose(f(p, q), f(np.asarray(p, np.float64), np.asarray(q, np.float64)), rtol=1e-5, atol=0.0)
        for gradient in jax.grad(lambda a, b, f=f: f(a, b).sum(), (0, 1))(p, q):
            assert np.all(np.isfinite(gradient))
    for f in (conditional_entropy, mutual_information):
        assert np.allclose(f(p / 2), f(np.asarray(p, np.float64) / 2), rtol=1e-5, atol=0.0)
    assert message(DTypeError, entropy, p.astype(int)).startswith("p must be float16, bfloat16, float32 or float64; it is int32")
