"""`xent evaluate`: judge predictions in files."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from xent._errors import ArgumentError
from xent.cli._extras import require
from xent.cli._options import whole_numbers

if TYPE_CHECKING:
    from xent.evaluate import Kind

# Lines of at most 78 characters: the formatter keeps them as they are.
HELP = """\
Judge predicted probabilities: log loss in nats and bits, calibration, classes.

Reads Parquet, Arrow, CSV, JSON lines, NPY and NPZ, files, patterns or folders,
a few rows at a time: files may be larger than memory. What the numbers are is
declared, never guessed; a wrong declaration is refused with what shows it.

Try:
  xent evaluate out/predictions.parquet             what xent fit left behind
  xent evaluate p.csv --probs p_ --target species   columns p_cat, p_dog, ...
  xent evaluate p.parquet --out report.html         pictures, in a file to share
  xent evaluate a.parquet --against b.parquet --probs p_ --target y --id row
  xent evaluate lm.parquet --target-log-probs lp --bytes n   a language model

Exit code 0: done. 2: refused, with one line that says why. 130: interrupted.
"""


def evaluate(
    *predictions: Annotated[str, Parameter(help="Files, patterns such as 'out/*.parquet', or folders.")],
    target: Annotated[
        str | None, Parameter(metavar="COLUMN", help="True classes, by name or number. Empty: not counted.")
    ] = None,
    probs: Annotated[str | None, Parameter(metavar="COLS", help="Probabilities: a prefix, names with commas, or lists.")] = None,
    logits: Annotated[str | None, Parameter(metavar="COLS", help="The same for logits.")] = None,
    log_probs: Annotated[str | None, Parameter(metavar="COLS", help="The same for log-probabilities.")] = None,
    target_log_probs: Annotated[str | None, Parameter(metavar="COLUMN", help="Of the true class alone.")] = None,
    classes: Annotated[str | None, Parameter(metavar="NAMES", help="Names of classes, with commas, in column order.")] = None,
    weights: Annotated[str | None, Parameter(metavar="COLUMN", help="How much a row counts.")] = None,
    bytes_: Annotated[str | None, Parameter(name="--bytes", metavar="COLUMN", help="Bytes a row predicts.")] = None,
    id_: Annotated[str | None, Parameter(name="--id", metavar="COLUMN", help="What rows are called, and paired by.")] = None,
    by: Annotated[str | None, Parameter(metavar="COLUMN", help="Judge each value of this column apart as well.")] = None,
    against: Annotated[str | None, Parameter(metavar="PATH", help="Predictions of another model for the same rows.")] = None,
    top_k: Annotated[tuple[int, ...], Parameter(converter=whole_numbers, help="Right if among the k greatest: 3,5.")] = (),
    bins: Annotated[int, Parameter(help="Bins of equal width in reliability tables.")] = 15,
    sum_tolerance: Annotated[float | None, Parameter(help="How far rounded probabilities may sum from 1.")] = None,
    skip_unfit: Annotated[bool, Parameter(negative="", help="Leave out and count rows that are no predictions.")] = False,
    out: Annotated[str | None, Parameter(metavar="PATH", help="Write the report to this HTML file.")] = None,
    engine: Annotated[Literal["local", "ray"] | None, Parameter(help="Processes of this machine, or a Ray cluster.")] = None,
    workers: Annotated[int | None, Parameter(help="Processes of --engine local.")] = None,
    address: Annotated[str | None, Parameter(help="Of the Ray cluster; else one is started here.")] = None,
    resume: Annotated[str | None, Parameter(metavar="DIR", help="Keep finished units here, and go on from them.")] = None,
    allow_partial: Annotated[bool, Parameter(negative="", help="Give a result although units of work failed.")] = False,
    json: Annotated[bool, Parameter(negative="", help="Print everything as JSON.")] = False,
) -> None:
    """Read, count, print; `HELP` is the manual."""
    require("learn", "data", *(["report"] if out is not None else []))
    from xent.cli._judgement import print_evaluation, print_json, print_written, reading_rows
    from xent.cli._report import check_report, write_report
    from xent.evaluate import Choices, Columns, Comparison, Engine, evaluate_files, evaluation
    from xent.evaluate.inputs.files import found_files

    kinds: dict[Kind, str | None] = {"probs": probs, "logits": logits, "log-probs": log_probs}
    kinds["target-log-probs"] = target_log_probs
    kind, chosen = declared_kind(kinds)
    names = tuple(name.strip() for name in classes.split(",")) if classes else ()
    columns = Columns(target, kind, chosen, names, weights, bytes_, id_, by)
    if not predictions:
        raise ArgumentError("predictions must be named", "no file is given", "Try: xent evaluate out/predictions.parquet")
    report = check_report(out) if out is not None else None
    folders = (resume, None if resume is None else f"{resume}/against")
    engines = [Engine(engine, workers, address, folder, allow_partial) for folder in folders]
    choices = Choices(top_k, bins, sum_tolerance)
    with reading_rows() as watch:
        sources = [list(predictions), *([[against]] if against is not None else [])]
        totals = [
            evaluate_files(paths, columns, watch, engine=engines[n], choices=choices, skip_unfit=skip_unfit)
            for n, paths in enumerate(sources)
        ]
    others = len(set(predictions)) - 1
    called = predictions[0] + (f" and {others} more" if others else "")
    comparison = Comparison.of(*totals, names=(called, against)) if against is not None else None
    result, files = evaluation(totals[0]), found_files(predictions)
    if report is not None:
        write_report(report, result, comparison, files)
    if json:
        other = evaluation(totals[1]) if against is not None else None
        print_json(result, comparison, other, files)
    else:
        print_evaluation(result, comparison, predictions, placed=totals[0].counts["placed"] > 0)
    if report is not None:
        print_written(report, aside=json)


def declared_kind(kinds: "dict[Kind, str | None]") -> "tuple[Kind | None, str | None]":
    """The one kind that is declared, with its columns; none where the file is to say it."""
    given: list[Kind] = [kind for kind, columns in kinds.items() if columns is not None]
    if len(given) > 1:
        found = " and ".join(f"--{kind}" for kind in given)
        raise ArgumentError("predictions are of one kind", f"found {found}", "Keep the one that is true.")
    return (given[0], kinds[given[0]]) if given else (None, None)
