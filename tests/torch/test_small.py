"""The short way of small calls gives the bits of the long way, which a backend asked for by name takes."""

import pytest
import torch

import xent.torch as xt
from xent.torch import _small


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (64, 10), (33, 129), (60, 1000)])
def test_small_calls_have_the_bits_of_large_ones(shape: tuple[int, int], reduction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    short = _small.value_and_gradient
    monkeypatch.setattr(_small, "value_and_gradient", lambda *given: taken.append(True) or short(*given))
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(shape, generator=generator) * 4).requires_grad_()
    y = torch.randint(0, shape[1], shape[:1], generator=generator)
    y[1::5] = -100
    found, right = (xt.cross_entropy(x, y, reduction=reduction, backend=backend) for backend in (None, "numba"))
    assert taken == [True]
    assert torch.equal(found, right)
    assert torch.equal(*(torch.autograd.grad(loss, x)[0] for loss in (found, right)))


def test_small_calls_over_nothing_go_the_long_way() -> None:
    x = torch.zeros(2, 3, requires_grad=True)
    loss = xt.cross_entropy(x, torch.tensor([-100, -100]))
    loss.backward()
    assert loss.isnan()
    assert torch.equal(x.grad, torch.zeros(2, 3))


def test_bad_labels_of_small_calls_are_refused() -> None:
    with pytest.raises(IndexError, match=r"labels must lie in \[0, 3\); row 1 holds 3"):
        xt.cross_entropy(torch.zeros(2, 3, requires_grad=True), torch.tensor([0, 3]))
