"""What stands for a missing value hides nothing of the rest."""

from collections import Counter

import pyarrow as pa
import pytest

from strongroom.engines.privacy.discover.placeholders import without_placeholders
from strongroom.engines.privacy.discover.profile import sample_column
from strongroom.engines.privacy.discover.tables import discover_table

PLACEHOLDERS = ["N/A", "-", "NULL", "?", "unknown", "none", "#N/A", "1900-01-01", "99999"]


@pytest.mark.parametrize("blank", PLACEHOLDERS)
def test_a_column_is_found_though_most_of_it_is_missing(blank: str) -> None:
    mails = [f"person{at}@example.org" for at in range(60)]
    column = [*mails, *[blank] * 240]
    finding = discover_table(pa.table({"c1": column})).columns[0]
    assert finding.type == "email"
    assert finding.evidence[0].share == 1.0
    # The counts are those of the column as it is.
    assert finding.profile.nulls == 0
    assert finding.profile.distinct == 61


def test_a_column_of_placeholders_alone_keeps_them() -> None:
    sample = sample_column("c", pa.chunked_array([["none", "n/a", "none"]]))
    assert dict(zip(sample.values, sample.weights, strict=True)) == {"none": 2, "n/a": 1}
    assert (
        discover_table(pa.table({"religion": ["none", "unknown"] * 20})).columns[0].type
        == "religion"
    )


def test_frequent_values_are_no_placeholders() -> None:
    categories = Counter({"a": 900, "b": 60, "c": 40})
    assert without_placeholders(categories) == categories
    # Of many values one comes often, and so do others.
    towns = Counter({f"town {at}": 1 for at in range(50)} | {"Rome": 100, "Oslo": 30})
    assert without_placeholders(towns) == towns
