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
from strongroom.engines.reading.types import Form, ReadLimits, ReadOptions, ReadTable
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


LATE = [
    (["1"], ["x"], pa.string()),
    (["1"], ["1.5"], pa.float64()),
    (["9007199254740993"], ["1.5"], pa.string()),
    (["1"], ["007"], pa.string()),
    (["1.5"], ["007.5"], pa.string()),
    (["1.5"], ["12345678901234567890"], pa.string()),
    (["1.5"], ["1234567890123456.25"], pa.float64()),
    (["1"], ["true"], pa.string()),
    (["1"], ["", "NA"], pa.int64()),
    (["", ""], ["x"], pa.string()),
    (["2020-01-31"], ["2020-01-31 10:00:00"], pa.timestamp("s")),
    (["2020-01-31 10:00:00"], ["2020-01-31"], pa.timestamp("s")),
    (["2020-01-31"], ["31.1.2020"], pa.string()),
    (["1"], ['"two\nlines, and ""quotes"""'], pa.string()),
]


@pytest.mark.parametrize(("first", "late", "kind"), LATE)
@pytest.mark.parametrize("header", [True, False])
def test_a_value_of_another_kind_far_down_makes_the_column_text_and_loses_nothing(
    first: list[str], late: list[str], kind: pa.DataType, header: bool
) -> None:
    limits = ReadLimits(row_bytes=2_000)  # of which the first rows are looked at
    values = [*first * (1_000 // len(first)), *late, first[0]]
    text = "".join(f"{value},kept\n" for value in values)
    content = ("a,b\n" if header else "").encode() + text.encode()
    table = read_one(io.BytesIO(content), name="f", form=Form.CSV, limits=limits,
                     options=ReadOptions(header=header))  # fmt: skip
    assert table.schema.types == [kind, pa.string()]
    is_widened = pa.types.is_string(kind) and any(first)
    assert any("of several kinds" in remark for remark in table.remarks) == is_widened
    found = [value for batch in table.batches for value in batch.column(0).to_pylist()]
    assert len(found) == len(values)
    if pa.types.is_string(kind):
        rows = csv.reader(io.StringIO(text, newline=""))
        assert found == [row[0] or None for row in rows]


def test_a_stream_says_what_does_not_fit_and_text_columns_stay_text() -> None:
    limits = ReadLimits(row_bytes=2_000)
    content = b"a,b\n" + b"1,2\n" * 1_000 + b"x,y\n"
    with pytest.raises(TableError, match=r"column 1 .*|column 1"):
        drained(read_one(iter([content]), name="f", limits=limits))
    table = read_one(io.BytesIO(content), name="f", limits=limits,
                     options=ReadOptions(text_columns=("a",)))  # fmt: skip
    assert "1 (number 2)" in table.remarks[0]
    assert drained(table) == 1_001


def test_a_quote_within_a_value_hides_no_later_row() -> None:
    limits = ReadLimits(row_bytes=2_000)
    content = b"a,b\n" + b"1,2\n" * 600 + b'1,5" pipe\n' + b"1,2\n" * 2_000
    table = read_one(io.BytesIO(content + b"x,2\n"), name="f", limits=limits)
    assert table.schema.types == [pa.string()] * 2
    assert drained(table) == 2_602
    table = read_one(io.BytesIO(content), name="f", limits=limits)
    assert table.schema.types == [pa.int64(), pa.string()]
    assert drained(table) == 2_601


def test_rows_that_cannot_be_parsed_by_themselves_are_read_as_text() -> None:
    limits = ReadLimits(row_bytes=2_000)
    cut = b'"a\nb",2\n' * 200
    content = b"a,b\n" + b"x,2\n" * 500 + b'5" pipe,2\n' + cut + b"x,2\n" * 500
    table = read_one(io.BytesIO(content), name="f", limits=limits)
    assert table.schema.types == [pa.string()] * 2
    assert drained(table) == 1_201


def drained(table: ReadTable) -> int:
    """How many rows there are."""
    return sum(batch.num_rows for batch in table.batches)
