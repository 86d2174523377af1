"""Delimiters and headers, found and stated."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.reading.files import tables

from strongroom.engines.reading.csv_dialect import find_delimiter, has_names
from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.types import Form, ReadLimits
from strongroom.errors import TableError, TooLargeError

CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(st.sampled_from(",;\t|"), st.integers(2, 5), st.data())
@settings(max_examples=100, deadline=None)
def test_what_the_standard_library_writes_comes_back(
    delimiter: str, width: int, data: st.DataObject
) -> None:
    rows = data.draw(
        st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=5)
    )
    names = [f"name {number}" for number in range(width)]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    found = tables(text.getvalue().encode(), form=Form.CSV, delimiter=delimiter, header=True,
                   text_columns=tuple(names))["file"]  # fmt: skip
    assert found == [
        {name: cell or None for name, cell in zip(names, row, strict=True)} for row in rows
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    rows = [["name", "amount", "note"], ["Ada", "1,5", "a; b"], ["Bob", "2,25", "x | y"]]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    assert find_delimiter(text.getvalue()) == delimiter


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([["name", "n"], ["Ada", "1"]], True),
        ([["Ada", "1"], ["Bob", "2"]], False),
        ([["ada@example.org", "x"], ["bob@example.org", "y"]], False),
        ([["1", "2"], ["3", "4"]], False),
        ([["1990-01-02", "x"], ["1991-02-03", "y"]], False),
        ([["name", "city"], ["Ada", "London"]], True),
        ([["country", "2019", "2020"], ["Chad", "17.5", "18"], ["Peru", "33", "34"]], True),
        ([["a", "b"]], True),
    ],
)
def test_a_first_row_of_values_is_no_header(rows: list[list[str]], names: bool) -> None:
    assert has_names(rows) == names


def test_without_names_columns_are_numbered_and_no_row_is_lost() -> None:
    content = b"Ada,1815-12-10,1\nAlan,1912-06-23,2\n"
    table = read_one(io.BytesIO(content), name="f")
    assert table.schema.names == ["column_1", "column_2", "column_3"]
    assert sum(batch.num_rows for batch in table.batches) == 2
    assert "named by number" in table.remarks[0]
    assert list(tables(content, header=True)["file"][0]) == ["Ada", "1815-12-10", "1"]


def test_real_tables_keep_their_header(shared_data: Path) -> None:
    files = sorted((shared_data / "pii-columns").glob("*.csv"))
    assert files
    for path in files:
        with path.open("rb") as file:
            table = read_one(file, name=path.name)
            first = path.read_text("utf-8").splitlines()[0]
            assert table.schema.names == next(csv.reader([first]))


def test_ten_thousand_columns() -> None:
    line = b",".join(b"%d" % i for i in range(10_000))
    names = b",".join(b"c%d" % i for i in range(10_000))
    table = read_one(io.BytesIO(names + b"\n" + (line + b"\n") * 20), name="f")
    assert [(batch.num_rows, batch.num_columns) for batch in table.batches] == [(20, 10_000)]
    assert table.schema.field("c9999").type == pa.int64()
    with pytest.raises(TooLargeError, match="more than 10000 columns"):
        tables(names + b",one more\n" + line + b",1\n")


def test_names_that_cannot_be_are_refused_with_their_place() -> None:
    for content, words in ((b"a,\n1,2\n", "column 2"), (b"a,a\n1,2\n", "twice"),
                           (b"a,b\x07\n1,2\n", "unprintable.*column 2")):  # fmt: skip
        with pytest.raises(TableError, match=words):
            tables(content, limits=ReadLimits(columns=9))
