"""How an experiment is to go; checked without loading scikit-learn."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from xent._errors import ArgumentError
from xent.learn._objective import LossName


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train and judge; ``max_iter`` is a budget for both losses where there are two."""

    losses: tuple[LossName, ...]
    l2: float
    solver: Literal["lbfgs", "gd"]
    learning_rate: float | None
    max_iter: int
    test_fraction: float
    seed: int

    @property
    def saturated_start(self) -> bool:
        """Two losses are compared from the same confidently wrong start; one starts from zero weights."""
        return len(self.losses) > 1


RULES: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "l2": (lambda v: 0.0 <= v < math.inf, "a finite number of at least 0", "0 is no penalty; try 0.0001."),
    "learning_rate": (
        lambda v: v is None or 0.0 < v < math.inf,
        "a finite number above 0",
        "Leave it out for a step at which the loss cannot rise.",
    ),
    "max_iter": (lambda v: v >= 0, "at least 0", "Try 1000."),
    "test_fraction": (lambda v: 0.0 < v < 1.0, "between 0 and 1", "Try 0.25."),
    "seed": (lambda v: v >= 0, "at least 0", "Try 0."),
}


def check_plan(plan: Plan) -> None:
    """Raise ArgumentError for the first number of the plan that breaks its rule; it is named as an option of `xent fit`."""
    for name, (holds, rule, remedy) in RULES.items():
        value = getattr(plan, name)
        if not holds(value):
            raise ArgumentError(f"--{name.replace('_', '-')} must be {rule}", f"it is {value}", remedy)
    if plan.learning_rate is not None and plan.solver == "lbfgs":
        found = f"it is {plan.learning_rate} and the solver is 'lbfgs', which finds its own steps"
        raise ArgumentError("--learning-rate belongs to --solver gd", found, "Add --solver gd, or leave it out.")
    if plan.saturated_start and plan.solver != "gd":
        found = f"the solver is {plan.solver!r}"
        raise ArgumentError("the two losses are compared by plain gradient descent", found, "Leave --solver out.")
