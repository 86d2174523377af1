"""Stand-ins for numbers and codes: of the same form, with a check digit that is wrong or right."""

import re

import re2

from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.mask.drawing import Draw, same_form
from strongroom.engines.privacy.mask.standins.maker import MANY_ATTEMPTS, Maker

CAN_BE_VALID = frozenset(
    """
    br_cpf ca_sin ch_ahv es_dni iban in_aadhaar nl_bsn payment_card uk_nhs_number us_ssn
    """.split()  # noqa: SIM905 # a list of words reads better so
)
"""Types for which `checksum = "valid"` may be asked."""
_KEPT_START = {"iban": re.compile(r"\s*[A-Za-z]{2}"), "ch_ahv": re.compile(r"\s*756")}
_NEVER_GIVEN = {"us_ssn": "9"}
"""First digits of numbers that nobody has (SSA, POMS RM 10201.035); found so without trying."""
_NO_DIGITS = re.compile(r"\D")
_FIRST_DIGIT = re.compile(r"\d")
_DOUBLED = str.maketrans("0123456789", "0246813579")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F-]{16,}")


def number(maker: Maker, text: str, type_name: str) -> str:
    """Another number of the same form; what `checksum` says holds where the type has a check.

    The country of an IBAN stays. Types without a check can meet a number that somebody has.
    """
    start = _KEPT_START.get(type_name)
    found = start.match(text) if start is not None else None
    kept = found[0] if found is not None else ""
    wants_valid = maker.rule.checksum == "valid" and type_name in CAN_BE_VALID

    given_never = None if wants_valid else _NEVER_GIVEN.get(type_name)

    def make(draw: Draw) -> str:
        made = kept + same_form(text[len(kept) :], draw)
        return made if given_never is None else _FIRST_DIGIT.sub(given_never, made, count=1)

    def accept(made: str) -> bool:
        if wants_valid:
            return is_valid(type_name, made)
        # A value passes a check wherever it is valid.
        return not (passes(type_name, made) if type_name in CAN_BE_VALID
                    else has_check(type_name) and is_valid(type_name, made))  # fmt: skip

    return maker.other(type_name, text, make, accept=accept, attempts=MANY_ATTEMPTS)


def code(maker: Maker, text: str, domain: str) -> str:
    """Another code of the same form; hexadecimal ones stay hexadecimal."""
    if _HEXADECIMAL.fullmatch(text):
        digits = "0123456789ABCDEF" if text.isupper() else "0123456789abcdef"
        return maker.other(
            domain, text, lambda draw: "".join(c if c == "-" else draw.of(digits) for c in text)
        )
    return maker.other(domain, text, lambda draw: same_form(text, draw))


def has_check(type_name: str) -> bool:
    """True for types with a check that the form alone does not tell."""
    rule = RULES_BY_NAME.get(type_name)
    return rule is not None and any(grammar.check for grammar in rule.grammars)


def passes(type_name: str, text: str) -> bool:
    """True where `text` passes a check of the type, whatever its form."""
    if type_name == "payment_card":
        return _passes_luhn(text)  # also where no card begins so
    if type_name == "iban" and not _passes_mod_97(text):
        return False
    return any(
        grammar.check is not None and grammar.check(text)
        for grammar in RULES_BY_NAME[type_name].grammars
    )


def _passes_luhn(text: str) -> bool:
    """The check of the digits in a text (ISO/IEC 7812-1, annex B)."""
    digits = _NO_DIGITS.sub("", text)[::-1]
    return sum(map(int, digits[::2] + digits[1::2].translate(_DOUBLED))) % 10 == 0


def _passes_mod_97(text: str) -> bool:
    """The check of an account number (ISO 13616-1), whatever its country and length."""
    plain = "".join(filter(str.isalnum, text))
    try:
        return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1
    except ValueError:
        return True  # signs of other alphabets: the grammars say


def is_valid(type_name: str, text: str) -> bool:
    """True where `text` is a well-formed value of the type and passes its check."""
    return any(
        grammar.check is not None
        and re2.fullmatch(grammar.pattern, text) is not None
        and grammar.check(text)
        for grammar in RULES_BY_NAME[type_name].grammars
    )
