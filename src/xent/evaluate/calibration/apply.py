"""Files of predictions written anew, with calibrated probabilities in place of what was predicted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from xent._errors import ArgumentError
from xent.evaluate.calibration._calibrator import Calibrator
from xent.evaluate.calibration.files import Watching, check_every_class
from xent.evaluate.inputs.arrow import batch_of
from xent.evaluate.inputs.columns import METADATA, Columns, Layout, declared, laid_out, listed, metadata
from xent.evaluate.inputs.files import Unit, batches_of, found_files, schema_of, units_of
from xent.evaluate.state.options import some

BESIDE = 32
"""A column that is kept counts as so many predictions when rows are read: it may hold text."""
PANDAS = b"pandas"
"""What pandas notes of columns, some of which are gone."""


def apply_files(
    paths: Sequence[str], columns: Columns, calibrator: Calibrator, out: Path, watching: Watching, *, prefix: str = "p_"
) -> int:
    """Write the rows of files to one Parquet file: columns of predictions calibrated, the others as they are.

    The file says itself what its columns hold. Nothing but a few rows is held in memory.

    Returns:
        How many rows were written.

    Raises:
        XentError: what cannot be read, rows that are not what they are declared to be, or a calibrator for other predictions.
    """
    files = found_files(paths)
    schema = _common_schema(files)
    layout = laid_out(columns, schema, files[0], labelled=False)
    check_every_class(layout)
    check_fits(calibrator, layout, files[0])
    written = calibrated_schema(schema, layout, prefix)
    done, units = 0, units_of(files)
    with pa_parquet.ParquetWriter(out, written) as writer, watching() as watch:
        total = None if any(unit.rows is None for unit in units) else sum(unit.rows or 0 for unit in units)
        for unit in units:
            for rows in _calibrated(unit, schema, layout, calibrator, written):
                writer.write_batch(rows)
                done += rows.num_rows
                watch(done, total)
    return done


def check_not_among(out: Path, paths: Sequence[str], *others: str) -> None:
    """Refuse to write over a file that is read."""
    for path in [*found_files(paths), *others]:
        if out.exists() and Path(path).exists() and os.path.samefile(out, path):
            raise ArgumentError("--out must not be a file that is read", f"it is {path}", "Name another.")


def check_fits(calibrator: Calibrator, layout: Layout, source: str) -> None:
    """Refuse a calibrator of other classes, or for other kinds of numbers."""
    spec = layout.spec
    if calibrator.kind != spec.kind:
        found = f"it was fitted to {calibrator.kind}, and {source} has {spec.kind}"
        raise ArgumentError("a calibrator serves what it was fitted to", found, "Fit one to such predictions.")
    own = calibrator.spec().classes
    if own != spec.classes:
        found = f"it was fitted to {_named(own)}, and {source} has {_named(spec.classes)}"
        remedy = "Its classes must stand in the same order; --classes names the columns of a file that does not."
        raise ArgumentError("a calibrator serves the classes it was fitted to", found, remedy)


def _named(classes: Sequence[str]) -> str:
    """``3 classes ('a', 'b', 'c')``, cut after ten."""
    return f"{len(classes)} classes ({some(classes)})"


def _common_schema(files: Sequence[str]) -> pa.Schema:
    """The columns of all files, which must be the same."""
    first, *others = files
    schema = schema_of(first)
    twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if twice is not None:
        raise ArgumentError("column names must differ", f"{first} has {twice!r} twice", "Rename one.")
    for path in others:
        if not schema_of(path).equals(schema):
            raise ArgumentError(
                "files that are written as one must have the same columns", f"{path} differs", f"{first} is first."
            )
    return schema


def calibrated_schema(schema: pa.Schema, layout: Layout, prefix: str) -> pa.Schema:
    """The columns that are written, and what the file says of them; ArgumentError where that cannot be said."""
    names = [f"{prefix}{name}" for name in layout.spec.classes]
    fields: list[pa.Field] = []
    for field in schema:
        if field.name == layout.predictions[0]:
            fields += [pa.field(name, pa.float64()) for name in names]
        if field.name not in layout.predictions:
            fields.append(field)
    about = {key: value for key, value in (schema.metadata or {}).items() if key not in (METADATA, PANDAS)}
    said = Columns(layout.target, "probs", prefix, weight=layout.weight, size=layout.size, id=layout.id, by=layout.by)
    written = pa.schema(fields, about | metadata(said))
    _check_legible(written, layout, names, prefix)
    return written


def _check_legible(written: pa.Schema, layout: Layout, names: list[str], prefix: str) -> None:
    """Refuse names that could not be told apart when the file is read."""
    rule = f"calibrated columns are called {prefix}CLASS, and no other column may begin so"
    remedy = "Choose another beginning, with --prefix calibrated_ say."
    twice = [name for name in written.names if written.names.count(name) > 1]
    others = [name for name in written.names if name.startswith(prefix) and name not in names]
    if not prefix or twice or others:
        found = f"there is {[*twice, *others][0]!r} besides" if twice or others else "it is empty"
        raise ArgumentError(rule, found, remedy)
    again = laid_out(Columns(), written, "the new file", labelled=layout.target is not None)
    if (again.predictions, again.spec.classes) != (tuple(names), layout.spec.classes):
        raise ArgumentError(rule, f"there are {listed(written.names)}", remedy)


def _calibrated(
    unit: Unit, schema: pa.Schema, layout: Layout, calibrator: Calibrator, written: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows of a unit, as they are written; labels and weights are not looked at."""
    alone = replace(layout, target=None, weight=None, size=None, id=None, by=None)
    wide = layout.spec.n_classes + BESIDE * (len(schema) - len(layout.predictions))
    for first, rows in batches_of(unit, schema.names, wide):
        probs = calibrator.calibrated(batch_of(rows, alone, first=first, name=unit.path))
        columns: list[pa.Array] = []
        for name in schema.names:
            if name == layout.predictions[0]:
                columns += [pa.array(column) for column in probs.T]
            if name not in layout.predictions:
                columns.append(rows.column(name))
        yield pa.RecordBatch.from_arrays(columns, schema=written)


def said_target(path: Path) -> bool:
    """Whether a file says which column holds the true classes."""
    return declared(schema_of(str(path))).target is not None
