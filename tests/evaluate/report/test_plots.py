"""The pictures that Matplotlib draws: what they show, and that they leave Matplotlib's own state alone."""

import sys

import matplotlib.figure
import numpy as np
import pytest

import xent
from tests.evaluate.report.conftest import judged
from xent.evaluate import evaluation

PLOTS = ("plot_reliability", "plot_losses", "plot_confusion", "plot_temperature", "plot_decomposition")


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("case", ["ten", "hostile"])
def test_each_plot_is_a_figure_that_can_be_written(request, tmp_path, case, name):
    figure = getattr(request.getfixturevalue(case), name)()
    assert type(figure) is matplotlib.figure.Figure
    figure.savefig(tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def test_plots_do_not_load_pyplot(ten):
    before = "matplotlib.pyplot" in sys.modules
    ten.plot_losses()
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_reliability_shows_the_bins(ten):
    above, below = ten.plot_reliability().axes
    said, came = above.lines[1].get_data()
    np.testing.assert_allclose(said, [band.bin.confidence for band in ten.calibration.bins], rtol=1e-5)
    np.testing.assert_allclose(came, [band.bin.frequency for band in ten.calibration.bins], rtol=1e-5)
    assert sum(bar.get_height() for bar in below.patches) == pytest.approx(1.0, abs=1e-4)


def test_reliability_of_one_class(ten):
    above = ten.plot_reliability("3").axes[0]
    np.testing.assert_allclose(above.lines[1].get_xdata(), [one.confidence for one in ten.calibration.by_class[3]], rtol=1e-5)
    with pytest.raises(xent.ArgumentError, match=r"of= names a class; found 'x'\. Name one of: '0', '1'.*'9'\.$"):
        ten.plot_reliability("x")
    with pytest.raises(xent.ArgumentError, match=r"'8', '9', … \(2 more\)\.$"):
        evaluation(judged(100, 12)).plot_reliability("x")


def test_losses_add_up_to_all_rows_and_all_of_the_loss(ten):
    heights = [bar.get_height() for bar in ten.plot_losses().axes[0].patches]
    half = len(heights) // 2
    assert sum(heights[:half]) == pytest.approx(1.0, abs=1e-4)
    assert sum(heights[half:]) == pytest.approx(1.0, abs=1e-4)


def test_confusion_is_of_the_true_class(ten):
    shares = ten.plot_confusion().axes[0].images[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.diag(shares), [row.recall for row in ten.by_class])


def test_beyond_fifty_classes_the_most_frequent_mistakes(ten):
    result = evaluation(judged(600, 51))
    axes = result.plot_confusion().axes[0]
    assert len(axes.patches) == 20
    assert max(bar.get_width() for bar in axes.patches) == max(rows for true, said, rows in result.confusion if true != said)


def test_decomposition_adds_up_to_the_loss(ten):
    bars = ten.plot_decomposition().axes[0].patches
    assert bars[0].get_width() == pytest.approx(ten.refinement.refinement_nats)
    assert bars[0].get_width() + bars[1].get_width() == pytest.approx(ten.log_loss_nats.value)


def test_a_plot_without_numbers_says_what_it_needs(words):
    with pytest.raises(xent.ArgumentError, match="this plot needs a fitted temperature"):
        words.plot_temperature()
    with pytest.raises(xent.ArgumentError, match="this plot needs classes"):
        words.plot_reliability()
