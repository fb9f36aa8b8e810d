"""The losses in torch operators alone: right on any device, to any order, under any transform; the truth for higher orders.

Every function takes and returns tensors and knows nothing of kernels. Where a value is infinite or undefined, the masked branch
is computed from a harmless number, so that no NaN reaches a derivative through ``0·inf``.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

INF = math.inf


def wide(x: Tensor) -> Tensor:
    """Half precision in float32; other floats as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def softplus(x: Tensor) -> Tensor:
    """``log(1 + e^x)``, right in both tails and in all derivatives."""
    return -logsigmoid(-x)


def logsumexp(z: Tensor, dim: int) -> Tensor:
    """``log Σ e^z``; −inf with derivative 0 where all are −inf."""
    empty = (z == -INF).all(dim, keepdim=True)
    return torch.logsumexp(z.masked_fill(empty, 0.0), dim).masked_fill(empty.squeeze(dim), -INF)


def transformed(x: Tensor, scale: float, softcap: float | None) -> Tensor:
    """``softcap·tanh(scale·x / softcap)``; an infinite x stays infinite."""
    z = x if scale == 1.0 else x * scale
    if softcap is None:
        return z
    infinite = z.isinf()
    return torch.where(infinite, z.detach(), softcap * torch.tanh(z.masked_fill(infinite, 0.0) / softcap))


def times(factor: Tensor, value: Tensor) -> Tensor:
    """``factor · value`` in which 0 times anything is 0."""
    mute = (factor == 0) & ~value.isfinite()
    return factor * value.masked_fill(mute, 0.0)


def poison(z: Tensor, dim: int) -> Tensor:
    """1 for each row, NaN where it holds NaN or +inf or nothing but −inf."""
    peak = z.amax(dim, keepdim=True)
    return torch.where(peak.isfinite(), torch.ones_like(peak), peak.new_full((), math.nan))


class Rows(NamedTuple):
    """What a row's loss is made of; each shaped like the rows, but for the logits."""

    z: Tensor
    """Logits less the greatest of their row, a constant that no derivative sees."""
    peak: Tensor
    excess: Tensor
    """``lse − peak``."""
    surprisal: Tensor
    smooth: Tensor | None
    counted: Tensor | None
    """Which rows count; None for all."""
    weight: Tensor | None
    """The class weight of an index target."""

    @property
    def lse(self) -> Tensor:
        """``log Σ_j e^z_j``."""
        return self.peak + self.excess


class Options(NamedTuple):
    """What changes a row's loss."""

    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    focal: float = 0.0
    softcap: float | None = None
    scale: float = 1.0


def rows_of(x: Tensor, target: Tensor, weight: Tensor | None, o: Options) -> Rows:
    """What `loss_rows` needs, for class indices or probabilities."""
    dim = min(x.ndim - 1, 1)
    x, weight = wide(x), None if weight is None else wide(weight).to(wide(x).dtype)
    label = ignored = row_weight = None
    if not target.is_floating_point():
        ignored = target == o.ignore_index
        label = target.long().masked_fill(ignored, 0)
        if weight is not None:
            row_weight = weight[label]
            # A row of weight 0 is an ignored row, unless smoothing still reads its other classes.
            ignored = ignored if o.label_smoothing else ignored | (row_weight == 0)
        x = x.masked_fill(ignored.unsqueeze(dim), 0.0)
    z, peak = _shifted(x, dim, o)
    best = z.detach().argmax(dim, keepdim=True)
    # The greatest z is 0 here; as a number that moves with the logits it belongs to the derivative.
    excess = z.gather(dim, best).squeeze(dim) + _from(z, best, dim)
    if label is not None:
        surprisal = _from(z, label.unsqueeze(dim), dim)
    else:
        goal = target.to(z.dtype) if weight is None else target.to(z.dtype) * _along(weight, z.ndim, dim)
        surprisal = times(goal, excess.unsqueeze(dim) - z).sum(dim)
    smooth = _smooth(z, excess, weight, dim) if o.label_smoothing else None
    return Rows(z, peak, excess, surprisal, smooth, None if ignored is None else ~ignored, row_weight)


def _shifted(x: Tensor, dim: int, o: Options) -> tuple[Tensor, Tensor]:
    """``z`` less its row's greatest, and that; a row without meaning is NaN in every number."""
    z = transformed(x * poison(transformed(x.detach(), o.scale, o.softcap), dim), o.scale, o.softcap)
    peak = z.detach().amax(dim, keepdim=True)
    return z - peak, peak.squeeze(dim)


def loss_rows(rows: Rows, o: Options) -> Tensor:
    """``w·((1−ε)·q^γ·s + ζ·lse²) + ε·smooth``; 0 where ignored."""
    value = focal(rows.surprisal, o.focal) if o.focal else rows.surprisal
    if o.label_smoothing:
        value = (1.0 - o.label_smoothing) * value if o.label_smoothing < 1.0 else torch.zeros_like(value)
    if o.z_loss:
        value = value + o.z_loss * rows.lse * rows.lse
    if rows.weight is not None:
        value = times(rows.weight, value)
    if rows.smooth is not None:
        value = value + o.label_smoothing * rows.smooth
    return value if rows.counted is None else torch.where(rows.counted, value, value.new_zeros(()))


def focal(surprisal: Tensor, gamma: float) -> Tensor:
    """``q^γ·s`` with ``q = 1 − e^−s``; where s is 0 or infinite it is s itself in value and slope."""
    edge = (surprisal == 0) | surprisal.isinf()
    s = surprisal.masked_fill(edge, 1.0)
    inside = torch.pow(-torch.expm1(-s), gamma) * s
    return torch.where(edge, torch.where(surprisal == 0, 0.0 * surprisal, surprisal), inside)


def entropy_of(rows: Rows, dim: int) -> Tensor:
    """``−Σ p·log p`` in nats."""
    log_p = rows.z - rows.excess.unsqueeze(dim)
    return -times(log_p.exp(), log_p).sum(dim)


def reduced(values: Tensor, weight_sum: Tensor, reduction: str, normalizer: float | None, empty: str) -> Tensor:
    """None, sum, or mean: Σ values over the weight or the normalizer; over nothing as ``empty`` says, with gradient 0."""
    if reduction == "none":
        return values
    total = summed(values)
    if reduction == "sum":
        return total.to(values.dtype)
    if normalizer is not None:
        return (total / normalizer).to(values.dtype)
    weight = weight_sum.to(total.dtype)
    nothing = weight == 0
    over_nothing = total.new_full((), 0.0 if empty == "zero" else math.nan)
    return torch.where(nothing, over_nothing, total / weight.masked_fill(nothing, 1.0)).to(values.dtype)


def number_of(values: Tensor) -> Tensor:
    """How many there are, as a tensor: `torch.jit.trace` would take a number for a constant."""
    return summed(torch.ones_like(values))


def summed(values: Tensor) -> Tensor:
    """Sum in float64, where the device has it."""
    return values.sum() if values.device.type == "mps" else values.sum(dtype=torch.float64)


def weight_sum(rows: Rows) -> Tensor:
    """Σ w over counted rows for class indices, N for probabilities."""
    if rows.counted is None:
        return number_of(rows.surprisal)
    if rows.weight is None:
        return rows.counted.sum()
    return summed(torch.where(rows.counted, rows.weight, rows.weight.new_zeros(())))


def _from(z: Tensor, place: Tensor, dim: int) -> Tensor:
    """``lse − z`` at one place of each row, as ``softplus(logsumexp of the others − z)``: keeps its digits where it leads."""
    others = logsumexp(z.scatter(dim, place, -INF), dim)
    return softplus(others - z.gather(dim, place).squeeze(dim))


def _smooth(z: Tensor, excess: Tensor, weight: Tensor | None, dim: int) -> Tensor:
    """``Σ_j (w_j/C)·(lse − z_j)``."""
    distance = excess.unsqueeze(dim) - z
    return distance.mean(dim) if weight is None else times(_along(weight, z.ndim, dim).expand_as(z), distance).mean(dim)


def _along(weight: Tensor, ndim: int, dim: int) -> Tensor:
    """[C] in the place of the class axis."""
    return weight.reshape(*(-1 if axis == dim else 1 for axis in range(ndim)))


def binary(x: Tensor, y: Tensor, weight: Tensor | None, pos_weight: Tensor | None) -> Tensor:
    """``w·(v·y·softplus(−x) + (1−y)·softplus(x))``; 0 times anything is 0."""
    x, y = wide(x), y.to(wide(x).dtype)
    yes = y if pos_weight is None else y * pos_weight.to(x.dtype)
    return weighted(lambda x: _muted(yes, -x) + _muted(1.0 - y, x), x, weight, (yes == 0) & (y == 1))


def weighted(loss: Callable[[Tensor], Tensor], x: Tensor, weight: Tensor | None, mute: Tensor | None = None) -> Tensor:
    """``w · loss(x)``; where w is 0, or told to be mute, what is not finite is computed from a harmless number and counts 0."""
    if weight is None and mute is None:
        return loss(x)
    value = loss(x.detach())
    silent = torch.zeros_like(value, dtype=torch.bool) if mute is None else mute
    silent = silent if weight is None else silent | (weight == 0)
    silent = silent & ~value.detach().isfinite()
    value = loss(x.masked_fill(silent, 0.5)).masked_fill(silent, 0.0)
    return value if weight is None else weight.to(x.dtype) * value


def _muted(factor: Tensor, x: Tensor) -> Tensor:
    """``factor·softplus(x)``; 0 where the factor is 0 and x infinite."""
    return factor * softplus(x.masked_fill((factor == 0) & x.isinf(), 0.0))


def binary_log_loss(p: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """``−w·(y·log p + (1−y)·log(1−p))``; 0 · inf is 0, and nothing is clipped."""
    p, y = wide(p), y.to(wide(p).dtype)
    no = 1.0 - y

    def loss(p: Tensor) -> Tensor:
        here = p.masked_fill((y == 0) & (p == 0), 1.0).log()
        return -y * here - no * torch.log1p(-p.masked_fill((no == 0) & (p == 1), 0.0))

    return weighted(loss, p, weight)


def divergence(log_p: Tensor, y: Tensor, log_target: bool) -> Tensor:
    """``y·(log y − log p)``; 0 where y is 0, NaN where it is negative."""
    log_p, y = wide(log_p), y.to(wide(log_p).dtype)
    if log_target:
        mute = (y == -INF) & ~log_p.isnan()
        log_y, log_p = y.masked_fill(mute, 0.0), log_p.masked_fill(mute, 0.0)
        return (log_y.exp() * (log_y - log_p)).masked_fill(mute, 0.0)
    y = y.masked_fill(y < 0, math.nan)
    return -torch.special.entr(y) - y * log_p.masked_fill((y == 0) & log_p.isinf(), 0.0)


def squared(x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """``w·(x − y)²``."""
    x, y = wide(x), y.to(wide(x).dtype)
    if weight is None:
        return torch.square(x - y)
    silent = (weight == 0) & ~(x - y).isfinite()
    return weight.to(x.dtype) * torch.square(x.masked_fill(silent, 0.0) - y.masked_fill(silent, 0.0))


def gaussian(mean: Tensor, y: Tensor, var: Tensor, constant: float) -> Tensor:
    """``½·(log var + (y − mean)²/var)`` and a constant."""
    mean, var = wide(mean), var.to(wide(mean).dtype)
    return 0.5 * (var.log() + torch.square(mean - y.to(mean.dtype)) / var) + constant


def picked(log_probs: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> tuple[Tensor, Tensor]:
    """``−w·log p`` at each row's label, and the weights; both 0 where ignored."""
    dim = min(log_probs.ndim - 1, 1)
    x = wide(log_probs)
    ignored = target == ignore_index
    label = target.long().masked_fill(ignored, 0)
    weights = torch.ones_like(label, dtype=x.dtype) if weight is None else weight.to(x.dtype)[label]
    weights = weights.masked_fill(ignored, 0.0)
    here = x.gather(dim, label.unsqueeze(dim)).squeeze(dim)
    return weights * -here.masked_fill(weights == 0, 0.0), weights


def log_softmax(x: Tensor, dim: int) -> Tensor:
    """``x − lse``, in the dtype of x."""
    return torch.log_softmax(wide(x), dim).to(x.dtype)


def softmax(x: Tensor, dim: int) -> Tensor:
    """``e^x / Σ e^x``, in the dtype of x."""
    return torch.softmax(wide(x), dim).to(x.dtype)


def log_sigmoid(x: Tensor) -> Tensor:
    """``−softplus(−x)``, in the dtype of x."""
    return logsigmoid(wide(x)).to(x.dtype)
