"""Rows to fit to or to calibrate: checked, and as logits, a few at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError
from xent.evaluate.means.temperature import Scored
from xent.evaluate.state.batch import Batch, unfit_error
from xent.evaluate.state.exact import ExactSums, ratio
from xent.evaluate.state.judge import SUM_TOLERANCE
from xent.evaluate.state.spec import Kind, Spec

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PIECE = 1 << 16
"""Numbers of a piece: half a MiB in float64."""
MOST_LOGIT = 1e100
"""The square of a larger one, times a weight, could leave float64."""


def pieces(batch: Batch) -> list[Batch]:
    """The rows of a batch in parts that stay in the cache; nothing is copied."""
    step = max(1, PIECE // batch.values.shape[1])
    return [_part(batch, slice(start, start + step)) for start in range(0, len(batch.target), step)]


def _part(batch: Batch, rows: slice) -> Batch:
    """Some of the rows, in order."""
    taken = {name: column[rows] for name in ("ids", "weight") if (column := getattr(batch, name)) is not None}
    first = batch.first + rows.start
    return replace(batch, values=batch.values[rows], target=batch.target[rows], first=first, keys=None, **taken)


def counts(batch: Batch) -> Mask:
    """Which rows count: those with a class and a weight above 0."""
    labelled = batch.target >= 0
    return labelled if batch.weight is None else labelled & (batch.weight > 0.0)


def scored(spec: Spec, batch: Batch, *, finite: bool = True) -> Scored:
    """The rows of a small batch that count, as logits [n, C] in float64.

    Raises:
        DistributionError: rows are not what they are declared to be.
        ArgumentError: a logit is beyond measure, or, where losses must be finite, a true class has probability 0.
    """
    rows = counts(batch)
    check_rows(spec, batch, rows)
    chosen = np.flatnonzero(rows)
    logits, target = logits_of(spec.kind, batch.values[chosen]), batch.target[chosen]
    if finite:
        endless = rows.copy()
        endless[chosen] = np.take_along_axis(logits, target[:, None], axis=1)[:, 0] == -np.inf
        if endless.any():
            raise _endless_error(batch, endless)
    weight = np.ones(len(chosen)) if batch.weight is None else batch.weight[chosen]
    return Scored(logits, target, weight)


def check_rows(spec: Spec, batch: Batch, rows: Mask) -> None:
    """Refuse rows that are no predictions of the declared kind; the others may hold anything."""
    unfit = _unfit(spec.kind, batch.values) & rows
    if unfit.any():
        raise unfit_error(spec, batch, unfit)
    if spec.kind != "probs":
        _check_size(batch, rows)


def logits_of(kind: Kind, values: npt.NDArray[Any]) -> Floats:
    """Logits in float64, row by row in memory: logarithms of probabilities are logits too."""
    wide = np.ascontiguousarray(values, np.float64)
    if kind != "probs":
        return wide
    with np.errstate(divide="ignore"):
        return np.log(wide)


def _unfit(kind: Kind, values: npt.NDArray[Any]) -> Mask:
    """Rows with NaN, without a finite score, or that are no distribution where they are declared to be one."""
    wide = np.ascontiguousarray(values, np.float64)
    if kind == "logits":
        return ~np.isfinite(wide.max(axis=1))
    slack = SUM_TOLERANCE[values.dtype.name]
    with np.errstate(over="ignore", invalid="ignore"):
        probs = np.exp(wide) if kind == "log-probs" else wide
        return ~((np.abs(probs.sum(axis=1) - 1.0) <= slack) & (probs.min(axis=1) >= 0.0))


def _check_size(batch: Batch, rows: Mask) -> None:
    """Refuse finite numbers whose squares could leave float64."""
    wide = np.asarray(batch.values, np.float64)
    beyond = (np.isfinite(wide) & (np.abs(wide) > MOST_LOGIT)).any(axis=1) & rows
    if beyond.any():
        row = int(np.argmax(beyond))
        held = wide[row][np.isfinite(wide[row])]
        found = f"{batch.place(row)} holds {held[np.argmax(np.abs(held))]:g} ({int(beyond.sum())} such rows)"
        raise ArgumentError(f"logits must lie within {MOST_LOGIT:g} of 0, or be -inf", found, "Mend or remove these rows.")


def endless(kind: Kind, batch: Batch) -> Mask:
    """Rows that count and whose true class has probability 0."""
    own = np.take_along_axis(batch.values, np.maximum(batch.target, 0)[:, None], axis=1)[:, 0]
    return (own == (0.0 if kind == "probs" else -np.inf)) & counts(batch)


def _endless_error(batch: Batch, rows: Mask) -> ArgumentError:
    """A row that no scaling can mend."""
    rule = "no scaling makes a loss finite where the true class has probability 0"
    found = f"{batch.place(int(np.argmax(rows)))} is such a row ({int(rows.sum())} in these {len(rows)})"
    remedy = "Leave these rows out (target -1, or --skip-infinite), or fit an isotonic calibration to probabilities."
    return ArgumentError(rule, found, remedy)


class Mean:
    """The weighted mean of losses, the same in whatever order they come; infinite where one is."""

    def __init__(self) -> None:
        """Over nothing yet."""
        self._sums, self._infinite = ExactSums(2), False

    def add(self, nats: Floats, weight: Floats) -> None:
        """Further rows of weights above 0."""
        finite = np.isfinite(nats)
        self._infinite = self._infinite or not finite.all()
        terms = np.concatenate([np.where(finite, nats, 0.0) * weight, weight])
        self._sums.add(terms + 0.0, np.repeat(np.arange(2), len(nats)))

    def value(self) -> float:
        """In nats."""
        above, below = self._sums.wholes()
        return float("inf") if self._infinite else ratio(above, below)
