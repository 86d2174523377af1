"""One aggregate of a table, in one call.

    from strongroom.engines.privacy.dp.functions import mean
    mean(patients, "age", (0, 120), epsilon=0.5, subject="patient").only.value

`table` is an Arrow table. Each answer has its cost, which the caller's budget must be charged.
"""

from collections.abc import Sequence

import pyarrow as pa

from strongroom.engines.privacy.dp.answering import Answer, answer
from strongroom.engines.privacy.dp.query import Aggregate, Bounds, Function, Query, Terms, Unit


def count(table: pa.Table, *, epsilon: float, subject: str = "", rows: int = 1) -> Answer:
    """How many rows there are, at most `rows` of each person counted."""
    return _one(table, Function.COUNT, "", None, epsilon, Unit(subject, 1, rows))


def people(table: pa.Table, subject: str, *, epsilon: float) -> Answer:
    """How many different people there are."""
    return _one(table, Function.PEOPLE, "", None, epsilon, Unit(subject))


def total(
    table: pa.Table, column: str, bounds: tuple[float, float], *,
    epsilon: float, subject: str = "", rows: int = 1,
) -> Answer:  # fmt: skip
    """The sum of a column, its values clamped to the bounds."""
    return _one(table, Function.SUM, column, bounds, epsilon, Unit(subject, 1, rows))


def mean(
    table: pa.Table, column: str, bounds: tuple[float, float], *,
    epsilon: float, subject: str = "", rows: int = 1,
) -> Answer:  # fmt: skip
    """The mean of a column, its values clamped to the bounds."""
    return _one(table, Function.MEAN, column, bounds, epsilon, Unit(subject, 1, rows))


def variance(
    table: pa.Table, column: str, bounds: tuple[float, float], *,
    epsilon: float, subject: str = "", rows: int = 1,
) -> Answer:  # fmt: skip
    """The variance of a column, its values clamped to the bounds."""
    return _one(table, Function.VARIANCE, column, bounds, epsilon, Unit(subject, 1, rows))


def quantile(
    table: pa.Table, column: str, bounds: tuple[float, float], share: float, *,
    epsilon: float, subject: str = "", rows: int = 1,
) -> Answer:  # fmt: skip
    """The value below which this share of a column lies, about."""
    unit = Unit(subject, 1, rows)
    return _one(table, Function.QUANTILE, column, bounds, epsilon, unit, share)


def median(
    table: pa.Table, column: str, bounds: tuple[float, float], *,
    epsilon: float, subject: str = "", rows: int = 1,
) -> Answer:  # fmt: skip
    """The value that half of a column lies below, about."""
    return quantile(table, column, bounds, 0.5, epsilon=epsilon, subject=subject, rows=rows)


def histogram(
    table: pa.Table, column: str, bins: Sequence[float], *,
    epsilon: float, subject: str = "", groups: int = 1, rows: int = 1,
) -> Answer:  # fmt: skip
    """How many rows each bin of a column has.

    Args:
        bins: edges, rising; known without the data.
        groups: bins that one person may be in; `rows` in each of them.
    """
    query = Query((Aggregate(Function.COUNT, "count"),), (column,))
    terms = Terms(epsilon, unit=Unit(subject, groups, rows), bins={column: tuple(bins)})
    return answer(query, table, terms)


def _one(
    table: pa.Table, function: Function, column: str, bounds: tuple[float, float] | None,
    epsilon: float, unit: Unit, share: float = 0.5,
) -> Answer:  # fmt: skip
    query = Query((Aggregate(function, function.value, column, share),))
    limits = {column: Bounds(*bounds)} if bounds is not None else {}
    return answer(query, table, Terms(epsilon, unit=unit, bounds=limits))
