"""From predictions to what is known of each row: loss, Brier score, entropy, confidence, leader and rank.

Compiled code visits each number once or twice, in float64; no copy of the predictions is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from xent.evaluate.state.exact import UNIT_BITS, ExactSums
from xent.evaluate.state.spec import Spec
from xent.kernels import tally
from xent.kernels.cpu.threads import for_each, get_num_threads

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

KINDS = {"logits": tally.LOGITS, "log-probs": tally.LOG_PROBS, "probs": tally.PROBS}
BLOCK = 1 << 22
"""Numbers of a block."""
LEAST = 5e-324
"""The least float64 above 0."""
SUM_TOLERANCE = {"float16": 2e-3, "float32": 2e-5, "float64": 1e-6}
"""How far the probabilities of a row may sum from 1: what rounding, and printing six digits, leave."""


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
    numbers, places, unfit = np.empty((5, n)), np.empty((2, n), np.int64), np.empty(n, np.bool_)
    shares, columns = _shares(n), values.T
    binned = [_Bins(spec) for _ in shares] if spec.binned else []
    slack = np.inf if spec.kind == "logits" else sum_tolerance(spec, values)

    def work(number: int) -> None:
        judge = binned[number].judge if binned else tally.judge
        for at in _blocks(shares[number], spec.n_classes):
            shown = None if weight is None else weight[at]
            rows = tally.Predictions(columns[:, at], KINDS[spec.kind], target[at], shown, slack)
            judge(rows, numbers[:, at], places[:, at], unfit[at])

    for_each(work, range(len(shares)))
    judged = Judged(numbers[tally.NATS], unfit, *numbers[: tally.NATS], *places)
    return judged, _together([bins.sums for bins in binned])


def sum_tolerance(spec: Spec, values: npt.NDArray[Any]) -> float:
    """How far the probabilities of a row may sum from 1."""
    return SUM_TOLERANCE[values.dtype.name] if spec.sum_tolerance is None else spec.sum_tolerance


def judged_targets(log_probs: npt.NDArray[Any]) -> Judged:
    """Of the target's log-probability [N] alone: its loss; nothing else is known."""
    nats, none, nowhere = 0.0 - np.asarray(log_probs, np.float64), np.zeros(0), np.zeros(0, np.int64)
    return Judged(nats, ~(nats >= 0.0), none, none, none, none, nowhere, nowhere)


def _shares(n: int) -> list[slice]:
    """Consecutive rows, a share for each thread."""
    edges = np.linspace(0, n, get_num_threads() + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges) if stop > start]


def _blocks(share: slice, n_classes: int) -> list[slice]:
    """A share in pieces whose sums fit, and whose copies, where there must be any, are small."""
    step = max(1, min(tally.MOST_HELD, BLOCK // n_classes))
    return [slice(start, min(start + step, share.stop)) for start in range(share.start, share.stop, step)]


class _Bins:
    """Probabilities of every class by bins of equal width, gathered by one thread."""

    def __init__(self, spec: Spec) -> None:
        """Nothing yet."""
        self.bins, self.n = spec.bins, spec.n_classes * spec.bins
        self.sums = Binned(ExactSums(self.n), ExactSums(self.n))

    def judge(self, rows: tally.Predictions, numbers: Floats, places: Indices, unfit: npt.NDArray[np.bool_]) -> None:
        """Judge some rows, and add their probabilities; one that weighs nothing else weighs 1."""
        probability, weight, held = ExactSums(self.n), ExactSums(self.n), np.zeros((self.n, 3), np.int64)
        heaviest = 1.0 if rows.weight is None else max(1.0, rows.weight.max(initial=0.0))
        # Memory of limbs is taken where they are written: mostly nowhere.
        probability.reach(np.array([LEAST, 2.0 * heaviest]))
        if rows.weight is not None:
            weight.reach(rows.weight)
        used = tally.judge(rows, numbers, places, unfit, tally.Bins(self.bins, held, probability.parts, weight.parts))
        for sums, whole in ((self.sums.probability, probability), (self.sums.weight, weight)):
            if used:
                whole.settle()
                sums.merge(whole)
        self.sums.probability.add_whole(held[:, tally.FIRST], tally.FIRST_PLACE)
        self.sums.probability.add_whole(held[:, tally.SECOND], tally.SECOND_PLACE)
        self.sums.weight.add_whole(held[:, tally.COUNT], UNIT_BITS)


def _together(parts: list[Binned]) -> Binned | None:
    """The sums of all threads."""
    if not parts:
        return None
    whole, *rest = parts
    for part in rest:
        whole.probability.merge(part.probability)
        whole.weight.merge(part.weight)
    return whole
