"""The modules against PyTorch's reference functions in plain Python, on inputs like those of PyTorch's own module tests."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close, make_tensor
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_nn import loss_reference_fns

import xent.torch as xt

CLASSES = 3
SHAPES = ((2, CLASSES), (15, CLASSES), (2, CLASSES, 5), (2, CLASSES, 5, 5), (2, CLASSES, 3, 2, 2, 2))
REDUCTIONS = ("mean", "sum", "none")
WEIGHT = torch.tensor([0.5, 2.0, 1.25], dtype=torch.float64)

ROW_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"weight": WEIGHT},
    {"ignore_index": 1},
    {"ignore_index": -1},
    {"weight": WEIGHT, "ignore_index": 1},
)
SMOOTHING = ({}, {"label_smoothing": 0.15}, {"label_smoothing": 1.0})

every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def scores(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return 3.0 * torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def labels(shape: tuple[int, ...], ignore_index: int = -100) -> Tensor:
    """A label a row; some are the one that does not count, where it is no class."""
    found = torch.randint(CLASSES, (shape[0], *shape[2:]), generator=torch.Generator().manual_seed(1))
    if ignore_index < 0:
        found.reshape(-1)[1::3] = ignore_index
    return found


def assert_as_reference(module: torch.nn.Module, reference: Callable[..., Any], inputs: tuple[Tensor, ...]) -> None:
    """Values, and gradients by the first input."""
    x, *rest = inputs
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, expected = module(ours, *rest), reference(theirs, *rest)
    assert_close(found, expected, equal_nan=True)
    upstream = torch.linspace(0.5, 1.5, expected.numel(), dtype=expected.dtype).reshape(expected.shape)
    assert_close(*(torch.autograd.grad(y, z, upstream)[0] for y, z in ((found, ours), (expected, theirs))))


@every_reduction
@every_shape
def test_cross_entropy_is_the_reference_at_labels(shape: tuple[int, ...], reduction: Any) -> None:
    for rows, smoothing in product(ROW_OPTIONS, SMOOTHING):
        options = rows | smoothing | {"reduction": reduction}
        target = labels(shape, options.get("ignore_index", -100))

        def reference(x: Tensor, y: Tensor, options: dict[str, Any] = options) -> Tensor:
            return loss_reference_fns["CrossEntropyLoss"](x, y, **options)

        assert_as_reference(xt.CrossEntropyLoss(**options), reference, (scores(shape), target))


@every_reduction
@every_shape
def test_cross_entropy_is_the_reference_at_probabilities(shape: tuple[int, ...], reduction: Any) -> None:
    target = scores(shape, 2).softmax(1)
    for rows, smoothing in product(({}, {"weight": WEIGHT}), SMOOTHING):
        options = rows | smoothing | {"reduction": reduction}

        def reference(x: Tensor, y: Tensor, options: dict[str, Any] = options) -> Tensor:
            return loss_reference_fns["CrossEntropyLoss"](x, y, **options)

        assert_as_reference(xt.CrossEntropyLoss(**options), reference, (scores(shape), target))


@every_reduction
@every_shape
def test_nll_is_the_reference(shape: tuple[int, ...], reduction: Any) -> None:
    log_probs = scores(shape).log_softmax(1)
    reference = loss_reference_fns["NLLLoss" if len(shape) == 2 else "NLLLossNd"]
    for rows in ROW_OPTIONS:
        options = rows | {"reduction": reduction}
        # The reference reads the row's number even where it does not count, so a label must be a place.
        target = labels(shape, options.get("ignore_index", 0))
        expected = reference(log_probs, target, **options)
        assert_close(xt.NLLLoss(**options)(log_probs, target), torch.as_tensor(expected))


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize("shape", [(10, 10), (4, 3, 2), ()], ids=str)
def test_kl_div_is_the_reference(shape: tuple[int, ...], reduction: Any, log_target: bool) -> None:
    def reference(x: Tensor, y: Tensor) -> Tensor:
        return loss_reference_fns["KLDivLoss_log_target" if log_target else "KLDivLoss"](x, y, reduction=reduction)

    log_probs, other = (-scores(shape, seed).abs() for seed in (3, 4))
    target = other if log_target else other.exp()
    assert_as_reference(xt.KLDivLoss(reduction=reduction, log_target=log_target), reference, (log_probs, target))


MODULES = {
    "CrossEntropyLoss": (xt.CrossEntropyLoss, 60),
    "NLLLoss": (xt.NLLLoss, 21),
    "KLDivLoss": (xt.KLDivLoss, 10),
    "BCELoss": (xt.BCELoss, 6),
    "BCEWithLogitsLoss": (xt.BCEWithLogitsLoss, 6),
    "MSELoss": (xt.MSELoss, 8),
    "GaussianNLLLoss": (xt.GaussianNLLLoss, 5),
    "LogSoftmax": (xt.LogSoftmax, 3),
    "Softmax": (xt.Softmax, 2),
}
"""PyTorch's name -> xent's module, and how many samples at least PyTorch 2.13 has of it."""


def samples(name: str) -> list[Any]:
    """PyTorch's samples of that module, weights not negative."""
    (info,) = (info for info in module_db if info.module_cls is getattr(torch.nn, name))
    torch.manual_seed(0)
    found = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=False, training=True)
    for sample in found:
        made = sample.constructor_input.kwargs
        made.update({key: made[key].abs() for key in made.keys() & {"weight", "pos_weight"}})
    return found


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss by both:UserWarning")
@pytest.mark.parametrize("name", MODULES)
def test_modules_answer_samples_as_pytorch_does(name: str) -> None:
    ours, least = MODULES[name]
    found = samples(name)
    assert len(found) >= least
    for sample in found:
        made, given = sample.constructor_input, sample.forward_input
        options = dict(made.kwargs) | ({"validate": "off"} if name == "NLLLoss" else {})
        module, theirs = ours(*made.args, **options), getattr(torch.nn, name)(*made.args, **made.kwargs)
        outputs = (one(*given.args, **given.kwargs) for one in (module, theirs))
        assert_close(*outputs, equal_nan=True, msg=lambda said: f"{said}\n{sample.desc}")  # noqa: B023


def test_a_wrong_module_is_seen() -> None:
    def reference(x: Tensor, y: Tensor) -> Tensor:
        return loss_reference_fns["CrossEntropyLoss"](x, y)

    inputs = scores((4, CLASSES)), make_tensor((4,), low=0, high=CLASSES, dtype=torch.long, device="cpu")
    assert_as_reference(xt.CrossEntropyLoss(), reference, inputs)
    for wrong in (xt.CrossEntropyLoss(label_smoothing=0.01), xt.CrossEntropyLoss(scale=1.001)):
        with pytest.raises(AssertionError):
            assert_as_reference(wrong, reference, inputs)
