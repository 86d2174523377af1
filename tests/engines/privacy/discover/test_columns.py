"""Which columns are personal: labelled tables, traps, and single forms."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest

from strongroom.engines.privacy.discover.findings import ColumnFinding, Role, Shape
from strongroom.engines.privacy.discover.forms import form_shares
from strongroom.engines.privacy.discover.profile import sample_column
from strongroom.engines.privacy.discover.rulebook import rulebook
from strongroom.engines.privacy.discover.rules.registry import ALL_RULES, RULES_BY_NAME, role_of
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.faces.cli.demo_table import PEOPLE_COLUMNS, biopsies_with_people

# The labels of ../shared/data/pii-columns in our types.
LABELS = {
    "person_name": "PERSON", "given_name": "PERSON", "family_name": "PERSON", "email": "EMAIL",
    "phone": "PHONE", "street_address": "LOCATION", "city": "LOCATION", "postcode": "LOCATION",
    "payment_card": "CREDIT_CARD", "us_ssn": "SSN", "iban": "IBAN", "ip_address": "IP",
    "mac_address": "MAC", "url": "URL", "date_of_birth": "DATE", "date": "DATE",
}  # fmt: skip


def find(name: str, values: list[Any]) -> ColumnFinding:
    """The finding of one column."""
    return discover_table(pa.table({name: values})).columns[0]


def scores(folder: Path, files: list[str], *, blind: bool) -> tuple[float, float]:
    """Precision and recall over labelled tables; `blind` hides the columns' names."""
    labels = json.loads((folder / "labels.json").read_text())
    right = found = wanted = 0
    for file in files:
        table = pa.csv.read_csv(
            folder / file, parse_options=pa.csv.ParseOptions(newlines_in_values=True)
        )
        names = table.column_names
        if blind:
            table = table.rename_columns([f"c{index}" for index in range(len(names))])
        for name, finding in zip(names, discover_table(table).columns, strict=True):
            label = labels[file].get(name)
            said = None
            if finding.type is not None and finding.role is not Role.PLAIN:
                said = LABELS.get(finding.type, finding.type)
            right += said is not None and said == label
            found += said is not None
            wanted += label is not None
    return right / found, right / wanted


@pytest.mark.parametrize(("blind", "precision", "recall"), [(False, 0.97, 0.92), (True, 0.9, 0.9)])
def test_labelled_tables(shared_data: Path, blind: bool, precision: float, recall: float) -> None:
    # Tuned on the tables with even numbers, measured on the others.
    folder = shared_data / "pii-columns"
    files = sorted(path.name for path in folder.glob("*.csv"))[1::2]
    measured = scores(folder, files, blind=blind)
    assert measured[0] >= precision
    assert measured[1] >= recall


@pytest.mark.parametrize(
    ("file", "label", "expected"),
    [
        ("presidio_synth_v2", "PERSON", "person_name"),
        ("presidio_synth_v2", "PHONE", "phone"),
        ("presidio_synth_v2", "IBAN", "iban"),
        ("presidio_synth_v2", "CREDIT_CARD", "payment_card"),
        ("presidio_synth_v2", "EMAIL", "email"),
        ("presidio_synth_v2", "ORG", None),
        ("wnut17_train", "PERSON", "person_name"),
        ("wnut17_train", "ORG", None),
        ("wnut17_train", "OTHER", None),
        ("piianon_clinical_en", "PERSON", "person_name"),
        ("piianon_clinical_en", "MRN", "medical_record_number"),
        ("piianon_clinical_en", "SSN", "us_ssn"),
        ("piianon_clinical_en", "LOCATION", "street_address"),
        ("piianon_clinical_en", "ORG", None),
        ("piianon_clinical_en", "OTHER", None),
        ("piianon_clinical_en", "NPI", None),
    ],
)
def test_spans_of_other_corpora_as_columns(
    shared_data: Path, file: str, label: str, expected: str | None
) -> None:
    # Values that no library of ours made, without any header; wnut17 is real and noisy.
    values = []
    for line in (shared_data / "pii-text" / f"{file}.jsonl").read_text().splitlines():
        document = json.loads(line)
        for start, end, span_label, _ in document["spans"]:
            if span_label == label:
                values.append(document["text"][start:end])
    assert find("c1", values[:1_000]).type == expected


def test_biopsies_raise_no_false_alarm() -> None:
    batches = list(biopsies_with_people(11))
    findings = discover_table(pa.Table.from_batches(batches))
    types = {finding.column: finding.type for finding in findings.columns}
    assert [types[column] for column in PEOPLE_COLUMNS] == [
        "person_name", "date_of_birth", "email", "phone", "postcode", "medical_record_number",
    ]  # fmt: skip
    assert types["diagnosis"] == "health_condition"
    measured = [name for name in types if name not in {*PEOPLE_COLUMNS, "diagnosis"}]
    assert len(measured) == 30
    assert all(types[name] is None for name in measured)
    assert [item.columns for item in findings.quasi_identifiers] == [("postcode",)]


def test_real_census_columns(shared_data: Path) -> None:
    options = pa.csv.ParseOptions(delimiter=";")
    table = pa.csv.read_csv(shared_data / "adult/adult.csv", parse_options=options).slice(0, 2_000)
    types = {finding.column: finding.type for finding in discover_table(table).columns}
    assert types["sex"] == "gender"
    assert types["race"] == "ethnicity"
    assert types["age"] == "age"
    assert types["education"] is None
    assert types["workclass"] is None


VALID = {
    "us_ssn": ["536-90-4399", "536-22-8145"],
    "uk_nhs_number": ["943 476 5919", "9434765870"],
    "uk_nino": ["JG 12 13 16 A", "AB123456C"],
    "de_tax_id": ["36574261809", "86095742719"],
    "fr_nir": ["2 95 10 99 126 111 93", "253072B07300470"],
    "es_dni": ["54362315K", "X-2482300W"],
    "it_fiscal_code": ["RCCMNL83S18D969H"],
    "nl_bsn": ["111222333"],
    "br_cpf": ["390.533.447-05"],
    "in_aadhaar": ["234123412346"],
    "pl_pesel": ["44051401359"],
    "se_personal_number": ["880320-0016"],
    "fi_hetu": ["131052-308T"],
    "ch_ahv": ["756.9217.0769.85"],
    "iban": ["GB29 NWBK 6016 1331 9268 19", "FR1420041010050500013M02606"],
    "payment_card": ["4111 1111 1111 1111", "378282246310005", "5555555555554444"],
    "ip_address": ["192.0.2.17", "2001:db8::1"],
    "mac_address": ["00:00:5e:00:53:af", "00-00-5E-00-53-AF"],
    "email": ["a@example.org", "jörg.müller@beispiel.de"],
    "url": ["https://example.org/x", "www.example.org"],
    "password": ["$2b$12$KIXIDkq5h1tT2hLwD9cXnOqkM0f2m1a4yYkQ1O9yZ1l2l0b1u8kO6"],
    "secret_key": ["AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefghijABCDEFGHIJ012345"],
    "health_insurance_number": ["1EG4-TE5-MK73"],
    "coordinates": ["52.51627, 13.37769"],
    "de_insurance_number": ["65 170839 J 003", "15070649C103"],
    "be_national_number": ["85 07 30 033 28".replace(" ", "")],
    "no_birth_number": ["15108695088"],
    "ro_cnp": ["1630615123457"],
    "in_pan": ["ACUPA7085R"],
    "cn_resident_id": ["360426199101010071"],
    "kr_rrn": ["971013-9019902"],
    "mx_curp": ["BOXW310820HNERXN09"],
    "za_identity_number": ["7503305044089"],
    "tr_identity_number": ["17291716060"],
    "bg_egn": ["7523169263"],
    "ie_pps": ["6433435F", "6433435OA"],
    "cl_rut": ["12.531.909-2"],
    "sg_nric": ["S1234567D"],
    "au_medicare_number": ["2123 45670 1"],
    "vin": ["1M8GDM9AXKP042788"],
    "prescriber_number": ["1234567893", "AB1234563"],
    "wallet_address": ["1NEDqZPvTWRaoho48qXuLLsrYomMXPABfD", "0x" + "5290840009" * 4],
    "private_key": ["-----BEGIN OPENSSH PRIVATE KEY-----\nabc"],
    "connection_string": ["postgres://ada:secret@db.example/x", "Server=a;Pwd=secret1;"],
    "passport_number": ["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"],
    "driving_licence": ["MORGA657054SM9IJ"],
    "licence_plate": ["AB12 CDE", "AA-229-AA", "B-AB 1234"],
}
"""Examples from the issuers' or standards' documentation; none belongs to a person."""


@pytest.mark.parametrize("name", VALID)
def test_a_form_is_known_without_a_header(name: str) -> None:
    column = pa.chunked_array([VALID[name] * 10])
    shares = {share.type: share for share in form_shares(sample_column("c1", column), rulebook())}
    assert shares[name].share == 1.0
    assert shares[name].alone >= 0.7


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("us_ssn", "000-12-3456"), ("us_ssn", "666-12-3456"), ("us_ssn", "912-12-3456"),
        ("payment_card", "4111 1111 1111 1112"), ("payment_card", "9999999999999995"),
        ("iban", "GB28 NWBK 6016 1331 9268 19"), ("ip_address", "999.1.1.1"),
        ("uk_nhs_number", "9434765918"), ("fr_nir", "295109912611194"),
    ],
)  # fmt: skip
def test_a_wrong_checksum_is_no_finding(name: str, bad: str) -> None:
    values = [bad] * 20
    assert find("c1", values).type != name


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("epoch_ms", [1_700_000_000_000 + i * 86_413 for i in range(200)]),
        ("score16", [4_000_000_000_000_000 + i * 7_919_311 for i in range(200)]),
        ("order_id", [100_000_000 + i * 37_123 for i in range(200)]),
        ("year", [1950 + i % 70 for i in range(200)]),
        ("temperature", [i / 7 for i in range(200)]),
        ("colour", ["Olive", "Violet", "Ruby", "Amber", "Rose", "Jade", "Hazel", "Ginger",
                    "Indigo", "Coral"] * 20),
        ("product", ["Austin Sofa", "April Candle", "Jordan Shoe", "Paris Chair"] * 50),
        ("version", [f"{i % 9}.{i % 7}.{i % 5}" for i in range(200)]),
        ("firmware", [f"{i % 9}.{i % 7}.{i % 5}.{i}" for i in range(200)]),
        ("release_date", [f"{1930 + i % 80}-0{i % 9 + 1}-1{i % 10}" for i in range(200)]),
        ("firm_founded", [f"1{i % 9}/0{i % 9 + 1}/{1930 + i % 80}" for i in range(200)]),
        ("risk_profile", ["conservative", "moderate", "progressive", "other"] * 50),
        ("amount", [f"{i * 13.37:.2f}" for i in range(200)]),
        ("status", ["active", "closed", "pending"] * 70),
        ("name_length", [i % 20 for i in range(200)]),
        ("email_verified", [True, False] * 100),
        ("lat", [f"{i * 0.311:.6f}" for i in range(200)]),
    ],
)  # fmt: skip
def test_what_only_looks_personal(header: str, values: list[Any]) -> None:
    finding = find(header, values)
    assert finding.role is Role.PLAIN, finding


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        ("dateOfBirth", ["1970-01-02", "1980-05-06"] * 10, "date_of_birth"),
        ("GEBURTSDATUM", ["02.01.1970", "06.05.1980"] * 10, "date_of_birth"),
        ("PatientID", [f"P{i:05}" for i in range(50)], "medical_record_number"),
        ("ssn", list(range(123_456_780, 123_456_800)), "us_ssn"),
        ("zip", [10115, 80331, 50667] * 10, "postcode"),
        ("home_postcode", ["SW1A 1AA", "M1 1AE", "EC1A 1BB"] * 10, "postcode"),
        ("user_agent_ip", ["192.0.2.1", "198.51.100.7", "203.0.113.9"] * 10, "ip_address"),
        ("vorname", ["Anna", "Jörg", "Heike", "Uwe"] * 10, "given_name"),
        ("Surname", ["Smith", "Nguyen", "García", "O'Brien"] * 10, "family_name"),
        ("tel_2", ["030 901820", "089 2180 0", "+49 30 227 0"] * 5, "phone"),
        ("salary", [30_000, 45_000, 62_000] * 10, "income"),
        ("religion", ["none", "catholic", "muslim"] * 10, "religion"),
        ("c7", ["democrat", "republican", "independent", "other"] * 10, "political_opinion"),
        ("political_party", ["conservative", "moderate", "other"] * 10, "political_opinion"),
        ("c9", ["conservative", "labour", "liberal democrat", "green"] * 10, "political_opinion"),
        ("c8", [f"{1930 + i % 80}-0{i % 9 + 1}-1{i % 10}" for i in range(200)], "date_of_birth"),
        ("cvv", ["123", "456", "789"] * 10, "card_security_code"),
        ("api_key", ["0123456789abcdef0123456789abcdef"] * 20, "secret_key"),
        ("passport_no", ["C01X00T47", "C01X0006H"] * 10, "passport_number"),
    ],
)  # fmt: skip
def test_header_and_values_together(header: str, values: list[Any], expected: str) -> None:
    assert find(header, values).type == expected


def test_latitude_and_longitude_locate_only_together() -> None:
    numbers = [float(i) / 3 for i in range(50)]
    alone = discover_table(pa.table({"lat": numbers}))
    assert alone.columns[0].type is None
    both = discover_table(pa.table({"lat": numbers, "lon": numbers}))
    assert [finding.type for finding in both.columns] == ["coordinates", "coordinates"]


def test_evidence_holds_no_value() -> None:
    values = [f"person{i}@secret.example" for i in range(40)]
    finding = find("contact", values)
    assert finding.type == "email"
    assert "secret.example" not in repr(finding)
    assert {evidence.source for evidence in finding.evidence} >= {"values"}


def test_shapes() -> None:
    shapes: dict[str, tuple[list[Any], Shape]] = {
        "free": (["a sentence of some words that goes on", "another that also goes on and on"] * 20,
                 Shape.FREE_TEXT),
        "key": ([f"k{i}" for i in range(100)], Shape.UNIQUE_TEXT),
        "few": ([f"k{i}" for i in range(5)], Shape.UNIQUE_TEXT),
        "number_key": (list(range(100)), Shape.UNIQUE_INTEGER),
        "kind": (["a", "b"] * 50, Shape.CATEGORY),
        "flag": ([True, False] * 5, Shape.BOOLEAN),
        "none": ([None, None], Shape.EMPTY),
        "blank": (["", " "], Shape.EMPTY),
        "one": (["x"] * 5, Shape.CONSTANT),
        "nested": ([{}, {}], Shape.NESTED),
        "bytes": ([b"a", b"b"], Shape.BINARY),
    }  # fmt: skip
    for name, (values, shape) in shapes.items():
        assert find(f"x_{name}", values).profile.shape is shape, name


def test_odd_tables() -> None:
    assert discover_table(pa.table({})).columns == ()
    empty = discover_table(pa.table({"a": pa.array([], pa.string())}))
    assert empty.columns[0].profile.shape is Shape.EMPTY
    encoded = pa.array(["ada@example.org", "alan@example.org"] * 10).dictionary_encode()
    assert discover_table(pa.table({"x": encoded})).columns[0].profile.distinct == 2
    huge = find("x", ["y" * 2_000_000, "(" * 2_000_000])
    assert huge.type is None


def test_a_persons_word_wins() -> None:
    table = pa.table({"note": ["ok", "fine"] * 10, "email": ["a@b.org", "c@d.org"] * 10})
    findings = discover_table(table, overrides={"note": "health_condition", "email": None})
    assert findings.column("note").type == "health_condition"
    assert findings.column("note").decided_by == "person"
    assert findings.column("email").type is None
    assert findings.column("email").alternatives[0][0] == "email"
    with pytest.raises(KeyError):
        findings.column("zzz")


def test_rules_are_sound() -> None:
    import re2

    assert len(RULES_BY_NAME) == len(ALL_RULES) >= 100
    letters = {letter for rule in ALL_RULES for letter in rule.hipaa}
    # All eighteen identifiers of the Safe Harbor list.
    assert letters == set("ABCDEFGHIJKLMNOPQR")
    for rule in ALL_RULES:
        for phrase in (*rule.headers, *rule.weak_headers):
            assert phrase == phrase.lower()
            assert phrase.isascii()
        for grammar in rule.grammars:
            re2.compile(grammar.pattern)
            assert 0 <= grammar.alone <= grammar.named <= 1
    assert role_of("a type of a later version") is Role.DIRECT


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_tables_of_measurements_raise_no_false_alarm(name: str) -> None:
    import sklearn.datasets

    made = getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame
    findings = discover_table(pa.Table.from_pandas(made, preserve_index=False))
    assert [f.column for f in findings.columns if f.role is not Role.PLAIN] == []
    assert findings.quasi_identifiers == ()
