"""Sets of columns that single people out."""

from itertools import combinations

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

from strongroom.engines.privacy.discover.findings import SampleGuarantee
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.engines.privacy.discover.uniqueness import LEAST_SHARE, find_uniqueness


def singled_out(columns: dict[str, list[int]], chosen: tuple[str, ...], people: list[int]) -> float:
    """Share of the people with a combination of their own, counted plainly."""
    owners: dict[tuple[int, ...], set[int]] = {}
    for row, person in enumerate(people):
        owners.setdefault(tuple(columns[name][row] for name in chosen), set()).add(person)
    alone = {next(iter(group)) for group in owners.values() if len(group) == 1}
    return len(alone) / len(set(people))


def test_a_pair_sets_apart_what_neither_does_alone() -> None:
    # 40 ages times 25 towns: each pair once.
    ages = [20 + i for i in range(40) for _ in range(25)]
    towns = [f"town {j}" for _ in range(40) for j in range(25)]
    findings = discover_table(pa.table({"age": ages, "region": towns}))
    assert len(findings.quasi_identifiers) == 1
    pair = findings.quasi_identifiers[0]
    assert (pair.columns, pair.unique_share, pair.smallest_group) == (("age", "region"), 1.0, 1)
    assert pair.added == (1.0, 1.0)
    assert pair.population_share == 1.0
    assert findings.uniqueness is not None
    assert findings.uniqueness.is_exact
    assert findings.uniqueness.is_complete


def test_three_columns_that_only_together_tell() -> None:
    digits = {"a": 100, "b": 10, "c": 1}
    columns = {
        name: pa.array([row // step % 10 for row in range(1_000)]) for name, step in digits.items()
    }
    found = find_uniqueness(columns)
    assert [item.columns for item in found.sets] == [("a", "b", "c")]
    assert found.sets[0].unique_share == found.share == 1.0
    assert {item.column for item in found.columns} == {"a", "b", "c"}
    assert all(item.lost_without == 1.0 for item in found.columns)


def test_measurements_are_nobodys_knowledge() -> None:
    table = pa.table({"value": [i / 7 for i in range(500)], "kind": ["a", "b"] * 250})
    assert discover_table(table).quasi_identifiers == ()


def test_missing_values_form_a_group() -> None:
    ages = [None] * 50 + [30] * 49 + [99]
    # One row of a hundred is below the least share reported.
    assert discover_table(pa.table({"age": ages, "x": [1.5] * 100})).quasi_identifiers == ()


def test_people_are_counted_and_not_rows() -> None:
    # Each of 100 people has ten rows with the same town, which is theirs alone.
    people = [row // 10 for row in range(1_000)]
    towns = {"town": pa.array([f"t{person}" for person in people])}
    assert find_uniqueness(towns).sets == ()
    [town] = find_uniqueness(towns, people=pa.array(people)).sets
    assert (town.columns, town.unique_share, town.smallest_group) == (("town",), 1.0, 1)


def test_a_sample_says_what_it_means_for_the_table() -> None:
    codes = {"code": pa.array([row % 700 for row in range(1_000)])}
    whole, sample = find_uniqueness(codes), find_uniqueness(codes, population=50_000)
    assert whole.is_exact
    assert not sample.is_exact
    assert whole.sets[0].population_share == whole.sets[0].unique_share == 0.4
    assert sample.sets[0].unique_share == 0.4
    assert (sample.sets[0].population_share or 0) < 0.1


def test_a_sample_of_peoples_rows_is_not_taken_for_all() -> None:
    table = pa.table(
        {"who": [f"p{i // 2}" for i in range(200)], "town": [f"t{i // 2}" for i in range(200)]}
    )
    sampled = SampleGuarantee(10_000, 200, 0.02, 0.01)
    findings = discover_table(table, guarantee=sampled, subject_column="who")
    assert findings.uniqueness is not None
    assert (findings.uniqueness.people, findings.uniqueness.population) == (100, 5_000)
    assert not findings.uniqueness.is_exact


def test_columns_that_cannot_be_compared_are_left_out() -> None:
    odd = pa.array([[1], [2]] * 50)
    found = find_uniqueness({"odd": odd, "n": pa.array(range(100))})
    assert [item.column for item in found.columns] == ["n"]
    assert find_uniqueness({}).sets == ()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_set_is_what_counting_says(data: st.DataObject) -> None:
    rows = data.draw(st.integers(20, 60))
    people = data.draw(st.lists(st.integers(0, 30), min_size=rows, max_size=rows))
    columns = {
        name: data.draw(st.lists(st.integers(0, top), min_size=rows, max_size=rows))
        for name, top in (("a", 3), ("b", 5), ("c", 8), ("d", 20))
    }
    found = find_uniqueness(
        {name: pa.array(values) for name, values in columns.items()}, people=pa.array(people)
    )
    assert found.share == pytest.approx(singled_out(columns, tuple(columns), people), abs=1e-4)
    for item in found.sets:
        share = singled_out(columns, item.columns, people)
        assert item.unique_share == pytest.approx(share, abs=1e-4)
        assert share >= LEAST_SHARE
        for part in combinations(item.columns, len(item.columns) - 1):
            if part:
                assert share >= singled_out(columns, part, people) + LEAST_SHARE - 1e-6
