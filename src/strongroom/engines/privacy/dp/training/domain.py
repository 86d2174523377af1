"""What is public about a table: bounds of numbers, values of categories, the column to predict.

[target]
name = "income"
values = ["<=50K", ">50K"]     # the second is what a score speaks for; or low and high: a number

[columns.age]
low = 17
high = 90

[columns.sex]
values = ["Female", "Male"]

A domain is declared by whoever knows what the columns mean. It is never read off the data while a
model is fitted: the largest income in a table is one person's. Values outside it are clamped to
the bounds; unknown categories and missing values share one place.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.errors import TooLargeError, ValidationError

MAX_COLUMNS = 1_000
MAX_VALUES = 10_000
MAX_VALUE_CHARACTERS = 500
MAX_CHARACTERS = 4 << 20
LEVELS = 6
"""A number has 2 ** LEVELS bins."""
WIDE = 1_000.0
"""Numbers that span more are binned on a logarithmic scale from their lower bound."""


class Scale(StrEnum):
    """How the bins of a number lie."""

    AUTO = "auto"
    LINEAR = "linear"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Number:
    """A column of numbers with public bounds."""

    name: str
    low: float
    high: float
    scale: Scale = Scale.AUTO

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValidationError(
                f"the bounds of `{self.name}` are not two numbers, low below high"
            )
        if max(abs(self.low), abs(self.high)) > 1e30:
            raise ValidationError(f"the bounds of `{self.name}` are larger than 1e30")

    def cuts(self) -> NDArray[np.float32]:
        """Where its bins part, rising, as an endpoint takes numbers. Shape (bins - 1,)."""
        bins, span = 1 << LEVELS, self.high - self.low
        is_log = self.scale is Scale.LOG or (self.scale is Scale.AUTO and span > WIDE)
        at = np.arange(1, bins) / bins
        return np.asarray(
            self.low + (np.expm1(at * math.log1p(span)) if is_log else at * span), np.float32
        )


@dataclass(frozen=True, slots=True)
class Category:
    """A column of categories with public values."""

    name: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= MAX_VALUES or len(set(self.values)) != len(self.values):
            raise ValidationError(
                f"`{self.name}` needs 1 to {MAX_VALUES:,} values, each of them once"
            )
        if any(not one or len(one) > MAX_VALUE_CHARACTERS for one in self.values):
            raise ValidationError(
                f"a value of `{self.name}` is empty or has over {MAX_VALUE_CHARACTERS} characters"
            )


@dataclass(frozen=True, slots=True)
class Choice:
    """A target with two classes; scores speak for the second. Other rows are left out."""

    name: str
    values: tuple[str, str]

    def __post_init__(self) -> None:
        if len(set(self.values)) != 2 or not all(self.values):
            raise ValidationError(f"the target `{self.name}` needs two different values")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as target; values outside the bounds are clamped, missing ones are left out."""

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        Number(self.name, self.low, self.high)


Feature = Number | Category
Target = Choice | Amount


@dataclass(frozen=True, slots=True)
class Domain:
    """The columns that a model may use, and what it predicts."""

    features: tuple[Feature, ...]
    target: Target

    def __post_init__(self) -> None:
        names = [one.name for one in self.features]
        if not 1 <= len(names) <= MAX_COLUMNS:
            raise ValidationError(f"a model takes 1 to {MAX_COLUMNS:,} columns")
        if len(set(names)) != len(names) or self.target.name in names:
            raise ValidationError("a column is named twice, or is the target")

    def document(self) -> dict[str, Any]:
        """As JSON or TOML would hold it."""
        target: dict[str, Any] = {"name": self.target.name}
        if isinstance(self.target, Choice):
            target["values"] = list(self.target.values)
        else:
            target |= {"low": self.target.low, "high": self.target.high}
        return {
            "target": target,
            "columns": {
                one.name: {"values": list(one.values)}
                if isinstance(one, Category)
                else {"low": one.low, "high": one.high, "scale": one.scale.value}
                for one in self.features
            },
        }


def parse_domain(text: str) -> Domain:
    """A domain out of its file. Raises: ValidationError, TooLargeError."""
    if len(text) > MAX_CHARACTERS:
        raise TooLargeError(f"the domain has more than {MAX_CHARACTERS:,} characters")
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValidationError(f"the domain is no TOML: {error}") from error
    return domain_of(found)


def domain_of(document: object) -> Domain:
    """A domain out of its JSON or TOML. Raises: ValidationError for anything else."""
    if not isinstance(document, Mapping) or set(document) != {"target", "columns"}:
        raise ValidationError("a domain has the tables `target` and `columns`, and nothing else")
    target, columns = document["target"], document["columns"]
    if not isinstance(target, Mapping) or not isinstance(columns, Mapping):
        raise ValidationError("`target` and `columns` are tables")
    if not isinstance(target.get("name"), str):
        raise ValidationError("`target` has no name")
    rest = {key: value for key, value in target.items() if key != "name"}
    return Domain(
        tuple(_feature(name, one) for name, one in columns.items()), _target(target["name"], rest)
    )


def _feature(name: str, stated: Any) -> Feature:  # noqa: ANN401 # from outside
    if not isinstance(stated, Mapping):
        raise ValidationError(f"`{name}` is no table")
    if set(stated) == {"values"}:
        return Category(name, _values(name, stated["values"]))
    if {"low", "high"} <= set(stated) <= {"low", "high", "scale"}:
        try:
            scale = Scale(stated.get("scale", "auto"))
        except ValueError:
            raise ValidationError(f"the scale of `{name}` is auto, linear or log") from None
        return Number(name, _number(name, stated["low"]), _number(name, stated["high"]), scale)
    raise ValidationError(f"`{name}` needs `values`, or `low` and `high`")


def _target(name: str, stated: Mapping[str, Any]) -> Target:
    if set(stated) == {"values"}:
        values = _values(name, stated["values"])
        if len(values) != 2:
            raise ValidationError(
                f"the target `{name}` has {len(values)} values",
                next_step="models with privacy are for two classes, or for a number",
            )
        return Choice(name, (values[0], values[1]))
    if set(stated) == {"low", "high"}:
        return Amount(name, _number(name, stated["low"]), _number(name, stated["high"]))
    raise ValidationError("`target` needs two `values`, or `low` and `high`")


def _values(name: str, stated: Any) -> tuple[str, ...]:  # noqa: ANN401 # from outside
    if not isinstance(stated, Sequence) or isinstance(stated, str) or len(stated) > MAX_VALUES:
        raise ValidationError(f"the values of `{name}` are a list of up to {MAX_VALUES:,}")
    if any(not isinstance(one, str | int | float) for one in stated):
        raise ValidationError(f"a value of `{name}` is neither text nor number")
    return tuple(text_of(one) for one in stated)


def _number(name: str, stated: Any) -> float:  # noqa: ANN401 # from outside
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        raise ValidationError(f"a bound of `{name}` is no number")
    try:
        return float(stated)
    except OverflowError:
        raise ValidationError(f"a bound of `{name}` is too large") from None


def text_of(value: object) -> str:
    """A category as text: `true`, `1` for 1.0, and no blanks around."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    return str(value).strip()


def is_rising(numbers: Sequence[float]) -> bool:
    """Whether no number is below the one before it."""
    return all(a <= b for a, b in pairwise(numbers))
