"""How an experiment is to go; checked without loading scikit-learn."""

from dataclasses import dataclass
from typing import Literal

from xent._errors import ArgumentError
from xent.learn._objective import LossName
from xent.learn._parameters import check_parameters


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


def check_plan(plan: Plan) -> None:
    """Raise ArgumentError for the first number of the plan that breaks its rule."""
    check_parameters({name: getattr(plan, name) for name in ("l2", "solver", "learning_rate", "max_iter")})
    if not 0.0 < plan.test_fraction < 1.0:
        raise ArgumentError("test_fraction must lie between 0 and 1", f"it is {plan.test_fraction}", "Try 0.25.")
    if plan.seed < 0:
        raise ArgumentError("seed must be at least 0", f"it is {plan.seed}", "Try 0.")
    if plan.learning_rate is not None and plan.solver == "lbfgs":
        found = f"it is {plan.learning_rate} and the solver is 'lbfgs', which finds its own steps"
        raise ArgumentError("learning_rate belongs to the solver 'gd'", found, "Add --solver gd, or leave it out.")
    if plan.saturated_start and plan.solver != "gd":
        found = f"the solver is {plan.solver!r}"
        raise ArgumentError("the two losses are compared by plain gradient descent", found, "Leave --solver out.")
