"""Labelled tables made of `labelled_columns`: hidden, terse and clear headers, values missing.

Two splits that share no country, no header word and no seed: `tune` to fit the confidences on,
`hold` to measure them on.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from benchmarks.labelled_columns import PERSONAL, TRAPS, source

HEADERS: dict[str, dict[str, tuple[str, ...]]] = {
    "tune": {
        "person_name": ("full_name", "nm", "cust_nm", "patient", "kundenname", "contact_name"),
        "given_name": ("first_name", "fn", "vorname", "fname", "frst_nm"),
        "family_name": ("last_name", "ln", "nachname", "lname", "apellidos"),
        "email": ("email", "em", "e_mail", "mail_addr", "contact"),
        "phone": ("phone", "tel_nr", "ph", "mobile", "telefon"),
        "street_address": ("address", "adr", "addr1", "strasse", "street"),
        "city": ("city", "ort", "cty", "ciudad", "plaats"),
        "postcode": ("zip", "plz", "pc", "postal_code"),
        "payment_card": ("card_number", "cc", "card_no", "kreditkarte"),
        "us_ssn": ("ssn", "soc_sec_no", "tax_id"),
        "iban": ("iban", "acct", "konto"),
        "ip_address": ("ip", "src_ip", "client_ip"),
        "mac_address": ("mac", "hw_addr"),
        "url": ("url", "website", "link"),
        "date_of_birth": ("dob", "geb_dat", "birth_date", "geburtsdatum"),
        "": ("national_id", "id_no", "pers_id"),
    },
    "hold": {
        "person_name": ("name", "pt_name", "employee", "titulaire", "holder", "cliente"),
        "given_name": ("given", "prenom", "forename", "gvn_nm", "nome"),
        "family_name": ("surname", "sname", "nom_famille", "cognome", "surnm"),
        "email": ("email_address", "eml", "courriel", "mail"),
        "phone": ("telephone", "tel", "mob_no", "cell", "portable"),
        "street_address": ("street_address", "addr", "adresse", "indirizzo", "line1"),
        "city": ("town", "ville", "loc", "citta", "city_nm"),
        "postcode": ("postcode", "cp", "zip_cd", "cap"),
        "payment_card": ("credit_card", "pan", "cc_num", "carte"),
        "us_ssn": ("social_security_number", "ss_no", "tin"),
        "iban": ("bank_account", "iban_no", "rib"),
        "ip_address": ("ip_address", "remote_addr", "host"),
        "mac_address": ("mac_address", "device_mac"),
        "url": ("homepage", "web", "site"),
        "date_of_birth": ("date_of_birth", "birthdate", "naissance", "d_o_b"),
        "": ("id_number", "numero", "ident"),
    },
}
HIDDEN = ("c{}", "f{}", "col{}", "v{}", "x_{}", "field_{}", "attr{}", "k{}")


@dataclass(frozen=True, slots=True)
class LabelledTable:
    """A table and what its columns hold.

    Attributes:
        labels: column → semantic type; a column that is not here is nobody's.
        hidden: columns whose headers say nothing.
    """

    table: pa.Table
    labels: dict[str, str]
    hidden: frozenset[str]


def tables(
    split: str, count: int, *, rows: int = 400, columns: int = 14
) -> Iterator[LabelledTable]:
    """The first `count` tables of a split; the same whenever they are made."""
    for number in range(count):
        yield _table(split, number, rows, columns)


def _table(split: str, number: int, rows: int, columns: int) -> LabelledTable:
    chance = random.Random(f"table {split} {number}")
    hide = chance.choice([0.2, 0.5, 1.0])
    mask = chance.choice(HIDDEN)
    made: dict[str, list[str | None]] = {}
    labels: dict[str, str] = {}
    hidden = set()
    for at in range(columns):
        of = source(split, number * 1_000 + at)
        personal = chance.random() < 0.5
        kind = chance.choice(sorted(PERSONAL) if personal else sorted(TRAPS))
        maker = chance.choice(PERSONAL[kind]) if personal else TRAPS[kind]
        header = mask.format(chance.randrange(100))
        if chance.random() >= hide:
            words = HEADERS[split]
            header = chance.choice(words.get(kind, words[""])) if personal else kind
            if chance.random() < 0.2:
                header = (
                    header.upper() if chance.random() < 0.5 else f"{header}_{chance.randrange(9)}"
                )
        else:
            hidden.add(header)
        if header in made:
            header = f"{header}_{at + 100}"
            hidden.add(header)
        value = maker(of)
        missing = chance.choice([0.0, 0.0, 0.1, 0.3, 0.5, 0.8])
        made[header] = [None if chance.random() < missing else value() for _ in range(rows)]
        if personal:
            labels[header] = kind
    table = pa.table({name: typed(values) for name, values in made.items()})
    return LabelledTable(table, labels, frozenset(hidden) & set(made))


def typed(values: list[str | None]) -> "pa.Array[pa.Scalar[pa.DataType]]":
    """As a CSV reader would type them: whole numbers without leading zeros become numbers."""
    filled = [value for value in values if value is not None]
    if filled and all(
        value.isascii()
        and value.isdigit()
        and (value == "0" or value[0] != "0")
        and len(value) < 19
        for value in filled
    ):
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    return pa.array(values, pa.string())
