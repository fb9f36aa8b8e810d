"""Half precision: read as it is, computed in float32, summed without losing digits, rounded once."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import LinearCrossEntropyOptions, functional
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.linear import dense, everything, labels, mixture
from tests.torch.twins import numbers
from tests.torch.ways import KERNELS

N, C, D = 96, 400, 32
CHUNKS = LinearCrossEntropyOptions(batch_chunk_size=3)
WAYS: dict[str, dict[str, Any]] = {
    **{f"{name} by rows": {"backend": name} for name in KERNELS},
    **{f"{name} by classes": {"backend": name, "memory_limit": 60_000} for name in KERNELS},
    **{f"{name}, three rows": {"backend": name, "options": CHUNKS} for name in KERNELS},
    "formula": {"backend": "torch"},
    "formula, three rows": {"backend": "torch", "options": CHUNKS},
}
HALF = (torch.bfloat16, torch.float16)
PAIRS = ((torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16), (torch.float16, torch.float64))
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"reduction": "none"},
    {"reduction": "sum"},
    {"label_smoothing": 0.1, "z_loss": 1e-3, "softcap": 20.0, "scale": 1.3},
    {"focal": 2.0},
)

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
every_half = pytest.mark.parametrize("dtype", HALF, ids=str)


def given(dtype: torch.dtype, other: torch.dtype | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of a spread of a few nats."""
    w, b = 0.5 * numbers(C, D, seed=2), numbers(C, seed=3)
    return numbers(N, D, seed=1).to(dtype), w.to(other or dtype), b.to(other or dtype)


def truth_of(tensors: tuple[Tensor, ...], target: Any, **options: Any) -> tuple[Tensor, ...]:
    """In float64, of the same numbers."""
    return everything(dense, [t.double() for t in tensors], target, **options)


def roundings(found: Tensor, right: Tensor, slack: float = 2e-5) -> float:
    """How many half units in the last place the worst entry lacks, less what float32 takes from sums of this size."""
    unit = torch.finfo(found.dtype)
    half_ulp = 0.5 * torch.maximum(right.abs() * unit.eps, torch.tensor(unit.smallest_normal * unit.eps))
    return float(((found.double() - right).abs() - slack * right.abs().max()).div(half_ulp).max())


@every_way
@every_half
def test_losses_are_those_of_float32_and_gradients_are_rounded_once(dtype: torch.dtype, way: dict[str, Any]) -> None:
    for target in (labels(N, classes=C), mixture(N, classes=C)):
        for options in OPTIONS:
            right = truth_of(given(dtype), target, **options)
            found = everything(xt.linear_cross_entropy, given(dtype), target, **options, **way)
            assert found[0].dtype == torch.float32
            assert_close(found[0].double(), right[0], rtol=1e-5, atol=1e-6)
            for ours, truly in zip(found[1:], right[1:], strict=True):
                assert ours.dtype == dtype
                assert roundings(ours, truly) <= 1.01, f"{options}"


@every_half
def test_pytorchs_own_chunks_lose_what_ours_keep(dtype: torch.dtype) -> None:
    target, tensors = labels(N, classes=C), given(dtype)
    right = truth_of(tensors, target)
    ours = everything(xt.linear_cross_entropy, tensors, target, options=CHUNKS)
    theirs = everything(functional.linear_cross_entropy, tensors, target, options=CHUNKS)
    for name, place in (("classifier", 2), ("bias", 3)):
        ours_miss, theirs_miss = ((found[place].double() - right[place]).norm() for found in (ours, theirs))
        assert ours_miss < 0.7 * theirs_miss, name
    assert (ours[0].double() - right[0]).abs() < 1e-2 * (theirs[0].double() - right[0]).abs()


@every_way
@every_half
@pytest.mark.parametrize("factor", [1.0, 0.25, 3.7, 65536.0])
def test_upstream_is_rounded_with_the_gradient_and_not_after_it(factor: float, dtype: torch.dtype, way: dict[str, Any]) -> None:
    """65536 is where scaling begins that keeps gradients in float16."""
    target = labels(N, classes=C)
    tensors = given(dtype)
    at = [t.clone().requires_grad_() for t in tensors]
    (xt.linear_cross_entropy(at[0], at[1], target, linear_bias=at[2], **way) * factor).backward()
    right = [factor * g for g in truth_of(tensors, target)[1:]]
    for leaf, truly in zip(at, right, strict=True):
        assert leaf.grad is not None
        if dtype == torch.float16 and truly.abs().max() > 65504.0:
            continue
        assert roundings(leaf.grad, truly) <= 1.01


@every_way
def test_scaled_gradients_keep_what_float16_would_lose(way: dict[str, Any]) -> None:
    """A scale that the loss is multiplied by is not lost to gradients that would first have been 0."""
    tensors = given(torch.float16)
    target = torch.zeros(N, dtype=torch.long)
    at = [t.clone().requires_grad_() for t in tensors[:2]]
    loss = xt.linear_cross_entropy(*at, target, normalizer=1e7, **way)
    (loss * 65536.0).backward()
    right = everything(dense, [t.double() for t in tensors[:2]], target, normalizer=1e7)
    for leaf, truly in zip(at, right[1:], strict=True):
        assert leaf.grad is not None
        assert roundings(leaf.grad, 65536.0 * truly) <= 1.01
        assert float((truly.half() == 0).double().mean()) > 0.05, "what would have been lost"


@every_way
@pytest.mark.parametrize("dtypes", PAIRS, ids=str)
def test_hidden_states_and_weights_of_two_dtypes(dtypes: tuple[torch.dtype, torch.dtype], way: dict[str, Any]) -> None:
    target, tensors = labels(N, classes=C), given(*dtypes)
    if torch.float64 in dtypes and "memory_limit" in way:
        way = way | {"memory_limit": 120_000}
    found = everything(xt.linear_cross_entropy, tensors, target, **way)
    right = truth_of(tensors, target)
    assert found[0].dtype == (torch.float64 if torch.float64 in dtypes else torch.float32)
    assert [part.dtype for part in found[1:]] == [dtypes[0], dtypes[1], dtypes[1]]
    for ours, truly in zip(found, right, strict=True):
        assert_close(ours.double(), truly, rtol=1e-5 if ours.itemsize > 2 else torch.finfo(ours.dtype).eps, atol=3e-7)


def test_a_bias_may_be_of_a_third_dtype() -> None:
    h, w, b = given(torch.float32, torch.bfloat16)
    for dtype in (torch.float16, torch.float64):
        for way in WAYS.values():
            tensors = (h, w, b.to(dtype))
            found = everything(xt.linear_cross_entropy, tensors, labels(N, classes=C), **way)
            assert found[0].dtype == torch.float32
            assert found[3].dtype == dtype
            assert_close(found[3].double(), truth_of(tensors, labels(N, classes=C))[3], rtol=2e-3, atol=1e-6)


@every_way
def test_a_target_that_leads_by_far_keeps_its_tiny_loss(way: dict[str, Any]) -> None:
    """Down to where PyTorch's own loss is exactly 0."""
    w = torch.eye(40, dtype=torch.bfloat16)
    for lead in (10.0, 30.0, 60.0, 80.0):
        h = torch.zeros(3, 40, dtype=torch.bfloat16)
        h[:, 7] = lead
        right = everything(dense, [h.double(), w.double()], torch.full((3,), 7))
        way = {name: value for name, value in way.items() if name != "memory_limit"}
        loss, by_hidden, _ = everything(xt.linear_cross_entropy, (h, w), torch.full((3,), 7), **way)
        assert_close(loss.double(), right[0], rtol=4e-6 if way.get("backend") == "torch" else 5e-7, atol=0.0)
        assert_close(by_hidden[:, 7].double(), right[1][:, 7], rtol=2.0**-7, atol=0.0)
        if lead > 20.0:
            assert functional.linear_cross_entropy(h, w, torch.full((3,), 7)) == 0.0


def test_under_autocast_nothing_is_lost_that_was_there() -> None:
    """Logits of bfloat16 states and float32 weights are multiplied in float32; the dense way rounds weights and logits."""
    target, (h, w, b) = labels(N, classes=C), given(torch.bfloat16, torch.float32)
    right = truth_of((h, w, b), target)
    layer = torch.nn.Linear(D, D, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = everything(xt.linear_cross_entropy, (h, w, b), target)
        plain = everything(functional.linear_cross_entropy, (h, w, b), target)
        assert layer(h).dtype == torch.bfloat16
    assert [part.dtype for part in found] == [torch.float32, torch.bfloat16, torch.float32, torch.float32]
    for ours, theirs, truly in zip(found, plain, right, strict=True):
        assert (ours.double() - truly).norm() < 0.7 * (theirs.double() - truly).norm()
    for way in WAYS.values():
        with torch.autocast("cpu", torch.bfloat16):
            inside = everything(xt.linear_cross_entropy, (h, w, b), target, **way)
        outside = everything(xt.linear_cross_entropy, (h, w, b), target, **way)
        assert_close(inside, outside, rtol=0.0, atol=0.0)
