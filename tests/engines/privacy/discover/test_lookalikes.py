"""What looks personal and is not, in columns whose names say nothing or something else."""

import random
from typing import Any

import pyarrow as pa
import pytest

from strongroom.engines.privacy.discover.findings import ColumnFinding, Role
from strongroom.engines.privacy.discover.lookalikes import are_colours, are_grades, are_versions
from strongroom.engines.privacy.discover.tables import discover_table

CHANCE = random.Random(5)  # noqa: S311 # no secret


def find(name: str, values: list[Any]) -> ColumnFinding:
    return discover_table(pa.table({name: values})).columns[0]


def versions() -> list[str]:
    return [".".join(str(CHANCE.randrange(top)) for top in (4, 12, 20, 30)) for _ in range(300)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("c1", versions()),
        ("firmware", versions()),
        ("c1", [f"{at % 9}.{at % 7}.{at % 40}.{CHANCE.randrange(200)}" for at in range(300)]),
        ("c1", CHANCE.choices(["white", "black", "other", "mixed", "unknown"], k=300)),
        ("colour", CHANCE.choices(["White", "Black", "Other", "Asian"], k=300)),
        ("c1", CHANCE.choices(["A+", "A-", "B+", "B-"], k=300)),
        ("score", CHANCE.choices(["A+", "A-", "B+", "B-"], k=300)),
        ("c1", [f"{CHANCE.randrange(10**5):05}-{CHANCE.randrange(10**4):04}" for _ in range(300)]),
        ("order", [f"{CHANCE.randrange(10**5):05}-{CHANCE.randrange(10**4):04}" for _ in range(9)]),
        ("c1", [f"{CHANCE.choice('EKQU')}{CHANCE.randrange(100):02}.{at % 9}" for at in range(99)]),
        ("c1", [" ".join(f"{CHANCE.randrange(1000):03}" for _ in "abc") for _ in range(300)]),
        ("invoice", [" ".join(f"{CHANCE.randrange(1000):03}" for _ in "abc") for _ in range(300)]),
        ("address", [f"0x{CHANCE.getrandbits(32):08x}" for _ in range(300)]),
        ("note", [f"The hinge of lamp {at} came loose, a new one was sent." for at in range(300)]),
        ("c1", CHANCE.choices(["Ann Boss", "Paul Smith", "Ted Baker", "Mark Twain", "Philips",
                               "Makita", "Miele", "Laura Ashley", "Calvin Klein"], k=300)),
    ],
)  # fmt: skip
def test_lookalikes_are_nobodys(name: str, values: list[str]) -> None:
    assert find(name, values).role is Role.PLAIN


def icd() -> list[str]:
    codes = "E11.9 I10.0 J45.909 M54.5 F32.1 N18.3 K21.9 G43.909 E03.9 I48.91 Z79.4 J44.1 U07.1"
    return CHANCE.choices(codes.split(), k=300)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("c1", [f"198.51.{CHANCE.randrange(255)}.{at % 255}" for at in range(300)], "ip_address"),
        ("c1", [f"10.0.0.{at}" for at in range(9)], "ip_address"),
        ("client_ip", versions(), "ip_address"),
        ("c1", [f"203.0.{at}.7:8080" for at in range(200)], "ip_address"),
        ("c1", CHANCE.choices(["White", "Black", "Asian", "Mixed"], k=300), "ethnicity"),
        ("race", CHANCE.choices(["White", "Black"], k=300), "ethnicity"),
        ("c1", CHANCE.choices(["A+", "O+", "B+", "O-", "AB+"], k=300), "health_condition"),
        ("blood_group", CHANCE.choices(["A+", "B-"], k=300), "health_condition"),
        ("zip", [f"{CHANCE.randrange(10**4, 10**5)}-{CHANCE.randrange(10**3, 10**4)}"
                 for _ in range(99)], "postcode"),
        ("c1", icd(), "clinical_code"),
        ("c1", CHANCE.choices(["asthma", "breast cancer", "migraine", "gout", "type 2 diabetes"],
                              k=200), "health_condition"),
        ("c1", [f"6{CHANCE.randrange(10, 50)} {CHANCE.randrange(100, 999)} {100 + at}"
                for at in range(200)], "phone"),
        ("c1", [f"00493012{CHANCE.randrange(10**5, 10**6)}" for _ in range(200)], "phone"),
        ("c1", [f"{initial}. {name}" for initial in "ABCDEFGHJ" for name in
                ("Ahnqvist", "Borzov", "Cyrkl", "Dvorec", "Eymard", "Fjeldso", "Gnatz", "Hrubec")],
         "person_name"),
        ("c1", [f"52.{CHANCE.randrange(10**4, 10**5)} 13.{CHANCE.randrange(10**4, 10**5)}"
                for _ in range(99)], "coordinates"),
    ],
)  # fmt: skip
def test_the_real_ones_are_found(name: str, values: list[str], expected: str) -> None:
    assert find(name, values).type == expected


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        ("psswrd_hsh", ["x1y2z3w4v5"], "password"),
        ("cstmr_pssprt", ["K1234567", "K7654321"], "passport_number"),
        ("Staatsangehoerigkeit", ["Dutch", "Polish"], "nationality"),
        ("account_number", ["26750712", "49022340"], "bank_account"),
        ("strt", ["Dorfweg 3", "Am Anger 9"], "street_address"),
        ("patient_address", ["3-1-5 Shibuya, Tokyo", "2-8 Nakano, Tokyo"], "street_address"),
        ("ADDR1_TXT", ["15 Nehru Nagar, 384044 RAIPUR", "7 Lal Bagh, PUNE"], "street_address"),
        ("user_addr", [f"2001:db8::{at}" for at in range(9)], "ip_address"),
        ("customer_address", [f"ann{at}@clinic.example.org" for at in range(9)], "email"),
    ],
)
def test_terse_names_speak_too(header: str, values: list[str], expected: str | None) -> None:
    assert find(header, values * 20).type == expected


def test_the_doubts_say_what_they_mean() -> None:
    assert are_versions(["1.2.3.4", "2.0.0.1"])
    assert not are_versions(["1.2.3.4", "1.2.3.9"])  # one network
    assert not are_versions(["::1"])
    assert are_versions([f"{at}.2.3.{90 + at}" for at in range(8)])
    assert not are_versions([f"10.{at}.{at * 7}.{90 + at}" for at in range(8)])
    assert not are_versions([f"{at * 9}.2.3.{90 + at}" for at in range(8)])
    assert are_colours(["White", "black"])
    assert not are_colours(["white", "asian"])
    assert are_grades(["A+", "B-"])
    assert not are_grades(["A+", "O-"])
