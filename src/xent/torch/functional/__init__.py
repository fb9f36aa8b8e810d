"""The functions of `torch.nn.functional` that xent has, under their names."""

from xent.torch.functional.elementwise import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    kl_div,
    logsigmoid,
    mse_loss,
)
from xent.torch.functional.linear import linear_cross_entropy
from xent.torch.functional.rows import cross_entropy, log_softmax, nll_loss, softmax

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "gaussian_nll_loss",
    "kl_div",
    "linear_cross_entropy",
    "log_softmax",
    "logsigmoid",
    "mse_loss",
    "nll_loss",
    "softmax",
]
