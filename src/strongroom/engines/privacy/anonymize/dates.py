"""Dates as people write them, read over a whole column.

`3/4/1980` is in April for some and in March for others. A column with one day above 12 tells which;
one without is read only as far as both agree, which is the year.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

MAX_DATE_CHARACTERS = 64
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    "(jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec|january|february|march|april|august"
    "|september|october|november|december)"
)
_ZONE = r"(?: ?(?:z|utc|[+-]\d{2}:?\d{2}))?"
_TIME = r"(?:(?:t|,? +)\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[ap]m)?" + _ZONE + ")?"
_FLAGS = re.ASCII | re.IGNORECASE
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})" + _TIME, _FLAGS)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:t?\d{4}(?:\d{2})?z?)?", _FLAGS)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _TIME, _FLAGS)
_DAY_NAMED = re.compile(r"(\d{1,2})\.?[ -]" + _MONTH + r"\.?,?[ -](\d{4})" + _TIME, _FLAGS)
_MONTH_NAMED = re.compile(_MONTH + r"\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})" + _TIME, _FLAGS)
_LAST_MONTH = 12


class DateOrder(StrEnum):
    """What comes first in dates with the year at the end."""

    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


@dataclass(frozen=True, slots=True)
class DatesRead:
    """The values of a column as dates.

    Attributes:
        days: of each value; None: it is no date. Only the year is right where `is_year_only`.
        is_year_only: day and month cannot be told apart.
        forms: in which the values were written, the commonest first.
        words: what a person should know of how they were read; empty where nothing.
    """

    days: tuple[date | None, ...]
    is_year_only: bool
    forms: tuple[str, ...]
    words: str

    @property
    def unread(self) -> int:
        """Values that are no dates."""
        return sum(day is None for day in self.days)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A value taken apart; `separator` stands where day and month have still to be told apart."""

    year: int
    first: int
    second: int
    form: str
    separator: str = ""


def read_dates(values: Sequence[str], order: DateOrder | None = None) -> DatesRead:
    """Distinct values as dates, in any mixture of forms.

    Known are 1980-03-12, 12.03.1980, 13/3/1980, 3/13/1980, 19800312, 12 March 1980 and
    March 12, 1980, each also with a time of day, which is left out.

    Args:
        order: what comes first where the year comes last; None: what the values show. With dots
            and nothing that speaks against it the day comes first, as is usual.
    """
    found = [_parts(value) for value in values]
    orders = {one: _order_shown(found, one) for one in "./-"}
    open_ = [one for one, shown in orders.items() if shown is None and order is None]
    days: list[date | None] = []
    forms: dict[str, int] = {}
    for parts in found:
        if parts is None:
            days.append(None)
            continue
        is_open = parts.separator in open_
        chosen = order or orders.get(parts.separator) or DateOrder.DAY_FIRST
        day = _day(parts, chosen, is_open=is_open)
        days.append(day)
        if day is not None:
            form = _form(parts, chosen, is_open=is_open)
            forms[form] = forms.get(form, 0) + 1
    ranked = tuple(sorted(forms, key=lambda form: (-forms[form], form)))
    return DatesRead(tuple(days), bool(open_), ranked, _words(ranked, days, is_open=bool(open_)))


def _parts(value: str) -> _Parts | None:
    text = value.strip()
    if len(text) > MAX_DATE_CHARACTERS:
        return None
    if (m := _YEAR_FIRST.fullmatch(text)) is not None:
        return _Parts(int(m[1]), int(m[3]), int(m[4]), f"yyyy{m[2]}mm{m[2]}dd")
    if (m := _YEAR_LAST.fullmatch(text)) is not None:
        return _Parts(int(m[4]), int(m[1]), int(m[3]), "", m[2])
    if (m := _COMPACT.fullmatch(text)) is not None:
        return _Parts(int(m[1]), int(m[2]), int(m[3]), "yyyymmdd")
    if (m := _DAY_NAMED.fullmatch(text)) is not None:
        return _Parts(int(m[3]), _MONTHS.index(m[2][:3].lower()) + 1, int(m[1]), "dd month yyyy")
    if (m := _MONTH_NAMED.fullmatch(text)) is not None:
        return _Parts(int(m[3]), _MONTHS.index(m[1][:3].lower()) + 1, int(m[2]), "month dd, yyyy")
    return None


def _order_shown(found: Sequence[_Parts | None], separator: str) -> DateOrder | None:
    """What comes first in the values with this separator; None where they do not tell."""
    own = [one for one in found if one is not None and one.separator == separator]
    day_first = any(one.first > _LAST_MONTH >= one.second for one in own)
    month_first = any(one.second > _LAST_MONTH >= one.first for one in own)
    if day_first != month_first:
        return DateOrder.DAY_FIRST if day_first else DateOrder.MONTH_FIRST
    if not day_first and (separator == "." or all(one.first == one.second for one in own)):
        return DateOrder.DAY_FIRST
    return None


def _day(parts: _Parts, order: DateOrder, *, is_open: bool) -> date | None:
    """The day that a value names; of an open one the first of the readings that there is."""
    readings = [(parts.first, parts.second)]
    if parts.separator and order is DateOrder.DAY_FIRST:
        readings = [(parts.second, parts.first)]
    if is_open:
        readings = [(parts.second, parts.first), (parts.first, parts.second)]
    for month, day in readings:
        try:
            return date(parts.year, month, day)
        except ValueError:
            continue
    return None


def _form(parts: _Parts, order: DateOrder, *, is_open: bool) -> str:
    if not parts.separator:
        return parts.form
    if is_open:
        return f"?{parts.separator}?{parts.separator}yyyy"
    first, second = ("dd", "mm") if order is DateOrder.DAY_FIRST else ("mm", "dd")
    return f"{first}{parts.separator}{second}{parts.separator}yyyy"


def _words(forms: Sequence[str], days: Sequence[date | None], *, is_open: bool) -> str:
    said = []
    if forms and tuple(forms) != ("yyyy-mm-dd",):
        said.append(f"dates read as {', '.join(forms)}")
    if is_open:
        said.append(
            "day and month cannot be told apart over the column, so that nothing between the value "
            'and its year is made of it; `date_order = "day_first"` or "month_first" in the recipe '
            "says which"
        )
    unread = sum(day is None for day in days)
    if unread and forms:
        said.append(f"{unread:,} of {len(days):,} values are no dates and stand apart")
    return "; ".join(said)


def is_dated(values: Sequence[str], *, least: float) -> bool:
    """Whether at least a share `least` of some distinct values are dates."""
    return bool(values) and read_dates(values).unread <= (1 - least) * len(values)
