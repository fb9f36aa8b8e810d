"""What all calibrators share: parameters, checks, and rows in pieces."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, ClassVar, Self, get_args

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, DistributionError, ShapeError
from xent.evaluate.calibration import _store
from xent.evaluate.calibration._entries import Entries
from xent.evaluate.calibration._estimator import Classifier, rows_to_calibrate, training_rows
from xent.evaluate.calibration._given import indices, labels, predictions, weights
from xent.evaluate.calibration._parameters import found, names_of
from xent.evaluate.calibration._rows import Mean, check_rows, counts, logits_of, pieces, scored
from xent.evaluate.state.batch import Batch, check, check_contradiction, distributions
from xent.evaluate.state.spec import Kind, Spec
from xent.functional.from_logits import cross_entropy
from xent.functional.normalise import log_softmax, softmax
from xent.kernels.cpu.threads import for_each

Floats = npt.NDArray[np.float64]
KINDS = tuple(kind for kind in get_args(Kind) if kind != "target-log-probs")


class Calibrator(Classifier):
    """Probabilities from predictions; a subclass says how, by `learn`, `scores`, `fitted` and `restore`."""

    METHOD: ClassVar[str]
    kind: Kind
    classes: Sequence[Any] | None
    classes_: npt.NDArray[Any]
    log_loss_before_: float
    log_loss_after_: float

    def fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Fit to predictions X [N, C] and what came true; X is left as it is.

        Args:
            X: predictions [N, C] of the declared kind, a column a class, in float16, float32 or float64.
            y: [N] class indices in the order of the columns, -1 where a row does not count; where `classes` has names, these,
                and None or NaN where a row does not count.
            sample_weight: [N] finite and at least 0; a weight of 2 counts as the row given twice.

        Returns:
            The calibrator itself.

        Raises:
            DistributionError: a row is not what it is declared to be, or holds NaN; names the first such row.
            LabelError: a label without a column.
            DTypeError: X or weights that are no real numbers, or a masked array, whose mask would be lost.
            ArgumentError: a parameter, weight or shape breaks its rule, or no row counts; holds rule, value and remedy.
        """
        self.check_parameters()
        values, target = training_rows(self, predictions(X), labels(y, names_of(self.classes)))
        self.classes_ = self._named(values.shape[1])
        spec = self.spec(weighted=sample_weight is not None)
        known = indices(target, spec.n_classes)
        batch = Batch(values, known, name="X", weight=weights(sample_weight, len(values)))
        # By then nothing but a weight can be wrong.
        check(spec, replace(batch, name="sample_weight"))
        rows = np.flatnonzero(counts(batch))
        check_contradiction(len(rows), distributions(spec, batch, rows))
        self.learn(spec, batch)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Calibrated probabilities [N, C], in the order of `classes_`; a class at -inf keeps probability 0."""
        values = rows_to_calibrate(self, predictions(X))
        return self.calibrated(Batch(values, np.zeros(len(values), np.int64), name="X"))

    def predict_log_proba(self, X: Any) -> Floats:
        """Their logarithms [N, C], in nats; -inf where a probability is 0."""
        values = rows_to_calibrate(self, predictions(X))
        return self.calibrated(Batch(values, np.zeros(len(values), np.int64), name="X"), logarithms=True)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most probable class of each row, [N]."""
        probs = self.predict_proba(X)
        return self.classes_[np.argmax(probs, axis=1)]

    def score(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> float:
        """Accuracy: the weighted share of rows whose most probable class came true, among those that have a class."""
        probs = self.predict_proba(X)
        n, n_classes = probs.shape
        given = labels([] if y is None else y, names_of(self.classes))
        if given.shape != (n,):
            raise ShapeError(f"y must be shaped ({n},), a label for each row of X", f"found {given.shape}", "Give a label a row.")
        batch = Batch(probs, indices(given, n_classes), name="sample_weight", weight=weights(sample_weight, n))
        check(self.spec(weighted=sample_weight is not None), batch)
        rows = counts(batch)
        if not rows.any():
            raise ArgumentError("there must be rows to judge", "every row is without a class or has weight zero", "Give some.")
        right = np.argmax(probs, axis=1) == batch.target
        return float(np.average(right[rows], weights=None if batch.weight is None else batch.weight[rows]))

    def calibrated(self, batch: Batch, *, logarithms: bool = False) -> Floats:
        """Probabilities [N, C] of the rows of a batch, or their logarithms; labels are not looked at."""
        spec, result = self.spec(), np.empty(batch.values.shape)

        def work(part: Batch) -> None:
            check_rows(spec, part, np.ones(len(part.target), np.bool_))
            start = part.first - batch.first
            with np.errstate(over="ignore", invalid="ignore"):
                result[start : start + len(part.target)] = _finite(self.answer(part, logarithms=logarithms), part)

        for_each(work, pieces(batch))
        return result

    def answer(self, part: Batch, *, logarithms: bool) -> Floats:
        """The same for a few rows."""
        scores = self.scores(logits_of(self.kind, part.values))
        return log_softmax(scores) if logarithms else softmax(scores)

    @abstractmethod
    def learn(self, spec: Spec, batch: Batch) -> None:
        """Fit to checked rows; `classes_` is known."""

    @abstractmethod
    def scores(self, logits: Floats) -> Floats:
        """Calibrated logits [n, C]."""

    @abstractmethod
    def fitted(self) -> dict[str, Any]:
        """What was fitted, by the names under which it is stored."""

    @abstractmethod
    def restore(self, entries: Entries) -> None:
        """Take what was fitted from a file."""

    def check_parameters(self) -> None:
        """Refuse parameters that break their rules."""
        kind: Any = self.kind
        if not isinstance(kind, str) or kind not in KINDS:
            rule = f"kind must be one of {', '.join(map(repr, KINDS))}"
            raise ArgumentError(rule, found(kind), "It says what X holds; nothing guesses.")
        names_of(self.classes)

    def spec(self, *, weighted: bool = False) -> Spec:
        """What rows are."""
        return Spec(self.kind, tuple(str(name) for name in self.classes_.tolist()), weighted=weighted)

    def adopt(self, spec: Spec) -> None:
        """Take the classes of files in place of X's columns."""
        self.check_parameters()
        self.classes_ = self._named(spec.n_classes)
        self.n_features_in_ = spec.n_classes

    def judge(self, spec: Spec, batch: Batch, *, before: bool = True) -> None:
        """Keep the log loss on these rows, before and after."""
        first, second = Mean(), Mean()
        for rows in pieces(batch):
            known = scored(spec, rows, finite=False)
            first.add(cross_entropy(known.logits, known.target, reduction="none"), known.weight)
            second.add(self._nats(known.logits, known.target), known.weight)
        self.log_loss_after_ = second.value()
        if before:
            self.log_loss_before_ = first.value()

    def _nats(self, logits: Floats, target: npt.NDArray[np.int64]) -> Floats:
        return cross_entropy(self.scores(logits), target, reduction="none")

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted calibrator as JSON (versioned, readable, no pickle), under a temporary name first."""
        _store.write(self, path)

    def to_json(self) -> str:
        """The fitted calibrator as JSON: numbers in the fewest digits that read back to the same float64."""
        return _store.render(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The calibrator that `to_json` wrote; ArgumentError where the text holds none of this class."""
        return _store.parsed(text, "the text", cls)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """The calibrator that `save` or ``xent calibrate`` wrote: the same probabilities to the last bit.

        Raises:
            ArgumentError: the file is no calibrator of this class, is of an unknown version, or does not fit together.
        """
        return _store.read(path, cls)

    def _named(self, columns: int) -> npt.NDArray[Any]:
        """The classes: as given, else numbers."""
        names = names_of(self.classes)
        if names is None:
            return np.arange(columns)
        if len(names) != columns:
            count = f"{len(names)} names for {columns} columns"
            raise ShapeError("classes must name every column of X", count, "Name all, in the order of the columns.")
        return np.asarray(names)


def _finite(answer: Floats, part: Batch) -> Floats:
    """The same, where every row has probabilities."""
    nothing = np.isnan(answer).any(axis=1)
    if nothing.any():
        found = f"{part.place(int(np.argmax(nothing)))} has none ({int(nothing.sum())} such rows)"
        rule = "calibrated rows must have probabilities, which are numbers"
        raise DistributionError(rule, found, "Is the calibrator one that was fitted to such predictions? Fit it again.")
    return answer
