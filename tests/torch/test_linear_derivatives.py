"""Derivatives of a linear loss, of any order and by any mode, in float64: central differences, and those of stored logits."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.linear import EXACT, FIVE_ROWS, dense, head, hidden, labels, leaves, mixture, pair, target_of
from tests.torch.twins import numbers
from xent.torch._algebra import TorchAlgebra

# PyTorch's own rules of forward mode are compiled on first use.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

N, C, D = 3, 4, 2
H, (W, B) = hidden(N, width=D), head(C, D)
T = torch.tensor([1, -100, 3])
TOGETHER = {"label_smoothing": 0.1, "z_loss": 0.02, "focal": 1.5, "softcap": 4.0, "scale": -0.7}
WEIGHT, SAMPLE = torch.tensor([0.5, 2.0, 0.0, 1.25]).double(), torch.tensor([0.5, 1.0, 2.0]).double()
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights": {"weight": WEIGHT, "sample_weight": SAMPLE, "normalizer": 2.5},
    "everything": TOGETHER | {"weight": WEIGHT, "sample_weight": SAMPLE},
    "two rows at once": TOGETHER | {"options": torch.nn.LinearCrossEntropyOptions(batch_chunk_size=2)},
}
TWO_ROWS = OPTIONS["two rows at once"]["options"]

every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
every_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
both = pytest.mark.parametrize("backend", [None, "torch"])


def loss_of(target: Any, **options: Any) -> Any:
    """Of hidden states, classifier and bias."""
    return lambda h, w, b=None: xt.linear_cross_entropy(h, w, target, linear_bias=b, **options)


def dense_of(target: Any, **options: Any) -> Any:
    options = {name: value for name, value in options.items() if name not in ("options", "backend")}
    return lambda h, w, b=None: dense(h, w, target, linear_bias=b, **options)


@both
@pytest.mark.parametrize("reduction", ["mean", "none"])
@every_option
def test_gradients_are_central_differences(options: dict[str, Any], reduction: str, backend: str | None) -> None:
    options = options | ({} if reduction == "mean" else {"normalizer": None})
    assert gradcheck(loss_of(T, reduction=reduction, backend=backend, **options), leaves(H, W, B))


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        *((OPTIONS[name], kind) for name in ("plain", "weights", "everything") for kind in ("labels", "probabilities", "pair")),
        (OPTIONS["two rows at once"], "labels"),
    ],
)
def test_higher_derivatives_of_every_mode_are_central_differences(options: dict[str, Any], kind: str) -> None:
    target = T if kind == "labels" else target_of(kind, N, classes=C)
    if kind != "labels" and "weight" in options:
        options = options | {"focal": 0.0}
    loss = loss_of(target, reduction="none" if kind == "pair" else "mean", **options)
    assert gradcheck(loss, leaves(H, W, B), fast_mode=True, check_forward_ad=True, check_backward_ad=False)
    assert gradgradcheck(loss, leaves(H, W, B), fast_mode=True, check_fwd_over_rev=True)


def test_batches_of_upstreams_and_tangents() -> None:
    loss = loss_of(T, reduction="none", options=TWO_ROWS)
    assert gradcheck(loss, leaves(H, W, B), check_batched_grad=True, check_forward_ad=True, check_batched_forward_grad=True)
    assert gradgradcheck(loss, leaves(H, W, B), check_batched_grad=True)
    at = leaves(H, W, B)
    rows = loss(*at)
    found = torch.autograd.grad(rows, at, torch.eye(N).double(), is_grads_batched=True)
    same = leaves(H, W, B)
    values = dense_of(T, reduction="none")(*same)
    for place in range(N):
        expected = torch.autograd.grad(values, same, torch.eye(N).double()[place], retain_graph=True)
        assert_close([part[place] for part in found], list(expected))


@pytest.mark.parametrize("options", [{}, OPTIONS["two rows at once"]], ids=["plain", "two rows at once"])
def test_targets_and_weights_have_gradients_too(options: dict[str, Any]) -> None:
    """By the formula."""
    few = pair(N, classes=C)[0]

    def mixed(h: Tensor, y: Tensor, w: Tensor, v: Tensor) -> Tensor:
        # 0 for w would make a focal loss of a weighted mixture, which has no meaning.
        more = {name: value for name, value in options.items() if name not in ("weight", "sample_weight", "focal")}
        whole = xt.linear_cross_entropy(h, W, y.softmax(1), weight=w, sample_weight=v, **more)
        sparse = xt.linear_cross_entropy(h, W, (few, y.softmax(1)), sample_weight=v, **more)
        return whole + sparse

    def labelled(h: Tensor, w: Tensor, v: Tensor) -> Tensor:
        more = {name: value for name, value in options.items() if name not in ("weight", "sample_weight")}
        return xt.linear_cross_entropy(h, W, T, weight=w, sample_weight=v, **more)

    y, w, v = mixture(N, classes=C).add(0.1).log(), WEIGHT + 0.5, SAMPLE
    assert gradcheck(mixed, leaves(H, y, w, v), fast_mode=True)
    assert gradgradcheck(mixed, leaves(H, y, w, v), fast_mode=True)
    assert gradcheck(labelled, leaves(H, w, v), fast_mode=True, check_forward_ad=True)
    assert gradgradcheck(labelled, leaves(H, w, v), fast_mode=True)


@both
def test_a_normalizer_has_a_gradient(backend: str | None) -> None:
    assert gradcheck(
        lambda h, n: xt.linear_cross_entropy(h, W, T, normalizer=n, backend=backend), leaves(H, torch.tensor(2.5).double())
    )


@pytest.mark.parametrize(("options", "bias"), [*((o, True) for o in OPTIONS.values()), ({}, False)])
def test_transforms_are_those_of_stored_logits(options: dict[str, Any], bias: bool) -> None:
    at, places = ((H, W, B), (0, 1, 2)) if bias else ((H, W), (0, 1))
    tangents = tuple(t.cos() for t in at)
    for reduction in ("mean", "none"):
        more = {"reduction": reduction, **options}
        if reduction == "none":
            more["normalizer"] = None
        ours, theirs = loss_of(T, **more), dense_of(T, **more)
        for transform in (
            lambda f: vjp(f, *at)[1](torch.cos(f(*at))),
            lambda f: jvp(f, at, tangents),
            lambda f: jacrev(f, places)(*at),
            lambda f: jacfwd(f, places)(*at),
            lambda f: hessian(lambda *t: f(*t).cos().sum(), places)(*at),
            lambda f: jvp(grad(lambda *t: f(*t).sin().sum(), places), at, tangents),
            lambda f: vmap(f, (0, *(None for _ in at[1:])))(torch.stack([at[0], at[0].cos()]), *at[1:]),
            lambda f: vmap(grad(lambda *t: f(*t).sum(), 1), (0, 0, *(None for _ in at[2:])))(
                torch.stack([at[0], at[0].cos()]), torch.stack([at[1], at[1].sin()]), *at[2:]
            ),
        ):
            assert_close(transform(ours), transform(theirs), **EXACT)


def test_rows_under_vmap_are_rows() -> None:
    y = torch.tensor([1, 0, 3])
    one = lambda h, t: xt.linear_cross_entropy(h, W, t)  # noqa: E731
    assert_close(vmap(one)(H, y), xt.linear_cross_entropy(H, W, y, reduction="none"))
    slopes = vmap(grad(one))(H, y)
    assert_close(slopes, grad(lambda h: xt.linear_cross_entropy(h, W, y, reduction="sum"))(H))


def test_second_derivatives_by_create_graph_are_those_of_stored_logits() -> None:
    for reduction in ("mean", "none"):
        for options in ({}, TOGETHER, {"options": TWO_ROWS}):

            def products(f: Any) -> list[Tensor]:
                at = leaves(H, W, B)
                gradients = torch.autograd.grad(f(*at).cos().sum(), at, create_graph=True)
                along = sum((g * t.detach().sin()).sum() for g, t in zip(gradients, at, strict=True))
                second = torch.autograd.grad(along, at, create_graph=True)
                third = torch.autograd.grad(sum(g.square().sum() for g in second), at)
                return [*gradients, *second, *third]

            more: dict[str, Any] = {"reduction": reduction, **options}
            assert_close(products(loss_of(T, **more)), products(dense_of(T, **more)), **EXACT)


def test_dual_numbers_without_a_transform() -> None:
    with forward_ad.dual_level():
        h, w = forward_ad.make_dual(H, H.cos()), forward_ad.make_dual(W, W.sin())
        found, right = (forward_ad.unpack_dual(f(h, w, B)) for f in (loss_of(T, **TOGETHER), dense_of(T, **TOGETHER)))
    assert_close(found.primal, right.primal)
    assert_close(found.tangent, right.tangent)


@every_reduction
def test_a_graph_serves_as_often_as_it_is_kept(reduction: str) -> None:
    at, expected = leaves(H, W, B), leaves(H, W, B)
    loss = loss_of(T, reduction=reduction)(*at)
    upstream = torch.tensor([0.5, 3.0, -2.0]).double() if reduction == "none" else torch.tensor(0.3).double()
    passes = [torch.autograd.grad(loss, at, upstream, retain_graph=True) for _ in range(3)]
    right = torch.autograd.grad(dense_of(T, reduction=reduction)(*expected), expected, upstream)
    for found in passes:
        assert_close(found, passes[0], rtol=0.0, atol=0.0)
        assert_close(found, right)
    torch.autograd.grad(loss, at, upstream)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, at, upstream)


class Products:
    """How many matrix products are made, of those that the bias does not make."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.made = 0
        original = TorchAlgebra.multiply

        def counting(algebra: TorchAlgebra, a: Any, b: Any, out: Any, *, add: bool) -> None:
            self.made += 1
            original(algebra, a, b, out, add=add)

        patch.setattr(TorchAlgebra, "multiply", counting)


@every_reduction
@pytest.mark.parametrize(("asked", "products"), [((0, 1), 3), ((0,), 2), ((1,), 2), ((), 1)])
def test_no_product_is_made_for_what_is_frozen(
    asked: tuple[int, ...], products: int, reduction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [t.clone().requires_grad_(place in asked) for place, t in enumerate((H, W))]
    counter = Products(monkeypatch)
    loss = xt.linear_cross_entropy(*at, T, reduction=reduction)
    again = int(bool(asked)) if reduction == "none" else 0
    assert counter.made == (1 if reduction == "none" else products)
    assert loss.requires_grad is bool(asked)
    if asked:
        loss.sum().backward()
    assert counter.made == products + again
    for place, t in enumerate(at):
        assert (t.grad is not None) is (place in asked)


def test_what_is_no_tensor_of_the_graph_costs_no_product(monkeypatch: pytest.MonkeyPatch) -> None:
    at = leaves(H, W, B)
    counter = Products(monkeypatch)
    with torch.no_grad():
        xt.linear_cross_entropy(at[0], at[1], T, linear_bias=at[2])
    assert counter.made == 1
    with torch.inference_mode():
        xt.linear_cross_entropy(at[0], at[1], T, linear_bias=at[2])
    assert counter.made == 2
    xt.linear_cross_entropy(H, W, T, linear_bias=at[2]).backward()
    assert counter.made == 3, "the logits; the sum of their gradient over rows is no product"
    assert at[0].grad is None
    assert at[1].grad is None


def test_an_embedding_may_be_the_head_as_well() -> None:
    def slope(loss: Any) -> Tensor:
        both = numbers(C, D, seed=8).requires_grad_()
        h = torch.tanh(torch.nn.functional.embedding(torch.tensor([[0, 3, 1], [2, 2, 0]]), both))
        loss(h, both, torch.tensor([[0, 3, 1], [2, 2, 0]]), shift=1).backward()
        assert both.grad is not None
        return both.grad

    assert_close(slope(xt.linear_cross_entropy), slope(dense))
    assert_close(slope(partial(xt.linear_cross_entropy, backend="torch")), slope(dense))


def test_parameters_of_a_module_are_given_from_outside() -> None:
    module = xt.LinearCrossEntropyLoss(D, C, bias=True, dtype=torch.float64)
    parameters = {"linear.weight": W, "linear.bias": B}
    found = grad(lambda p: functional_call(module, p, (H, T)))(parameters)
    expected = grad(lambda p: dense(H, p["linear.weight"], T, linear_bias=p["linear.bias"]))(parameters)
    assert_close(found, expected)


def test_gradients_are_added_to_those_that_are_there() -> None:
    at = leaves(H, W, B)
    for _ in range(3):
        loss_of(T)(*at).backward()
    single = torch.autograd.grad(loss_of(T)(*at), at)
    for t, one in zip(at, single, strict=True):
        assert_close(t.grad, 3.0 * one)


def test_chunks_of_rows_do_not_show_in_higher_derivatives() -> None:
    h, (w, b), t = hidden(12, width=D), head(C, D), labels(12, classes=C)
    whole = hessian(loss_of(t), (0, 1, 2))(h, w, b)
    assert_close(hessian(loss_of(t, options=FIVE_ROWS), (0, 1, 2))(h, w, b), whole, **EXACT)
