"""Stand-ins for ways to reach people; all of them are reserved, so that none reaches anybody."""

import ipaddress
import re
from functools import partial

from strongroom.engines.privacy.mask.drawing import Draw, same_form
from strongroom.engines.privacy.mask.standins import lists, people
from strongroom.engines.privacy.mask.standins.maker import Maker, plain_letters

_DOMAINS = ("example.com", "example.net", "example.org")
"""RFC 2606, section 3."""
_PARTS = re.compile(r"[^\W\d_]{2,}")
_NANP = re.compile(r"^\D*(?:\+?1\D*)?([2-9]\d{2})\D*([2-9]\d{2})\D*(\d{4})\D*$")
_GB = re.compile(r"^\D*(?:\+?44\D*(?:\(0\))?|0)")
_COUNTRY_CODE_DIGITS = 2


def email(maker: Maker, text: str) -> str:
    """An address at a domain of RFC 2606; names in it get their own stand-ins."""
    local = text.partition("@")[0]
    homes = lists.homes()  # every given name has one
    known = [part for part in _PARTS.findall(local) if part.casefold() in homes]

    def make(draw: Draw) -> str:
        if known:
            words = [maker.remembered("part", part, partial(_name_part, maker, part))
                     for part in known[:2]]  # fmt: skip
        else:
            listed = lists.names("en_US")
            words = [plain_letters(draw.of(listed.given)), plain_letters(draw.of(listed.family))]
        return f"{'.'.join(words)}{draw.below(10**6):06}@{draw.of(_DOMAINS)}"

    return maker.other("email", text, make)


def _name_part(maker: Maker, part: str) -> str:
    return plain_letters(people.person_name(maker, part))


def phone(maker: Maker, text: str) -> str:
    """A number of the same form that is nobody's.

    North America: 555-0100 to 555-0199 of some area (reserved for fiction by the NANPA). United
    Kingdom: 07700 900000 to 900999 (Ofcom). Elsewhere the country code stays and the number
    begins with 00, which no subscriber's does.
    """
    if (found := _NANP.fullmatch(text)) is not None:
        return maker.other("phone", text, lambda draw: _north_american(text, found, draw))
    digits = [i for i, character in enumerate(text) if character.isdecimal()]
    kept = 0
    if text.lstrip().startswith("+"):
        kept = _COUNTRY_CODE_DIGITS

    def make(draw: Draw) -> str:
        made = list(same_form(text, draw))
        for at in digits[:kept]:
            made[at] = text[at]
        for at in digits[kept : kept + 2]:
            made[at] = "0"
        if _GB.match(text) and len(digits) - kept >= 10:  # a national number
            wanted = f"7700900{draw.below(1000):03}"
            for at, digit in zip(digits[-10:], wanted, strict=True):
                made[at] = digit
            if digits[kept] not in digits[-10:]:
                made[digits[kept]] = text[digits[kept]]
        return "".join(made)

    return maker.other("phone", text, make)


def _north_american(text: str, found: "re.Match[str]", draw: Draw) -> str:
    made = list(text)
    area = f"{2 + draw.below(8)}{draw.below(10)}{draw.below(10)}"
    for group, digits in ((1, area), (2, "555"), (3, f"01{draw.below(100):02}")):
        made[found.start(group) : found.end(group)] = digits
    return "".join(made)


def ip_address(maker: Maker, text: str) -> str:
    """An address of 240.0.0.0/4 (reserved, RFC 1112, section 4) or 2001:db8::/32 (RFC 3849)."""
    try:
        version = ipaddress.ip_address(text.strip()).version
    except ValueError:
        version = 4

    def make(draw: Draw) -> str:
        if version == 4:  # the version of the protocol
            return str(ipaddress.IPv4Address((0xF0 << 24) + draw.below(15 << 24)))
        return str(ipaddress.IPv6Address((0x20010DB8 << 96) + draw.below(1 << 96)))

    return maker.other("ip_address", text, make)


def mac_address(maker: Maker, text: str) -> str:
    """A locally administered address (IEEE 802, section 8.4) in the same form."""

    def make(draw: Draw) -> str:
        digits = f"{draw.below(1 << 48) & ~(1 << 40) | (2 << 40):012x}"
        made = iter(digits.upper() if text.isupper() else digits)
        return "".join(next(made, "0") if sign.isalnum() else sign for sign in text[:17])

    return maker.other("mac_address", text, make)


def url(maker: Maker, text: str) -> str:
    """An address below a domain of RFC 2606, different for different addresses."""
    return maker.other(
        "url", text, lambda draw: f"https://{draw.of(_DOMAINS)}/{draw.below(16**12):012x}"
    )
