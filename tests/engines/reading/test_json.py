"""Nested JSON: lists of objects wherever objects hold them, cut without being parsed."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.reading.files import RECORDS, tables

from strongroom.engines.reading import json_scan
from strongroom.engines.reading.json_values import PLAIN_VALUES, plain_values
from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.source import Budget, Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import FormatError, TableError, TooLargeError, TruncatedError

VALUES = st.recursive(
    st.text(max_size=9) | st.integers(-(2**53), 2**53) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def scanned(content: bytes, base: int) -> list[Any]:
    """What the scanner cuts out of a list, parsed by the standard library."""
    source = Source([content], Budget(1 << 40, 0), max_read=1 << 30)
    scanner = json_scan.Scanner(source, ReadLimits())
    if base:
        assert scanner.skip_blanks() == b"["
        scanner.use(scanner.at + 1, 1)
    lines = b"".join(json_scan.elements(scanner, base)).split(b"\n")
    return [json.loads(line) for line in lines if line]


@given(
    st.lists(st.dictionaries(st.text(max_size=5), VALUES), max_size=9),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
    st.sampled_from([11, 64, 1 << 20]),
)
@settings(max_examples=60, deadline=None)
def test_lists_are_cut_where_the_standard_library_would(
    records: list[dict[str, Any]], indent: int | None, ascii_only: bool, block: int
) -> None:
    text = json.dumps(records, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    objects = "\n ".join(json.dumps(record, indent=indent) for record in records).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scan, "_BLOCK_BYTES", block)
        assert scanned(text, 1) == json.loads(text)
        assert scanned(objects, 0) == records


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("block", [37, 1 << 20])
def test_lists_in_objects_are_tables(indent: int | None, block: int) -> None:
    text = json.dumps(
        {"page": {"n": 3, "tags": ["x"]}, "data": {"people": RECORDS, "visits": RECORDS[:3]},
         "next": None}, indent=indent,
    ).encode()  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scan, "_BLOCK_BYTES", block)
        found = tables(text, "f")
    assert found == {
        "f/data.people": RECORDS,
        "f/data.visits": RECORDS[:3],
        "f": [{"page": {"n": 3, "tags": ["x"]}}],
    }
    assert tables(text, "f", member="data.visits") == {"f/data.visits": RECORDS[:3]}


def test_one_object_and_objects_after_each_other() -> None:
    patient = {"type": "Patient", "name": [{"family": "Lovelace"}], "born": "in 1815"}
    for indent in (None, 1):
        one = json.dumps(patient, indent=indent).encode()
        assert tables(one, "f") == {"f": [patient]}
        assert tables(one + b"\n" + one, "f") == {"f": [patient, patient]}
        assert tables(json.dumps([patient] * 3, indent=indent).encode(), "f") == {
            "f": [patient] * 3
        }


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("block", [7, 1 << 20])
@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["Ada, [1]", 'B"o\\b', None, "x"], None),
        ([1, None, 2.5], None),
        ([1, "a", True, [2], None], ["1", "a", "true", "[2]", None]),
        ([[1, 2], [], None, [3]], None),
        ([[1, "a, ]"], ["}", None]], [["1", "a, ]"], ["}", None]]),
        ([[{"a": 1}], [{"a": 2}, {"a": 3}]], None),
    ],
)
def test_a_list_of_plain_values_is_one_column(
    values: list[Any], found: list[Any] | None, indent: int | None, block: int
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scan, "_BLOCK_BYTES", block)
        table = read_one(io.BytesIO(text), name="f.json")
        rows = [row for batch in table.batches for row in batch.column("value").to_pylist()]
    assert rows == (found or values)
    assert table.remarks[0] == PLAIN_VALUES
    assert table.schema.names == ["value"]


@given(st.lists(VALUES.filter(lambda value: not isinstance(value, dict)), min_size=1, max_size=9),
       st.sampled_from([None, 3]), st.sampled_from([5, 1 << 20]))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_plain_values_are_cut_where_the_standard_library_would(
    values: list[Any], indent: int | None, block: int
) -> None:
    text = json.dumps(values, indent=indent).encode()
    source = Source([text], Budget(1 << 40, 0), max_read=1 << 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scan, "_BLOCK_BYTES", block)
        scanner = json_scan.Scanner(source, ReadLimits())
        assert scanner.skip_blanks() == b"["
        scanner.use(scanner.at + 1, 1)
        lines = b"".join(plain_values(scanner, 1)).splitlines()
    assert [json.loads(line) for line in lines] == [{"value": value} for value in values]


def test_a_large_list_comes_in_batches() -> None:
    text = json.dumps([{"id": i, "text": "x" * 100} for i in range(60_000)]).encode()
    table = read_one(io.BytesIO(text), name="f", limits=ReadLimits(row_bytes=1 << 20))
    sizes = [batch.num_rows for batch in table.batches]
    assert sum(sizes) == 60_000
    assert len(sizes) > 4


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b'[{"a":1}, 2]', FormatError, "other values beside"),
        (b'[{"a":1} {"a":2}]', FormatError, "other values beside"),
        (b'[{"a":1},]', FormatError, "other values beside"),
        (b"[1, 2 3]", TableError, "not separated by commas"),
        (b"[1,]", TableError, "not separated by commas"),
        (b"[1, , 2]", TableError, "not separated by commas"),
        (b"[1, abc]", TableError, "not valid JSON"),
        (b"[1, 2", TruncatedError, "ends before"),
        (b'["a", "b', TruncatedError, "ends before"),
        (b"[[1, 2], [3", TruncatedError, "ends before"),
        (b"[1, 2] 3", TableError, "something follows"),
        (b"[1, 2}", TableError, "not separated by commas"),
        (b'["' + b"x" * (1 << 21) + b'"]', TooLargeError, "too long"),
        (b'[{"a":1}', TruncatedError, "ends before"),
        (b'{"a":', TruncatedError, "ends before"),
        (b'{"a": [{"b": 1}, {"b": 2}, {"b": 3}', TruncatedError, "ends before"),
        (b'[{"a":1}] x', TableError, "something follows"),
        (b'{"a":1]', TableError, "not valid JSON"),
        (b'{"x":[{"a":1},{"a":1},{"a":1}],"x":[{"a":1}]}', TableError, "twice"),
        (b'[{"a":"x\ny"}]', TableError, "inside a string"),
        (b'{"a":"\xff"}', TableError, "UTF-8"),
        (b"[" * 100 + b"]" * 100, TableError, "nested"),
        (b'[{"a":"' + b"x" * (1 << 21) + b'"}]', TooLargeError, "too long"),
        (b"[]", TableError, "no rows"),
    ],
)
def test_bad_json_is_explained(content: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tables(content, limits=ReadLimits(row_bytes=1 << 20))
