# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
"""Tables to learn from: a CSV or Parquet file, or scikit-learn's digits, as features and one target column."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from xent._errors import ArgumentError

# Larger features have squares near the end of float64, and no standard deviation.
LARGEST_FEATURE = 1e150


@dataclass(frozen=True, slots=True)
class Table:
    """Features (N, D), the class of each row (N,), the D column names, and where they come from."""

    features: npt.NDArray[np.float64]
    target: npt.NDArray[Any]
    columns: tuple[str, ...]
    target_name: str
    source: str


def digits_table(target: str | None = None) -> Table:
    """The 1797 handwritten digits of scikit-learn, 8 × 8 pixels each; they have one target, ``digit``."""
    if target not in (None, "digit"):
        found = f"it is {target!r}, and the digits used without a table have one target, 'digit'"
        raise ArgumentError("--target must name a column of the table", found, "Give the path of the table.")
    from xent.learn._sklearn import digits

    features, classes, names = digits()
    return Table(features, classes, tuple(names), "digit", "scikit-learn's handwritten digits")


def read_table(path: Path, target: str | None, dropped: Sequence[str] = ()) -> Table:
    """Read a ``.csv`` or ``.parquet`` file; every column but the target and the dropped ones is a feature.

    Raises:
        ArgumentError: the file cannot be read or a column cannot be learnt from; the message names file, column, data row
            (the first is 1) and value.
    """
    table = _read(path)
    if target is None:
        raise ArgumentError("a table needs --target COLUMN", f"{path} has {_listed(table.column_names)}", "Name one of them.")
    for option, column in [("--target", target), *(("--drop", name) for name in dropped)]:
        _check_present(table, option, column)
    names = [name for name in table.column_names if name != target and name not in dropped]
    if table.num_rows == 0 or not names:
        found = "no rows" if names else "no column beside the target"
        raise ArgumentError("a table needs rows and at least one feature column", f"{path} has {found}", "Give it some.")
    classes = _classes(target, table.column(target))
    features = np.column_stack([_feature(name, table.column(name)) for name in names])
    return Table(features, classes, tuple(names), target, str(path))


def _read(path: Path) -> pa.Table:
    """The file as an Arrow table."""
    readers: dict[str, Callable[[Path], pa.Table]] = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        found = f"{path} ends in {path.suffix!r}" if path.suffix else f"{path} has no extension"
        raise ArgumentError("a table must be a .csv or .parquet file", found, "Convert or rename it.")
    if not path.is_file():
        found = f"{path} is a directory" if path.is_dir() else f"there is no file {path}"
        raise ArgumentError("the table must be a file that exists", found, "Check the path.")
    try:
        table = reader(path)
        _check_names(table, path)
        return table
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        found = f"{path} gives: {' '.join(str(error).split()).rstrip('.')}"
        raise ArgumentError(f"the table must be readable as {path.suffix.lower()}", found, "Repair or convert it.") from error


def _read_csv(path: Path) -> pa.Table:
    """A CSV file whose first line names the columns."""
    if path.stat().st_size == 0:
        raise pa.ArrowInvalid("the file is empty")
    table = pa_csv.read_csv(path)
    binary = [name for name, kind in zip(table.column_names, table.schema.types, strict=True) if pa.types.is_binary(kind)]
    if binary:
        raise pa.ArrowInvalid(f"column {binary[0]!r} is not UTF-8")
    return table


def _read_parquet(path: Path) -> pa.Table:
    """A Parquet file; one whose columns share a name is read too."""
    with pa_parquet.ParquetFile(path) as file:
        return file.read()


def _check_names(table: pa.Table, path: Path) -> None:
    """Refuse two columns of one name."""
    name, count = max(Counter(table.column_names).items(), key=lambda item: item[1], default=("", 0))
    if count > 1:
        raise ArgumentError("column names must differ", f"{path} has {count} columns named {name!r}", "Rename or remove them.")


def _check_present(table: pa.Table, option: str, column: str) -> None:
    """Refuse a column that the table lacks, and say which name may have been meant."""
    names: list[str] = table.column_names
    if column in names:
        return
    close = get_close_matches(column, names, n=1)
    remedy = f"Did you mean {close[0]!r}?" if close else "Name one of them."
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        remedy = "Separate the columns by commas."
    raise ArgumentError(f"{option} must name a column of the table", f"{column!r} is none of its {_listed(names)}", remedy)


def _listed(names: Sequence[str]) -> str:
    """``3 columns: 'a', 'b', 'c'``, cut after ten."""
    shown = ", ".join(repr(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")
    return f"{len(names)} column{'s' if len(names) != 1 else ''}: {shown}"


def _feature(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """A column as float64: numbers or booleans, all there, all finite."""
    kind = column.type
    _check_complete(name, column, "Fill it, remove the row, or leave the column out with --drop.")
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)):
        row = _first_text(column)
        found = f"column {name!r} holds {kind} such as {str(column[row].as_py())!r} in data row {row + 1}"
        raise ArgumentError(
            "features must be numbers", found, f"Encode it as numbers, or leave it out with --drop {_quoted(name)}."
        )
    # Unsafe as to precision only: integers above 2^53 are rounded.
    values = column.cast(pa.uint8() if pa.types.is_boolean(kind) else pa.float64(), safe=False).to_numpy().astype(np.float64)
    bad = np.flatnonzero(~(np.abs(values) <= LARGEST_FEATURE))
    if bad.size:
        found = f"column {name!r} holds {values[bad[0]]} in data row {bad[0] + 1} ({bad.size} such rows)"
        rule = f"features must be finite and at most {LARGEST_FEATURE:g} in size"
        raise ArgumentError(rule, found, f"Repair it, remove the rows, or leave the column out with --drop {_quoted(name)}.")
    return values


def _first_text(column: pa.ChunkedArray) -> int:
    """The first row that holds no number; of a mixed column of a CSV file the cell that made it text."""
    for row, value in enumerate(column.to_pylist()):
        try:
            float(value)
        except (TypeError, ValueError):
            return row
    return 0


def _classes(name: str, column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The target as strings, integers, booleans, or floats without fractions."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    _check_complete(name, column, "Fill it or remove the row.")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(name, column)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.to_numpy()
    if not pa.types.is_floating(kind):
        found = f"column {name!r} holds {kind}"
        raise ArgumentError("the target must hold strings, integers or booleans", found, "Convert it to strings.")
    values = column.to_numpy().astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(values) & (values == np.floor(values))))
    if bad.size:
        found = f"column {name!r} holds {values[bad[0]]} in data row {bad[0] + 1} ({bad.size} such rows)"
        raise ArgumentError("the target must hold classes, not fractions", found, "Group the values into classes first.")
    return values


def _texts(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    """A column of strings, none of them empty."""
    empty = pc.index(column, "").as_py()
    if empty >= 0:
        raise ArgumentError(
            "every row needs a class", f"column {name!r} is empty in data row {empty + 1}", "Fill it or remove the row."
        )
    return np.array(column.to_pylist(), dtype=np.str_)


def _check_complete(name: str, column: pa.ChunkedArray, remedy: str) -> None:
    """Refuse missing values."""
    if column.null_count:
        first = int(np.flatnonzero(column.is_null().to_numpy())[0]) + 1
        found = f"column {name!r} has none in data row {first} ({column.null_count} such rows)"
        raise ArgumentError("every cell needs a value", found, remedy)


def _quoted(name: str) -> str:
    """A column name as a shell takes it."""
    return name if name.isidentifier() else f'"{name}"'
