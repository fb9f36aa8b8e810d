"""Whether the parts of a state that was read can belong together: what evaluating and merging it take for granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xent.evaluate.state.kept import MOST_WORST, Rows, sample_size, sampled, worst
from xent.evaluate.state.sums import MOST_GROUPS

if TYPE_CHECKING:
    from xent.evaluate.totals import Totals

KEPT = {"key": "<u8", "nats": "<f8", "target": "<i8", "weight": "<f8", "source": "<i8", "row": "<i8"}
"""Columns of every kept row, and their dtype."""
WORST, SAMPLE = KEPT | {"predicted": "<i8", "confidence": "<f8", "id": "|O"}, KEPT | {"values": "<f4"}
PARTS = {f"{name}_hits": f"{name}_weight" for name in ("cell", "class", "classwise", "bucket_bin")}
"""Sums over some of the rows that another is over."""


def check(totals: Totals) -> None:
    """Raise ValueError where they cannot."""
    spec, n = totals.spec, totals.spec.n_classes
    _agree(spec.by is None or type(spec.by) is str, "the column to judge by is no name")
    _agree(all(type(name) is str for name in spec.classes), "classes are no names")
    _agree(type(spec.weighted) is bool and type(spec.sized) is bool, "the spec is none")
    _agree(min(totals.counts.values()) >= 0 and 0 <= totals.print < 2**64, "counts are negative, or the print is no 64 bits")
    _agree(0 <= totals.weight_print < 2**64, "the print of the weights is no 64 bits")
    _agree(spec.weighted or not totals.weight_print, "there are weights of no column")
    _check_counts(totals)
    _agree(spec.kind == "logits" or not totals.alike, "only logits can look like probabilities")
    groups = totals.groups
    _agree(all(type(name) is str for name in groups) and list(groups) == sorted(set(groups)), "groups are not sorted texts")
    _agree(len(groups) <= MOST_GROUPS and (not groups or totals.spec.by is not None), "there are groups of no column")
    pairs, counts = totals.confusion.pairs, totals.confusion.counts
    _agree(
        pairs.shape == counts.shape and pairs.ndim == 1 and pairs.dtype.kind == counts.dtype.kind == "i",
        "pairs and counts differ",
    )
    _agree(bool((np.diff(pairs) > 0).all() and (counts > 0).all()), "pairs are not sorted, or counted as nothing")
    _agree(not pairs.size or (pairs[0] >= 0 and pairs[-1] < n * n), "there are pairs of no class")
    for rows, columns, most in ((totals.worst, WORST, MOST_WORST), (totals.sample, SAMPLE, sample_size(n))):
        if rows is not None:
            _check_rows(rows, columns, n, most)
    if totals.worst is not None:
        _agree(all(type(name) is str for name in totals.worst.columns["id"].tolist()), "ids are no texts")
        _agree(_same(totals.worst, worst(totals.worst)), "the most surprising rows are not in their order")
    if totals.sample is not None:
        _agree(_same(totals.sample, sampled(totals.sample, sample_size(n))), "the sample is not in its order")


def _check_counts(totals: Totals) -> None:
    """No part is more than its whole."""
    counts, confusion = totals.counts, totals.confusion.counts
    _agree(
        counts["nan"] <= counts["unfit"] and totals.counted >= max(counts["infinite"], 0), "more rows are left out than there are"
    )
    _agree(sum(confusion.tolist()) <= totals.counted, "more rows are confused than counted")
    for part, whole in PARTS.items():
        if part in totals.sums:
            pairs = zip(totals.sums[part].wholes(), totals.sums[whole].wholes(), strict=True)
            _agree(all(some <= every for some, every in pairs), f"{part} is more than {whole}")
    for name, sums in totals.sums.items():
        ends = sums.limbs[:, [0, -1]] if sums.limbs.shape[1] else np.ones((1, 2))
        _agree(ends.any(axis=0).all(), f"{name} has places that no sum uses")


def _check_rows(rows: Rows, columns: dict[str, str], n_classes: int, most: int) -> None:
    """Every column is there, of its kind and of one length; targets and weights are such."""
    found = {name: column.dtype.newbyteorder("<").str for name, column in rows.columns.items()}
    _agree(found == columns, "kept rows have other columns")
    lengths = {len(column) for column in rows.columns.values()}
    _agree(len(lengths) == 1 and max(lengths) <= most, "kept rows are too many, or of different lengths")
    target, weight = rows.columns["target"], rows.columns["weight"]
    _agree(bool(((target >= 0) & (target < max(n_classes, 1))).all()), "kept rows have targets of no class")
    _agree(bool((np.isfinite(weight) & (weight >= 0.0)).all()), "kept rows have weights that are none")
    if "values" in columns:
        _agree(rows.columns["values"].shape[1:] == (n_classes,), "kept rows have other classes")
    if "predicted" in columns:
        predicted = rows.columns["predicted"]
        _agree(bool(((predicted >= -1) & (predicted < max(n_classes, 1))).all()), "kept rows are taken for no class")


def _same(rows: Rows, other: Rows) -> bool:
    return all(
        np.array_equal(column, other.columns[name], equal_nan=column.dtype.kind == "f") for name, column in rows.columns.items()
    )


def _agree(fits: object, found: str) -> None:
    if not fits:
        raise ValueError(found)
