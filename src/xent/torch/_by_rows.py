"""A function of rows, computed a chunk of rows at a time; so is each of its derivatives, and nothing of a chunk outlives it.

The derivative of such a map is such a map: it takes the old arguments and a cotangent for each output (or a tangent for each
argument) and computes a chunk anew. `_ByRows` states this once for each transform, so that every order and mixture of reverse
mode, forward mode and vmap goes chunk by chunk, and autograd keeps the arguments alone.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch._functorch.eager_transforms import jvp_increment_nesting
from torch.autograd import forward_ad

Arguments: TypeAlias = Sequence[Tensor | None]
"""The tensors of a call; None where one is left out."""
Results: TypeAlias = tuple[Tensor, ...]
RowFunction: TypeAlias = Callable[..., Results]


@dataclass(frozen=True)
class RowMap:
    """A function that treats each row by itself."""

    fn: RowFunction
    """Of tensors, in torch operators: the arguments at a chunk of rows -> its outputs."""
    sliced: tuple[bool, ...]
    """For each argument, whether its axis 0 is the rows; the others are shared by all of them."""
    rowwise: tuple[bool, ...]
    """For each output, whether its axis 0 is the rows; the others are summed over the chunks."""
    chunk: int
    """Rows a chunk; fewer under vmap, so that a chunk of a batch takes no more memory."""


def by_rows(rows: RowMap, *tensors: Tensor | None) -> Results:
    """``rows.fn(*tensors)``, a chunk at a time, differentiable to any order by any transform.

    Without rows, the function sees an empty chunk once; what is summed is 0.
    Autocast is off inside, or a derivative would be computed in another precision than its value: cast before.
    Sums of half precision are held in float32 and rounded once.
    """
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        # A trace has no loop over rows whose number it does not know, and no functions of Python.
        return rows.fn(*tensors)
    if torch.compiler.is_compiling():
        # Dynamo follows no autograd function that has a `jvp`; it would trace what is inside piece by piece instead.
        eagerly: Any = torch.compiler.disable(_by_rows)
        return eagerly(rows, tensors)
    return _by_rows(rows, tensors)


def _by_rows(rows: RowMap, tensors: Arguments) -> Results:
    """The map of tensors of any kind."""
    if any(map(_is_legacy_batch, tensors)):
        return _by_rows_of_batch(rows, tensors, _legacy_level())
    return cast(Results, _ByRows.apply(rows, *tensors))  # pyright: ignore[reportUnknownMemberType]


class _ByRows(torch.autograd.Function):
    """Computes a map and knows which map each of its transforms is."""

    @staticmethod
    def forward(rows: RowMap, *tensors: Tensor | None) -> Results:
        """Chunk by chunk; nothing is recorded."""
        with _undisturbed(tensors):
            return _chunked(rows, tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Results) -> None:
        """Keeps the arguments."""
        rows, *tensors = inputs
        ctx.rows, ctx.floats = rows, tuple(o.is_floating_point() for o in output)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients where needed, by the map of cotangents."""
        needed = ctx.needs_input_grad[1:]
        if all(u is None for u in upstream):
            return (None,) * (1 + len(needed))
        found = iter(by_rows(_pulled(ctx.rows, needed), *ctx.saved_tensors, *upstream))
        return (None, *(next(found) if need else None for need in needed))

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """Tangents of the outputs that have one, by the map of tangents."""
        if not any(ctx.floats):
            return (None,) * len(ctx.floats)
        found = iter(by_rows(_pushed(ctx.rows, ctx.floats), *ctx.saved_tensors, *tangents[1:]))
        return tuple(next(found) if is_float else None for is_float in ctx.floats)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *operands: Any) -> tuple[Results, tuple[int, ...]]:
        """The batch follows the rows where there are rows, and is first elsewhere."""
        rows, *tensors = operands
        wide, moved = _batched(rows, tensors, in_dims[1:], info.batch_size)
        return by_rows(wide, *moved), tuple(map(int, rows.rowwise))


def _pulled(rows: RowMap, needed: tuple[bool, ...]) -> RowMap:
    """The map of arguments and cotangents of outputs to the gradients where needed: summed where an argument is shared."""
    places = [place for place, need in enumerate(needed) if need]

    def pull(*tensors: Tensor | None) -> Results:
        arguments, upstream = tensors[: len(needed)], tensors[len(needed) :]

        def outputs(*chosen: Tensor) -> Results:
            found = rows.fn(*_replaced(arguments, places, chosen))
            return tuple(o for o, u in zip(found, upstream, strict=True) if u is not None)

        pullback: Any = torch.func.vjp(outputs, *(arguments[place] for place in places))[1]
        # It is called once: what it has used of the chunk may go at once.
        return pullback(tuple(u for u in upstream if u is not None), retain_graph=False)

    return RowMap(pull, rows.sliced + rows.rowwise, tuple(rows.sliced[place] for place in places), rows.chunk)


def _pushed(rows: RowMap, floats: tuple[bool, ...]) -> RowMap:
    """The map of arguments and their tangents to the tangents of those outputs that are floats."""
    count = len(rows.sliced)

    def push(*tensors: Tensor | None) -> Results:
        arguments, tangents = tensors[:count], tensors[count:]
        places = [place for place, tangent in enumerate(tangents) if tangent is not None]

        def outputs(*chosen: Tensor) -> Results:
            found = rows.fn(*_replaced(arguments, places, chosen))
            return tuple(o for o, is_float in zip(found, floats, strict=True) if is_float)

        at = tuple(a for a, tangent in zip(arguments, tangents, strict=True) if a is not None and tangent is not None)
        return _tangents(outputs, at, tuple(tangent for tangent in tangents if tangent is not None))

    kept = tuple(by_row for by_row, is_float in zip(rows.rowwise, floats, strict=True) if is_float)
    return RowMap(push, rows.sliced * 2, kept, rows.chunk)


def _batched(rows: RowMap, tensors: Arguments, dims: Sequence[int | None], size: int) -> tuple[RowMap, list[Tensor | None]]:
    """The map of many maps at once, and its arguments; so many fewer rows a chunk, but one at least."""
    places = [None if dim is None else int(cut) for dim, cut in zip(dims, rows.sliced, strict=True)]
    moved = [
        t if t is None or dim is None or place is None else t.movedim(dim, place)
        for t, dim, place in zip(tensors, dims, places, strict=True)
    ]
    inner = torch.func.vmap(rows.fn, tuple(places))

    def fn(*tensors: Tensor | None) -> Results:
        # An output that no batch has reached is repeated, which PyTorch does rightly for a batch that comes first alone.
        return tuple(o.movedim(0, int(by_row)) for o, by_row in zip(inner(*tensors), rows.rowwise, strict=True))

    return RowMap(fn, rows.sliced, rows.rowwise, max(1, rows.chunk // max(1, size))), moved


def _replaced(arguments: Arguments, places: Sequence[int], chosen: Sequence[Tensor]) -> list[Tensor | None]:
    """The arguments, with others at some places."""
    full = list(arguments)
    for place, tensor in zip(places, chosen, strict=True):
        full[place] = tensor
    return full


class _Total:
    """An output of all rows, as its parts come in."""

    def __init__(self, part: Tensor, by_row: bool, count: int) -> None:
        self.by_row, self.count, self.dtype = by_row, count, part.dtype
        # A part may be an argument, or a view of one: the total has memory of its own.
        if by_row:
            self.memory = part.new_empty((count, *part.shape[1:]))
        else:
            half = part.dtype in (torch.float16, torch.bfloat16)
            self.memory = torch.zeros_like(part, dtype=torch.float32 if half else part.dtype)

    def enter(self, part: Tensor, start: int) -> None:
        """Writes rows to their place, or adds to the sum."""
        if self.by_row:
            self.memory.narrow(0, start, part.shape[0]).copy_(part)
        elif self.count:
            self.memory.add_(part)


def _chunked(rows: RowMap, tensors: Arguments) -> Results:
    """The map, chunk by chunk."""
    count = next(t.shape[0] for t, cut in zip(tensors, rows.sliced, strict=True) if cut and t is not None)
    totals: list[_Total] = []
    for start in range(0, count, rows.chunk) or (0,):
        size = min(rows.chunk, count - start)
        chunk = [t.narrow(0, start, size) if cut and t is not None else t for t, cut in zip(tensors, rows.sliced, strict=True)]
        # No name here holds the parts while the next are computed.
        _enter(rows.fn(*chunk), totals, rows, start, count)
    return tuple(total.memory.to(total.dtype) for total in totals)


def _enter(parts: Results, totals: list[_Total], rows: RowMap, start: int, count: int) -> None:
    """Takes up what a chunk gave."""
    if not totals:
        totals += [_Total(part, by_row, count) for part, by_row in zip(parts, rows.rowwise, strict=True)]
    for total, part in zip(totals, parts, strict=True):
        total.enter(part, start)


@contextmanager
def _undisturbed(tensors: Arguments) -> Generator[None]:
    """Free of autocast, and of hooks on saved tensors: they are for what outlives a call, and `torch.func.vjp` refuses them."""
    device = next(t.device.type for t in tensors if t is not None)
    autograd: Any = getattr(torch._C, "_autograd")  # noqa: B009 - PyTorch's stubs do not name it
    with ExitStack() as stack:
        if torch.amp.is_autocast_available(device):
            stack.enter_context(torch.autocast(device, enabled=False))
        while (hooks := autograd._top_saved_tensors_default_hooks(True)) is not None:
            autograd._pop_saved_tensors_default_hooks()
            stack.callback(autograd._push_saved_tensors_default_hooks, *hooks)
        yield


def _tangents(fn: RowFunction, at: Results, along: Results) -> Results:
    """The directional derivative of a function.

    `torch.func.jvp` opens a level of dual tensors unless it is nested; where a caller has opened one, PyTorch refuses the second.
    """
    if forward_ad._current_level < 0:
        return cast(Results, torch.func.jvp(fn, at, along)[1])
    functorch: Any = getattr(torch._C, "_functorch")  # noqa: B009 - PyTorch's stubs do not name it
    with jvp_increment_nesting() as level:
        return tuple(functorch._unwrap_for_grad(t, level) for t in torch.func.jvp(fn, at, along)[1])


def _is_legacy_batch(tensor: Tensor | None) -> bool:
    """Whether it is a batch of the older vmap, behind ``is_grads_batched``, which autograd functions do not hear of."""
    functorch: Any = getattr(torch._C, "_functorch")  # noqa: B009 - PyTorch's stubs do not name it
    return tensor is not None and functorch.is_legacy_batchedtensor(tensor)


def _legacy_level() -> int:
    """How deep the older vmap is nested."""
    core: Any = torch._C
    core._vmapmode_increment_nesting()
    return core._vmapmode_decrement_nesting()


def _by_rows_of_batch(rows: RowMap, tensors: Arguments, level: int) -> Results:
    """The map of what batches of the older vmap hold; from its innermost level outwards."""
    core: Any = torch
    legacy = [_is_legacy_batch(t) for t in tensors]
    if not any(legacy):
        return by_rows(rows, *tensors)
    # What has no batch at this level comes back with one of size 1, which is as good as none.
    bare: list[Any] = [core._remove_batch_dim(t, level, 1, 0) if old else t for t, old in zip(tensors, legacy, strict=True)]
    size = next((t.shape[0] for t, old in zip(bare, legacy, strict=True) if old and t.shape[0] != 1), None)
    dims = [0 if old and t.shape[0] == size else None for t, old in zip(bare, legacy, strict=True)]
    bare = [t.squeeze(0) if old and dim is None else t for t, old, dim in zip(bare, legacy, dims, strict=True)]
    if size is None:
        return _by_rows_of_batch(rows, bare, level - 1)
    found = _by_rows_of_batch(*_batched(rows, bare, dims, size), level - 1)
    # Forward mode lays a tangent out anew, for which the batch must come first in memory.
    return tuple(
        core._add_batch_dim(t.movedim(int(by_row), 0).contiguous(), 0, level)
        for t, by_row in zip(found, rows.rowwise, strict=True)
    )
