"""Conditions on rows that cannot fail, whatever the rows hold.

An error that depends on the data would tell of the data without a cost. So a condition compares a
column with a constant of its own kind, which is checked against the types of the columns before
the rows are read; there is no arithmetic, cast or function in it. Missing values and NaN compare
with nothing, as in SQL: a row whose condition is not known is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

from strongroom.engines.privacy.dp.intake import Kind, kind_of
from strongroom.errors import DpColumnError, DpQueryError

if TYPE_CHECKING:
    import polars as pl

Constant: TypeAlias = str | int | float | bool

MAX_NODES = 500
MAX_DEPTH = 40
MAX_LIST = 1_000


class Comparison(StrEnum):
    """How a column is compared with a constant."""

    EQUAL = "="
    DIFFERENT = "<>"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Compared:
    """A column compared with a constant; times are texts as in ISO 8601."""

    column: str
    comparison: Comparison
    constant: Constant


@dataclass(frozen=True, slots=True)
class Within:
    """A column that is one of some constants."""

    column: str
    constants: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A column that has no value, or NaN."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; of what is not known, still not known."""

    part: "Predicate"


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts hold."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple["Predicate", ...]


Predicate: TypeAlias = Compared | Within | Missing | Not | AllOf | AnyOf

_BEYOND = 1 << 63


def columns_of(predicate: Predicate) -> Iterator[str]:
    """Every column that a condition looks at, with repeats."""
    for part in _walked(predicate, 0):
        if isinstance(part, Compared | Within | Missing):
            yield part.column


def check_predicate(predicate: Predicate, kinds: Mapping[str, Kind]) -> None:
    """Whether every comparison is of one kind. Raises: DpColumnError, DpQueryError."""
    for count, part in enumerate(_walked(predicate, 0)):
        if count >= MAX_NODES:
            raise DpQueryError(f"a condition has at most {MAX_NODES} parts")
        match part:
            case Compared(column, comparison, constant):
                kind = kind_of(column, kinds)
                if kind is Kind.TRUTH and comparison not in ("=", "<>"):
                    raise DpColumnError(f"`{column}` is true or false, and neither is less")
                _converted(column, constant, kind)
            case Within(column, constants):
                if not 1 <= len(constants) <= MAX_LIST:
                    raise DpQueryError(f"a list has 1 to {MAX_LIST:,} values")
                for constant in constants:
                    _converted(column, constant, kind_of(column, kinds))
            case Missing(column):
                kind_of(column, kinds)
            case AllOf(parts) | AnyOf(parts) if not parts:
                raise DpQueryError("a condition without parts")
            case _:
                pass


def expression(predicate: Predicate, kinds: Mapping[str, Kind]) -> "pl.Expr":
    """The condition for Polars, over columns as `intake.frame_of` gives them."""
    import polars as pl

    match predicate:
        case Compared(column, comparison, constant):
            return _compared(
                pl.col(column), comparison, _converted(column, constant, kinds[column])
            )
        case Within(column, constants):
            each = [
                _compared(pl.col(column), Comparison.EQUAL, _converted(column, one, kinds[column]))
                for one in constants
            ]
            return pl.any_horizontal(each)
        case Missing(column):
            return pl.col(column).is_null()
        case Not(part):
            return ~expression(part, kinds)
        case AllOf(parts):
            return reduce(lambda a, b: a & b, (expression(part, kinds) for part in parts))
        case AnyOf(parts):
            return reduce(lambda a, b: a | b, (expression(part, kinds) for part in parts))


def _compared(
    column: "pl.Expr", comparison: Comparison, constant: Constant | datetime
) -> "pl.Expr":
    import polars as pl

    value = pl.lit(constant)
    ways: dict[Comparison, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
        Comparison.EQUAL: lambda a, b: a == b,
        Comparison.DIFFERENT: lambda a, b: a != b,
        Comparison.LESS: lambda a, b: a < b,
        Comparison.AT_MOST: lambda a, b: a <= b,
        Comparison.MORE: lambda a, b: a > b,
        Comparison.AT_LEAST: lambda a, b: a >= b,
    }
    return ways[comparison](column, value)


def _converted(column: str, constant: Constant, kind: Kind) -> Constant | datetime:
    """The constant as the column holds it. Raises: DpColumnError, where it is another kind."""
    is_number = isinstance(constant, int | float) and not isinstance(constant, bool)
    match kind:
        case Kind.WHOLE | Kind.NUMBER if is_number:
            # Polars compares a constant beyond 64 bits as a double, which is never an error.
            if isinstance(constant, int) and not -_BEYOND <= constant < _BEYOND:
                return float(min(max(constant, -(1 << 100)), 1 << 100))
            return constant
        case Kind.TEXT if isinstance(constant, str):
            return constant
        case Kind.TRUTH if isinstance(constant, bool):
            return constant
        case Kind.TIME if isinstance(constant, str):
            return moment(column, constant)
        case _:
            raise DpColumnError(
                f"`{column}` holds {kind.told}, and is compared with another kind of value"
            )


def moment(column: str, text: str) -> datetime:
    """A time from ISO 8601, in UTC without saying so. Raises: DpColumnError."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        raise DpColumnError(
            f"`{column}` holds times: compare it with one such as '2026-03-31'"
        ) from None


def _walked(predicate: Predicate, depth: int) -> Iterator[Predicate]:
    """The condition and all its parts. Raises: DpQueryError, where it is too deep."""
    if depth > MAX_DEPTH:
        raise DpQueryError(f"a condition is at most {MAX_DEPTH} deep")
    yield predicate
    match predicate:
        case Not(part):
            yield from _walked(part, depth + 1)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _walked(part, depth + 1)
        case _:
            pass
