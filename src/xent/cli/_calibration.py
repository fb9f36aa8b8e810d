"""What `xent calibrate` prints."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from xent.cli._judgement import number
from xent.cli._terminal import PipeConsole
from xent.evaluate import Columns, IsotonicCalibration, TemperatureScaling
from xent.evaluate.calibration._calibrator import Calibrator
from xent.evaluate.calibration.files import Fitted

SHARPEST = 1e-3
"""The least temperature that is looked for."""


def print_fitted(fitted: Fitted, sources: Sequence[str], columns: Columns, path: Path) -> None:
    """What was fitted to what, and what it gained there."""
    console = PipeConsole(highlight=False)
    for line in [_heading(fitted, sources), *_numbers(fitted), *_advice(fitted, columns, path)]:
        console.print(line, soft_wrap=True, markup=False)


def _heading(fitted: Fitted, sources: Sequence[str]) -> str:
    """Which rows."""
    calibrator, more = fitted.calibrator, f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    left = [(fitted.rows - fitted.counted - fitted.infinite, "without a label or weight"), (fitted.infinite, "of infinite loss")]
    out = "".join(f", {count:,} {why} left out" for count, why in left if count)
    drawn = f", {fitted.used:,} of them drawn" if fitted.used < fitted.counted else ""
    return f"{sources[0]}{more}: {fitted.counted:,} rows{drawn}, {len(calibrator.classes_)} classes, {calibrator.kind}{out}"


def _numbers(fitted: Fitted) -> Iterator[str]:
    """The loss before and after, and T."""
    calibrator = fitted.calibrator
    before, after = calibrator.log_loss_before_, calibrator.log_loss_after_
    yield f"log loss on the rows fitted to: {number(before)} nats before, {number(after)} after {calibrator.METHOD} calibration"
    if isinstance(calibrator, TemperatureScaling):
        yield _temperature(calibrator.temperature_)


def _temperature(value: float) -> str:
    """T, and what it says."""
    if value <= SHARPEST * 1.001:
        return f"temperature {value:.4g}, the least that is looked for: these rows are hardly ever mistaken, so look at others"
    said = "softens: the predictions were too sure" if value > 1.0 else "sharpens: the predictions were not sure enough"
    return f"temperature {value:.6g} {'changes nothing' if value == 1.0 else said}"


def _advice(fitted: Fitted, columns: Columns, path: Path) -> Iterator[str]:
    """What the numbers do not say, and what to do next."""
    calibrator = fitted.calibrator
    if not getattr(calibrator, "converged_", True):
        yield (
            f"The fit did not converge in {getattr(calibrator, 'n_iter_', 0):,} iterations. "
            "Take --method temperature, or give it more rows."
        )
    if not calibrator.log_loss_after_ < calibrator.log_loss_before_:
        yield "It gains nothing here: leave the predictions as they are."
    if isinstance(calibrator, IsotonicCalibration) and calibrator.floor == 0.0:
        yield "Isotonic curves may give probability 0, and so an infinite loss on other rows: --floor 1e-6 prevents that."
    yield "These numbers flatter the calibrator, as it was fitted to these rows. Judge it on others, held out:"
    said = "".join(f" {word}" for word in _words(columns))
    yield f"  xent calibrate OTHERS{said} --apply {shlex.quote(str(path))} -o calibrated.parquet"
    yield "  xent evaluate calibrated.parquet"
    yield f"Wrote {path}"


def _words(columns: Columns) -> Iterator[str]:
    """The options that declare the columns, as they were given."""
    options = {columns.kind: columns.predictions, "target": columns.target, "weights": columns.weight, "id": columns.id}
    for name, value in (options | {"classes": ",".join(columns.classes)}).items():
        if name and value:
            yield f"--{name} {shlex.quote(value)}"


def print_applied(calibrator: Calibrator, rows: int, path: Path, *, labelled: bool) -> None:
    """How much was written where."""
    console, more = PipeConsole(highlight=False), "" if labelled else " --target COLUMN"
    console.print(
        f"{rows:,} rows calibrated by {calibrator.METHOD}; judge them: xent evaluate {path}{more}", soft_wrap=True, markup=False
    )
    console.print(f"Wrote {path}", soft_wrap=True, markup=False)
