"""A table as whole numbers: of each cell the bin or the category that the domain knows.

Nothing here raises because of a value, and every row is coded by itself: an error or a rounding
that depended on other rows would tell of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.training.domain import (
    Category,
    Choice,
    Domain,
    Feature,
    text_of,
)
from strongroom.errors import ValidationError

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

Codes = NDArray[np.int32]
TARGET_UNIT = 1 << 16
"""A target is kept as a whole number from 0 to this."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows as the trainers take them.

    Attributes:
        codes: for each feature of the domain the place of each row; the last place of a feature
            is for missing and unknown values.
        places: how many places each feature has.
        target: for each row, from 0 to `TARGET_UNIT`.
        subjects: whom each row is about, numbered; None where each row is a person.
    """

    codes: tuple[Codes, ...]
    places: tuple[int, ...]
    target: NDArray[np.int64]
    subjects: NDArray[np.int64] | None = None

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.target)

    def take(self, at: NDArray[np.int64]) -> "Coded":
        """The rows at these places, in this order."""
        return Coded(
            tuple(one[at] for one in self.codes), self.places, self.target[at],
            None if self.subjects is None else self.subjects[at],
        )  # fmt: skip


def coded_table(table: pa.Table, domain: Domain, subject: str = "") -> Coded:
    """The rows of a table whose target is in the domain and whose subject is known.

    Args:
        subject: the column that says whom a row is about; empty: each row is a person.
    Raises: ValidationError: a column is not there, or holds lists, structs or bytes.
    """
    wanted = [*(one.name for one in domain.features), domain.target.name]
    for name in [*wanted, *([subject] if subject else [])]:
        if table.schema.names.count(name) != 1:
            raise ValidationError(f"the table has no column `{name}`, or several")
    if subject and subject in wanted:
        raise ValidationError(f"`{subject}` says whom a row is about: a model may not use it")
    target, is_known = _target(table.column(domain.target.name), domain)
    found = Coded(
        tuple(codes_of(table.column(one.name), one) for one in domain.features),
        tuple(places_of(one) for one in domain.features),
        target,
        numbered(table.column(subject)) if subject else None,
    )
    if found.subjects is not None:
        is_known &= found.subjects >= 0
    return found.take(np.flatnonzero(is_known).astype(np.int64))


def places_of(feature: Feature) -> int:
    """How many places a feature has, the last for missing and unknown values."""
    if isinstance(feature, Category):
        return len(feature.values) + 1
    return len(feature.cuts()) + 2


def codes_of(column: "pa.ChunkedArray[Any] | pa.Array[Any]", feature: Feature) -> Codes:
    """The place of each value of a column. Shape (rows,)."""
    if isinstance(feature, Category):
        return column_codes(column, feature.name, (), feature.values)
    return number_codes(numbers_of(column, feature.name), feature.cuts())


def column_codes(
    column: "pa.ChunkedArray[Any] | pa.Array[Any]", name: str, cuts: Sequence[float],
    values: Sequence[str] | None,
) -> Codes:  # fmt: skip
    """The place of each value among `values`, or without them among `cuts`. Shape (rows,)."""
    if values is None:
        return number_codes(numbers_of(column, name), np.array(cuts, np.float32))
    index = {value: at for at, value in enumerate(values)}
    texts, codes = _texts(column)
    to = np.array([index.get(one, len(index)) for one in [*texts, ""]], np.int32)
    return to[codes]


def number_codes(values: NDArray[np.float64], cuts: NDArray[np.float32]) -> Codes:
    """How many cuts each value has reached; one place more for NaN. Shape (rows,)."""
    with np.errstate(over="ignore"):
        small = values.astype(np.float32)
    codes = np.searchsorted(cuts, small, side="right").astype(np.int32)
    codes[np.isnan(small)] = len(cuts) + 1
    return codes


def numbers_of(column: "pa.ChunkedArray[Any] | pa.Array[Any]", name: str) -> NDArray[np.float64]:
    """A column as numbers; what is none is NaN. Raises: ValidationError for lists and bytes."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return numbers_of(pc.cast(column, kind.value_type), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values, codes = _texts(column)
        return np.array([_parsed(one) for one in [*values, ""]], np.float64)[codes]
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)
            or pa.types.is_decimal(kind) or pa.types.is_boolean(kind)):  # fmt: skip
        raise ValidationError(
            f"`{name}` holds values of type {kind}, which are no numbers",
            next_step="declare its values, or leave the column out",
        )
    found: NDArray[np.float64] = np.asarray(
        pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan")), np.float64
    )
    return found


def _parsed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _texts(column: "pa.ChunkedArray[Any] | pa.Array[Any]") -> tuple[list[str], NDArray[np.int64]]:
    """The distinct texts, and of each row which; a missing one has the number after the last."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise ValidationError(f"a column of type {column.type} holds no categories")
    encoded: Any = pc.dictionary_encode(column, null_encoding="mask")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    values = [
        text_of(value) if value is not None else "" for value in encoded.dictionary.to_pylist()
    ]
    return values, np.asarray(pc.fill_null(encoded.indices, len(values)), np.int64)


def _target(
    column: "pa.ChunkedArray[Any] | pa.Array[Any]", domain: Domain
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The target from 0 to `TARGET_UNIT`, and which rows have one."""
    target = domain.target
    if isinstance(target, Choice):
        codes = codes_of(column, Category(target.name, target.values))
        return (codes == 1).astype(np.int64) * TARGET_UNIT, codes < 2
    values = numbers_of(column, target.name)
    is_known = ~np.isnan(values)
    share = (np.clip(values, target.low, target.high) - target.low) / (target.high - target.low)
    return np.rint(np.where(is_known, share, 0) * TARGET_UNIT).astype(np.int64), is_known


def numbered(column: "pa.ChunkedArray[Any] | pa.Array[Any]") -> NDArray[np.int64]:
    """Subjects by number; -1 for rows without one, for all of them may be one person's."""
    values, codes = _texts(column)
    index = {"": -1}
    to = np.array([index.setdefault(one, len(index)) for one in [*values, ""]], np.int64)
    return to[codes]
