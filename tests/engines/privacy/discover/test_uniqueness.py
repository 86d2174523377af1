"""Columns that set people apart."""

import pyarrow as pa

from strongroom.engines.privacy.discover.tables import discover_table


def test_a_pair_sets_apart_what_neither_does_alone() -> None:
    # 40 ages times 25 towns: each pair once.
    ages = [20 + i for i in range(40) for _ in range(25)]
    towns = [f"town {j}" for _ in range(40) for j in range(25)]
    findings = discover_table(pa.table({"age": ages, "region": towns}))
    assert len(findings.quasi_identifiers) == 1
    pair = findings.quasi_identifiers[0]
    assert (pair.columns, pair.unique_share, pair.smallest_group) == (("age", "region"), 1.0, 1)


def test_measurements_are_nobodys_knowledge() -> None:
    table = pa.table({"value": [i / 7 for i in range(500)], "kind": ["a", "b"] * 250})
    assert discover_table(table).quasi_identifiers == ()


def test_missing_values_form_a_group() -> None:
    ages = [None] * 50 + [30] * 49 + [99]
    [single] = discover_table(pa.table({"age": ages * 1, "x": [1.5] * 100})).quasi_identifiers or [
        None
    ]
    assert single is None  # one row of a hundred is below the least share reported
