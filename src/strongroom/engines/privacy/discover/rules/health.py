"""Health: records, insurance and conditions."""

from stdnum import luhn, verhoeff

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.diagnoses import ILLNESS, is_icd_category
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule


def is_npi(text: str) -> bool:
    """US National Provider Identifier: Luhn over 80840 and the number (45 CFR 162.406)."""
    return bool(luhn.is_valid("80840" + text))


def is_dea(text: str) -> bool:
    """US Drug Enforcement Administration number, by its check digit."""
    digits = [int(digit) for digit in text[2:]]
    total = sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])
    return total % 10 == digits[6]


def is_loinc(text: str) -> bool:
    """LOINC code: the check digit behind the hyphen is Luhn's."""
    return bool(luhn.is_valid(text.replace("-", "")))


def is_snomed(text: str) -> bool:
    """SNOMED CT concept: Verhoeff digit, before it the partition of concepts, 00 or 10."""
    return text[-3:-1] in {"00", "10"} and bool(verhoeff.is_valid(text))


_WORDS = r"[\pL\pM0-9][\pL\pM0-9 .,;:&'\x{2019}/()+%-]*"

RULES = (
    Rule(
        "medical_record_number",
        "medical record number",
        Role.DIRECT,
        hipaa="H",
        headers=("medical record number", "medical record", "mrn", "patient id", "patient number",
                 "record number", "hospital number", "patientennummer", "fallnummer",
                 "chart number", "medical record no", "pat id", "patid", "patient no",
                 "patient mrn", "encounter id", "numero de dossier", "historia clinica",
                 "pat no", "pat nr", "pt no", "pt id", "patienten nr", "chart no", "patient nr"),
        weak_headers=("pid", "hadm id", "case id"),
        grammars=(
            Grammar(r"(?i)mrn[-: #]?\d{4,12}", 0.93, 0.99),
            Grammar(r"(?i)[A-Z]{0,5}[- ]?\d[\d-]{2,14}(?:\.0)?", 0.0, 0.95),
        ),
        plausible=r"(?i)[A-Z0-9][A-Z0-9./_-]{2,39}",
    ),
    Rule(
        "health_insurance_number",
        "health plan number",
        Role.DIRECT,
        hipaa="I",
        headers=("health plan number", "insurance id", "insurance member id", "medicare number",
                 "medicaid id", "beneficiary number", "health insurance number", "subscriber id",
                 "versichertennummer", "krankenversichertennummer", "mbi", "health card number",
                 "numero de mutuelle", "insurance policy number", "kvnr",
                 "insurance number", "mutuelle", "tarjeta sanitaria", "tessera sanitaria",
                 "ohip", "carte vitale", "health plan id", "plan member id", "insurance no"),
        grammars=(
            # Medicare Beneficiary Identifier (CMS): letters S, L, O, I, B, Z are not used.
            Grammar(r"(?i)[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y]"
                    r"[AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}", 0.93, 0.99),
        ),
        plausible=r"(?i)[A-Z0-9][A-Z0-9 ./_-]{4,29}",
    ),
    Rule(
        "health_condition",
        "health condition",
        Role.SPECIAL,
        headers=("diagnosis", "disease", "condition", "medical condition", "diagnose", "allergy",
                 "allergies", "disability", "illness", "medication", "symptom", "symptoms",
                 "procedure", "hiv status", "treatment", "diagnostic", "diagnostico", "blood type",
                 "blood group", "health status", "comorbidities", "krankheit", "erkrankung",
                 "behinderung", "medikament", "medikation", "blutgruppe", "maladie", "handicap",
                 "enfermedad", "discapacidad", "alergias", "malattia", "patologia", "ziekte",
                 "doenca", "choroba", "diagnosi", "pregnant", "pregnancy", "schwanger", "enceinte",
                 "smoking status", "prescription", "drug name", "medicines", "chief complaint",
                 "admission reason", "cause of death", "mental health", "dx"),
        grammars=(
            Grammar(ILLNESS, 0.85, 0.97, None, 0.55, 4),
            Grammar(r"(?:A|B|AB|O|0)(?:[+-]|\s?(?:pos|neg|Rh[+-]|positive|negative))", 0.9, 0.98,
                    None, 0.9, 4),
        ),
        plausible=_WORDS,
        header_confidence=0.8,
    ),
    Rule(
        "clinical_code",
        "code of a diagnosis, drug, test or procedure",
        Role.SPECIAL,
        headers=("icd", "icd 10", "icd10", "icd 9", "icd9", "icd code", "icd10 code", "icd9 code",
                 "diagnosis code", "diag code", "dx code", "diag cd", "dx cd", "dgns cd",
                 "icd cd", "icd 10 cm", "icd 10 gm", "cim 10", "cie 10", "cid 10",
                 "atc", "atc code", "loinc", "loinc code", "snomed", "snomed code", "snomed ct",
                 "sctid", "cpt", "cpt code", "hcpcs", "ndc", "ndc code", "drg", "procedure code",
                 "ops code", "icpc", "read code", "rxnorm", "rxcui", "diagnoseschlussel",
                 "orpha code"),
        grammars=(
            # ICD-10 with its decimal part; without it the form is too common, and with it other
            # codes have it too: nearly all must be of a category that there is.
            Grammar(r"[A-Z]\d[0-9AB]\.[0-9A-TV-Z]{1,4}", 0.8, 0.97, is_icd_category, 0.95),
            # ATC (WHO): anatomical letter, group, two letters, substance.
            Grammar(r"[ABCDGHJLMNPRSV]\d{2}[A-Z]{2}\d{2}", 0.9, 0.98, None, 0.9),
            Grammar(r"\d{1,5}-\d", 0.85, 0.98, is_loinc, 0.95),
            Grammar(r"[1-9]\d{5,17}", 0.85, 0.98, is_snomed, 0.95),
            Grammar(r"\d{5}-\d{4}-\d{2}|\d{4}-\d{4}-\d{2}|\d{5}-\d{3}-\d{2}", 0.8, 0.97, None, 0.9),
            Grammar(r"(?i)[A-Z]\d{2,3}[A-Z]?|\d{3}(?:\.\d{1,2})?|[EV]\d{2,3}(?:\.\d{1,2})?"
                    r"|\d{4,5}[A-Z]?|[A-Z]\d{4}", 0.0, 0.95),
        ),
        plausible=r"(?i)[A-Z0-9][A-Z0-9.+*/-]{1,17}",
        header_confidence=0.85,
    ),
    Rule(
        "biometric",
        "biometric data",
        Role.SPECIAL,
        hipaa="P",
        headers=("fingerprint", "retina scan", "iris scan", "face embedding", "voice print",
                 "voiceprint", "biometric", "biometric template", "face template", "palm print",
                 "fingerabdruck", "empreinte digitale", "huella dactilar", "facial features",
                 "gait signature", "finger print", "iris code"),
        plausible=r"(?s).{1,4096}",
        header_confidence=0.8,
    ),
    Rule(
        "genetic",
        "genetic data",
        Role.SPECIAL,
        hipaa="P",
        headers=("genotype", "genome", "dna sequence", "dna", "snp", "allele", "haplotype",
                 "genetic variant", "genetic test", "mutation", "brca status", "apoe genotype",
                 "karyotype", "hla type"),
        grammars=(
            Grammar(r"(?i)[ACGTN]{20,}", 0.9, 0.98),
            Grammar(r"rs\d{3,9}", 0.8, 0.97, None, 0.9),
            Grammar(r"(?:NM|NC|NG|NP)_\d{4,9}\.\d+(?:\([A-Z0-9]+\))?:[cgmnp]\..+", 0.93, 0.98),
        ),
        plausible=r"(?s).{1,4096}",
        header_confidence=0.8,
    ),
    Rule(
        "face_photo",
        "photograph of a face, or where it lies",
        Role.DIRECT,
        hipaa="Q",
        headers=("photo", "photograph", "face photo", "face image", "portrait", "selfie",
                 "passport photo", "headshot", "mugshot", "profile picture", "profile photo",
                 "avatar", "lichtbild", "passbild", "photo url", "foto", "patient photo"),
        plausible=r"(?is).+\.(?:jpe?g|png|gif|webp|heic|bmp|tiff?)(?:\?.*)?|data:image/.+"
                  r"|https?://.+|/9j/.+|iVBOR.+",
        header_confidence=0.8,
    ),
    Rule(
        "prescriber_number",
        "number of a health professional",
        Role.DIRECT,
        hipaa="K",
        headers=("npi", "npi number", "provider npi", "national provider identifier", "dea",
                 "dea number", "dea no", "gmc number", "lanr", "rpps", "provider number",
                 "prescriber id", "physician id", "ahpra", "medical license",
                 "medical licence number", "doctor id", "arztnummer", "big nummer"),
        grammars=(
            Grammar(r"[12]\d{9}", 0.9, 0.99, is_npi, 0.95),
            # DEA: first letter of the registrant type, check digit.
            Grammar(r"(?i)[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}", 0.95, 0.99, is_dea, 0.9),
        ),
        plausible=r"(?i)[A-Z0-9][A-Z0-9 ./-]{3,19}",
        header_confidence=0.85,
    ),
)  # fmt: skip
