"""Every check has been seen to fail: each wrong kernel is rejected, and each check rejects a wrong kernel."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import xent
from tests.contract import (  # noqa: F401  their checks enrol when imported
    test_bits,
    test_hidden_rows,
    test_inputs,
    test_kernels,
    test_one_visit,
    test_precision,
    test_sparse,
    test_sparse_products,
    test_targets,
    wrong_numbers,
    wrong_order,
    wrong_rows,
    wrong_sparse,
    wrong_visits,
)
from tests.contract.conventions import CHECKS
from tests.functional import (  # noqa: F401
    test_elementwise,
    test_from_logits,
    test_from_probabilities,
    test_normalise,
)
from xent.kernels import select
from xent.kernels.reference import ReferenceKernel

REJECTED = (AssertionError, pytest.fail.Exception, xent.XentError)
"""What a check that fails raises; anything else is a mistake in the check or in the wrong kernel."""

REJECTED_BY: dict[type[ReferenceKernel], tuple[str, ...]] = {
    wrong_rows.PaddingCounts: (
        "test_losses_are_in_nats",
        "test_losses_and_gradients_are_right",
        "test_losses_of_probability_targets_are_right",
        "test_masked_classes_have_no_part",
        "test_floats_shaped_like_the_logits_are_probabilities",
        "test_lists_and_single_rows_are_read",
        "test_shifting_logits_changes_nothing",
        "test_validation_warns_or_rests_as_asked",
        "test_each_row_of_a_softmax_sums_to_one_and_not_the_whole",
    ),
    wrong_rows.NoMaximum: (
        "test_logits_of_any_magnitude_do_not_overflow",
        "test_a_mean_of_great_losses_does_not_overflow",
        "test_wide_rows_of_great_spread_are_right",
        "test_one_class_is_certain",
        "test_any_magnitude",
        "test_a_softmax_is_accepted_by_log_loss_and_a_log_softmax_by_nll_loss",
    ),
    wrong_rows.NanLeaks: (
        "test_a_row_without_a_softmax_is_nan_alone",
        "test_a_row_without_a_softmax_is_nan_for_probability_targets_too",
        "test_normalisation_of_such_a_row_is_nan_alone",
    ),
    wrong_rows.NanSwallowed: (
        "test_a_row_without_a_softmax_is_nan_alone",
        "test_a_row_without_a_softmax_is_nan_for_probability_targets_too",
        "test_normalisation_of_such_a_row_is_nan_alone",
    ),
    wrong_rows.NextTarget: (
        "test_the_class_axis_may_be_any",
        "test_a_mean_is_that_of_torch",
        "test_a_mark_below_zero_ignores_no_unsigned_label",
        "test_the_mean_of_many_half_precision_losses_neither_overflows_nor_drifts",
        "test_great_sums_are_taken_in_float64",
        "test_reordering_classes_reorders_the_gradient",
    ),
    wrong_rows.NextTargetInGradient: (
        "test_a_target_at_minus_infinity_is_an_infinite_surprise",
        "test_a_mean_is_the_sum_over_its_denominator",
        "test_smoothing_is_cross_entropy_with_the_smoothed_target",
        "test_gradients_are_the_central_differences_of_losses",
        "test_one_logit_is_two_classes_of_which_one_is_zero",
    ),
    wrong_visits.MassForgottenAtOnce: ("test_both_at_once_are_the_statistics_and_their_gradient",),
    wrong_visits.TermForgottenAtOnce: ("test_both_at_once_are_the_statistics_and_their_gradient",),
    wrong_visits.ReadsWhatItWrote: ("test_both_at_once_may_overwrite_the_logits",),
    wrong_visits.HidesRowsAtOnce: ("test_rows_without_a_distribution_are_nan_alone_at_once",),
    wrong_visits.BelievesTheBeginning: ("test_a_row_is_right_wherever_its_maximum_stands",),
    wrong_order.StaleBuffer: (
        "test_ignored_rows_count_nothing_whatever_they_hold",
        "test_the_mark_of_ignored_rows_may_be_any_whole_number",
        "test_a_mean_over_nothing",
        "test_a_sum_over_nothing_is_zero",
        "test_a_class_of_weight_zero_says_nothing",
        "test_a_buffer_of_any_layout_is_written_whole_and_nothing_else",
    ),
    wrong_order.LastClassNotWritten: (
        "test_the_gradient_may_overwrite_the_logits",
        "test_expanded_logits_are_read",
        "test_memory_mapped_logits_are_read",
        "test_the_class_axis_costs_no_bits",
        "test_any_axis_of_any_array",
        "test_the_ends_of_the_line",
        "test_a_soft_cap_far_away_changes_nothing",
    ),
    wrong_rows.Difference: (
        "test_tiny_losses_are_right_and_not_zero",
        "test_tiny_focal_losses_are_right",
        "test_tiny_losses_of_many_far_classes_are_right",
        "test_hard_rows_come_out_as_kept",
    ),
    wrong_rows.PlainTargetGradient: (
        "test_the_gradient_at_a_leading_target_keeps_its_digits",
        "test_tiny_losses_are_right_and_not_zero",
        "test_each_gradient_row_sums_to_zero",
    ),
    wrong_rows.IgnoredRowsCount: (
        "test_ignored_rows_count_nothing_whatever_they_hold",
        "test_the_mark_of_ignored_rows_may_be_any_whole_number",
        "test_a_mean_over_nothing",
    ),
    wrong_rows.ZeroTimesGradient: ("test_ignored_rows_count_nothing_whatever_they_hold", "test_a_mean_over_nothing"),
    wrong_rows.MaskedTileIsNan: ("test_a_masked_block_has_no_part",),
    wrong_numbers.ZeroTimesInfinity: (
        "test_a_target_of_zero_on_a_logit_of_minus_infinity_is_zero",
        "test_smoothing_over_a_class_of_weight_zero_at_minus_infinity_is_finite",
        "test_a_target_smoothed_away_says_nothing",
        "test_a_divergence_from_a_target_with_zeros_is_finite",
        "test_a_certain_binary_answer_costs_nothing",
    ),
    wrong_order.Remainder: (
        "test_bits_do_not_depend_on_how_a_batch_is_split",
        "test_bits_of_one_number_do_not_depend_on_its_place",
        "test_a_row_does_not_know_its_neighbours",
        "test_a_duplicated_row_counts_twice",
    ),
    wrong_order.RunningSum: (
        "test_bits_do_not_depend_on_how_a_batch_is_split",
        "test_a_divergence_is_never_negative_but_for_rounding_and_zero_at_the_softmax",
    ),
    wrong_numbers.Float32Sum: (
        "test_losses_and_gradients_are_right",
        "test_wide_rows_of_great_spread_are_right",
        "test_a_flat_block_gives_values_gradients_and_their_sum",
        "test_nats_are_bits_times_ln_2",
    ),
    wrong_numbers.HalfStatistics: (
        "test_half_precision_is_read_as_it_is_and_rounded_once",
        "test_the_mean_of_many_half_precision_losses_neither_overflows_nor_drifts",
        "test_no_farther_from_the_truth_than_the_plain_framework",
    ),
    wrong_numbers.Truncates: (
        "test_half_precision_is_read_as_it_is_and_rounded_once",
        "test_a_one_hot_distribution_is_its_index",
        "test_the_softmax_the_log_softmax_and_the_logsumexp_are_right",
    ),
    wrong_rows.SinglePrecision: ("test_losses_and_gradients_are_right", "test_every_combination_of_options_is_the_truth"),
    wrong_order.OverwritesLogits: (
        "test_inputs_are_left_as_they_were",
        "test_every_integer_dtype_means_class_indices",
        "test_values_without_gradients_are_the_same_bits",
        "test_targets_and_weights_of_any_layout_are_read",
        "test_options_that_say_nothing_change_no_bit",
    ),
    wrong_order.ClearsFirst: (
        "test_overwriting_the_logits_gives_the_same_bits",
        "test_overwriting_works_elementwise",
        "test_log_probs_are_right_and_may_overwrite_the_logits",
        "test_the_gradient_may_overwrite_the_logits",
    ),
    wrong_order.IgnoresStrides: ("test_any_layout_gives_the_bits_of_a_contiguous_copy",),
    wrong_order.SharedScratch: ("test_four_threads_at_once_are_right",),
    wrong_order.BlockKnown: ("test_bits_do_not_depend_on_threads_blocks_or_runs", "test_parts_merged_equal_the_whole"),
    wrong_order.RunAfterRun: ("test_bits_do_not_depend_on_threads_blocks_or_runs", "test_elementwise_sums_have_one_order"),
    wrong_rows.UniformSmoothing: ("test_smoothing_is_that_of_torch", "test_statistics_are_right"),
    wrong_rows.OtherSmoothing: ("test_smoothing_is_that_of_torch", "test_smoothing_is_cross_entropy_with_the_smoothed_target"),
    wrong_rows.NoEntropyTerm: ("test_every_coefficient_moves_its_own_term",),
    wrong_rows.RankAtLeast: ("test_statistics_are_right", "test_rank_counts_the_classes_strictly_above"),
    wrong_order.WantsChangeNumbers: ("test_statistics_not_asked_for_change_nothing",),
    wrong_rows.MassIsOne: ("test_a_mean_is_that_of_torch", "test_a_divergence_is_the_truth_in_every_reduction"),
    wrong_rows.WeightsForgotten: ("test_a_mean_is_that_of_torch", "test_every_coefficient_moves_its_own_term"),
    wrong_rows.TargetEntropyForgotten: (
        "test_a_divergence_from_a_target_with_zeros_is_finite",
        "test_cross_entropy_is_entropy_plus_divergence",
    ),
    wrong_rows.SlopeForgotten: (
        "test_every_coefficient_moves_its_own_term",
        "test_no_farther_from_the_truth_than_the_plain_framework",
        "test_a_scale_is_a_scale_of_the_logits",
    ),
    wrong_rows.CapForgotten: ("test_statistics_are_right", "test_every_combination_of_options_is_the_truth"),
    wrong_rows.ScaleForgotten: ("test_statistics_are_right", "test_great_scales_of_tiny_logits_and_the_reverse"),
    wrong_rows.ExcessInPeak: ("test_logits_of_any_magnitude_do_not_overflow", "test_any_magnitude"),
    wrong_rows.LogOfSoftmax: ("test_log_probs_are_right_and_may_overwrite_the_logits", "test_the_three_inputs_agree"),
    wrong_numbers.MeasuresTheSecondHalf: (
        "test_rows_are_measured_right",
        "test_rounded_distributions_pass_and_others_do_not",
        "test_a_buffer_that_overlaps_in_part_is_refused",
        "test_an_impossible_class_that_never_happens_costs_nothing",
        "test_every_reduction_is_the_truth",
        "test_nothing_is_clipped",
        "test_nothing_is_renormalised",
        "test_results_come_in_the_dtypes_promised",
    ),
    wrong_numbers.MeasureLeaks: ("test_rows_are_measured_right", "test_ignored_rows_of_probabilities_count_nothing"),
    wrong_numbers.NoLowest: (
        "test_rows_are_measured_right",
        "test_a_negative_probability_is_refused_though_the_row_sums_to_one",
        "test_the_worst_row_is_named",
    ),
    wrong_numbers.NoHighest: ("test_rows_are_measured_right", "test_log_probabilities_above_zero_are_refused"),
    wrong_numbers.NaiveBinary: (
        "test_a_certain_binary_answer_costs_nothing",
        "test_tiny_binary_losses_are_right_and_not_zero",
        "test_binary_logits_of_any_magnitude_do_not_overflow",
        "test_binary_cross_entropy_is_right",
    ),
    wrong_numbers.WrongSign: (
        "test_the_sigmoid_and_its_logarithm_are_right",
        "test_elementwise_gradients_are_the_central_differences_of_losses",
    ),
    wrong_numbers.FactorForgotten: (
        "test_a_flat_block_gives_values_gradients_and_their_sum",
        "test_a_normalizer_replaces_the_count",
        "test_squared_error_is_right",
    ),
    wrong_numbers.WeightsOfElementsForgotten: ("test_binary_cross_entropy_with_weights_is_right", "test_squared_error_is_right"),
    wrong_numbers.SecondGradientForgotten: ("test_the_gaussian_loss_is_right",),
    wrong_numbers.Choosy: (
        "test_pointwise_losses_are_served_by_name_or_refused",
        "test_an_elementwise_mean_over_nothing",
        "test_a_binary_logit_of_nan_is_nan_alone",
        "test_at_a_fixed_variance_the_gaussian_gradient_is_that_of_squared_error",
        "test_nothing_gives_nothing",
    ),
} | wrong_sparse.REJECTED_BY

BEYOND_KERNELS = {
    "test_class_weights_are_finite_and_not_negative": "the door refuses before a kernel is called",
    "test_no_class_is_an_error": "the door refuses before a kernel is called",
    "test_no_rows_have_no_losses": "no kernel is called",
    "test_a_logarithm_that_rounded_to_just_above_zero_is_not_refused": "the door's tolerance",
    "test_a_forked_child_computes": "runs in a process of its own, which knows no wrong kernel",
    "test_losses_and_gradients_are_right_at_the_widest": "fails as its narrower neighbour does, in seconds",
    "test_more_than_two_to_the_31_elements_are_counted": "NumPy has no 32-bit indices to get wrong",
}
"""Checks that no kernel can fail, and why."""


@contextmanager
def registered(kernel: type[ReferenceKernel]) -> Iterator[str]:
    """A name under which the kernel serves."""
    name, instance = kernel.__name__, kernel()
    select.register(name, lambda: instance)
    try:
        yield name
    finally:
        select.unregister(name)


def name_of(check: str) -> str:
    return check.partition("-")[0]


def rejects(check: str, backend: str) -> bool:
    """Whether any case of the check fails."""
    for case in CHECKS:
        if name_of(case.name) == check:
            try:
                case.call(backend)
            except REJECTED:
                return True
    return False


PAIRS = [
    pytest.param(kernel, check, id=f"{kernel.__name__}-{check}") for kernel, checks in REJECTED_BY.items() for check in checks
]


@pytest.mark.parametrize(("kernel", "check"), PAIRS)
def test_a_wrong_kernel_is_rejected(kernel: type[ReferenceKernel], check: str) -> None:
    with registered(kernel) as backend:
        assert rejects(check, backend)


def test_every_wrong_kernel_has_its_checks() -> None:
    modules = (wrong_rows, wrong_order, wrong_numbers, wrong_visits, wrong_sparse)
    found = [k for m in modules for k in vars(m).values() if isinstance(k, type) and issubclass(k, ReferenceKernel)]
    kernels = set(found) - {ReferenceKernel}
    assert kernels == set(REJECTED_BY)
    assert len(kernels) >= 40


def test_every_check_is_seen_to_fail() -> None:
    known = {name_of(case.name) for case in CHECKS}
    seen = {check for checks in REJECTED_BY.values() for check in checks}
    assert seen <= known
    assert known - seen == set(BEYOND_KERNELS)


def test_every_convention_has_a_check() -> None:
    """Row 11, about labels, is kept by the door: see tests/functional/test_messages.py."""
    assert {row for case in CHECKS for row in case.rows} >= set(range(1, 23)) - {11}


class Right(ReferenceKernel):
    """The reference under another name."""


def test_a_right_kernel_is_not_rejected() -> None:
    first = {name_of(case.name): case for case in reversed(CHECKS) if name_of(case.name) not in BEYOND_KERNELS}
    with registered(Right) as backend:
        for case in first.values():
            case.call(backend)
