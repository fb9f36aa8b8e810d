"""Files appear together or not at all."""

from pathlib import Path

import pytest

from xent import ArgumentError
from xent.cli._staging import Staging

NAMES = ["a", "b", "c"]


def contents(directory):
    return {path.name: path.read_text() for path in directory.iterdir()}


def fill(staging, text):
    for name in NAMES:
        staging.path(name).write_text(text)


def test_files_take_their_names_at_the_end(tmp_path):
    with Staging(tmp_path / "x" / "y", NAMES) as staging:
        fill(staging, "new")
        assert not any((tmp_path / "x" / "y" / name).exists() for name in NAMES)
    assert contents(tmp_path / "x" / "y") == dict.fromkeys(NAMES, "new")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_after_an_error_nothing_is_left_and_old_files_stand(tmp_path, error):
    def interrupted(directory):
        with Staging(directory, NAMES) as staging:
            fill(staging, "new")
            raise error

    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "b").write_text("old")
    with pytest.raises(error):
        interrupted(tmp_path / "old")
    with pytest.raises(error):
        interrupted(tmp_path / "x" / "y")
    assert contents(tmp_path / "old") == {"b": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_full_disk_is_one_clear_error(tmp_path):
    def full():
        with Staging(tmp_path / "out", NAMES) as staging:
            fill(staging, "new")
            raise OSError(28, "No space left on device")

    with pytest.raises(ArgumentError) as caught:
        full()
    assert str(caught.value) == (
        f"the output directory must be writable; {tmp_path / 'out'} gives: No space left on device. Name another with --out."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_rename_that_fails_is_undone(tmp_path, monkeypatch, failing, error):
    """Renames: old a away, new a in, old b away, new b in, new c in."""
    (tmp_path / "a").write_text("old a")
    (tmp_path / "b").write_text("old b")
    replace, calls = Path.replace, []

    def failing_replace(self, target):
        calls.append(target)
        if len(calls) == failing + 1:
            raise error
        return replace(self, target)

    def commit():
        with Staging(tmp_path, NAMES) as staging:
            fill(staging, "new")
            monkeypatch.setattr(Path, "replace", failing_replace)

    with pytest.raises((ArgumentError, KeyboardInterrupt)):
        commit()
    monkeypatch.undo()
    assert contents(tmp_path) == {"a": "old a", "b": "old b"}


def test_a_discarded_block_leaves_nothing(tmp_path):
    with Staging(tmp_path / "x", NAMES) as staging:
        fill(staging, "new")
        staging.discard()
    assert list(tmp_path.iterdir()) == []
