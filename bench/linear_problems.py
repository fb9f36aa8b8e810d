"""The workloads of linear cross-entropy, as data: hidden states [rows, width] and a classifier [classes, width]."""

from dataclasses import dataclass, replace

from bench.problems import Goal

DENSE, CHUNKED, COMPILED = "torch dense", "torch chunked", "torch.compile dense"
MOST_BYTES = 64 << 20
"""What a call may take beyond tensors and gradients."""


@dataclass(frozen=True, kw_only=True)
class LinearWorkload:
    """One step of a classifier head: loss, and gradients of hidden states and classifier."""

    row: str
    rows: int
    width: int
    classes: int
    peers: tuple[tuple[str, Goal], ...]
    """Who does equal work, and what is to be reached against each."""
    dtype: str = "float32"
    peaked: bool = False
    """Whether rows are sure of their class, as those of a trained model are; else logits are of the size of 1."""
    tolerance: float = 0.0
    once: bool = False
    """Whether it is run at its own size alone, and seldom: a step takes a peer up to minutes."""
    door: str = "torch"

    @property
    def shape(self) -> str:
        """``rows×width×classes``."""
        return f"{self.rows}×{self.width}×{self.classes}"

    @property
    def work(self) -> str:
        """The call in words."""
        details = [f"tolerance={self.tolerance:g}"] if self.tolerance else []
        details += ["peaked rows"] if self.peaked else []
        details += [self.dtype] if self.dtype != "float32" else []
        name = "xt.linear_cross_entropy + backward" if self.door == "torch" else "linear_cross_entropy_and_grad"
        return ", ".join([name, *details])

    @property
    def item(self) -> int:
        """Bytes of a number."""
        return 4 if self.dtype == "float32" else 2

    @property
    def logits_bytes(self) -> int:
        """What the logits would take."""
        return self.rows * self.classes * self.item

    @property
    def gradient_bytes(self) -> int:
        """What the gradients take, which are the result."""
        return (self.rows + self.classes) * self.width * self.item

    def scaled(self, factor: float) -> "LinearWorkload":
        """The same with so many times the rows."""
        return replace(self, rows=max(1, round(self.rows * factor)))

    def in_short(self) -> "LinearWorkload":
        """Few rows and classes: what is loaded or compiled on first use is loaded after it."""
        return replace(self, rows=64, classes=min(self.classes, 4096), width=min(self.width, 64))


def _against(dense: float, chunked: float) -> tuple[tuple[str, Goal], ...]:
    limit = MOST_BYTES
    return (
        (DENSE, Goal(least_speedup=dense, most_bytes=limit)),
        (CHUNKED, Goal(least_speedup=chunked, most_bytes=limit)),
        (COMPILED, Goal()),
    )


SMALL, LARGE = {"rows": 2048, "width": 512, "classes": 32768}, {"rows": 4096, "width": 1024, "classes": 65536}

LINEAR: tuple[LinearWorkload, ...] = (
    LinearWorkload(row="P10", **SMALL, peers=_against(1.15, 3.5)),
    LinearWorkload(row="P10", **LARGE, peers=_against(1.15, 3.5)[:2], once=True),
    LinearWorkload(row="P10", **SMALL, peers=((DENSE, Goal()),), door="numpy"),
    LinearWorkload(row="P11", **SMALL, dtype="bfloat16", peers=_against(1.0, 6.0)),
    LinearWorkload(row="P11", **LARGE, dtype="bfloat16", peers=_against(1.0, 6.0)[:2], once=True),
    LinearWorkload(
        row="P12", **SMALL, peaked=True, tolerance=1e-3, peers=((DENSE, Goal(least_speedup=1.8, most_bytes=MOST_BYTES)),)
    ),
)

GROWTH_IN_CLASSES = tuple(
    LinearWorkload(row="C", rows=1024, width=256, classes=c << 10, peers=((DENSE, Goal()), (CHUNKED, Goal())))
    for c in (8, 16, 32, 64, 128, 256)
)
GROWTH_IN_ROWS = tuple(
    LinearWorkload(row="N", rows=n, width=256, classes=32768, peers=((DENSE, Goal()), (CHUNKED, Goal())))
    for n in (256, 512, 1024, 2048, 4096, 8192)
)
"""What the plot in the documentation shows."""
