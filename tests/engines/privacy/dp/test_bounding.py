"""What one person can change: never more than the bounds, for any table and any person."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.dp.bounding import bounded

_SUBJECTS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d"]))
_GROUPS = st.one_of(st.none(), st.sampled_from(["x", "y", "z"]))
_Row = tuple[str | None, str | None, str | None, int]
_ROWS = st.lists(st.tuples(_SUBJECTS, _GROUPS, _GROUPS, st.integers(-99, 99)), max_size=40)
_SCHEMA = {"who": pl.String, "g": pl.String, "h": pl.String, "v": pl.Int64}


def kept(
    rows: list[_Row], groups: int, most: int,
    by: tuple[str, ...] = ("g", "h"),
) -> Counter[_Row]:  # fmt: skip
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    found = bounded(frame, "who", by, groups=groups, rows=most)
    assert found.columns == list(_SCHEMA)
    return Counter(found.iter_rows())


@given(_ROWS, st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_each_person_is_within_the_bounds(rows: list[_Row], groups: int, most: int) -> None:
    found = kept(rows, groups, most)
    assert not found - Counter(rows), "no row appears from nowhere"
    for person in "abcd":
        own = [row for row in found.elements() if row[0] == person]
        cells = Counter((row[1], row[2]) for row in own)
        theirs = Counter((row[1], row[2]) for row in rows if row[0] == person)
        # No more than the bounds, and no less than there is room for.
        assert len(cells) == min(groups, len(theirs))
        assert all(count == min(most, theirs[cell]) for cell, count in cells.items())
    assert not any(row[0] is None for row in found)


@given(_ROWS, st.integers(1, 3), st.integers(1, 3), st.sampled_from(["a", "b", "c", "d"]))
@settings(max_examples=80, deadline=None)
def test_taking_a_person_out_changes_nothing_else(
    rows: list[_Row],
    groups: int,
    most: int,
    person: str,
) -> None:
    whole = kept(rows, groups, most)
    without = kept([row for row in rows if row[0] != person], groups, most)
    gone = whole - without
    assert not without - whole
    assert all(row[0] == person for row in gone)
    assert gone.total() <= groups * most


@given(_ROWS, st.integers(1, 3))
def test_without_groups_only_rows_are_bounded(rows: list[_Row], most: int) -> None:
    found = kept(rows, 1, most, ())
    by_person = Counter(row[0] for row in found.elements())
    theirs = Counter(row[0] for row in rows if row[0] is not None)
    assert by_person == {who: min(most, count) for who, count in theirs.items()}


def test_what_is_kept_is_no_sample_of_the_first() -> None:
    people, each = 2_000, 10
    frame = pl.DataFrame({
        "who": [f"p{at // each}" for at in range(people * each)],
        "at": [at % each for at in range(people * each)],
    })  # fmt: skip
    found = bounded(frame, "who", (), groups=1, rows=1)
    seen = Counter(found["at"].to_list())
    # Each place among a person's rows is kept for a tenth of the people, within 6 deviations.
    assert all(
        abs(seen[at] - people / each) < 6 * (people * 0.1 * 0.9) ** 0.5 for at in range(each)
    )


def test_the_same_rows_are_kept_each_time() -> None:
    frame = pl.from_arrow(pa.table({"who": [at % 7 for at in range(200)], "v": range(200)}))
    assert isinstance(frame, pl.DataFrame)
    first, second = (bounded(frame, "who", (), groups=1, rows=3) for _ in range(2))
    assert first.equals(second)


def test_many_people_in_any_order_are_bounded_as_one_by_one() -> None:
    """More people than fit into 16 bits, rows mixed; each is bounded as if alone in the table."""
    people, each = 70_000, 6
    mixed = np.random.default_rng(0).permutation(people * each)
    when = [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), None]
    frame = pl.DataFrame({
        "who": mixed // each,
        "day": pl.Series([when[at % 3] for at in range(3)]).gather(mixed % 3),
        "is_urgent": mixed % 2 == 0,
        "v": mixed,
    })  # fmt: skip
    by = ("day", "is_urgent")
    found = bounded(frame, "who", by, groups=2, rows=1)
    counts = found.group_by("who").agg(pl.len(), pl.struct(by).n_unique().alias("groups"))
    assert counts.height == people
    assert set(counts["len"]) == set(counts["groups"]) == {2}
    assert found["v"].is_in(frame["v"].implode()).all()
    for person in (0, 1, 65_535, 65_536, 69_999):
        own = frame.filter(pl.col("who") == person)
        alone = bounded(own, "who", by, groups=2, rows=1)
        assert found.filter(pl.col("who") == person).equals(alone)
