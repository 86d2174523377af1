"""Health: records, insurance and conditions."""

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

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
                 "patient mrn", "encounter id", "numero de dossier", "historia clinica"),
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
                 "numero de mutuelle", "insurance policy number"),
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
                 "procedure", "icd", "icd 10", "icd10", "icd code", "diagnosis code", "hiv status",
                 "treatment", "diagnostic", "diagnostico", "blood type", "blood group",
                 "health status", "comorbidities"),
        grammars=(
            # ICD-10-CM codes with their decimal part; without it the form is too common.
            Grammar(r"[A-TV-Z]\d[0-9AB]\.[0-9A-TV-Z]{1,4}", 0.85, 0.97),
        ),
        plausible=_WORDS,
        header_confidence=0.8,
    ),
    Rule(
        "biometric",
        "biometric or genetic data",
        Role.SPECIAL,
        hipaa="P",
        headers=("fingerprint", "retina scan", "iris scan", "face embedding", "voice print",
                 "voiceprint", "genotype", "genome", "dna sequence", "biometric"),
        plausible=r"(?s).{1,4096}",
        header_confidence=0.8,
    ),
)  # fmt: skip
