"""Papers and vehicles: passports, licences, plates."""

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_VIN_VALUES = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "12345678123457923456789"), strict=True))
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def is_vin(text: str) -> bool:
    """Vehicle identification number with the check digit of North America (49 CFR 565.15)."""
    signs = text.upper()
    total = sum(
        weight * (int(sign) if sign.isdigit() else _VIN_VALUES[sign])
        for sign, weight in zip(signs, _VIN_WEIGHTS, strict=True)
    )
    return signs[8] == "0123456789X"[total % 11]


RULES = (
    Rule(
        "passport_number",
        "passport number",
        Role.DIRECT,
        hipaa="K",
        headers=("passport", "passport number", "passport no", "reisepass", "passnummer",
                 "numero de passeport", "pasaporte", "reisepassnummer", "passaporto", "paspoort",
                 "passport id", "passport num", "ppt no", "travel document", "pasaport no"),
        grammars=(
            # The lines for machines (ICAO Doc 9303, part 4).
            Grammar(r"P[A-Z<][A-Z<]{42}|[A-Z0-9<]{9}\d[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z0-9<]{14}"
                    r"[\d<]\d", 0.97, 0.99),
        ),
        plausible=r"(?i)[A-Z0-9]{6,12}",
        header_confidence=0.9,
    ),
    Rule(
        "driving_licence",
        "driving licence number",
        Role.DIRECT,
        hipaa="K",
        headers=("driving licence", "driver license", "drivers license", "driver licence",
                 "driving license", "license number", "licence number", "dl number",
                 "driver license number", "fuhrerschein", "permis de conduire", "dl no",
                 "fuhrerscheinnummer", "carnet de conducir", "patente", "rijbewijs", "cnh",
                 "professional license", "pilot licence", "certificate number"),
        weak_headers=("licence", "license"),
        grammars=(
            # United Kingdom: surname, decade, month, day, year, initials, check signs.
            Grammar(r"[A-Z9]{5}\d[0156]\d(?:0[1-9]|[12]\d|3[01])\d[A-Z9]{2}[A-Z0-9]{3}",
                    0.95, 0.99, None, 0.85),
        ),
        plausible=r"(?i)[A-Z0-9][A-Z0-9 -]{4,19}",
        header_confidence=0.8,
    ),
    Rule(
        "licence_plate",
        "vehicle registration",
        Role.DIRECT,
        hipaa="L",
        headers=("license plate", "licence plate", "plate", "plate number", "number plate",
                 "vehicle registration", "kennzeichen", "plaque", "matricula", "reg no", "targa",
                 "kenteken", "immatriculation", "registration plate", "plate no", "car plate",
                 "nummernschild", "placa"),
        grammars=(
            Grammar(r"[A-Z]{2}\d{2} ?[A-Z]{3}", 0.85, 0.98, None, 0.9),  # United Kingdom
            Grammar(r"[A-Z]{2}-\d{3}-[A-Z]{2}", 0.88, 0.98, None, 0.9),  # France, Italy
            Grammar(r"[A-ZÄÖÜ]{1,3}[- ][A-Z]{1,2} \d{1,4}[EH]?", 0.88, 0.98, None, 0.9),  # Germany
            Grammar(r"\d{4} [BCDFGHJ-NPRSTV-Z]{3}", 0.75, 0.98, None, 0.9),  # Spain
        ),
        plausible=r"(?i)[A-ZÄÖÜ0-9][A-ZÄÖÜ0-9 -]{2,11}",
    ),
    Rule(
        "vin",
        "vehicle identification number",
        Role.DIRECT,
        hipaa="L",
        headers=("vin", "vehicle identification number", "chassis number", "vin number",
                 "fahrgestellnummer", "fin", "numero de chasis", "vehicle id", "chassis no"),
        grammars=(
            Grammar(r"(?i)[A-HJ-NPR-Z0-9]{17}", 0.93, 0.99, is_vin, 0.8),
            Grammar(r"(?i)[A-HJ-NPR-Z0-9]{17}", 0.0, 0.95),
        ),
    ),
)  # fmt: skip
