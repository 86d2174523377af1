"""Tells phone numbers from other numbers: how they are written, and the plans in phonenumbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import phonenumbers
import re2

from strongroom.engines.privacy.discover.profile import ColumnSample, run_on, spread

_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "CH", "AU", "IN", "BR", "PL", "SE", "JP")
# In these, far from every number of so many digits is given out: valid ones are no accident. In
# Germany three of four numbers of any length are valid, in France nine of ten with nine digits.
_TELLING_REGIONS = {
    9: ("ES", "CH"),
    10: ("US", "GB", "BR", "IN"),
    11: ("BR",),
}
_FORM = re2.compile(
    r"(?i)(?:tel:)?(?:\+|00)?[(]?\d[\d ().\-/\x{2010}-\x{2013}\x{00A0}]{5,22}\d"
    r"(?:\s?(?:x|ext\.?|#)\s?\d{1,6})?"
)
_INTERNATIONAL = re2.compile(r"(?i)(?:tel:)?(?:\+|00[1-9]).*")
_EXTENSION = r"(?:\s?(?:x|ext\.?|#)\s?\d{1,6})?"
# As people write them and hardly anything else is written: an area code in brackets, the North
# American groups, a leading zero and groups, and groups with blanks of plans without one.
_WRITTEN = re2.compile(
    r"(?i)(?:tel:)?(?:\+\d{1,3}[ .\-/]?.*|\(\d{2,5}\)[ .\-/]?\d[\d .\-/]{4,14}"
    r"|(?:1[ .\-/]?)?(?:\([2-9]\d{2}\)[ .\-/]?|[2-9]\d{2}[ .\-/])[2-9]\d{2}[ .\-]\d{4}"
    r"|0\d{1,5}[ .\-/]{1,3}\d{2,8}(?:[ .\-/]\d{2,6}){0,4})" + _EXTENSION
)
# Other numbers are grouped so too; nearly all must be valid in a plan that groups them so.
_GROUPED = re2.compile(
    r"(?i)(?:\d{3} \d{3} \d{3}|\d{2}(?: \d{2}){3}|\d{3} \d{2} \d{3}|\d{3} \d{2} \d{2} \d{2}"
    r"|\d{3}[ -]\d{7}|[2-9]\d{3} \d{4}|\d{3} \d{3} \d{4}|\d{3}[/ ]\d{2} \d{2} \d{2})" + _EXTENSION
)
_GROUPING_REGIONS = {
    8: ("DK", "NO", "SG", "HK"),
    9: ("ES", "PL", "CZ", "PT", "CH", "AU"),
    10: ("US", "IN", "BR", "MX"),
}
_TRUNK = re2.compile(r"0[1-9]\d{7,9}")
_TRIED = 24
_FIRST_TRIED, _LEAST_OF_FIRST = 12, 0.25
_LEAST_TRIED = 12
_LEAST_PREFIXES = 6
_LEAST_TELLING = 0.2
"""Of numbers with a country code, for those without one to be read in the same plan."""
_MIN_DIGITS, _MAX_DIGITS = 7, 15


@dataclass(frozen=True, slots=True)
class PhoneShare:
    """How much of a column is phone numbers.

    Attributes:
        share: of the filled rows, in [0, 1].
        international: of the numbers looked at, those that begin with a country code.
        written: of them, those written as only phone numbers are.
    """

    share: float
    international: float
    written: float


_NONE = PhoneShare(0.0, 0.0, 0.0)


def _count_digits(text: str) -> int:
    """Digits without those of an extension, `x` or `ext.`."""
    return sum(map(str.isdigit, text.lower().partition("x")[0].partition("#")[0]))


def _fits(text: str) -> bool:
    return _FORM.fullmatch(text) is not None and _MIN_DIGITS <= _count_digits(text) <= _MAX_DIGITS


def _parsed(value: str, region: str) -> phonenumbers.PhoneNumber | None:
    # "00" begins an international number in most of the world; here it does so in every region.
    if value.startswith("00"):
        value = "+" + value[2:]
    try:
        return phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None


def _share_valid(values: Sequence[str], region: str, *, strict: bool) -> float:
    valid = 0
    for value in values:
        number = _parsed(value, region)
        if number is None:
            continue
        valid += (
            phonenumbers.is_valid_number(number)
            if strict
            else phonenumbers.is_possible_number(number)
        )
    return valid / len(values)


def phone_share(sample: ColumnSample, *, named: bool) -> PhoneShare:
    """Which share of the column is phone numbers.

    Where the column's name says so, numbers need only be possible in the plan of one region.
    Else they must begin with a country code or be written as phone numbers are. Digits alone
    count only when nearly all are valid in a plan in which most numbers are not given out, and
    do not run on from one another as serial numbers do.
    """
    looked_at = spread(sample.values, 4 * _TRIED)
    first = spread(looked_at, _FIRST_TRIED)
    if sum(map(_fits, first)) < _LEAST_OF_FIRST * len(first):
        return _NONE
    fitting = [value for value in looked_at if _fits(value)]
    if not looked_at or len(fitting) < 0.6 * len(looked_at):  # the minimum share of any grammar
        return _NONE
    share = len(fitting) / len(looked_at)
    tried = spread(fitting, _TRIED)
    international = _share_of(tried, _INTERNATIONAL)
    written = _share_of(tried, _WRITTEN)
    if not named and written < 0.6 and _share_of(tried, _GROUPED) >= 0.9 and _are_valid(tried):
        written = 1.0
    if not named and written < 0.6:
        if international >= _LEAST_TELLING and _are_of_one_plan(tried):
            return PhoneShare(share, international, 1.0)
        return PhoneShare(share, 0.0, 0.0) if _are_given_out(tried) else _NONE
    best = 0.0
    for region in _REGIONS[:1] if international == 1.0 else _REGIONS:
        best = max(best, _share_valid(tried, region, strict=False))
        if best >= 0.9:  # no other region can tell us more
            break
    return PhoneShare(share * best, international, written)


def _share_of(values: Sequence[str], form: "re2._Regexp[str]") -> float:
    return sum(1 for value in values if form.fullmatch(value) is not None) / len(values)


def _are_of_one_plan(values: Sequence[str]) -> bool:
    """True where numbers with a country code and those without are valid in the same plan."""
    with_code: list[str] = []
    without: list[str] = []
    for value in values:
        (with_code if _INTERNATIONAL.fullmatch(value) is not None else without).append(value)
    regions: Counter[str] = Counter()
    for value in with_code:
        number = _parsed(value, _REGIONS[0])
        if number is not None and phonenumbers.is_valid_number(number):
            regions[phonenumbers.region_code_for_number(number) or ""] += 1
    if not regions:
        return False
    region, count = regions.most_common(1)[0]
    if count < 0.6 * len(with_code):
        return False
    return not without or _share_valid(without, region, strict=True) >= 0.6


def _are_valid(values: Sequence[str]) -> bool:
    """True where nearly all of many grouped numbers are valid in one plan."""
    digits = {_count_digits(value) for value in values}
    if len(digits) != 1 or len(values) < _LEAST_TRIED:
        return False
    regions = _GROUPING_REGIONS.get(digits.pop(), ())
    return any(_share_valid(values, region, strict=True) >= 0.95 for region in regions)


def _are_given_out(values: Sequence[str]) -> bool:
    """True for bare digits that only phone numbers would be."""
    if len(values) < _LEAST_TRIED or len({value[:4] for value in values}) < _LEAST_PREFIXES:
        return False
    lengths = {len(value) for value in values}
    if not all(value.isdigit() for value in values) or len(lengths) > 2:  # some plans have two
        return False
    if run_on(values):
        return False
    if _share_of(values, _TRUNK) >= 0.95:  # a typing error of twenty may be
        return True
    regions = {region for length in lengths for region in _TELLING_REGIONS.get(length, ())}
    return any(_share_valid(values, region, strict=True) >= 0.95 for region in sorted(regions))
