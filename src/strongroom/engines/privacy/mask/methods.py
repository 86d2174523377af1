"""The methods, on Arrow arrays. Nulls stay null; the type of the result follows from the method."""

import hmac
import unicodedata
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.mask.policy import MaskRule

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

REDACTED = "[redacted]"
MIN_KEY_BYTES = 32
_HASH_BYTES = 16
_STAR = "*"
_DAY = np.timedelta64(1, "D")

Array: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"


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


def as_text(values: Array) -> "pa.Array[Any]":
    """`values` as plain strings.

    Raises: pa.ArrowNotImplementedError for types without a text, such as lists.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def redact(values: Array) -> Array:
    """A constant in place of each text; nothing at all in place of other values."""
    if not is_text(values.type):
        nothing: Array = pa.nulls(len(values), values.type)
        return nothing
    redacted = pa.repeat(pa.scalar(REDACTED), len(values))
    hidden: Array = pc.if_else(pc.is_valid(values), redacted, pa.scalar(None, pa.string()))
    return hidden


def partial(values: Array, rule: MaskRule) -> "pa.Array[Any]":
    """The first and last few characters; a star for each other letter or digit.

    At most half of the letters and digits of a value stay, so that short values are not given
    away. Separators stay: they show the form only.
    """

    def mask(text: str) -> str:
        letters = [i for i, character in enumerate(text) if character.isalnum()]
        first, last = rule.keep_first, rule.keep_last
        if 2 * (first + last) > len(letters):
            first = last = 0
        clear = {*letters[:first], *(letters[-last:] if last else ())}
        return "".join(
            character if index in clear or not character.isalnum() else _STAR
            for index, character in enumerate(text)
        )

    return _each_distinct(as_text(values), mask)


def keyed_hash(values: Array, key: bytes, domain: str) -> "pa.Array[Any]":
    """HMAC-SHA-256 of each value, cut to 128 bits, as 32 hexadecimal digits.

    Equal values (after trimming and Unicode NFC) of one `domain` have equal hashes under one
    key, in any table; without the key a hash can neither be computed nor tested.

    Args:
        values: of any type that has a text.
        key: at least 32 bytes, of one purpose only.
        domain: separates types: the same digits as a phone and as a record number do not meet.

    Source: RFC 2104; truncation to half the output as in its section 5.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a mask key has at least {MIN_KEY_BYTES} bytes")
    prefix = len(domain.encode()).to_bytes(4, "big") + domain.encode()

    def digest(text: str) -> str:
        message = prefix + unicodedata.normalize("NFC", text.strip()).encode()
        return hmac.digest(key, message, "sha256")[:_HASH_BYTES].hex()

    return _each_distinct(as_text(values), digest)


def generalize(values: Array, rule: MaskRule) -> Array:
    """Dates to their year, numbers to the lower end of their bin, texts to a prefix.

    A text that is a date gives its year; a prefix is followed by a star for each character
    that is hidden, and a text no longer than the prefix is hidden whole.
    """
    kind = values.type
    if is_dated(kind):
        years: Array = pc.year(values).cast(pa.int32())
        return years
    if is_number(kind):
        return _binned(values, rule)

    def mask(text: str) -> str:
        if len(text) <= rule.prefix:
            return _STAR * len(text)
        return text[: rule.prefix] + _STAR * (len(text) - rule.prefix)

    return _each_distinct(as_text(values), mask)


def year_of_text(values: Array) -> "pa.Array[Any]":
    """The four-digit year within each text date, null where there is none."""
    found = pc.extract_regex(
        as_text(values), r"(?:^|[^0-9])(?P<year>(?:1[89]|20)[0-9]{2})(?:[^0-9]|$)"
    )
    years: pa.Array[Any] = pc.struct_field(found, "year").cast(pa.int32())
    return years


def digits_generalized(values: Array, rule: MaskRule) -> Array:
    """Prefix of whole numbers that are codes, such as postcodes read as numbers."""
    return generalize(as_text(values), rule)


def _binned(values: Array, rule: MaskRule) -> Array:
    floats = values.cast(pa.float64())
    binned = pc.multiply(pc.floor(pc.divide(floats, rule.bin_width)), rule.bin_width)
    if rule.top > 0:
        binned = pc.if_else(pc.greater_equal(floats, rule.top), rule.top, binned)
    # The lower end of a bin lies within the range of the type but for its lowest values.
    target = pa.float64() if not pa.types.is_integer(values.type) else pa.int64()
    lower_ends: Array = binned.cast(target, safe=False)
    return lower_ends


def shift_dates(values: Array, subjects: Array, key: bytes, rule: MaskRule) -> Array:
    """Dates moved by -max_days … max_days days, never by 0, the same for all of one subject.

    Distances between the dates of one subject stay true. A row without a subject loses its
    dates: nothing says by how much they should move.
    """
    days = subject_shifts(subjects, key, rule.max_days)
    kind = values.type
    moments = values.cast(pa.timestamp("us"))
    moved = pc.add(moments, pc.multiply(days, 86_400_000_000).cast(pa.duration("us")))
    shifted: Array = moved.cast(kind)
    return shifted


def subject_shifts(subjects: Array, key: bytes, max_days: int) -> "pa.Array[Any]":
    """Days by which the dates of each row's subject move, int64, null without a subject."""
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a mask key has at least {MIN_KEY_BYTES} bytes")
    encoded = as_text(subjects).dictionary_encode()

    def days(text: str) -> int:
        digest = hmac.digest(key, b"\0date shift\0" + text.strip().encode(), "sha256")
        # 2**64 is so much larger than the range that the bias is below 2**-50.
        step = int.from_bytes(digest[:8], "big") % (2 * max_days)
        return step - max_days if step < max_days else step - max_days + 1

    table = pa.array([days(str(text)) for text in encoded.dictionary.to_pylist()], pa.int64())
    return table.take(encoded.indices)


def _each_distinct(values: "pa.Array[Any]", change: Callable[[str], str]) -> "pa.Array[Any]":
    """`change` applied once to each distinct text."""
    encoded = values.dictionary_encode()
    changed = pa.array([change(str(text)) for text in encoded.dictionary.to_pylist()], pa.string())
    return changed.take(encoded.indices)
