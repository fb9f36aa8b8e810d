"""The rules are shared, the remedies are not: what is said of arrays, said of tensors."""

import re

from xent._errors import XentError

_PHRASES = (
    (r"labels alone are an array\.", "labels alone are a tensor."),
    (r"^One array is a target", "One tensor is a target"),
    (r"^hidden must", "input must"),
    (r"^classifier must", "linear_weight must"),
    (r"^bias must", "linear_bias must"),
    (r"\bclassifier\.T\b", "linear_weight.T"),
    (r"\blike hidden without\b", "like input without"),
    (r"^hidden is shaped", "input is shaped"),
    (r"target\.astype\(int\)", "target.long()"),
    (r"target\.astype\(float\)", "target.float()"),
    (r"numpy\.ones\(", "torch.ones("),
    (r"numpy\.unique\(target, return_inverse=True\)\[1\]", "torch.unique(target, return_inverse=True)[1]"),
    (r"Is the class axis (\d+)\? Then pass axis=\1\.", r"Is the class axis \1? It must be axis 1: input.movedim(\1, 1)."),
    (r"belongs? to binary_cross_entropy\b", "belongs to binary_cross_entropy_with_logits"),
    (r"\bUse binary_cross_entropy\b", "Use binary_cross_entropy_with_logits"),
    (r"for one logit a row, binary_cross_entropy\b", "for one logit a row, binary_cross_entropy_with_logits"),
    (r"probabilities to log_loss", "probabilities to nll_loss as their logarithms"),
    (r"Is axis the class axis\?", "Is axis 1 the class axis?"),
    (r"Convert it with astype\.", "Convert it with .to(dtype)."),
)


def in_torch_words(error: XentError) -> XentError:
    """The same error with PyTorch's names and remedies."""
    return type(error)(_reworded(error.rule), error.found, _reworded(error.remedy))


def _reworded(said: str) -> str:
    for pattern, phrase in _PHRASES:
        said = re.sub(pattern, phrase, said)
    return said
