"""Labels of any integer dtype, whatever marks the ignored ones: the fast road agrees with the slow one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xent
from xent._check.targets import labels

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    """Labels around the ends of [0, C) and of their dtype, the number of classes, and a mark."""
    dtype = np.dtype(draw(st.sampled_from(INTEGERS)))
    classes = draw(st.sampled_from((1, 2, 3, 100, 256, 50257)))
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    interesting = [v for v in (0, 1, classes - 1, classes, -1, -100, 255, low, high) if low <= v <= high]
    values = draw(st.lists(st.sampled_from(interesting), max_size=12))
    mark = draw(st.sampled_from((*interesting, -100, -1, 0, 255, 2**63, 2**64 - 1, -(2**63), 2**70, -(2**70))))
    return np.array(values, dtype), classes, mark


@given(problems())
def test_labels_are_read_as_python_would_read_them(problem: tuple[np.ndarray, int, int]) -> None:
    target, classes, mark = problem
    before, numbers = target.copy(), [int(v) for v in target]
    bad = [row for row, v in enumerate(numbers) if v != mark and not 0 <= v < classes]
    if bad:
        with pytest.raises(xent.LabelError) as caught:
            labels(target, classes, mark)
        assert caught.value.rule == f"labels must lie in [0, {classes})"
        assert caught.value.found == f"row {bad[0]} holds {numbers[bad[0]]} ({len(bad)} such rows)"
        assert caught.value.remedy
    else:
        found, ignored = labels(target, classes, mark)
        assert found.tolist() == [-1 if v == mark else v for v in numbers]
        assert found.dtype == np.int64
        assert ignored == numbers.count(mark)
    np.testing.assert_array_equal(target, before)
