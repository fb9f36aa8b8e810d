"""Every number against an independent source: scikit-learn, SciPy, or a direct computation in float64 with fsum."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

import xent
from tests.evaluate.conftest import Rows
from xent.evaluate import Batch, Evaluation, Spec, Totals, evaluation
from xent.evaluate.means.intervals import Bootstrap, Estimate
from xent.evaluate.state.places import CELL_COUNT, FINE, LOSS_BINS, bin_of_cell, cells, loss_bins, loss_edges
from xent.evaluate.state.spec import CELLS

EXACT = {"rel": 1e-14, "abs": 1e-15}


@pytest.fixture(scope="module")
def weighted(rows: Rows) -> Evaluation:
    return evaluation(rows.totals())


@pytest.fixture(scope="module")
def plain(rows: Rows) -> Evaluation:
    return judged(rows)


def judged(rows: Rows, **options: object) -> Evaluation:
    state = Totals(Spec("logits", rows.names, **options))  # type: ignore[arg-type]
    state.update(Batch(rows.logits, rows.target))
    return evaluation(state)


def mean(values: np.ndarray, weight: np.ndarray) -> float:
    return math.fsum(values * weight) / math.fsum(weight)


def test_log_loss(rows: Rows, plain: Evaluation, weighted: Evaluation) -> None:
    assert plain.log_loss_nats.value == pytest.approx(math.fsum(rows.nats) / rows.n, rel=1e-14)
    assert plain.log_loss_nats.value == pytest.approx(metrics.log_loss(rows.target, rows.probs), rel=1e-12)
    assert weighted.log_loss_nats.value == pytest.approx(mean(rows.nats, rows.weight), rel=1e-14)
    assert weighted.log_loss_nats.value == pytest.approx(
        metrics.log_loss(rows.target, rows.probs, sample_weight=rows.weight), rel=1e-12
    )


def test_the_log_loss_is_the_sum_of_what_the_loss_says_of_each_row(rows: Rows, plain: Evaluation) -> None:
    nats = xent.cross_entropy(rows.logits, rows.target, reduction="none")
    assert plain.log_loss_nats.value * rows.n == pytest.approx(math.fsum(nats), rel=2e-16)


def test_units(weighted: Evaluation, rows: Rows) -> None:
    nats = weighted.log_loss_nats.value
    assert weighted.log_loss_bits.value == pytest.approx(nats / math.log(2.0), rel=1e-15)
    assert weighted.perplexity.value == pytest.approx(math.exp(nats), rel=1e-15)
    assert weighted.bits_per_byte is not None
    direct = math.fsum(rows.nats * rows.weight) / math.log(2.0) / math.fsum(rows.size * rows.weight)
    assert weighted.bits_per_byte.value == pytest.approx(direct, rel=1e-13)


def test_brier_score(rows: Rows, weighted: Evaluation) -> None:
    squares = ((rows.probs - np.eye(rows.classes)[rows.target]) ** 2).sum(axis=1)
    assert weighted.brier is not None
    assert weighted.brier.score.value == pytest.approx(mean(squares, rows.weight), rel=1e-13)


def test_brier_score_of_two_classes_is_twice_that_of_scikit_learn() -> None:
    two = Rows(400, 2)
    result = judged(two)
    assert result.brier is not None
    assert result.brier.score.value / 2 == pytest.approx(metrics.brier_score_loss(two.target, two.probs[:, 1]), rel=1e-13)


def test_murphys_parts_of_the_brier_score(rows: Rows, plain: Evaluation) -> None:
    reliability = resolution = 0.0
    hot = np.eye(rows.classes)[rows.target]
    for k in range(rows.classes):
        place = np.minimum((rows.probs[:, k] * 15).astype(int), 14)
        for b in np.unique(place):
            here = place == b
            came = hot[here, k].mean()
            reliability += here.mean() * (rows.probs[here, k].mean() - came) ** 2
            resolution += here.mean() * (came - hot[:, k].mean()) ** 2
    frequency = hot.mean(axis=0)
    assert plain.brier is not None
    assert plain.brier.reliability == pytest.approx(reliability, rel=1e-12)
    assert plain.brier.resolution == pytest.approx(resolution, rel=1e-12)
    assert plain.brier.uncertainty == pytest.approx((frequency * (1 - frequency)).sum(), rel=1e-13)
    parts = plain.brier.reliability - plain.brier.resolution + plain.brier.uncertainty + plain.brier.within
    assert parts == pytest.approx(plain.brier.score.value, rel=1e-12)


def test_accuracy_and_top_k(rows: Rows, weighted: Evaluation) -> None:
    right = rows.logits.argmax(axis=1) == rows.target
    assert weighted.accuracy is not None
    assert weighted.accuracy.value == pytest.approx(mean(right, rows.weight), **EXACT)
    for k in (2, 3):
        known = metrics.top_k_accuracy_score(rows.target, rows.probs, k=k, sample_weight=rows.weight)
        assert weighted.top_k[k].value == pytest.approx(known, rel=1e-12)


def test_among_equal_scores_the_first_class_leads() -> None:
    state = Totals(Spec("probs", ("a", "b", "c"), top_k=(2,)))
    state.update(Batch(np.full((3, 3), 1 / 3), np.array([0, 1, 2])))
    result = evaluation(state)
    assert result.accuracy is not None
    assert (result.accuracy.value, result.top_k[2].value) == (1 / 3, 2 / 3)


def test_entropy_of_the_predictions(rows: Rows, weighted: Evaluation) -> None:
    assert weighted.entropy_nats is not None
    assert weighted.entropy_nats.value == pytest.approx(mean(stats.entropy(rows.probs, axis=1), rows.weight), rel=1e-12)


def test_baselines(rows: Rows, weighted: Evaluation) -> None:
    shares = np.bincount(rows.target, rows.weight) / rows.weight.sum()
    assert weighted.baselines is not None
    assert weighted.baselines.uniform_nats == math.log(rows.classes)
    assert weighted.baselines.frequencies_nats == pytest.approx(stats.entropy(shares), rel=1e-12)
    skill = 1 - mean(rows.nats, rows.weight) / stats.entropy(shares)
    assert weighted.baselines.skill == pytest.approx(skill, rel=1e-12)


def expected_error(p: np.ndarray, y: np.ndarray, weight: np.ndarray, bins: int) -> float:
    place = np.minimum((p * bins).astype(int), bins - 1)
    return sum(abs((weight * (p - y))[place == b].sum()) for b in range(bins)) / weight.sum()


@pytest.mark.parametrize("bins", [10, 15])
def test_calibration_error_over_equal_widths(rows: Rows, bins: int) -> None:
    result = judged(rows, bins=bins)
    right = rows.logits.argmax(axis=1) == rows.target
    assert result.calibration is not None
    direct = expected_error(rows.probs.max(axis=1), right, np.ones(rows.n), bins)
    assert result.calibration.equal_width.value == pytest.approx(direct, rel=1e-11)


def test_calibration_error_of_every_class(rows: Rows, weighted: Evaluation) -> None:
    hot = np.eye(rows.classes)[rows.target]
    errors = [expected_error(rows.probs[:, k], hot[:, k], rows.weight, 15) for k in range(rows.classes)]
    assert weighted.calibration is not None
    assert weighted.calibration.classwise == pytest.approx(np.mean(errors), rel=1e-11)


def test_calibration_error_over_equal_mass_is_near_that_of_sorted_rows(rows: Rows, plain: Evaluation) -> None:
    order = np.argsort(rows.probs.max(axis=1))
    gap = rows.probs.max(axis=1) - (rows.logits.argmax(axis=1) == rows.target)
    direct = sum(abs(part.sum()) for part in np.array_split(gap[order], 15)) / rows.n
    assert plain.calibration is not None
    assert plain.calibration.equal_mass == pytest.approx(direct, abs=4e-3)


def test_smooth_calibration_error_is_the_fixed_point_of_its_width(rows: Rows, plain: Evaluation) -> None:
    p, y = rows.probs.max(axis=1), rows.logits.argmax(axis=1) == rows.target
    assert plain.calibration is not None
    width = plain.calibration.smooth
    grid = (np.arange(1000) + 0.5) / 1000
    kernel = sum(stats.norm.pdf(grid[:, None], centre, width) for centre in (p, -p, 2 - p))
    assert np.abs(kernel @ (y - p) / rows.n).mean() == pytest.approx(width, rel=2e-2)


def test_reliability_bins(rows: Rows, plain: Evaluation) -> None:
    p, y = rows.probs.max(axis=1), rows.logits.argmax(axis=1) == rows.target
    assert plain.calibration is not None
    for band in plain.calibration.bins:
        here = np.minimum((p * 15).astype(int), 14) == round(band.bin.low * 15)
        assert band.bin.weight == here.sum()
        assert band.bin.confidence == pytest.approx(p[here].mean(), rel=1e-13)
        assert band.bin.frequency == pytest.approx(y[here].mean(), rel=1e-13)


def test_classes(rows: Rows, weighted: Evaluation) -> None:
    predicted = rows.logits.argmax(axis=1)
    total = math.fsum(rows.nats * rows.weight)
    for k, row in enumerate(weighted.by_class):
        here = rows.target == k
        assert row.name == rows.names[k]
        assert row.weight == pytest.approx(math.fsum(rows.weight[here]), **EXACT)
        value = mean(rows.nats[here], rows.weight[here])
        spread = (rows.weight[here] ** 2 * (rows.nats[here] - value) ** 2).sum()
        error = math.sqrt(spread) / rows.weight[here].sum()
        assert row.log_loss_nats.value == pytest.approx(value, rel=1e-13)
        assert (row.log_loss_nats.low, row.log_loss_nats.high) == pytest.approx(interval(value, error), rel=1e-10)
        assert row.share_of_loss == pytest.approx((rows.nats * rows.weight)[here].sum() / total, rel=1e-12)
        weights = {"sample_weight": rows.weight}
        assert row.recall == pytest.approx(metrics.recall_score(here, predicted == k, **weights), rel=1e-12)
        assert row.precision == pytest.approx(metrics.precision_score(here, predicted == k, **weights), rel=1e-12)
        assert row.predicted_share == pytest.approx(mean(rows.probs[:, k], rows.weight), rel=1e-12)
        assert row.actual_share == pytest.approx(mean(here, rows.weight), rel=1e-13)


def test_the_interval_of_a_class_is_that_of_rows_of_weight_one(rows: Rows, plain: Evaluation) -> None:
    for k, row in enumerate(plain.by_class):
        nats = rows.nats[rows.target == k]
        known = interval(nats.mean(), nats.std() / math.sqrt(len(nats)))
        assert (row.log_loss_nats.low, row.log_loss_nats.high) == pytest.approx(known, rel=1e-10)


def test_no_interval_of_a_class_goes_below_zero_and_one_row_has_none() -> None:
    probs = np.array([[0.999, 0.001]] * 9 + [[0.01, 0.99], [0.3, 0.7]])
    many, one = xent.evaluate(probs, np.array([0] * 10 + [1]), kind="probs").by_class
    assert many.log_loss_nats.low is not None
    assert many.log_loss_nats.low > 0.0
    assert one.log_loss_nats == Estimate(-math.log(0.7))


def interval(mean: float, error: float) -> tuple[float, float]:
    """Where the logarithm of a mean is normal."""
    factor = math.exp(stats.norm.ppf(0.975) * error / mean)
    return mean / factor, mean * factor


def test_a_class_with_an_impossible_row_has_an_infinite_loss_and_the_others_theirs() -> None:
    result = xent.evaluate(np.array([[0.0, 1.0], [0.5, 0.5], [0.5, 0.5]]), np.array([0, 0, 1]), kind="probs")
    first, second = result.by_class
    assert first.log_loss_nats == Estimate(math.inf)
    assert second.log_loss_nats.value == math.log(2.0)
    assert math.isnan(first.share_of_loss)
    assert math.isnan(second.share_of_loss)


def test_confusion(rows: Rows, plain: Evaluation) -> None:
    known = metrics.confusion_matrix(rows.target, rows.logits.argmax(axis=1))
    assert plain.confusion is not None
    found = np.zeros_like(known)
    for target, predicted, count in plain.confusion:
        found[target, predicted] = count
    assert np.array_equal(found, known)


def test_groups(rows: Rows, weighted: Evaluation) -> None:
    right = rows.logits.argmax(axis=1) == rows.target
    for row in weighted.by_group:
        here = np.array(rows.group) == row.name
        w, nats = rows.weight[here], rows.nats[here]
        average = mean(nats, w)
        assert row.log_loss_nats.value == pytest.approx(average, rel=1e-13)
        assert row.accuracy == pytest.approx(mean(right[here], w), **EXACT)
        bits = math.fsum(w * nats) / math.log(2.0) / math.fsum(w * rows.size[here])
        assert row.bits_per_byte == pytest.approx(bits, rel=1e-13)
        known = interval(average, math.sqrt(((w * (nats - average)) ** 2).sum()) / w.sum())
        assert (row.log_loss_nats.low, row.log_loss_nats.high) == pytest.approx(known, rel=1e-11)
    assert [row.name for row in weighted.by_group] == ["a", "b", "c"]


def test_quantiles_of_the_loss_lie_within_their_bins(rows: Rows, plain: Evaluation) -> None:
    for share, nats in plain.losses.quantiles.items():
        assert nats == pytest.approx(np.quantile(rows.nats, share, method="inverted_cdf"), rel=0.016)


def test_share_of_the_worst_rows(rows: Rows, plain: Evaluation) -> None:
    worst = np.sort(rows.nats)[-10:].sum() / rows.nats.sum()
    assert plain.losses.worst_share == pytest.approx(worst, rel=0.016)


def test_integer_weights_are_repetitions(rows: Rows) -> None:
    times = np.arange(rows.n) % 3
    heavy, repeated = (Totals(Spec("logits", rows.names, weighted=w)) for w in (True, False))
    heavy.update(Batch(rows.logits, rows.target, weight=times.astype(np.float64)))
    repeated.update(Batch(np.repeat(rows.logits, times, axis=0), np.repeat(rows.target, times)))
    one, other = evaluation(heavy), evaluation(repeated)
    assert one.log_loss_nats.value == other.log_loss_nats.value
    assert one.brier is not None
    assert other.brier is not None
    assert one.brier.score.value == other.brier.score.value
    assert one.calibration is not None
    assert other.calibration is not None
    assert one.calibration.smooth == other.calibration.smooth
    assert one.losses.worst_share == pytest.approx(other.losses.worst_share, rel=1e-12)


def test_the_interval_is_as_wide_as_the_standard_error_says(rows: Rows, plain: Evaluation) -> None:
    half = 1.96 * rows.nats.std(ddof=1) / math.sqrt(rows.n)
    assert plain.log_loss_nats.low is not None
    assert plain.log_loss_nats.high is not None
    assert (plain.log_loss_nats.high - plain.log_loss_nats.low) / 2 == pytest.approx(half, rel=0.1)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        state = Totals(Spec("target-log-probs"))
        state.update(Batch(-rng.exponential(size=300), np.zeros(300, np.int64), source=seed))
        weight, nats = (state.sums[f"bucket_{name}"].floats() for name in ("weight", "nats"))
        estimate = Bootstrap(400).mean(nats.sum() / weight.sum(), nats, weight)
        assert estimate.low is not None
        assert estimate.high is not None
        held += estimate.low <= 1.0 <= estimate.high
    assert stats.binomtest(held, 200, 0.95).pvalue > 0.001


def test_a_predictor_that_is_too_sure_is_told_its_temperature() -> None:
    rows = Rows(20_000, 5)
    result = judged(rows)
    assert result.refinement is not None
    assert result.refinement.temperature == pytest.approx(1.5, rel=0.03)
    gain = result.refinement.calibration_nats
    at_truth = Rows(20_000, 5).logits / 1.5
    best = math.fsum(xent.cross_entropy(at_truth, rows.target, reduction="none")) / rows.n
    assert gain.value == pytest.approx(result.log_loss_nats.value - best, rel=0.05)
    assert gain.low is not None
    assert gain.low > 0.0


def test_cells_lie_between_their_edges() -> None:
    rng = np.random.default_rng(0)
    tiny = 10.0 ** -rng.uniform(0, 12, 5000)
    p = np.concatenate([rng.random(5000), tiny, 1.0 - tiny, np.arange(3601) / 3600, [0.0, 1.0]])
    near = 2.0 ** (-np.arange(1, FINE) / 2.0) / CELLS
    edges, place = np.concatenate([[0.0], near[::-1], np.arange(1, CELLS) / CELLS, 1.0 - near, [1.0]]), cells(p)
    assert len(edges) == CELL_COUNT + 1
    assert (np.diff(edges) > 0.0).all()
    assert (p >= edges[place] * (1 - 1e-12)).all()
    assert (p <= edges[place + 1] * (1 + 1e-12)).all()


@pytest.mark.parametrize("bins", [1, 2, 10, 12, 15, 20, 25, 100])
def test_bins_are_whole_cells(bins: int) -> None:
    p = np.random.default_rng(1).random(20_000)
    assert np.array_equal(bin_of_cell(bins)[cells(p)], np.minimum((p * bins).astype(int), bins - 1))


def test_losses_lie_in_their_bins() -> None:
    nats = np.concatenate([10.0 ** np.random.default_rng(0).uniform(-14, 5, 5000), [0.0, 2.0**-40, 2.0**12, np.inf]])
    edges, place = loss_edges(), loss_bins(nats)
    assert len(edges) == LOSS_BINS + 1
    assert (nats >= edges[place]).all()
    assert ((nats < edges[place + 1]) | (edges[place + 1] == np.inf)).all()
    assert (edges[2:-1] / edges[1:-2]).max() < 1.0157


@pytest.mark.parametrize("shift", [0.0, 1e6, 1e8])
def test_a_number_added_to_all_logits_changes_no_temperature(shift: float) -> None:
    rows = Rows(2000, 3)
    state = Totals(Spec("logits", rows.names))
    state.update(Batch(rows.logits + shift, rows.target))
    plain = judged(rows).refinement
    shifted = evaluation(state).refinement
    assert plain is not None
    assert shifted is not None
    assert shifted.temperature == pytest.approx(plain.temperature, rel=1e-6)
    assert shifted.calibration_nats.value == pytest.approx(plain.calibration_nats.value, rel=1e-5, abs=1e-7)


def test_a_row_of_tiny_probability_is_in_the_sample_as_it_is() -> None:
    rows = Rows(200, 3)
    probs = rows.probs.copy()
    probs[0], rows.target[0] = [1e-60, 0.5, 0.5], 0
    found = xent.evaluate(probs, rows.target, kind="probs")
    assert found.refinement is not None
    assert math.isfinite(found.refinement.calibration_nats.value)
    assert found.refinement.rows == 200


def test_predictions_that_are_all_alike_have_temperature_1() -> None:
    found = xent.evaluate(np.zeros((50, 3)), np.arange(50) % 3, kind="logits")
    assert found.refinement is not None
    assert found.refinement.temperature == 1.0


def test_one_score_near_certainty_keeps_its_digits() -> None:
    found = xent.evaluate(np.array([-1e-20, -1.0]), np.array([0, 1]), kind="log-probs")
    assert found.log_loss_nats.value == pytest.approx((20.0 * math.log(10.0) + 1.0) / 2.0, rel=1e-14)


def test_great_losses_are_not_infinite() -> None:
    found = xent.evaluate(np.array([[0.0, 5000.0]] * 10), np.zeros(10, int), kind="logits")
    assert found.losses.quantiles[0.5] == pytest.approx(5000.0)
    probs = np.array([[0.0, 1.0]] + [[0.5, 0.5]] * 3)
    quantiles = xent.evaluate(probs, np.zeros(4, int), kind="probs").losses.quantiles
    assert quantiles[0.5] == pytest.approx(math.log(2.0), rel=0.016)
    assert math.isinf(quantiles[0.99])


def test_a_bin_of_few_rows_has_a_wide_interval() -> None:
    found = xent.evaluate(np.array([[0.9, 0.1]] * 3 + [[0.5, 0.5]]), np.zeros(4, int), kind="probs")
    assert found.calibration is not None
    last = found.calibration.bins[-1].frequency
    known = stats.binomtest(3, 3).proportion_ci(method="wilson")
    assert (last.low, last.high) == pytest.approx((known.low, known.high), rel=1e-12)


def test_rounded_probabilities_are_told_from_logits_and_may_be_allowed(rows: Rows) -> None:
    rounded = rows.probs.round(3)
    with pytest.raises(xent.DistributionError, match="Were they rounded"):
        xent.evaluate(rounded, rows.target, kind="probs")
    found = xent.evaluate(np.maximum(rounded, 1e-3), rows.target, kind="probs", sum_tolerance=0.01)
    assert found.log_loss_nats.value == pytest.approx(rows.nats.mean(), rel=0.01)


def test_the_summary_is_short_in_print_and_in_a_line(rows: Rows, plain: Evaluation) -> None:
    assert repr(plain) == f"<Evaluation of 1,000 rows: log loss {rows.nats.mean():.6g} nats>"
    assert f"{rows.nats.mean():.4f}" in str(plain)
    assert len(str(plain)) < 2000


def test_groups_have_bits_per_byte_where_bytes_are_known_and_infinite_ones_where_a_loss_is() -> None:
    unsized = Totals(Spec("target-log-probs", by="g"))
    unsized.update(Batch(np.array([-1.0]), np.array([0]), group=["a"]))
    assert evaluation(unsized).by_group[0].bits_per_byte is None
    state = Totals(Spec("target-log-probs", sized=True, by="g"))
    state.update(Batch(np.array([-1.0, -np.inf]), np.array([0, 0]), size=np.array([2.0, 1.0]), group=["a", "b"]))
    again = Totals.from_bytes(state.to_bytes())
    again.merge(Totals(state.spec))
    assert [row.bits_per_byte for row in evaluation(again).by_group] == [0.5 / math.log(2.0), math.inf]


def test_one_row_has_no_interval_of_its_calibration_error() -> None:
    one = xent.evaluate(np.array([[0.3, 0.7]]), np.array([1]), kind="probs")
    assert one.calibration is not None
    assert one.calibration.equal_width.value == pytest.approx(0.3)
    assert one.calibration.equal_width.low is None
