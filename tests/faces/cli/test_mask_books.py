"""Workbooks masked into workbooks; and every form that is written against formulas and limits."""

import datetime as dt
import io
import json
import re
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from tests.faces.cli.conftest import Offline

from strongroom.engines.reading.reading import read_one
from strongroom.errors import TableError, TooLargeError
from strongroom.faces.cli.masked_books import MAX_CHARACTERS, Sheet, workbook_bytes

FORMULAS = ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")',
            "#N/A", "TRUE", "=", "{=1}"]  # fmt: skip


def book(*sheets: Sheet) -> Any:  # noqa: ANN401 # of an untyped library
    """The workbook as openpyxl reads it, formulas shown as such."""
    return openpyxl.load_workbook(io.BytesIO(b"".join(workbook_bytes(sheets))))


def sheet(name: str = "s", **columns: list[Any]) -> Sheet:
    table = pa.table(columns)
    return Sheet(name, table.schema, table.to_batches(max_chunksize=3))


def people(path: Path) -> None:
    """A workbook of two sheets, with formulas in values, names and sheets of no rows."""
    made = openpyxl.Workbook()
    first = made.active
    first.title = "People"
    first.append(["name", "email", "born", "=note"])
    for cell in first[1]:
        cell.data_type = "s"
    for number in range(20):
        first.append([["Jane Smith", "Bob Miller", "Zoe Jones", "Carol Brown"][number % 4],
                      f"p{number}@clinic.org", dt.date(1950 + number, 1, 2), "x"])  # fmt: skip
        first.cell(number + 2, 4, FORMULAS[number % len(FORMULAS)]).data_type = "s"
    made.create_sheet("empty")
    second = made.create_sheet("Visits")
    second.append(["email", "n"])
    for number in range(20):
        second.append([f"p{number}@clinic.org", number * 2.5])
    made.save(path)


def test_a_workbook_stays_one(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    people(tmp_path / "in" / "people.xlsx")
    (tmp_path / "p.toml").write_text(
        '[types]\nperson_name = "redact"\nemail = "hash"\n[columns]\nborn = "keep"\nn = "keep"\n'
        '"=note" = "keep"\n'
    )
    for target in (["-o", "out.xlsx"], ["-o", "out"]):
        source = "in/people.xlsx" if "out.xlsx" in target else "in"
        code, _, err = offline("mask", source, *target, "--policy", "p.toml", "--no-model")
        assert code == 0, err
        place = tmp_path / "out.xlsx" if "out.xlsx" in target else tmp_path / "out/people.xlsx"
        found = openpyxl.load_workbook(place)
        assert found.sheetnames == ["People", "Visits"]
        rows = list(found["People"].iter_rows(values_only=True))
        assert rows[0] == ("name", "email", "born", "=note")
        assert {row[0] for row in rows[1:]} == {"[redacted]"}
        assert rows[1][2] == dt.datetime(1950, 1, 2)  # noqa: DTZ001 # a spreadsheet's has no zone
        visits = list(found["Visits"].iter_rows(values_only=True))
        assert [row[0] for row in visits[1:]] == [row[1] for row in rows[1:]]  # they still join
        assert {cell.data_type for row in found["People"].iter_rows() for cell in row} == {"s", "d"}
        assert [row[3] for row in rows[1:11]] == FORMULAS
    code, _, _ = offline("mask", "in/people.xlsx", "--to", "csv")
    assert code == 2  # two tables
    assert (
        offline("mask", "in/people.xlsx", "-o", "sheets", "--policy", "p.toml", "--no-model")[0]
        == 0
    )
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == [
        "People.csv", "Visits.csv",
    ]  # fmt: skip
    assert (tmp_path / "sheets/People.csv").read_text().count("'=1+1") == 2


def test_what_a_cell_cannot_hold_is_text_and_nothing_is_lost() -> None:
    values = {
        "whole": [1, 10**15, -(2**63)],
        "float": [1.5, float("nan"), float("inf")],
        "day": [dt.date(2024, 1, 2), dt.date(1899, 12, 31), dt.date(1, 1, 1)],
        "zoned": pa.array([0, 1, None], pa.timestamp("s", "UTC")),
        "flag": [True, False, None],
        "text": ["a\x00b\x1f", "_x0041_", "line\nend\t\U0001f469"],
        "time": [dt.time(1, 2, 3), None, None],
    }
    content = b"".join(workbook_bytes([sheet(**values)]))  # type: ignore[arg-type] # an array, too
    table = read_one(io.BytesIO(content), name="f.xlsx")
    rows = pa.Table.from_batches(list(table.batches)).to_pydict()
    assert rows["whole"] == ["1", "1000000000000000", "-9223372036854775808"]
    assert rows["float"] == ["1.5", "nan", "inf"]
    assert rows["day"] == ["2024-01-02", "1899-12-31", "0001-01-01"]
    assert rows["flag"] == [True, False, None]
    # As ECMA-376 writes what XML cannot hold.
    assert rows["text"] == ["a_x0000_b_x001F_", "_x005F_x0041_", "line\nend\t\U0001f469"]


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (sheet(a=["x" * (MAX_CHARACTERS + 1)]), TooLargeError, "characters in a cell"),
        (sheet("s", **{f"c{n}": [1] for n in range(16_385)}), TooLargeError, "16,384 columns"),
        (sheet(a=[[1]]), TableError, "does not fit"),
        (Sheet("s", pa.schema({"a": pa.int8()}),
               [pa.record_batch({"a": pa.nulls(1 << 20, pa.int8())})]), TooLargeError, "rows"),
    ],
    ids=["long cell", "many columns", "nested", "many rows"],
)  # fmt: skip
def test_limits_of_a_workbook(made: Sheet, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        list(workbook_bytes([made]))


def test_names_of_sheets_are_names_and_differ() -> None:
    names = ["A", "a", "x" * 40, "x" * 50, "[b]:*?/\\", "", "'q'", "History"]
    titles = book(*(sheet(name, a=[1]) for name in names)).sheetnames
    assert len({title.casefold() for title in titles}) == len(names)
    assert all(0 < len(title) <= 31 and not re.search(r"[\[\]:*?/\\]", title) for title in titles)


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "jsonl", "xlsx", "parquet"])
def test_no_form_brings_formulas_to_life(offline: Offline, tmp_path: Path, form: str) -> None:
    values = [value for value in FORMULAS for _ in range(3)]
    rows = [{"=a": value, "+b": f"{value}\n=x", "n": -1} for value in values]
    (tmp_path / "in.json").write_text(json.dumps(rows))
    (tmp_path / "p.toml").write_text('[columns]\n"=a" = "keep"\n"+b" = "keep"\nn = "keep"\n')
    code, _, err = offline("mask", "in.json", "-o", f"out.{form}", "--policy", "p.toml")
    assert code == 0, err
    place = tmp_path / f"out.{form}"
    if form in {"csv", "tsv"}:
        text = place.read_text()
        cells = re.findall(r'(?:^|[,\t;\n])"?([^",\t;\n])', text)
        assert not [cell for cell in cells if cell in "=+@"]
    elif form == "xlsx":
        found = openpyxl.load_workbook(place).active
        assert "f" not in {cell.data_type for row in found.iter_rows() for cell in row}
    else:
        with place.open("rb") as file:
            found = pa.Table.from_batches(list(read_one(file, name=place.name).batches))
        assert found["=a"].to_pylist() == values


def test_a_list_of_plain_values_stays_one(offline: Offline, tmp_path: Path) -> None:
    mails = [f"p{number}@clinic.org" for number in range(30)]
    (tmp_path / "in.json").write_text(json.dumps(mails))
    code, _, err = offline("mask", "in.json", "-o", "out.json")
    assert code == 0
    assert "value: hash (type email)" in err
    found = json.loads((tmp_path / "out.json").read_text())
    assert len(set(found)) == 30
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in found)
    (tmp_path / "two.json").write_text('[{"a": 1}, 2]')
    code, _, err = offline("mask", "two.json")
    assert code == 1
    assert "other values beside" in err


def test_names_that_a_policy_has_and_no_table_are_said(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,n\n" + "Jane Smith,1\n" * 20)
    (tmp_path / "p.toml").write_text(
        '[columns]\nnmae = "redact"\nname = "redact"\n[tables.visits.columns]\nn = "keep"\n'
    )
    code, _, err = offline("mask", "a.csv", "--policy", "p.toml", "--no-model")
    assert code == 0
    assert "not there: column `nmae`, table `visits`;" in err
    assert "`name`" not in err
