"""What all calibrators share: parameters, checks, and rows in pieces."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from os import PathLike
from typing import Any, ClassVar, Self, get_args

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, DistributionError, LabelError, ShapeError
from xent.evaluate.calibration import _store
from xent.evaluate.calibration._entries import Entries
from xent.evaluate.calibration._estimator import Classifier, rows_to_calibrate, training_rows
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
            y: [N] class indices in the order of the columns, -1 where a row does not count; names where `classes` has them.
            sample_weight: [N] finite and at least 0; a weight of 2 counts as the row given twice.

        Returns:
            The calibrator itself.

        Raises:
            DistributionError: a row is not what it is declared to be, or holds NaN; names the first such row.
            LabelError: a label without a column.
            ArgumentError: a parameter, weight or shape breaks its rule, or no row counts; holds rule, value and remedy.
        """
        self.check_parameters()
        values, target = training_rows(self, X, y)
        self.classes_ = self._named(values.shape[1])
        spec = self.spec(weighted=sample_weight is not None)
        batch = Batch(values, self._codes(target), name="X", weight=_weights(sample_weight, len(values)))
        check(spec, batch)
        rows = np.flatnonzero(counts(batch))
        check_contradiction(len(rows), distributions(spec, batch, rows))
        self.learn(spec, batch)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Calibrated probabilities [N, C], in the order of `classes_`; a class at -inf keeps probability 0."""
        values = rows_to_calibrate(self, X)
        return self.calibrated(Batch(values, np.zeros(len(values), np.int64), name="X"))

    def predict_log_proba(self, X: Any) -> Floats:
        """Their logarithms [N, C], in nats; -inf where a probability is 0."""
        values = rows_to_calibrate(self, X)
        return self.calibrated(Batch(values, np.zeros(len(values), np.int64), name="X"), logarithms=True)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most probable class of each row, [N]."""
        probs = self.predict_proba(X)
        return self.classes_[np.argmax(probs, axis=1)]

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
        if self.kind not in KINDS:
            rule = f"kind must be one of {', '.join(map(repr, KINDS))}"
            raise ArgumentError(rule, f"found {self.kind!r}", "It says what X holds; nothing guesses.")

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
        if self.classes is None:
            return np.arange(columns)
        if len(self.classes) != columns:
            found = f"{len(self.classes)} names for {columns} columns"
            raise ShapeError("classes must name every column of X", found, "Name all, in the order of the columns.")
        return np.asarray(list(self.classes))

    def _codes(self, target: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """[N] class indices."""
        if self.classes is None:
            if target.dtype.kind not in "iubf":
                found = f"y holds {target.dtype}"
                remedy = "Name the classes in the order of the columns: classes=[...]."
                raise LabelError("without classes= labels must be class indices", found, remedy)
            return target.astype(np.int64)
        place = {name: n for n, name in enumerate(self.classes_.tolist())}
        names, codes = np.unique(target, return_inverse=True)
        strange = [name for name in names.tolist() if name not in place]
        if strange:
            found = f"y holds {strange[0]!r}"
            raise LabelError("labels must be among classes", found, "Does it need another spelling, or is a column missing?")
        return np.array([place[name] for name in names.tolist()], np.int64)[codes.reshape(-1)]


def _finite(answer: Floats, part: Batch) -> Floats:
    """The same, where every row has probabilities."""
    nothing = np.isnan(answer).any(axis=1)
    if nothing.any():
        found = f"{part.place(int(np.argmax(nothing)))} has none ({int(nothing.sum())} such rows)"
        rule = "calibrated rows must have probabilities, which are numbers"
        raise DistributionError(rule, found, "Is the calibrator one that was fitted to such predictions? Fit it again.")
    return answer


def _weights(sample_weight: npt.ArrayLike | None, rows: int) -> Floats | None:
    """[N] weights in float64; `check` looks at their values."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (rows,):
        raise ShapeError(f"sample_weight must be shaped ({rows},), as y is", f"found {weight.shape}", "Give a weight a row.")
    return weight
