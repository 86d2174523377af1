"""JSON lines whose rows differ: numbers widen, other kinds become text, and none is lost."""

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.reading.files import tables, zipped

from strongroom.engines.reading.reading import read
from strongroom.engines.reading.types import Form, ReadLimits
from strongroom.errors import TableError, TooLargeError, TruncatedError

SMALL = ReadLimits(row_bytes=4096)
LATE = b"".join(b'{"id":%d,"ok":true,"pad":"%s"}\n' % (i, b"x" * 50) for i in range(500)) + (
    b'{"id":"x1","ok":"no","more":{"phone":"1"}}\n'
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("ab1é", max_size=4)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner),
    max_leaves=6,
)


def compact(value: Any) -> str:  # noqa: ANN401 # a value of JSON
    """A value as it stands in text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def agrees(read_value: Any, value: Any) -> bool:  # noqa: ANN401 # as above
    """Whether a value was read as it is, or as its text; missing fields are nulls."""
    if value is None or read_value is None:
        return value is None and read_value is None
    if isinstance(read_value, str):
        return read_value in {value, compact(value)} if isinstance(value, str) else (
            read_value == compact(value)
        )  # fmt: skip
    if isinstance(read_value, dict):
        return isinstance(value, dict) and all(
            agrees(inner, value.get(key)) for key, inner in read_value.items()
        )
    if isinstance(read_value, list):
        return isinstance(value, list) and all(map(agrees, read_value, value))
    return bool(read_value == value)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), min_size=1))
@settings(max_examples=60, deadline=None)
def test_every_value_comes_as_it_is_or_as_its_text(rows: list[dict[str, Any]]) -> None:
    content = "".join(compact(row) + "\n" for row in rows).encode()
    found = tables(content, form=Form.JSONL)["file"]
    assert len(found) == len(rows)
    for read_row, row in zip(found, rows, strict=True):
        assert set(row) <= set(read_row)
        assert agrees(read_row, row)


@pytest.mark.parametrize("packing", ["plain", "gzip", "zip"])
def test_what_changes_late_is_read_too(packing: str) -> None:
    packed = {"plain": LATE, "gzip": gzip.compress(LATE), "zip": zipped({"a.jsonl": LATE})}
    [rows] = tables(packed[packing], limits=SMALL).values()
    assert [row["id"] for row in rows[:2]] == ["0", "1"]
    assert rows[0]["ok"] == "true"
    assert rows[-1] == {"id": "x1", "ok": "no", "pad": None, "more": {"phone": "1"}}


def test_a_stream_can_only_change_within_its_beginning() -> None:
    with pytest.raises(TableError, match="changed from number to string in row 501"):
        tables([LATE], limits=SMALL, form=Form.JSONL)
    assert len(tables([LATE], form=Form.JSONL)["file"]) == 501


def test_it_is_remarked() -> None:
    [table] = read(io.BytesIO(b'{"a":1}\n{"a":"x"}\n'), name="f")
    assert table.remarks == ("fields whose values are of several kinds, read as text: 1",)
    [table] = read(io.BytesIO(b'{"a":1}\n{"a":1.5}\n'), name="f")
    assert table.remarks == ()


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"".join(b'{"k%d":1}\n' % i for i in range(3_000)), TooLargeError, "different fields"),
        (b'{"a":[' + b",".join(b'{"k%d":1}' % i for i in range(3_000)) + b"]}\n{}\n",
         TooLargeError, "different fields"),
        (b"{" + b",".join(b'"k%d":1' % i for i in range(900)) + b"}\n" + b"{}\n" * 4_000,
         TooLargeError, "none of its many fields"),
        (b'{"a":1}\n{"a":2', TruncatedError, "last row"),
        (b'{"a":1}\n[2]\n', TableError, "row|object"),
    ],
)  # fmt: skip
def test_what_takes_more_than_it_says_is_refused(
    content: bytes, error: type[Exception], words: str
) -> None:
    limits = ReadLimits(columns=1_000, ratio_floor_bytes=1 << 20, ratio=50)
    with pytest.raises(error, match=words):
        tables(content, form=Form.JSONL, limits=limits)
