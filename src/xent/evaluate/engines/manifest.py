"""What a job consists of: files as they were when they were listed, and the units they are read in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from xent._errors import ArgumentError
from xent.evaluate.inputs.columns import Layout
from xent.evaluate.inputs.files import Unit, units_of
from xent.evaluate.inputs.sources import file_makers
from xent.evaluate.state import abreast
from xent.evaluate.totals import Totals

VERSION = 3


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was: its size in bytes, and when it was last changed."""

    path: str
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: str) -> File:
        """As it is now."""
        found = os.stat(path)
        return cls(path, found.st_size, found.st_mtime_ns)

    def check(self) -> None:
        """Refuse a file that is not what was listed."""
        try:
            now = File.of(self.path)
        except OSError as error:
            raise _changed(f"{self.path} gives: {error.strerror}") from error
        if now != self:
            raise _changed(f"{self.path} had {self.size} bytes and has {now.size}, or was written again")


def _changed(found: str) -> ArgumentError:
    return ArgumentError("files must stay as they are while they are evaluated", found, "Start again, without --resume.")


@dataclass(frozen=True)
class Manifest:
    """Files and units of one job, and how rows are counted."""

    files: tuple[File, ...]
    units: tuple[Unit, ...]
    layout: Layout
    skip_unfit: bool

    @classmethod
    def of(cls, paths: Sequence[str], layout: Layout, *, skip_unfit: bool) -> Manifest:
        """List the files as they are now."""
        files = tuple(File.of(path) for path in paths)
        return cls(files, tuple(units_of(paths)), layout, skip_unfit)

    def as_json(self) -> dict[str, Any]:
        """Itself in lists, strings and numbers."""
        layout = asdict(self.layout) | {"spec": self.layout.spec.as_json()}
        return {
            "version": VERSION,
            "files": [asdict(file) for file in self.files],
            "units": [asdict(unit) for unit in self.units],
            "layout": layout,
            "skip_unfit": self.skip_unfit,
        }

    @cached_property
    def text(self) -> str:
        """Itself as JSON."""
        return json.dumps(self.as_json(), indent=1, sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """What tells it from any other."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()

    @property
    def rows(self) -> int | None:
        """How many there are; None where a file does not say."""
        known = [unit.rows for unit in self.units if unit.rows is not None]
        return sum(known) if len(known) == len(self.units) else None

    def zero(self) -> Totals:
        """The state of no rows."""
        return Totals(self.layout.spec, skip_unfit=self.skip_unfit)

    def count(self, number: int, totals: Totals, hear: Callable[[int], None] = lambda rows: None) -> Totals:
        """Read one unit into a state; the file is as it was listed before and after. `hear` is told the rows of each batch."""
        unit = self.units[number]
        self.files[unit.source].check()
        abreast.count(totals, file_makers([unit], self.layout), hear)
        self.files[unit.source].check()
        return totals
