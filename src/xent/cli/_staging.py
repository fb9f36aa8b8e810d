"""Files that appear together under their names, or not at all."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from xent._errors import ArgumentError


class Staging:
    """A block that fills temporary files; at its end they take their names, and after an error nothing is left.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with Staging(folder / "out", ["a.txt"]) as staging:
        ...     _ = staging.path("a.txt").write_text("whole")
        >>> (folder / "out" / "a.txt").read_text()
        'whole'
        >>> shutil.rmtree(folder)
    """

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        """Files of these names will be written to the directory, which is made if there is none."""
        self._directory, self._names = directory, names
        self._made: list[Path] = []
        self._discarded = False

    def __enter__(self) -> "Staging":
        """Make a temporary folder inside the directory; ArgumentError where that cannot be."""
        try:
            self._make_directory()
            self._folder = Path(tempfile.mkdtemp(prefix=".xent-", dir=self._directory))
        except OSError as error:
            self._remove_made()
            raise _unwritable(self._directory, error) from error
        for name in self._names:
            if (self._directory / name).is_dir():
                self._clean(keep=False)
                raise _unwritable(self._directory, IsADirectoryError(None, f"{name} is a directory"))
        return self

    def path(self, name: str) -> Path:
        """Where to write the file that will be called ``name``."""
        return self._folder / name

    def discard(self) -> None:
        """End the block as an error would, without one: to see whether the directory can be written."""
        self._discarded = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the files their names, unless the block failed; remove what is temporary."""
        kept = False
        try:
            if error is None and not self._discarded:
                self._commit()
                kept = True
        except OSError as failure:
            raise _unwritable(self._directory, failure) from failure
        finally:
            self._clean(keep=kept)
        if isinstance(error, OSError):
            raise _unwritable(self._directory, error) from error

    def _commit(self) -> None:
        """Rename every file; if one fails, put back what was there before."""
        done: list[Path] = []
        try:
            for staged in [self.path(name) for name in self._names if self.path(name).exists()]:
                final = self._directory / staged.name
                if final.exists():
                    final.replace(self._former(final))
                done.append(final)
                staged.replace(final)
        except BaseException:
            for final in done:
                final.unlink(missing_ok=True)
                if self._former(final).exists():
                    self._former(final).replace(final)
            raise

    def _former(self, final: Path) -> Path:
        """Where the file that had the name before waits until all is done."""
        return self._folder / f"former-{final.name}"

    def _make_directory(self) -> None:
        """Make the directory and its parents, and remember which were missing."""
        missing = [path for path in (self._directory, *self._directory.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir()
            self._made.append(path)

    def _clean(self, *, keep: bool) -> None:
        """Remove the temporary folder and, unless the files are kept, the directories made for them."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if not keep:
            self._remove_made()

    def _remove_made(self) -> None:
        """Remove the directories that were made, innermost first."""
        while self._made:
            self._made.pop().rmdir()


def _unwritable(directory: Path, error: OSError) -> ArgumentError:
    """What to say of a directory that cannot be written."""
    found = f"{directory} gives: {error.strerror or error}"
    return ArgumentError("the output directory must be writable", found, "Name another with --out.")
