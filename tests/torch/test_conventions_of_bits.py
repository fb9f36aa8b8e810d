"""The conventions through the PyTorch door: bits, threads, forks, and numbers that are no logarithms: rows 19 to 21."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import xent
import xent.torch as xt
from tests.contract.test_bits import at_once
from tests.torch.ways import DTYPES, INF, KERNELS, WAYS, assert_same, labels, normal, probabilities, tensor, with_gradient

every_way = pytest.mark.parametrize("way", WAYS)
every_kernel = pytest.mark.parametrize("way", KERNELS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
OPTIONS: tuple[dict[str, Any], ...] = ({}, {"label_smoothing": 0.1, "z_loss": 1e-3, "softcap": 20.0})


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def everything(way: str, x: Tensor, goal: Tensor) -> list[Tensor]:
    """Losses and gradients, each row for itself and reduced."""
    found: list[Tensor] = []
    for options in OPTIONS:
        for reduction in ("none", "sum", "mean"):
            found += with_gradient(xt.cross_entropy, x, goal, reduction=reduction, backend=way, **options)
    yes = (x > 0).to(x.dtype)
    for loss in (xt.binary_cross_entropy_with_logits, xt.mse_loss, xt.kl_div):
        found += with_gradient(loss, x, yes, backend=way)
    if not goal.is_floating_point():
        found += with_gradient(xt.nll_loss, x, goal, validate="off", backend=way)
    found += with_gradient(xt.softmax, x, 1, backend=way)
    return found


@every_kernel
@every_dtype
def test_19_bits_do_not_depend_on_threads_or_runs(way: str, dtype: str) -> None:
    for n, classes in ((1031, 10), (57, 507)):
        x = normal(n, classes, 3.0, dtype)
        for goal in (labels(n, classes), tensor(probabilities(n, classes).numpy(), dtype)):
            with torch_threads(1):
                expected = everything(way, x, goal)
            for threads in (1, 2, 3):
                with torch_threads(threads):
                    for found, right in zip(everything(way, x, goal), expected, strict=True):
                        assert_same(found, right, f"{n} x {classes}, {threads} threads")


@every_kernel
@every_dtype
def test_19_bits_do_not_depend_on_how_a_batch_is_split(way: str, dtype: str) -> None:
    x, target = normal(257, 33, 3.0, dtype), labels(257, 33)
    for options in OPTIONS:
        whole = with_gradient(xt.cross_entropy, x, target, reduction="none", backend=way, **options)
        for size in (1, 17, 256):
            pairs = zip(x.split(size), target.split(size), strict=True)
            parts = [with_gradient(xt.cross_entropy, a, b, reduction="none", backend=way, **options) for a, b in pairs]
            for place in (0, 1):
                assert_same(torch.cat([part[place] for part in parts]), whole[place], f"{size} {options}")


@every_dtype
def test_19_bits_do_not_depend_on_who_asks(dtype: str) -> None:
    """Plainly, with every row's loss weighed alike, under checkpointing, a second time, compiled, or in a module."""
    x, target = normal(64, 33, 3.0, dtype), labels(64, 33)
    value, gradient = with_gradient(xt.cross_entropy, x, target)
    torch.compiler.reset()
    asked = {
        "module": xt.CrossEntropyLoss(),
        "checkpoint": lambda a, b: checkpoint(xt.cross_entropy, a, b, use_reentrant=False),
        "compiled": torch.compile(xt.cross_entropy, backend="aot_eager"),
        "operator": lambda a, b: torch.export.export(xt.CrossEntropyLoss(), (x, target)).module()(a, b),
    }
    for name, loss in asked.items():
        for found, right in zip(with_gradient(loss, x, target), (value, gradient), strict=True):
            assert_same(found, right, name)
    assert_same(xt.cross_entropy(x, target, return_stats=True)[0], value)
    leaf = x.clone().requires_grad_()
    loss = xt.cross_entropy(leaf, target)
    (first,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    (second,) = torch.autograd.grad(loss, leaf)
    assert_same(first, gradient)
    assert_same(second, gradient)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_19_a_trace_answers_for_other_numbers_and_sizes() -> None:
    x, y = normal(6, 4), probabilities(6, 4).float()
    for loss, *rest in (
        (xt.cross_entropy, labels(6, 4)),
        (xt.cross_entropy, y),
        (xt.nll_loss, labels(6, 4)),
        (xt.binary_cross_entropy_with_logits, y),
        (xt.mse_loss, y),
        (xt.kl_div, y),
        (xt.gaussian_nll_loss, y, y + 1.0),
    ):
        traced = torch.jit.trace(loss, (normal(6, 4, seed=9) - 10.0, *rest))
        for size in (6, 5):
            given = (x[:size] - 10.0, *(tensor[:size] for tensor in rest))
            torch.testing.assert_close(traced(*given), loss(*given))


@every_way
def test_20_four_threads_at_once_are_right(way: str) -> None:
    problems = [(normal(n, c, 3.0, seed=n), labels(n, c)) for n, c in ((600, 10), (70, 507), (600, 2), (60, 1001))]
    expected = [everything(way, *problem) for problem in problems]

    def work(index: int) -> None:
        for found, right in zip(everything(way, *problems[index]), expected[index], strict=True):
            if way in KERNELS:
                assert_same(found, right)
            else:
                torch.testing.assert_close(found, right)

    at_once(work)


CHILD = """
import os, sys, warnings
import torch
import xent.torch as xt
from xent.schedules import dense

dense.BLOCK_BYTES = 1 << 14
torch.set_num_threads(3)
x = torch.randn(600, 100, generator=torch.Generator().manual_seed(0))
target = torch.arange(600) % 100
def compute():
    leaf = x.detach().requires_grad_()  # no copy: PyTorch's own threads do not outlive a fork
    loss = xt.cross_entropy(leaf, target, backend=sys.argv[1])
    loss.backward()
    return loss.detach().numpy().tobytes() + leaf.grad.numpy().tobytes()
expected = compute()
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if child == 0:
    os._exit(0 if compute() == expected else 3)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert status == 0, f"the child ended with {status}"
assert compute() == expected
"""


@every_kernel
def test_20_a_forked_child_computes(way: str) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    outcome = subprocess.run([sys.executable, "-c", CHILD, way], capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stderr


@every_way
@every_dtype
def test_21_one_kind_of_number_is_not_taken_for_another(way: str, dtype: str) -> None:
    logits, target = tensor([[2.0, 1.0], [-1.0, -2.0]], dtype), torch.tensor([0, 1])
    with pytest.raises(xent.DistributionError, match=r"row 0 holds 2 .* Logits belong to cross_entropy"):
        xt.nll_loss(logits, target, backend=way)
    assert xt.nll_loss(logits, target, validate="off", reduction="none", backend=way).tolist() == [-2.0, 2.0]
    with pytest.raises(xent.DistributionError, match=r"element 0 is 2\. Logits belong to binary_cross_entropy_with_logits"):
        xt.binary_cross_entropy(logits, torch.ones(2, 2), backend=way)
    p, yes = tensor([0.0, 1.0, 0.5], dtype), torch.tensor([1.0, 0.0, 1.0])
    value, gradient = with_gradient(xt.binary_cross_entropy, p, yes, reduction="none", backend=way)
    assert value[:2].tolist() == [INF, INF]
    assert gradient.tolist() == [-INF, INF, -2.0]
    impossible = xt.nll_loss(tensor([[-INF, 0.0]], dtype), target[:1], backend=way)
    assert impossible.tolist() == INF
