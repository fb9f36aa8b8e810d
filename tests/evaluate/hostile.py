"""Files that nobody should read without care, and what is said of each."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

HEADER = "p_a,p_b,y\n"
GOOD = "0.5,0.5,a\n"
LINE = '{"p_a":0.5,"p_b":0.5,"y":"a"}\n'
NUMBERS = "numbers are written as 0.5, 5e-1, inf or nan; in row 1 of"


def csv(*lines: str | bytes) -> bytes:
    return b"".join(line if isinstance(line, bytes) else line.encode() for line in (HEADER, GOOD, *lines))


def jsonl(line: str | bytes) -> bytes:
    return LINE.encode() + (line if isinstance(line, bytes) else line.encode())


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def described(dtype: str, shape: str, by_column: bool = False) -> str:
    return f"{{'descr': {dtype!r}, 'fortran_order': {by_column}, 'shape': {shape}, }}"


def archive(**members: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return held.getvalue()


def damaged() -> bytes:
    """Arrays column by column, not compressed, of which one byte is another."""
    held = io.BytesIO()
    np.savez(held, p=np.asfortranarray(np.full((50, 2), 3.0)), y=np.zeros(50, np.int64))
    data = held.getvalue()
    at = data.index(np.float64(3.0).tobytes() * 4)
    return data[:at] + b"\x01" + data[at + 1 :]


def table() -> pa.Table:
    return pa.table({"p_a": np.full(2000, 0.5), "p_b": np.full(2000, 0.5), "y": ["a"] * 2000})


def parquet(change: Callable[[bytearray], object]) -> bytes:
    held = io.BytesIO()
    pa_parquet.write_table(table(), held, write_page_checksum=True, use_dictionary=False, compression="none")
    data = bytearray(held.getvalue())
    change(data)
    return bytes(data)


def arrow(cut: int) -> bytes:
    held = io.BytesIO()
    with pa.ipc.new_stream(held, table().schema) as writer:
        writer.write_table(table())
    return held.getvalue()[:-cut]


def scramble(data: bytearray) -> None:
    data[1000:1040] = b"\xff" * 40


def truncate(data: bytearray) -> None:
    del data[-200:]


PLAIN = described("<f8", "(2, 2)")
ARRAY = "an array must be plain numbers or texts in rows, as long as it declares;"

FILES: dict[str, tuple[bytes, str]] = {
    "beyond.csv": (csv("1e400,0.5,a\n"), "holds '1e400', which is beyond float64 (1 such cells)"),
    "below.csv": (csv("-1e400,0.5,a\n"), "holds '-1e400', which is beyond float64"),
    "nan-payload.csv": (csv("nan(0x1),0.5,a\n"), NUMBERS),
    "nan.csv": (csv("nan,0.5,a\n"), "predictions must be numbers; row 1 of"),
    "comma.csv": (csv('"0,5","0,5",a\n'), "holds '0,5', which is no number"),
    "nul.csv": (csv(b"0.5,0.\x005,a\n"), r"holds '0.\x005', which is no number"),
    "giant-cell.csv": (csv("9" * (20 << 20) + ",0.5,a\n"), "is longer than 8 MiB"),
    "short-row.csv": (csv("0.5,0.5\n"), "Expected 3 columns, got 2"),
    "long-row.csv": (csv("0.5,0.5,a,b\n"), "Expected 3 columns, got 4"),
    "latin.csv": (csv(b"0.5,0.5,\xe9\n"), "invalid UTF8 data"),
    "latin-header.csv": (b"p_a,p_b,y\xe9\n0.5,0.5,a\n", "must be readable as .csv"),
    "empty.csv": (b"", "Empty CSV file"),
    "twins.csv": (b"p_a,p_a,y\n0.5,0.5,a\n", "names of classes must differ; 'a' stands twice"),
    "gap.csv": (csv("0.5,,a\n"), "gap.csv holds NaN, or nothing, for class 'b' (1 such rows)."),
    "nothing-but.csv": (csv("1e-400,1.0,a\n"), "holds '1e-400', which is beyond float64 (1 such cells)"),
    "space.csv": (csv(" 0.5,0.5,a\n"), "holds ' 0.5', which is no number"),
    "hexadecimal.csv": (csv("0x1p-1,0.5,a\n"), "which is no number"),
    "underscore.csv": (csv("0_1,0.5,a\n"), "which is no number"),
    "stranger.csv": (csv("0.5,0.5,zebra\n"), "row 1 of"),
    "open-quote.csv": (csv('"0.5,0.5,a\n'), "must be readable as .csv"),
    "beyond.jsonl": (jsonl('{"p_a":1e400,"p_b":0.5,"y":"a"}\n'), "Number too big"),
    "digits.jsonl": (jsonl('{"p_a":-' + "9" * 400 + ',"p_b":0.5,"y":"a"}\n'), "a number has more than 308 digits"),
    "nan.jsonl": (jsonl('{"p_a":NaN,"p_b":0.5,"y":"a"}\n'), "predictions must be numbers"),
    "cut.jsonl": (jsonl('{"p_a":0.5,"p_b":0.'), "must be readable as .jsonl"),
    "text.jsonl": (jsonl('{"p_a":"0.5","p_b":0.5,"y":"a"}\n'), "changed from number to string in row 1"),
    "gap.jsonl": (jsonl('{"p_a":0.5,"y":"a"}\n'), "gap.jsonl holds NaN, or nothing, for class 'b' (1 such rows)."),
    "twins.jsonl": (b'{"p_a":0.5,"p_a":0.1,"p_b":0.5,"y":"a"}\n', "specified twice"),
    "deep.jsonl": (jsonl('{"p_a":' + "[" * 100_000 + "]" * 100_000 + "}\n"), "a line opens more than 1000 brackets"),
    "list.jsonl": (b"[1,2]\n", "must be readable as .jsonl"),
    "nul.jsonl": (jsonl(b"\x00\n"), "must be readable as .jsonl"),
    "cut.parquet": (parquet(truncate), "must be readable as .parquet"),
    "scrambled.parquet": (parquet(scramble), "must be readable as .parquet"),
    "junk.parquet": (b"PAR1" + bytes(100) + b"PAR1", "must be readable as .parquet"),
    "cut.arrow": (arrow(5000), "must be readable as .arrow"),
    "cut.feather": (arrow(5000), "must be readable as .feather"),
    "object.npy": (npy(described("|O", "(2,)"), pickle.dumps([1, 2])), "it holds Python objects"),
    "short.npy": (npy(described("<f8", "(1000000000, 2)"), bytes(16)), "it declares 16000000000 bytes and has 16"),
    "long.npy": (npy(PLAIN, bytes(64)), "it declares 32 bytes and has 64"),
    "negative.npy": (npy(described("<f8", "(-1, 2)"), bytes(16)), "it is shaped (-1, 2)"),
    "boolean.npy": (npy(described("<f8", "(True, 2)"), bytes(16)), "it is shaped (True, 2)"),
    "code.npy": (npy("__import__('os').abort()"), "its header cannot be read"),
    "padded.npy": (npy(PLAIN + " " * 60_000, bytes(32)), "its header cannot be read"),
    "endless.npy": (npy(described("<f8", "(4611686018427387904, 4)")), "it declares 147573952589676412928 bytes and has 0"),
    "columns.npy": (npy(described("<f8", "(2, 2)", by_column=True), bytes(24)), "it declares 32 bytes and has 24"),
    "dates.npy": (npy(described("<M8[s]", "(2,)"), bytes(16)), "it holds datetime64[s]"),
    "junk.npy": (b"hello", "its header cannot be read"),
    "escape.npz": (archive(**{"../evil.npy": b"x"}), "its header cannot be read"),
    "bomb.npz": (
        archive(
            **{
                "p.npy": npy(described("<f8", "(5000000, 2)"), bytes(80_000_000)),
                "y.npy": npy(described("<i8", "(3,)"), bytes(24)),
            }
        ),
        "bomb.npz: they have different lengths: {'p': 5000000, 'y': 3}. "
        "Name others, or save it without what is no column: --apply keeps all.",
    ),
    "torn.npz": (
        archive(**{"p.npy": b"x"})[:-60] + bytes(60),
        "torn.npz",
    ),
    "columns.npz": (damaged(), "Bad CRC-32"),
    "nothing.npy": (npy(described("<U0", "(1000000000000,)")), "which takes no bytes"),
    "wide.npy": (npy(described("<f8", "(0, 1000000000)")), "there may be at most 1,048,576 classes"),
    "other.npz": (archive(**{"readme.txt": b"x"}), "is no array, or stands twice"),
    "junk.npz": (b"PK\x03\x04junk", "is not a zip file"),
}


def written(folder: Path, name: str) -> str:
    """Write one of the files; its path."""
    path = folder / name
    path.write_bytes(FILES[name][0])
    return str(path)
