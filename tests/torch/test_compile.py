"""What PyTorch records gives what it runs: compiled, exported, traced, with shapes alone; and the registered operators."""

import io
import shutil
from collections.abc import Callable, Iterator
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
from tests.torch.twins import LABELS, ONE_NUMBER, TWINS, WEIGHT, Twins, numbers
from xent._errors import LabelError

# PyTorch's own, on the way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning"),
]

X = numbers(5, 4).float()
MIXTURE = numbers(5, 4, seed=1).softmax(1).float()
EVERYTHING: dict[str, Any] = {"z_loss": 0.1, "focal": 1.5, "softcap": 4.0, "scale": 0.7, "label_smoothing": 0.1}


def with_statistics(x: Tensor) -> Tensor:
    loss, rows = xt.cross_entropy(x, LABELS, return_stats=True)
    return loss + (rows.lse * rows.entropy + rows.log_prob + rows.rank).sum()


def losses() -> dict[str, Callable[[Tensor], Tensor]]:
    """Every function, and every option of cross-entropy."""
    weight, count = WEIGHT.float(), torch.tensor(3.0)
    return {
        "cross_entropy": lambda x: xt.cross_entropy(x, LABELS),
        "weight": lambda x: xt.cross_entropy(x, LABELS.clamp(min=0), weight, ignore_index=3, reduction="sum"),
        "everything": lambda x: xt.cross_entropy(x, LABELS, weight, **EVERYTHING),
        "mixture": lambda x: xt.cross_entropy(x, MIXTURE, **EVERYTHING),
        "distilled": lambda x: xt.cross_entropy(x, torch.softmax(2.0 * x, 1)) + xt.kl_div(x, torch.sigmoid(x)),
        "checkpointed": lambda x: checkpoint(lambda z: xt.cross_entropy(z * z, LABELS), x, use_reentrant=False),
        "none": lambda x: xt.cross_entropy(x, LABELS, reduction="none"),
        "normalizers": lambda x: xt.cross_entropy(x, LABELS, normalizer=2.5) + xt.cross_entropy(x, LABELS, normalizer=count),
        "statistics": with_statistics,
        "formula": lambda x: xt.cross_entropy(x, LABELS, backend="torch"),
        "nll_loss": lambda x: xt.nll_loss(xt.log_softmax(x, 1), LABELS, weight),
        "softmax": lambda x: xt.softmax(x, 1) + xt.softmax(x, 0),
        "logsigmoid": xt.logsigmoid,
        "bce_logits": lambda x: xt.binary_cross_entropy_with_logits(x, MIXTURE, weight, pos_weight=weight),
        "bce": lambda x: xt.binary_cross_entropy(torch.sigmoid(x), MIXTURE, reduction="sum"),
        "kl_div": lambda x: xt.kl_div(xt.log_softmax(x, 1), MIXTURE, reduction="batchmean"),
        "kl_div_log": lambda x: xt.kl_div(xt.log_softmax(x, 1), MIXTURE.log(), reduction="none", log_target=True),
        "mse_loss": lambda x: xt.mse_loss(x, MIXTURE) + xt.mse_loss(x, MIXTURE, weight=MIXTURE),
        "gaussian_nll": lambda x: xt.gaussian_nll_loss(x, MIXTURE, x.exp(), full=True),
    }


LOSSES = losses()
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No graph of another test."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def both(function: Callable[..., Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Value, and gradient of its sum."""
    leaf = x.detach().clone().requires_grad_()
    value = function(leaf)
    (found,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), found


@every_loss
def test_a_compiled_model_gives_the_numbers_of_an_eager_one(loss: Callable[[Tensor], Tensor]) -> None:
    def model(x: Tensor) -> Tensor:
        return loss(2.0 * x)

    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert_close(both(compiled, X), both(model, X))
    with torch.no_grad():
        assert_close(compiled(X), model(X))


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="inductor needs a C++ compiler")
def test_inductor_gives_the_numbers_of_an_eager_model() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    x, y = numbers(5, 3).float(), MIXTURE

    def loss(x: Tensor) -> Tensor:
        logits = model(x)
        row = xt.cross_entropy(logits, LABELS, label_smoothing=0.1, reduction="none")
        return row.mean() + xt.binary_cross_entropy_with_logits(logits, y) + xt.softmax(logits, 1).square().sum()

    assert_close(both(torch.compile(loss, fullgraph=True), x), both(loss, x))


def test_a_compiled_module_trains_as_an_eager_one() -> None:
    def weights(compiled: bool) -> Tensor:
        torch.manual_seed(0)
        model, loss = nn.Linear(3, 4), xt.CrossEntropyLoss(weight=WEIGHT.float(), label_smoothing=0.1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        step: Any = lambda x: loss(model(x), LABELS)  # noqa: E731
        step = torch.compile(step, fullgraph=True, backend="aot_eager") if compiled else step
        for _ in range(4):
            optimizer.zero_grad()
            step(numbers(5, 3).float()).backward()
            optimizer.step()
        return model.weight.detach()

    assert_close(weights(True), weights(False))


OF_ANY_SIZE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": lambda x, y: xt.cross_entropy(x, y, label_smoothing=0.1),
    "module": lambda x, y: CRITERION(x, y),
    "nll_loss": lambda x, y: xt.nll_loss(xt.log_softmax(x, 1), y),
    "bce_logits": lambda x, y: xt.binary_cross_entropy_with_logits(x, torch.softmax(x.detach(), 1)),
    "kl_div": lambda x, y: xt.kl_div(xt.log_softmax(x, 1), torch.softmax(x.detach(), 0), reduction="batchmean"),
    "mse_loss": lambda x, y: xt.mse_loss(x, torch.sigmoid(x)),
    "gaussian_nll": lambda x, y: xt.gaussian_nll_loss(x, torch.sigmoid(x), x.exp(), full=True),
    "gaussian_nll_of_one_variance": lambda x, y: xt.gaussian_nll_loss(x, torch.sigmoid(x), 1.5),
}
CRITERION = xt.CrossEntropyLoss(weight=WEIGHT.float(), z_loss=0.01)


@pytest.mark.parametrize(("name", "dynamic"), [*((name, True) for name in OF_ANY_SIZE), ("module", None), ("kl_div", None)])
def test_changing_batch_sizes_are_not_compiled_each_anew(name: str, dynamic: bool | None) -> None:
    """Again for as many rows as classes, and where PyTorch must see a second size to know that it changes."""
    loss, counter = OF_ANY_SIZE[name], CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(loss, fullgraph=True, dynamic=dynamic, backend=counter)
    for rows in (3, 4, 5, 8, 13):
        x, y = numbers(rows, 4).float(), torch.arange(rows) % 4
        assert_close(compiled(x, y), loss(x, y))
    assert counter.frame_count <= (2 if dynamic else 3)


def test_a_compiled_backward_pass_takes_batches_of_changing_size() -> None:
    loss = torch.compile(lambda x, y: xt.cross_entropy(2.0 * x, y), fullgraph=True, dynamic=True, backend="aot_eager")
    for rows in (3, 8, 5):
        y = torch.arange(rows) % 4
        found, expected = (both(lambda x: f(x, y), numbers(rows, 4)) for f in (loss, lambda x, y: xt.cross_entropy(2.0 * x, y)))  # noqa: B023
        assert_close(found, expected)


def test_a_bad_label_is_named_by_a_compiled_model() -> None:
    loss = torch.compile(lambda x, y: xt.cross_entropy(2.0 * x, y), fullgraph=True, backend="aot_eager")
    with pytest.raises(LabelError, match="row 2 holds 4"):
        loss(X, torch.tensor([0, 1, 4, 2, 3]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_dtypes_are_announced_as_they_come(dtype: torch.dtype) -> None:
    x = numbers(5, 4).to(dtype)
    for loss in (lambda z: xt.cross_entropy(z, LABELS), lambda z: xt.softmax(z, 1), lambda z: xt.mse_loss(z, MIXTURE.to(dtype))):
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        assert_close(both(compiled, x), both(loss, x))


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_mixture", "bce_logits", "mse_loss", "gaussian_nll"])
def test_compiled_transforms_give_the_numbers_of_eager_ones(name: str) -> None:
    slope = torch.func.grad(ONE_NUMBER[name].ours)
    compiled = torch.compile(slope, fullgraph=True, backend="aot_eager")
    assert_close(compiled(ONE_NUMBER[name].x), slope(ONE_NUMBER[name].x))


def test_compiled_forward_mode_and_second_derivatives() -> None:
    pair = ONE_NUMBER["cross_entropy"]
    along = torch.compile(lambda x: torch.func.jvp(pair.ours, (x,), (X.double(),)), fullgraph=True, backend="aot_eager")
    assert_close(along(pair.x), torch.func.jvp(pair.theirs, (pair.x,), (X.double(),)))
    hessian = torch.compile(torch.func.hessian(pair.ours), fullgraph=True, backend="aot_eager")
    assert_close(hessian(pair.x), torch.func.hessian(pair.theirs)(pair.x))


def test_a_second_backward_pass_through_a_compiled_loss_is_refused_by_pytorch() -> None:
    x = X.clone().requires_grad_()
    loss = torch.compile(lambda z: xt.cross_entropy(z, LABELS), fullgraph=True, backend="aot_eager")(x)
    (slope,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        slope.sum().backward()


def test_under_autocast_a_compiled_loss_reads_what_a_layer_gives() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(3, 4), numbers(5, 3).float()

    def loss(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return xt.cross_entropy(layer(x), LABELS)

    assert_close(both(torch.compile(loss, fullgraph=True, backend="aot_eager"), x), both(loss, x))


def test_compiled_per_example_gradients() -> None:
    slopes = torch.func.vmap(torch.func.grad(lambda row, label: xt.cross_entropy(row, label)))
    labels = LABELS.clamp(min=0)
    assert_close(torch.compile(slopes, fullgraph=True, backend="aot_eager")(X, labels), slopes(X, labels))


class Model(nn.Module):
    """A layer and its losses."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.loss = nn.Linear(3, 4), xt.CrossEntropyLoss(weight=WEIGHT.float())

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.layer(x)
        return self.loss(logits, y), xt.log_softmax(logits, 1)


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_model_computes_the_same_for_any_number_of_rows(strict: bool) -> None:
    model, rows = Model(), torch.export.Dim("rows", min=2, max=64)
    exported = torch.export.export(model, (numbers(5, 3).float(), LABELS), dynamic_shapes=({0: rows}, {0: rows}), strict=strict)
    assert "xent.cross_entropy.default" in {str(node.target) for node in exported.graph.nodes}
    file = io.BytesIO()
    torch.export.save(exported.run_decompositions(), file)
    file.seek(0)
    again = torch.export.load(file).module()
    for count in (5, 9):
        inputs = numbers(count, 3, seed=count).float(), torch.arange(count) % 4
        assert_close(exported.module()(*inputs), model(*inputs))
        assert_close(again(*inputs), model(*inputs))


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_a_trace_computes_the_same(mode: Any) -> None:
    for name in ("cross_entropy", "nll_loss", "bce_logits", "kl_div", "mse_loss", "gaussian_nll", "softmax", "logsigmoid"):
        pair = TWINS[name]
        traced = make_fx(pair.ours, tracing_mode=mode, _allow_non_fake_inputs=True)(pair.x)
        other = pair.x * 0.5
        assert_close(traced(other), pair.ours(other))


@pytest.mark.parametrize("pair", TWINS.values(), ids=TWINS)
def test_shapes_alone_are_those_of_pytorch(pair: Twins) -> None:
    for dtype in (torch.float32, torch.float64):
        x = pair.x.to(dtype)
        expected = pair.theirs(x)
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            fake = pair.ours(mode.from_tensor(x))
        assert (fake.shape, fake.dtype, fake.stride()) == (expected.shape, expected.dtype, expected.stride())


def test_meta_tensors_have_shapes_and_gradients() -> None:
    x = torch.empty(5, 4, 3, device="meta", requires_grad=True)
    y = torch.empty(5, 3, dtype=torch.long, device="meta")
    for reduction, shape in (("mean", ()), ("none", (5, 3))):
        loss = xt.cross_entropy(x, y, reduction=reduction)
        assert (loss.device.type, loss.shape, loss.dtype) == ("meta", shape, torch.float32)
        (found,) = torch.autograd.grad(loss.sum(), x)
        assert (found.device.type, found.shape) == ("meta", x.shape)
    _, rows = xt.cross_entropy(x, y, return_stats=True)
    assert {part.shape for part in rows} == {y.shape}
    assert rows.rank.dtype == torch.int64
