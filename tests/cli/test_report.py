"""What is printed of an experiment, in any width, and its picture."""

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from xent.cli._chart import learning_curve
from xent.cli._console import print_report, watching
from xent.cli._scores import number, score_table
from xent.learn import Step
from xent.learn._experiment import run
from xent.learn._plan import Plan
from xent.learn._split import stratified_split
from xent.learn._table import Table

RNG = np.random.default_rng(3)


def experiment_on(counts, *losses):
    target = np.repeat(np.arange(len(counts)), counts)
    table = Table(RNG.normal(size=(len(target), 2)), target, ("a", "b"), "kind", "made up")
    plan = Plan(losses, 1e-3, "gd", None, 3, 0.25, 0)
    return run(table, stratified_split(table, 0.25, 0), plan, lambda loss: lambda step: None)


@pytest.fixture(scope="module")
def even():
    return experiment_on([40, 40], "cross-entropy", "squared-error")


@pytest.fixture(scope="module")
def uneven():
    return experiment_on([80, 8], "cross-entropy", "squared-error")


def printed(experiment, width):
    console = Console(width=width, record=True, file=StringIO())
    console.print(score_table(experiment, console), soft_wrap=True)
    return console.export_text()


@pytest.mark.parametrize("width", range(5, 110, 7))
def test_no_number_is_cut_in_any_width(even, width):
    text = printed(even, width)
    assert "…" not in text
    for score in even.scores:
        assert f"{score.train_nats:.4f}" in text
        assert f"{score.test_nats:.4f}" in text
        assert f"{100 * score.test_accuracy:.1f} %" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_bits_go_first_where_it_is_narrow(even):
    assert "bits" in printed(even, 80)
    assert "bits" not in printed(even, 65)
    assert max(map(len, printed(even, 65).splitlines())) <= 65


def test_a_large_number_has_few_digits():
    assert [number(value) for value in (0.5, 9999.0, 12345.6, 2e118)] == ["0.5000", "9999.0000", "1.235e+04", "2e+118"]


@pytest.mark.parametrize(("case", "said"), [("even", "sure of one class, 0."), ("uneven", "sure of the rarest class, 1.")])
def test_the_class_of_the_start_is_called_rarest_only_where_it_is(request, tmp_path, capsys, case, said):
    print_report(request.getfixturevalue(case), tmp_path)
    assert said in capsys.readouterr().out


def test_the_log_ends_with_the_last_iteration_of_every_training(capsys):
    with watching() as watch:
        for loss, last in (("cross-entropy", 33), ("squared-error", 20)):
            callback = watch(loss)
            for iteration in range(last + 1):
                callback(Step(iteration, 1.0, 1e119, 1.0, 0.0))
    lines = capsys.readouterr().err.splitlines()
    seen = [(line.split()[0], int(line.split()[2])) for line in lines]
    rounds = [0, 1, 2, 5, 10, 20]
    assert seen == [("cross-entropy", n) for n in [*rounds, 33]] + [("squared-error", n) for n in rounds]
    assert max(map(len, lines)) < 100


def legend(experiment):
    figure = learning_curve(experiment)
    figure.draw_without_rendering()
    (box,) = figure.legends
    (axes,) = figure.axes
    assert not box.get_window_extent().overlaps(axes.get_window_extent())
    return [text.get_text() for text in box.get_texts()]


def test_the_legend_hides_no_line_and_has_one_entry_where_the_baselines_coincide(even, uneven):
    assert legend(even)[-1] == "ln 2 = 0.6931 nats = entropy of the classes"
    assert legend(uneven)[-2].startswith("entropy of the classes = 0.30")
    assert legend(uneven)[-1] == "ln 2 = 0.6931 nats"
