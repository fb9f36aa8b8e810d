"""`IsotonicCalibration`: any rising curve from a probability to a better one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, DistributionError
from xent.evaluate.calibration._calibrator import Calibrator
from xent.evaluate.calibration._entries import Entries
from xent.evaluate.calibration._estimator import isotonic_steps
from xent.evaluate.calibration._parameters import found, real
from xent.evaluate.calibration._rows import counts, logits_of, pieces, scored
from xent.evaluate.state.batch import Batch
from xent.evaluate.state.spec import Kind, Spec
from xent.functional.normalise import softmax

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class IsotonicCalibration(Calibrator):
    """For each class the rising curve that brings its probability nearest to what came true; then rows are made to sum to 1.

    For probabilities p_i of C classes, y_i and weights v_i::

        f_k = the rising f that minimises  Σ_i v_i · (f(p_i[k]) − [y_i = k])²
        q_i[k] = max(f_k(p_i[k]), floor) / Σ_j max(f_j(p_i[j]), floor)

    Of two classes the second alone has a curve, and ``q_i[0] = 1 − q_i[1]`` before the floor. Curves are straight between
    their corners, and level beyond the first and the last.

    A curve may begin at 0 and end at 1. With ``floor=0`` nothing is clipped: such a class has probability 0, and a row
    whose true class it is an infinite log loss. Rows to which every curve gives 0 are refused. A floor keeps all losses finite.

    Fitting holds the probabilities of all rows in memory, in float64.

    Args:
        kind: what X holds: "logits", "log-probs" or "probs".
        classes: names of the classes, in the order of the columns of X; None for the numbers from 0.
        floor: the least that a curve may give, in [0, 1/C); logits of -inf keep probability 0 all the same.

    Attributes:
        classes_: [C] in the order of the columns.
        curves_: of each class, or of the second of two, the corners: probabilities, and what they become.
        log_loss_before_, log_loss_after_: mean log loss in nats of X as it is and calibrated, on the rows fitted to.
        n_features_in_: C.

    Example:
        Of what is called 60 % sure a half comes true.

        >>> import numpy as np
        >>> probs = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 4)
        >>> calibration = IsotonicCalibration(kind="probs").fit(probs, [0, 0, 0, 1, 0, 1, 0, 1])
        >>> calibration.predict_proba([[0.4, 0.6], [0.9, 0.1]])
        array([[0.5 , 0.5 ],
               [0.75, 0.25]])

    References:
        Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", 2002.
    """

    METHOD = "isotonic"
    curves_: list[tuple[Floats, Floats]]

    def __init__(self, *, kind: Kind = "logits", classes: Sequence[Any] | None = None, floor: float = 0.0) -> None:
        """Keep the parameters as they are; `fit` checks them."""
        self.kind = kind
        self.classes = classes
        self.floor = floor

    def check_parameters(self) -> None:
        """Refuse parameters that break their rules."""
        super().check_parameters()
        if not 0.0 <= real(self.floor) < 0.5:
            rule = "floor must be a number in [0, 1/C)"
            raise ArgumentError(rule, found(self.floor), "0 leaves zeros as they are; 1e-6 serves most.")

    def learn(self, spec: Spec, batch: Batch) -> None:
        """Fit to checked rows."""
        if self.floor * spec.n_classes >= 1.0:
            beyond = f"{found(self.floor)} with {spec.n_classes} classes"
            raise ArgumentError("floor must be a number in [0, 1/C)", beyond, "0 leaves zeros as they are; 1e-6 serves most.")
        count = int(np.count_nonzero(counts(batch)))
        if not count:
            raise ArgumentError("there must be rows to fit to", "every row is without a class or has weight zero", "Give some.")
        probs, target, weight, start = np.empty((count, spec.n_classes)), np.empty(count, np.int64), np.empty(count), 0
        for rows in (scored(spec, part, finite=False) for part in pieces(batch)):
            here = slice(start, start + len(rows.target))
            probs[here], target[here], weight[here], start = self._probs(rows.logits), rows.target, rows.weight, here.stop
        chosen = [1] if spec.n_classes == 2 else range(spec.n_classes)
        self.curves_ = [self._curve(probs[:, k], target == k, weight) for k in chosen]
        self.judge(spec, batch)

    def _probs(self, logits: Floats) -> Floats:
        """What curves take: probabilities as they were declared, or softmax; NaN where a logit of -inf has none to take."""
        if self.kind != "logits":
            return np.exp(logits)
        return np.where(logits == -np.inf, np.nan, softmax(logits))

    def _curve(self, probs: Floats, hits: npt.NDArray[np.bool_], weight: Floats) -> tuple[Floats, Floats]:
        """The corners for one class; level at 0 for one that is masked in every row."""
        known = ~np.isnan(probs)
        if not known.any():
            return np.zeros(1), np.zeros(1)
        return isotonic_steps(probs[known], hits[known].astype(np.float64), weight[known])

    def scores(self, logits: Floats) -> Floats:
        """Logarithms of the calibrated probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self._calibrated(logits))

    def answer(self, part: Batch, *, logarithms: bool) -> Floats:
        """Calibrated probabilities of a few rows; DistributionError where every curve gives 0."""
        probs = self._calibrated(logits_of(self.kind, part.values))
        nothing = np.isnan(probs[:, 0])
        if nothing.any():
            found = f"all of {part.place(int(np.argmax(nothing)))} became 0 ({int(nothing.sum())} such rows)"
            rule = "isotonic curves must leave a row some class of a probability above 0"
            raise DistributionError(rule, found, "Fit with a floor, such as 1e-6, or scale by temperature.")
        with np.errstate(divide="ignore"):
            return np.log(probs) if logarithms else probs

    def _calibrated(self, logits: Floats) -> Floats:
        """Curves, floor, and rows that sum to 1; NaN where nothing is left."""
        probs = self._probs(logits)
        masked = np.isnan(probs)
        if len(self.curves_) == 1:
            second = np.interp(probs[:, 1], *self.curves_[0])
            raised = np.stack([1.0 - second, second], axis=1)
        else:
            raised = np.stack([np.interp(probs[:, k], *curve) for k, curve in enumerate(self.curves_)], axis=1)
        raised = np.where(masked, 0.0, np.maximum(raised, float(self.floor)))
        only = masked.sum(axis=1) == masked.shape[1] - 1
        raised[only] = ~masked[only]
        with np.errstate(invalid="ignore"):
            return raised / raised.sum(axis=1, keepdims=True)

    def _nats(self, logits: Floats, target: Indices) -> Floats:
        """``−log q``; nothing is renormalised again."""
        with np.errstate(divide="ignore"):
            return -np.log(np.take_along_axis(self._calibrated(logits), target[:, None], axis=1)[:, 0]) + 0.0

    def fitted(self) -> dict[str, Any]:
        """The corners of the curves."""
        return {"curves": [{"from": x.tolist(), "to": y.tolist()} for x, y in self.curves_]}

    def restore(self, entries: Entries) -> None:
        """The same from a file: as many curves as there should be, each rising in [0, 1]."""
        n = 1 if self.n_features_in_ == 2 else self.n_features_in_
        self.curves_ = [_corners(Entries(value, f"curve {k}")) for k, value in enumerate(entries.rows("curves", n))]


def _corners(entries: Entries) -> tuple[Floats, Floats]:
    """One curve of a file."""
    x = entries.vector("from")
    y = entries.vector("to", len(x))
    entries.done()
    rising = (np.diff(x) > 0.0).all() and (np.diff(y) >= 0.0).all()
    if not rising or y[0] < 0.0 or y[-1] > 1.0 or x[0] < 0.0:
        raise ValueError("a curve does not rise in [0, 1]")
    return x, y
