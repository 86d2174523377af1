"""Dates and times in JSON, which are texts there: days, moments, moments in UTC, or left as texts.

pyarrow takes all of them for moments without a zone: days get a time, and zones are lost.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

_DAY = r"^\d{4}-\d{2}-\d{2}"
_TIME = r"[T ]\d{2}(?::?\d{2}(?::?\d{2})?)?"
_KINDS: tuple[tuple[str, pa.DataType], ...] = (
    (rf"{_DAY}$", pa.date32()),
    (rf"{_DAY}(?:{_TIME})?$", pa.timestamp("s")),
    (rf"{_DAY}{_TIME}(?:Z|[+-]\d{{2}}(?::?\d{{2}})?)$", pa.timestamp("s", "UTC")),
)

OTHER_MOMENT = "a moment of another form"
"""Said by a cast that fails, in place of pyarrow's words, which quote the value."""
Parse = Callable[[pa.Schema], pa.Table]
"""Parses the same rows with other types."""


def is_dated(kind: pa.DataType) -> bool:
    """Whether it is a type of days or moments."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def as_texts(schema: pa.Schema) -> pa.Schema:
    """The schema with texts where it has days or moments."""
    return pa.schema(_as_texts(pa.struct(list(schema))).fields)


def _as_texts(kind: pa.DataType) -> Any:  # noqa: ANN401 # a struct stays one
    if is_dated(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_texts(field.type)) for field in kind.fields])
    if pa.types.is_list(kind):
        return pa.list_(_as_texts(kind.value_type))
    return kind


def told_apart(schema: pa.Schema, parse: Parse) -> pa.Schema:
    """The schema that pyarrow found for some rows, with the moments that the texts really are."""
    texts = as_texts(schema)
    if texts == schema:
        return schema
    table = parse(texts).combine_chunks()
    fields = []
    for field in schema:
        chunks = table[field.name].chunks
        values = chunks[0] if chunks else pa.array([], texts.field(field.name).type)
        fields.append((field.name, _told(field.type, values)))
    return pa.schema(fields)


def _told(kind: pa.DataType, values: Any) -> pa.DataType:  # noqa: ANN401 # an array of that type
    if pa.types.is_struct(kind):
        return pa.struct(
            [(field.name, _told(field.type, values.field(at)))
             for at, field in enumerate(kind.fields)]
        )  # fmt: skip
    if pa.types.is_list(kind):
        return pa.list_(_told(kind.value_type, values.flatten()))
    if not is_dated(kind):
        return kind
    for pattern, found in _KINDS:
        if pc.all(pc.match_substring_regex(values, pattern), min_count=0).as_py():
            return found
    return pa.string()
