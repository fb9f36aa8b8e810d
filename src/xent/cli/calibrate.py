"""`xent calibrate`: fit a calibrator to predictions in files, or apply one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from xent._errors import ArgumentError
from xent.cli._extras import require
from xent.cli._options import whole_number
from xent.cli.evaluate import declared_kind

if TYPE_CHECKING:
    from xent.evaluate import Columns, Kind

# Lines of at most 78 characters: the formatter keeps them as they are.
HELP = """\
Make predicted probabilities honest: fit a calibrator, then apply it.

Fit it to rows that the model was not trained on, and judge it on yet others:
on the rows it was fitted to every calibrator looks better than it is.

Methods:
  temperature  all logits divided by one number; files of any size, few passes
  vector       a weight and an intercept for each class
  matrix       a weight for each pair of classes; needs many rows
  isotonic     any rising curve for each class; may give probability 0
All but temperature hold their rows in memory: 1 GiB, or --max-rows.

Try:
  xent calibrate held.parquet --logits z_ --target y -o calibrator.json
  xent calibrate new.parquet --logits z_ --target y \\
      --apply calibrator.json -o calibrated.parquet
  xent evaluate calibrated.parquet       it says itself what its columns hold

Exit code 0: done. 2: refused, with one line that says why. 130: interrupted.
"""


def calibrate(
    *predictions: Annotated[str, Parameter(help="Files, patterns such as 'out/*.parquet', or folders.")],
    out: Annotated[str, Parameter(name=["--out", "-o"], metavar="PATH", help="Calibrator (.json), or with --apply .parquet.")],
    target: Annotated[
        str | None, Parameter(metavar="COLUMN", help="True classes, by name or number. Empty: not fitted to.")
    ] = None,
    probs: Annotated[str | None, Parameter(metavar="COLS", help="Probabilities: a prefix, names with commas, or lists.")] = None,
    logits: Annotated[str | None, Parameter(metavar="COLS", help="The same for logits.")] = None,
    log_probs: Annotated[str | None, Parameter(metavar="COLS", help="The same for log-probabilities.")] = None,
    classes: Annotated[str | None, Parameter(metavar="NAMES", help="Names of classes, with commas, in column order.")] = None,
    weights: Annotated[str | None, Parameter(metavar="COLUMN", help="How much a row counts.")] = None,
    id_: Annotated[str | None, Parameter(name="--id", metavar="COLUMN", help="What rows are called, and drawn by.")] = None,
    method: Annotated[
        Literal["temperature", "vector", "matrix", "isotonic"] | None, Parameter(help="See above. Default: temperature.")
    ] = None,
    max_rows: Annotated[int | None, Parameter(converter=whole_number, help="Draw so many rows, by their ids or places.")] = None,
    floor: Annotated[float | None, Parameter(help="Least that an isotonic curve may give, such as 1e-6.")] = None,
    skip_infinite: Annotated[
        bool, Parameter(negative="", help="Leave out and count rows whose true class has probability 0.")
    ] = False,
    apply: Annotated[str | None, Parameter(metavar="CALIBRATOR", help="Calibrate the predictions by this file.")] = None,
    prefix: Annotated[str | None, Parameter(help="What calibrated columns begin with. Default: p_.")] = None,
) -> None:
    """Fit or apply; `HELP` is the manual."""
    require("learn", "data")
    from xent.evaluate import Columns

    kinds: dict[Kind, str | None] = {"probs": probs, "logits": logits, "log-probs": log_probs}
    names = tuple(name.strip() for name in classes.split(",")) if classes else ()
    columns = Columns(target, *declared_kind(kinds), names, weights, id=id_)
    if not predictions:
        raise ArgumentError("predictions must be named", "no file is given", "Try: xent calibrate --help")
    fitting = {"--method": method, "--max-rows": max_rows, "--floor": floor, "--skip-infinite": skip_infinite or None}
    if apply is not None:
        _refuse_given(fitting, "is for fitting, which --apply does not")
        _apply(predictions, columns, apply, out, prefix or "p_")
        return
    _refuse_given({"--prefix": prefix}, "is for --apply")
    if floor is not None and method != "isotonic":
        raise ArgumentError("--floor is for --method isotonic", f"found --method {method or 'temperature'}", "Leave it out.")
    _fit(predictions, columns, out, method or "temperature", fitting)


def _refuse_given(options: Mapping[str, object], why: str) -> None:
    """Refuse options that would do nothing."""
    for name, value in options.items():
        if value is not None:
            raise ArgumentError(f"{name} {why}", "both are given" if "which" in why else "found no --apply", "Leave it out.")


def _fit(predictions: tuple[str, ...], columns: "Columns", out: str, method: str, options: Mapping[str, object]) -> None:
    """Fit, write, print."""
    from xent.cli._calibration import print_fitted
    from xent.cli._judgement import reading_rows
    from xent.cli._staging import Staging
    from xent.evaluate.calibration.files import fit_files

    path = _output(out, ".json", predictions)
    with Staging(path.parent, [path.name]) as staging:
        staging.discard()
    limit, floor = options["--max-rows"], options["--floor"]
    fitted = fit_files(
        predictions,
        columns,
        method,
        reading_rows,
        max_rows=limit if isinstance(limit, int) else None,
        skip_infinite=bool(options["--skip-infinite"]),
        parameters={"floor": floor} if isinstance(floor, float) else {},
    )
    with Staging(path.parent, [path.name]) as staging:
        fitted.calibrator.save(staging.path(path.name))
    print_fitted(fitted, predictions, columns, path)


def _apply(predictions: tuple[str, ...], columns: "Columns", calibrator: str, out: str, prefix: str) -> None:
    """Calibrate, write, print."""
    from xent.cli._calibration import print_applied
    from xent.cli._judgement import reading_rows
    from xent.cli._staging import Staging
    from xent.evaluate import load_calibrator
    from xent.evaluate.calibration.apply import apply_files, said_target

    path = _output(out, ".parquet", predictions, calibrator)
    loaded = load_calibrator(calibrator)
    with Staging(path.parent, [path.name]) as staging:
        rows = apply_files(predictions, columns, loaded, staging.path(path.name), reading_rows, prefix=prefix)
    print_applied(loaded, rows, path, labelled=said_target(path))


def _output(out: str, suffix: str, predictions: Sequence[str], *read: str) -> Path:
    """Where to write: a file of that suffix, and none that is read."""
    from xent.evaluate.calibration.apply import check_not_among

    path = Path(out)
    if path.suffix.lower() != suffix:
        raise ArgumentError(f"--out must end in {suffix}", f"found {out!r}", "Name another.")
    check_not_among(path, predictions, *read)
    return path
