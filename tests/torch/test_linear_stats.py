"""What a linear loss says of each row is what the loss of stored logits says, and is differentiable like it."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.linear import EVERY_WAY, EXACT, KERNEL_WAYS, C, N, head, hidden, labels, leaves, mixture, pair, target_of
from tests.torch.ways import INF, NAN, assert_same
from xent.torch._algebra import TorchAlgebra

W, B = head()
H = hidden(N)
WEIGHT = torch.linspace(0.5, 2.0, C, dtype=torch.float64)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"weight": WEIGHT},
    {"label_smoothing": 0.1, "z_loss": 1e-2, "focal": 1.5, "softcap": 4.0, "scale": -0.7},
)
FIELDS = ("lse", "log_prob", "entropy", "rank")
every_way = pytest.mark.parametrize("way", EVERY_WAY.values(), ids=EVERY_WAY)
every_kind = pytest.mark.parametrize("kind", ["labels", "probabilities", "pair"])


def whole(target: Any) -> Tensor:
    """A pair as the probabilities it stands for."""
    if isinstance(target, tuple):
        return torch.zeros(*target[0].shape[:-1], C, dtype=torch.float64).scatter_add(-1, *target)
    return target


@every_kind
@every_way
def test_each_number_is_that_of_stored_logits(way: dict[str, Any], kind: str) -> None:
    target = target_of(kind, N)
    for options in OPTIONS:
        if kind == "probabilities" and "focal" in options:
            options = options | {"weight": None}
        logits = linear(H, W, B)
        expected, right = xt.cross_entropy(logits, whole(target), return_stats=True, backend="torch", **options)
        loss, stats = xt.linear_cross_entropy(H, W, target, linear_bias=B, return_stats=True, **options, **way)
        assert isinstance(stats, xt.LinearRowStats)
        assert_close(loss, expected, **EXACT)
        for name in FIELDS:
            assert_close(getattr(stats, name), getattr(right, name), **EXACT)
        assert stats.dropped.tolist() == [0.0] * N
        assert not stats.dropped.requires_grad


@every_way
def test_shapes_follow_the_rows_and_targets_the_shift(way: dict[str, Any]) -> None:
    h, target = hidden(3, 4), labels(3, 4)
    _, stats = xt.linear_cross_entropy(h, W, target, shift=1, return_stats=True, **way)
    _, flat = xt.linear_cross_entropy(h[:, :-1], W, target[:, 1:], return_stats=True, **way)
    for part, right, nothing in zip(stats, flat, (0, 0, 0, -1, 0), strict=True):
        assert part.shape == (3, 4)
        assert_close(part[:, :-1], right)
        assert (part[:, -1] == nothing).all()
    _, one = xt.linear_cross_entropy(H[0], W, torch.tensor(3), return_stats=True, **way)
    assert [part.shape for part in one] == [()] * 5


@every_way
def test_nothing_is_said_where_no_row_counts(way: dict[str, Any]) -> None:
    for h, target, options in (
        (H[:0], labels(0), {}),
        (H, torch.full((N,), -100), {"label_smoothing": 0.1}),
        (H, labels(N), {"sample_weight": torch.zeros(N)}),
        (H, mixture(N), {"sample_weight": torch.zeros(N)}),
    ):
        at = leaves(h, W)
        loss, stats = xt.linear_cross_entropy(*at, target, empty="zero", return_stats=True, **options, **way)
        assert loss == 0.0
        assert [part.shape for part in stats] == [(len(h),)] * 5
        assert (stats.rank == -1).all()
        assert not any(part.any() for part in (stats.lse, stats.log_prob, stats.entropy, stats.dropped))
        for gradient in torch.autograd.grad(loss + (stats.lse + stats.log_prob + stats.entropy).sum(), at):
            assert not gradient.any()


@every_way
def test_ranks_of_ties_nan_and_rows_without_label(way: dict[str, Any]) -> None:
    h = torch.tensor([[1.0], [0.0], [-1.0], [NAN], [1.0], [1.0]]).double()
    w = torch.linspace(-1.0, 1.0, C, dtype=torch.float64)[:, None]
    target = torch.tensor([C - 1, 7, C - 1, 0, -100, C - 3])
    _, stats = xt.linear_cross_entropy(h, w, target, return_stats=True, **way)
    assert stats.rank.tolist() == [0, 0, C - 1, C, -1, 2]
    assert stats.rank.dtype == torch.int64
    assert_close(stats.top_k(1), torch.tensor(2 / 5))
    assert_close(stats.top_k(3), torch.tensor(3 / 5))
    for target in (mixture(6), pair(6)):
        _, stats = xt.linear_cross_entropy(h, w, target, return_stats=True, **way)
        assert stats.rank.tolist() == [-1] * 6


@every_way
def test_a_masked_class_has_no_part(way: dict[str, Any]) -> None:
    masked = torch.arange(C) % 2 == 1
    target = labels(N) // 2 * 2
    _, found = xt.linear_cross_entropy(H, W, target, linear_bias=B.masked_fill(masked, -INF), return_stats=True, **way)
    kept = torch.where(target < 0, target, target // 2)
    _, right = xt.linear_cross_entropy(H, W[~masked], kept, linear_bias=B[~masked], return_stats=True, **way)
    for part, expected in zip(found, right, strict=True):
        assert_close(part, expected, **EXACT)


def score(loss: Tensor, stats: Any, advantage: Tensor) -> Tensor:
    """As a policy gradient has it: likelihoods weighed by advantages, entropies rewarded, normalisers held."""
    ratio = torch.exp(stats.log_prob - stats.log_prob.detach().cos())
    return 0.5 * loss.sum() - (ratio * advantage).mean() - 0.01 * stats.entropy.mean() + 0.1 * stats.lse.square().sum()


@every_kind
@every_way
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_what_is_made_of_statistics_has_the_gradient_of_stored_logits(way: dict[str, Any], kind: str, reduction: str) -> None:
    target, advantage = target_of(kind, N), torch.linspace(-1.0, 1.0, N).double()
    for options in OPTIONS:
        if kind == "probabilities" and "focal" in options:
            options = options | {"weight": None}
        at, same = leaves(H, W, B), leaves(H, W, B)
        more: dict[str, Any] = {"reduction": reduction, "return_stats": True, **options}
        found = score(*xt.linear_cross_entropy(at[0], at[1], target, linear_bias=at[2], **more, **way), advantage)
        logits = linear(same[0], same[1], same[2])
        right = score(*xt.cross_entropy(logits, whole(target), **more, backend="torch"), advantage)
        assert_close(found, right, **EXACT)
        assert_close(torch.autograd.grad(found, at), torch.autograd.grad(right, same), **EXACT)


@every_way
def test_each_number_may_be_asked_for_alone(way: dict[str, Any]) -> None:
    for name in ("lse", "log_prob", "entropy"):
        at, same = leaves(H, W), leaves(H, W)
        _, stats = xt.linear_cross_entropy(*at, labels(N), return_stats=True, **way)
        _, right = xt.cross_entropy(linear(*same), labels(N), return_stats=True, backend="torch")
        found = torch.autograd.grad(getattr(stats, name).cos().sum(), at)
        assert_close(found, torch.autograd.grad(getattr(right, name).cos().sum(), same), **EXACT)
        assert not stats.rank.requires_grad


def test_statistics_have_second_derivatives_and_transforms() -> None:
    h, w, t = H[:3, :2], W[:4, :2], torch.tensor([1, -100, 3])

    def ours(h: Tensor, w: Tensor) -> Tensor:
        return score(*xt.linear_cross_entropy(h, w, t, return_stats=True), torch.ones(3).double())

    def theirs(h: Tensor, w: Tensor) -> Tensor:
        return score(*xt.cross_entropy(linear(h, w), t, return_stats=True, backend="torch"), torch.ones(3).double())

    at, same = leaves(h, w), leaves(h, w)
    first, right = (torch.autograd.grad(f(*p), p, create_graph=True) for f, p in ((ours, at), (theirs, same)))
    assert_close(first, right)
    found = torch.autograd.grad(sum(g.sin().sum() for g in first), at)
    assert_close(found, torch.autograd.grad(sum(g.sin().sum() for g in right), same))
    assert_close(torch.func.grad(ours, (0, 1))(h, w), torch.func.grad(theirs, (0, 1))(h, w))
    assert_close(torch.func.jacrev(ours, (0, 1))(h, w), torch.func.jacrev(theirs, (0, 1))(h, w))


@pytest.mark.parametrize("way", KERNEL_WAYS.values(), ids=KERNEL_WAYS)
def test_the_loss_beside_statistics_is_the_loss_alone(way: dict[str, Any]) -> None:
    for options in OPTIONS:
        for reduction in ("mean", "none"):
            more: dict[str, Any] = {"reduction": reduction, **options, **way}
            loss, _ = xt.linear_cross_entropy(H, W, labels(N), return_stats=True, **more)
            assert_same(loss, xt.linear_cross_entropy(H, W, labels(N), **more))


@pytest.mark.parametrize(("asked", "products"), [((0, 1), 4), ((0,), 3), ((1,), 3), ((), 1)])
def test_statistics_cost_no_product_for_what_is_frozen(
    asked: tuple[int, ...], products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    original = TorchAlgebra.multiply

    def counting(algebra: TorchAlgebra, a: Any, b: Any, out: Any, *, add: bool) -> None:
        made.append(1)
        original(algebra, a, b, out, add=add)

    monkeypatch.setattr(TorchAlgebra, "multiply", counting)
    at = [t.clone().requires_grad_(place in asked) for place, t in enumerate((H, W))]
    loss, stats = xt.linear_cross_entropy(*at, labels(N), return_stats=True)
    if asked:
        (loss + stats.entropy.sum()).backward()
    assert len(made) == products


def test_dtypes_and_top_k_of_half_precision() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        loss, stats = xt.linear_cross_entropy(H.to(dtype), W.to(dtype), labels(N), return_stats=True)
        assert {part.dtype for part in (loss, stats.lse, stats.log_prob, stats.entropy, stats.dropped)} == {torch.float32}
        _, right = xt.linear_cross_entropy(H.to(dtype).double(), W.to(dtype).double(), labels(N), return_stats=True)
        for name in ("lse", "log_prob", "entropy"):
            assert_close(getattr(stats, name).double(), getattr(right, name), rtol=2e-6, atol=2e-6)
