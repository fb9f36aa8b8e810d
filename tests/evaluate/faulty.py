"""Jobs in which something goes wrong once: picklable, so that workers meet it too."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xent.evaluate import Columns, Engine, Totals
from xent.evaluate.engines.manifest import Manifest
from xent.evaluate.engines.run import completed
from xent.evaluate.inputs.files import found_files
from xent.evaluate.inputs.sources import layout_of

COLUMNS = Columns("y", "probs", "p_", id="id")


@dataclass(frozen=True)
class Faulty(Manifest):
    """Kills the process that works on a unit, as often as there are attempts to kill."""

    fatal: int = -1
    attempts: int = 1
    folder: str = ""

    @classmethod
    def job(cls, path: str, fatal: int, attempts: int, folder: str) -> Faulty:
        paths = found_files([path])
        plain = Manifest.of(paths, layout_of(paths, COLUMNS), skip_unfit=False)
        return cls(plain.files, plain.units, plain.layout, plain.skip_unfit, fatal, attempts, folder)

    def count(self, number: int, totals: Totals, hear: Callable[[int], None] = lambda rows: None) -> Totals:
        if number == self.fatal:
            marks = list(Path(self.folder).glob("attempt-*"))
            if len(marks) < self.attempts:
                (Path(self.folder) / f"attempt-{time.monotonic_ns()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().count(number, totals, hear)


if __name__ == "__main__":
    path, folder, states = sys.argv[1:]
    completed(Faulty.job(path, 2, 1, folder), Engine(resume=states))
