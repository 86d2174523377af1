"""Columns of Arrow as numbers, texts and lengths, with what could not be turned into them."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from strongroom.engines.drift.plan import Floats, Kind

pc: Any = compute  # its stubs know few of the types that it takes

Column = Any
"""A `pyarrow` Array or ChunkedArray."""
Texts = Any
"""A `pyarrow` Array of strings."""


def kind_of_type(type_: pa.DataType) -> Kind:
    """How a column of this type is compared; strings may turn out as texts."""
    if pa.types.is_dictionary(type_):
        return kind_of_type(type_.value_type)
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return Kind.NUMBER
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return Kind.TIME
    if pa.types.is_duration(type_) or pa.types.is_time(type_):
        return Kind.NUMBER
    if pa.types.is_boolean(type_) or _is_text(type_):
        return Kind.CATEGORY
    return Kind.EMPTY if pa.types.is_null(type_) else Kind.OTHER


def _is_text(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(type_) or pa.types.is_large_string(type_)
        or pa.types.is_string_view(type_)
    )  # fmt: skip


def whole(values: Column) -> Texts:
    """The values as one array, decoded where they were a dictionary."""
    if isinstance(values, pa.ChunkedArray):
        if values.num_chunks == 1:  # the usual case, without a copy
            values = values.chunk(0)
        else:
            values = pa.concat_arrays(values.chunks) if values.chunks else pa.array([], values.type)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def numbers(values: Column) -> Floats:
    """Numbers, durations (seconds) and times (seconds since 1970, UTC); nulls are NaN."""
    array = whole(values)
    type_ = array.type
    if pa.types.is_decimal(type_):
        array = array.cast(pa.float64())
    elif pa.types.is_floating(type_) or pa.types.is_integer(type_):
        pass
    elif pa.types.is_date(type_):
        array = pc.multiply(array.cast(pa.date32()).cast(pa.int32()).cast(pa.float64()), 86_400.0)
    else:
        small = pa.types.is_time32(type_)
        counted = array.cast(pa.int32() if small else pa.int64())
        # Nanoseconds since 1970 have more digits than a float holds: the last ones do not matter.
        seconds = counted.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(seconds / _PER_SECOND[type_.unit], np.float64)
    found = array.to_numpy(zero_copy_only=False)
    return np.asarray(found, np.float64)


_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def lengths(values: Column) -> Floats:
    """Characters of texts; nulls are NaN."""
    found = pc.utf8_length(whole(values)).to_numpy(zero_copy_only=False)
    return np.asarray(found, np.float64)


def texts(values: Column) -> Texts:
    """Values as strings: whole numbers without a point, booleans as `true` and `false`.

    Raises: pyarrow.ArrowException where a value has no text.
    """
    array = whole(values)
    if _is_text(array.type):
        return array if pa.types.is_string(array.type) else array.cast(pa.string())
    if pa.types.is_floating(array.type):
        # 1.0 is the category `1`: a column of whole numbers becomes floats by its first null.
        as_float = array.cast(pa.float64())
        is_whole = pc.and_(pc.is_finite(as_float), pc.equal(as_float, pc.floor(as_float)))
        small = pc.and_(is_whole, pc.less(pc.abs(as_float), 2.0**53))
        integers = pc.if_else(small, as_float, None).cast(pa.int64()).cast(pa.string())
        return pc.if_else(pc.fill_null(small, False), integers, as_float.cast(pa.string()))
    return array.cast(pa.string())


def parsed_numbers(values: Column) -> tuple[Floats, NDArray[np.bool_]]:
    """Texts read as numbers, and where a text is none; nulls are NaN."""
    array = texts(values)
    try:
        return numbers(array.cast(pa.float64())), np.zeros(len(array), np.bool_)
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(array)
        good = pc.match_substring_regex(trimmed, _NUMBER)
        found = pc.if_else(good, trimmed, None).cast(pa.float64())
        bad = pc.and_(pc.invert(pc.fill_null(good, True)), pc.is_valid(array))
        return numbers(found), np.asarray(bad.to_numpy(zero_copy_only=False), np.bool_)


_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
