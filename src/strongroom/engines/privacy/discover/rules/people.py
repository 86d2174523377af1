"""Names and traits of people, and what they do."""

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_NAME = r"[\pL\pM][\pL\pM .,'\x{2019}`\x{00B4}()-]*"
_WORDS = r"[\pL\pM][\pL\pM0-9 .,;:&'\x{2019}/()+-]*"

RULES = (
    Rule(
        "person_name",
        "name of a person",
        Role.DIRECT,
        hipaa="A",
        headers=(
            "full name", "person name", "patient name", "customer name", "client name",
            "employee name", "member name", "contact name", "holder name", "cardholder",
            "cardholder name", "account holder", "patient", "employee", "applicant",
            "beneficiary", "insured", "spouse", "next of kin", "emergency contact", "doctor name",
            "physician name", "author name", "display name", "complete name", "maiden name",
            "nom complet", "nombre completo", "nome completo", "vollstandiger name",
            "volledige naam", "patientenname", "kundenname", "passenger", "passenger name",
            "student name", "teacher", "guardian", "tenant name", "borrower", "signatory",
        ),
        weak_headers=(
            "name", "customer", "client", "person", "contact", "holder", "owner", "author", "user",
            "member", "recipient", "sender", "manager", "physician", "doctor", "agent", "student",
            "naam", "nom", "nombre", "nome", "nm", "assignee", "attendee", "resident", "guest",
        ),
        plausible=_NAME,
    ),
    Rule(
        "given_name",
        "given name",
        Role.DIRECT,
        hipaa="A",
        headers=(
            "first name", "given name", "forename", "fname", "firstname", "givenname", "f name",
            "middle name", "mname", "prenom", "vorname", "nombre de pila", "primer nombre",
            "voornaam", "primeiro nome", "nome proprio", "imie", "fornavn", "fornamn", "nickname",
            "preferred name", "first nm", "frst nm", "gname",
        ),
        weak_headers=("first", "given", "middle"),
        plausible=_NAME,
        header_confidence=0.9,
    ),
    Rule(
        "family_name",
        "family name",
        Role.DIRECT,
        hipaa="A",
        headers=(
            "last name", "surname", "family name", "lname", "lastname", "l name", "familyname",
            "nachname", "familienname", "nom de famille", "apellido", "apellidos", "cognome",
            "achternaam", "sobrenome", "nazwisko", "efternavn", "efternamn", "etternavn", "sname",
            "birth name", "last nm", "lst nm", "second name",
        ),
        weak_headers=("last", "family", "maiden"),
        plausible=_NAME,
        header_confidence=0.9,
    ),
    Rule(
        "age",
        "age in years",
        Role.QUASI,
        hipaa="C",
        headers=("age", "age years", "patient age", "alter", "edad", "eta", "leeftijd", "idade"),
        plausible=r"(?:1[01]\d|\d{1,2})(?:\.0+)?|90\+",
        header_confidence=0.8,
    ),
    Rule(
        "gender",
        "sex or gender",
        Role.QUASI,
        headers=("gender", "sex", "geschlecht", "sexe", "sexo", "sesso", "geslacht", "genero"),
        grammars=(
            Grammar(r"(?i)(?:male|female|non-?binary|other|unknown|man|woman|männlich|weiblich"
                    r"|divers|homme|femme|hombre|mujer|prefer not to say)", 0.7, 0.95, None, 0.9),
        ),
        plausible=r"(?i)[a-z]{1,12}|[0-2]",
        header_confidence=0.8,
    ),
    Rule(
        "ethnicity",
        "racial or ethnic origin",
        Role.SPECIAL,
        headers=("race", "ethnicity", "ethnic group", "ethnic origin", "ethnie"),
        plausible=_WORDS,
    ),
    Rule(
        "religion",
        "religious or philosophical belief",
        Role.SPECIAL,
        headers=("religion", "faith", "denomination", "konfession", "religious belief"),
        plausible=_WORDS,
    ),
    Rule(
        "political_opinion",
        "political opinion",
        Role.SPECIAL,
        headers=("political party", "party affiliation", "political opinion", "voted for"),
        plausible=_WORDS,
    ),
    Rule(
        "union_membership",
        "trade union membership",
        Role.SPECIAL,
        headers=("union member", "trade union", "union membership", "gewerkschaft"),
        plausible=_WORDS,
    ),
    Rule(
        "sexual_orientation",
        "sexual orientation or sex life",
        Role.SPECIAL,
        headers=("sexual orientation", "orientation sexuelle", "sexuelle orientierung"),
        plausible=_WORDS,
    ),
    Rule(
        "marital_status",
        "marital status",
        Role.QUASI,
        headers=("marital status", "marital", "civil status", "familienstand", "estado civil",
                 "relationship status", "etat civil"),
        plausible=_WORDS,
    ),
    Rule(
        "nationality",
        "nationality",
        Role.QUASI,
        headers=("nationality", "citizenship", "nationalite", "staatsangehorigkeit",
                 "nacionalidad", "native country", "country of birth", "birth country"),
        plausible=_WORDS,
    ),
    Rule(
        "occupation",
        "occupation",
        Role.QUASI,
        headers=("occupation", "job title", "profession", "beruf", "job", "ocupacion"),
        plausible=_WORDS,
        header_confidence=0.7,
    ),
    Rule(
        "income",
        "income of a person",
        Role.QUASI,
        headers=("salary", "income", "annual income", "wage", "gehalt", "salaire", "salario"),
        plausible=r"[$€£]?\s?[\d.,' ]{2,15}(?:\s?[kK€£$])?|[<>=]{1,2}\s?\d+[kK]?",
        header_confidence=0.75,
    ),
)  # fmt: skip
