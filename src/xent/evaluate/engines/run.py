"""Run a job on an engine: in this process, on processes of this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from xent._errors import ArgumentError, XentError
from xent.evaluate.engines.manifest import Manifest
from xent.evaluate.engines.partials import Partials
from xent.evaluate.inputs.columns import Columns
from xent.evaluate.inputs.files import found_files
from xent.evaluate.inputs.sources import layout_of
from xent.evaluate.state.spec import Choices
from xent.evaluate.totals import Totals

EngineName = Literal["local", "ray"]
Watch = Callable[[int, int | None], None]
"""Hears how many rows are done, and of how many where all files say so."""
Deliver = Iterator[tuple[int, bytes | XentError]]
"""Units, and their states or why there is none."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Where and how a job runs.

    Args:
        name: None for this process, "local" for processes of this machine, "ray" for a Ray cluster.
        workers: how many processes; None for one a processor.
        address: of the Ray cluster; None for one on this machine.
        resume: a folder that keeps the states of finished units; a job that stopped goes on from there.
        allow_partial: give a result although units failed.
    """

    name: EngineName | None = None
    workers: int | None = None
    address: str | None = None
    resume: str | None = None
    allow_partial: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.resume == "":
            raise ArgumentError("the folder of --resume (resume=) needs a name", "it is empty", "Name one, or . for this folder.")
        if self.name is not None and self.name not in get_args(EngineName):
            found = f"found {self.name!r}"
            raise ArgumentError("engine must be local or ray", found, "Leave it out to run in this process.")
        if self.workers is not None and self.workers < 1:
            raise ArgumentError("workers must be at least 1", f"found {self.workers}", "Leave it out for one a processor.")
        if self.workers is not None and self.name != "local":
            raise ArgumentError("workers are processes of --engine local", f"the engine is {self.name}", "Add --engine local.")
        if self.address is not None and self.name != "ray":
            raise ArgumentError("an address is that of a Ray cluster", f"the engine is {self.name}", "Add --engine ray.")


def evaluate_files(
    paths: Sequence[str],
    columns: Columns,
    watch: Watch = lambda done, total: None,
    *,
    engine: Engine | None = None,
    choices: Choices | None = None,
    skip_unfit: bool = False,
) -> Totals:
    """The state after all rows of files, whoever reads them; `watch` hears of each unit of work that is done.

    Raises:
        XentError: as `evaluate`; a unit is missing; a file has changed since it was listed; the folder of states cannot be used.
    """
    engine = engine or Engine()
    files = found_files(paths)
    manifest = Manifest.of(files, layout_of(files, columns, choices or Choices()), skip_unfit=skip_unfit)
    totals = completed(manifest, engine, watch)
    if not totals.counts["rows"] and not totals.missing:
        totals.check_judgeable(files[0] + (f" and {len(files) - 1} more" if len(files) > 1 else ""))
    return totals


def completed(manifest: Manifest, engine: Engine, watch: Watch = lambda done, total: None) -> Totals:
    """The state after all units of a job."""
    progress = _Progress(manifest.rows, watch)
    if engine.name is None and engine.resume is None and not engine.allow_partial:
        totals = manifest.zero()
        for number in range(len(manifest.units)):
            manifest.count(number, totals, progress.add)
        return totals
    partials = Partials(manifest, None if engine.resume is None else Path(engine.resume))
    for number, outcome in _delivered(manifest, partials.missing, engine, progress):
        if isinstance(outcome, bytes):
            partials.add(number, outcome)
        elif engine.allow_partial:
            partials.fail(number, outcome)
        else:
            raise outcome
    return partials.merged(allow_partial=engine.allow_partial)


class _Progress:
    """Rows done so far."""

    def __init__(self, total: int | None, watch: Watch) -> None:
        self.done, self.total, self.watch = 0, total, watch

    def add(self, rows: int) -> None:
        """So many more."""
        self.done += rows
        self.watch(self.done, self.total)


def _delivered(manifest: Manifest, numbers: Sequence[int], engine: Engine, progress: _Progress) -> Deliver:
    """States of units as they come, or why a unit has none."""
    if engine.name is None:
        yield from _here(manifest, numbers, progress)
        return
    for number, state in _elsewhere(manifest, numbers, engine):
        progress.add(manifest.units[number].rows or 0)
        yield number, state


def _elsewhere(manifest: Manifest, numbers: Sequence[int], engine: Engine) -> Deliver:
    """The states that an engine computes."""
    if engine.name == "ray":
        from xent.evaluate.engines import on_ray

        return on_ray.states(manifest, numbers, engine.address)
    from xent.evaluate.engines import on_processes

    return on_processes.states(manifest, numbers, engine.workers)


def _here(manifest: Manifest, numbers: Sequence[int], progress: _Progress) -> Deliver:
    """One unit after the other, in this process."""
    for number in numbers:
        try:
            outcome = manifest.count(number, manifest.zero(), progress.add).to_bytes()
        except XentError as error:
            outcome = error
        yield number, outcome
