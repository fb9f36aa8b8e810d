"""A state as bytes and back: a format of its own, with a version, declared sizes and a checksum; never pickle.

``magic · version · length of header · header (JSON) · arrays · BLAKE2b of all before``; little-endian, arrays in the order of the
header. Only what the header declares is read, and it must fill the bytes exactly.
"""

from __future__ import annotations

import hashlib
import json
import struct
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, DTypeError
from xent.evaluate.state.confusion import Confusion
from xent.evaluate.state.consistent import check
from xent.evaluate.state.exact import ExactSums
from xent.evaluate.state.kept import Rows
from xent.evaluate.state.spec import Spec

if TYPE_CHECKING:
    from xent.evaluate.totals import Totals

MAGIC, VERSION, DIGEST = b"xent-totals\n", 3, 16
HEAD = struct.Struct("<HQ")
RULE = "a state must be what Totals.to_bytes wrote"
REMEDY = "Evaluate those rows again."
MOST_LIMBS = 80
"""Places of 32 bits: a float64 reaches 66, and sums of many a little further."""
START = len(MAGIC) + HEAD.size
DTYPES = ("<u4", "<i8", "<u8", "<f8", "<f4")


def packed(totals: Totals) -> bytes:
    """The state as bytes; equal states give equal bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    header: dict[str, Any] = {
        "spec": totals.spec.as_json(),
        "counts": totals.counts,
        "print": totals.print,
        "weight_print": totals.weight_print,
        "alike": totals.alike,
        "groups": list(totals.groups),
        "confusion_full": totals.confusion.full,
        "low": {name: sums.low for name, sums in totals.sums.items()},
        "ids": [] if totals.worst is None else totals.worst.columns["id"].tolist(),
    }
    for name, sums in totals.sums.items():
        arrays[f"sums.{name}"] = sums.limbs.astype("<u4")
    arrays["confusion.pairs"], arrays["confusion.counts"] = totals.confusion.pairs, totals.confusion.counts
    for kept, rows in (("worst", totals.worst), ("sample", totals.sample)):
        if rows is not None:
            arrays |= {f"{kept}.{name}": column for name, column in rows.columns.items() if name != "id"}
    plain = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in sorted(arrays.items())}
    header["arrays"] = [[name, array.dtype.str, list(array.shape)] for name, array in plain.items()]
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    body = b"".join([MAGIC, HEAD.pack(VERSION, len(text)), text, *(array.tobytes() for array in plain.values())])
    return body + _digest(body)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGEST).digest()


def unpacked(data: bytes, kind: type[Totals]) -> Totals:
    """The state that these bytes hold; ArgumentError for any others."""
    data = _bytes(data)
    body = _checked_body(data)
    try:
        header, arrays = _opened(body)
        totals = _rebuilt(header, arrays, kind)
        check(totals)
        same = packed(totals) == data
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ArgumentError(RULE, f"it does not hold together: {' '.join(str(error).split())[:200]}", REMEDY) from error
    if not same:
        raise ArgumentError(RULE, "it is not written as a state is", REMEDY)
    return totals


def _bytes(data: Any) -> bytes:
    """What lies in memory; a number is no length to take."""
    try:
        return data if type(data) is bytes else bytes(memoryview(data))
    except (BufferError, TypeError, ValueError) as error:
        raise DTypeError(
            "a state is read from bytes", f"found {type(data).__name__}", "Give what Totals.to_bytes wrote."
        ) from error


def _checked_body(data: bytes) -> bytes:
    """What stands before the checksum, after version and checksum are found right."""
    if len(data) < START + DIGEST or not data.startswith(MAGIC):
        raise ArgumentError(RULE, f"found {len(data)} bytes that do not begin as one does", REMEDY)
    version, _ = HEAD.unpack_from(data, len(MAGIC))
    if version != VERSION:
        raise ArgumentError(f"this xent reads version {VERSION} of a state", f"found version {version}", REMEDY)
    if _digest(data[:-DIGEST]) != data[-DIGEST:]:
        raise ArgumentError(RULE, "its checksum is wrong: the bytes were cut or altered", REMEDY)
    return data[:-DIGEST]


def _opened(body: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Header and arrays, each as large as it is declared; ValueError and others where that cannot be."""
    _, length = HEAD.unpack_from(body, len(MAGIC))
    header = json.loads(body[START : START + length])
    arrays: dict[str, npt.NDArray[Any]] = {}
    at = START + length
    for name, dtype, shape in header["arrays"]:
        if dtype not in DTYPES or name in arrays or not 1 <= len(shape) <= 2 or min(shape) < 0:
            raise ValueError(f"array {name!r} is declared as {dtype} {shape}")
        size = np.dtype(dtype).itemsize * prod(shape)
        if at + size > len(body):
            raise ValueError(f"array {name!r} is longer than the bytes")
        arrays[name] = np.frombuffer(body, dtype, prod(shape), at).reshape(shape).copy()
        at += size
    return header, arrays


def _rebuilt(header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], kind: type[Totals]) -> Totals:
    totals = kind(Spec.from_json(header["spec"]))
    totals.counts = {name: int(header["counts"][name]) for name in totals.counts}
    totals.print, totals.weight_print = int(header["print"]), int(header["weight_print"])
    totals.groups, totals.alike = tuple(header["groups"]), bool(header["alike"])
    for name, sums in totals.sums.items():
        limbs = arrays[f"sums.{name}"].astype(np.int64, casting="safe")
        wanted = len(totals.groups) if name.startswith("group_") else len(sums)
        if limbs.shape[:1] != (wanted,):
            raise ValueError(f"{name} has {limbs.shape[:1]} sums for {wanted}")
        low = int(header["low"][name])
        if limbs.ndim != 2 or low < 0 or low + limbs.shape[1] > MOST_LIMBS:
            raise ValueError(f"{name} has places that no float64 has")
        totals.sums[name] = ExactSums(wanted, limbs, low)
    pairs, counts = arrays["confusion.pairs"], arrays["confusion.counts"]
    totals.confusion = Confusion(pairs, counts, full=bool(header["confusion_full"]))
    totals.worst, totals.sample = _kept(arrays, "worst."), _kept(arrays, "sample.")
    if totals.worst is not None:
        totals.worst.columns["id"] = np.array(header["ids"], np.object_)
    return totals


def _kept(arrays: dict[str, npt.NDArray[Any]], prefix: str) -> Rows | None:
    columns = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    return Rows(columns) if columns else None
