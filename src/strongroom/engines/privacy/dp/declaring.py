"""What a query declares of columns, from the texts in which people write it."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from strongroom.engines.privacy.dp.intake import Kind, kind_of
from strongroom.engines.privacy.dp.query import Bounds, Value
from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True)
class Declared:
    """Bounds, keys and bins of columns, as `query.Terms` takes them."""

    bounds: Mapping[str, Bounds]
    keys: Mapping[str, tuple[Value, ...]]
    bins: Mapping[str, tuple[float, ...]]


def declared(
    bounds: Iterable[str], keys: Iterable[str], bins: Iterable[str], kinds: Mapping[str, Kind]
) -> Declared:
    """From `COLUMN=LOW:HIGH`, `COLUMN=A,B` and `COLUMN=0,18,65`.

    Raises:
        ValidationError: a text is not of its form, or a column stands twice.
        DpQueryError and the errors below it: what it says is out of range.
    """
    return Declared(
        {
            column: _bounds(text)
            for column, text in by_column(bounds, "bounds", "COLUMN=LOW:HIGH").items()
        },
        {
            column: tuple(_key(value, kind_of(column, kinds)) for value in _listed(text))
            for column, text in by_column(keys, "keys", "COLUMN=A,B,…").items()
        },
        {
            column: tuple(number_of(value) for value in _listed(text))
            for column, text in by_column(bins, "bins", "COLUMN=0,18,65,…").items()
        },
    )


def by_column(texts: Iterable[str], what: str, form: str) -> dict[str, str]:
    """Each split at its last `=`, for a column's name may have one.

    Raises: ValidationError, which says `what` is to be of which `form`.
    """
    found: dict[str, str] = {}
    for text in texts:
        column, _, rest = text.rpartition("=")
        if not column:
            raise ValidationError(f"{what}: write {form}")
        if column in found:
            raise ValidationError(f"{what}: `{column[:100]}` stands twice")
        found[column] = rest
    return found


def number_of(text: str) -> float:
    """Finite. Raises: ValidationError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValidationError(f"`{text[:50]}` is no number")
    return number


def _bounds(text: str) -> Bounds:
    low, colon, high = text.partition(":")
    if not colon:
        raise ValidationError("bounds: write COLUMN=LOW:HIGH, such as age=0:120")
    return Bounds(number_of(low), number_of(high))


def _listed(text: str) -> list[str]:
    """Values between commas; one that holds a comma stands in double quotes."""
    try:
        return next(csv.reader([text]), [])
    except csv.Error:
        raise ValidationError("values stand between commas") from None


def _key(text: str, kind: Kind) -> Value:
    if not text:
        return None
    if kind is Kind.TRUTH and text in ("true", "false"):
        return text == "true"
    if kind is Kind.WHOLE and text.removeprefix("-").isdecimal() and len(text) < 20:
        return int(text)
    return text
