"""Methods that leave nothing, or little, of a value: redact, partial, keep_common, hash."""

import hmac
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.mask.arrays import Array, as_text, each_distinct, is_text
from strongroom.engines.privacy.mask.keys import require_key
from strongroom.engines.privacy.mask.policy import MaskRule

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

REDACTED = "[redacted]"
RARE = "[rare]"
MAX_COMMON_CHARACTERS = 64
"""Longer values are never common: they may be sentences."""
MAX_COMMON_VALUES = 200
_HASH_BYTES = 16
_STAR = "*"
_LETTER = re.compile(r"[^\W_]")
"""A letter or digit of any alphabet, as `str.isalnum` has it."""
_STARS = {code: _STAR for code in range(128) if chr(code).isalnum()}


def redact(values: Array) -> Array:
    """A constant in place of each text; nothing at all in place of other values."""
    if not is_text(values.type):
        nothing: Array = pa.nulls(len(values), values.type)
        return nothing
    redacted = pa.repeat(pa.scalar(REDACTED), len(values))
    hidden: Array = pc.if_else(pc.is_valid(values), redacted, pa.scalar(None, pa.string()))
    return hidden


def partial(
    values: Array, rule: MaskRule, remembered: dict[str, str | None] | None = None
) -> "pa.Array[Any]":
    """The first and last few characters; a star for each other letter or digit."""
    return each_distinct(as_text(values), lambda text: partial_text(text, rule), remembered)


def partial_text(text: str, rule: MaskRule) -> str:
    """`text` with stars.

    At most half of the letters and digits of a value stay, so that short values are not given
    away. Separators stay: they show the form only.
    """
    hidden = text.translate(_STARS) if text.isascii() else _LETTER.sub(_STAR, text)
    first, last = rule.keep_first, rule.keep_last
    letters = hidden.count(_STAR) - text.count(_STAR)
    if not (first or last) or 2 * (first + last) > letters:
        return hidden
    begin, end = 0, len(text)
    while first:
        first -= text[begin].isalnum()
        begin += 1
    while last:
        end -= 1
        last -= text[end].isalnum()
    return text[:begin] + hidden[begin:end] + text[end:]


def keyed_hash(
    values: Array, key: bytes, domain: str, remembered: dict[str, str | None] | None = None
) -> "pa.Array[Any]":
    """`hash_text` of each value, of any type that has a text."""
    require_key(key)
    prefix, digest = _domain(domain), hmac.digest

    def hashed(text: str) -> str:
        message = prefix + normal(text).encode("utf-8", "surrogatepass")
        return digest(key, message, "sha256")[:_HASH_BYTES].hex()

    return each_distinct(as_text(values), hashed, remembered)


def hash_text(text: str, key: bytes, domain: str) -> str:
    """HMAC-SHA-256 of a value, cut to 128 bits, as 32 hexadecimal digits.

    Equal values (after trimming and Unicode NFC) of one `domain` have equal hashes under one
    key, in any table; without the key a hash can neither be computed nor tested.

    Args:
        text: the value.
        key: at least 32 bytes, of one purpose only.
        domain: separates types: the same digits as a phone and as a record number do not meet.

    Source: RFC 2104; truncation to half the output as in its section 5.
    """
    return hmac.digest(key, lookup_message(text, domain), "sha256")[:_HASH_BYTES].hex()


def lookup_message(text: str, domain: str) -> bytes:
    """What is hashed of a value: its domain with its length, then the trimmed NFC form."""
    return _domain(domain) + normal(text).encode("utf-8", "surrogatepass")


@lru_cache(maxsize=1_024)
def _domain(domain: str) -> bytes:
    name = domain.encode()
    return len(name).to_bytes(4, "big") + name


def normal(text: str) -> str:
    """A value as it is compared: trimmed, in Unicode NFC."""
    trimmed = text.strip()
    return trimmed if trimmed.isascii() else unicodedata.normalize("NFC", trimmed)


def keep_common(values: Array, counts: Mapping[str, int] | None, rule: MaskRule) -> Array:
    """Values that enough rows hold stay; `[rare]` stands for the others.

    Args:
        values: texts, or what has a text.
        counts: value → rows, or subjects, that hold it, as `count_values` gives them; None:
            nobody counted, so everything is redacted.
        rule: `at_least` of them make a value common.
    """
    if counts is None:
        return redact(as_text(values))
    common = pa.array(
        sorted(value for value, count in counts.items() if count >= rule.at_least), pa.string()
    )
    texts = as_text(values)
    kept = pc.or_(pc.is_in(texts, value_set=common), pc.is_null(texts))
    shown: Array = pc.if_else(kept, texts, pa.scalar(RARE))
    return shown


def count_values(sample: pa.Table, subject_column: str | None = None) -> dict[str, dict[str, int]]:
    """How many rows hold each value, for the columns of few and short texts.

    A value that is common in a sample is common in the table: counts of a sample keep too few
    values, never too many.

    Args:
        sample: all rows, or some.
        subject_column: where it is known, subjects are counted and not rows: one person's many
            rows make nothing common.

    Returns: column → value → count, without the values of one row only. Columns with more than
        `MAX_COMMON_VALUES` values that repeat are left out.
    """
    counted: dict[str, dict[str, int]] = {}
    subjects = None
    if subject_column is not None and subject_column in sample.schema.names:
        subjects = sample[subject_column]
        if has_parts(subjects.type):
            subjects = None
    for name, column in zip(sample.column_names, sample.columns, strict=True):
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if is_text(kind) and name != subject_column:
            counts = _counts(as_text(column), subjects)
            if counts is not None:
                counted[name] = counts
    return counted


def has_parts(kind: pa.DataType) -> bool:
    """True for lists and structs, which cannot be grouped by."""
    return bool(pa.types.is_nested(kind))


def _counts(texts: "pa.Array[Any]", subjects: "Array | None") -> dict[str, int] | None:
    if subjects is None:
        found = pc.value_counts(pc.drop_null(texts))
        pairs = zip(
            found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True
        )
    else:
        table = pa.table({"value": texts, "subject": subjects}).drop_null()
        grouped = table.group_by("value").aggregate([("subject", "count_distinct")])
        pairs = zip(
            grouped["value"].to_pylist(), grouped["subject_count_distinct"].to_pylist(), strict=True
        )
    counts = {
        value: count
        for value, count in pairs
        if count > 1 and 0 < len(value) <= MAX_COMMON_CHARACTERS
    }
    return counts if len(counts) <= MAX_COMMON_VALUES else None
