"""The target of a linear loss, and which rows count: those that do not are never multiplied."""

from typing import Any, NamedTuple

import numpy as np

from xent._calls import rows as _rows
from xent._check import linear as check
from xent._check.targets import distributions
from xent._check.tolerance import ROUNDING_UNIT, slack
from xent._errors import ShapeError
from xent._typing import Array, IndicesN, PerRow, RowMeasure
from xent.kernels.contract import Kernel
from xent.schedules.linear.head import SparseTarget


class Weights(NamedTuple):
    """What rows and classes weigh."""

    classes: Array | None
    """[C]."""
    rows: Array | None
    """[...], as the target lies."""
    smoothed: bool
    """Whether a row whose class weighs nothing still counts."""


class Goal(NamedTuple):
    """What the n rows that count aim at."""

    rows: IndicesN | None
    """[n] places among all N; None for all."""
    target: IndicesN | None = None
    probs: Array | None = None
    probs_rows: IndicesN | None = None
    """[n] places of their probabilities among all N; None for all."""
    sparse: SparseTarget | None = None
    """Of the rows that count, times class weights."""
    mass: Array | None = None
    """[N, k] probabilities of few classes as they were given."""
    class_weight: PerRow = 1.0
    """[n] of an index target."""
    sample_weight: PerRow = 1.0
    """[n]."""

    @property
    def weight_sum(self) -> float | None:
        """Σ of both over the rows; None where each is 1."""
        if isinstance(self.class_weight, float) and isinstance(self.sample_weight, float):
            return None
        with np.errstate(over="ignore"):
            both = self.class_weight * self.sample_weight
        return float(np.add.reduce(np.asarray(both)))


def read(target: Any, given: _rows.Input, ignore_index: int, shift: int, weights: Weights, target_as: str | None) -> Goal:
    """Class indices, probabilities of all classes, or a pair of few classes and their probabilities."""
    lead, number = given.row_shape, int(np.prod(given.row_shape))
    ahead = _ahead(lead, shift)
    if isinstance(target, tuple):
        classes, probs = check.sparse_pair(target, lead)  # pyright: ignore[reportUnknownArgumentType]
        few = check.sparse_classes(classes.reshape(number, classes.shape[-1]), given.classes)
        mass = probs.reshape(few.shape).astype(np.float64)
        goal = Goal(None, sparse=SparseTarget(few, mass), mass=mass)
    else:
        try:
            found = _rows.read_target(target, given, ignore_index, target_as)
        except ShapeError as error:
            raise check.without_class_axis(error, np.shape(target), lead, shift) from None
        goal = Goal(None, target=found.indices, probs=found.probs)
    return _counted(goal, ahead, number, weights)


def validate(goal: Goal, target: Any, kernel: Kernel, given: _rows.Input, how: str, target_as: str | None) -> None:
    """Probabilities of rows that count are distributions."""
    if how == "off":
        return
    meant = None
    if goal.probs_rows is not None:
        meant = np.zeros(int(np.prod(given.row_shape)), bool)
        meant[goal.probs_rows] = True
    if goal.probs is not None:
        name = target_as or _name(target)
        _rows.check_target_probs(kernel, _rows.Target(None, goal.probs, dtype=name), how, meant)
    elif goal.mass is not None:
        mass = goal.mass
        measured = RowMeasure(mass.sum(axis=1), mass.min(axis=1, initial=0.0), mass.max(axis=1, initial=0.0))
        name = target_as or _name(target[1])
        remedy = "The largest k of many probabilities? Divide each row by its sum."
        distributions(measured, meant, slack(name, mass.shape[1]), name="target", validate=how, remedy=remedy)


def _name(target: Any) -> str:
    found = np.asarray(target).dtype.name
    return found if found in ROUNDING_UNIT else "float64"


def _ahead(lead: tuple[int, ...], shift: int) -> IndicesN | None:
    """[N] the place of each row's target, -1 where there is none; None where it is the row's own."""
    if not shift:
        return None
    places = np.full(lead, -1)
    own = np.arange(places.size).reshape(lead)
    places[..., : max(0, lead[-1] - shift)] = own[..., shift:]
    return places.reshape(-1)


def _counted(goal: Goal, ahead: IndicesN | None, number: int, weights: Weights) -> Goal:
    """The goal of the rows that count alone."""
    places = np.arange(number) if ahead is None else ahead
    counts = places >= 0
    if goal.target is not None:
        counts &= goal.target[places] >= 0
    sample = None if weights.rows is None else weights.rows.reshape(-1)[places]
    if sample is not None:
        counts &= sample != 0.0
    by_class = None
    if goal.target is not None and weights.classes is not None:
        by_class = weights.classes[np.maximum(goal.target[places], 0)]
        counts &= weights.smoothed | (by_class != 0.0)
    everything = bool(counts.all())
    keep = slice(None) if everything else np.flatnonzero(counts)
    chosen = places[keep]
    few = None if goal.sparse is None else _weighted(goal.sparse, chosen, weights.classes)
    return Goal(
        rows=None if isinstance(keep, slice) else keep,
        target=None if goal.target is None else goal.target[chosen],
        probs=goal.probs,
        probs_rows=None if goal.target is not None or (everything and ahead is None) else chosen,
        sparse=few,
        mass=goal.mass,
        class_weight=1.0 if by_class is None else by_class[keep],
        sample_weight=1.0 if sample is None else sample[keep],
    )


def _weighted(sparse: SparseTarget, rows: IndicesN, weights: Array | None) -> SparseTarget:
    """T of some rows: probabilities times class weights."""
    classes, mass = sparse.classes[rows], sparse.mass[rows]
    return SparseTarget(classes, mass if weights is None else mass * weights[classes])
