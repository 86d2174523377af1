"""Workbooks as openpyxl and by hand: kinds of cells, dates, names, formulas."""

import datetime as dt
import io

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.reading.files import WHEN, tables, xlsx
from tests.engines.reading.test_hostile_bytes import SHEET, replaced

from strongroom.engines.reading import sheets
from strongroom.engines.reading.reading import read, read_one
from strongroom.engines.reading.sheets import _moment
from strongroom.engines.reading.types import ReadOptions
from strongroom.errors import ChoiceError, TableError

CELLS = st.one_of(
    st.none(),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=9).filter(
        lambda text: not text.startswith("=") and text not in {"#N/A", "#REF!"}
    ),
)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_what_openpyxl_writes_comes_back(rows: list[list[object]]) -> None:
    rows = [["x", *row] for row in rows]  # else rows may be empty, and are left out
    book = xlsx({"A": [["first", "a", "b", "c"], *rows]})
    table = read_one(io.BytesIO(book), name="f", options=ReadOptions(header=True))
    found = pa.Table.from_batches(list(table.batches), table.schema).to_pylist()
    for got, row in zip(found, rows, strict=True):
        for name, value in zip("abc", row[1:], strict=True):
            is_text = pa.types.is_string(table.schema.field(name).type)
            shown = str(value).upper() if isinstance(value, bool) else str(value)
            assert got[name] == (shown if is_text and value is not None else value)


def test_dates_times_and_mixed_columns() -> None:
    day = dt.date(1990, 5, 6)
    book = xlsx({"A": [
        ["born", "seen", "mixed", "share", "yes"],
        [day, WHEN, 1, 0.5, True],
        [day, WHEN.replace(hour=0, minute=0, second=0), "x", 2, False],
        [day, None, day, None, None],
    ]})  # fmt: skip
    table = read_one(io.BytesIO(book), name="f")
    kinds = [str(field.type) for field in table.schema]
    assert kinds == ["date32[day]", "timestamp[us]", "string", "double", "bool"]
    rows = pa.Table.from_batches(list(table.batches), table.schema).to_pylist()
    assert rows[0] == {"born": day, "seen": WHEN, "mixed": "1", "share": 0.5, "yes": True}
    assert [row["mixed"] for row in rows] == ["1", "x", "1990-05-06"]


@pytest.mark.parametrize(
    ("serial", "from_1904", "expected"),
    [
        (1.0, False, "1900-01-01T00:00:00"),
        (59.0, False, "1900-02-28T00:00:00"),
        (61.0, False, "1900-03-01T00:00:00"),
        (40421.5, False, "2010-08-31T12:00:00"),
        (0.0, True, "1904-01-01T00:00:00"),
        (38959.0, True, "2010-08-31T00:00:00"),
    ],
)
def test_serial_dates(serial: float, from_1904: bool, expected: str) -> None:
    """ECMA-376 part 1, section 18.17.4.1, and what Excel shows for these numbers."""
    assert _moment(serial, from_1904).isoformat() == expected


def test_formulas_are_not_evaluated() -> None:
    book = xlsx({"A": [["n", "sum"], [1, '=WEBSERVICE("http://192.0.2.1/")'], [2, "=1+1"]]})
    assert [row["sum"] for row in tables(book)["file/A"]] == [None, None]
    stored = replaced(
        book, SHEET, lambda xml: xml.replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
    )
    assert [row["sum"] for row in tables(stored)["file/A"]] == [None, 2]


def test_names_are_made_where_there_are_none() -> None:
    book = xlsx({"A": [["Date of\nbirth", None, "x"], ["a", "b", "c"]], "B": [[1, 2], [3, 4]]})
    first, second = (
        (table.schema.names, table.remarks) for table in read(io.BytesIO(book), name="f")
    )
    assert first[0] == ["Date of birth", "column_2", "x"]
    assert second[0] == ["column_1", "column_2"]
    assert "named by number" in first[1][0]
    assert "named by number" in second[1][0]


def test_empty_sheets_are_left_out() -> None:
    book = xlsx({"Empty": [], "Names only": [["a", "b"]], "Data": [["a"], [1]]})
    assert list(tables(book)) == ["file/Data"]
    with pytest.raises(TableError, match="no rows"):
        tables(xlsx({"Empty": []}))
    assert read_one(io.BytesIO(xlsx({"E": [], "D": [["a"], [1]]})), name="f").name == "f/D"
    with pytest.raises(ChoiceError, match="no sheet `X`"):
        tables(book, sheet="X")


def test_a_long_sheet_keeps_its_types_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "_HELD_CELLS", 500)
    monkeypatch.setattr(sheets, "_BATCH_CELLS", 1_000)
    rows: list[list[object]] = [["n", "t"]]
    rows += [[i, i] for i in range(3_000)]
    rows.append([1, "late text"])
    table = read_one(io.BytesIO(xlsx({"A": rows})), name="f")
    assert [str(field.type) for field in table.schema] == ["int64", "string"]
    sizes = [batch.num_rows for batch in table.batches]
    assert (sum(sizes), max(sizes)) == (3_001, 500)
