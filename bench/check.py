"""No time without agreement: xent's loss and gradient against the peer's, on the very data that is timed."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench import peers
from bench.calls import ours
from bench.inputs import Inputs
from bench.problems import Workload
from bench.threads import spread
from bench.torch_calls import array

LOSS_RTOL = 2e-5
CHUNK = 1 << 20


@dataclass(frozen=True)
class Tolerance:
    """``|x − y| ≤ relative·|y| + of_largest·max|y|`` for each number, and ``Σ|x − y| ≤ total·Σ|y|``."""

    relative: float
    of_largest: float
    total: float


TOLERANCES = {
    "float32": Tolerance(1e-4, 3e-7, 2e-5),
    # Both sides round once to the storage: one unit in the last place, and one subnormal of float16 (see `_chunk`).
    "float16": Tolerance(2**-10, 3e-7, 2**-10),
    "bfloat16": Tolerance(2**-7, 3e-7, 2**-7),
}


def disagreement(workload: Workload, inputs: Inputs, backend: str | None = None) -> str | None:
    """What differs between xent and its peer (its reference backend where there is no peer), or None."""
    mine = _parts(ours(workload, inputs, backend)(), workload.with_grad)
    truth = _parts(_truth(workload, inputs), workload.with_grad)
    for what, x, y in zip(("result", "gradient"), mine, truth, strict=False):
        difference = _scalar(float(x), float(y)) if x.ndim == 0 else _array(x, y, TOLERANCES[workload.dtype])
        if difference is not None:
            return f"{workload.function} on {workload.shape}: {what} {difference}"
    return None


def _truth(workload: Workload, inputs: Inputs) -> Any:
    if peers.missing(workload):
        return ours(replace(workload, fresh=True), inputs, "reference")()
    if workload.dtype == "float32":
        return peers.theirs(workload, inputs)()
    # PyTorch's own mean of float16 or bfloat16 losses is off by up to a percent: the truth is its float32.
    wide = replace(inputs, logits=inputs.logits.astype(np.float32))
    loss, gradient = peers.theirs(workload, wide)()
    return loss, array(gradient).astype(inputs.logits.dtype)


def _parts(result: Any, with_grad: bool) -> list[np.ndarray]:
    return [array(part) for part in (result if with_grad else (result,))]


def _scalar(x: float, y: float) -> str | None:
    return None if abs(x - y) <= LOSS_RTOL * abs(y) + 1e-12 else f"is {x!r} where the peer has {y!r}"


def _array(x: np.ndarray, y: np.ndarray, tolerance: Tolerance) -> str | None:
    if x.shape != y.shape:
        return f"has shape {x.shape} where the peer has {y.shape}"
    chunks = [(x.reshape(-1)[i : i + CHUNK], y.reshape(-1)[i : i + CHUNK]) for i in range(0, x.size, CHUNK)]
    largest = max(spread(lambda pair: float(np.abs(pair[1]).max()), chunks))
    found = spread(lambda pair: _chunk(*pair, tolerance, largest), chunks)
    far = [distance for _, _, distance in found if distance is not None]
    if far:
        return f"differs by up to {max(far):.3g}; its largest number is {largest:.3g}"
    apart, total = sum(a for a, _, _ in found), sum(b for _, b, _ in found)
    return None if apart <= tolerance.total * total else f"differs by {apart / total:.3g} of its sum"


def _chunk(x: np.ndarray, y: np.ndarray, tolerance: Tolerance, largest: float) -> tuple[float, float, float | None]:
    """Sums of distances and of sizes, and the greatest distance if one is too far; NaN is."""
    truth = y.astype(np.float32)
    distance, size = np.abs(x.astype(np.float32) - truth), np.abs(truth)
    # Two right roundings of a number too small for float16 may be one subnormal apart.
    step = float(np.finfo(np.float16).smallest_subnormal) if x.dtype == np.float16 else 0.0
    near = (distance <= tolerance.relative * size + tolerance.of_largest * largest + step).all()
    sums = float(distance.sum(dtype=np.float64)), float(size.sum(dtype=np.float64))
    return (*sums, None if near else float(distance.max()))
