"""The conventions of a linear loss: rows that do not count, infinities, layouts, bits, threads, forks: rows 3 to 20."""

import math
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import xent
import xent.torch as xt
from tests.contract.test_bits import at_once
from tests.torch.linear import (
    EVERY_WAY,
    EXACT,
    FIVE_ROWS,
    KERNEL_WAYS,
    C,
    N,
    dense,
    everything,
    head,
    hidden,
    labels,
    mixture,
    pair,
)
from tests.torch.test_conventions_of_bits import torch_threads
from tests.torch.twins import numbers
from tests.torch.ways import INF, NAN, assert_same

W, B = head()
H, T = hidden(N), labels(N)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"label_smoothing": 0.1, "z_loss": 1e-2, "softcap": 4.0, "scale": -0.7},
    {"focal": 2.0},
    {"weight": torch.linspace(0.5, 2.0, C, dtype=torch.float64)},
)
every_way = pytest.mark.parametrize("way", EVERY_WAY.values(), ids=EVERY_WAY)
every_kernel = pytest.mark.parametrize("way", KERNEL_WAYS.values(), ids=KERNEL_WAYS)


def spoiled(ignored: Tensor) -> Tensor:
    """Hidden states with NaN, inf and −inf where nothing counts."""
    bad = H.clone()
    for row, value in zip(ignored.nonzero().flatten().tolist(), [NAN, INF, -INF] * N, strict=False):
        bad[row] = value
    return bad


@every_way
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_3_rows_that_do_not_count_may_hold_anything(way: dict[str, Any], reduction: str) -> None:
    weight = torch.ones(C, dtype=torch.float64)
    weight[T[3]] = 0.0
    silent = torch.arange(N) % 5 == 2
    sample = (~silent).double() * 1.5
    cases: tuple[tuple[Any, Tensor, dict[str, Any]], ...] = (
        (T, silent, {}),
        (torch.where(silent, 7, T.clamp(min=8)), silent, {"ignore_index": 7}),
        (T.clamp(min=0), silent, {"sample_weight": sample}),
        (mixture(N), silent, {"sample_weight": sample}),
        (pair(N), silent, {"sample_weight": sample}),
        (T, silent | (T == T[3]), {"weight": weight}),
    )
    for target, ignored, more in cases:
        for options in OPTIONS[:2]:
            if "weight" in more and "label_smoothing" in options:
                continue
            mine: dict[str, Any] = {"reduction": reduction, **options, **more, **way}
            value, by_hidden, *shared = everything(xt.linear_cross_entropy, (spoiled(ignored), W, B), target, **mine)
            right, slope, *theirs = everything(xt.linear_cross_entropy, (H, W, B), target, **mine)
            assert_close(value, right, **EXACT)
            assert not by_hidden[ignored].any()
            assert_close(by_hidden, slope, **EXACT)
            assert_close(shared, theirs, **EXACT)
            if reduction == "none":
                assert not value[ignored].any()
        _, stats = xt.linear_cross_entropy(spoiled(ignored), W, target, return_stats=True, **more, **way)
        assert not any(part[ignored].any() for part in (stats.lse, stats.log_prob, stats.entropy))
        assert (stats.rank[ignored] == -1).all()


def test_3_rows_that_do_not_count_have_no_second_derivative() -> None:
    at = [t.clone().requires_grad_() for t in (spoiled(T < 0), W, B)]
    for options in OPTIONS:
        loss = xt.linear_cross_entropy(at[0], at[1], T, linear_bias=at[2], **options)
        first = torch.autograd.grad(loss, at, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), at)
        assert not first[0][T < 0].any()
        assert not second[0][T < 0].any()
        assert all(part.isfinite().all() for part in (*first, *second))


@every_way
def test_7_and_8_classes_at_minus_infinity(way: dict[str, Any]) -> None:
    """A block of classes that a walk meets first, last, or alone."""
    for masked in (torch.arange(C) < 200, torch.arange(C) >= 64, torch.arange(C) != 5, torch.arange(C) % 64 > 0):
        bias, free = B.masked_fill(masked, -INF), (~masked).nonzero().flatten()
        target = free[torch.arange(N) % len(free)]
        for options in OPTIONS[:3:2]:
            found = everything(xt.linear_cross_entropy, (H, W, bias), target, **options, **way)
            right = everything(dense, (H, W[free], B[free]), torch.arange(N) % len(free), **options)
            for ours, expected in zip(found, (right[0], right[1], None, None), strict=True):
                if expected is not None:
                    assert_close(ours, expected, **EXACT)
            for ours, expected in zip(found[2:], right[2:], strict=True):
                assert_close(ours[free], expected, **EXACT)
                assert not ours[masked].any()
        there = target.clone()
        there[1] = masked.nonzero()[0]
        loss, by_hidden, *shared = everything(xt.linear_cross_entropy, (H, W, bias), there, reduction="none", **way)
        assert loss[1] == INF
        assert loss[[0, *range(2, N)]].isfinite().all()
        assert by_hidden.isfinite().all()
        assert all(part.isfinite().all() for part in shared)


@every_way
def test_9_a_row_without_a_softmax_is_nan_alone(way: dict[str, Any]) -> None:
    bad, rows = H.clone(), [0, 3, 5]
    bad[0, 1], bad[3], bad[5, 0] = NAN, INF, -INF
    rest = [row for row in range(N) if row not in rows]
    for target in (T, mixture(N), pair(N)):
        for options in OPTIONS[:3]:
            mine: dict[str, Any] = {"reduction": "none", **options, **way}
            loss, by_hidden, *_ = everything(xt.linear_cross_entropy, (bad, W), target, **mine)
            kept, slope, *_ = everything(xt.linear_cross_entropy, (H, W), target, **mine)
            assert loss[rows].isnan().all()
            assert by_hidden[rows].isnan().all()
            assert_close(loss[rest], kept[rest], **EXACT)
            assert_close(by_hidden[rest], slope[rest], **EXACT)
    loss = xt.linear_cross_entropy(H, W, T, linear_bias=torch.full((C,), -INF), reduction="none", **way)
    assert loss[T >= 0].isnan().all()
    assert not loss[T < 0].any()


@every_way
def test_10_logits_of_any_magnitude(way: dict[str, Any]) -> None:
    way = way | ({"memory_limit": 60_000} if "memory_limit" in way else {})
    w = torch.zeros(3000, 1)
    w[:3, 0] = torch.tensor([1.0, -1.0, 0.5])
    big = 3e38
    h = torch.tensor([[big], [big], [-big], [0.0]])
    loss = xt.linear_cross_entropy(h, w, torch.tensor([0, 2, 1, 0]), reduction="none", **way)
    assert_close(loss, torch.tensor([0.0, 1.5e38, 0.0, math.log(3000.0)]))
    assert xt.linear_cross_entropy(h, w, torch.tensor([0, 2, 1, 0]), **way).isfinite()
    rows = torch.full((4,), 2), torch.full((8, 1), big)
    assert_close(xt.linear_cross_entropy(rows[1], w, rows[0].repeat(2), **way), torch.tensor(1.5e38))


@every_way
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_17_tensors_are_not_changed_and_may_lie_in_any_way(way: dict[str, Any], dtype: torch.dtype) -> None:
    way = way | ({"memory_limit": 12_000} if "memory_limit" in way else {})
    h, w, t = H.reshape(3, 4, -1).to(dtype), W.to(dtype), T.reshape(3, 4)
    right = everything(xt.linear_cross_entropy, (h, w, B.to(dtype)), t, **way)
    wide = torch.zeros(3, 4, 10, dtype=dtype)
    wide[..., ::2] = h
    layouts: dict[str, tuple[Tensor, Tensor, Tensor]] = {
        "steps": (wide[..., ::2], w, t),
        "batch last": (h.transpose(0, 1).contiguous().transpose(0, 1), w, t.T.contiguous().T),
        "transposed head": (h, w.T.contiguous().T, t),
        "a part": (torch.cat([h, h], 2)[..., :5], torch.cat([w, w])[:C], torch.stack([t, t], 2)[..., 0]),
    }
    for name, (states, weights, target) in layouts.items():
        for options in ({"shift": 1}, {}):
            expected = right if not options else everything(xt.linear_cross_entropy, (h, w, B.to(dtype)), t, **options, **way)
            kept = states.clone(), weights.clone(), target.clone()
            at = [states.detach().requires_grad_(), weights.detach().requires_grad_(), B.to(dtype).requires_grad_()]
            loss = xt.linear_cross_entropy(at[0], at[1], target, linear_bias=at[2], **options, **way)
            found = loss.detach(), *torch.autograd.grad(loss, at)
            assert all(torch.equal(a.detach(), b) for a, b in zip((states, weights, target), kept, strict=True)), name
            for ours, like in zip(found, expected, strict=True):
                assert ours.shape == like.shape
                # A product may add in another order where its factors lie otherwise.
                assert_close(
                    ours, like, rtol=1e-5 if dtype == torch.float32 else None, atol=1e-7 if dtype == torch.float32 else None
                )
    one = h[:1, :1].expand(3, 4, 5)
    assert_close(
        everything(xt.linear_cross_entropy, (one, w), t, **way),
        everything(xt.linear_cross_entropy, (one.contiguous(), w), t, **way),
    )


@every_kernel
def test_19_bits_are_the_same_run_after_run(way: dict[str, Any]) -> None:
    given = [t.float() for t in (H, W, B)]
    way = way | ({"memory_limit": 12_000} if "memory_limit" in way else {})
    for threads in (1, 2):
        with torch_threads(threads):
            for options in OPTIONS[:2]:
                first = everything(xt.linear_cross_entropy, given, T, **options, **way)
                for _ in range(3):
                    again = everything(xt.linear_cross_entropy, given, T, **options, **way)
                    for found, right in zip(again, first, strict=True):
                        assert_same(found, right)


@pytest.mark.parametrize(("n", "d", "c"), [(64, 64, 1000), (130, 1, 61), (1, 64, 257)])
def test_19_nor_on_where_memory_is_found(n: int, d: int, c: int) -> None:
    """Products of vectors part their sums by the address they write to."""
    numbers = torch.Generator().manual_seed(0)
    given = [torch.randn(shape, generator=numbers) for shape in ((n, d), (c, d), (c,))]
    target = torch.randint(0, c, (n,), generator=numbers)
    sizes, kept = np.random.default_rng(0).integers(1, 4000, 40), []
    with torch_threads(2):
        first = everything(xt.linear_cross_entropy, given, target)
        for size in sizes:
            kept = [*kept[-6:], np.empty(size, np.uint8)]
            for found, right in zip(everything(xt.linear_cross_entropy, given, target), first, strict=True):
                assert_same(found, right)


@every_kernel
def test_19_it_does_not_matter_who_asks(way: dict[str, Any]) -> None:
    given = [t.float() for t in (H, W, B)]
    way = way | ({"memory_limit": 12_000} if "memory_limit" in way else {})
    right = everything(xt.linear_cross_entropy, given, T, **way)
    at = [t.clone().requires_grad_() for t in given]
    loss = xt.linear_cross_entropy(at[0], at[1], T, linear_bias=at[2], **way)
    for _ in range(2):
        for found, expected in zip(torch.autograd.grad(loss, at, retain_graph=True), right[1:], strict=True):
            assert_same(found, expected)
    alone = xt.linear_cross_entropy(given[0], given[1], T, linear_bias=given[2], **way)
    assert_same(alone, right[0])
    again = torch.utils.checkpoint.checkpoint(
        lambda a, b, c: xt.linear_cross_entropy(a, b, T, linear_bias=c, **way), *at, use_reentrant=False
    )
    for found, expected in zip((again.detach(), *torch.autograd.grad(again, at)), right, strict=True):
        assert_same(found, expected)


@every_way
def test_19_a_batch_may_be_split(way: dict[str, Any]) -> None:
    """To what a product of another number of rows takes, which is PyTorch's own."""
    whole = everything(xt.linear_cross_entropy, (H, W), T, reduction="none", **way)[0]
    for size in (1, 5):
        parts = [
            xt.linear_cross_entropy(h, W, t, reduction="none", **way) for h, t in zip(H.split(size), T.split(size), strict=True)
        ]
        assert_close(torch.cat(parts), whole, rtol=1e-13, atol=1e-14)


@every_way
def test_20_four_threads_at_once_are_right(way: dict[str, Any]) -> None:
    problems = [((hidden(n, seed=n), W, B), labels(n)) for n in (12, 9, 11, 10)]
    expected = [everything(xt.linear_cross_entropy, *problem, **way) for problem in problems]

    def work(index: int) -> None:
        for _ in range(3):
            found = everything(xt.linear_cross_entropy, *problems[index], **way)
            for ours, right in zip(found, expected[index], strict=True):
                assert_close(ours, right, **EXACT)

    at_once(work)


CHILD = """
import os, sys, warnings
import torch
import xent.torch as xt

torch.set_num_threads(int(sys.argv[2]))
g = torch.Generator().manual_seed(0)
h, w, target = torch.randn(64, 32, generator=g), torch.randn(1000, 32, generator=g), torch.arange(64) * 7
options = {"memory_limit": int(sys.argv[1])} if sys.argv[1] != "0" else {}
def compute():
    at = h.detach().requires_grad_(), w.detach().requires_grad_()  # no copy: PyTorch's own threads do not outlive a fork
    loss = xt.linear_cross_entropy(*at, target, **options)
    loss.backward()
    return loss.detach().numpy().tobytes() + at[0].grad.numpy().tobytes() + at[1].grad.numpy().tobytes()
expected = compute()
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if child == 0:
    os._exit(0 if compute() == expected else 3)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert status == 0, f"the child ended with {status}"
assert compute() == expected
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no fork")
@pytest.mark.parametrize("limit", [0, 40_000])
def test_20_a_forked_child_computes(limit: int) -> None:
    """On one thread: PyTorch's own products wait forever for threads that a fork did not take along."""
    outcome = subprocess.run(
        [sys.executable, "-c", CHILD, str(limit), "1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert outcome.returncode == 0, outcome.stderr


def test_no_array_or_tensor_of_all_logits_is_made() -> None:
    """40 MB of logits would not pass unseen: neither in NumPy's memory, nor in a tensor that PyTorch makes."""
    n, c, limit = 512, 20_000, 8 << 20
    made: list[int] = []

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            made.extend(t.untyped_storage().nbytes() for t in torch.utils._pytree.tree_leaves(out) if isinstance(t, Tensor))
            return out

    h, w, target = numbers(n, 16, seed=1).float(), numbers(c, 16, seed=2).float(), torch.arange(n) * 31
    gradients = 4 * 16 * (n + c)
    for tolerance in (0.0, 0.01):
        for options in ({"memory_limit": limit}, {"memory_limit": limit, "return_stats": True, "reduction": "none"}):

            def step(tolerance: float = tolerance, options: dict[str, Any] = options) -> None:
                at = [t.clone().requires_grad_() for t in (h, w)]
                found = xt.linear_cross_entropy(*at, target, tolerance=tolerance, **options)
                loss = found[0].sum() + found[1].entropy.sum() if isinstance(found, tuple) else found
                loss.backward()

            step()  # what is compiled, or loaded, on first use takes memory of its own
            tracemalloc.start()
            step()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak <= limit + gradients + (1 << 19), f"{options} {tolerance} {peak / 2**20:.1f} MiB"
    at = [t.clone().requires_grad_() for t in (h, w)]
    with Largest():
        xt.linear_cross_entropy(*at, target, backend="torch", options=FIVE_ROWS).backward()
    assert max(made) <= max(4 * 5 * c, 4 * 16 * c), "the formula holds five rows of logits, and the gradient of the classifier"
    dense_bytes = xent.plan_linear(n, c, 16).dense_bytes
    assert dense_bytes == 8 * n * c > 10 * limit / 2
