"""Numbers that stand for one person: national, tax and social security numbers, and of records.

Checksums are python-stdnum's. A number of digits alone passes a one-digit checksum by chance in
one case of ten or eleven, so such a column counts only when nearly all of it passes.
"""

from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as swiss_ssn
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.us import ssn

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_NATIONAL_HEADERS = (
    "national id", "national id number", "national identifier", "identity number", "id number",
    "personal number", "personal id", "citizen id", "identity card", "id card", "id card number",
    "insurance number", "national insurance number", "nino", "nino number", "tax id",
    "tax number", "tin", "taxpayer id", "steuer id", "steueridentifikationsnummer", "dni", "nif",
    "nie", "codice fiscale", "bsn", "burgerservicenummer", "nir", "numero securite sociale",
    "cpf", "aadhaar", "aadhar", "pesel", "personnummer", "fodselsnummer", "hetu", "sin",
    "social insurance number", "ahv", "ahv nummer", "ausweisnummer", "personalausweis", "curp",
    "cnp", "egn", "ssn fr", "insee", "sozialversicherungsnummer", "rrn", "nric",
)  # fmt: skip


def _national(name: str, title: str, *grammars: Grammar, headers: tuple[str, ...] = ()) -> Rule:
    return Rule(
        name, title, Role.DIRECT, headers=headers, grammars=grammars, hipaa="R",
        weak_headers=_NATIONAL_HEADERS,
    )  # fmt: skip


def _is_nino(text: str) -> bool:
    """UK National Insurance number: prefixes that were never given are refused."""
    prefix = text[:2].upper()
    return prefix not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


RULES = (
    Rule(
        "us_ssn",
        "US Social Security number",
        Role.DIRECT,
        hipaa="G",
        headers=("ssn", "social security number", "social security", "soc sec", "social sec no",
                 "socialsecuritynumber", "ss number", "social security no", "us ssn", "ssn number"),
        weak_headers=("social", "ss", "tax id", "tin", "national id", "id number"),
        grammars=(
            Grammar(r"\d{3}-\d{2}-\d{4}", 0.93, 0.99, ssn.is_valid, 0.8),
            Grammar(r"\d{3} \d{2} \d{4}", 0.75, 0.98, None, 0.8),
            Grammar(r"[0-8]\d{6,8}(?:\.0)?", 0.0, 0.92),
            Grammar(r"(?:[xX*]{3}-?[xX*]{2}-?\d{4})", 0.8, 0.95),
        ),
    ),
    _national("uk_nhs_number", "UK NHS number",
              Grammar(r"\d{10}|\d{3}[ -]\d{3}[ -]\d{4}", 0.9, 0.98, nhs.is_valid, 0.9),
              headers=("nhs", "nhs number", "nhs no")),
    _national("uk_nino", "UK National Insurance number",
              Grammar(r"(?i)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
                      0.93, 0.99, _is_nino, 0.8),
              headers=("nino", "national insurance number", "ni number")),
    _national("de_tax_id", "German tax identification number",
              Grammar(r"\d{11}|\d{2} \d{3} \d{3} \d{3}", 0.93, 0.99, idnr.is_valid, 0.9)),
    _national("fr_nir", "French social security number",
              Grammar(r"[12][ ]?\d{2}[ ]?(?:0\d|1[0-2]|[2-9]\d)[ ]?\d[0-9AB][ ]?\d{3}[ ]?\d{3}"
                      r"[ ]?\d{2}", 0.95, 0.99, nir.is_valid, 0.8)),
    _national("es_dni", "Spanish DNI or NIE",
              Grammar(r"(?i)\d{8}[ -]?[A-Z]", 0.95, 0.99, dni.is_valid, 0.8),
              Grammar(r"(?i)[XYZ]-?\d{7}-?[A-Z]", 0.95, 0.99, nie.is_valid, 0.8)),
    _national("it_fiscal_code", "Italian fiscal code",
              Grammar(r"(?i)[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z]"
                      r"[0-9LMNP-V]{3}[A-Z]", 0.97, 0.99, codicefiscale.is_valid, 0.8)),
    _national("nl_bsn", "Dutch citizen service number",
              Grammar(r"\d{9}|\d{4}\.\d{2}\.\d{3}", 0.88, 0.98, bsn.is_valid, 0.95),
              headers=("bsn", "burgerservicenummer")),
    _national("br_cpf", "Brazilian CPF",
              Grammar(r"\d{11}|\d{3}\.\d{3}\.\d{3}-\d{2}", 0.95, 0.99, cpf.is_valid, 0.9)),
    _national("in_aadhaar", "Indian Aadhaar number",
              Grammar(r"[2-9]\d{11}|[2-9]\d{3}[ -]\d{4}[ -]\d{4}", 0.9, 0.98, aadhaar.is_valid,
                      0.95)),
    _national("pl_pesel", "Polish PESEL",
              Grammar(r"\d{11}", 0.93, 0.99, pesel.is_valid, 0.9)),
    _national("se_personal_number", "Swedish personal identity number",
              Grammar(r"(?:19|20)?\d{6}[-+]?\d{4}", 0.93, 0.99, personnummer.is_valid, 0.9)),
    _national("fi_hetu", "Finnish personal identity code",
              Grammar(r"(?i)\d{6}[-+ABCDEFYXWVU]\d{3}[0-9A-Y]", 0.95, 0.99, hetu.is_valid, 0.8)),
    _national("ch_ahv", "Swiss social security number",
              Grammar(r"756\.?\d{4}\.?\d{4}\.?\d{2}", 0.97, 0.99, swiss_ssn.is_valid, 0.8)),
    _national("ca_sin", "Canadian social insurance number",
              Grammar(r"\d{3}[ -]\d{3}[ -]\d{3}", 0.93, 0.99, sin.is_valid, 0.9),
              Grammar(r"\d{9}", 0.0, 0.95, sin.is_valid, 0.9)),
    Rule(
        "national_id",
        "national identity number of some country",
        Role.DIRECT,
        hipaa="R",
        headers=_NATIONAL_HEADERS,
        plausible=r"(?i)[A-Z0-9][A-Z0-9 ./-]{4,24}",
        header_confidence=0.75,
    ),
    Rule(
        "customer_number",
        "number of a person in somebody's records",
        Role.DIRECT,
        hipaa="J",
        headers=("customer id", "customer number", "client id", "client number", "member id",
                 "member number", "employee id", "employee number", "staff number", "student id",
                 "kundennummer", "personalnummer", "user id", "person id", "subject id",
                 "participant id", "account id", "policy number", "badge number", "loyalty number",
                 "applicant id"),
        plausible=r"(?i)[A-Z0-9][A-Z0-9._/-]{0,39}",
        header_confidence=0.75,
    ),
)  # fmt: skip
