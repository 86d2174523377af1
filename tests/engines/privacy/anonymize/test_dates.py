"""Dates in the forms people write: read over a whole column, or only as far as they are clear."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.privacy.anonymize import tables

from strongroom.engines.privacy.anonymize.building import NO_DATE, dates_hierarchy
from strongroom.engines.privacy.anonymize.dates import DateOrder, read_dates
from strongroom.engines.privacy.anonymize.guide import dated_columns
from strongroom.engines.privacy.anonymize.hierarchy import Hierarchy
from strongroom.engines.privacy.anonymize.recipe import (
    ColumnRecipe,
    ColumnRole,
    DemandsRecipe,
    Recipe,
    Tree,
)
from strongroom.engines.privacy.anonymize.running import anonymize
from strongroom.errors import ValidationError

THE_DAY = date(1980, 3, 12)


@pytest.mark.parametrize(
    "text",
    [
        "1980-03-12", "1980/3/12", "1980.03.12", "12.03.1980", "12.3.1980", "19800312",
        "12 March 1980", "12. Mar 1980", "12-Mar-1980", "March 12, 1980", "Mar. 12th 1980",
        "1980-03-12T23:59:59.999Z", "1980-03-12 23:59", "12.03.1980 07:15", "19800312T071500Z",
        "12 mar 1980 7:15 PM", "1980-03-12 23:59:59 +02:00", " 1980-03-12 ",
    ],
)  # fmt: skip
def test_forms_that_say_it_by_themselves(text: str) -> None:
    found = read_dates([text])
    assert found.days == (THE_DAY,)
    assert not found.is_year_only


@pytest.mark.parametrize(
    "text",
    ["", "12", "1980", "1980-02-30", "31.02.1980", "13.13.1980", "12.03.80", "0000-01-01",
     "1980-03.12", "12 Brumaire 1980", "1980-03-12x", "1980-03-12 " + "0" * 99, "١٩٨٠-٠٣-١٢",
     "198003121", "flu"],
)  # fmt: skip
def test_what_is_no_date(text: str) -> None:
    assert read_dates([text]).days == (None,)


@pytest.mark.parametrize("separator", ["/", "-", "."])
def test_one_day_above_twelve_tells_for_the_whole_column(separator: str) -> None:
    def written(*parts: str) -> str:
        return separator.join(parts)

    first = read_dates([written("03", "04", "1980"), written("13", "04", "1980")])
    assert first.days == (date(1980, 4, 3), date(1980, 4, 13))
    assert first.forms == (written("dd", "mm", "yyyy"),)
    second = read_dates([written("03", "04", "1980"), written("04", "13", "1980")])
    assert second.days == (date(1980, 3, 4), date(1980, 4, 13))
    assert second.forms == (written("mm", "dd", "yyyy"),)
    assert written("mm", "dd", "yyyy") in second.words


@pytest.mark.parametrize(
    "values",
    [["03/04/1980", "05/06/1981"], ["13/04/1980", "04/13/1980", "03/04/1980"],
     ["03-04-1980", "1980-01-01"]],
)  # fmt: skip
def test_what_cannot_be_told_apart_is_read_to_the_year(values: list[str]) -> None:
    found = read_dates(values)
    assert found.is_year_only
    assert "cannot be told apart" in found.words
    assert "date_order" in found.words
    tree = dates_hierarchy("d", values)
    assert all(len(label) == 4 or label == "*" for label in tree.labels[1])
    assert tree.note == found.words
    assert not tree.is_ordered
    told = read_dates(values, DateOrder.MONTH_FIRST)
    assert not told.is_year_only
    assert told.days[values.index(values[0])] == (
        date(1980, 3, 4) if values[0][1] == "3" and values[0][0] == "0" else None
    )


def test_dots_and_equal_numbers_are_clear() -> None:
    assert read_dates(["03.04.1980"]).days == (date(1980, 4, 3),)
    same = read_dates(["05/05/1980", "1/1/2000"])
    assert not same.is_year_only
    assert same.days == (date(1980, 5, 5), date(2000, 1, 1))


@settings(max_examples=40, deadline=None)
@given(
    days=st.sets(st.dates(date(1000, 1, 1)), min_size=2, max_size=30),
    form=st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%Y%m%d", "%d.%m.%Y", "%Y-%m-%d %H:%M"]),
)
def test_a_column_is_read_right_or_to_the_year(days: set[date], form: str) -> None:
    # glibc writes years before 1000 without their zeros; none is drawn.
    values = [day.strftime(form) for day in days]
    found = read_dates(values)
    if found.is_year_only:
        assert "/" in form
        assert all(1 <= day.day <= 12 for day in days)
        assert [day and day.year for day in found.days] == [day.year for day in days]
    else:
        assert list(found.days) == [*days] or all(
            (day.month, day.day) == (day.day, day.month) for day in days
        )


def labels_of(tree: Hierarchy, value: str) -> list[str]:
    """What stands for a value, level by level."""
    at = tree.index[value]
    return [labels[codes[at]] for labels, codes in zip(tree.labels, tree.codes, strict=True)]


def test_values_that_are_no_dates_stand_apart() -> None:
    values = [f"{day:02d}.{month:02d}.1980" for day in range(1, 29) for month in (1, 2, 7)]
    tree = dates_hierarchy("d", [*values, "unknown", "31.02.1980"])
    assert labels_of(tree, "28.02.1980")[1:3] == ["1980-02-28", "1980-02"]
    assert set(labels_of(tree, "unknown")[1:-1]) == {NO_DATE}
    assert labels_of(tree, "31.02.1980")[1:] == labels_of(tree, "unknown")[1:]
    assert "2 of 86 values are no dates" in tree.note
    assert tree.positions is not None
    assert tree.positions[-1] > tree.positions[-3] * 1.0001
    with pytest.raises(ValidationError, match="no dates: 3 of 4") as refused:
        dates_hierarchy("d", ["1980-01-01", "secret", "x", "y"])
    assert "secret" not in str(refused.value)


def test_columns_of_dates_are_known_by_their_values() -> None:
    table = pa.table({
        "text": ["12.03.1980", "13.03.1980"],
        "number": [19800312, 19811231],
        "amount": [19801399, 19800001],
        "name": ["Jane", "1980-01-01"],
        "missing": pa.nulls(2, pa.string()),
        "flag": [True, False],
    })  # fmt: skip
    assert dated_columns(table) == {"text", "number"}


def test_a_table_says_how_its_dates_were_read() -> None:
    born = [f"{month}/{day}/19{year}" for year in (60, 70) for month in (1, 2) for day in (3, 14)]
    table = pa.table({"born": born * 2})
    columns = {"born": ColumnRecipe(ColumnRole.QUASI, Tree.DATES)}
    recipe = Recipe(DemandsRecipe(k=4, suppression=0.0), columns=columns)
    outcome = anonymize(table, recipe, draw=tables.draw)
    assert any("mm/dd/yyyy" in remark for remark in outcome.remarks)
    assert set(outcome.table.column("born").to_pylist()) == {
        f"19{year}-{month}" for year in (60, 70) for month in ("01", "02")
    }
