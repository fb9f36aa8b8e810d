"""Kernels that filter a gradient wrongly, or multiply what is left of it."""

import numpy as np

from tests.contract.conventions import Array
from tests.contract.wrong_rows import Rows, unmarked, z_of
from xent.kernels.contract import Problem, RowCoefficients, SparseRows
from xent.kernels.reference import ReferenceKernel

Found = SparseRows | None


def row_of(sparse: SparseRows) -> Array:
    """[K]: the row of each entry."""
    return np.repeat(np.arange(len(sparse.dropped)), np.diff(sparse.start))


def without(sparse: SparseRows, goes: Array) -> SparseRows:
    """Some entries fewer."""
    counts = np.bincount(row_of(sparse)[~goes], minlength=len(sparse.dropped))
    return SparseRows(np.append(0, np.cumsum(counts)), sparse.column[~goes], sparse.value[~goes], sparse.dropped)


def at_targets(problem: Problem, sparse: SparseRows) -> Array:
    """[K]: which entries are those of targets."""
    return np.zeros(len(sparse.column), bool) if problem.target is None else sparse.column == problem.target[row_of(sparse)]


def dense(sparse: SparseRows, classes: int) -> Array:
    out = np.zeros((len(sparse.dropped), classes), sparse.value.dtype)
    out[row_of(sparse), sparse.column] = sparse.value
    return out


class DropsTheTarget(ReferenceKernel):
    """A target is a class like any other."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        found = super().sparse_gradient(problem, rows, coefficients, tolerance, most)
        if found is None or problem.target is None:
            return found
        p = np.exp(-rows.surprisal)[row_of(found)]
        return without(found, at_targets(problem, found) & (p + found.dropped[row_of(found)] <= tolerance))


class DropsOneMore(ReferenceKernel):
    """The class that exceeds the tolerance goes with those before it."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        found = super().sparse_gradient(problem, rows, coefficients, tolerance, most)
        if found is None:
            return found
        size = np.where(at_targets(problem, found), np.inf, np.abs(found.value))
        least = [
            begin + np.argmin(size[begin:end]) for begin, end in zip(found.start, found.start[1:], strict=False) if end > begin
        ]
        return without(found, np.isin(np.arange(len(size)), least) & np.isfinite(size))


class DropsTwiceAsMuch(ReferenceKernel):
    """The tolerance is taken for each half of the classes."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        return super().sparse_gradient(problem, rows, coefficients, 2.0 * tolerance, most)


class DropsNothing(ReferenceKernel):
    """Everything stays."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        return super().sparse_gradient(problem, rows, coefficients, -1.0, most)


class OneBudget(ReferenceKernel):
    """What the row before did not spend, the next one may."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        found = super().sparse_gradient(problem, rows, coefficients, tolerance, most)
        left = 0.0 if found is None else tolerance - float(found.dropped[0]) if len(found.dropped) else 0.0
        return super().sparse_gradient(problem, rows, coefficients, tolerance + left, most)


class NextColumn(ReferenceKernel):
    """Columns are counted from 1."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        found = super().sparse_gradient(problem, rows, coefficients, tolerance, most)
        return found and found._replace(column=(found.column + 1) % np.int32(problem.logits.shape[1]))


class LaterFirst(ReferenceKernel):
    """Among equals the later class goes first."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        classes = problem.logits.shape[1]
        goal = problem.target if problem.target is None else np.where(problem.target < 0, -1, classes - 1 - problem.target)
        turned = problem._replace(logits=np.ascontiguousarray(problem.logits[:, ::-1]), target=goal)
        found = super().sparse_gradient(turned, rows, coefficients, tolerance, most)
        if found is None:
            return found
        order = np.lexsort((classes - 1 - found.column, row_of(found)))
        return found._replace(column=(np.int32(classes - 1) - found.column)[order], value=found.value[order])


class PlainTarget(ReferenceKernel):
    """``a·p − b`` at the target in the dtype of the logits."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        p = np.exp(-rows.surprisal).astype(problem.logits.dtype)
        rounded = rows._replace(surprisal=-np.log(p.astype(np.float64)))
        with np.errstate(divide="ignore"):
            return super().sparse_gradient(problem, rounded, coefficients, tolerance, most)


class OneForAll(ReferenceKernel):
    """The coefficients of the first row for every row."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        first = RowCoefficients(*(float(np.ravel(value)[0]) for value in coefficients))
        return super().sparse_gradient(problem, rows, first, tolerance, most)


class IgnoredRowStays(ReferenceKernel):
    """The mark -1 is read as class 0."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        return super().sparse_gradient(unmarked(problem), rows, coefficients, tolerance, most)


class NanGoes(ReferenceKernel):
    """What is not at least a cut is below it, NaN too."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        found = super().sparse_gradient(problem, rows, coefficients, tolerance, problem.logits.size)
        if found is None:
            return found
        found = without(found, np.isnan(found.value))
        return found if len(found.column) <= most else None


class MostForgotten(ReferenceKernel):
    """Room is made for as many entries as there are."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        return super().sparse_gradient(problem, rows, coefficients, tolerance, problem.logits.size)


class FullIsTooFull(ReferenceKernel):
    """Where the last entry takes the last place, there is none."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        return super().sparse_gradient(problem, rows, coefficients, tolerance, most - 1)


class KeptRoom(ReferenceKernel):
    """Values are left where the next call will leave its own."""

    room = np.empty(1 << 16)

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        found = super().sparse_gradient(problem, rows, coefficients, tolerance, most)
        if found is None or len(found.value) > len(self.room):
            return found
        mine = self.room.view(found.value.dtype)[: len(found.value)]
        mine[:] = found.value
        return found._replace(value=mine)


class SmallAloneGo(ReferenceKernel):
    """What lies below ``tolerance / C`` goes, and what is left of the tolerance is not spent."""

    def sparse_gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, tolerance: float, most: int) -> Found:
        found = super().sparse_gradient(problem, rows, coefficients, -1.0, problem.logits.size)
        if found is None:
            return found
        with np.errstate(all="ignore"):
            p = np.exp((z_of(problem) - rows.peak[:, None]) - rows.excess[:, None])
        small = p[row_of(found), found.column] <= tolerance / problem.logits.shape[1]
        found = without(found, small & ~at_targets(problem, found))
        return found if len(found.column) <= most else None


class Overwrites(ReferenceKernel):
    """Products are written where they should be added."""

    def add_sparse_product(self, sparse: SparseRows, matrix: Array, storage: str, out: Array) -> None:
        out[...] = 0.0
        super().add_sparse_product(sparse, matrix, storage, out)

    def add_sparse_transposed(self, sparse: SparseRows, matrix: Array, out: Array) -> None:
        out[...] = 0.0
        super().add_sparse_transposed(sparse, matrix, out)


class BitsAsNumbers(ReferenceKernel):
    """The bits of bfloat16 are taken for whole numbers."""

    def add_sparse_product(self, sparse: SparseRows, matrix: Array, storage: str, out: Array) -> None:
        super().add_sparse_product(sparse, matrix, "float32" if storage == "bfloat16" else storage, out)


class RowsLieTogether(ReferenceKernel):
    """Rows of out are taken to lie side by side."""

    def add_sparse_product(self, sparse: SparseRows, matrix: Array, storage: str, out: Array) -> None:
        super().add_sparse_product(sparse, matrix, storage, np.ascontiguousarray(out))

    def add_sparse_transposed(self, sparse: SparseRows, matrix: Array, out: Array) -> None:
        super().add_sparse_transposed(sparse, matrix, np.ascontiguousarray(out))


class RemainderOfWidth(ReferenceKernel):
    """Columns beyond the last whole vector of 16 take another road, which rounds."""

    def add_sparse_transposed(self, sparse: SparseRows, matrix: Array, out: Array) -> None:
        super().add_sparse_transposed(sparse, matrix, out)
        rest = out.shape[1] // 16 * 16
        out[:, rest:] = np.nextafter(out[:, rest:], np.inf, dtype=out.dtype)


class DenseProducts(ReferenceKernel):
    """Zeros are multiplied too, and everything is added at once."""

    def add_sparse_product(self, sparse: SparseRows, matrix: Array, storage: str, out: Array) -> None:
        if storage in {"float32", "float64"}:
            with np.errstate(invalid="ignore"):
                out += dense(sparse, len(matrix)) @ matrix

    def add_sparse_transposed(self, sparse: SparseRows, matrix: Array, out: Array) -> None:
        with np.errstate(invalid="ignore"):
            out += dense(sparse, len(out)).T @ matrix


class CountsOnce(ReferenceKernel):
    """Of several entries of a class the last one counts."""

    def add_sparse_columns(self, sparse: SparseRows, out: Array) -> None:
        out[sparse.column] += sparse.value


REJECTED_BY: dict[type[ReferenceKernel], tuple[str, ...]] = {
    DropsTheTarget: ("test_a_target_stays_however_improbable",),
    DropsOneMore: (
        "test_the_smallest_probabilities_go_and_no_more_than_the_tolerance",
        "test_the_smallest_go_whatever_scales_probabilities_have",
    ),
    DropsTwiceAsMuch: ("test_the_smallest_probabilities_go_and_no_more_than_the_tolerance",),
    DropsNothing: (
        "test_the_smallest_probabilities_go_and_no_more_than_the_tolerance",
        "test_of_no_tolerance_only_what_is_impossible_goes",
        "test_of_a_tolerance_of_one_little_but_the_target_stays",
    ),
    SmallAloneGo: ("test_the_smallest_probabilities_go_and_no_more_than_the_tolerance",),
    OneBudget: ("test_a_row_is_filtered_without_regard_to_its_neighbours",),
    NextColumn: ("test_entries_that_stay_are_those_of_the_dense_gradient",),
    OneForAll: ("test_entries_that_stay_are_those_of_the_dense_gradient",),
    LaterFirst: ("test_among_equals_the_earlier_class_goes_first",),
    PlainTarget: ("test_at_a_leading_target_the_entry_keeps_its_digits",),
    IgnoredRowStays: ("test_ignored_rows_have_no_entries", "test_no_rows_have_no_entries"),
    NanGoes: ("test_a_row_without_a_softmax_stays_whole_as_nan",),
    MostForgotten: ("test_more_entries_than_may_be_are_none",),
    FullIsTooFull: ("test_more_entries_than_may_be_are_none",),
    KeptRoom: ("test_what_was_found_is_left_as_it_was_by_the_next_call",),
    Overwrites: (
        "test_sparse_rows_times_a_matrix_are_added",
        "test_the_transpose_of_sparse_rows_times_a_matrix_is_added",
        "test_no_entries_add_nothing",
    ),
    BitsAsNumbers: ("test_sparse_rows_times_a_matrix_are_added",),
    RowsLieTogether: ("test_rows_that_lie_apart_are_read_and_written_in_place",),
    RemainderOfWidth: ("test_slices_of_columns_make_the_whole_to_the_bit",),
    DenseProducts: (
        "test_rows_split_in_two_give_the_bits_of_the_whole",
        "test_what_is_not_a_number_reaches_what_it_is_multiplied_into_and_nothing_else",
    ),
    CountsOnce: ("test_the_columns_of_sparse_rows_are_summed",),
}
"""The checks that reject each; `test_harness.py` asks for no less."""
