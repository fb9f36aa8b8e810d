"""`xent.evaluate(...)`: predictions and truth in, the result out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from xent._errors import ArgumentError
from xent.evaluate.inputs.arrays import Parts, array_batch, given_batches, peeked, spec_for
from xent.evaluate.inputs.columns import Columns
from xent.evaluate.inputs.files import units_of
from xent.evaluate.inputs.sources import file_makers, frame_batches, is_frame, is_path, layout_of, paths_of
from xent.evaluate.inputs.values import as_array
from xent.evaluate.means.comparison import Comparison, two_names
from xent.evaluate.result import Evaluation, evaluation
from xent.evaluate.state import abreast
from xent.evaluate.state.batch import Batch
from xent.evaluate.state.options import class_names, wholes
from xent.evaluate.state.spec import Choices, Kind, Spec
from xent.evaluate.totals import Totals


def evaluate(
    predictions: Any,
    target: Any = None,
    *,
    kind: Kind | None = None,
    columns: str | None = None,
    classes: Sequence[str] = (),
    weight: Any = None,
    size: Any = None,
    id: Any = None,
    by: Any = None,
    top_k: Sequence[int] = (),
    bins: int = 15,
    sum_tolerance: float | None = None,
    skip_unfit: bool = False,
) -> Evaluation:
    """Judge predicted probabilities against what came true.

    The log loss ``Σ w·(−log p_target) / Σ w`` and what explains it: what calibration would remove, classes, groups, rows.

    Args:
        predictions: [N, C] in float16, float32 or float64, [N] scores of the second of two classes, or [N] log-probabilities
            of the targets; or a path, several, a pattern or a folder; a data frame that hands itself over as Arrow; or an
            iterable of ``(predictions, target)``, of ``(predictions, target, weight)``, or of mappings of these, `size`, `id`
            and `by`.
        target: [N] class indices, -1 where a row does not count, or what `classes` are called, numbers too where all are called
            by numbers; the name of the column where predictions are a table.
        kind: "probs", "logits", "log-probs" or "target-log-probs"; only a file that says so itself needs none.
        columns: of a table, the prefix of the columns of predictions, their names with commas between, or one of lists.
        classes: names of the classes, in the order of the columns, where those bring none.
        weight: [N] or the name of a column: how much each row counts: 0, or in [1e-75, 1e75].
        size: [N] or the name of a column: how many bytes each row predicts, for bits per byte.
        id: [N] or the name of a column: what rows are called, and drawn by in the bootstrap.
        by: [N] or the name of a column: groups of rows to judge apart as well.
        top_k: for which k > 1 a row is also right if its target is among the k greatest.
        bins: bins of equal width in reliability diagrams; must divide 3600.
        sum_tolerance: how far the probabilities of a row may sum from 1, for those that were rounded; None for what rounding in
            their dtype leaves. Nothing is rescaled.
        skip_unfit: leave out rows that hold NaN or are no distribution, and count them, instead of raising.

    Returns:
        An `Evaluation`: numbers in nats, and shares in [0, 1].

    Raises:
        DistributionError: predictions are not what they are declared to be; names the first row and what it holds.
        LabelError: a label without a class; names the first row and its label.
        ArgumentError: what cannot be read or does not belong together; holds rule, value and remedy.

    Example:
        Half sure and half right: nothing to gain from calibration, and as much to learn as there is.

        >>> import numpy as np
        >>> import xent
        >>> result = xent.evaluate(np.array([0.5, 0.5, 0.9, 0.9]), np.array([0, 1, 1, 1]), kind="probs")
        >>> print(f"{result.log_loss_nats.value:.4f} nats, accuracy {result.accuracy.value:.2f}")
        0.3993 nats, accuracy 0.75

    References:
        Good, "Rational Decisions", 1952.
    """
    totals = _judged(
        predictions,
        target,
        kind=kind,
        columns=columns,
        classes=classes,
        weight=weight,
        size=size,
        id=id,
        by=by,
        top_k=top_k,
        bins=bins,
        sum_tolerance=sum_tolerance,
        skip_unfit=skip_unfit,
    )
    return evaluation(totals)


def compare(first: Any, second: Any, target: Any = None, *, names: tuple[str, str] | None = None, **options: Any) -> Comparison:
    """Which of two models is better on the same rows, by how much, and how sure that is.

    The mean of the first less that of the second, with both drawn again together.

    Args:
        first: predictions of one model, as `evaluate` takes them.
        second: those of the other, for the same rows.
        target: as `evaluate`, for both.
        names: what the models are called; by default their files, or "first" and "second".
        options: any other argument of `evaluate`, for both.

    Returns:
        A `Comparison` of log loss in nats, as it is and after one temperature each, of Brier score and accuracy; ``print`` says
        which model is better.

    Raises:
        ArgumentError: the models were given other rows, targets, weights or classes, or one iterator for both.
        TypeError: an option that there is not.
        XentError: as `evaluate`.

    Example:
        >>> import numpy as np
        >>> import xent
        >>> sure, unsure, target = np.array([0.9, 0.2, 0.8]), np.array([0.6, 0.4, 0.6]), np.array([1, 0, 1])
        >>> print(f"{xent.evaluate.compare(sure, unsure, target, kind='probs').log_loss_nats.difference.value:.4f}")
        -0.3269

    References:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    unknown = sorted(set(options) - set(_judged.__kwdefaults__ or {}))
    if unknown:
        raise TypeError(f"compare() got an unexpected keyword argument {unknown[0]!r}")
    called = (_called(first, "first"), _called(second, "second")) if names is None else two_names(names)
    if first is second and isinstance(first, Iterator):
        found = f"both are one {type(first).__name__}, which the first model uses up"
        raise ArgumentError("each model needs predictions of its own", found, "Give a list, or one for each model.")
    one, other = (_judged(predictions, target, **options) for predictions in (first, second))
    return Comparison.of(one, other, names=called)


def _called(predictions: Any, otherwise: str) -> str:
    """The file, if it is one."""
    return os.fspath(predictions) if isinstance(predictions, str | os.PathLike) else otherwise


def _judged(
    predictions: Any,
    target: Any,
    *,
    kind: Kind | None = None,
    columns: str | None = None,
    classes: Sequence[str] = (),
    weight: Any = None,
    size: Any = None,
    id: Any = None,
    by: Any = None,
    top_k: Sequence[int] = (),
    bins: int = 15,
    sum_tolerance: float | None = None,
    skip_unfit: bool = False,
) -> Totals:
    """The state of one model."""
    choices = Choices(wholes(top_k, "top_k"), bins, sum_tolerance)
    words = Columns(None, kind, columns, class_names(classes))
    return totals_of(Parts(predictions, target, weight, size, id, by), words, choices=choices, skip_unfit=skip_unfit)


def totals_of(parts: Parts, columns: Columns, *, choices: Choices, skip_unfit: bool = False) -> Totals:
    """The state after all rows; of a table, parts are names of columns."""
    if is_frame(parts.predictions) and parts.target is not None and not isinstance(parts.target, str):
        # A frame of predictions alone, whose columns are called as the classes are, with its target beside it.
        frame = parts.predictions
        names = tuple(map(str, getattr(frame, "column_names", getattr(frame, "columns", ()))))
        parts = replace(parts, predictions=as_array(frame))
        columns = replace(columns, classes=columns.classes or names)
    if is_path(parts.predictions) or is_frame(parts.predictions):
        named = {
            name: _word(value, name)
            for name in ("target", "weight", "size", "id", "by")
            if (value := getattr(parts, name)) is not None
        }
        spec, batches = _table(parts.predictions, replace(columns, **named), choices)
        return counted(spec, batches, skip_unfit=skip_unfit)
    for name, value in (("columns", columns.predictions), ("id", parts.id), ("by", parts.by)):
        if isinstance(value, str):
            found = f"found {value!r} and {type(parts.predictions).__name__}"
            raise ArgumentError(f"{name}= names a column of a table", found, "Leave it out, or give a table.")
    if columns.kind is None:
        remedy = 'Say kind="probs", "logits", "log-probs" or "target-log-probs".'
        raise ArgumentError("what predictions are must be declared", "kind is None", remedy)
    first, batches = peeked(_untabled(columns.kind, parts, columns.classes))
    return counted(spec_for(columns.kind, columns.classes, first, choices), batches, skip_unfit=skip_unfit)


def _word(value: Any, name: str) -> str:
    """The name of a column."""
    if isinstance(value, str):
        return value
    found = f"found {type(value).__name__}"
    raise ArgumentError(f"with a table {name}= is the name of a column", found, "Name it, or give the predictions as an array.")


def _table(table: Any, columns: Columns, choices: Choices) -> tuple[Spec, Iterable[Batch | abreast.Make]]:
    """Files or a data frame."""
    if is_path(table):
        paths = paths_of(table)
        layout = layout_of(paths, columns, choices)
        return layout.spec, file_makers(units_of(paths), layout)
    layout, batches = frame_batches(table, columns, choices)
    return layout.spec, batches


def _untabled(kind: Kind, parts: Parts, classes: Sequence[str]) -> Iterator[Batch]:
    """One array and its target, or batches one after the other."""
    if parts.target is not None or hasattr(parts.predictions, "__array__"):
        return iter([array_batch(kind, parts, classes=classes)])
    if not isinstance(parts.predictions, Iterable):
        found = f"found {type(parts.predictions).__name__}"
        rule = "predictions must be an array, a path, a data frame or an iterable of batches"
        raise ArgumentError(rule, found, "Give one of these.")
    if parts.given:
        found = f"found {', '.join(sorted(parts.given))} beside an iterable"
        remedy = 'Give each batch as a mapping: {"predictions": ..., "target": ..., "weight": ...}.'
        raise ArgumentError("batches bring what is known of their rows themselves", found, remedy)
    return given_batches(kind, parts.predictions, classes)


def counted(spec: Spec, batches: Iterable[Batch | abreast.Make], *, skip_unfit: bool = False) -> Totals:
    """Count every batch."""
    return abreast.count(Totals(spec, skip_unfit=skip_unfit), batches)


def count_table(table: Any, columns: Columns, *, choices: Choices | None = None, skip_unfit: bool = False) -> Totals:
    """The state of the rows of one table: what each worker of any engine gives, to be merged.

    Args:
        table: a data frame, or a record batch, that hands itself over as Arrow.
        columns: what its columns hold. Name an `id`: rows of parts have no numbers of their own among all, and are drawn again in
            the bootstrap by their ids.
        choices: `top_k`, `bins` and `sum_tolerance`, as `evaluate` has them.
        skip_unfit: as `evaluate`.

    Returns:
        `Totals`; ``to_bytes()`` sends it, ``merge`` adds it to others.

    Raises:
        XentError: as `evaluate`.

    Example:
        >>> import pyarrow as pa
        >>> from xent.evaluate import Columns, count_table, evaluation
        >>> table = pa.table({"p_no": [0.9, 0.2], "p_yes": [0.1, 0.8], "y": ["no", "no"], "id": [7, 8]})
        >>> totals = count_table(table, Columns("y", "probs", "p_", id="id"))
        >>> print(f"{evaluation(totals).log_loss_nats.value:.4f}")
        0.8574

    References:
        docs/evaluate.md has it on Spark and Dask.
    """
    layout, batches = frame_batches(table, columns, choices or Choices(), source=-1)
    return counted(layout.spec, batches, skip_unfit=skip_unfit)
