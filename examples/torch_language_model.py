"""Train a small transformer with a 32,768-entry vocabulary on the sources of Python's standard library, its loss one of four.

    python examples/torch_language_model.py [--loss xent] [--steps 100] [--seed 0] [--compare] [--plot PICTURE] [--quick]

A head of 32,768 classes is most of the work and of the memory of a model this small. What changes is two lines: the
product that makes the logits goes, and the loss is called with hidden states and the head's weights (`dense`, `by_xent` below).
A tolerance leaves out nothing while nearly all classes hold some probability, as in the first hundreds of steps: the last table
tells how many do, at the start, in the middle and at the end.
``--compare`` trains with each of the four, each in a process of its own, and prints them side by side.
Needs ``pip install '.[torch,cli]' tokenizers`` in the clone of xent, and PyTorch 2.13 for the loss ``chunked``.
"""

import argparse
import multiprocessing
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    import xent
    import xent.torch as xt
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing. Run in the clone of xent: pip install '.[torch,cli]' tokenizers")

from language_model_report import QUANTILES, SHARES, Moment, Run, draw, print_moments, print_runs
from library_text import first_windows, learn_vocabulary, middle_windows, read

TOLERANCE = 1e-3
"""Probability of each row that its gradient may leave out. The loss stays exact, and no row's gradient moves by more than a
thousandth of the longest row of weights; 1e-2 would leave out more, sooner."""
EVERY = 4
"""Of the rows that are not trained on, those whose probabilities are sorted."""
LEARNING_RATE, RISING_STEPS, HEAD_WIDTH = 2e-3, 10, 64
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Size:
    """How large everything is; a step sees batch·length tokens."""

    characters: int = 12_000_000
    """Of text that the vocabulary is learnt from."""
    vocabulary: int = 32_768
    width: int = 256
    layers: int = 2
    length: int = 128
    batch: int = 16
    steps: int = 100
    test_texts: int = 24
    """Files that are not trained on."""
    threads: int | None = None
    """As many as xent takes, unless said otherwise."""


FULL = Size()
# A second thread gains little in a model this small, and loses tenfold where other programs keep the cores busy.
QUICK = Size(characters=1_000_000, vocabulary=2_048, width=64, layers=2, length=64, batch=8, steps=20, test_texts=8, threads=1)


class Block(nn.Module):
    """Attention to what came before, then two layers for each position."""

    def __init__(self, width: int):
        super().__init__()
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, T, D] to the same."""
        heads = self.ask(self.before_attention(hidden)).unflatten(-1, (3, -1, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*heads, is_causal=True)
        hidden = hidden + self.answer(seen.transpose(1, 2).flatten(-2))
        return hidden + self.layers(self.before_layers(hidden))


class LanguageModel(nn.Module):
    """Tokens to hidden states; `head` is for the loss, and its weights are the embedding's unless they are untied."""

    def __init__(self, size: Size, tied: bool = True):
        super().__init__()
        self.embed, self.place = nn.Embedding(size.vocabulary, size.width), nn.Embedding(size.length, size.width)
        self.blocks = nn.Sequential(*(Block(size.width) for _ in range(size.layers)), nn.LayerNorm(size.width))
        self.head = nn.Linear(size.width, size.vocabulary, bias=False)
        for table in (self.embed, self.place, self.head):
            nn.init.normal_(table.weight, std=0.02)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, T] tokens to [B, T, D] hidden states."""
        return self.blocks(self.embed(tokens) + self.place.weight[: tokens.shape[1]])


def dense(hidden: Tensor, head: nn.Linear, tokens: Tensor) -> Tensor:
    """All logits are stored, [B·(T−1), C]: what training loops do."""
    logits = head(hidden[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def chunked(hidden: Tensor, head: nn.Linear, tokens: Tensor) -> Tensor:
    """PyTorch's own, a chunk of logits at a time."""
    options = nn.LinearCrossEntropyOptions()
    return functional.linear_cross_entropy(hidden[:, :-1].flatten(0, 1), head.weight, tokens[:, 1:].flatten(), options=options)


def by_xent(hidden: Tensor, head: nn.Linear, tokens: Tensor) -> Tensor:
    """The numbers of `dense` without its logits; ``shift=1`` has each position guess the token after it."""
    return xt.linear_cross_entropy(hidden, head.weight, tokens, shift=1)


def within_tolerance(hidden: Tensor, head: nn.Linear, tokens: Tensor) -> Tensor:
    """The same loss; the gradient leaves out the smallest probabilities of each row, `TOLERANCE` in all."""
    return xt.linear_cross_entropy(hidden, head.weight, tokens, shift=1, tolerance=TOLERANCE)


LossOf = Callable[[Tensor, nn.Linear, Tensor], Tensor]

LOSSES: dict[str, LossOf] = {
    "dense": dense,
    "chunked": chunked,
    "xent": by_xent,
    "xent-tolerance": within_tolerance,
}


@dataclass(frozen=True)
class Plan:
    """What all trainings have in common."""

    size: Size
    seed: int
    steps: int
    train_windows: Tensor
    test_windows: Tensor

    def batches(self) -> list[Tensor]:
        """One for each step, every window once before any comes again."""
        generator, rows = torch.Generator().manual_seed(self.seed), self.steps * self.size.batch
        rounds = range(-(-rows // len(self.train_windows)))
        order = torch.cat([torch.randperm(len(self.train_windows), generator=generator) for _ in rounds])[:rows]
        return list(self.train_windows[order].split(self.size.batch))


def prepare(size: Size, seed: int, steps: int) -> Plan:
    """Text, vocabulary and tokens, with a line about each."""
    texts = read(size.characters)
    print(f"text: {sum(map(len, texts)):,} characters in {len(texts)} files of Python's standard library")
    start = time.perf_counter()
    tokenizer = learn_vocabulary(texts, size.vocabulary)
    print(f"vocabulary: {tokenizer.get_vocab_size():,} byte pairs, learnt in {time.perf_counter() - start:.1f} s")
    kept = len(texts) - size.test_texts
    seen = first_windows(tokenizer, texts[:kept], steps * size.batch, size.length)
    unseen = middle_windows(tokenizer, texts[kept:], size.length)
    told = f"{seen.numel():,} to learn from and {unseen.numel():,} of other files"
    print(f"tokens: {told}, in windows of {size.length}", flush=True)
    return Plan(size, seed, steps, seen, unseen)


@torch.no_grad()
def look(model: LanguageModel, tokens: Tensor, step: int) -> Moment:
    """The probabilities of the test rows, of one window at a time."""
    hidden, weight = model(tokens), model.head.weight
    counts = [classes_that_hold_all_but(SHARES, (rows[::EVERY] @ weight.T).softmax(dim=-1)) for rows in hidden]
    classes = torch.cat(counts, dim=1).double().quantile(torch.tensor(QUANTILES).double(), dim=1).T
    stats_of = partial(xt.linear_cross_entropy, hidden, weight, tokens, shift=1, return_stats=True)
    told = [stats_of(tolerance=share) for share in SHARES]
    # The last position of a window has no target.
    dropped = [stats.dropped[:, :-1].mean().item() for _, stats in told]
    return Moment(step, told[0][0].item(), classes.tolist(), dropped)


def classes_that_hold_all_but(shares: Sequence[float], probs: Tensor) -> Tensor:
    """[shares, N]: of each row the fewest classes whose probabilities sum to at least one less the share."""
    smallest_first = probs.sort(dim=-1).values.cumsum(dim=-1, dtype=torch.float64)
    return torch.stack([(smallest_first > share).sum(dim=-1) for share in shares])


def train(name: str, plan: Plan) -> Run:
    """An ordinary training loop, which measures itself."""
    torch.set_num_threads(plan.size.threads or xent.get_num_threads())
    torch.manual_seed(plan.seed)
    model, loss_of, batches = LanguageModel(plan.size), LOSSES[name], plan.batches()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95))
    warm_up(model, optimizer, loss_of, batches[0][:1])
    # Else what `look` loads would count as memory of the losses that are not xent's.
    look(model, plan.test_windows[:1, :EVERY], 0)
    before = resident_bytes()
    moments, peaks, loss_nats, step_s = [look(model, plan.test_windows, 0)], [], [], []
    for step, tokens in enumerate(batches, start=1):
        forget_peak()
        start = time.perf_counter()
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, step / RISING_STEPS)
        loss_nats.append(train_step(model, optimizer, loss_of, tokens))
        step_s.append(time.perf_counter() - start)
        peaks.append(resident_bytes(peak=True))
        if step in (len(batches) // 2, len(batches)):
            moments.append(look(model, plan.test_windows, step))
        if step % max(1, len(batches) // 10) == 0:
            progress = f"{name:14} {step:5}/{len(batches)}  {loss_nats[-1]:.4f} nats  {statistics.median(step_s):.3f} s a step"
            print(progress, file=sys.stderr, flush=True)
    return Run(name, loss_nats, step_s, max(peaks) - before if before else None, moments)


def train_step(model: LanguageModel, optimizer: torch.optim.Optimizer, loss_of: LossOf, tokens: Tensor) -> float:
    """The loss before the step."""
    loss = loss_of(model(tokens), model.head, tokens)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def warm_up(model: LanguageModel, optimizer: torch.optim.Optimizer, loss_of: LossOf, tokens: Tensor) -> None:
    """A step at rate 0 with gradients 0 moves no weight: it loads kernels and makes the optimizer's memory."""
    loss_of(model(tokens), model.head, tokens).backward()
    for parameter in model.parameters():
        parameter.grad.zero_()
    optimizer.step()
    optimizer.zero_grad()


def resident_bytes(peak: bool = False) -> int:
    """Memory that the process holds, or held at most since the peak was last forgotten; 0 where the system does not tell."""
    if not STATUS.exists():
        return 0
    return 1024 * int(re.search(rf"^{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)[1])


def forget_peak() -> None:
    if STATUS.exists():
        STATUS.with_name("clear_refs").write_text("5")


def in_own_process(name: str, plan: Plan) -> Run:
    """What one training leaves in memory is no other's."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(train, name, plan).result()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--loss", choices=LOSSES, default="xent", help="of the head; %(default)s unless said otherwise")
    parser.add_argument("--steps", type=positive, help=f"{FULL.steps} unless said otherwise, {QUICK.steps} with --quick")
    parser.add_argument("--seed", type=int, default=0, help="draws the first weights and the batches")
    parser.add_argument("--compare", action="store_true", help="train with every loss and print them side by side")
    parser.add_argument("--plot", type=Path, metavar="PICTURE", help="where a picture goes, if one is wanted")
    parser.add_argument("--quick", action="store_true", help=f"a small model with {QUICK.vocabulary:,} classes, in seconds")
    options = parser.parse_args()
    if options.plot and not find_spec("matplotlib"):
        sys.exit("matplotlib is missing, which --plot needs. Run in the clone of xent: pip install '.[torch,cli]' tokenizers")
    return options


def positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be 1 or more, found {text}")
    return int(text)


def main():
    options = parse_options()
    # A terminal may lack one of the characters.
    sys.stdout.reconfigure(errors="replace")
    size = QUICK if options.quick else FULL
    plan = prepare(size, options.seed, options.steps or size.steps)
    runs = [in_own_process(name, plan) for name in LOSSES] if options.compare else [train(options.loss, plan)]
    print_runs(runs)
    print_moments(runs[-1], size.vocabulary)
    if options.plot:
        draw(runs, size.vocabulary, options.plot)
        print(f"wrote {options.plot}")


if __name__ == "__main__":
    main()
