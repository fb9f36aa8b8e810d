"""A map computed a chunk of rows at a time is the map, in every derivative; what it holds: test_by_rows_memory.py."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from xent.torch._by_rows import RowMap, by_rows

# PyTorch's own rules of forward mode are compiled on first use.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

N, C, D, CHUNK = 7, 5, 3, 3


def numbers(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def labels(n: int, c: int = C) -> Tensor:
    return torch.arange(n) * 3 % c


X, W, B, T = numbers(N, D, seed=1), numbers(C, D, seed=2), numbers(C, seed=3), labels(N)


def linear_cross_entropy(hidden: Tensor, target: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of each row, Σ z² over all, the best class of each row."""
    z = hidden @ weight.T
    z = z if bias is None else z + bias
    loss = z.exp().sum(1).log() - z.gather(1, target.unsqueeze(1)).squeeze(1)
    return loss, (z * z).sum(), z.argmax(1)


def mapped(chunk: int = CHUNK) -> RowMap:
    return RowMap(linear_cross_entropy, (True, True, False, False), (True, False, True), chunk)


def ours(hidden: Tensor, weight: Tensor, bias: Tensor | None, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    rows, total, _ = by_rows(mapped(chunk), hidden, labels(hidden.shape[0], weight.shape[0]), weight, bias)
    return rows, total


def plain(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    rows, total, _ = linear_cross_entropy(hidden, labels(hidden.shape[0], weight.shape[0]), weight, bias)
    return rows, total


def one(f: Callable[..., Any]) -> Callable[..., Tensor]:
    """One number, in which both outputs are curved."""

    def number(*tensors: Tensor | None) -> Tensor:
        rows, total = f(*tensors)
        return rows.cos().sum() + total.sin()

    return number


def leaves(*tensors: Tensor) -> list[Tensor]:
    return [t.detach().clone().requires_grad_() for t in tensors]


def several(t: Tensor, dim: int = 0) -> Tensor:
    return torch.stack([t, t.cos(), t.sin(), -t], dim)


ALL = (0, 1, 2)
TANGENTS = (X.cos(), W.cos(), B.cos())

TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "value": lambda f: f(X, W, B),
    "grad": lambda f: grad(one(f), ALL)(X, W, B),
    "grad of one": lambda f: grad(one(f), 1)(X, W, B),
    "vjp": lambda f: vjp(f, X, W, B)[1]((X[:, 0], X[0, 0])),
    "jvp": lambda f: jvp(f, (X, W, B), TANGENTS),
    "jvp by one": lambda f: jvp(lambda w: f(X, w, B), (W,), (W.cos(),)),
    "jacrev": lambda f: jacrev(f, ALL)(X, W, B),
    "jacfwd": lambda f: jacfwd(f, ALL)(X, W, B),
    "hessian": lambda f: hessian(one(f), ALL)(X, W, B),
    "jacrev of grad": lambda f: jacrev(grad(one(f), ALL), ALL)(X, W, B),
    "jvp of grad": lambda f: jvp(grad(one(f), ALL), (X, W, B), TANGENTS),
    "vjp of jvp": lambda f: vjp(lambda *at: jvp(f, at, TANGENTS)[1], X, W, B)[1]((X[:, 0], X[0, 0])),
    "jvp of jvp": lambda f: jvp(lambda *at: jvp(f, at, TANGENTS)[1], (X, W, B), TANGENTS),
    "grad of grad": lambda f: grad(lambda *at: sum(g.cos().sum() for g in grad(one(f), ALL)(*at)), ALL)(X, W, B),
    "third order": lambda f: jvp(hessian(lambda b: one(f)(X, W, b)), (B,), (B.cos(),)),
    "vmap over hidden": lambda f: vmap(f, (2, None, None))(several(X, 2), W, B),
    "vmap over weights": lambda f: vmap(f, (None, 1, 0))(X, several(W, 1), several(B)),
    "vmap of vmap": lambda f: vmap(vmap(f, (None, 0, None)), (0, None, None))(several(X), several(W), B),
    "vmap of grad": lambda f: vmap(grad(one(f), ALL), (1, 0, None))(several(X, 1), several(W), B),
    "grad of vmap": lambda f: grad(lambda x, w: vmap(one(f), (None, 0, None))(x, w, B).sum(), (0, 1))(X, several(W)),
    "vmap of hessian": lambda f: vmap(hessian(lambda b, x: one(f)(x, W, b)), (None, 0))(B, several(X)),
    "without bias": lambda f: grad(lambda x, w: one(f)(x, w, None), (0, 1))(X, W),
    "hessian without bias": lambda f: hessian(lambda x, w: one(f)(x, w, None), (0, 1))(X, W),
    "vmap without bias": lambda f: vmap(lambda x: f(x, W, None))(several(X)),
    "jacobian, one batch of cotangents": lambda f: torch.autograd.functional.jacobian(f, (X, W, B), vectorize=True),
    "jacobian, one batch of tangents": lambda f: torch.autograd.functional.jacobian(
        f, (X, W, B), vectorize=True, strategy="forward-mode"
    ),
    "hessian, a batch in a batch": lambda f: torch.autograd.functional.hessian(
        one(f), (X, W, B), vectorize=True, outer_jacobian_strategy="forward-mode"
    ),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_every_transform_is_that_of_the_whole(transform: Callable[[Any], Any]) -> None:
    assert_close(transform(ours), transform(plain))


@pytest.mark.parametrize("chunk", [1, 2, 3, 6, 7, 100])
def test_the_chunk_changes_nothing(chunk: int) -> None:
    def numbers_of(f: Callable[..., Any], *more: int) -> Any:
        at = leaves(X, W, B)
        gradients = torch.autograd.grad(one(lambda *t: f(*t, *more))(*at), at, create_graph=True)
        return f(*at, *more), gradients, torch.autograd.grad(sum(g.sin().sum() for g in gradients), at)

    assert_close(numbers_of(ours, chunk), numbers_of(plain))


@pytest.mark.parametrize("transform", ["value", "grad", "vjp", "jvp", "jvp of grad", "grad of grad", "vmap over weights"])
def test_no_rows_give_shapes_and_zeros(transform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "X", X[:0])
    monkeypatch.setitem(globals(), "TANGENTS", (X[:0], *TANGENTS[1:]))
    if transform == "vjp":
        found = vjp(ours, X, W, B)[1]((X[:, 0], torch.ones((), dtype=X.dtype)))
        assert_close(found, (torch.zeros(0, D).double(), torch.zeros(C, D).double(), torch.zeros(C).double()))
    else:
        assert_close(TRANSFORMS[transform](ours), TRANSFORMS[transform](plain))


def test_a_sum_over_no_rows_is_zero_whatever_an_empty_chunk_gives() -> None:
    constant = RowMap(lambda x: (x.sum() + 1.0,), (True,), (False,), 2)
    assert by_rows(constant, X[:0])[0] == 0.0
    assert_close(by_rows(constant, X)[0], X.sum() + 4.0)


def test_integers_are_whole_and_without_derivative() -> None:
    _, _, best = by_rows(mapped(), X.clone().requires_grad_(), T, W, B)
    assert torch.equal(best, linear_cross_entropy(X, T, W, B)[2])
    assert not best.requires_grad
    classify = RowMap(lambda x: (x.argmax(1),), (True,), (True,), 2)
    value, tangent = jvp(lambda x: by_rows(classify, x)[0], (X,), (X,))
    assert torch.equal(value, X.argmax(1))
    assert not tangent.any()


@pytest.mark.parametrize("size", [2, N])
def test_an_output_that_no_batch_reaches_is_the_same_in_each(size: int) -> None:
    rows = RowMap(lambda x, t, w: (x.sum(1), w[t], w[t].sum()), (True, True, False), (True, True, False), 2)
    batch = torch.stack([X * part for part in range(size)])
    _, weights, total = vmap(lambda x: by_rows(rows, x, T, B))(batch)
    assert_close(weights, B[T].expand(size, N))
    assert_close(total, B[T].sum().expand(size))
    slopes = jacfwd(lambda x: by_rows(rows, x, T, B)[:2])(X)
    assert_close(slopes[0], torch.eye(N).double()[:, :, None].expand(N, N, D))
    assert not slopes[1].any()


SMALL = (X[:5, :2], W[:3, :2], B[:3])


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_central_differences(bias: bool) -> None:
    at = leaves(*SMALL) if bias else leaves(*SMALL[:2])
    assert gradcheck(
        lambda *t: ours(*t, *(() if bias else (None,)), chunk=2),
        at,
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )


def test_second_derivatives_are_central_differences() -> None:
    assert gradgradcheck(lambda *t: ours(*t, chunk=2), leaves(*SMALL), check_fwd_over_rev=True, check_batched_grad=True)


def test_reverse_mode_over_dual_tensors() -> None:
    def second(f: Callable[..., Any]) -> Any:
        at = leaves(X, W, B)
        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(a, t) for a, t in zip(at, TANGENTS, strict=True)]
            tangents = [forward_ad.unpack_dual(out).tangent for out in f(*duals)]
            return tangents, torch.autograd.grad(sum(t.sin().sum() for t in tangents), at)

    assert_close(second(ours), second(plain))


@pytest.mark.parametrize("size", [1, N])
def test_a_batch_of_cotangents_can_be_differentiated_again(size: int) -> None:
    def second(f: Callable[..., Any]) -> Any:
        at = leaves(X, W, B)
        rows, _ = f(*at)
        gradients = torch.autograd.grad(rows, at, torch.eye(size, N).double(), create_graph=True, is_grads_batched=True)
        return gradients, torch.autograd.grad(sum(g.sin().sum() for g in gradients), at)

    assert_close(second(ours), second(plain))


def test_parameters_of_a_module_and_an_ensemble_of_them() -> None:
    class Head(torch.nn.Linear):
        def forward(self, hidden: Tensor) -> Tensor:
            return one(ours)(hidden, self.weight, self.bias)

    heads = [Head(D, C, dtype=torch.float64) for _ in range(3)]
    stacked, _ = stack_module_state(heads)
    found = vmap(grad(lambda p, x: functional_call(heads[0], p, (x,))), (0, None))(stacked, X)
    for place, head in enumerate(heads):
        expected = torch.autograd.grad(one(plain)(X, head.weight, head.bias), [head.weight, head.bias])
        assert_close([found["weight"][place], found["bias"][place]], list(expected))


def test_outputs_left_out_of_the_loss() -> None:
    for place in (0, 1):
        at, same = leaves(X, W, B), leaves(X, W, B)
        found = torch.autograd.grad(ours(*at)[place].cos().sum(), at)
        assert_close(found, torch.autograd.grad(plain(*same)[place].cos().sum(), same))


def test_nothing_comes_back_where_nothing_goes_in() -> None:
    class Wall(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> None:
            return None

    at = leaves(X, W, B)
    assert torch.autograd.grad(Wall.apply(ours(*at)[0]).sum(), at, allow_unused=True) == (None, None, None)


def test_a_graph_serves_twice_if_kept_and_once_if_not() -> None:
    at = leaves(X, W, B)
    loss = one(ours)(*at)
    first = torch.autograd.grad(loss, at, retain_graph=True)
    assert_close(torch.autograd.grad(loss, at), first, rtol=0.0, atol=0.0)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, at)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_tensor_changed_since_is_refused(place: int) -> None:
    at = leaves(X, W, B)
    loss = one(ours)(*at)
    with torch.no_grad():
        at[place].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_layouts() -> None:
    for hidden, weight in ((X[:1].expand(N, D), W.T.contiguous().T), (numbers(N, 2 * D, seed=5)[:, ::2], W[:1].expand(C, D))):
        assert_close(grad(one(ours), ALL)(hidden, weight, B), grad(one(plain), ALL)(hidden, weight, B))


def test_a_part_that_is_an_argument_is_not_written_to() -> None:
    same = RowMap(lambda x, w: (w, x), (True, False), (False, True), 2)
    weight, (hidden, leaf) = W.clone(), leaves(X, W)
    total, rows = by_rows(same, X, weight)
    assert_close(total, 4 * W)
    assert torch.equal(weight, W)
    assert torch.equal(rows, X)
    # The gradient of a sum is one number in many places, and that of the identity is the cotangent itself.
    total, rows = by_rows(same, hidden, leaf)
    upstream = numbers(C, D, seed=6)
    found = torch.autograd.grad((total, rows.sum()), (hidden, leaf), (upstream, None))
    assert_close(found, (torch.ones_like(X), 4 * upstream))
    assert torch.equal(upstream, numbers(C, D, seed=6))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sums_of_half_precision_do_not_stall(dtype: torch.dtype) -> None:
    count = RowMap(lambda x: (x.sum(),), (True,), (False,), 1)
    assert by_rows(count, torch.ones(4096, dtype=dtype))[0] == torch.tensor(4096, dtype=dtype)


def test_autocast_neither_enters_nor_differs_between_value_and_gradient() -> None:
    def numbers_of(forward: bool, backward: bool) -> Any:
        at = leaves(X.float(), W.float(), B.float())
        with torch.autocast("cpu", torch.bfloat16, enabled=forward):
            loss = one(ours)(*at)
            assert torch.is_autocast_enabled("cpu") is forward
        with torch.autocast("cpu", torch.bfloat16, enabled=backward):
            return loss, torch.autograd.grad(loss, at)

    for forward, backward in ((True, False), (False, True), (True, True)):
        assert_close(numbers_of(forward, backward), numbers_of(False, False), rtol=0.0, atol=0.0)


def test_under_checkpointing() -> None:
    at, same = leaves(X, W, B), leaves(X, W, B)
    found = torch.autograd.grad(checkpoint(one(ours), *at, use_reentrant=False), at, create_graph=True)
    expected = torch.autograd.grad(one(plain)(*same), same, create_graph=True)
    assert_close(found, expected)
