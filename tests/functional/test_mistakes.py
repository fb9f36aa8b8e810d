"""The well-known mistakes with cross-entropy are impossible here, or explained."""

import numpy as np
import pytest

import xent

RNG = np.random.default_rng(0)
X = RNG.normal(0.0, 3.0, (5, 4)).astype(np.float32)
T = RNG.integers(0, 4, 5)


def test_a_softmax_over_the_whole_array_is_not_taken_for_rows() -> None:
    whole = np.exp(X) / np.exp(X).sum()
    with pytest.raises(xent.DistributionError, match=r"row \d sums to"):
        xent.log_loss(whole, T)
    np.testing.assert_allclose(xent.softmax(X).sum(axis=1), np.ones(5), rtol=1e-6)


def test_the_sigmoid_rises() -> None:
    x = np.linspace(-10.0, 10.0, 101)
    assert (np.diff(xent.sigmoid(x)) > 0.0).all()
    assert (np.diff(xent.binary_cross_entropy(x, np.ones_like(x), reduction="none")) < 0.0).all()
    assert (np.diff(xent.binary_cross_entropy(x, np.zeros_like(x), reduction="none")) > 0.0).all()


def test_no_epsilon_stands_inside_a_logarithm() -> None:
    assert xent.log_loss(np.array([[0.0, 1.0]]), [0]) == np.inf
    assert xent.log_loss(np.array([[1e-300, 1.0]]), [0]) == -np.log(1e-300)
    assert xent.cross_entropy(np.array([[0.0, 500.0]]), [0]) == 500.0
    assert xent.binary_cross_entropy(np.array([-500.0]), [1.0]) == 500.0


def test_a_log_softmax_is_not_the_logarithm_of_a_softmax() -> None:
    x = np.array([[0.0, 200.0]], np.float32)
    with np.errstate(divide="ignore"):
        assert np.log(xent.softmax(x))[0, 0] == -np.inf
    assert xent.log_softmax(x)[0, 0] == -200.0
    assert xent.log_softmax(np.array([[0.0, 30.0]], np.float32))[0, 1] < 0.0


def test_probabilities_are_not_taken_for_logits_by_name() -> None:
    p = xent.softmax(X)
    with pytest.raises(xent.DistributionError, match="probabilities to log_loss"):
        xent.nll_loss(p, T)
    with pytest.raises(xent.DistributionError, match="log-probabilities to nll_loss"):
        xent.log_loss(np.log(p), T)


def test_class_indices_do_not_pass_for_binary_targets() -> None:
    with pytest.raises(xent.DistributionError, match="belong to cross_entropy"):
        xent.binary_cross_entropy(np.zeros(5, np.float32), [0, 1, 2, 3, 1])
    with pytest.raises(xent.ShapeError, match="does not broadcast"):
        xent.binary_cross_entropy(X, T)


@pytest.mark.parametrize("target", [np.array([0, 1, 1, 0]), np.array([[0.0], [1.0], [1.0], [0.0]])], ids=["labels", "floats"])
def test_one_logit_a_row_is_sent_to_the_binary_loss(target: np.ndarray) -> None:
    with pytest.raises(xent.XentError, match="binary_cross_entropy"):
        xent.cross_entropy(np.zeros((4, 1), np.float32), target)


def test_one_logit_without_a_class_axis_is_sent_to_the_binary_loss() -> None:
    with pytest.raises(xent.XentError, match="target must hold class indices shaped"):
        xent.cross_entropy(np.zeros(4, np.float32), [0, 1, 1, 0])


def test_a_column_against_a_row_does_not_become_a_table() -> None:
    for function in (xent.mse_loss, xent.binary_cross_entropy):
        with pytest.raises(xent.ShapeError, match=r"silently become \(N, N\)"):
            function(np.zeros((4, 1), np.float32), np.zeros(4, np.float32))


def test_swapped_arguments_are_noticed() -> None:
    with pytest.raises(xent.DTypeError, match="Were logits and target swapped"):
        xent.cross_entropy(T, X)


def test_a_mean_over_nothing_is_not_zero_unless_asked() -> None:
    assert np.isnan(xent.cross_entropy(X, np.full(5, -100)))
