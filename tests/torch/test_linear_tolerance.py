"""``tolerance`` leaves out of the gradients what it says, within the bound that it promises, and nothing of the loss."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.linear import everything, labels, mixture, pair
from tests.torch.twins import numbers
from tests.torch.ways import FORMULA, KERNELS, assert_same
from xent.schedules.linear import filtering
from xent.torch._algebra import TorchAlgebra

N, C, D = 48, 2000, 8
H, W, B = 4.0 * numbers(N, D, seed=1), numbers(C, D, seed=2), numbers(C, seed=3)
"""Rows whose probability lies with few classes."""
T = labels(N, classes=C)
TOLERANCES = (1e-4, 0.01, 0.2)
WEIGHT = torch.linspace(0.0, 2.0, C, dtype=torch.float64)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights": {"weight": WEIGHT, "sample_weight": torch.arange(N).double() % 3},
    "z_loss": {"z_loss": 0.05},
    "focal": {"focal": 2.0},
    "softcap and scale": {"softcap": 25.0, "scale": 1.2},
    "below zero": {"scale": -1.0},
    "together": {"z_loss": 0.01, "focal": 0.5, "softcap": 25.0, "sample_weight": torch.arange(N).double() % 3},
}
every_kernel = pytest.mark.parametrize("backend", KERNELS)
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def slack(x: Tensor) -> float:
    """What rounding of the products takes."""
    return 2e-4 if x.dtype in (torch.float32, torch.bfloat16) else 1e-11


def logit_gradients(h: Tensor, w: Tensor, b: Tensor | None, **options: Any) -> Tensor:
    """[N, C] in float64, of each row's loss."""
    x = linear(h.double(), w.double(), None if b is None else b.double()).detach().requires_grad_()
    options = options | {"sample_weight": None}
    known = {name: value for name, value in options.items() if name != "sample_weight"}
    loss = xt.cross_entropy(x, T, reduction="none", backend=FORMULA, **known)
    return torch.autograd.grad(loss.sum(), x)[0]


def coefficients(h: Tensor, w: Tensor, b: Tensor | None, **options: Any) -> Tensor:
    """[N]: what the probabilities of a row are multiplied by, read off its entries away from the target."""
    x = linear(h.double(), w.double(), None if b is None else b.double())
    gradient = logit_gradients(h, w, b, **options)
    scale, cap = options.get("scale", 1.0), options.get("softcap")
    z = scale * x if cap is None else cap * torch.tanh(scale * x / cap)
    away = torch.ones_like(x).scatter(1, T.clamp(min=0).unsqueeze(1), 0.0)
    slope = scale if cap is None else scale * (1.0 - (z / cap) ** 2)
    p = z.softmax(1)
    return (gradient / slope * away).abs().sum(1) / (p * away).sum(1)


@every_kernel
@every_option
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_gradients_stay_within_the_bound_and_losses_do_not_move(
    backend: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    h, w, b = H.to(dtype), W.to(dtype), B.to(dtype)
    v = options.get("sample_weight")
    c = coefficients(h, w, b, **options) * (torch.ones(N) if v is None else v)
    # dz/dx is at most the scale.
    c = c * abs(options.get("scale", 1.0))
    longest, lengths = w.double().norm(dim=1).max(), h.double().norm(dim=1)
    more: dict[str, Any] = {**options, "backend": backend, "reduction": "sum"}
    exact = everything(xt.linear_cross_entropy, (h, w, b), T, **more)
    wide = everything(xt.linear_cross_entropy, (h.double(), w.double(), b.double()), T, **more)
    round_off = 2.0 * torch.finfo(dtype).eps if dtype == torch.bfloat16 else 0.0
    for tolerance in TOLERANCES:
        found = everything(xt.linear_cross_entropy, (h, w, b), T, tolerance=tolerance, **more)
        assert_same(found[0], exact[0])
        by_row = (found[1].double() - wide[1]).norm(dim=1)
        allowed = tolerance * longest * c + slack(h) + round_off * wide[1].norm(dim=1)
        assert (by_row <= allowed).all(), tolerance
        assert (found[2].double() - wide[2]).norm() <= tolerance * (c * lengths).sum() + slack(h) + round_off * wide[2].norm()
        assert (found[3].double() - wide[3]).norm() <= tolerance * c.sum() + slack(h) + round_off * wide[3].norm()
    assert (found[1].double() - exact[1].double()).norm() > 0.0, "something was left out"


@every_kernel
def test_what_is_dropped_is_told_and_is_what_the_kept_do_not_hold(backend: str) -> None:
    for dtype in (torch.float64, torch.float32):
        h, w, b = H.to(dtype), W.to(dtype), B.to(dtype)
        p = linear(h, w, b).double().softmax(1)
        for tolerance in TOLERANCES:
            at = b.clone().requires_grad_()
            loss, stats = xt.linear_cross_entropy(
                h, w, T, linear_bias=at, tolerance=tolerance, reduction="none", return_stats=True, backend=backend
            )
            assert (stats.dropped <= tolerance).all()
            assert (stats.dropped >= 0.0).all()
            assert not stats.dropped[T < 0].any()
            assert stats.dropped[T >= 0].max() > 0.3 * tolerance
            for row in (0, 1, 8):
                (by_bias,) = torch.autograd.grad(loss[row], at, retain_graph=True)
                # Statistics differentiate together with the loss, whose own walk drops the same.
                kept = by_bias != 0.0
                assert kept[T[row]], "the target's own entry stays"
                away = torch.arange(C) != T[row]
                left_out = p[row][away & ~kept].sum()
                assert_close(left_out, stats.dropped[row].double(), rtol=1e-4, atol=1e-7)
                assert p[row][away & ~kept].max() <= p[row][away & kept].min() * 1.0001, "the smallest go first"


@every_kernel
def test_entries_of_the_target_stay_however_unlikely_it_is(backend: str) -> None:
    least = linear(H, W, B).argmin(1)
    for tolerance in (0.2, 0.9, 1.0):
        at = B.clone().requires_grad_()
        options: dict[str, Any] = {"linear_bias": at, "reduction": "none", "backend": backend}
        loss = xt.linear_cross_entropy(H, W, least, tolerance=tolerance, **options)
        exact = xt.linear_cross_entropy(H, W, least, **options)
        for row in (0, 5, N - 1):
            (found,) = torch.autograd.grad(loss[row], at, retain_graph=True)
            (right,) = torch.autograd.grad(exact[row], at, retain_graph=True)
            assert_close(found[least[row]], right[least[row]])
            assert (found != 0.0).sum() < C // 2


@every_kernel
def test_flat_rows_leave_out_nothing(backend: str) -> None:
    """Nearly all classes would have to stay: the products of all of them are faster, and exact."""
    for tolerance in (0.01, 0.2):
        exact = everything(xt.linear_cross_entropy, (0.01 * H, W, B), T, backend=backend)
        found = everything(xt.linear_cross_entropy, (0.01 * H, W, B), T, tolerance=tolerance, backend=backend)
        for ours, right in zip(found, exact, strict=True):
            assert_close(ours, right, rtol=1e-13, atol=1e-16)
        _, stats = xt.linear_cross_entropy(0.01 * H, W, T, linear_bias=B, tolerance=tolerance, return_stats=True, backend=backend)
        assert not stats.dropped.any()


SMOOTH: dict[str, tuple[Any, dict[str, Any]]] = {
    "smoothing": (T, {"label_smoothing": 0.1}),
    "probabilities": (mixture(N, classes=C), {}),
    "pair": (pair(N, classes=C), {}),
}


@every_kernel
@pytest.mark.parametrize("name", SMOOTH)
def test_smoothing_and_soft_targets_leave_out_nothing(name: str, backend: str) -> None:
    target, options = SMOOTH[name]
    exact = everything(xt.linear_cross_entropy, (H, W, B), target, backend=backend, **options)
    found = everything(xt.linear_cross_entropy, (H, W, B), target, tolerance=0.2, backend=backend, **options)
    for ours, right in zip(found, exact, strict=True):
        assert_close(ours, right, rtol=1e-13, atol=1e-16)
    _, stats = xt.linear_cross_entropy(H, W, target, tolerance=0.2, return_stats=True, backend=backend, **options)
    assert not stats.dropped.any()


@every_kernel
def test_the_formula_and_the_order_by_classes_leave_out_nothing(backend: str) -> None:
    exact = everything(xt.linear_cross_entropy, (H, W, B), T, backend=backend)
    for way in ({"backend": FORMULA}, {"backend": backend, "memory_limit": 28_000}):
        found = everything(xt.linear_cross_entropy, (H, W, B), T, tolerance=0.2, **way)
        for ours, right in zip(found, exact, strict=True):
            assert_close(ours, right)
    at = [t.clone().requires_grad_() for t in (H, W)]
    first = torch.autograd.grad(xt.linear_cross_entropy(*at, T, tolerance=0.2), at, create_graph=True)
    right = torch.autograd.grad(xt.linear_cross_entropy(*at, T), at)
    assert_close(first, right)


@every_kernel
@pytest.mark.parametrize("asked", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_each_gradient_is_the_same_whichever_others_are_asked_for(asked: tuple[int, ...], reduction: str, backend: str) -> None:
    def gradients(places: tuple[int, ...]) -> dict[int, Tensor]:
        at = [t.clone().requires_grad_(place in places) for place, t in enumerate((H, W, B))]
        loss = xt.linear_cross_entropy(at[0], at[1], T, linear_bias=at[2], tolerance=0.05, reduction=reduction, backend=backend)
        return dict(zip(places, torch.autograd.grad(loss.sum(), [at[place] for place in places]), strict=True))

    every = gradients((0, 1, 2))
    for place, found in gradients(asked).items():
        assert_same(found, every[place])


def test_only_the_logits_are_multiplied_where_few_entries_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = TorchAlgebra.multiply

    def counting(algebra: TorchAlgebra, a: Any, b: Any, out: Any, *, add: bool) -> None:
        made.append(1)
        original(algebra, a, b, out, add=add)

    monkeypatch.setattr(TorchAlgebra, "multiply", counting)
    everything(xt.linear_cross_entropy, (H, W, B), T, tolerance=0.2)
    assert len(made) == 1
    monkeypatch.setattr(filtering, "DENSEST", 0.0)
    everything(xt.linear_cross_entropy, (H, W, B), T, tolerance=0.2)
    assert len(made) == 1 + 3, "as without a tolerance, where every entry would be one too many"


@every_kernel
def test_ignored_rows_and_rows_that_are_nan_do_not_disturb_the_others(backend: str) -> None:
    h = H.clone()
    h[T < 0] = torch.nan
    found = everything(xt.linear_cross_entropy, (h, W, B), T, tolerance=0.05, backend=backend)
    right = everything(xt.linear_cross_entropy, (H, W, B), T, tolerance=0.05, backend=backend)
    for ours, expected in zip(found, right, strict=True):
        assert_same(ours, expected)
    h[3] = torch.nan
    at = h.clone().requires_grad_()
    loss = xt.linear_cross_entropy(at, W, T, linear_bias=B, tolerance=0.05, reduction="none", backend=backend)
    (gradient,) = torch.autograd.grad(loss.sum(), at)
    assert gradient[3].isnan().all()
    assert loss[3].isnan()
    rest = torch.arange(N) != 3
    same = H.clone().requires_grad_()
    (expected,) = torch.autograd.grad(
        xt.linear_cross_entropy(same, W, T, linear_bias=B, tolerance=0.05, reduction="none", backend=backend).sum(), same
    )
    assert_same(gradient[rest], expected[rest])
