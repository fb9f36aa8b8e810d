"""Hostile files are refused with what is wrong; nothing is executed, nothing large is read into memory."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

import xent
from tests.evaluate.hostile import FILES, written


def judge(path: str) -> None:
    if path.endswith("wide.npy"):
        xent.evaluate(path, "predictions", kind="probs", columns="predictions")
    elif path.endswith(".npy"):
        xent.evaluate(path, kind="target-log-probs", columns="predictions")
    elif path.endswith(".npz"):
        xent.evaluate(path, "y", kind="logits", columns="p", classes=("a", "b"))
    else:
        xent.evaluate(path, "y", kind="probs", columns="p_")


@pytest.mark.parametrize("name", FILES)
def test_it_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    with pytest.raises(xent.XentError) as refused:
        judge(path)
    assert FILES[name][1] in str(refused.value)
    assert refused.value.remedy
    assert len(str(refused.value)) < 1000


def test_a_header_that_declares_much_takes_little(tmp_path: Path) -> None:
    path = written(tmp_path, "bomb.npz")
    tracemalloc.start()
    try:
        with pytest.raises(xent.ArgumentError):
            judge(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for name in ("pipe.csv", "loop.csv"):
        with pytest.raises(xent.ArgumentError):
            judge(str(tmp_path / name))


@pytest.mark.parametrize("registered", [True, False])
def test_extension_types_are_read_as_what_they_are_stored_as(tmp_path: Path, registered: bool) -> None:
    class Strange(pa.ExtensionType):
        def __init__(self) -> None:
            super().__init__(pa.float64(), "xent.test.strange")

        def __arrow_ext_serialize__(self) -> bytes:
            return b"payload"

        @classmethod
        def __arrow_ext_deserialize__(cls, storage: pa.DataType, data: bytes) -> "Strange":
            return cls()

    storage = pa.array(np.full(3, 0.5))
    column = pa.ExtensionArray.from_storage(Strange(), storage)
    pa_parquet.write_table(pa.table({"p_a": column, "p_b": storage, "y": ["a"] * 3}), tmp_path / "x.parquet")
    if registered:
        pa.register_extension_type(Strange())
    try:
        assert xent.evaluate(str(tmp_path / "x.parquet"), "y", kind="probs", columns="p_").counted == 3
    finally:
        if registered:
            pa.unregister_extension_type("xent.test.strange")
