"""Kinds of Arrow arrays, their text, and work done once for each distinct value."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pyarrow as pa

Array: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"

MAX_REMEMBERED = 1 << 16
"""Distinct values whose masks are remembered from batch to batch, a column."""


def is_text(kind: pa.DataType) -> bool:
    """True for the kinds of text that Arrow has."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_number(kind: pa.DataType) -> bool:
    """True for whole, floating and decimal numbers."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def is_dated(kind: pa.DataType) -> bool:
    """True for dates and timestamps."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def has_no_text(kind: pa.DataType) -> bool:
    """True for kinds that no method looks into: lists, structs, bytes and the like."""
    return bool(
        pa.types.is_nested(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_union(kind)
        or pa.types.is_duration(kind)
        or pa.types.is_interval(kind)
        or isinstance(kind, pa.BaseExtensionType)
    )


def as_text(values: Array) -> "pa.Array[Any]":
    """`values` as plain strings.

    Raises: pa.ArrowNotImplementedError for types without a text, such as lists.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def each_distinct(
    values: "pa.Array[Any]",
    change: Callable[[str], str | None],
    remembered: dict[str, str | None] | None = None,
) -> "pa.Array[Any]":
    """`change` applied once to each distinct text of `values`, which are strings.

    Args:
        values: strings; nulls stay null.
        change: always gives the same for the same text.
        remembered: what was changed before; filled up to `MAX_REMEMBERED` texts.
    """
    encoded = values.dictionary_encode()
    texts = [str(text) for text in encoded.dictionary.to_pylist()]
    if remembered is None:
        changed = [change(text) for text in texts]
    else:
        changed = []
        for text in texts:
            if text in remembered:
                changed.append(remembered[text])
                continue
            after = change(text)
            changed.append(after)
            if len(remembered) < MAX_REMEMBERED:
                remembered[text] = after
    return pa.array(changed, pa.string()).take(encoded.indices)
