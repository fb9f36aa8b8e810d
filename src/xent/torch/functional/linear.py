"""The loss of a classifier head: hidden states and weights in, no logits in between."""

from typing import Any

from torch import Tensor
from torch.nn.functional import linear as linear_layer

from xent._check import linear as check
from xent._check.options import whole
from xent._errors import ArgumentError, ShapeError
from xent._typing import Empty, Reduction, Validate
from xent.torch._arguments import is_tensor, reduction_of
from xent.torch._call import normalised, run
from xent.torch._linear import LinearCrossEntropy, LinearTensors
from xent.torch._linear_stats import LinearWithStatistics
from xent.torch._statistics import LinearRowStats
from xent.torch._words import in_torch_words
from xent.torch.functional.rows import cross_entropy


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor | tuple[Tensor, Tensor],
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
    sample_weight: Tensor | None = None,
    z_loss: float = 0.0,
    focal: float = 0.0,
    softcap: float | None = None,
    scale: float = 1.0,
    shift: int = 0,
    tolerance: float = 0.0,
    memory_limit: int | None = None,
    normalizer: float | Tensor | None = None,
    empty: Empty = "nan",
    validate: Validate = "off",
    return_stats: bool = False,
    backend: str | None = None,
) -> Any:
    """Surprise of softmax at the target, given hidden states and a classifier, in nats; the logits never exist as a whole.

    ``linear_cross_entropy(H, W, t) = cross_entropy(linear(H, W), t)``; as `torch.nn.functional.linear_cross_entropy`, in the
    memory of a cache for every option.

    Args:
        input: [..., D] hidden states of any leading shape, in float16, bfloat16, float32 or float64.
        linear_weight: [C, D] as the weight of `torch.nn.Linear`; its dtype may differ from the input's. [C, d₁, ..., D], as
            PyTorch has it, is computed from logits that are stored.
        target: class indices shaped like the rows [...], or probabilities [..., C], or a pair (classes, probabilities), both
            [..., k], that names the k classes of each row whose probability is not 0.
        linear_bias: [C], or None; −inf masks a class.
        weight: [C] class weights, finite and ≥ 0.
        reduction: "mean" is Σ v·ℓ / Σ v·w over counted rows for class indices, Σ v·ℓ / Σ v for probabilities; "sum"; "none".
        ignore_index: the label of rows that do not count, −100 where it is None; they are left out of every product.
        label_smoothing: ε in [0, 1].
        options: `torch.nn.LinearCrossEntropyOptions`, of which ``batch_chunk_size`` sets the rows at once; the rest has no
            meaning here: sums are always float32 or wider, and every graph may be retained.
        sample_weight: [...] row weights v, finite and ≥ 0.
        z_loss: ζ ≥ 0, what lse² costs.
        focal: γ ≥ 0.
        softcap: the bound > 0 that no z passes, or None.
        scale: a factor of the logits.
        shift: how many positions ahead, along the last axis of rows, the target of a position stands; 1 for a causal language
            model. Targets and sample weights are given unshifted, hidden states are not copied.
        tolerance: τ in [0, 1]: leave out of the first derivatives the smallest probabilities of each row as long as their sum
            stays ≤ τ, which moves the gradient of a row by at most τ·max‖W_j‖ (times its coefficient); 0 leaves out nothing.
        memory_limit: bytes of working memory beyond tensors and gradients; None stays below 64 MiB where it can.
        normalizer: the denominator of the mean, > 0; a number, or a tensor that holds one.
        empty: what a mean over no counted row is: "nan", "zero", or "raise".
        validate: what to do about target rows that are no distribution: "off", "warn", or "raise".
        return_stats: return the `LinearRowStats` of the rows as well.
        backend: the name of a backend, "torch" for the formula in torch operators, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 where input or weights are): one number, or with "none" one a row. Ignored rows are
        exactly 0. With ``return_stats`` the loss and a `LinearRowStats`.

    Raises:
        ShapeError: the tensors do not fit; says whether the classifier lies transposed.
        LabelError: a label outside [0, C); names the first such row.
        ArgumentError: ``memory_limit`` is too small for one row (holds the smallest that works), or an option is out of range.
        XentError: otherwise as `cross_entropy`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> head = torch.nn.Linear(4, 10, bias=False)
        >>> hidden, target = torch.randn(2, 3, 4), torch.randint(10, (2, 3))
        >>> loss = xt.linear_cross_entropy(hidden, head.weight, target, shift=1)
        >>> logits = head(hidden)[:, :-1].flatten(0, 1)
        >>> print(torch.allclose(loss, xt.cross_entropy(logits, target[:, 1:].flatten())))
        True

    References:
        Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", 2025. docs/derivations/linear-cross-entropy.md.
    """
    meant, number, divide = normalised(reduction_of(reduction, None, None), normalizer)
    ignore = -100 if ignore_index is None else ignore_index
    tensors = _tensors(input, linear_weight, target, linear_bias, weight, sample_weight)
    row = (ignore, label_smoothing, z_loss, focal, softcap, scale, shift, tolerance, memory_limit, _chunk(options))
    work = LinearCrossEntropy(*row, meant, number, empty, validate, backend)
    if tensors.linear_weight.ndim > 2:
        return divide(_stored(work, tensors, return_stats))
    if not return_stats:
        return divide(run(work, tensors))
    loss, lse, log_prob, entropy, rank, dropped = run(LinearWithStatistics(work), tensors)
    return divide(loss), LinearRowStats(lse, log_prob, entropy, rank, dropped.detach())


def _tensors(input: Any, linear_weight: Any, target: Any, *others: Any) -> LinearTensors:
    """Tensors in their places."""
    few = None
    if isinstance(target, tuple):
        pair: Any = target
        try:
            check.is_pair(pair)
        except ShapeError as error:
            raise in_torch_words(error) from None
        few, target = is_tensor(pair[0], "target[0]"), is_tensor(pair[1], "target[1]")
    names = ("linear_bias", "weight", "sample_weight")
    bias, weight, sample = (None if x is None else is_tensor(x, name) for x, name in zip(others, names, strict=True))
    hidden, matrix = is_tensor(input, "input"), is_tensor(linear_weight, "linear_weight")
    return LinearTensors(hidden, matrix, bias, is_tensor(target, "target"), weight, sample, few)


def _chunk(options: Any) -> int | None:
    """Rows at once, where PyTorch's options say so."""
    if options is not None and not hasattr(options, "batch_chunk_size"):
        raise ArgumentError(
            "options must be torch.nn.LinearCrossEntropyOptions, or None",
            f"found {type(options).__name__}",
            "None lets xent plan; memory_limit= bounds it in bytes.",
        )
    size = None if options is None else options.batch_chunk_size
    return None if size is None else whole(size, "options.batch_chunk_size", 1)


def _stored(work: LinearCrossEntropy, t: LinearTensors, return_stats: bool) -> Tensor:
    """PyTorch's classifiers of many positions, (C, d₁, ..., D): the logits are stored, as PyTorch does."""
    more = work._replace(ignore_index=-100, reduction="mean", normalizer=None, label_smoothing=0.0)
    if more != LinearCrossEntropy(backend=work.backend) or return_stats or t.few is not None or t.sample_weight is not None:
        raise ArgumentError(
            "a classifier of many positions takes PyTorch's own options alone",
            f"found linear_weight shaped {tuple(t.linear_weight.shape)}",
            "Call once for each position, with linear_weight[:, position].",
        )
    shape = t.linear_weight.shape
    if t.input.ndim != 2 or shape[-1] != t.input.shape[-1]:
        raise ShapeError(
            "a classifier of many positions, (C, d, ..., D), takes an input shaped (N, D)",
            f"found {tuple(shape)} and {tuple(t.input.shape)}",
            "A classifier of one position is shaped (C, D).",
        )
    bias = None if t.linear_bias is None else t.linear_bias.reshape(-1)
    logits = linear_layer(t.input, t.linear_weight.flatten(0, -2), bias).reshape(-1, *shape[:-1])
    same: Any = {"ignore_index": work.ignore_index, "reduction": work.reduction, "normalizer": work.normalizer}
    return cross_entropy(logits, t.target, t.weight, label_smoothing=work.label_smoothing, backend=work.backend, **same)
