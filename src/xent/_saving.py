"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def save(path: str | os.PathLike[str], data: bytes) -> None:
    """Write beside the path under a temporary name, to the disk itself, then rename: no reader and no crash meets half a file.

    Raises:
        OSError: the folder cannot be written, or is full; what stood there stays.
    """
    target = Path(path)
    temporary = target.with_name(f".xent-{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
