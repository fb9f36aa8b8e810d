"""Run workloads: agreement first, then memory in processes of their own, then interleaved times."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec

from bench import memory, peers
from bench.calls import copy, ours
from bench.check import disagreement
from bench.first_call import FirstCall, first_calls
from bench.inputs import make
from bench.measure import Effort, Timing, interleaved
from bench.problems import FIRST_CALL_GOAL, FIRST_CALL_SHAPES, WARM_CALL_GOAL, Goal, Workload

Tell = Callable[[str], None]
"""Receives what is being done now."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table."""

    row: str
    work: str
    shape: str
    factor: float
    goal: Goal
    xent: Timing | None = None
    peer: Timing | None = None
    copy: Timing | None = None
    peer_name: str = ""
    xent_bytes: int | None = None
    peer_bytes: int | None = None
    touched_bytes: int = 0
    numbers: int = 0
    remark: str = ""
    """Why something is missing."""
    wrong: str = ""
    """What disagreed; then there are no times."""

    @property
    def copies(self) -> float | None:
        """Xent ÷ copy."""
        return self.xent.median_s / self.copy.median_s if self.xent and self.copy else None

    @property
    def speedup(self) -> float | None:
        """Peer ÷ xent."""
        return self.peer.median_s / self.xent.median_s if self.xent and self.peer else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where none is set, as at other sizes, or the peer is missing."""
        if self.factor != 1.0 or self.wrong or self.goal == Goal():
            return None
        found = [
            _within(self.copies, self.goal.most_copies, False),
            _within(self.speedup, self.goal.least_speedup, True),
            _within(self.xent.median_s if self.xent else None, self.goal.most_s, False),
            _within(self.xent_bytes, self.goal.most_bytes, False),
        ]
        return False if False in found else None if None in found else True


def _within(value: float | None, bound: float | None, at_least: bool) -> bool | None:
    if bound is None:
        return True
    if value is None:
        return None
    return value >= bound if at_least else value <= bound


@dataclass(frozen=True)
class Plan:
    """How a run is done."""

    factors: tuple[float, ...]
    effort: Effort
    with_memory: bool = True
    backend: str | None = None
    most_bytes: int | None = None
    """Logits larger than this are left out, and the table says so."""

    def leaves_out(self, workload: Workload) -> str | None:
        """The remark on a workload that is larger than asked for."""
        if self.most_bytes is None or workload.logits_bytes <= self.most_bytes:
            return None
        return f"left out: {workload.logits_bytes >> 20} MiB of logits, --most-mib {self.most_bytes >> 20}"

    def sizes(self, workload: Workload) -> tuple[float, ...]:
        """Times its rows that a workload is run; one without a goal is run once."""
        return self.factors if workload.goal != Goal() else (1.0,)

    def effort_at(self, factor: float) -> Effort:
        """Fewer repetitions where a peer takes seconds."""
        return replace(self.effort, least=min(2, self.effort.least)) if factor > 1.0 else self.effort


def run(workload: Workload, factor: float, plan: Plan, tell: Tell = lambda _: None) -> Result:
    """Measure one workload at so many times its rows."""
    scaled = workload.scaled(factor)
    absent = peers.missing(scaled)
    blank = {
        "row": scaled.row,
        "work": scaled.work,
        "shape": scaled.shape,
        "factor": factor,
        "goal": scaled.goal,
        "peer_name": scaled.peer,
        "remark": absent or "",
        "touched_bytes": scaled.touched * scaled.logits_bytes,
        "numbers": scaled.numbers,
    }
    if reason := plan.leaves_out(scaled) or memory.too_large(scaled) or _unreadable(scaled):
        return Result(**{**blank, "remark": reason})
    who = ("xent",) if absent else ("xent", "peer")
    tell("memory")
    grown = {name: memory.peak_growth_bytes(scaled, name, plan.backend) for name in who} if plan.with_memory else {}
    return _timed(scaled, plan, tell, {**blank, "xent_bytes": grown.get("xent"), "peer_bytes": grown.get("peer")})


def _unreadable(workload: Workload) -> str | None:
    return "ml_dtypes is not installed" if workload.dtype == "bfloat16" and not find_spec("ml_dtypes") else None


def _timed(workload: Workload, plan: Plan, tell: Tell, known: dict) -> Result:
    tell("agreement")
    inputs = make(workload)
    wrong = disagreement(workload, inputs, plan.backend)
    if wrong:
        return Result(**known, wrong=wrong)
    tell("times")
    calls = {"xent": ours(workload, inputs, plan.backend), "copy": copy(inputs)}
    if not peers.missing(workload):
        calls["peer"] = peers.theirs(workload, inputs)
    return Result(**known, **interleaved(calls, plan.effort_at(known["factor"])))


def run_first_calls(shapes: Iterable[tuple[int, int]] = FIRST_CALL_SHAPES, tell: Tell = lambda _: None) -> list[Result]:
    """P9: four lines a shape, with and without the import of numba that the first call brings along."""
    results = []
    for rows, classes in shapes:
        tell("fresh processes")
        cold, warm = first_calls(rows, classes)
        results += _first_call_lines(cold, "first call ever", f"{rows}×{classes}", FIRST_CALL_GOAL)
        results += _first_call_lines(warm, "first call, kernels on disk", f"{rows}×{classes}", WARM_CALL_GOAL)
    return results


def _first_call_lines(call: FirstCall, work: str, shape: str, goal: Goal) -> list[Result]:
    parts = {"numba's import in it": call.import_numba_s + call.call_s, "after importing numba": call.call_s}
    known = {"row": "P9", "shape": shape, "factor": 1.0, "goal": goal}
    return [Result(**known, work=f"{work}, {which}", xent=Timing.of([taken_s])) for which, taken_s in parts.items()]
