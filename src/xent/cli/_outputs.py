# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
"""What an experiment leaves behind: model, predictions, history, picture and report, all or none."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from xent.cli._extras import has
from xent.cli._staging import Staging
from xent.evaluate import Columns, evaluate, metadata

if TYPE_CHECKING:
    from xent.learn._experiment import Experiment

NAMES = ("model.json", "predictions.parquet", "history.csv", "loss.svg", "report.html")


def written_names() -> tuple[str, ...]:
    """The names of what will be written: without the report where its packages are not installed."""
    return NAMES if has("report") else NAMES[:-1]


def check_writable(directory: Path) -> None:
    """Raise ArgumentError where the outputs could not be written; leaves nothing behind."""
    with Staging(directory, NAMES) as staging:
        staging.discard()


def write_outputs(experiment: Experiment, directory: Path) -> None:
    """Write what `NAMES` lists; after an error the directory is as before."""
    held = predictions(experiment)
    with Staging(directory, NAMES) as staging:
        experiment.model.save(staging.path("model.json"))
        pa_parquet.write_table(held, staging.path("predictions.parquet"))
        _write_history(experiment, staging.path("history.csv"))
        _write_chart(experiment, staging.path("loss.svg"))
        if has("report"):
            text = evaluate(held).to_html(sources=[f"test rows of {experiment.table.source}"])
            staging.path("report.html").write_text(text, encoding="utf-8")


def predictions(experiment: Experiment) -> pa.Table:
    """Of every test row: its number in the table (from 0), its class, and the probability of each class.

    The columns are ``row``, ``target`` and ``p_<class>``; the prefix keeps a class called "target" apart. The file says so
    itself: `xent evaluate` needs no more than its path.
    """
    table, rows, model = experiment.table, experiment.split.test, experiment.model
    probs = model.predict_proba(table.features[rows])
    columns = {f"p_{name}": probs[:, code] for code, name in enumerate(model.classes_)}
    held = pa.table({"row": rows, "target": table.target[rows], **columns})
    return held.replace_schema_metadata(metadata(Columns(target="target", kind="probs", predictions="p_", id="row")))


def _write_history(experiment: Experiment, path: Path) -> None:
    """One line per loss trained with and iteration."""
    from xent.learn import Step

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trained_with", *Step.__slots__])
        for loss, model in experiment.models.items():
            columns = [model.history_[name].tolist() for name in Step.__slots__]
            writer.writerows([loss, *line] for line in zip(*columns, strict=True))


def _write_chart(experiment: Experiment, path: Path) -> None:
    """The learning curve; the same experiment gives the same bytes."""
    # Matplotlib logs to stderr where it keeps its fonts, which says nothing about the picture.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl

    from xent.cli._chart import learning_curve

    with mpl.rc_context({"svg.hashsalt": "xent"}):
        learning_curve(experiment).savefig(path, format="svg", metadata={"Date": None})
