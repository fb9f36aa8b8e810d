"""NPY and NPZ, a few rows at a time, as columns; headers are read with caps, and no object is ever unpickled.

An NPZ file is a table whose columns are its arrays. An NPY file is one array: its fields are columns, or all is ``predictions``.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import prod
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib import format as npy

from xent._errors import ArgumentError
from xent.evaluate.inputs.reader import Reader

LONGEST_HEADER = 10_000
"""Bytes; that of a plain array takes a hundred."""
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
"""What the readers of archives raise: damaged, encrypted, or packed in a way that is not known."""
ONLY = "predictions"
"""What the column of a plain NPY file is called."""
MOST_PACKED = 1 << 30
"""Bytes of an array that lies column by column in a compressed archive, where nothing can be skipped: it is read whole."""
_LOCAL = struct.Struct("<26xHH")
"""What stands before a member of an archive ends in the lengths of its name and of what follows that."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What an array declares of itself."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    """Where its data begin."""
    by_column: bool
    """Whether columns, not rows, lie together, as values of pandas do."""
    fault: str = ""
    """Why it is no column; an array of an archive that is not asked for may be what it likes."""

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
    fault, declared = _fault(dtype, shape), dtype.itemsize * prod(shape)
    if not fault and declared != size - file.tell():
        raise _refused(name, f"it declares {declared} bytes and has {size - file.tell()}")
    return _Header(dtype, shape, file.tell(), by_column and len(shape) > 1, fault)


def _fault(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """Why an array is no column."""
    if dtype.itemsize == 0:
        return f"it holds {dtype}, which takes no bytes"
    if dtype.hasobject:
        return "it holds Python objects, which only unpickling could read"
    if not shape or len(shape) > 2 or any(type(n) is not int or n < 0 for n in shape):
        return f"it is shaped {shape}, and rows of numbers are needed"
    strange = [one for one in _dtypes(dtype) if one.kind not in "fiubUS"]
    return f"it holds {strange[0]}" if strange else ""


def _dtypes(dtype: np.dtype[Any]) -> list[np.dtype[Any]]:
    """Those of the fields, or the one."""
    return [dtype] if dtype.names is None else [dtype[column] for column in dtype.names]


def _sound(header: _Header, name: str) -> _Header:
    """The header of an array that is a column; else it is refused."""
    if header.fault:
        raise _refused(name, header.fault)
    return header


def _refused(name: str, found: str, remedy: str = "Save it anew.") -> ArgumentError:
    return ArgumentError("an array must be plain numbers or texts in rows, as long as it declares", f"{name}: {found}", remedy)


def _fields(name: str, header: _Header) -> list[pa.Field]:
    """The columns that an array makes; without a type where it is none."""
    if header.fault:
        return [pa.field(name, pa.null())]
    if header.dtype.names is not None:
        return [_field(column, header.dtype[column], (1,)) for column in header.dtype.names]
    return [_field(name, header.dtype, header.shape)]


def _field(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> pa.Field:
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
        if header.by_column:
            yield _strip(file, header, start, count, name)
        else:
            yield np.frombuffer(_read(file, count * header.row_bytes, name), header.dtype).reshape(count, *header.shape[1:])


def _strip(file: IO[bytes], header: _Header, start: int, count: int, name: str) -> npt.NDArray[Any]:
    """Some rows of an array that lies column by column."""
    rows, columns = header.shape
    strip = np.empty((count, columns), header.dtype)
    for column in range(columns):
        file.seek(header.start + (column * rows + start) * header.dtype.itemsize)
        strip[:, column] = np.frombuffer(_read(file, count * header.dtype.itemsize, name), header.dtype)
    return strip


def _read(file: IO[bytes], size: int, name: str) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _refused(name, "it ends too early")
    return data


def _npy_schema(path: str) -> pa.Schema:
    with open(path, "rb") as file:
        return pa.schema(_fields(ONLY, _sound(_header(file, os.path.getsize(path), path), path)))


def _npy_batches(path: str, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    with open(path, "rb") as file:
        header = _sound(_header(file, os.path.getsize(path), path), path)
        for rows in _rows(file, header, size, path):
            columns = _arrays(ONLY, rows)
            yield pa.record_batch({name: columns[name] for name in names})


NPY = Reader(_npy_schema, _npy_batches)


@dataclass(frozen=True, slots=True)
class _Member:
    """An array of an archive, at the beginning of its data."""

    info: zipfile.ZipInfo
    file: IO[bytes]
    header: _Header


def _members(path: str, stack: ExitStack) -> dict[str, _Member]:
    """The arrays of an archive."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except zipfile.BadZipFile as error:
        raise _refused(path, str(error)) from error
    members: dict[str, _Member] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in members:
            raise _refused(path, f"{info.filename!r} is no array, or stands twice")
        file = stack.enter_context(archive.open(info))
        members[name] = _Member(info, file, _header(file, info.file_size, f"{path} {name!r}"))
    return members


def _wanted(path: str, members: dict[str, _Member], names: Sequence[str]) -> dict[str, _Member]:
    """The arrays that hold these columns; all of one length."""
    found = {name: item for name, item in members.items() if {f.name for f in _fields(name, item.header)} & set(names)}
    lengths = {name: _sound(item.header, f"{path} {name!r}").shape[0] for name, item in found.items()}
    if len(set(lengths.values())) > 1:
        rule = "arrays of an archive that are named as columns must have one length"
        raise ArgumentError(
            rule,
            f"{path}: they have different lengths: {lengths}",
            "Name others, or save it without what is no column: --apply keeps all.",
        )
    return found


def _member_rows(path: str, name: str, member: _Member, size: int, stack: ExitStack) -> Iterator[npt.NDArray[Any]]:
    """So many rows of an array of an archive at a time."""
    file, header, called = member.file, member.header, f"{path} {name!r}"
    if not header.by_column:
        return _rows(file, header, size, called)
    if member.info.compress_type != zipfile.ZIP_STORED:
        declared = member.info.file_size
        if declared > MOST_PACKED:
            found = f"it is compressed, lies column by column, and has {declared} bytes, more than {MOST_PACKED}"
            raise _refused(called, found, "Save numpy.ascontiguousarray of it, or all by numpy.savez.")
        return _rows(io.BytesIO(file.read()), replace(header, start=0), size, called)
    # Whoever seeks in a member has no checksum of it: read it through once.
    while file.read(1 << 20):
        pass
    plain = stack.enter_context(open(path, "rb"))
    return _rows(plain, replace(header, start=_data_start(plain, member.info) + header.start), size, called)


def _data_start(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Where in the archive a member begins."""
    file.seek(info.header_offset)
    return info.header_offset + _LOCAL.size + sum(_LOCAL.unpack(file.read(_LOCAL.size)))


def _npz_schema(path: str) -> pa.Schema:
    with ExitStack() as stack:
        members = _members(path, stack)
        return pa.schema([field for name, member in members.items() for field in _fields(name, member.header)])


def _npz_batches(path: str, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    with ExitStack() as stack:
        wanted = _wanted(path, _members(path, stack), names)
        parts = [_member_rows(path, name, member, size, stack) for name, member in wanted.items()]
        for rows in zip(*parts, strict=True):
            columns = {k: v for name, part in zip(wanted, rows, strict=True) for k, v in _arrays(name, part).items()}
            yield pa.record_batch({name: columns[name] for name in names})


NPZ = Reader(_npz_schema, _npz_batches)
