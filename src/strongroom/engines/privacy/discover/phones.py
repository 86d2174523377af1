"""Tells phone numbers from other numbers, by the numbering plans in phonenumbers."""

import phonenumbers
import re2

from strongroom.engines.privacy.discover.profile import ColumnSample

_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "CH", "AU", "IN", "BR", "PL", "SE", "JP")
_FORM = re2.compile(
    r"(?i)(?:tel:)?(?:\+|00)?[(]?\d[\d ().\-/\x{2010}-\x{2013}\x{00A0}]{5,22}\d"
    r"(?:\s?(?:x|ext\.?|#)\s?\d{1,6})?"
)
_SEPARATED = re2.compile(r"\+.*|.*\d[ ().\-/]+\d.*")
_INTERNATIONAL = re2.compile(r"(?:tel:)?(?:\+|00).*")
_TRIED = 24
_MIN_DIGITS, _MAX_DIGITS = 7, 15


def _fits(text: str) -> bool:
    if _FORM.fullmatch(text) is None:
        return False
    return _MIN_DIGITS <= sum(map(str.isdigit, text.split("x", maxsplit=1)[0])) <= _MAX_DIGITS


def _share_valid(values: list[str], region: str, *, strict: bool) -> float:
    valid = 0
    for value in values:
        try:
            number = phonenumbers.parse(value, region)
        except phonenumbers.NumberParseException:
            continue
        valid += (
            phonenumbers.is_valid_number(number)
            if strict
            else phonenumbers.is_possible_number(number)
        )
    return valid / len(values)


def phone_share(sample: ColumnSample, *, named: bool) -> tuple[float, bool]:
    """Share of the filled rows that are phone numbers, and whether they are written as such.

    Without the column's name only numbers with a plus or separators count, of which most must
    be possible in one region's plan; digits alone must also be valid there, which serial
    numbers seldom are.
    """
    fitting = [i for i, value in enumerate(sample.values) if _fits(value)]
    filled = sum(sample.weights)
    share = sum(sample.weights[i] for i in fitting) / filled if filled else 0.0
    if share < 0.6:  # the minimum share of any grammar
        return 0.0, False
    step = max(1, len(fitting) // _TRIED)
    tried = [sample.values[i] for i in fitting[::step]][:_TRIED]
    separated = sum(1 for value in tried if _SEPARATED.fullmatch(value)) / len(tried)
    written = separated >= 0.5  # most of them
    international = sum(1 for value in tried if _INTERNATIONAL.fullmatch(value)) / len(tried)
    strict = not written and not named
    regions = _REGIONS[:1] if international == 1.0 else _REGIONS
    best = 0.0
    for region in regions:
        best = max(best, _share_valid(tried, region, strict=strict))
        if best >= 0.9:  # no other region can tell us more
            break
    return share * best, written
