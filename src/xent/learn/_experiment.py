"""One experiment: train on one part of a table, judge on both."""

import math
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xent import information
from xent._errors import ArgumentError
from xent.functional.from_probabilities import nll_loss
from xent.learn._objective import LossName
from xent.learn._plan import Plan
from xent.learn._sklearn import ConvergenceWarning
from xent.learn._solvers import Callback, DivergedError
from xent.learn._split import Split
from xent.learn._table import Table
from xent.learn.softmax_regression import SoftmaxRegression

FloatArray = npt.NDArray[np.float64]

# p of a wrong row's class is e^-15 at the saturated start: cross-entropy pulls with 1 − p = 1, squared error with p(1−p).
SATURATED_LOGIT = 15.0


@dataclass(frozen=True, slots=True)
class Score:
    """Mean surprisal in nats per row and accuracy of one predictor, on training and test rows."""

    name: str
    train_nats: float
    test_nats: float
    train_accuracy: float
    test_accuracy: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """A table, its split, a fitted model per loss, and scores: models first, then baselines."""

    table: Table
    plan: Plan
    split: Split
    models: dict[LossName, SoftmaxRegression]
    scores: list[Score]

    @property
    def model(self) -> SoftmaxRegression:
        """The model to keep: trained with the first loss."""
        return self.models[self.plan.losses[0]]


def run(table: Table, split: Split, plan: Plan, watch: Callable[[LossName], Callback]) -> Experiment:
    """Train with each loss of the plan and score; ``watch(loss)`` gives the callback that follows a training."""
    start = _saturated_start(split, table.features.shape[1]) if plan.saturated_start else {}
    models: dict[LossName, SoftmaxRegression] = {}
    with _unwarned():
        for loss in plan.losses:
            model, rows = _model(plan, loss), split.train
            with _optioned():
                models[loss] = model.fit(table.features[rows], table.target[rows], **start, callback=watch(loss))
            model.column_names_ = table.columns
    scores = [_score(loss, model, table, split) for loss, model in models.items()]
    return Experiment(table, plan, split, models, [*scores, *_baselines(split)])


def _model(plan: Plan, loss: LossName) -> SoftmaxRegression:
    """An unfitted model; with two losses neither stops before the budget is spent."""
    model = SoftmaxRegression(loss=loss, l2=plan.l2, solver=plan.solver, max_iter=plan.max_iter, standardize=True)
    model.learning_rate = plan.learning_rate
    model.tol = 0.0 if plan.saturated_start else model.tol
    return model


def _saturated_start(split: Split, n_features: int) -> dict[str, FloatArray]:
    """Weights that call every row the rarest training class, with log odds of 15 nats."""
    counts = np.bincount(split.labels[split.train])
    intercept = np.where(np.arange(len(counts)) == np.argmin(counts), SATURATED_LOGIT, 0.0)
    return {"coef_init": np.zeros((len(counts), n_features)), "intercept_init": intercept}


def _score(name: str, model: SoftmaxRegression, table: Table, split: Split) -> Score:
    """A model's mean surprisal and accuracy on both parts."""
    log_probs, labels = model.predict_log_proba(table.features), split.labels
    right: npt.NDArray[np.bool_] = np.argmax(log_probs, axis=1) == labels
    train_nats, test_nats = (float(nll_loss(log_probs[rows], labels[rows])) for rows in (split.train, split.test))
    return Score(name, train_nats, test_nats, float(np.mean(right[split.train])), float(np.mean(right[split.test])))


def _baselines(split: Split) -> list[Score]:
    """Two predictors that see no features: the training frequencies of the classes, and 1/C for each."""
    n_classes = len(split.classes)
    train, test = (np.bincount(split.labels[rows], minlength=n_classes) / len(rows) for rows in (split.train, split.test))
    guess, uniform = int(np.argmax(train)), np.full(n_classes, 1.0 / n_classes)
    train_nats, test_nats = float(information.entropy(train)), float(information.cross_entropy(test, train))
    uniform_nats = float(information.entropy(uniform))
    return [
        Score("class frequencies", train_nats, test_nats, float(train[guess]), float(test[guess])),
        Score("all classes alike", uniform_nats, uniform_nats, 1.0 / n_classes, 1.0 / n_classes),
    ]


def bits(nats: float) -> float:
    """Nats as bits: ``nats / ln 2``."""
    return nats / math.log(2.0)


def perplexity(nats: float) -> float:
    """``e^nats``: how many equally likely classes leave as much doubt; inf where float64 cannot hold it."""
    return math.exp(nats) if nats < 709.0 else math.inf


@contextmanager
def _optioned() -> Generator[None]:
    """A divergence names options of `xent fit`, which standardises anyway."""
    try:
        yield
    except DivergedError as error:
        raise ArgumentError(error.rule, error.found, "Lower --learning-rate or --l2.") from error


@contextmanager
def _unwarned() -> Generator[None]:
    """Without ConvergenceWarning: the caller reads ``converged_``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
