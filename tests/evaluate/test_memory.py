"""A file is read a few rows at a time: what an evaluation takes does not grow with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

STATUS = Path("/proc/self/status")
ROWS, CLASSES, GROUP = 1_000_000, 10, 1 << 17
SLACK = 48 << 20
"""Less than half of what the longer file holds beyond the shorter one."""
JUDGED = """
import re, sys
from pathlib import Path
import xent

def peak(path):
    Path("/proc/self/clear_refs").write_text("5")
    rows = xent.evaluate(path, "y", columns="p_", kind="probs").rows
    return rows, int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

peak(sys.argv[1])
print(*peak(sys.argv[1]), *peak(sys.argv[2]))
"""


def write(path: Path, times: int) -> None:
    """The same million rows, again and again."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(CLASSES), GROUP).astype(np.float32)
    columns = {f"p_{n}": probs[:, n] for n in range(CLASSES)} | {"y": rng.integers(0, CLASSES, GROUP)}
    table = pa.table(columns)
    with pa_parquet.ParquetWriter(path, table.schema) as file:
        for _ in range(times * ROWS // GROUP):
            file.write_table(table)


@pytest.mark.skipif(not STATUS.exists(), reason="peaks of memory are read from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    short, long = tmp_path / "short.parquet", tmp_path / "long.parquet"
    write(short, 1)
    write(long, 4)
    done = subprocess.run([sys.executable, "-c", JUDGED, str(short), str(long)], capture_output=True, text=True, check=True)
    rows, before, more, after = map(int, done.stdout.split())
    assert more - rows > 3 * ROWS * 0.9
    assert (more - rows) * CLASSES * 4 > 2 * SLACK
    assert after - before < SLACK
