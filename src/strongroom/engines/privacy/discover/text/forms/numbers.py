"""Numbers that stand for a person, an account or a telephone, by their form and check digits."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

import re

import phonenumbers
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as swiss_ssn
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.se import personnummer

from strongroom.engines.privacy.discover.rules.finance import is_of_a_network
from strongroom.engines.privacy.discover.text.forms.form import Form

_IBAN_COUNTRIES = frozenset(
    """
    AD AE AL AT AZ BA BE BG BH BR BY CH CR CY CZ DE DK DO EE EG ES FI FO FR GB GE GI GL GR GT HR
    HU IE IL IQ IS IT JO KW KZ LB LC LI LT LU LV MC MD ME MK MR MT MU NL NO PK PL PS PT QA RO RS
    SA SC SE SI SK SM ST SV TL TN TR UA VA VG XK
    """.split()  # noqa: SIM905 # a list of words reads better so
)
_REGIONS = ("US", "GB", "DE", "FR")
# Linear: no part can be matched in two ways.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}-\d{2}-\d{4}|(?:19|20)\d{2}(?:[ -](?:19|20)\d{2})?.*")
_LETTERS_AS_NUMBERS = {ord(letter): str(int(letter, 36)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_VIN_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9, *range(10)), strict=True)
)  # fmt: skip
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


_DIGITS = frozenset("0123456789")
_NO_DIGITS = dict.fromkeys(code for code in range(0x100) if chr(code) not in _DIGITS)
_DOUBLING = bytes.maketrans(bytes(range(10)), bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))


def _digits(text: str) -> str:
    return text if text.isdigit() else text.translate(_NO_DIGITS)


def _is_luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right counts twice."""
    values = _digits(text).encode().translate(_VALUES)
    return (sum(values[-1::-2]) + sum(values[-2::-2].translate(_DOUBLING))) % 10 == 0


def _is_card(text: str) -> bool:
    return _is_luhn(text) and is_of_a_network(_digits(text))


def _is_iban_form(text: str) -> bool:
    """A form of an IBAN with a country's letters; typing errors have wrong check digits."""
    joined = text.replace(" ", "").replace("-", "")
    return joined[:2].upper() in _IBAN_COUNTRIES and 14 <= len(joined) <= 34


def _is_iban(text: str) -> bool:
    """Remainder 1 of 97 with letters as numbers and the first four signs last (ISO 13616)."""
    if not _is_iban_form(text):
        return False
    joined = text.replace(" ", "").replace("-", "").upper()
    return int((joined[4:] + joined[:4]).translate(_LETTERS_AS_NUMBERS)) % 97 == 1


def _is_ssn(text: str) -> bool:
    """Area, group and serial were never all zero (SSA); 666 and 000 were never given."""
    digits = _digits(text)
    return digits[:3] not in ("000", "666") and digits[3:5] != "00" and digits[5:] != "0000"


def _is_vin(text: str) -> bool:
    """49 CFR 565.15(c), the check digit in the ninth place."""
    if text.isdigit() or text.isalpha():
        return False
    total = sum(
        _VIN_VALUES.get(character, 0) * weight
        for character, weight in zip(text.upper(), _VIN_WEIGHTS, strict=True)
    )
    return text[8].upper() == "0123456789X"[total % 11]


def _is_dea(text: str) -> bool:
    """Check digit of a DEA number: last digit of d1+d3+d5 + 2(d2+d4+d6)."""
    d = [int(character) for character in _digits(text)]
    return (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]


# Numbers with a fraction, alone or beside each other: 0.31622776601, 12.02  49.54.
_FRACTIONS = re.compile(r"-?\d{1,4}\.\d+(?:\s{1,3}-?\d{1,4}\.\d+)*")


def _is_dialled(text: str) -> bool:
    return _FRACTIONS.fullmatch(text) is None and len(set(_digits(text))) > 1


def _has_phone_length(text: str) -> bool:
    number = text.lower().partition("x")[0] if text[-1] not in _DIGITS or "x" in text else text
    return 7 <= len(_digits(number)) <= 15


def _is_phone(text: str) -> bool:
    """True for a number that one of a few numbering plans has: for forms without a plus."""
    if not _has_phone_length(text) or _DATE.fullmatch(text) is not None:
        return False
    for region in _REGIONS:
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            return False
        if phonenumbers.is_valid_number(number):
            return True
    return False


_TELEPHONE = r"(?i)\btel|phone|\bph\b|fon|mobil|\bcell|handy|\bfax|\bcall|contact|reach|whatsapp|\bsms|\btext|\b[tm]:|\bruf|llam|chiam|appel|\bbel|messag|answer"
_EXTENSION = r"(?:[ ,]{0,2}(?i:x|ext\.?|extension|#)\s?\d{1,6})?"
_SSN = r"(?i)ssn|social|soc\.? ?sec|tax|itin|tin\b|security n"

FORMS = (
    Form("iban", r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,4})?\b", 0.98, _is_iban, "", "checksum"),
    Form("iban", r"\b[A-Z]{2}\d{2}[ -]?[A-Z0-9]{4}[ -]?(?:\d{4}[ -]?){1,6}[A-Z0-9]{0,4}\b", 0.88, _is_iban_form),
    Form("payment_card", r"\b\d(?:[ -]?\d){11,}\b", 0.97, _is_card, "", "checksum"),
    Form("payment_card", r"\b\d{4}(?:[ .-]\d{4}){3}(?:[ .-]\d{1,3})?\b|\b3\d{3}[ -]\d{6}[ -]\d{5}\b", 0.85),
    Form("payment_card", r"\b\d{4}(?:[ .*-]{0,2}\d{4}){3}\b", 0.9, _is_luhn, "", "checksum"),
    Form("payment_card", r"(?:[xX*]{4}[ -]?){3}\d{4}\b", 0.85),
    Form("phone", r"\b(?:1 )?\d(?: \d){9}\b", 0.8),
    Form("us_ssn", r"\b\d{3}-\d{2}-\d{4}\b", 0.95, _is_ssn),
    Form("us_ssn", r"\b\d{3}\s?[ .\x02/_-]\s?\d{2}\s?[ .\x02/_-]\s?\d{4}\b", 0.85, _is_ssn),
    Form("us_ssn", r"(?:[xX*]{3}-?[xX*]{2}-?\d{4})\b", 0.85),
    Form("us_ssn", r"\b\d \d \d ?-? ?\d \d ?-? ?\d \d \d \d\b", 0.8, _is_ssn),
    Form("uk_nino", r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b", 0.93),
    Form("es_dni", r"\b\d{8}[ -]?[A-Za-z]\b", 0.94, dni.is_valid, "", "checksum"),
    Form("es_dni", r"\b[XYZxyz]-?\d{7}-?[A-Za-z]\b", 0.94, nie.is_valid, "", "checksum"),
    Form("it_fiscal_code", r"(?i)\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b", 0.96, codicefiscale.is_valid, "", "checksum"),
    Form("it_fiscal_code", r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", 0.88),
    Form("fr_nir", r"\b[12][ ]?\d{2}[ ]?(?:0\d|1[0-2]|[2-9]\d)[ ]?\d[0-9AB][ ]?\d{3}[ ]?\d{3}[ ]?\d{2}\b", 0.95, nir.is_valid, "", "checksum"),
    Form("br_cpf", r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", 0.95, cpf.is_valid, "", "checksum"),
    Form("br_cpf", r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", 0.8),
    Form("ch_ahv", r"\b756\.?\d{4}\.?\d{4}\.?\d{2}\b", 0.96, swiss_ssn.is_valid, "", "checksum"),
    Form("in_aadhaar", r"\b[2-9]\d{3}[ -]\d{4}[ -]\d{4}\b", 0.93, aadhaar.is_valid, "", "checksum"),
    Form("ca_sin", r"\b\d{3}[ -]\d{3}[ -]\d{3}\b", 0.85, sin.is_valid, "", "checksum"),
    Form("se_personal_number", r"\b(?:19|20)?\d{6}[-+]\d{4}\b", 0.92, personnummer.is_valid, "", "checksum"),
    Form("fi_hetu", r"(?i)\b\d{6}[-+ABCDEFYXWVU]\d{3}[0-9A-Y]\b", 0.93, hetu.is_valid, "", "checksum"),
    Form("vin", r"\b[A-HJ-NPR-Z0-9]{17}\b", 0.95, _is_vin, "", "checksum"),
    Form("prescriber_number", r"\b[A-Z][A-Z9]\d{7}\b", 0.85, _is_dea, "", "checksum"),
    Form("health_insurance_number", r"(?i)\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}\b", 0.93),
    Form("phone", rf"\+[1-9]\d{{0,2}}[ .\-/]{{0,3}}(?:\(?0?\d{{1,5}}\)?[ .\-/]{{0,3}}){{1,6}}\d{{2,}}\b{_EXTENSION}", 0.95, _has_phone_length),
    Form("phone", rf"\b00[1-9]\d{{0,2}}[ .\-/]{{0,3}}(?:\(?0?\d{{1,5}}\)?[ .\-/]{{0,3}}){{1,6}}\d{{2,}}\b{_EXTENSION}", 0.86, _has_phone_length),
    Form("phone", rf"\(\s?\d{{2,5}}\s?\)[ .-]{{0,2}}\d{{2,4}}(?:[ .-]{{1,2}}\d{{2,5}}){{0,3}}\b{_EXTENSION}", 0.93, _has_phone_length),
    Form("phone", rf"\b(?:1[ .-])?[2-9]\d{{2}}[ .-]{{1,3}}\d{{3}}[ .-]{{1,3}}\d{{4}}\b{_EXTENSION}", 0.92),
    Form("phone", r"\b\d{3}[.-]\d{3}[.-]\d{4}\b", 0.85),
    Form("phone", rf"\b0\d{{1,5}}[ /.-]{{1,2}}(?:\d{{4,5}}|\d{{2,5}}[ .-]\d{{2,5}})(?:[ .-]\d{{2,5}}){{0,3}}\b{_EXTENSION}", 0.85, _is_phone, unless=r"\b[A-Z]{2},? $"),  # MA 02134-1234
    Form("phone", r"\b0\d(?:[ .-]\d{2}){4}\b", 0.92),
    Form("phone", r"\b[2-9]\d{2}[2-9]\d{6}\b", 0.55),
    # Letters in place of figures: 4l5-555-O123.
    Form("phone", r"(?:\([0-9OolI|]{3}\) ?|\b[0-9OolI|]{3}[ .-])[0-9OolI|]{3}[ .-][0-9OolI|]{4}\b", 0.89, lambda text: sum(map(str.isdigit, text)) >= 5),
    Form("us_ssn", r"\b[0-9OolI|]{3}-[0-9OolI|]{2}-[0-9OolI|]{4}\b", 0.8, lambda text: sum(map(str.isdigit, text)) >= 5),
)  # fmt: skip
# Many numbers look like these: they are looked for only behind words that tell what they are.
NEAR = (
    Form("iban", r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{1,4}){3,8}\b", 0.9, _is_iban_form, r"(?i)iban|konto|bank|account|compte|cuenta|conto"),
    Form("payment_card", r"\b\d(?:[ -]?\d){11,}\b", 0.85, None, r"(?i)card|visa|master|amex|american express|discover|credit|debit|\bcc\b|kredit|carte|tarjeta|carta|cartao|maestro|diners|jcb|\bpan\b", "context"),
    Form("us_ssn", r"\b\d{3}[ .-]{0,3}\d{2}[ .-]{0,3}\d{4}\b", 0.92, None, _SSN, "context"),
    Form("us_ssn", r"\b\d(?:[ -]{1,2}\d){8}\b", 0.8, _is_ssn, _SSN, "context"),
    Form("uk_nhs_number", r"\b\d{3}[ -]?\d{3}[ -]?\d{4}\b", 0.95, None, r"(?i)\bnhs", "context"),
    Form("phone", r"\b\d{3}-\d{4}\b", 0.72, None, _TELEPHONE, "context"),
    Form("phone", r"\b\d(?:[ .-]{0,3}\d){6,14}\b", 0.88, _is_dialled, _TELEPHONE, "context"),
)  # fmt: skip
