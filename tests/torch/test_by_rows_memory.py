"""A map computed a chunk of rows at a time holds one chunk at a time, and autograd keeps its arguments alone."""

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad, jvp, vmap
from torch.multiprocessing.reductions import StorageWeakRef
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from tests.torch.test_by_rows import B, C, D, N, W, X, leaves, numbers, one, ours, plain, several

# PyTorch's own rules of forward mode are compiled on first use.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")


@contextmanager
def saving() -> Iterator[list[tuple[int, ...]]]:
    """Shapes of what autograd keeps."""
    shapes: list[tuple[int, ...]] = []

    def pack(t: Tensor) -> Tensor:
        shapes.append(tuple(t.shape))
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        yield shapes


def test_autograd_keeps_the_arguments_alone() -> None:
    at, inputs = leaves(X, W, B), [(N, D), (N,), (C, D), (C,)]
    with saving() as kept:
        rows, total = ours(*at)
    assert kept == inputs
    with saving() as kept:
        gradients = torch.autograd.grad((rows, total), at, (X[:, 0], X[0, 0]), create_graph=True)
    assert kept == [*inputs, (N,), ()]
    with saving() as kept:
        torch.autograd.grad(sum(g.sum() for g in gradients), at, create_graph=True)
    assert (N, C) not in kept
    with saving() as kept:
        plain(*at)
    assert (N, C) in kept, "the plain function keeps logits, and this test would see it"


class Watch(TorchDispatchMode):
    """Of all memory that is made in a shape with these axes: the largest, the most at once, and what still lives."""

    def __init__(self, *axes: int, without: int = -1) -> None:
        super().__init__()
        self.axes, self.without = axes, without
        self.largest = self.peak = self.products = 0
        self.made: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.products += func in (torch.ops.aten.mm.default, torch.ops.aten.bmm.default, torch.ops.aten.addmm.default)
        for t in torch.utils._pytree.tree_leaves(out):
            if isinstance(t, Tensor) and all(axis in t.shape for axis in self.axes) and self.without not in t.shape:
                storage = t.untyped_storage()
                size = storage.nbytes() // t.itemsize // math.prod(self.axes)
                self.largest = max(self.largest, size)
                self.made[storage._cdata] = StorageWeakRef(storage), size
        self.peak = max(self.peak, self.alive())
        return out

    def alive(self) -> int:
        """How much lives, in multiples of the axes."""
        return sum(size for ref, size in self.made.values() if not ref.expired())


WIDE = 11
BIG = {n: (numbers(n, D, seed=8), numbers(WIDE, D, seed=9)) for n in (16, 32)}


def eight_rows(hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return ours(hidden, weight, None, chunk=8)


def all_rows(hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return plain(hidden, weight, None)


def double_backward(f: Callable[..., Any], at: list[Tensor]) -> Any:
    gradients = torch.autograd.grad(one(f)(*at), at, create_graph=True)
    return torch.autograd.grad(sum(g.sin().sum() for g in gradients), at, create_graph=True)


LOADS: dict[str, Callable[[Any, list[Tensor]], Any]] = {
    "forward": lambda f, at: f(*at),
    "backward": lambda f, at: torch.autograd.grad(one(f)(*at), at),
    "double backward": double_backward,
    "jvp": lambda f, at: jvp(f, tuple(at), tuple(t.cos() for t in at)),
    "jvp of grad": lambda f, at: jvp(grad(one(f), (0, 1)), tuple(at), tuple(t.cos() for t in at)),
    "vmap of grad": lambda f, at: vmap(grad(one(f), (0, 1)), (0, None))(several(at[0]), at[1]),
    "batch of cotangents": lambda f, at: torch.autograd.grad(
        f(*at)[0], at, at[0].detach()[:, 0].expand(4, -1), is_grads_batched=True
    ),
}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_one_chunk_at_a_time_and_nothing_of_it_stays(load: Callable[[Any, list[Tensor]], Any]) -> None:
    with Watch(WIDE, without=D) as whole:
        load(all_rows, leaves(BIG[16][0][:8], BIG[16][1]))
    for n in BIG:
        with Watch(WIDE, without=D) as watch:
            kept = load(eight_rows, leaves(*BIG[n]))
        assert 0 < watch.largest <= 8
        assert watch.alive() == 0, "while the outputs and their graph are still here"
        assert watch.peak <= whole.peak, "what is alive at once is at most what the plain function takes for eight rows"
        del kept
    with Watch(WIDE, without=D) as watch:
        load(all_rows, leaves(*BIG[16]))
    assert watch.largest >= 16, "the plain function makes all rows, and this test would see it"


@pytest.mark.usefixtures("no_collector")
def test_the_gradient_of_the_weights_takes_one_sum_and_one_part() -> None:
    at = leaves(*BIG[32])
    with Watch(WIDE, D) as watch:
        LOADS["backward"](eight_rows, at)
    assert watch.peak == 3, "with the weights themselves"


@pytest.mark.parametrize(("frozen", "products"), [((), 4), ((1,), 3), ((0,), 3)])
def test_no_product_for_what_is_frozen(frozen: tuple[int, ...], products: int) -> None:
    at = leaves(*BIG[16])
    for place in frozen:
        at[place].requires_grad_(False)
    with Watch(WIDE) as watch:
        one(eight_rows)(*at).backward()
    assert watch.products == 2 * products
    with Watch(WIDE) as watch:
        grad(one(eight_rows), tuple(place for place in (0, 1) if place not in frozen))(*BIG[16])
    assert watch.products == 2 * products


def test_hooks_see_nothing_of_a_chunk_and_are_there_again() -> None:
    with saving() as kept:
        at = leaves(X, W, B)
        gradients = torch.autograd.grad(one(ours)(*at), at, create_graph=True)
        found = torch.autograd.grad(sum(g.sin().sum() for g in gradients), at)
        before = len(kept)
        at[0].sin()
        assert len(kept) == before + 1
    assert not any(C in shape and N in shape for shape in kept)
    same = leaves(X, W, B)
    expected = torch.autograd.grad(one(plain)(*same), same, create_graph=True)
    assert_close(found, torch.autograd.grad(sum(g.sin().sum() for g in expected), same))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # Dynamo asks each for it
def test_compiled_code_calls_it_as_it_is() -> None:
    at, same = leaves(X, W, B), leaves(X, W, B)
    found = torch.autograd.grad(torch.compile(one(ours), backend="eager")(*at), at, create_graph=True)
    assert_close(found, torch.autograd.grad(one(plain)(*same), same))
