"""NPY and NPZ, a few rows at a time, as columns; headers are read with caps, and no object is ever unpickled.

An NPZ file is a table whose columns are its arrays. An NPY file is one array: its fields are columns, or all is ``predictions``.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib import format as npy

from xent._errors import ArgumentError
from xent.evaluate._reader import Reader

LONGEST_HEADER = 10_000
"""Bytes; that of a plain array takes a hundred."""
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
"""What the readers of archives raise: damaged, encrypted, or packed in a way that is not known."""
ONLY = "predictions"
"""What the column of a plain NPY file is called."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What an array declares of itself."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * prod(self.shape[1:])


def _header(file: IO[bytes], size: int, name: str) -> _Header:
    """The header of an array, and that its data are as long as it declares."""
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_column, dtype = read(file, max_header_size=LONGEST_HEADER)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise _refused(name, f"its header cannot be read: {' '.join(str(error).split())[:200]}") from error
    if dtype.itemsize == 0:
        raise _refused(name, f"it holds {dtype}, which takes no bytes")
    if dtype.hasobject:
        raise _refused(name, "it holds Python objects, which only unpickling could read")
    if by_column and len(shape) > 1:
        raise _refused(name, "it lies column by column, as values of pandas do: save numpy.ascontiguousarray of it")
    if not shape or len(shape) > 2 or any(type(n) is not int or n < 0 for n in shape):
        raise _refused(name, f"it is shaped {shape}, and rows of numbers are needed")
    declared = dtype.itemsize * prod(shape)
    if declared != size - file.tell():
        raise _refused(name, f"it declares {declared} bytes and has {size - file.tell()}")
    return _Header(dtype, shape)


def _refused(name: str, found: str) -> ArgumentError:
    return ArgumentError(
        "an array must be plain numbers or texts in rows, as long as it declares", f"{name}: {found}", "Save it anew."
    )


def _fields(name: str, header: _Header) -> list[pa.Field]:
    """The columns that an array makes."""
    if header.dtype.names is not None:
        return [_field(column, header.dtype[column], (1,)) for column in header.dtype.names]
    return [_field(name, header.dtype, header.shape)]


def _field(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> pa.Field:
    if dtype.kind not in "fiubUS":
        raise _refused(name, f"it holds {dtype}")
    kind = pa.string() if dtype.kind in "US" else pa.from_numpy_dtype(dtype)
    return pa.field(name, pa.list_(kind, shape[1]) if len(shape) == 2 else kind)


def _arrays(name: str, values: npt.NDArray[Any]) -> dict[str, pa.Array]:
    """Rows of an array as columns."""
    if values.dtype.names is not None:
        return {column: _array(values[column]) for column in values.dtype.names}
    return {name: _array(values)}


def _array(values: npt.NDArray[Any]) -> pa.Array:
    plain = values.astype(values.dtype.newbyteorder("=")) if values.dtype.kind in "fiu" else values.astype(np.str_)
    plain = values if values.dtype.kind == "b" else plain
    if plain.ndim == 1:
        return pa.array(plain)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(plain).reshape(-1)), plain.shape[1])


def _rows(file: IO[bytes], header: _Header, size: int, name: str) -> Iterator[npt.NDArray[Any]]:
    """So many rows at a time."""
    for start in range(0, header.shape[0], size):
        count = min(size, header.shape[0] - start)
        data = file.read(count * header.row_bytes)
        if len(data) != count * header.row_bytes:
            raise _refused(name, "it ends too early")
        yield np.frombuffer(data, header.dtype).reshape(count, *header.shape[1:])


def _npy_schema(path: str) -> pa.Schema:
    with open(path, "rb") as file:
        return pa.schema(_fields(ONLY, _header(file, os.path.getsize(path), path)))


def _npy_batches(path: str, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    with open(path, "rb") as file:
        header = _header(file, os.path.getsize(path), path)
        for rows in _rows(file, header, size, path):
            columns = _arrays(ONLY, rows)
            yield pa.record_batch({name: columns[name] for name in names})


NPY = Reader(_npy_schema, _npy_batches)


def _members(path: str, stack: ExitStack) -> dict[str, tuple[IO[bytes], _Header]]:
    """The arrays of an archive, each at the beginning of its data; all of one length."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except zipfile.BadZipFile as error:
        raise _refused(path, str(error)) from error
    members: dict[str, tuple[IO[bytes], _Header]] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in members:
            raise _refused(path, f"{info.filename!r} is no array, or stands twice")
        file = stack.enter_context(archive.open(info))
        members[name] = file, _header(file, info.file_size, f"{path} {name!r}")
    lengths = {name: header.shape[0] for name, (_, header) in members.items()}
    if len(set(lengths.values())) > 1:
        raise _refused(path, f"its arrays have different lengths: {lengths}")
    return members


def _npz_schema(path: str) -> pa.Schema:
    with ExitStack() as stack:
        return pa.schema([field for name, (_, header) in _members(path, stack).items() for field in _fields(name, header)])


def _npz_batches(path: str, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    with ExitStack() as stack:
        members = _members(path, stack)
        wanted = {name: item for name, item in members.items() if {f.name for f in _fields(name, item[1])} & set(names)}
        parts = [_rows(file, header, size, f"{path} {name!r}") for name, (file, header) in wanted.items()]
        for rows in zip(*parts, strict=True):
            columns = {k: v for name, part in zip(wanted, rows, strict=True) for k, v in _arrays(name, part).items()}
            yield pa.record_batch({name: columns[name] for name in names})


NPZ = Reader(_npz_schema, _npz_batches)
