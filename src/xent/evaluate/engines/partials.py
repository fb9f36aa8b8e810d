"""States of finished units: each is taken once, and kept in a folder if a job may have to go on later."""

from __future__ import annotations

import hashlib
from pathlib import Path

from xent._errors import ArgumentError, XentError
from xent._saving import save
from xent.evaluate.engines.manifest import Manifest
from xent.evaluate.totals import Totals

MANIFEST = "manifest.json"
SEAL = 16


class Partials:
    """What is known of the units of a job: the sum of their states, and why some have none."""

    def __init__(self, manifest: Manifest, folder: Path | None = None) -> None:
        """None yet, or those that the folder holds of this very job.

        Raises:
            ArgumentError: the folder holds another job, or states that were altered, or cannot be written.
        """
        self.manifest, self.folder = manifest, folder
        self.whole = manifest.zero()
        self.known: dict[int, bytes] = {}
        """Of each unit that is counted, the seal of its state."""
        self.failed: dict[int, XentError] = {}
        if folder is not None:
            self._open(folder)

    @property
    def missing(self) -> list[int]:
        """Units without a state."""
        return [number for number in range(len(self.manifest.units)) if number not in self.known]

    def add(self, number: int, state: bytes) -> None:
        """Take the state of a unit; the same one again changes nothing.

        Raises:
            ArgumentError: another state of the same unit is there already, or it cannot be written.
        """
        known, seal = self.known.get(number), _seal(number, state)
        if known is not None and known != seal:
            found = f"unit {number} ({self.manifest.units[number]}) came twice and differs"
            raise ArgumentError("a unit must give the same state each time", found, "Did the file change? Start again.")
        if known is None:
            self._count(number, state, seal)
            if self.folder is not None:
                self._write(self.folder / self._name(number), state + seal)

    def _count(self, number: int, state: bytes, seal: bytes) -> None:
        self.whole.merge(Totals.from_bytes(state))
        self.known[number] = seal

    def fail(self, number: int, error: XentError) -> None:
        """Note why a unit has no state."""
        self.failed[number] = error

    def merged(self, *, allow_partial: bool = False) -> Totals:
        """All states together.

        Raises:
            ArgumentError: units are missing, unless that is allowed; names the first ones.
            XentError: every unit failed, the first one so.
        """
        missing = self.missing
        if missing and not allow_partial:
            shown = "; ".join(str(self.manifest.units[number]) for number in missing[:3])
            found = f"{len(missing)} of {len(self.manifest.units)} are missing: {shown}{'; ...' if len(missing) > 3 else ''}"
            remedy = "Run it again with --resume, or take what is there with --allow-partial."
            raise ArgumentError("a result needs every unit of work", found, remedy)
        first = self.failed[min(self.failed)] if self.failed else None
        if first is not None and not self.known:
            raise first
        self.whole.missing = tuple(str(self.manifest.units[number]) for number in missing)
        self.whole.failure = "" if first is None else str(first)
        return self.whole

    def _name(self, number: int) -> str:
        return f"{self.manifest.digest[:8]}-{number:06d}.state"

    def _open(self, folder: Path) -> None:
        """Find what the folder holds, or begin it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            known = (folder / MANIFEST).read_text() if (folder / MANIFEST).exists() else None
        except (OSError, UnicodeDecodeError) as error:
            raise _unwritable(folder, error) from error
        if known is None:
            self._write(folder / MANIFEST, self.manifest.text.encode())
        elif known != self.manifest.text:
            found = f"{folder} holds states of other files, columns or options, or the files have changed"
            raise ArgumentError("--resume goes on with the same job", found, "Name another folder, or remove this one.")
        for number in range(len(self.manifest.units)):
            path = folder / self._name(number)
            if path.exists():
                self._found(number, path)

    def _found(self, number: int, path: Path) -> None:
        """Count a state that was written before; refused if it was altered."""
        try:
            data = path.read_bytes()
            state, seal = data[:-SEAL], data[-SEAL:]
            if seal != _seal(number, state):
                raise ArgumentError("a state must be the one that was kept of its unit", "it is another", "")
            self._count(number, state, seal)
        except OSError as error:
            raise _unwritable(path, error) from error
        except ArgumentError as error:
            raise ArgumentError(error.rule, f"{path}: {error.found}", "Remove that file and run again.") from error

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file, whole or not at all."""
        try:
            save(path, data)
        except OSError as error:
            raise _unwritable(path.parent, error) from error


def _seal(number: int, state: bytes) -> bytes:
    """What tells states apart, and stands behind one that is kept: that it is whole, and of which unit."""
    return hashlib.blake2b(state, digest_size=SEAL, person=number.to_bytes(8, "little")).digest()


def _unwritable(folder: Path, error: Exception) -> ArgumentError:
    """What to say of a folder that cannot be written."""
    found = f"{folder} gives: {getattr(error, 'strerror', None) or error}"
    return ArgumentError("the folder of --resume must be writable", found, "Name another with --resume.")
