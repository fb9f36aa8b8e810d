"""The PyTorch front door: the losses of `torch.nn` and `torch.nn.functional` under their names.

    import xent.torch as xt

    loss = xt.CrossEntropyLoss()(logits, target)        # or xt.cross_entropy(logits, target)

Same names, positional order and defaults; where the numbers differ, docs/pytorch.md says why.
"""

try:
    import torch  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError as error:
    from xent._errors import MissingExtraError

    raise MissingExtraError("xent.torch needs PyTorch", f"Python says: {error}", "pip install 'xent[torch]'") from error

from xent.torch import _operators as _operators  # registers them, once
from xent.torch import functional
from xent.torch._route import explain_backend
from xent.torch._statistics import LinearRowStats, RowStats
from xent.torch.functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_nll_loss,
    kl_div,
    linear_cross_entropy,
    log_softmax,
    logsigmoid,
    mse_loss,
    nll_loss,
    softmax,
)
from xent.torch.modules import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    GaussianNLLLoss,
    KLDivLoss,
    LinearCrossEntropyLoss,
    LogSigmoid,
    LogSoftmax,
    MSELoss,
    NLLLoss,
    Softmax,
)

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "KLDivLoss",
    "LinearCrossEntropyLoss",
    "LinearRowStats",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "NLLLoss",
    "RowStats",
    "Softmax",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "explain_backend",
    "functional",
    "gaussian_nll_loss",
    "kl_div",
    "linear_cross_entropy",
    "log_softmax",
    "logsigmoid",
    "mse_loss",
    "nll_loss",
    "softmax",
]


def __getattr__(name: str) -> object:
    """Layers and other losses are PyTorch's."""
    raise AttributeError(
        f"xent.torch holds {len(__all__)} names, losses and what belongs to them; {name!r} is not one. Try torch.nn."
    )
