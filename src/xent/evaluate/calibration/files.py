"""Calibrators fitted to files, and files calibrated; files may be larger than memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from xent._errors import ArgumentError
from xent.evaluate.calibration._affine import UNCONVERGED
from xent.evaluate.calibration._calibrator import Calibrator
from xent.evaluate.calibration._drawn import Drawn
from xent.evaluate.calibration._rows import counts, endless, pieces, scored
from xent.evaluate.calibration._store import methods
from xent.evaluate.calibration.temperature import TemperatureScaling
from xent.evaluate.inputs.columns import Columns, Layout
from xent.evaluate.inputs.files import found_files, units_of
from xent.evaluate.inputs.sources import file_batches, layout_of
from xent.evaluate.state.batch import Batch, check, check_contradiction, distributions

Watch = Callable[[int, int | None], None]
"""Hears how many rows were read, and how many there are where that is known."""
Watching = Callable[[], AbstractContextManager[Watch]]
"""Begins to watch one pass over the rows."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibrator, and which rows it was fitted to."""

    calibrator: Calibrator
    rows: int
    """Rows read."""
    counted: int
    """Of these, those with a class and a weight above 0."""
    infinite: int
    """Rows left out as their true class has probability 0."""
    used: int
    """Rows fitted to: those that count, or as many as were drawn."""


class Reading:
    """The rows of files, to be read as often as needed."""

    def __init__(self, paths: Sequence[str], columns: Columns, watching: Watching, *, skip_infinite: bool) -> None:
        """Look at the files' columns, not yet at their rows."""
        files = found_files(paths)
        self.layout = layout_of(files, columns)
        check_every_class(self.layout)
        self._units, self._watching, self._skip = units_of(files), watching, skip_infinite
        self.rows = self.counted = self.infinite = 0

    def batches(self) -> Iterator[Batch]:
        """One pass; what is counted is that of the latest."""
        spec, known = self.layout.spec, [unit.rows for unit in self._units]
        total = sum(rows for rows in known if rows is not None) if None not in known else None
        self.rows = self.counted = self.infinite = 0
        alike = True
        with self._watching() as watch:
            for batch in file_batches(self._units, self.layout):
                check(spec, batch)
                finite = self._finite(batch) if self._skip else batch
                rows = np.flatnonzero(counts(finite))
                alike = alike and distributions(spec, finite, rows)
                self.rows, self.counted = self.rows + len(batch.target), self.counted + len(rows)
                yield finite
                watch(self.rows, total)
        check_contradiction(self.counted, alike)

    def _finite(self, batch: Batch) -> Batch:
        """The same, where rows that no scaling can mend do not count."""
        out = endless(self.layout.spec.kind, batch)
        self.infinite += int(out.sum())
        return replace(batch, target=np.where(out, -1, batch.target))


def check_every_class(layout: Layout) -> None:
    """Refuse predictions of the target alone."""
    if layout.spec.kind == "target-log-probs":
        found = "these are log-probabilities of the true class alone"
        raise ArgumentError("calibration needs a prediction for every class", found, "Keep the logits of all classes.")


def fit_files(
    paths: Sequence[str],
    columns: Columns,
    method: str,
    watching: Watching,
    *,
    max_rows: int | None = None,
    skip_infinite: bool = False,
    parameters: dict[str, float] | None = None,
) -> Fitted:
    """A calibrator fitted to files.

    "temperature" reads them a few times, a few rows at a time; other methods hold rows in memory, all or so many as are drawn.

    Raises:
        XentError: what cannot be read, rows that are not what they are declared to be, or more rows than fit.
    """
    reading = Reading(paths, columns, watching, skip_infinite=skip_infinite)
    spec = reading.layout.spec
    calibrator = methods()[method](**{"kind": spec.kind, "classes": list(spec.classes), **(parameters or {})})
    if isinstance(calibrator, TemperatureScaling):
        if max_rows is not None:
            raise ArgumentError(
                "--max-rows is for methods that hold rows in memory", "found --method temperature", "Leave it out."
            )
        used = calibrator.learn_passes(spec, reading.batches)
        return Fitted(calibrator, reading.rows, reading.counted, reading.infinite, used)
    calibrator.adopt(spec)
    drawn = _drawn(reading, max_rows, finite=method != "isotonic")
    with warnings.catch_warnings():
        # Whoever reads the result finds `converged_` there.
        warnings.filterwarnings("ignore", message=UNCONVERGED)
        calibrator.learn(replace(spec, weighted=True), drawn)
    return Fitted(calibrator, reading.rows, reading.counted, reading.infinite, len(drawn.target))


def _drawn(reading: Reading, max_rows: int | None, *, finite: bool) -> Batch:
    """The rows to hold; each is checked where it is read, so that errors name its file."""
    if max_rows is not None and max_rows < 1:
        raise ArgumentError("--max-rows must be at least 1", f"found {max_rows}", "Leave it out for all rows.")
    spec = reading.layout.spec
    drawn = Drawn(spec.n_classes, max_rows)
    for batch in reading.batches():
        for part in pieces(batch):
            scored(spec, part, finite=finite)
        drawn.add(batch)
    return drawn.batch()
