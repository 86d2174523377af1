"""Names and traits of people, and what they do."""

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_NAME = r"[\pL\pM][\pL\pM .,'\x{2019}`\x{00B4}()-]*"
_WORD = r"\p{Lu}[\pL\pM.'\x{2019}-]+"
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
            "physician name", "author name", "display name", "complete name",
            "nom complet", "nombre completo", "nome completo", "vollstandiger name",
            "volledige naam", "patientenname", "kundenname", "passenger", "passenger name",
            "student name", "teacher", "guardian", "tenant name", "borrower", "signatory",
            "cust nm", "cust name", "pt name", "pt nm", "pat name", "emp name", "fullname",
            "mother name", "father name", "spouse name", "legal name", "titulaire", "inhaber",
            "ansprechpartner", "kontoinhaber", "versicherter", "versicherte person", "bewohner",
            "mitarbeiter", "nombre y apellidos", "nom prenom", "name surname", "nome cliente",
        ),
        weak_headers=(
            "name", "customer", "client", "person", "contact", "holder", "owner", "author", "user",
            "member", "recipient", "sender", "manager", "physician", "doctor", "agent", "student",
            "naam", "nom", "nombre", "nome", "nm", "assignee", "attendee", "resident", "guest",
        ),
        # An initial and a word, either way round, and titles: names that stand in no list.
        grammars=(
            Grammar(rf"(?:\p{{Lu}}\.[ -]?){{1,3}} ?(?:van |von |de |di |da |el-)?{_WORD}"
                    rf"|{_WORD}(?: {_WORD})?, \p{{Lu}}\.(?: ?\p{{Lu}}\.)?", 0.8, 0.97, None, 0.8),
            Grammar(r"(?:Dr|Mrs?|Ms|Miss|Prof|Herr|Frau|Hr|Fr|Mme|Mlle|Sra?|Srta|Sig|Dott|Dhr|Mevr"
                    rf"|Pani?)\.? (?:\pL{{1,5}}\.? )?{_WORD}(?: {_WORD})*", 0.85, 0.97, None, 0.7),
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
            "preferred name", "first nm", "frst nm", "gname", "fn", "gvn nm", "rufname", "jmeno",
            "etunimi", "keresztnev", "adi", "given names", "christian name", "prenoms", "voornamen",
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
            "birth name", "last nm", "lst nm", "second name", "ln", "maiden name", "surnm", "snm",
            "mothers maiden name", "mother maiden name", "geburtsname", "priimeni", "prijmeni",
            "sukunimi", "vezeteknev", "soyadi", "nom usuel", "nom naissance", "surname 1",
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
        headers=("age", "age years", "age at admission", "wiek", "alder", "age yrs", "pt age",
                 "patient age", "alter", "edad", "eta", "leeftijd", "idade"),
        plausible=r"(?:1[01]\d|\d{1,2})(?:\.0+)?|90\+",
        header_confidence=0.8,
    ),
    Rule(
        "gender",
        "sex or gender",
        Role.QUASI,
        headers=("gender", "sex", "geschlecht", "gndr", "plec", "kon", "pohlavi",
                 "sexe", "sexo", "sesso", "geslacht", "genero"),
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
        headers=("race", "ethnicity", "ethnic group", "ethnic origin", "ethnie", "etnia", "raza",
                 "rasse", "etnicidad", "origine ethnique", "ethnische herkunft", "raca", "tribe",
                 "caste", "skin color", "skin colour", "ancestry", "race ethnicity"),
        grammars=(
            Grammar(r"(?i)(?:non[- ]?hispanic )?(?:white|black|asian|hispanic|latin[oax](?: .*)?"
                    r"|caucasian|african[ -]american|native american|american indian.*|pacific.*"
                    r"|asian-pac-islander|amer-indian-eskimo|south asian|east asian|middle eastern"
                    r"|multiracial|mixed|two or more races|white british|black african"
                    r"|black caribbean|roma|arab|indigenous|other|unknown)(?: (?:alone|or .*))?",
                    0.85, 0.98, None, 0.95, 4),
        ),
        plausible=_WORDS,
    ),
    Rule(
        "religion",
        "religious or philosophical belief",
        Role.SPECIAL,
        headers=("religion", "faith", "denomination", "konfession", "religious belief", "beliefs",
                 "religious affiliation", "croyance", "religione", "religionszugehorigkeit",
                 "confesion", "confession", "geloof", "wyznanie", "religiao", "church membership",
                 "kirchensteuer", "worldview"),
        grammars=(
            Grammar(r"(?i)(?:roman )?(?:catholic|protestant|christian|muslim|islam|sunni|shia"
                    r"|jewish|judaism|hindu(?:ism)?|buddhis[tm]|sikh(?:ism)?|atheis[tm]|agnostic"
                    r"|orthodox|evangelical|baptist|lutheran|methodist|anglican|mormon|jain"
                    r"|christianity|taoist|none|other|no religion|evangelisch|katholisch"
                    r"|rk|konfessionslos|muslimisch|jüdisch|catholique|musulman)", 0.88, 0.98,
                    None, 0.95, 4),
        ),
        plausible=_WORDS,
    ),
    Rule(
        "political_opinion",
        "political opinion",
        Role.SPECIAL,
        headers=("political party", "party affiliation", "political opinion", "voted for",
                 "political views", "partei", "parteimitgliedschaft", "parti politique",
                 "partido politico", "partito politico", "vote intention", "party registration",
                 "political leaning", "wahlverhalten", "voter party"),
        grammars=(
            Grammar(r"(?i)(?:democrat(?:ic)?|republican|libertarian|green party|liberal democrat"
                    r"|socialist|far[- ](?:left|right)|spd|cdu|csu|fdp|afd|die linke|grüne|lfi|rn"
                    r"|psoe|pp|vox|labour|unaffiliated|no party)", 0.8, 0.98, None, 0.95, 4),
            # Also what other columns hold, such as how much risk an investor takes.
            Grammar(r"(?i)(?:conservative|liberal|progressive|moderate|independent|green"
                    r"|undecided|other|none)", 0.3, 0.98, None, 0.95, 4),
        ),
        plausible=_WORDS,
    ),
    Rule(
        "union_membership",
        "trade union membership",
        Role.SPECIAL,
        headers=("union member", "trade union", "union membership", "gewerkschaft", "syndicat",
                 "sindicato", "sindacato", "vakbond", "union local", "labor union",
                 "labour union", "gewerkschaftsmitglied"),
        plausible=r"(?i)[a-z\pL0-9][\pL\pM0-9 .,&'/()-]*",
    ),
    Rule(
        "sexual_orientation",
        "sexual orientation or sex life",
        Role.SPECIAL,
        headers=("sexual orientation", "orientation sexuelle", "sexuelle orientierung",
                 "orientacion sexual", "orientamento sessuale", "seksuele geaardheid", "sexuality",
                 "sex life", "number of sexual partners", "sexual partners", "gender identity",
                 "transgender"),
        grammars=(
            Grammar(r"(?i)(?:heterosexual|homosexual|bisexual|asexual|pansexual|gay|lesbian"
                    r"|straight|queer|heterosexuell|homosexuell|prefer not to say|other|unknown)",
                    0.88, 0.98, None, 0.95, 3),
        ),
        plausible=r"(?i)[\pL\pM0-9][\pL\pM0-9 .,/()+-]*",
    ),
    Rule(
        "criminal_record",
        "criminal convictions and offences",
        Role.SPECIAL,  # GDPR article 10
        headers=("criminal record", "conviction", "convictions", "offence", "offense",
                 "criminal history", "vorstrafen", "vorstrafe", "fuhrungszeugnis", "straftat",
                 "casier judiciaire", "condamnation", "antecedentes penales", "casellario",
                 "arrest", "arrest date", "felony", "misdemeanor", "sentence length", "parole",
                 "probation", "charge description", "two year recid", "inmate id", "dbs check"),
        plausible=r"(?i)[\pL\pM0-9][\pL\pM0-9 .,;:&'/()+-]*",
    ),
    Rule(
        "marital_status",
        "marital status",
        Role.QUASI,
        headers=("marital status", "marital", "civil status", "familienstand", "estado civil",
                 "relationship status", "etat civil", "stato civile", "burgerlijke staat",
                 "situation familiale", "stan cywilny"),
        grammars=(
            Grammar(r"(?i)(?:single|(?:never[- ])?married(?:-.*)?|divorced|widow(?:ed|er)?"
                    r"|separated|civil partnership|cohabiting|domestic partner(?:ship)?|engaged"
                    r"|ledig|verheiratet|geschieden|verwitwet|célibataire|marié(?:\(e\)|e)?"
                    r"|divorcé(?:\(e\)|e)?|veuf|veuve|soltero|casado|viudo|other|unknown)",
                    0.85, 0.98, None, 0.95, 3),
        ),
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
        headers=("occupation", "job title", "profession", "beruf", "job", "ocupacion",
                 "profesion", "professione", "beroep", "yrke", "metier", "profissao", "zawod",
                 "stilling", "job role", "position title"),
        plausible=_WORDS,
        header_confidence=0.7,
    ),
    Rule(
        "income",
        "income of a person",
        Role.QUASI,
        headers=("salary", "income", "annual income", "wage", "gehalt", "salaire", "salario",
                 "lohn", "stipendio", "ingresos", "revenu", "einkommen", "loon", "inkomen",
                 "inkomst", "pensja", "salario mensual", "earnings", "base pay", "net pay"),
        plausible=r"(?:[$€£]|[A-Z]{3} )?\s?[\d.,' ]{2,15}(?:\s?(?:[kK€£$]|[A-Z]{3}))?"
                  r"|[<>=]{1,2}\s?\d+[kK]?",
        header_confidence=0.75,
    ),
)  # fmt: skip
