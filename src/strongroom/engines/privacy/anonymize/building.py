"""Hierarchies built from the values themselves: numbers, dates, codes, order and frequency."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np

from strongroom.engines.privacy.anonymize.dates import DateOrder, read_dates
from strongroom.engines.privacy.anonymize.hierarchy import (
    MISSING,
    TOP,
    Codes,
    Hierarchy,
    Shares,
    hierarchy_from_rows,
)
from strongroom.errors import ValidationError

MAX_FAN = 5
"""Children of a node in a derived hierarchy, about."""
_STEPS = (1.0, 2.0, 5.0)
NO_DATE = "(no date)"
"""What stands from the first level on for values that are no dates."""
MAX_UNREAD = 0.1
"""Share of a column's different values that may be no dates."""


def _from_columns(
    column: str, levels: list[tuple[tuple[str, ...], Codes]], positions: Shares | None,
    *, is_ordered: bool,
) -> Hierarchy:  # fmt: skip
    """A hierarchy of levels that nest; levels that join nothing more are left out."""
    kept = levels[:1]
    for labels, codes in levels[1:]:
        if len(labels) < len(kept[-1][0]) and len(labels) > 1:
            kept.append((labels, codes))
    if len(kept[-1][0]) > 1:
        kept.append(((TOP,), np.zeros(len(levels[0][1]), dtype=np.int64)))
    return Hierarchy(
        column, tuple(labels for labels, _ in kept), tuple(codes for _, codes in kept),
        is_ordered, positions,
    )  # fmt: skip


def numbers_hierarchy(
    column: str, values: Sequence[str], *, steps: Sequence[float] = ()
) -> Hierarchy:
    """Ranges that grow: `[20, 25[`, `[20, 30[`, … aligned to round numbers.

    Args:
        values: distinct, each a finite number as text.
        steps: widths of the levels, each a multiple of the one before; chosen where not given so
            that the finest has some forty ranges and each next one two or two and a half times
            its width.

    Raises: ValidationError: a value is no number, or the steps do not nest.
    """
    try:
        found = np.array([float(value) for value in values])
    except ValueError:
        raise ValidationError(f"`{column}` holds values that are no numbers") from None
    if not bool(np.all(np.isfinite(found))):
        raise ValidationError(f"`{column}` holds numbers that are not finite")
    order = np.argsort(found, kind="stable")
    numbers = found[order]
    names = tuple(values[at] for at in order)
    widths = tuple(steps) or _round_widths(float(numbers[0]), float(numbers[-1]), len(names))
    _require_nesting(column, widths)
    levels = [(names, np.arange(len(names), dtype=np.int64))]
    for width in widths:
        bins, codes = np.unique(np.floor(numbers / width), return_inverse=True)
        labels = tuple(f"[{_plain(b * width)}, {_plain((b + 1) * width)}[" for b in bins.tolist())
        levels.append((labels, codes.astype(np.int64)))
    return _from_columns(column, levels, numbers, is_ordered=True)


def _require_nesting(column: str, widths: Sequence[float]) -> None:
    for finer, coarser in pairwise(widths):
        if finer <= 0 or abs(coarser / finer - round(coarser / finer)) > 1e-9 or coarser <= finer:
            raise ValidationError(
                f"the steps of `{column}` must be positive, each a multiple of the one before"
            )
    if widths and widths[0] <= 0:
        raise ValidationError(f"the steps of `{column}` must be positive")


def _round_widths(low: float, high: float, count: int) -> tuple[float, ...]:
    """Widths 5, 10, 20, 100, … : each a multiple of the one before."""
    span = high - low
    if span <= 0 or count < 3:
        return ()
    width = _round_up(span / min(40, max(count / 2, 1)))
    widths = [width]
    # 1 → 2 → 10 and 2 → 10, 5 → 10: doubling or five-fold keeps levels nested and round.
    while widths[-1] * 2 < span:
        mantissa = round(widths[-1] / 10 ** math.floor(math.log10(widths[-1]) + 1e-9))
        widths.append(widths[-1] * (5 if mantissa == 2 else 2))
    return tuple(widths)


def _round_up(width: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(width))
    return next((power * step for step in _STEPS if power * step >= width * (1 - 1e-9)), power * 10)


def _plain(number: float) -> str:
    return f"{number:.12g}"


def dates_hierarchy(
    column: str, values: Sequence[str], *, order: DateOrder | None = None
) -> Hierarchy:
    """Day, month, quarter, year, five years, decade, half-century.

    Values that are no dates stand apart, as one, up to the top. Where day and month cannot be told
    apart the levels begin with the year.

    Args:
        values: distinct, in a form that `read_dates` knows.
        order: of day and month, where the values do not say.
    Raises: ValidationError: more than a tenth of the values are no dates.
    """
    found = read_dates(values, order)
    if found.unread > MAX_UNREAD * len(values):
        raise ValidationError(
            f"`{column}` holds values that are no dates: {found.unread:,} of {len(values):,}",
            next_step="write them as YYYY-MM-DD, or take another hierarchy",
        )
    dated = [(day, value) for day, value in zip(found.days, values, strict=True) if day is not None]
    unread = sorted(v for day, v in zip(found.days, values, strict=True) if day is None)
    if found.is_year_only:
        # Within a year there is no order, and so no range that would mean something.
        dated.sort(key=lambda pair: (pair[0].year, pair[1]))
        rows = [(value, *_years(day)) for day, value in dated]
        at = None
    else:
        dated.sort()
        rows = [(value, *_days(day), *_years(day)) for day, value in dated]
        positions = [float(day.toordinal()) for day, _ in dated]
        apart = positions[-1] + max(positions[-1] - positions[0], 1.0)
        at = np.array(positions + [apart] * len(unread))
    rows += [(value, *(NO_DATE,) * (len(rows[0]) - 1)) for value in unread]
    made = _from_columns(column, _levels_of(rows), at, is_ordered=not found.is_year_only)
    return replace(made, note=found.words)


def _days(day: date) -> tuple[str, ...]:
    return (
        day.isoformat(), f"{day.year:04d}-{day.month:02d}",
        f"{day.year:04d} Q{(day.month + 2) // 3}",
    )  # fmt: skip


def _years(day: date) -> tuple[str, ...]:
    year = day.year
    return (
        f"{year:04d}", f"{year // 5 * 5:04d}-{year // 5 * 5 + 4:04d}", f"{year // 10 * 10:04d}s",
        f"{year // 50 * 50:04d}-{year // 50 * 50 + 49:04d}",
    )  # fmt: skip


def prefixes_hierarchy(column: str, values: Sequence[str]) -> Hierarchy:
    """Codes such as postcodes that lose a character after the other from the right.

    Shorter values are filled up with blanks on the right, which tells them apart from longer ones.
    """
    longest = max((len(value) for value in values), default=0)
    names = sorted(values)
    rows = [
        (value, *(value.ljust(longest)[:keep].rstrip() + TOP * (longest - keep)
                  for keep in range(longest - 1, 0, -1)))
        for value in names
    ]  # fmt: skip
    return _from_columns(column, _levels_of(rows), None, is_ordered=False)


def _levels_of(rows: Sequence[tuple[str, ...]]) -> list[tuple[tuple[str, ...], Codes]]:
    levels = []
    for level in range(len(rows[0]) if rows else 0):
        names: dict[str, int] = {}
        codes = np.array([names.setdefault(row[level], len(names)) for row in rows], dtype=np.int64)
        levels.append((tuple(names), codes))
    return levels


def ordered_hierarchy(column: str, values: Sequence[str], *, fan: int = 2) -> Hierarchy:
    """Neighbours joined in an order that the caller gives, `fan` nodes to one, level by level."""
    if not 2 <= fan <= 1_000:
        raise ValidationError(f"the fan of `{column}` is a number from 2 to 1,000")
    levels = [(tuple(values), np.arange(len(values), dtype=np.int64))]
    width = fan
    while width < len(values):
        codes = np.arange(len(values), dtype=np.int64) // width
        labels = tuple(
            _span(values[at * width], values[min((at + 1) * width, len(values)) - 1])
            for at in range(int(codes[-1]) + 1)
        )
        levels.append((labels, codes))
        width *= fan
    return _from_columns(column, levels, None, is_ordered=True)


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} … {last}"


def frequency_hierarchy(column: str, counts: Mapping[str, int]) -> Hierarchy:
    """Values without an order, derived: common ones stay longest, rare ones are joined first.

    Level by level, the values that are rarer than a threshold which grows four-fold become one
    node, `other (…)`. Which values are rare is read off the table: a hierarchy from a file tells
    less about it.
    """
    total = sum(counts.values())
    names = sorted(counts, key=lambda value: (-counts[value], value))
    if len(names) <= 1:
        return hierarchy_from_rows(column, [(name, TOP) for name in names] or [(MISSING, TOP)])
    rows: list[list[str]] = [[name] for name in names]
    threshold = max(total / 1_000, 2.0)
    while threshold < counts[names[1]]:
        rare = [at for at, name in enumerate(names) if counts[name] < threshold]
        if len(rare) > 1:
            label = f"other ({len(rare)} values)"
            for at, row in enumerate(rows):
                row.append(label if at >= len(names) - len(rare) else row[0])
        threshold *= 4
    return _from_columns(column, _levels_of([tuple(row) for row in rows]), None, is_ordered=False)
