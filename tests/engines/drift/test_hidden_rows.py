"""What hidden rows explain: never more than they are, and never past alike."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.drift.hidden_rows import explained
from strongroom.engines.drift.significance import less_apart

COUNTS = st.lists(st.integers(0, 60), min_size=3, max_size=3).filter(any)


def test_a_flag_that_was_too_rare_to_be_written_is_explained() -> None:
    written, whole = np.array([60, 0]), np.array([51, 9])
    first, second = explained(whole, written, (0, 9), has_rest=True)
    assert first.tolist() == [51, 9]
    assert second.tolist() == [51, 9]
    # Twice as many are not.
    _, second = explained(np.array([42, 18]), written, (0, 9), has_rest=True)
    assert second.tolist() == [51, 9]


@settings(max_examples=100, deadline=None)
@given(COUNTS, COUNTS, st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_no_more_than_is_hidden_and_nearer(
    a: list[int], b: list[int], more: int, less: int, has_rest: bool
) -> None:
    given_counts = np.array(a), np.array(b)
    found = explained(*given_counts, (more, less), has_rest=has_rest)
    for before, after, hidden in zip(given_counts, found, (more, less), strict=True):
        assert (after >= 0).all()
        assert (np.abs(after - before) <= hidden).all()
        assert has_rest or (after <= before).all()


@settings(max_examples=100, deadline=None)
@given(COUNTS, COUNTS, st.integers(0, 12))
def test_two_bins_come_nearer_and_not_past_each_other(
    a: list[int], b: list[int], rows: int
) -> None:
    first, second = np.array([a[0] + 1, a[1]]), np.array([b[0], b[1] + 1])
    near = less_apart(first, second, rows)

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(one[0] / one.sum() - other[0] / other.sum())

    before, after = apart(first, second), apart(*near)
    assert abs(after) <= abs(before) + 1e-12
    assert before * after >= -1e-12
    assert [one.sum() for one in near] == [first.sum(), second.sum()]
