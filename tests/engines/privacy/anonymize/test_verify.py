"""The verification: it agrees with the criteria, and catches what is wrong."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.anonymize.criteria import Distance, TCloseness
from strongroom.engines.privacy.anonymize.hierarchy import parse_hierarchy
from strongroom.engines.privacy.anonymize.verify import Promise, value_counts, verify_table
from strongroom.errors import InternalError

TREE = parse_hierarchy("s", "a;x;*\nb;x;*\nc;y;*\nd;y;*\n")
PATHS = {leaf: (TREE.labels[1][TREE.codes[1][at]], "*") for at, leaf in enumerate(TREE.leaves)}


def table(groups: list[list[str]]) -> pa.Table:
    """One quasi-identifier that is the group's number."""
    return pa.table({
        "q": [str(at) for at, group in enumerate(groups) for _ in group],
        "s": [value for group in groups for value in group],
    })  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9), min_size=1, max_size=6),
    st.sampled_from(list(Distance)),
)
def test_distances_agree(groups: list[list[str]], kind: Distance) -> None:
    written = table(groups)
    wholes = value_counts(written.to_batches(), "s")
    proof = verify_table(
        written.to_batches(),
        Promise(("q",), 1, closeness={"s": (1.0, kind.value)}, orders={"s": TREE.leaves},
                trees={"s": PATHS}, wholes={"s": wholes}, rows=written.num_rows),
    )  # fmt: skip
    counts = np.array([[group.count(leaf) for leaf in TREE.leaves] for group in groups], float)
    rows = counts.sum(axis=1).astype(np.int64)
    whole = counts.sum(axis=0) / counts.sum()
    expected = TCloseness("s", 1.0, whole, kind, TREE).distances(counts, rows).max()
    assert proof.measured["s: distance"] == pytest.approx(float(expected), abs=1e-9)
    assert not proof.failures


def test_what_is_measured() -> None:
    written = table([["a", "a", "b"], ["a", "b", "c", "d"]])
    promise = Promise(
        ("q",), 3, distinct={"s": 2}, entropy={"s": 1.5}, recursive={"s": (3.0, 2)},
        wholes={"s": value_counts(written.to_batches(), "s")}, likeness={"s": 5.0}, rows=7,
    )  # fmt: skip
    proof = verify_table(written.to_batches(), promise)
    assert (proof.rows, proof.groups, proof.smallest) == (7, 2, 3)
    assert proof.measured["s: distinct values"] == 2
    assert proof.measured["s: entropy diversity"] == pytest.approx(
        math.exp(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)))
    )
    assert proof.measured["s: recursive ratio"] == 2.0
    proof.require()


GOOD = [["a", "b", "c"], ["a", "b", "d"]]


@pytest.mark.parametrize(
    ("groups", "promise", "words"),
    [
        ([["a", "b", "c"], ["a"]], Promise(("q",), 2, rows=4), "has 1 rows, not 2"),
        ([["a", "a"], ["a", "b"]], Promise(("q",), 2, distinct={"s": 2}, rows=4), "distinct"),
        ([["a", "a", "b"]], Promise(("q",), 2, entropy={"s": 2.0}, rows=3), "entropy"),
        ([["a", "a", "b"]], Promise(("q",), 2, recursive={"s": (2.0, 2)}, rows=3), None),
        ([["a", "a", "a", "b"]], Promise(("q",), 2, recursive={"s": (2.0, 2)}, rows=4), "recurs"),
        (GOOD, Promise(("q",), 3, rows=8, suppression=0.1), "2 rows are suppressed"),
        (GOOD, Promise(("q",), 3, rows=5), "1 rows are too many"),
        (GOOD, Promise(("q",), 3, rows=6, average_risk=0.2), "average risk"),
        ([], Promise(("q",), 3, rows=6), "no row is left"),
        (GOOD, Promise(("q",), 3, rows=6, k_map=5, people={("0",): 5, ("1",): 4}), "has 4 people"),
        (GOOD, Promise(("q",), 3, rows=6, k_map=5, people={("0",): 5}), "has 0 people"),
        (GOOD, Promise(("q",), 3, rows=6, k_map=4, people={("0",): 5, ("1",): 4}), None),
        (GOOD, Promise(("q",), 3, rows=6, presence=(0, 0.6), people={("0",): 5, ("1",): 4}),
         "0.7500 of the people"),
        (GOOD, Promise(("q",), 3, rows=6, presence=(0, 0.6), people={("0",): 5}), "inf of the"),
        (GOOD, Promise(("q",), 3, rows=6, presence=(0.2, 0.8),
                       people={("0",): 5, ("1",): 4, ("2",): 9}), "only 0.0000"),
        (GOOD, Promise(("q",), 3, rows=6, presence=(0.6, 0.8), people={("0",): 5, ("1",): 4}),
         None),
        (GOOD, Promise(("q",), 3, rows=6, closeness={"s": (0.1, "equal")},
                       wholes={"s": {"a": 2, "b": 2, "c": 1, "d": 1}}), "distance"),
        (GOOD, Promise(("q",), 3, rows=6, likeness={"s": 0.5},
                       wholes={"s": {"a": 2, "b": 2, "c": 1, "d": 1}}), "gain"),
        (GOOD, Promise(("q",), 3, rows=6, disclosure={"s": 0.5},
                       wholes={"s": {"a": 2, "b": 2, "c": 1, "d": 1}}), "disclosure"),
    ],
)  # fmt: skip
def test_what_is_caught(groups: list[list[str]], promise: Promise, words: str | None) -> None:
    written = table(groups) if groups else pa.table({"q": pa.array([], pa.string())})
    proof = verify_table(written.to_batches(), promise)
    if words is None:
        proof.require()
        return
    with pytest.raises(InternalError, match=words):
        proof.require()


def test_values_that_are_missing_are_one_value() -> None:
    written = pa.table({"q": [1.0, 1.0, None, None], "s": ["a", None, "a", ""]})
    proof = verify_table(written.to_batches(), Promise(("q",), 2, distinct={"s": 2}, rows=4))
    assert (proof.groups, proof.smallest) == (2, 2)
    proof.require()


@pytest.mark.parametrize("other", [" x", "X", "", None])
def test_a_blank_more_is_another_group(other: str | None) -> None:
    written = pa.table({"q": ["x", "x", other]})
    with pytest.raises(InternalError, match="has 1 rows"):
        verify_table(written.to_batches(), Promise(("q",), 2, rows=3)).require()
