"""The workloads, as data: a row of the table each, with its peer and its goal."""

import math
from dataclasses import dataclass, replace
from typing import Literal

Target = Literal["none", "index", "probabilities", "binary", "numbers"]

FACTORS = (0.25, 1.0, 4.0)
"""Each workload is run with so many times its rows, so that the slope is seen; goals hold at 1."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a row is to reach; None where nothing is asked."""

    most_copies: float | None = None
    least_speedup: float | None = None
    most_s: float | None = None
    most_bytes: int | None = None
    """Of memory beyond inputs and results."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One call of a public function on logits [rows, classes], and the peer that does equal work."""

    row: str
    function: str
    rows: int
    classes: int
    peer: str
    goal: Goal = Goal()
    dtype: str = "float32"
    target: Target = "index"
    options: tuple[tuple[str, float], ...] = ()
    weighted: bool = False
    door: Literal["numpy", "torch"] = "numpy"
    """Whether it is a function of `xent`, or of `xent.torch` with its backward pass into a fresh gradient."""
    image: tuple[int, ...] = ()
    """Axes after the classes: logits [rows, classes, ...]."""
    fresh: bool = False
    """Whether the gradient is a fresh array; otherwise ``out=`` names a buffer."""
    touched: int = 2
    """Matrices the size of the logits that must be read or written at least once."""

    @property
    def with_grad(self) -> bool:
        """Whether the call returns the gradient too."""
        return self.door == "torch" or self.function.endswith("_and_grad")

    @property
    def work(self) -> str:
        """The call in words."""
        details = [f"{key}={value:g}" for key, value in self.options]
        details += ["weight"] if self.weighted else []
        details += ["soft targets"] if self.target == "probabilities" and self.function.startswith("cross") else []
        details += ["fresh gradient"] if self.fresh else []
        details += [self.dtype] if self.dtype != "float32" else []
        return ", ".join([f"xt.{self.function} + backward" if self.door == "torch" else self.function, *details])

    @property
    def shape(self) -> str:
        """``rows×classes``."""
        return "×".join(map(str, self.array_shape))

    @property
    def array_shape(self) -> tuple[int, ...]:
        """The logits' shape."""
        return (self.rows, self.classes, *self.image)

    @property
    def numbers(self) -> int:
        """How many logits there are."""
        return math.prod(self.array_shape)

    @property
    def logits_bytes(self) -> int:
        """What a copy moves: read once, written once."""
        return self.numbers * (2 if self.dtype.endswith("float16") else 4)

    def scaled(self, factor: float) -> "Workload":
        """The same with so many times the rows."""
        return replace(self, rows=max(1, round(self.rows * factor)))

    def in_short(self) -> "Workload":
        """The same kernels on a few rows: what is loaded or compiled on first use is loaded after it."""
        return replace(self, rows=min(self.rows, 8))


def _cross_entropy(row: str, goal: Goal, shapes: tuple[tuple[int, int], ...], *, grad: bool) -> list[Workload]:
    function, touched = ("cross_entropy_and_grad", 2) if grad else ("cross_entropy", 1)
    return [
        Workload(row=row, function=function, rows=n, classes=c, peer="torch cross_entropy", goal=goal, touched=touched)
        for n, c in shapes
    ]


def _half(dtype: str) -> Workload:
    return Workload(
        row="P4",
        function="cross_entropy_and_grad",
        rows=4096,
        classes=32768,
        peer="torch cross_entropy",
        goal=Goal(least_speedup=10),
        dtype=dtype,
    )


def _p5(function: str, peer: str, target: Target = "index", **more: object) -> Workload:
    touched = 2 if target == "index" else 3
    goal = Goal(least_speedup=8)
    return Workload(
        row="P5", function=function, rows=2048, classes=32768, peer=peer, target=target, goal=goal, touched=touched, **more
    )


def _p6(function: str, peer: str, touched: int, rows: int = 4096, classes: int = 32768, target: Target = "none") -> Workload:
    goal = Goal(least_speedup=8)
    return Workload(row="P6", function=function, rows=rows, classes=classes, peer=peer, target=target, goal=goal, touched=touched)


LARGE = ((4096, 32768), (1024, 128256), (65536, 1000))
CE = "torch cross_entropy"

WORKLOADS: tuple[Workload, ...] = (
    *_cross_entropy("P1", Goal(most_copies=1.3, least_speedup=10), LARGE, grad=True),
    Workload(row="P1", function="cross_entropy_and_grad", rows=4096, classes=32768, peer=CE, fresh=True),
    *_cross_entropy("P2", Goal(most_copies=1.0, least_speedup=6), LARGE, grad=False),
    *_cross_entropy("P3", Goal(most_copies=4, least_speedup=10), ((1048576, 10),), grad=True),
    *_cross_entropy("P3", Goal(most_copies=4, least_speedup=6), ((1048576, 2),), grad=True),
    *_cross_entropy("P3", Goal(most_copies=4, least_speedup=10), ((131072, 100),), grad=True),
    _half("bfloat16"),
    _half("float16"),
    _p5("binary_cross_entropy_and_grad", "torch binary_cross_entropy_with_logits", "binary"),
    _p5("mse_loss_and_grad", "torch mse_loss", "numbers"),
    _p5("kl_divergence_loss_and_grad", "torch kl_div", "probabilities"),
    _p5("cross_entropy_and_grad", CE, "probabilities"),
    _p5("cross_entropy_and_grad", CE, options=(("label_smoothing", 0.1),)),
    _p5("cross_entropy_and_grad", CE, weighted=True),
    _p6("softmax", "scipy softmax", 2),
    _p6("log_softmax", "scipy log_softmax", 2),
    _p6("logsumexp", "scipy logsumexp", 1),
    _p6("log_loss", "sklearn log_loss", 1, 65536, 1000, "index"),
    Workload(row="P7", function="cross_entropy_and_grad", rows=64, classes=10, peer=CE, goal=Goal(most_s=20e-6)),
)

AUTOGRAD: tuple[Workload, ...] = (
    *(replace(_half(dtype), function="cross_entropy", door="torch") for dtype in ("bfloat16", "float16")),
    *(
        replace(workload, function=workload.peer.partition(" ")[2], door="torch")
        for workload in WORKLOADS
        if workload.row == "P5"
    ),
    Workload(row="P7", function="cross_entropy", door="torch", rows=64, classes=10, peer=CE, goal=Goal(least_speedup=0.9)),
    *(
        Workload(row="P8", function="cross_entropy", door="torch", rows=n, classes=c, peer=CE, goal=Goal(least_speedup=7))
        for n, c in LARGE
    ),
    *(
        Workload(row="P8", function="cross_entropy", door="torch", rows=n, classes=c, peer="torch.compile cross_entropy")
        for n, c in LARGE
    ),
    *(
        Workload(row="P8", function="cross_entropy", door="torch", rows=8, classes=21, image=(512, 512), peer=peer)
        for peer in (CE, "torch.compile cross_entropy")
    ),
)
"""Loss and backward pass through PyTorch's autograd."""

LINEAR_ROWS = ("P10", "P11", "P12")
"""Rows of `bench.linear_problems`."""
FIRST_CALL_SHAPES = ((64, 10), (64, 1000))
"""P9: the first call of a process, on a short row and on a long one."""
FIRST_CALL_GOAL, WARM_CALL_GOAL = Goal(most_s=5.0), Goal(most_s=0.5)

ALL = tuple(sorted((*WORKLOADS, *AUTOGRAD), key=lambda workload: workload.row))
LINEAR_TABLE = (*LINEAR_ROWS, "LM2")
"""Rows of the table of linear cross-entropy, which stands by itself."""
TABLE = (*dict.fromkeys(workload.row for workload in ALL), "P9", "LM")
"""The others, in order."""
ROWS = (*TABLE, *LINEAR_TABLE)
"""The names of all rows."""
