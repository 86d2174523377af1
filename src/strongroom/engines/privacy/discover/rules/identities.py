"""National identity, tax and social security numbers of further countries.

Checksums are python-stdnum's where it has them. Numbers that carry a date of birth, letters or two
check digits are told by their values alone; of the others nearly all of a column must pass, and
those whose check digit is shared with other numbers (Luhn of nine digits) need the column's name.
"""

from importlib import import_module

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_NEARLY_ALL, _MOST = 0.95, 0.85


def _number(
    name: str,
    title: str,
    pattern: str,
    check: str,
    *headers: str,
    alone: float = 0.93,
    share: float = _MOST,
    role: Role = Role.DIRECT,
    weak: tuple[str, ...] = ("national id", "id number", "tax id", "tax number", "identity number"),
) -> Rule:
    """A number that `check`, a module of python-stdnum, knows how to check."""
    is_valid = import_module(f"stdnum.{check}").is_valid
    return Rule(
        name, title, role, headers=headers, weak_headers=weak, hipaa="R",
        grammars=(Grammar(pattern, alone, 0.99, is_valid, share),),
    )  # fmt: skip


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_medicare_number(text: str) -> bool:
    """Australian Medicare card number: first digit 2 to 6, ninth a weighted sum modulo 10."""
    digits = "".join(filter(str.isdigit, text))
    return digits[0] in "23456" and _weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(
        digits[8]
    )


def is_german_insurance_number(text: str) -> bool:
    """Versicherungsnummer: area, date of birth, initial, serial number, check digit.

    Source: Verordnung über die Versicherungsnummer (VKVV), paragraphs 2 and 4.
    """
    signs = text.replace(" ", "").upper()
    letter = f"{ord(signs[8]) - 64:02}"
    digits = signs[:8] + letter + signs[9:11]
    total = 0
    for digit, weight in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True):
        product = int(digit) * weight
        total += product // 10 + product % 10
    return total % 10 == int(signs[11])


def is_singapore_number(text: str) -> bool:
    """NRIC or FIN of Singapore, by its check letter."""
    signs = text.upper()
    total = _weighted(signs[1:8], (2, 7, 6, 5, 4, 3, 2))
    total += {"T": 4, "G": 4, "M": 3}.get(signs[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK",
               "M": "XWUTRQPNJLK"}  # fmt: skip
    at = total % 11
    return signs[8] == letters[signs[0]][10 - at if signs[0] == "M" else at]


# Region, day (plus 40 for women), month, year, serial number.
_INDONESIAN = r"[1-9]\d{5}(?:[04][1-9]|[1256]\d|[37][01])(?:0[1-9]|1[0-2])\d{6}"


RULES = (
    _number("us_itin", "US individual taxpayer number", r"9\d{2}-?[4-9]\d-?\d{4}", "us.itin",
            "itin", "individual taxpayer identification number"),
    _number("us_ein", "US employer identification number", r"\d{2}-\d{7}", "us.ein",
            "ein", "employer identification number", "fein", alone=0.0),
    _number("uk_utr", "UK unique taxpayer reference", r"\d{10}K?|\d{5} \d{5}", "gb.utr",
            "utr", "unique taxpayer reference", alone=0.85, share=_NEARLY_ALL),
    Rule("de_insurance_number", "German social insurance number", Role.DIRECT, hipaa="R",
         headers=("sozialversicherungsnummer", "rentenversicherungsnummer", "sv nummer", "svnr",
                  "versicherungsnummer", "rvnr"),
         grammars=(Grammar(r"\d{2} ?(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2} ?[A-Z] ?\d{3}",
                           0.95, 0.99, is_german_insurance_number, _MOST),)),
    _number("be_national_number", "Belgian national number",
            r"\d{2}[.]?\d{2}[.]?\d{2}-?\d{3}[.]?\d{2}", "be.nn",
            "rijksregisternummer", "numero national", "niss", "insz"),
    _number("dk_cpr", "Danish CPR number", r"\d{6}-?\d{4}", "dk.cpr",
            "cpr", "cpr nr", "cpr nummer", "personnummer", alone=0.88, share=_NEARLY_ALL),
    _number("no_birth_number", "Norwegian birth number", r"\d{6} ?\d{5}", "no.fodselsnummer",
            "fodselsnummer", "fnr", "personnummer"),
    _number("pt_nif", "Portuguese tax number", r"[1-35689]\d{8}|[1-35689]\d{2} \d{3} \d{3}",
            "pt.nif", "nif", "contribuinte", "nif numero", alone=0.7, share=_NEARLY_ALL),
    _number("pt_citizen_card", "Portuguese citizen card", r"\d{8} ?\d ?[A-Z0-9]{2}\d", "pt.cc",
            "cartao de cidadao", "cc numero"),
    _number("ro_cnp", "Romanian CNP", r"[1-9]\d{12}", "ro.cnp", "cnp", "cod numeric personal"),
    _number("br_cnpj", "Brazilian company number",
            r"\d{14}|\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", "br.cnpj", "cnpj", role=Role.PLAIN),
    _number("in_pan", "Indian permanent account number", r"(?i)[A-Z]{5}\d{4}[A-Z]", "in_.pan",
            "pan card", "permanent account number", "pan number", "pan no"),
    _number("in_voter_id", "Indian voter number", r"(?i)[A-Z]{3}\d{7}", "in_.epic",
            "voter id", "epic no", "epic"),
    _number("cn_resident_id", "Chinese resident number", r"[1-9]\d{16}[\dXx]", "cn.ric",
            "resident id", "shenfenzheng", "id card no", alone=0.97),
    _number("jp_my_number", "Japanese My Number", r"\d{12}|\d{4}[ -]\d{4}[ -]\d{4}", "jp.in_",
            "my number", "kojin bango", alone=0.85, share=_NEARLY_ALL),
    _number("kr_rrn", "Korean resident number", r"\d{6}-?\d{7}", "kr.rrn",
            "rrn", "jumin", "resident registration number"),
    _number("au_tfn", "Australian tax file number", r"\d{8,9}|\d{3} \d{3} \d{2,3}", "au.tfn",
            "tfn", "tax file number", alone=0.8, share=_NEARLY_ALL),
    Rule("au_medicare_number", "Australian Medicare number", Role.DIRECT, hipaa="I",
         headers=("medicare", "medicare number", "medicare no", "medicare card"),
         grammars=(Grammar(r"[2-6]\d{9,10}|[2-6]\d{3} \d{5} \d(?: ?/? ?\d)?", 0.85, 0.99,
                           is_medicare_number, _NEARLY_ALL),)),
    _number("mx_curp", "Mexican CURP", r"(?i)[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d", "mx.curp",
            "curp", alone=0.97),
    _number("mx_rfc", "Mexican RFC", r"(?i)[A-ZÑ&]{4}\d{6}[A-Z0-9]{3}", "mx.rfc", "rfc"),
    _number("za_identity_number", "South African identity number", r"\d{13}", "za.idnr",
            "sa id", "rsa id", "id nommer"),
    _number("at_insurance_number", "Austrian social insurance number", r"\d{4} ?\d{6}", "at.vnr",
            "sozialversicherungsnummer", "svnr", "sv nr", "vsnr", alone=0.88, share=_NEARLY_ALL),
    _number("tr_identity_number", "Turkish identity number", r"[1-9]\d{10}", "tr.tckimlik",
            "tc kimlik", "tckn", "kimlik no", "tc no"),
    _number("il_identity_number", "Israeli identity number", r"\d{9}", "il.idnr",
            "teudat zehut", "israeli id", alone=0.0),
    _number("bg_egn", "Bulgarian EGN", r"\d{10}", "bg.egn", "egn"),
    _number("cz_birth_number", "Czech or Slovak birth number", r"\d{6}/?\d{3,4}", "cz.rc",
            "rodne cislo", "rc", "birth number"),
    _number("ee_personal_code", "Estonian personal code", r"[1-8]\d{10}", "ee.ik", "isikukood"),
    _number("lt_personal_code", "Lithuanian personal code", r"[1-9]\d{10}", "lt.asmens",
            "asmens kodas"),
    _number("hr_oib", "Croatian OIB", r"\d{11}", "hr.oib", "oib", alone=0.85, share=_NEARLY_ALL),
    _number("ie_pps", "Irish PPS number", r"(?i)\d{7}[A-W][A-IW]?", "ie.pps",
            "pps", "ppsn", "pps number"),
    _number("is_kennitala", "Icelandic kennitala", r"\d{6}-?\d{4}", "is_.kennitala",
            "kennitala", "kt"),
    _number("gr_amka", "Greek AMKA", r"\d{11}", "gr.amka", "amka"),
    _number("si_emso", "EMŠO of Slovenia and its neighbours", r"\d{13}", "si.emso",
            "emso", "jmbg"),
    _number("ar_cuit", "Argentine CUIT or CUIL", r"\d{2}-?\d{8}-?\d", "ar.cuit", "cuit", "cuil"),
    _number("cl_rut", "Chilean RUT", r"(?i)\d{1,2}\.?\d{3}\.?\d{3}-[\dK]", "cl.rut",
            "rut", "run", "rol unico tributario"),
    _number("my_nric", "Malaysian identity card", r"\d{6}-\d{2}-\d{4}", "my.nric",
            "mykad", "ic no", "nric"),
    _number("th_pin", "Thai personal number", r"[1-8]\d{12}|[1-8]-\d{4}-\d{5}-\d{2}-\d", "th.pin",
            "thai id", "bat prachachon"),
    _number("ua_tax_number", "Ukrainian taxpayer number", r"\d{10}", "ua.rntrc",
            "rnokpp", "ipn", "rntrc", alone=0.85, share=_NEARLY_ALL),
    _number("ru_inn", "Russian tax number of a person", r"\d{12}", "ru.inn", "inn"),
    _number("pk_cnic", "Pakistani identity card", r"\d{5}-\d{7}-\d", "pk.cnic", "cnic"),
    _number("ec_ci", "Ecuadorian identity card", r"\d{10}", "ec.ci", "cedula", alone=0.85,
            share=_NEARLY_ALL),
    _number("nz_ird", "New Zealand tax number", r"\d{8,9}|\d{2,3}-\d{3}-\d{3}", "nz.ird",
            "ird", "ird number", alone=0.7, share=_NEARLY_ALL),
    Rule("id_nik", "Indonesian identity number", Role.DIRECT, hipaa="R",
         headers=("nik", "no ktp", "ktp"), weak_headers=("national id",),
         grammars=(Grammar(_INDONESIAN, 0.88, 0.99, None, _NEARLY_ALL),)),
    Rule("sg_nric", "Singaporean NRIC or FIN", Role.DIRECT, hipaa="R",
         headers=("nric", "fin number", "nric fin"), weak_headers=("national id", "fin"),
         grammars=(Grammar(r"(?i)[STFGM]\d{7}[A-Z]", 0.95, 0.99, is_singapore_number, _MOST),)),
    Rule("hk_identity_card", "Hong Kong identity card", Role.DIRECT, hipaa="R",
         headers=("hkid", "hk id"), weak_headers=("national id", "id number"),
         grammars=(Grammar(r"(?i)[A-Z]{1,2}\d{6}\([0-9A]\)", 0.95, 0.99, None, _MOST),)),
)  # fmt: skip
