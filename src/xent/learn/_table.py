# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
"""Tables to learn from: a CSV or Parquet file, or scikit-learn's digits, as features and one target column."""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
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
        ArgumentError: the file cannot be read, a column has no name, or columns cannot be learnt from; the message names file,
            columns, data row (the first is 1) and value.
    """
    table = _read(path)
    if target is None:
        found = f"{path} has {_listed(table.column_names)}"
        raise ArgumentError("a table needs --target COLUMN", found, _unnamed(table) or "Name one of them.")
    _check_choice(table, target, dropped)
    table = table.select([number for number, name in enumerate(table.column_names) if name not in dropped])
    _check_names(table, path)
    names = [name for name in table.column_names if name != target]
    if table.num_rows == 0 or not names:
        found = "no rows" if table.num_rows == 0 else "no column beside the target"
        raise ArgumentError("a table needs rows and at least one feature column", f"{path} has {found}", "Give it some.")
    classes = _classes(target, table.column(target))
    return Table(_features(table, names), classes, tuple(names), target, str(path))


def _read(path: Path) -> pa.Table:
    """The file as an Arrow table."""
    readers: dict[str, Callable[[Path], pa.Table]] = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if path.is_dir():
        raise ArgumentError("a table must be a .csv or .parquet file", f"{path} is a directory", "Name a file in it.")
    if reader is None:
        found = f"{path} ends in {path.suffix!r}" if path.suffix else f"{path} has no extension"
        raise ArgumentError("a table must be a .csv or .parquet file", found, "Convert or rename it.")
    if not path.is_file():
        raise ArgumentError("the table must be a file that exists", f"there is no file {path}", "Check the path.")
    try:
        return reader(path)
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


def _check_choice(table: pa.Table, target: str, dropped: Sequence[str]) -> None:
    """Refuse a target or a dropped column that the table lacks, and a target that is dropped."""
    for option, column in [("--target", target), *(("--drop", name) for name in dropped)]:
        _check_present(table, option, column)
    if target in dropped:
        found = f"both name {target!r}"
        raise ArgumentError("--target and --drop must name different columns", found, "Leave that --drop out.")


def _check_names(table: pa.Table, path: Path) -> None:
    """Refuse a column without a name, or under the one pandas gives to those, and two columns of one name."""
    for number, name in enumerate(table.column_names, 1):
        if not name.strip() or name.startswith(("Unnamed: ", "__index_level_")):
            found = f"column {number} has no name" + (f" but pandas' {name!r}" if name.strip() else "")
            remedy = f"Is it a row number? Drop it with --drop {shlex.quote(name)}, or name it."
            raise ArgumentError("every column needs a name", found, remedy)
    name, count = max(Counter(table.column_names).items(), key=lambda item: item[1], default=("", 0))
    if count > 1:
        remedy = _unnamed(table) or "Rename or remove them."
        raise ArgumentError("column names must differ", f"{path} has {count} columns named {name!r}", remedy)


def _unnamed(table: pa.Table) -> str:
    """A remedy for a table whose names are mostly numbers, as where the first line of a file is data; else nothing."""
    numbers = sum(_is_number(name) for name in table.column_names)
    if 2 * numbers <= len(table.column_names):
        return ""
    return "Is the first line data? It must name the columns."


def _check_present(table: pa.Table, option: str, column: str) -> None:
    """Refuse a column that the table lacks, and say which name may have been meant."""
    names: list[str] = table.column_names
    if column in names:
        return
    close = get_close_matches(column, names, n=1)
    remedy = f"Did you mean {close[0]!r}?" if close else _unnamed(table) or "Name one of them."
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        remedy = "Separate the columns by commas."
    raise ArgumentError(f"{option} must name a column of the table", f"{column!r} is none of its {_listed(names)}", remedy)


def _listed(names: Sequence[str]) -> str:
    """``3 columns: 'a', 'b', 'c'``, cut after ten."""
    shown = ", ".join(repr(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")
    return f"{len(names)} column{'s' if len(names) != 1 else ''}: {shown}"


def _features(table: pa.Table, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """The columns of these names as float64, (N, D); ArgumentError that lists every column that cannot be one."""
    read = {name: _feature(table.column(name)) for name in names}
    bad = {name: found for name, found in read.items() if isinstance(found, str)}
    if bad:
        shown = [f"column {name!r} {found}" for name, found in bad.items()][:10]
        more = f"; and {len(bad) - 10} more columns" if len(bad) > 10 else ""
        options = " ".join(f"--drop {shlex.quote(name)}" for name in bad)
        remedy = f"Add {options} to leave {'it' if len(bad) == 1 else 'them'} out, or repair the table."
        raise ArgumentError("features must be finite numbers, one in every row", "; ".join(shown) + more, remedy)
    return np.column_stack(list(read.values()))


def _feature(column: pa.ChunkedArray) -> npt.NDArray[np.float64] | str:
    """A column as float64: numbers or booleans, all there, all finite; else what is wrong with it."""
    kind = column.type
    if column.null_count:
        return f"has none {_places(column.is_null().to_numpy())}"
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)):
        row = _first_text(column)
        return f"holds {kind} such as {str(column[row].as_py())!r} in data row {row + 1} (from 1)"
    # Unsafe as to precision only: integers above 2^53 are rounded.
    values = column.cast(pa.uint8() if pa.types.is_boolean(kind) else pa.float64(), safe=False).to_numpy().astype(np.float64)
    bad = ~(np.abs(values) <= LARGEST_FEATURE)
    if not bad.any():
        return values
    first = values[np.argmax(bad)]
    bound = f", more than {LARGEST_FEATURE:g} in size," if np.isfinite(first) else ""
    return f"holds {first}{bound} {_places(bad)}"


def _places(bad: npt.NDArray[np.bool_]) -> str:
    """Where the first of some rows is, and how many more there are."""
    more = int(bad.sum()) - 1
    return f"in data row {np.argmax(bad) + 1} (from 1)" + (f" and {more} more" if more else "")


def _is_number(text: object) -> bool:
    """Whether Python reads it as a number."""
    try:
        float(text)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return False
    return True


def _first_text(column: pa.ChunkedArray) -> int:
    """The first row that holds no number; of a mixed column of a CSV file the cell that made it text."""
    return next((row for row, value in enumerate(column.to_pylist()) if not _is_number(value)), 0)


def _classes(name: str, column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The target as strings, integers, booleans, or floats without fractions."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if column.null_count:
        found = f"column {name!r} has none {_places(column.is_null().to_numpy())}"
        raise ArgumentError("every row needs a class", found, "Fill it or remove the row.")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(name, column)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.to_numpy()
    if not pa.types.is_floating(kind):
        found = f"column {name!r} holds {kind}"
        raise ArgumentError("the target must hold strings, integers or booleans", found, "Convert it to strings.")
    values = column.to_numpy().astype(np.float64)
    bad = ~(np.isfinite(values) & (values == np.floor(values)))
    if bad.any():
        found = f"column {name!r} holds {values[np.argmax(bad)]} {_places(bad)}"
        raise ArgumentError("the target must hold classes, not fractions", found, "Group the values into classes first.")
    return values


def _texts(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    """A column of strings, none of them empty."""
    texts = np.array(column.to_pylist(), dtype=np.str_)
    if (texts == "").any():
        found = f"column {name!r} is empty {_places(texts == '')}"
        raise ArgumentError("every row needs a class", found, "Fill it or remove the row.")
    return texts
