"""Dates, times and large numbers in JSON are read as what they say, in every block of the file."""

import datetime as dt
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.reading.reading import read
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import TableError

DAY, MOMENT, UTC = pa.date32(), pa.timestamp("s"), pa.timestamp("s", "UTC")


def read_back(rows: list[Any]) -> tuple[pa.Schema, list[dict[str, Any]]]:
    lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    table = next(read(io.BytesIO(lines), name="rows.jsonl"))
    found = [row for batch in table.batches for row in batch.to_pylist()]
    return table.schema, found


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["2020-12-31", None, "0001-01-02"], DAY),
        (["2020-12-31T10:11:12", "2020-12-31 10:11"], MOMENT),
        (["2020-12-31", "2020-12-31 10:11:12"], MOMENT),
        (["2020-12-31T10:11:12Z", "2020-12-31T10:11:12+02:00"], UTC),
        # Which moment this is, nobody can say: it stays as it is.
        (["2020-12-31T10:11:12", "2020-12-31T10:11:12+02:00"], pa.string()),
        (["2020-12-31", "unknown"], pa.string()),
        (["2020-12-31T10:11:12.5"], pa.string()),
    ],
)
def test_texts_are_days_or_moments_of_one_kind(values: list[str | None], kind: pa.DataType) -> None:
    schema, rows = read_back([{"a": value, "in": [{"b": value}]} for value in values])
    assert schema.field("a").type == kind
    assert schema.field("in").type == pa.list_(pa.struct([("b", kind)]))
    assert [row["in"][0]["b"] for row in rows] == [row["a"] for row in rows]
    if kind == pa.string():
        assert [row["a"] for row in rows] == values


def test_a_zone_shifts_to_utc_and_a_day_gets_no_time() -> None:
    _, [row] = read_back([{"day": "2020-12-31", "at": "2020-12-31T00:30:00+02:00"}])
    assert row["day"] == dt.date(2020, 12, 31)
    assert row["at"] == dt.datetime(2020, 12, 30, 22, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize("late", ["2020-12-31T10:00:00", "2020-12-31T10:00:00Z", "none", 7, None])
def test_all_blocks_of_a_long_file_count(late: object) -> None:
    rows: list[Any] = [{"day": "2020-12-31", "pad": "x" * 1_000} for _ in range(3_000)]
    schema, found = read_back([*rows, {"day": late}])
    assert len(found) == 3_001
    kind = schema.field("day").type
    assert kind == {"2020-12-31T10:00:00": MOMENT, None: DAY}.get(late, pa.string())  # type: ignore[call-overload] # None is a key
    if kind == pa.string():
        assert (found[0]["day"], found[-1]["day"]) == ("2020-12-31", str(late))


@pytest.mark.parametrize("late", ["secret", "2020-12-31T10:00:00Z"])
def test_a_later_row_of_a_stream_that_does_not_fit_is_said_without_its_value(late: str) -> None:
    lines = b'{"day":"2020-12-31"}\n' * 1_000 + json.dumps({"day": late}).encode() + b"\n"
    table = next(read(iter([lines]), name="rows.jsonl", limits=ReadLimits(row_bytes=4_096)))
    with pytest.raises(TableError, match="date or time of another form") as met:
        list(table.batches)
    assert late not in str(met.value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(10**25), 10**25) | st.none(), min_size=1, max_size=8))
def test_no_digit_of_a_whole_number_is_lost(numbers: list[int | None]) -> None:
    _, rows = read_back([{"a": number, "in": {"b": [number]}} for number in numbers])
    for row, number in zip(rows, numbers, strict=True):
        for value in (row["a"], row["in"]["b"][0]):
            assert value == number or value == str(number)
