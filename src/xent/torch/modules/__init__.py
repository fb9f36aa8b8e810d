"""The loss modules of `torch.nn` that xent has, under their names."""

from xent.torch.modules.elementwise import BCELoss, BCEWithLogitsLoss, GaussianNLLLoss, KLDivLoss, LogSigmoid, MSELoss
from xent.torch.modules.linear import LinearCrossEntropyLoss
from xent.torch.modules.rows import CrossEntropyLoss, LogSoftmax, NLLLoss, Softmax

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "KLDivLoss",
    "LinearCrossEntropyLoss",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "NLLLoss",
    "Softmax",
]
