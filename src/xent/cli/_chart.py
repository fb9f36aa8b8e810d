# pyright: reportUnknownMemberType=false
"""The learning curve as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from xent.learn._experiment import Experiment, Score
from xent.learn._objective import LossName
from xent.learn.softmax_regression import SoftmaxRegression

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision; line style and marker tell them apart in print.
STYLES: dict[LossName, dict[str, str]] = {
    "cross-entropy": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "squared-error": {"color": "#D55E00", "linestyle": "--", "marker": "s"},
}


# Two lines closer than this cover each other.
SAME_LINE = 5e-3


def learning_curve(experiment: Experiment) -> Figure:
    """Cross-entropy in nats, without penalty, on the training rows against iterations, with test losses and baselines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    axes = figure.add_subplot()
    for score, (loss, model) in zip(experiment.scores, experiment.models.items(), strict=False):
        _draw_model(axes, loss, model, score)
    _draw_baselines(axes, experiment)
    _scale(axes)
    axes.set(xlabel="iteration", ylabel="cross-entropy, no penalty (nats per row)", title=_title(experiment))
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return figure


def _scale(axes: Axes) -> None:
    """Whole iterations; a logarithmic loss axis where the curves span more than one power of ten."""
    from matplotlib.ticker import FormatStrFormatter, MaxNLocator, NullFormatter

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom, top = axes.dataLim.intervaly
    if bottom * 10.0 < top:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_model(axes: Axes, loss: LossName, model: SoftmaxRegression, score: Score) -> None:
    """The training curve, and the test loss as a mark at its end."""
    style, nats = STYLES[loss], model.history_["cross_entropy_nats"]
    axes.plot(nats, color=style["color"], linestyle=style["linestyle"], linewidth=1.8, label=f"{loss}, training rows")
    label = f"{loss}, test rows: {score.test_nats:.3g} nats"
    mark: dict[str, Any] = {"color": style["color"], "marker": style["marker"], "clip_on": False}
    axes.plot([model.n_iter_], [score.test_nats], linestyle="none", label=label, **mark)


def _draw_baselines(axes: Axes, experiment: Experiment) -> None:
    """What knowing no features costs: ln C, and the entropy of the classes."""
    frequencies, alike = experiment.scores[-2:]
    entropy, uniform = frequencies.train_nats, alike.train_nats
    label = f"ln {len(experiment.split.classes)} = {uniform:.4g} nats"
    if math.isclose(entropy, uniform, rel_tol=SAME_LINE):
        label += f" {'=' if math.isclose(entropy, uniform, rel_tol=1e-12) else '≈'} entropy of the classes"
    else:
        text = f"entropy of the classes = {entropy:.4g} nats"
        axes.axhline(entropy, color="#555555", linestyle="-.", linewidth=1.2, label=text)
    axes.axhline(uniform, color="#000000", linestyle=":", linewidth=1.4, label=label)


def _title(experiment: Experiment) -> str:
    """What was trained, how, and from where."""
    plan = experiment.plan
    if plan.saturated_start:
        return "Gradient descent from the same confidently wrong start"
    solver = "L-BFGS" if plan.solver == "lbfgs" else "gradient descent"
    return f"Softmax regression by {plan.losses[0]}, {solver}"
