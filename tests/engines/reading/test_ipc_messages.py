"""Arrow messages are weighed before they are unpacked."""

import io
import random
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.types import Form, ReadLimits
from strongroom.errors import StrongroomError, TableError, TooLargeError

Compression = Literal["lz4", "zstd"] | None

LIMITS = ReadLimits(row_bytes=1 << 20, columns=50, message_bytes=1 << 20)


def stream(table: pa.Table, compression: Compression = None) -> bytes:
    """`table` as an IPC stream."""
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parsed(content: bytes) -> pa.Table:
    """What the parser makes of `content`."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), 1_000):
            yield content[start : start + 1_000]

    table = read_one(pieces(), name="table", form=Form.ARROW, limits=LIMITS)
    return pa.Table.from_batches(list(table.batches), table.schema)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_batches_within_the_limit_pass(compression: Compression) -> None:
    values: Any = np.arange(20_000)
    table = pa.table({"n": values, "s": [f"row {i}" for i in range(20_000)]})
    assert parsed(stream(table, compression)).equals(table)


def test_dictionaries_pass() -> None:
    table = pa.table({"kind": pa.array(["a", "b"] * 500).dictionary_encode()})
    assert parsed(stream(table, "zstd"))["kind"].to_pylist() == ["a", "b"] * 500


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_small_batch_that_unpacks_to_much_is_refused(compression: Compression) -> None:
    content = stream(pa.table({"n": np.zeros(2_000_000, np.int64)}), compression)
    assert len(content) < 1 << 20
    with pytest.raises(TooLargeError, match="unpacked"):
        parsed(content)


def test_a_large_dictionary_is_refused_too() -> None:
    words = pa.array(["x" * 5_000_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), words)
    with pytest.raises(TooLargeError, match="unpacked"):
        parsed(stream(pa.table({"kind": column}), "zstd"))


def test_fields_inside_count_as_columns_do() -> None:
    whole = pa.struct([pa.field(f"f{number}", pa.int8()) for number in range(LIMITS.columns)])
    assert parsed(stream(pa.table({"a": pa.nulls(1, whole)}))).num_rows == 1
    for other in (pa.nulls(1, pa.int8()), pa.nulls(1, pa.list_(whole))):
        with pytest.raises(TooLargeError, match="50 columns and fields"):
            parsed(stream(pa.table({"a": pa.nulls(1, whole), "b": other})))


def test_a_name_inside_is_as_short_as_that_of_a_column() -> None:
    named = pa.struct([pa.field("x" * 257, pa.int8())])
    kinds: list[Any] = [named, pa.list_(named), pa.map_(pa.string(), pa.list_(named))]
    for kind in kinds:
        with pytest.raises(TableError, match="more than 256 characters"):
            parsed(stream(pa.table({"a": pa.nulls(1, kind)})))


def test_changed_streams_raise_our_errors_only() -> None:
    values: Any = np.arange(500)
    content = stream(pa.table({"n": values, "s": [f"row {i}" for i in range(500)]}), "lz4")
    choose = random.Random(7)  # noqa: S311 # a repeatable choice of bytes to change
    for _ in range(400):
        changed = bytearray(content)
        for _ in range(choose.randint(1, 4)):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        try:
            parsed(bytes(changed[: choose.choice([len(changed), choose.randrange(len(changed))])]))
        except StrongroomError:
            continue
