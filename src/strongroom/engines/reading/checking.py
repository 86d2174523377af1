"""Batches of a parser, checked: plain types, valid values, at most so large, errors in our words.

Every parser is fed with hostile bytes. What pyarrow does not bound itself is bounded by the
modules beside this one: length of a row, nesting, size of a message, number of columns.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import re2

from strongroom.engines.reading.json_moments import OTHER_MOMENT
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import MAX_COLUMN_NAME, ReadLimits
from strongroom.errors import (
    EncodingError,
    NoRowsError,
    StrongroomError,
    TableError,
    TooLargeError,
    TruncatedError,
)

Rows = tuple[pa.Schema, Iterator[pa.RecordBatch]]
"""A schema, and the batches that have exactly it."""


def checked(
    source: Source, schema: pa.Schema, batches: Iterable[pa.RecordBatch], limits: ReadLimits
) -> Rows:
    """The rows with plain types, each batch verified, and at least one of them.

    Raises:
        TableError: column names that are empty, twice or too long; no rows; invalid values.
        TooLargeError: too many columns, too deep types, a batch that is too large.
    """
    names: list[str] = with_errors(lambda: schema.names, source)
    check_names(names, limits)
    _check_inside(schema, limits)
    plain = pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])

    def rows() -> Iterator[pa.RecordBatch]:
        count = 0
        for batch in guarded(source, batches):
            source.budget.check_time()
            with_errors(partial(batch.validate, full=True), source)
            if batch.nbytes > 4 * limits.message_bytes:
                raise TooLargeError("one batch of the table is too large when unpacked")
            count += batch.num_rows
            if batch.num_rows:
                yield with_errors(partial(_plain_batch, batch, plain), source)
        if not count:
            raise NoRowsError

    return plain, rows()


def check_names(names: list[str], limits: ReadLimits) -> None:
    """Raise TableError unless the names are there, all different, printable and short.

    Raises: also TooLargeError for too many.
    """
    if len(names) > limits.columns:
        raise TooLargeError(f"the table has more than {limits.columns} columns")
    if not names:
        raise TableError("the table has no columns")
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise TableError(f"a column has an empty name: column {number}")
        if len(name) > MAX_COLUMN_NAME or not name.isprintable():
            raise TableError(
                f"a column name has more than {MAX_COLUMN_NAME} characters or unprintable ones: "
                f"column {number}"
            )
        if name in seen:
            raise TableError(f"the column name `{name[:200]}` occurs twice")
        seen.add(name)


def _check_inside(schema: pa.Schema, limits: ReadLimits) -> None:
    """Raise unless lists, structs and maps lie in each other as deep as they may, and hold little.

    Each field inside is looked at like a column, so all of them together count as columns do.

    Raises:
        TableError: too deep, or a name inside is too long.
        TooLargeError: too many fields.
    """
    level: list[Any] = list(schema)
    leaves = 0
    for _ in range(limits.depth + 1):
        leaves += sum(field.type.num_fields == 0 for field in level)
        if leaves > limits.columns:
            raise TooLargeError(f"the table has more than {limits.columns} columns and fields")
        level = [
            field.type.field(number) for field in level for number in range(field.type.num_fields)
        ]
        if not level:
            return
        if any(len(field.name) > MAX_COLUMN_NAME for field in level):
            raise TableError(f"the name of a field has more than {MAX_COLUMN_NAME} characters")
    raise TableError(f"a column is nested deeper than {limits.depth} levels")


def guarded(source: Source, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches; errors of pyarrow and of the stream below it as our own."""
    iterator = iter(batches)
    while True:
        batch = with_errors(lambda: next(iterator, None), source)
        if batch is None:
            return
        yield batch


def with_errors(step: Callable[[], Any], source: Source) -> Any:  # noqa: ANN401 # as `step`
    """What `step` gives; what pyarrow raises becomes a TableError that quotes no value."""
    try:
        return step()
    except StrongroomError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        if source.failure is not None:
            raise source.failure from None
        raise explained(error) from None


_ROW = re2.compile(r"[Rr]ow #?(\d+)")
_COUNTS = re2.compile(r"Expected (\d+) columns, got (\d+)")
_COLUMN = re2.compile(r"CSV column #(\d+)")
_JSON_COLUMN = re2.compile(
    r"Column\(/([^)]{1,100})\) (changed from \w+ to \w+|was specified twice)"
)
_TYPE = re2.compile(r"conversion error to ([a-z0-9_]+(?:\[[a-z, =]*\])?)")


def explained(error: Exception) -> StrongroomError:
    """A parser's error in our words: place and kind, never the text that was met."""
    text = str(error)
    # Only this much is looked at: what follows may quote the row.
    head = text[:300]
    row = f" in row {found.group(1)}" if (found := _ROW.search(head)) else ""
    if "straddling object" in head or "cannot infer number of columns" in head:
        return TooLargeError("one row or field of the table is too long")
    if counts := _COUNTS.search(head):
        return TableError(
            f"the table has {counts.group(1)} columns, but {counts.group(2)}{row}",
            next_step="if this is the last row, the file was cut off: send the whole",
        )
    if column := _COLUMN.search(head):
        place = f"column {int(column.group(1)) + 1}{row}"
        if "UTF8" in head or "UTF-8" in head:
            return EncodingError(f"the text is not UTF-8: {place}")
        kind = found.group(1) if (found := _TYPE.search(head)) else "the type of those before"
        return TableError(
            f"a value is not of the type {kind} that the first rows have: {place}",
            next_step="name the column in `text_columns`, or correct the value",
        )
    if isinstance(error, UnicodeDecodeError) or "UTF8" in head or "UTF-8" in head:
        return EncodingError("the text is not UTF-8")
    if json_column := _JSON_COLUMN.search(head):
        return TableError(f"the field `{json_column.group(1)}` {json_column.group(2)}{row}")
    if head == OTHER_MOMENT:
        return TableError("a later row has a date or time of another form than the first rows")
    if "unexpected field" in head:
        return TableError("a later row has a field that the first rows do not have")
    if "Empty" in head:
        return NoRowsError()
    if "JSON parse error" in head:
        return TableError(f"not valid JSON lines{row}")
    return TableError(f"the table cannot be read{row}: it is damaged or cut off")


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The type in which a column is kept: no dictionaries, views or extensions."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


def _plain_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays: list[Any] = []
    for column, field in zip(batch.columns, schema, strict=True):
        values: Any = column
        if isinstance(values.type, pa.BaseExtensionType):
            values = values.storage
        arrays.append(values if values.type == field.type else values.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def truncated(what: str) -> TruncatedError:
    """The error for content that ends before its end."""
    return TruncatedError(f"the {what} ends before its end")
