"""Criteria: published examples, and the properties on which a search relies to leave out tables."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.anonymize.criteria import (
    BetaLikeness,
    DeltaDisclosure,
    DeltaPresence,
    Demands,
    Distance,
    DistinctDiversity,
    EntropyDiversity,
    KAnonymity,
    KMap,
    RecursiveDiversity,
    Sizes,
    TCloseness,
    ValueCriterion,
)
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Shares, parse_hierarchy
from strongroom.errors import ValidationError

WHOLE = np.array([0.5, 0.25, 0.15, 0.1])
TREE = parse_hierarchy("s", "a;x;*\nb;x;*\nc;y;*\nd;y;*\n")
ALL: list[ValueCriterion] = [
    DistinctDiversity("s", 2),
    EntropyDiversity("s", 1.8),
    RecursiveDiversity("s", 2.0, 2),
    TCloseness("s", 0.2, WHOLE),
    TCloseness("s", 0.2, WHOLE, Distance.ORDERED),
    TCloseness("s", 0.2, WHOLE, Distance.HIERARCHICAL, TREE),
    BetaLikeness("s", 1.0, WHOLE),
    DeltaDisclosure("s", 1.5, WHOLE),
]


def test_ordered_distance_of_the_paper() -> None:
    """Li et al. 2007, section 4.1: salaries 3k…11k against {3,4,5} and {6,8,11}."""
    whole = np.full(9, 1 / 9)
    found = TCloseness("s", 0.2, whole, Distance.ORDERED)
    counts = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1, 0, 0, 1]], dtype=np.float64)
    assert found.distances(counts, np.array([3, 3])) == pytest.approx([0.375, 0.1667], abs=1e-4)
    assert (found.excess(counts, np.array([3, 3])) > 0).tolist() == [True, False]


def test_hierarchical_distance_of_siblings_is_smaller() -> None:
    whole = np.full(4, 0.25)
    found = TCloseness("s", 0.2, whole, Distance.HIERARCHICAL, TREE)
    near = np.array([[2.0, 0.0, 1.0, 1.0]])  # a for b: siblings, half the height
    far = np.array([[2.0, 1.0, 0.0, 1.0]])
    rows = np.array([4])
    assert found.distances(near, rows)[0] == pytest.approx(0.125)
    assert found.distances(far, rows)[0] == pytest.approx(0.25)


def test_entropy_and_recursion() -> None:
    counts, rows = np.array([[2.0, 2.0, 0, 0], [3.0, 1.0, 0, 0]]), np.array([4, 4])
    assert (EntropyDiversity("s", 2).excess(counts, rows) > 0).tolist() == [False, True]
    # r1 < c (r2 + …): 2 < 2·2, and 3 < 2·1 fails; a tie fails.
    assert (RecursiveDiversity("s", 2, 2).excess(counts, rows) > 0).tolist() == [False, True]
    assert RecursiveDiversity("s", 3, 2).excess(counts, rows)[1] > 0


def test_sizes() -> None:
    sizes = Sizes(np.array([1, 5, 0]), np.array([4, 5, 3]))
    assert KAnonymity(2).excess(sizes).tolist() == [1, 0, 0]
    assert KMap(5).excess(sizes).tolist() == [1, 0, 0]
    assert DeltaPresence(0.0, 0.5).excess(sizes).tolist() == [0, 2.5, 0]
    assert DeltaPresence(0.5, 1.0).excess(sizes).tolist() == [1, 0, 1.5]
    with pytest.raises(ValidationError, match="population"):
        KMap(2).excess(Sizes(np.array([1]), np.zeros(0, dtype=np.int64)))


@st.composite
def two_groups(draw: st.DrawFn) -> tuple[Shares, Codes]:
    counts = np.array(
        [draw(st.lists(st.integers(0, 9), min_size=4, max_size=4)) for _ in range(2)],
        dtype=np.float64,
    )
    assume(bool(np.all(counts.sum(axis=1) > 0)))
    return counts, counts.sum(axis=1).astype(np.int64)


@pytest.mark.parametrize("criterion", ALL, ids=lambda one: type(one).__name__)
@settings(max_examples=50, deadline=None)
@given(groups=two_groups())
def test_joining_never_makes_it_worse(
    criterion: ValueCriterion, groups: tuple[Shares, Codes]
) -> None:
    counts, rows = groups
    apart = criterion.excess(counts, rows)
    joined = criterion.excess(counts.sum(axis=0, keepdims=True), rows.sum(keepdims=True))
    if criterion.is_absorbing:
        assert joined[0] == 0 or bool(np.all(apart > 0))
    else:
        assert joined[0] <= apart.sum() + 1e-6
    assert bool(np.all(apart <= criterion.cap * rows + 1e-6))


@pytest.mark.parametrize(
    "made",
    [
        lambda: KAnonymity(0),
        lambda: DistinctDiversity("s", 0),
        lambda: EntropyDiversity("s", 0.5),
        lambda: RecursiveDiversity("s", 0, 2),
        lambda: TCloseness("s", 1.5, WHOLE),
        lambda: TCloseness("s", 0.5, WHOLE, Distance.HIERARCHICAL),
        lambda: BetaLikeness("s", 0, WHOLE),
        lambda: DeltaDisclosure("s", 0, WHOLE),
        lambda: DeltaPresence(0.5, 0.2),
        lambda: Demands(suppression=1.5),
        lambda: Demands(average_risk=0),
        lambda: Demands((DeltaPresence(0.1, 1),), suppression=0.1),
    ],
)
def test_what_makes_no_sense_is_refused(made: Callable[[], object]) -> None:
    with pytest.raises(ValidationError):
        made()


def test_likeness_and_disclosure() -> None:
    rows = np.array([4])
    whole = np.array([0.25, 0.75])
    double = np.array([[2.0, 2.0]])  # 0.25 → 0.5: a gain of 1
    assert BetaLikeness("s", 1.0, whole, is_enhanced=False).excess(double, rows)[0] == 0
    assert BetaLikeness("s", 0.9, whole, is_enhanced=False).excess(double, rows)[0] > 0
    assert DeltaDisclosure("s", math.log(2) + 0.01, whole).excess(double, rows)[0] == 0
    assert DeltaDisclosure("s", math.log(2) - 0.01, whole).excess(double, rows)[0] > 0
