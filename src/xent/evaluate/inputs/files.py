"""Files of predictions, read a few rows at a time: Parquet, Arrow, CSV, JSON lines, NPY and NPZ."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pa_parquet

from xent._errors import ArgumentError
from xent.evaluate.inputs import numpy_files, text_files
from xent.evaluate.inputs.reader import Reader

BATCH_NUMBERS = 1 << 22
"""Numbers of predictions read at once: 16 MiB in float32."""
LEAST_ROWS, MOST_ROWS = 256, 1 << 18
UNIT_NUMBERS = 1 << 23
"""Numbers of the row groups that make a unit, unless one alone has more."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Consecutive rows of a file: what is read, and what is done again where reading failed."""

    source: int
    """The number of the file among all."""
    path: str
    parts: tuple[int, ...] | None = None
    """The row groups of a Parquet file; None for the whole of another."""
    first: int = 0
    rows: int | None = None
    """How many there are, where the file says so."""

    def __str__(self) -> str:
        """What to call it."""
        rows = "" if self.rows is None else f", rows {self.first} to {self.first + self.rows - 1}"
        return f"{self.path}{rows}"


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one kind are read."""

    schema: Callable[[str], pa.Schema]
    batches: Callable[[Unit, Sequence[str], int], Iterator[pa.RecordBatch]]
    units: Callable[[int, str], list[Unit]]


def found_files(paths: Sequence[str]) -> list[str]:
    """The files that paths, patterns and folders name: sorted within each, none twice.

    Raises:
        ArgumentError: a path leads nowhere, a folder holds no file of a known kind, or a file is of no known kind.
    """
    found: dict[str, str] = {}
    for path in paths:
        for file in _expanded(path):
            found.setdefault(os.path.realpath(file), file)
    return list(found.values())


def _expanded(path: str) -> list[str]:
    if not path:
        raise ArgumentError("predictions must be files that exist", "a path is empty", "Name a file, or . for this folder.")
    here = Path(path)
    if here.is_dir():
        inside = sorted(str(file) for file in _inside(here) if file.suffix.lower() in FORMATS and file.is_file())
        if not inside:
            raise ArgumentError("a folder must hold files of predictions", f"{path} holds none", f"Known are {_known()}.")
        return inside
    files = [path] if here.exists() else sorted(glob.glob(path, recursive=True))
    if not files:
        raise ArgumentError("predictions must be files that exist", f"there is nothing at {path}", "Check the path.")
    for file in files:
        format_of(file)
    return files


def _inside(folder: Path) -> Iterator[Path]:
    """What is in a folder and below, also through links, but each folder once; nothing hidden, as leftovers of writers are."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        found = os.stat(place)
        new = (found.st_dev, found.st_ino) not in seen
        seen.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if _visible(name)) if new else []
        yield from (Path(place, name) for name in files if new and _visible(name))


def _visible(name: str) -> bool:
    return not name.startswith((".", "_"))


def _known() -> str:
    return ", ".join(FORMATS)


REMEDIES = {
    (".gz", ".bz2", ".xz", ".zst", ".zip"): "Unpack it first.",
    (".tsv", ".tab", ".txt"): "Write it with commas, as .csv.",
    (".json",): "Write one object a line, as .jsonl.",
    (".pt", ".pth", ".pkl", ".pickle", ".joblib"): "Load it where you trust it, and save the arrays by numpy.savez.",
    (".xls", ".xlsx", ".ods"): "Save the sheet as .csv.",
}
"""What to do with files that are read by nothing here."""


def format_of(path: str) -> Format:
    """How to read a file, by its suffix."""
    suffix = Path(path).suffix.lower()
    known = FORMATS.get(suffix)
    if known is None or not Path(path).is_file():
        found = f"{path} ends in {Path(path).suffix!r}" if known is None else f"{path} is no plain file"
        remedy = next((remedy for ends, remedy in REMEDIES.items() if suffix in ends), "Convert it.")
        raise ArgumentError(f"predictions must be {_known()}", found, remedy)
    return known


MENDING = {
    "codec can't decode": "Save it as UTF-8.",
    "invalid UTF8": "Save it as UTF-8.",
    "Expected 1 columns": "Separate the columns by commas, and write numbers with points.",
}
"""What to do about what a reader says."""


@contextmanager
def reading(path: str) -> Generator[None]:
    """Turn what a reader says of a file into an error that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, *numpy_files.BROKEN) as error:
        said = " ".join(str(error).split()).rstrip(".")
        if "straddl" in said:
            said = f"a line, or a cell in quotes, is longer than {text_files.BLOCK_BYTES >> 20} MiB"
        found = f"{path} gives: {said[:300]}"
        remedy = next((remedy for words, remedy in MENDING.items() if words in said), "Repair or remove it.")
        raise ArgumentError(f"a file must be readable as {Path(path).suffix.lower()}", found, remedy) from error


def schema_of(path: str) -> pa.Schema:
    """Names and types of the columns of a file."""
    with reading(path):
        return format_of(path).schema(path)


def units_of(paths: Sequence[str]) -> list[Unit]:
    """What is to be read, file by file."""
    units: list[Unit] = []
    for source, path in enumerate(paths):
        with reading(path):
            units += format_of(path).units(source, path)
    return units


def batches_of(unit: Unit, names: Sequence[str], n_classes: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Record batches of a unit with these columns, and the number of the first row of each in its file."""
    size = min(max(BATCH_NUMBERS // max(n_classes, 1), LEAST_ROWS), MOST_ROWS)
    first = unit.first
    with reading(unit.path):
        for batch in format_of(unit.path).batches(unit, names, size):
            for start in range(0, batch.num_rows, size):
                yield first + start, batch.slice(start, size)
            first += batch.num_rows
    if unit.rows is not None and first != unit.first + unit.rows:
        found = f"{unit.path} has {first - unit.first} of {unit.rows}"
        raise ArgumentError("a file must hold the rows it declares", found, "Was it cut, or changed while it was read?")


def _parquet_schema(path: str) -> pa.Schema:
    with _parquet(path) as file:
        return file.schema_arrow


def _parquet(path: str) -> pa_parquet.ParquetFile:
    # Extension types are read as what they are stored as: none is loaded by a name that a file brings.
    return pa_parquet.ParquetFile(
        path, arrow_extensions_enabled=False, memory_map=False, pre_buffer=False, page_checksum_verification=True
    )


def _parquet_units(source: int, path: str) -> list[Unit]:
    """Row groups together until a unit is worth a worker's while."""
    with _parquet(path) as file:
        counts = [file.metadata.row_group(part).num_rows for part in range(file.num_row_groups)]
        columns = max(file.metadata.num_columns, 1)
    units: list[Unit] = []
    first = 0
    for part, rows in enumerate(counts):
        last = units[-1] if units else None
        if last is not None and last.rows is not None and last.parts is not None and (last.rows + rows) * columns <= UNIT_NUMBERS:
            units[-1] = replace(last, parts=(*last.parts, part), rows=last.rows + rows)
        else:
            units.append(Unit(source, path, (part,), first, rows))
        first += rows
    return units


def _parquet_batches(unit: Unit, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    with _parquet(unit.path) as file:
        groups = None if unit.parts is None else list(unit.parts)
        yield from file.iter_batches(size, row_groups=groups, columns=list(names))


def _arrow_schema(path: str) -> pa.Schema:
    with pa.memory_map(path) as source:
        return _arrow_reader(source).schema


def _arrow_reader(source: pa.NativeFile) -> pa_ipc.RecordBatchFileReader | pa_ipc.RecordBatchStreamReader:
    """A file with a footer, or a stream without."""
    start = source.read(6)
    source.seek(0)
    return pa_ipc.open_file(source) if start == b"ARROW1" else pa_ipc.open_stream(source)


def _arrow_batches(unit: Unit, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(unit.path) as source:
        reader = _arrow_reader(source)
        if isinstance(reader, pa_ipc.RecordBatchFileReader):
            batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
        else:
            batches = iter(reader)
        for batch in batches:
            batch.validate(full=True)
            yield batch.select(list(names))


def _whole(source: int, path: str) -> list[Unit]:
    """A file that is read from its beginning to its end."""
    return [Unit(source, path)]


_ARROW = Format(_arrow_schema, _arrow_batches, _whole)


def _plain(module: Reader) -> Format:
    """A format whose reader knows paths alone."""
    return Format(module.schema, lambda unit, names, size: module.batches(unit.path, names, size), _whole)


FORMATS: dict[str, Format] = {
    ".parquet": Format(_parquet_schema, _parquet_batches, _parquet_units),
    ".arrow": _ARROW,
    ".feather": _ARROW,
    ".csv": _plain(text_files.CSV),
    ".jsonl": _plain(text_files.JSON_LINES),
    ".ndjson": _plain(text_files.JSON_LINES),
    ".npy": _plain(numpy_files.NPY),
    ".npz": _plain(numpy_files.NPZ),
}
