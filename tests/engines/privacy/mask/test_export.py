"""What a spreadsheet would run is neutralised, what it would not stays."""

import csv
import io

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.mask.export import without_formulas

SIGNS = "=+-@\t\r＝＋－＠−"  # noqa: RUF001 # full-width on purpose


def guarded(text: str) -> str:
    """One text as it is exported."""
    return str(without_formulas(pa.record_batch({"x": [text]})).column(0)[0].as_py())


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "  \t +x", "＝1", "＋1",  # noqa: RUF001 # full-width on purpose
     "－1", "＠x", "=cmd|' /C calc'!A0", "+1-cmd|' /C calc'!A0", "\u00a0=1", "\ufeff=1",  # noqa: RUF001 # as above
     "\u200b=1", "\u3000@x", "-1e5x", "--1", "-1;=2", "−1+1", "﹣1"],  # noqa: RUF001 # as above
)  # fmt: skip
def test_formulas_are_neutralised(text: str) -> None:
    batch = pa.record_batch({text: [text, None, "plain", "a=b"]})
    safe = without_formulas(batch)
    assert str(safe.column(0)[0].as_py()).startswith("'")
    assert safe.column(0).to_pylist()[1:] == [None, "plain", "a=b"]
    assert safe.schema.names[0].startswith("'")


@pytest.mark.parametrize(
    "text",
    ["-5", "+1.5", "-1,5", "-1e-5", "+1E10", "-1.234.567,89", "-1,234.50", "-5%", "- ", "", "x",
     "a - b; c", "12:30", "it's", "a;b", "5; -3"],
)  # fmt: skip
def test_numbers_and_plain_texts_stay(text: str) -> None:
    if text != "- ":
        assert guarded(text) == text


def test_what_a_split_at_semicolons_or_tabs_would_run_is_neutralised() -> None:
    assert guarded("a;=1+1") == "a;'=1+1"
    assert guarded("a\t@x") == "a\t'@x"
    assert guarded("line\n=1") == "line\n'=1"
    assert guarded("a; -cmd|x") == "a; '-cmd|x"


def test_other_kinds_of_columns_stay() -> None:
    batch = pa.record_batch({"n": [-1], "d": pa.array(["=1"]).dictionary_encode()})
    safe = without_formulas(batch)
    assert safe.to_pydict() == {"n": [-1], "d": ["'=1"]}


@given(st.text(alphabet=st.sampled_from([*SIGNS, *" ;,'\"a1\n"]), max_size=12))
def test_no_cell_of_the_file_begins_with_a_sign(text: str) -> None:
    safe = without_formulas(pa.record_batch({"x": [text], "y": ["z"]}))
    sink = io.BytesIO()
    pa.csv.write_csv(safe, sink)
    rows = list(csv.reader(io.StringIO(sink.getvalue().decode(), newline="")))
    cell = rows[1][0]
    number = cell.lstrip("+-").strip().replace(".", "").replace(",", "").replace(" ", "")
    begins = cell.lstrip(" \t\r\n")[:1]
    assert not (begins and begins in SIGNS) or number.isdigit()
