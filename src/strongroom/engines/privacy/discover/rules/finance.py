"""Money: accounts and cards."""

import unicodedata

from stdnum import bic, iban, luhn

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

# Leading digits of the card networks (ISO/IEC 7812 ranges as published by the networks) with the
# lengths they issue: Visa, Mastercard, American Express, Discover, Diners Club, JCB, Maestro,
# UnionPay.
_CARD_PREFIXES = (
    ("4", (13, 16, 19)),
    *((str(prefix), (16,)) for prefix in (*range(51, 56), *range(2221, 2721))),
    ("34", (15,)), ("37", (15,)), ("6011", (16, 19)), ("65", (16, 19)),
    *((str(prefix), (16, 19)) for prefix in range(644, 650)),
    *((str(prefix), (14, 16)) for prefix in (*range(300, 306), 36, 38, 39)),
    *((str(prefix), (16, 19)) for prefix in range(3528, 3590)), ("2131", (15,)), ("1800", (15,)),
    *((prefix, tuple(range(12, 20))) for prefix in ("5018", "5020", "5038", "5893", "6304", "6759",
                                                  "6761", "6762", "6763")),
    ("62", (16, 17, 18, 19)), ("81", (16, 19)),
)  # fmt: skip
_LENGTHS_BY_PREFIX = dict(_CARD_PREFIXES)


def is_of_a_network(digits: str) -> bool:
    """True for leading digits and a length that a card network issues."""
    return any(
        len(digits) in _LENGTHS_BY_PREFIX.get(digits[:length], ()) for length in (1, 2, 3, 4)
    )


def is_card_number(text: str) -> bool:
    """True for a number of a card network's range and length with a right Luhn digit."""
    digits = "".join(str(unicodedata.digit(character)) for character in text if character.isdigit())
    return is_of_a_network(digits) and bool(luhn.is_valid(digits))


def _is_iban(text: str) -> bool:
    """True for a right length and check digits; the bank's own check digits are its business."""
    return bool(iban.is_valid(text, check_country=False))


RULES = (
    Rule(
        "iban",
        "international bank account number",
        Role.DIRECT,
        hipaa="J",
        headers=("iban", "bank account iban", "iban number", "iban code"),
        weak_headers=("account", "bank account", "account number", "konto", "kontonummer", "acct"),
        grammars=(
            Grammar(r"(?i)[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", 0.98, 0.99, _is_iban, 0.6),
            # The form alone: test data and typing errors have wrong check digits.
            Grammar(r"(?i)[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", 0.0, 0.9),
        ),
    ),
    Rule(
        "bic",
        "bank identifier code",
        Role.PLAIN,
        headers=("bic", "swift", "swift code", "bic code"),
        grammars=(Grammar(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", 0.0, 0.9, bic.is_valid),),
    ),
    Rule(
        "payment_card",
        "payment card number",
        Role.DIRECT,
        hipaa="J",
        headers=("credit card", "card number", "credit card number", "card no", "cc number", "ccn",
                 "cc num", "debit card", "creditcard", "cardnumber", "pan", "kreditkarte",
                 "kreditkartennummer", "carte bancaire", "tarjeta", "numero carte", "payment card",
                 "card num", "cc no", "card nbr"),
        weak_headers=("card", "cc", "carte", "karte"),
        # Luhn alone passes one number of ten; the network's prefix and length cut that to some
        # four in a hundred, and half a column of such is far from chance.
        grammars=(
            Grammar(r"\d{12,19}|\d{4}(?:[ -]\d{4}){2,3}(?:[ -]?\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{5}"
                    r"|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{3}", 0.95, 0.99, is_card_number, 0.6),
            Grammar(r"(?:[xX*]{4}[ -]?){3}\d{4}|[xX*]{8,12}\d{4}", 0.85, 0.95),
        ),
    ),
    Rule(
        "card_security_code",
        "card security code",
        Role.SECRET,
        headers=("cvv", "cvc", "cvv2", "card security code", "security code", "cvn"),
        plausible=r"\d{3,4}",
        header_confidence=0.9,
    ),
    Rule(
        "bank_account",
        "bank account number",
        Role.DIRECT,
        hipaa="J",
        headers=("bank account", "account number", "account no", "acct number", "acct no",
                 "kontonummer", "bank account number", "numero de compte", "numero de cuenta",
                 "bban", "account nbr", "rib"),
        weak_headers=("account", "acct", "konto"),
        plausible=r"(?i)[A-Z0-9][A-Z0-9 -]{4,33}",
    ),
)  # fmt: skip
