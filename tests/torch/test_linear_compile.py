"""A linear loss that PyTorch records, moves, wraps or shares is the one that it runs."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import xent.torch as xt
from tests.torch.linear import C, N, dense, head, hidden, labels, leaves, mixture, pair
from tests.torch.ways import assert_same
from xent._errors import LabelError, ShapeError
from xent.torch import _linear

# PyTorch's own, on the way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning"),
]

W, B = (t.float() for t in head())
H, T, Y, FEW = hidden(N).float(), labels(N), mixture(N).float(), pair(N)
V = torch.linspace(0.0, 1.0, N)
EVERYTHING: dict[str, Any] = {"label_smoothing": 0.1, "z_loss": 0.01, "focal": 1.5, "softcap": 4.0, "scale": -0.7}


def with_statistics(h: Tensor, w: Tensor, b: Tensor) -> Tensor:
    loss, rows = xt.linear_cross_entropy(h, w, T, linear_bias=b, return_stats=True)
    return loss + (rows.lse * rows.entropy + rows.log_prob + rows.rank + rows.dropped).sum()


def loss_of(target: Any, **options: Any) -> Any:
    return lambda h, w, b: xt.linear_cross_entropy(h, w, target, linear_bias=b, **options)


LOSSES: dict[str, Any] = {
    "mean": loss_of(T),
    "none": loss_of(T, reduction="none", sample_weight=V),
    "everything": loss_of(T.reshape(3, 4), **EVERYTHING, weight=torch.linspace(0.5, 2.0, C), shift=1, memory_limit=40_000),
    "probabilities": loss_of(Y, normalizer=torch.tensor(3.0)),
    "pair": loss_of(FEW, tolerance=0.1),
    "statistics": with_statistics,
    "formula": loss_of(T, backend="torch"),
    "half": lambda h, w, b: loss_of(T)(h.bfloat16(), w, b.half()),
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No graph of another test."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def both(loss: Any, h: Tensor = H, w: Tensor = W, b: Tensor = B) -> tuple[Tensor, ...]:
    at = leaves(h, w, b)
    value = loss(*at)
    return value.detach(), *torch.autograd.grad(value.sum(), at)


def shaped(name: str) -> Tensor:
    return H.reshape(3, 4, -1) if name == "everything" else H


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # Dynamo asks each for it
@pytest.mark.parametrize("name", LOSSES)
def test_a_compiled_loss_gives_the_bits_of_an_eager_one(name: str) -> None:
    # The formula in chunks runs as it is, between two graphs.
    compiled = torch.compile(LOSSES[name], fullgraph=name != "formula", backend="aot_eager")
    for found, right in zip(both(compiled, shaped(name)), both(LOSSES[name], shaped(name)), strict=True):
        assert_close(found, right) if name == "statistics" else assert_same(found, right)


def test_changing_batch_sizes_are_not_compiled_each_anew() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda h, t: xt.linear_cross_entropy(2.0 * h, W, t), fullgraph=True, dynamic=True, backend=counter)
    for rows in (3, 5, 8, 13):
        h, t = hidden(rows).float(), labels(rows)
        leaf, same = leaves(h), leaves(h)
        found, right = compiled(leaf[0], t), xt.linear_cross_entropy(2.0 * same[0], W, t)
        assert_same(found.detach(), right.detach())
        assert_close(torch.autograd.grad(found, leaf), torch.autograd.grad(right, same))
    assert counter.frame_count <= 2


def test_a_compiled_module_trains_as_an_eager_one() -> None:
    def weights(compiled: bool) -> list[Tensor]:
        torch.manual_seed(0)
        layer, loss = nn.Linear(5, 5), xt.LinearCrossEntropyLoss(5, C, bias=True, label_smoothing=0.1, shift=1)
        step: Any = lambda x: loss(torch.tanh(layer(x)), T.reshape(3, 4))  # noqa: E731
        step = torch.compile(step, fullgraph=True, backend="aot_eager") if compiled else step
        parameters = [*layer.parameters(), *loss.parameters()]
        optimizer = torch.optim.SGD(parameters, lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            step(shaped("everything")).backward()
            optimizer.step()
        return [p.detach() for p in parameters]

    assert_close(weights(True), weights(False))


def test_compiled_code_is_refused_in_the_same_words() -> None:
    compiled = torch.compile(lambda h, t: xt.linear_cross_entropy(h, W, t), fullgraph=True, backend="aot_eager")
    with pytest.raises(LabelError, match="row 2 holds 300"):
        compiled(H, torch.full((N,), 300).index_fill(0, torch.tensor([0, 1]), 0))
    eager = torch.compile(lambda h, w: xt.linear_cross_entropy(h, w, T), backend="eager")
    with pytest.raises(ShapeError, match="transposed"):
        eager(H, W.T)


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_module_computes_the_same_for_any_number_of_rows(strict: bool) -> None:
    rows = torch.export.Dim("rows", min=2, max=64)
    module = xt.LinearCrossEntropyLoss(5, C, bias=True)
    exported = torch.export.export(module, (H, T), dynamic_shapes=({0: rows}, {0: rows}), strict=strict)
    assert "xent.linear_cross_entropy.default" in {str(node.target) for node in exported.graph.nodes}
    for count in (N, 7):
        assert_same(exported.module()(hidden(count).float(), labels(count)), module(hidden(count).float(), labels(count)))


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_a_trace_computes_the_same(mode: Any) -> None:
    for name in ("none", "probabilities", "statistics"):
        traced = make_fx(LOSSES[name], tracing_mode=mode, _allow_non_fake_inputs=True)(H, W, B)
        assert_close(traced(0.5 * H, W, B), LOSSES[name](0.5 * H, W, B))


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_alone(name: str) -> None:
    right = LOSSES[name](shaped(name), W, B)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = LOSSES[name](mode.from_tensor(shaped(name)), mode.from_tensor(W), mode.from_tensor(B))
    assert (fake.shape, fake.dtype, fake.stride()) == (right.shape, right.dtype, right.stride())


def test_meta_tensors_have_shapes_and_gradients() -> None:
    h = torch.empty(2, 3, 5, device="meta", requires_grad=True)
    w = torch.empty(C, 5, device="meta", dtype=torch.bfloat16, requires_grad=True)
    t = torch.empty(2, 3, dtype=torch.long, device="meta")
    for options, shape in (({}, ()), ({"reduction": "none", "shift": 1}, (2, 3))):
        loss = xt.linear_cross_entropy(h, w, t, **options)
        assert (loss.device.type, loss.shape, loss.dtype) == ("meta", shape, torch.float32)
        found = torch.autograd.grad(loss.sum(), (h, w))
        assert [(g.shape, g.dtype) for g in found] == [(h.shape, h.dtype), (w.shape, w.dtype)]
    _, rows = xt.linear_cross_entropy(h, w, t, return_stats=True)
    assert {part.shape for part in rows} == {t.shape}
    assert rows.rank.dtype == torch.int64


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_jit_trace_answers_for_other_numbers() -> None:
    traced = torch.jit.trace(lambda h, w: xt.linear_cross_entropy(h, w, T), (H, W))
    assert_close(traced(0.5 * H, 2.0 * W), xt.linear_cross_entropy(0.5 * H, 2.0 * W, T))


@pytest.mark.parametrize("reentrant", [False, True])
def test_under_activation_checkpointing(reentrant: bool) -> None:
    for name in ("mean", "none", "statistics"):
        at = leaves(H, W, B)
        value = checkpoint(LOSSES[name], *at, use_reentrant=reentrant)
        value.sum().backward()
        for ours, right in zip((value.detach(), *(t.grad for t in at)), both(LOSSES[name]), strict=True):
            assert_close(ours, right)


def test_hooks_on_saved_tensors_see_the_arguments_alone_and_may_move_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def pack(t: Tensor) -> tuple[Tensor]:
        seen.append(tuple(t.shape))
        return (t.clone(),)

    calls: list[str] = []
    original = _linear.LinearCrossEntropy.value_and_gradients
    monkeypatch.setattr(_linear.LinearCrossEntropy, "value_and_gradients", lambda *a: calls.append("ready") or original(*a))
    at = leaves(H, W, B)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed[0]):
        loss = xt.linear_cross_entropy(at[0], at[1], T, linear_bias=at[2])
    found = torch.autograd.grad(loss, at)
    assert sorted(seen) == sorted(tuple(t.shape) for t in (H, W, B, T))
    assert calls == [], "no gradient is kept where saved tensors go elsewhere"
    for ours, right in zip(found, both(LOSSES["mean"])[1:], strict=True):
        assert_same(ours, right)
    with torch.autograd.graph.save_on_cpu():
        loss = xt.linear_cross_entropy(at[0], at[1], T, linear_bias=at[2])
    for ours, right in zip(torch.autograd.grad(loss, at), found, strict=True):
        assert_same(ours, right)


def test_a_tensor_changed_since_is_refused() -> None:
    for place in range(2):
        at = leaves(H, W)
        loss = xt.linear_cross_entropy(*at, T, reduction="none").sum()
        with torch.no_grad():
            at[place].add_(1.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_in_a_process_group_of_one_gradients_are_plain(tmp_path: Any) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        module = xt.LinearCrossEntropyLoss(5, C, bias=True)
        wrapped = nn.parallel.DistributedDataParallel(module)
        loss = wrapped(H, T)
        loss.backward()
        right = both(lambda h, w, b: xt.linear_cross_entropy(h, w, T, linear_bias=b), H, module.linear.weight, module.linear.bias)
        assert_same(loss.detach(), right[0])
        assert_same(module.linear.weight.grad, right[2])
        assert_same(module.linear.bias.grad, right[3])
    finally:
        torch.distributed.destroy_process_group()


def test_a_subclass_of_tensor_takes_the_formula() -> None:
    class Mine(Tensor):
        pass

    found = xt.linear_cross_entropy(H.as_subclass(Mine), W, T)
    assert_close(found.as_subclass(Tensor), dense(H, W, T))
