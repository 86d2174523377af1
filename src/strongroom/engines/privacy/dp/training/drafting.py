"""A first domain, read off a table, for a person to correct.

What is drafted tells of the people in the table: their largest income, a town where one of them
lives. Until somebody has put what is publicly known in its place, epsilon does not cover it.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.dp.training.coding import numbers_of
from strongroom.engines.privacy.dp.training.domain import (
    Amount,
    Category,
    Choice,
    Domain,
    Feature,
    Number,
    Target,
    text_of,
)
from strongroom.errors import ValidationError

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

MOST_VALUES = 100
"""Columns with more different texts are left out: names, identifiers, free text."""
_FEW = 10
"""Numbers with fewer different values are taken for categories."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A domain, and the columns that are not in it, with the reason."""

    domain: Domain
    left_out: dict[str, str]


def drafted(table: pa.Table, target: str, subject: str = "") -> Draft:
    """A domain over all columns that can be learned from.

    Raises: ValidationError: there is no such target, or it can't be one, or nothing is left.
    """
    if target not in table.schema.names:
        raise ValidationError(f"the table has no column `{target}`")
    features, left_out = [], {}
    for name in table.schema.names:
        if name in (target, subject):
            continue
        found = _feature(name, table.column(name))
        if isinstance(found, str):
            left_out[name] = found
        else:
            features.append(found)
    return Draft(Domain(tuple(features), _target(target, table.column(target))), left_out)


def domain_text(draft: Draft) -> str:
    """As TOML, with what was left out as comments."""
    document = draft.domain.document()
    lines = [
        "# Read off the data: correct it to what is publicly known. Round bounds to what could be,",
        "# and give every value that a category could have, not only those that are there.",
        "", "[target]", *_lines(document["target"]),
    ]  # fmt: skip
    for name, stated in document["columns"].items():
        lines += ["", f"[columns.{_quoted(name)}]", *_lines(stated)]
    lines += ["", *(f"# left out: {_quoted(one)}: {why}" for one, why in draft.left_out.items())]
    return "\n".join(lines).rstrip() + "\n"


def _lines(stated: dict[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in stated.items()]


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(one) for one in value) + "]"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among those it knows."""
    return json.dumps(text).replace("\x7f", "\\u007f")


def _feature(name: str, column: "pa.ChunkedArray[Any]") -> Feature | str:
    """The feature, or why there is none."""
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_temporal(kind):
        return f"values of type {kind}"
    values = _values(column, MOST_VALUES + 1)
    if not values:
        return "empty"
    if _is_number(column) and len(values) > _FEW:
        return Number(name, *_bounds(numbers_of(column, name)))
    if len(values) > MOST_VALUES:
        return f"more than {MOST_VALUES} different values"
    return Category(name, tuple(values))


def _target(name: str, column: "pa.ChunkedArray[Any]") -> Target:
    values = _values(column, 3)
    if len(values) == 2:  # two classes
        return Choice(name, (values[0], values[1]))
    if _is_number(column) and values:
        return Amount(name, *_bounds(numbers_of(column, name)))
    raise ValidationError(
        f"the target `{name}` has neither two values nor numbers",
        next_step="models with privacy are for two classes, or for a number",
    )


def _is_number(column: "pa.ChunkedArray[Any]") -> bool:
    kind = column.type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _values(column: "pa.ChunkedArray[Any]", most: int) -> list[str]:
    """The different values as texts, in order; of many only so many."""
    unique = pc.unique(column).to_pylist()
    texts = {text_of(one) for one in unique if one is not None and one == one}  # NaN
    return sorted(texts - {""})[:most]


def _bounds(values: "np.ndarray[Any, np.dtype[np.float64]]") -> tuple[float, float]:
    """Least and greatest, rounded outwards to two digits."""
    held = values[np.isfinite(values)]
    low, high = float(held.min()), float(held.max())
    if low == high:
        high = low + 1
    unit = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    return math.floor(low / unit) * unit, math.ceil(high / unit) * unit
