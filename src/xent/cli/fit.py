"""`xent fit`: train a classifier by cross-entropy on a table."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from xent.cli._extras import require
from xent.cli._options import named_directory, whole_number

# Lines of at most 78 characters: the formatter keeps them as they are.
HELP = """\
Train a classifier by cross-entropy on a table, and judge it in nats and bits.

Every class is split into training and test rows; features are standardised by
the training rows; a softmax regression minimises the mean cross-entropy. The
result stands beside two guesses that look at no feature: the frequencies of
the classes, whose loss is their entropy, and all C classes alike, ln C.

Try:
  xent fit                                   handwritten digits, in seconds
  xent fit flowers.csv --target species      your own table
  xent fit --loss both                       why not squared error

Outputs in the directory --out, all of them or none:
  model.json           the model: xent.learn.SoftmaxRegression.load(PATH)
  predictions.parquet  test rows: row (from 0), target, and p_CLASS per class
  history.csv          loss, gradient norm and seconds, iteration by iteration
  loss.svg             the learning curve
  report.html          how good the predictions are: what xent evaluate says

Exit code 0: done. 2: refused, with one line that says why. 130: interrupted.
"""


def fit(
    table: Annotated[
        Path | None,
        Parameter(help=".csv (first line: column names) or .parquet. Without it: scikit-learn's handwritten digits."),
    ] = None,
    /,
    *,
    target: Annotated[
        str | None, Parameter(metavar="COLUMN", help="Column that holds the classes. Every other column is a feature.")
    ] = None,
    drop: Annotated[
        tuple[str, ...],
        Parameter(
            help="Column to leave out, such as a row number. Once per column: --drop id --drop colour.",
            metavar="COLUMN",
            negative="",
            show_default=False,
        ),
    ] = (),
    loss: Annotated[
        Literal["cross-entropy", "squared-error", "both"],
        Parameter(help="What to minimise. 'both' compares them from one confidently wrong start, by plain gradient descent."),
    ] = "cross-entropy",
    l2: Annotated[float, Parameter(help="Penalty: l2 times the sum of squared weights is added to the loss.")] = 1e-4,
    solver: Annotated[
        Literal["lbfgs", "gd"] | None, Parameter(help="L-BFGS, or plain gradient descent. Default: lbfgs; gd for --loss both.")
    ] = None,
    learning_rate: Annotated[float | None, Parameter(help="Step of gd. Default: one at which cross-entropy cannot rise.")] = None,
    max_iter: Annotated[int, Parameter(converter=whole_number, help="Most iterations.")] = 1000,
    test_fraction: Annotated[float, Parameter(help="Share of each class kept for testing.")] = 0.25,
    seed: Annotated[int, Parameter(converter=whole_number, help="Chooses the test rows. The same seed, the same model.")] = 0,
    out: Annotated[str, Parameter(metavar="PATH", help="Directory of the outputs.")] = "out",
) -> None:
    """Train, judge, write the outputs, and print the result; `HELP` is the manual."""
    require("learn", "data")
    from xent.cli._outputs import check_writable, write_outputs
    from xent.learn._plan import Plan, check_plan
    from xent.learn._split import stratified_split
    from xent.learn._table import digits_table, read_table

    both = loss == "both"
    losses = ("cross-entropy", "squared-error") if both else (loss,)
    plan = Plan(losses, l2, solver or ("gd" if both else "lbfgs"), learning_rate, max_iter, test_fraction, seed)
    check_plan(plan)
    directory = named_directory(out)
    source = digits_table(target) if table is None else read_table(table, target, drop)
    split = stratified_split(source, test_fraction, seed)
    check_writable(directory)
    # What follows loads scikit-learn, which takes longer than to refuse a table.
    from xent.cli._console import print_report, watching
    from xent.learn._experiment import run

    with watching() as watch:
        experiment = run(source, split, plan, watch)
    write_outputs(experiment, directory)
    print_report(experiment, directory)
