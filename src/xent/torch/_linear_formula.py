"""Linear cross-entropy in torch operators, a chunk of rows at a time, to any order and under any transform."""

from typing import NamedTuple

import torch
from torch import Tensor

from xent.torch import _formula
from xent.torch._by_rows import Results, RowMap, by_rows

CHUNK_NUMBERS = 1 << 23
"""Logits of a chunk, where no number of rows is given."""
_SLICED = (True, True, True, True, False, False, False)
"""Hidden states, target, its few classes and row weights go by rows; classifier, bias and class weights are shared."""


class Goal(NamedTuple):
    """Targets of flat rows."""

    target: Tensor
    """[N] indices, [N, C] probabilities, or [N, k] probabilities of few classes."""
    few: Tensor | None
    """[N, k] classes."""
    sample_weight: Tensor | None
    """[N]; 0 where a row does not count."""

    @property
    def indices(self) -> bool:
        """Whether the target holds class indices."""
        return self.few is None and not self.target.is_floating_point()


class Layer(NamedTuple):
    """What is shared by all rows."""

    classifier: Tensor
    bias: Tensor | None
    weight: Tensor | None


def rows(hidden: Tensor, goal: Goal, layer: Layer, o: _formula.Options, chunk: int | None, *, statistics: bool) -> Results:
    """Of each of N rows its loss and its weight in a mean; where asked also lse, log-probability, entropy and rank."""
    double = torch.float64 in (hidden.dtype, layer.classifier.dtype)
    dtype = torch.float64 if double else torch.float32

    def part(hidden: Tensor, *others: Tensor | None) -> Results:
        target, few, sample, classifier, bias, weight = others
        assert target is not None
        assert classifier is not None
        mine = Goal(target, few, sample)
        silent = _silent(mine, weight, o)
        if silent is not None:
            hidden = hidden.masked_fill(silent.unsqueeze(1), 0.0)
        logits = torch.nn.functional.linear(hidden.to(dtype), classifier, bias)
        return _told(logits, mine, weight, o, silent)[: 6 if statistics else 2]

    # What all chunks share is widened before: the sum of its gradients is rounded once.
    layer = Layer(*(None if shared is None else shared.to(dtype) for shared in layer))  # pyright: ignore[reportArgumentType]
    size = chunk or max(1, CHUNK_NUMBERS // max(1, len(layer.classifier)))
    return by_rows(RowMap(part, _SLICED, (True,) * (6 if statistics else 2), size), hidden, *goal, *layer)


def shifted(goal: Goal, lead: torch.Size, shift: int, ignore_index: int) -> Goal:
    """Targets of rows [..., T] as flat rows see them: so many positions ahead, and none at the end of a sequence."""
    target, few, sample = goal
    if shift:
        ahead, axis = min(shift, lead[-1]), len(lead) - 1
        if goal.indices:
            target = _ahead(target.long(), axis, ahead, ignore_index)
        else:
            sample = torch.ones(lead, dtype=_formula.wide(target).dtype, device=target.device) if sample is None else sample
            target = _ahead(target, axis, ahead, 0)
        few = None if few is None else _ahead(few, axis, ahead, 0)
        sample = None if sample is None else _ahead(sample, axis, ahead, 0)
    number = lead.numel()
    few = None if few is None else few.reshape(number, few.shape[-1])
    sample = None if sample is None else sample.reshape(number)
    return Goal(target.reshape(number, *target.shape[len(lead) :]), few, sample)


def _ahead(x: Tensor, axis: int, ahead: int, fill: int) -> Tensor:
    """What stands so many places ahead, and a number where nothing does."""
    rest = x.narrow(axis, ahead, x.shape[axis] - ahead)
    return torch.cat([rest, torch.full_like(x.narrow(axis, 0, ahead), fill)], axis)


def _silent(goal: Goal, weight: Tensor | None, o: _formula.Options) -> Tensor | None:
    """Which rows do not count, whatever their hidden states hold."""
    silent = None if goal.sample_weight is None else goal.sample_weight == 0
    if not goal.indices:
        return silent
    ignored = goal.target == o.ignore_index
    if weight is not None and not o.label_smoothing:
        ignored = ignored | (weight[goal.target.long().masked_fill(ignored, 0)] == 0)
    return ignored if silent is None else ignored | silent


def _told(logits: Tensor, goal: Goal, weight: Tensor | None, o: _formula.Options, silent: Tensor | None) -> Results:
    """What `rows` says, of logits."""
    target = goal.target
    if goal.few is not None:
        target = torch.zeros_like(logits).scatter_add(1, goal.few.long(), target.to(logits.dtype))
    found = _formula.rows_of(logits, target, weight, o)
    values, weights = _formula.loss_rows(found, o), torch.ones_like(found.lse.detach())
    if goal.indices and found.weight is not None:
        weights = found.weight
    if found.counted is not None:
        weights = torch.where(found.counted, weights, weights.new_zeros(()))
    if goal.sample_weight is not None:
        sample = goal.sample_weight.to(values.dtype)
        values, weights = _formula.times(sample, values), sample * weights
    mute = torch.zeros_like(values, dtype=torch.bool) if silent is None else silent
    floats = (part.masked_fill(mute, 0.0) for part in (found.lse, 0.0 - found.surprisal, _formula.entropy_of(found, 1)))
    return values, weights, *floats, _rank(found, goal, mute)


def _rank(found: _formula.Rows, goal: Goal, mute: Tensor) -> Tensor:
    """How many classes score above the label."""
    if not goal.indices:
        return torch.full_like(mute, -1, dtype=torch.int64)
    z = found.z.detach()
    here = z.gather(1, goal.target.long().masked_fill(mute, 0).unsqueeze(1))
    return (z > here).sum(1).masked_fill(found.lse.detach().isnan(), z.shape[1]).masked_fill(mute, -1)
