"""Cross-entropy: exact by contract, at the speed of memory.

Three kinds of input, three names: logits go to `cross_entropy`, log-probabilities to `nll_loss`, probabilities to `log_loss`.
Importing xent loads NumPy and nothing heavier; compiled kernels are loaded when first called.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from xent._errors import (
    ArgumentError,
    AxisError,
    BackendError,
    DistributionError,
    DistributionWarning,
    DTypeError,
    EmptyMeanError,
    LabelError,
    MissingExtraError,
    ShapeError,
    XentError,
)
from xent.functional.backend import explain_backend
from xent.functional.elementwise import (
    binary_cross_entropy,
    binary_cross_entropy_and_grad,
    gaussian_nll_loss,
    gaussian_nll_loss_and_grad,
    mse_loss,
    mse_loss_and_grad,
)
from xent.functional.from_logits import (
    cross_entropy,
    cross_entropy_and_grad,
    kl_divergence_loss,
    kl_divergence_loss_and_grad,
)
from xent.functional.from_probabilities import log_loss, log_loss_and_grad, nll_loss, nll_loss_and_grad
from xent.functional.linear import LinearGradients, LinearStats, linear_cross_entropy, linear_cross_entropy_and_grad
from xent.functional.linear_plan import LinearPlan, plan_linear
from xent.functional.normalise import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from xent.kernels.cpu.threads import get_num_threads, set_num_threads
from xent.kernels.select import backends

if TYPE_CHECKING:
    from xent import evaluate, information

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "AxisError",
    "BackendError",
    "DTypeError",
    "DistributionError",
    "DistributionWarning",
    "EmptyMeanError",
    "LabelError",
    "LinearGradients",
    "LinearPlan",
    "LinearStats",
    "MissingExtraError",
    "ShapeError",
    "XentError",
    "__version__",
    "backends",
    "binary_cross_entropy",
    "binary_cross_entropy_and_grad",
    "cross_entropy",
    "cross_entropy_and_grad",
    "evaluate",
    "explain_backend",
    "gaussian_nll_loss",
    "gaussian_nll_loss_and_grad",
    "get_num_threads",
    "information",
    "kl_divergence_loss",
    "kl_divergence_loss_and_grad",
    "linear_cross_entropy",
    "linear_cross_entropy_and_grad",
    "log_loss",
    "log_loss_and_grad",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "mse_loss",
    "mse_loss_and_grad",
    "nll_loss",
    "nll_loss_and_grad",
    "plan_linear",
    "set_num_threads",
    "sigmoid",
    "softmax",
]


def __getattr__(name: str) -> ModuleType:
    """Load `xent.evaluate`, `xent.information` and `xent.learn` when they are first named."""
    if name in ("evaluate", "information", "learn"):
        return import_module(f"xent.{name}")
    raise AttributeError(f"module 'xent' has no attribute {name!r}")
