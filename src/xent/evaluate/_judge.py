"""From predictions to what is known of each row: loss, Brier score, entropy, confidence, leader and rank.

Blocks of a few thousand rows are widened to float64 and stay in the cache; no second copy of the predictions is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from xent.evaluate._exact import ExactSums
from xent.evaluate._normalise import normalised
from xent.evaluate._spec import Kind, Spec
from xent.kernels import tally
from xent.kernels.cpu.threads import for_each, get_num_threads

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

BLOCK = 1 << 16
"""Numbers of a block: three times 512 KiB in float64."""
SUM_TOLERANCE = {"float16": 2e-3, "float32": 2e-5, "float64": 1e-6}
"""How far the probabilities of a row may sum from 1: what rounding, and printing six digits, leave."""
ROUNDING = max(SUM_TOLERANCE.values())


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of each row, [N]; at rows whose target is -1, and at unfit ones, anything."""

    nats: Floats
    unfit: npt.NDArray[np.bool_]
    """Rows that hold NaN or no finite score, or that are no distribution where they are declared to be one."""
    brier: Floats
    entropy: Floats
    confidence: Floats
    """The probability of the class that leads."""
    own: Floats
    """The probability of the target."""
    predicted: Indices
    rank: Indices
    """How many classes stand before the target: greater, or equal and earlier."""


@dataclass(frozen=True, slots=True)
class Binned:
    """Of each class and bin of its probability: exact sums [C·bins] of probability and of weight."""

    probability: ExactSums
    weight: ExactSums


def judged(spec: Spec, values: npt.NDArray[Any], target: Indices, weight: Floats | None) -> tuple[Judged, Binned | None]:
    """Judge predictions [N, C]; rows with target -1 are passed over whatever they hold."""
    n = len(target)
    numbers, places, nats, unfit = np.zeros((6, n)), np.zeros((2, n), np.int64), np.zeros(n), np.zeros(n, np.bool_)
    shares = _shares(n)
    binned = [_Bins(spec) if spec.binned else None for _ in shares]
    slack = np.inf if spec.kind == "logits" else sum_tolerance(spec, values)

    def work(number: int) -> None:
        bins = binned[number]
        for rows in _blocks(shares[number], spec.n_classes):
            scores, log_probs, probs, nats[rows] = _read(spec.kind, values[rows].T, target[rows])
            tally.judge(scores, log_probs, probs, target[rows], numbers[:, rows], places[:, rows])
            unfit[rows] = _unfit(nats[rows], numbers[tally.SUM, rows], numbers[tally.LEAST, rows], slack) & (target[rows] >= 0)
            if bins is not None:
                bins.add(probs, np.where(unfit[rows], -1, target[rows]), None if weight is None else weight[rows])

    for_each(work, range(len(shares)))
    return Judged(nats, unfit, *numbers[: tally.SUM], *places), _together([bins for bins in binned if bins is not None])


def sum_tolerance(spec: Spec, values: npt.NDArray[Any]) -> float:
    """How far the probabilities of a row may sum from 1."""
    return SUM_TOLERANCE[values.dtype.name] if spec.sum_tolerance is None else spec.sum_tolerance


def _unfit(nats: Floats, total: Floats, least: Floats, slack: float) -> npt.NDArray[np.bool_]:
    """Rows without a loss, and those that are no distribution; NaN is unfit."""
    with np.errstate(invalid="ignore"):
        fit = (nats >= -slack) & (np.abs(total - 1.0) <= slack) & (least >= 0.0)
    return ~fit


def judged_targets(log_probs: npt.NDArray[Any]) -> Judged:
    """Of the target's log-probability [N] alone: its loss; nothing else is known."""
    nats, none, nowhere = 0.0 - np.asarray(log_probs, np.float64), np.zeros(0), np.zeros(0, np.int64)
    return Judged(nats, ~(nats >= 0.0), none, none, none, none, nowhere, nowhere)


def _shares(n: int) -> list[slice]:
    """Consecutive rows, a share for each thread."""
    edges = np.linspace(0, n, get_num_threads() + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges) if stop > start]


def _blocks(share: slice, n_classes: int) -> list[slice]:
    """A share in pieces that stay in the cache."""
    step = max(1, BLOCK // n_classes)
    return [slice(start, min(start + step, share.stop)) for start in range(share.start, share.stop, step)]


def _read(kind: Kind, values: npt.NDArray[Any], target: Indices) -> tuple[Floats, Floats, Floats, Floats]:
    """Scores, log-probabilities and probabilities [C, n] of a block, and the loss of its rows, in float64."""
    wide = np.ascontiguousarray(values, np.float64)
    if kind == "logits":
        log_probs, probs = normalised(wide)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            log_probs, probs = (wide, np.exp(wide)) if kind == "log-probs" else (np.log(wide), wide)
    # A probability above 1 by rounding, within the tolerance, costs nothing; beyond it the row is unfit.
    nats = 0.0 - log_probs[np.maximum(target, 0), np.arange(len(target))]
    nats = np.where((nats < 0.0) & (nats >= -ROUNDING), 0.0, nats)
    return wide, log_probs, probs, np.where(target < 0, 0.0, nats)


class _Bins:
    """Probabilities of every class by bins of equal width, gathered by one thread."""

    def __init__(self, spec: Spec) -> None:
        """Nothing yet."""
        self.bins, self.n = spec.bins, spec.n_classes * spec.bins
        self.probability, self.weight = ExactSums(self.n), ExactSums(self.n)
        self.counts = np.zeros(self.n, np.int64)

    def add(self, probs: Floats, target: Indices, weight: Floats | None) -> None:
        """Another block."""
        self.probability.reach(probs if weight is None else probs * weight)
        if weight is not None:
            self.weight.reach(weight)
        tally.add_by_class(probs, target, weight, self.probability.parts, self.weight.parts, self.counts)
        self.probability.settle()
        self.weight.settle()

    def done(self) -> Binned:
        """The sums; without weights a row weighs 1."""
        self.weight.add(self.counts.astype(np.float64), np.arange(self.n))
        return Binned(self.probability, self.weight)


def _together(parts: list[_Bins]) -> Binned | None:
    """The sums of all threads."""
    if not parts:
        return None
    whole = parts[0].done()
    for part in parts[1:]:
        other = part.done()
        whole.probability.merge(other.probability)
        whole.weight.merge(other.weight)
    return whole
