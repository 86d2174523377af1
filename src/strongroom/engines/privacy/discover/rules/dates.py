"""Dates, and those of birth among them."""

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_MIDNIGHT = r"(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?"

# ISO 8601 first, then day and month in either order, then with the month's name.
DATE_PATTERNS = (
    r"(?:1[89]|20)\d{2}-(?:0?[1-9]|1[0-2])-(?:0?[1-9]|[12]\d|3[01])" + _MIDNIGHT,
    r"(?:1[89]|20)\d{2}[/.](?:0?[1-9]|1[0-2])[/.](?:0?[1-9]|[12]\d|3[01])",
    r"(?:0?[1-9]|[12]\d|3[01])[/.-](?:0?[1-9]|[12]\d|3[01])[/.-](?:1[89]|20)\d{2}",
    # Years of two digits only with days and months of two: version numbers look the same.
    r"(?:0[1-9]|[12]\d|3[01])[/.-](?:0[1-9]|[12]\d|3[01])[/.-]\d{2}",
    r"(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])/\d{2}",
    r"(?i)(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|\.)?[ -]\pL+\.?,?[ -](?:(?:1[89]|20)\d{2}|\d{2})",
    r"(?i)\pL+\.? (?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?,? (?:1[89]|20)\d{2}",
)
TIMESTAMP_PATTERN = (
    r"(?:1[89]|20)\d{2}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?"
    r"(?:\s?(?:Z|UTC|[+-]\d{2}:?\d{2}))?"
)
_COMPACT = r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"

RULES = (
    Rule(
        "date_of_birth",
        "date of birth",
        Role.DIRECT,
        hipaa="C",
        headers=(
            "date of birth", "birth date", "birthdate", "dob", "birthday", "born", "born on",
            "birth dt", "bdate", "geburtsdatum", "geburtstag", "geboren", "date de naissance",
            "naissance", "fecha de nacimiento", "fecha nacimiento", "nacimiento",
            "data di nascita", "nascita", "geboortedatum", "data de nascimento", "nascimento",
            "d o b", "dt of birth", "dt birth", "patient dob", "fodselsdato", "d birth",
            "data urodzenia", "gbdat", "fodelsedatum", "dt naissance",
        ),
        weak_headers=("birth",),
        grammars=(
            *(Grammar(pattern, 0.0, 0.98) for pattern in DATE_PATTERNS),
            Grammar(TIMESTAMP_PATTERN, 0.0, 0.9),
            Grammar(_COMPACT, 0.0, 0.95),
        ),
    ),
    Rule(
        "date",
        "date that may concern a person",
        Role.QUASI,
        hipaa="C",
        headers=(
            "admission date", "discharge date", "date of death", "death date", "visit date",
            "appointment date", "service date", "encounter date", "procedure date",
            "diagnosis date", "hire date", "wedding date", "date of service", "surgery date",
            "treatment date", "sample date", "enrolment date", "enrollment date",
        ),
        weak_headers=("date", "datum", "fecha", "data", "dt", "day"),
        grammars=(
            *(Grammar(pattern, 0.4, 0.95) for pattern in DATE_PATTERNS),
            Grammar(_COMPACT, 0.4, 0.95),
            Grammar(TIMESTAMP_PATTERN, 0.0, 0.9),
        ),
    ),
    Rule(
        "year_of_birth",
        "year of birth",
        Role.QUASI,
        hipaa="C",
        headers=("birth year", "year of birth", "yob", "geburtsjahr", "annee de naissance"),
        plausible=r"(?:19|20)\d{2}(?:\.0)?",
        header_confidence=0.9,
    ),
)  # fmt: skip
