"""Scores as a table, in the width there is."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from xent.learn._experiment import Experiment, Score, bits, perplexity

HEADINGS = ("train nats", "train bits", "test nats", "test bits", "test perplexity", "train accuracy", "test accuracy")
BITS = {"train bits", "test bits"}


def score_table(experiment: Experiment, console: Console) -> Table | Text:
    """One line per predictor, models first; without bits, or upright, where the console is narrower."""
    names, cells = [_label(score, experiment) for score in experiment.scores], _cells(experiment.scores)
    without_bits = [[row[n] for n, heading in enumerate(HEADINGS) if heading not in BITS] for row in cells]
    shorter = [heading for heading in HEADINGS if heading not in BITS]
    flat, narrow = _flat(HEADINGS, names, cells), _flat(shorter, names, without_bits)
    for table in (flat, narrow):
        if Measurement.get(console, console.options.update(max_width=1000), table).maximum <= console.width:
            return _parted(table, len(experiment.models))
    return _upright(names, cells)


def _flat(headings: Sequence[str], names: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    """A line per predictor."""
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("mean loss per row", no_wrap=True)
    for heading in headings:
        table.add_column("\n".join(heading.split()), justify="right", no_wrap=True)
    for name, row in zip(names, cells, strict=True):
        table.add_row(name, *row)
    return table


def _parted(table: Table, n_models: int) -> Table:
    """Models in bold, baselines dim."""
    for position, row in enumerate(table.rows):
        row.style = "bold" if position < n_models else "dim"
    return table


def _upright(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Text:
    """A line per predictor and score."""
    lines: list[str] = []
    for name, row in zip(names, cells, strict=True):
        lines += [name, *(f"  {heading:<15} {cell:>10}" for heading, cell in zip(HEADINGS, row, strict=True))]
    return Text("\n".join(lines))


def _label(score: Score, experiment: Experiment) -> str:
    """A predictor's name; the uniform one's says what its loss is."""
    if score is experiment.scores[-1]:
        return f"all alike, ln {len(experiment.split.classes)}"
    return score.name


def _cells(scores: Sequence[Score]) -> list[list[str]]:
    """Numbers of every line; perplexities all with three decimals, or all as powers of ten where one is large."""
    form = ".3f" if all(perplexity(score.test_nats) < 1e7 for score in scores) else ".3e"
    return [[*_losses(score), f"{perplexity(score.test_nats):{form}}", *_shares(score)] for score in scores]


def _losses(score: Score) -> list[str]:
    """Nats and bits on both parts."""
    nats = score.train_nats, score.test_nats
    return [number(value) for mean in nats for value in (mean, bits(mean))]


def _shares(score: Score) -> list[str]:
    """Accuracy on both parts."""
    return [f"{100 * share:.1f} %" for share in (score.train_accuracy, score.test_accuracy)]


def number(value: float) -> str:
    """Four decimals, or four digits where it is large."""
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.4g}"
