"""`TemperatureScaling`: all logits divided by one number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from xent.evaluate.calibration._calibrator import Calibrator
from xent.evaluate.calibration._entries import Entries
from xent.evaluate.calibration._rows import pieces, scored
from xent.evaluate.calibration._search import Found, least
from xent.evaluate.means.temperature import Scored
from xent.evaluate.state.batch import Batch, check
from xent.evaluate.state.spec import Kind, Spec

Floats = npt.NDArray[np.float64]


class TemperatureScaling(Calibrator):
    """One temperature that makes the mean log loss, in nats, as small as it gets.

    For logits x_i with classes y_i and weights v_i::

        p_i = softmax(x_i / T)
        minimise  Σ_i v_i · (−log p_i[y_i]) / Σ_i v_i    over 1/T in [1/1000, 1000], where it is convex

    The order of the classes in each row stays, and with it every prediction. Sums over rows are exact: neither their order nor
    how they are parted in batches changes a bit of T. A weight of 2 counts as the row given twice.

    Args:
        kind: what X holds: "logits", "log-probs" or "probs", whose logarithms are logits too.
        classes: names of the classes, in the order of the columns of X; None for the numbers from 0.

    Attributes:
        classes_: [C] in the order of the columns.
        temperature_: T; above 1 it softens, below 1 it sharpens. At 0.001 the loss falls still: these rows are never mistaken.
        log_loss_before_, log_loss_after_: mean log loss in nats at T = 1 and at T, on the rows fitted to, which flatter T.
        n_passes_: how often the rows were read.
        n_features_in_: C.

    Example:
        Logits twice as large as they should be.

        >>> import numpy as np
        >>> logits = np.log([[0.8, 0.2]] * 10) * 2
        >>> scaling = TemperatureScaling().fit(logits, [0] * 8 + [1] * 2)
        >>> round(scaling.temperature_, 6)
        2.0
        >>> scaling.predict_proba(logits[:1]).round(6)
        array([[0.8, 0.2]])

    References:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017.
    """

    METHOD = "temperature"
    temperature_: float
    n_passes_: int

    def __init__(self, *, kind: Kind = "logits", classes: Sequence[Any] | None = None) -> None:
        """Keep the parameters as they are; `fit` checks them."""
        self.kind = kind
        self.classes = classes

    def learn(self, spec: Spec, batch: Batch) -> None:
        """Fit to checked rows."""
        self.keep(least(lambda: [makers(spec, batch)]))

    def learn_passes(self, spec: Spec, passes: Callable[[], Iterable[Batch]]) -> int:
        """Fit to rows that are read anew in every pass; returns how many count."""
        self.adopt(spec)

        def checked() -> Iterable[list[Callable[[], Scored]]]:
            for batch in passes():
                check(spec, batch)
                yield makers(spec, batch)

        found = least(checked)
        self.keep(found)
        return found.rows

    def keep(self, found: Found) -> None:
        """Keep what was found."""
        self.temperature_, self.n_passes_ = 1.0 / found.best.inverse, found.passes
        self.log_loss_before_, self.log_loss_after_ = found.before_nats, found.best.nats

    def scores(self, logits: Floats) -> Floats:
        """``x / T``."""
        return logits / self.temperature_

    def fitted(self) -> dict[str, Any]:
        """T."""
        return {"temperature": self.temperature_, "n_passes": self.n_passes_}

    def restore(self, entries: Entries) -> None:
        """T."""
        self.temperature_ = entries.temperature()
        self.n_passes_ = entries.count("n_passes")


def makers(spec: Spec, batch: Batch) -> list[Callable[[], Scored]]:
    """What makes the rows of each piece of a batch, so that threads may share the work."""
    return [partial(scored, spec, part) for part in pieces(batch)]
