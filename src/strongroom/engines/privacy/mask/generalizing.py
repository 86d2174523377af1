"""Coarser values: dates to spans of time, numbers to bins, texts to prefixes or up a tree."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.mask.arrays import (
    Array,
    as_text,
    each_distinct,
    is_dated,
    is_number,
)
from strongroom.engines.privacy.mask.policy import MaskRule

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

OTHER = "[other]"
_STAR = "*"
_YEARS = {"year": 1, "five_years": 5, "decade": 10}
_YEAR = r"(?:^|[^0-9])(?P<year>(?:1[89]|20)[0-9]{2})(?:[^0-9]|$)"
_YEAR_AND_MONTH = (
    r"^\s*(?P<year>(?:1[89]|20)[0-9]{2})[-/.]?(?P<month>0[1-9]|1[0-2])(?:[^0-9]|[0-9]{2}|$)"
)


def generalize(values: Array, rule: MaskRule) -> Array:
    """Dates to `unit`, numbers to the lower end of their bin, texts to a prefix.

    A prefix is followed by a star for each character that is hidden, and a text no longer than
    the prefix is hidden whole.
    """
    kind = values.type
    if is_dated(kind):
        return _dates(values, rule.unit)
    if is_number(kind):
        return _binned(values, rule)
    return each_distinct(as_text(values), lambda text: prefix_of(text, rule.prefix))


def prefix_of(text: str, prefix: int) -> str:
    """The first characters of `text`, and a star for each other."""
    if len(text) <= prefix:
        return _STAR * len(text)
    return text[:prefix] + _STAR * (len(text) - prefix)


def generalize_date_texts(values: Array, rule: MaskRule) -> "pa.Array[Any]":
    """`unit` of each text that is a date, null where no year stands in it.

    Months and quarters are read where the year comes first, as in ISO 8601; elsewhere the order
    of day and month is a guess, and only the year is given.
    """
    texts = as_text(values)
    years = pc.struct_field(pc.extract_regex(texts, _YEAR), "year").cast(pa.int32())
    if rule.unit in _YEARS:
        return _floored(years, _YEARS[rule.unit])
    found = pc.extract_regex(texts, _YEAR_AND_MONTH)
    year, month = pc.struct_field(found, "year"), pc.struct_field(found, "month")
    part = month if rule.unit == "month" else _quarter(month.cast(pa.int32()))
    whole = pc.binary_join_element_wise(year, part, "-")
    given: pa.Array[Any] = pc.coalesce(whole, years.cast(pa.string()))
    return given


def climb(values: Array, tree: Mapping[str, str], level: int) -> "pa.Array[Any]":
    """What each value is in, `level` steps up its tree; `[other]` for values that are not in it.

    A value with fewer steps above it gives its topmost.
    """
    return each_distinct(as_text(values), lambda text: climb_text(text, tree, level))


def climb_text(text: str, tree: Mapping[str, str], level: int) -> str:
    """What one value is in; see `climb`."""
    value = text.strip()
    if value not in tree:
        return OTHER
    for _ in range(level):
        if value not in tree:
            break
        value = tree[value]
    return value


def _dates(values: Array, unit: str) -> Array:
    years = pc.year(values).cast(pa.int32())
    if unit in _YEARS:
        return _floored(years, _YEARS[unit])
    if unit == "month":
        part = pc.utf8_lpad(pc.month(values).cast(pa.string()), 2, "0")
    else:
        part = _quarter(pc.month(values).cast(pa.int32()))
    joined: Array = pc.binary_join_element_wise(years.cast(pa.string()), part, "-")
    return joined


def _quarter(months: Array) -> Array:
    quarter = pc.add(pc.divide(pc.subtract(months, 1), 3), 1)
    named: Array = pc.binary_join_element_wise("Q", quarter.cast(pa.string()), "")
    return named


def _floored(years: Array, width: int) -> "pa.Array[Any]":
    floored: pa.Array[Any] = pc.multiply(pc.divide(years, width), width).cast(pa.int32())
    return floored


def _binned(values: Array, rule: MaskRule) -> Array:
    floats = values.cast(pa.float64(), safe=False)
    binned = pc.multiply(pc.floor(pc.divide(floats, rule.bin_width)), rule.bin_width)
    if rule.top > 0:
        binned = pc.if_else(pc.greater_equal(floats, rule.top), rule.top, binned)
    # The lower end of a bin lies within the range of the type but for its lowest values.
    target = pa.float64() if not pa.types.is_integer(values.type) else pa.int64()
    lower_ends: Array = binned.cast(target, safe=False)
    return lower_ends
