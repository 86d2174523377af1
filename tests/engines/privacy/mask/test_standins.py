"""Stand-ins: like the real thing, the same for the same, and never the thing itself."""

import ipaddress
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import iban, luhn

from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.mask.hiding import normal
from strongroom.engines.privacy.mask.policy import LOCALES, MaskRule, Method
from strongroom.engines.privacy.mask.standins import lists, numbers
from strongroom.engines.privacy.mask.standins.maker import Maker
from strongroom.engines.privacy.mask.standins.registry import is_suited, stand_in

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
SUITED = sorted(name for name in RULES_BY_NAME if is_suited(name))


def made(type_name: str | None, text: str, key: bytes = KEY, **options: object) -> str:
    """The stand-in of one value."""
    rule = MaskRule(Method.STAND_IN, **options)  # type: ignore[arg-type] # options by name
    return stand_in(Maker(key, rule), type_name, "column")(text)


def test_names_stay_one_person_over_columns_and_forms() -> None:
    given_name, family = made("given_name", "Susan"), made("family_name", "Miller")
    assert made("person_name", "Susan Miller") == f"{given_name} {family}"
    assert made("person_name", "Miller, Susan") == f"{family}, {given_name}"
    assert made("person_name", "Dr. SUSAN Miller") == f"Dr. {given_name.upper()} {family}"
    assert made("person_name", "susan miller").title() == f"{given_name} {family}".title()
    assert made("email", "susan.miller@clinic.org").startswith(
        f"{given_name.lower()}.{family.lower()}"
    )
    assert "J." not in made("person_name", "J. Miller")


def test_gender_and_country_stay_where_asked() -> None:
    for name in ("Susan", "Deborah", "Linda", "Carol"):
        assert made("given_name", name) in lists.names(lists.homes()[name.casefold()]).female
    assert made("given_name", "Gary") in lists.names(lists.homes()["gary"]).male
    free = {made("given_name", name, keep_gender=False) for name in ("Susan", "Deborah", "Linda",
            "Carol", "Brenda", "Pamela", "Janet", "Heather")}  # fmt: skip
    assert {lists.genders().get(name.casefold()) for name in free} > {"male"}
    assert made("given_name", "Susan", locale="it_IT") in lists.names("it_IT").female
    assert made("family_name", "Ackermann") in lists.names("de_DE").family
    assert made("city", "Aachen") in lists.places("de_DE", "cities")
    assert re.fullmatch(r".+(?:straße|weg|gasse|allee) \d+", made("street_address", "Ringstraße 5"))
    assert made("country", "DE") in lists.place_codes("countries", 2)
    assert made("state", "TX") in lists.place_codes("states", 2)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_locale_has_names_places_and_streets(locale: str) -> None:
    assert len(lists.names(locale).family) > 50
    assert lists.places(locale, "cities")
    assert locale in lists.STREETS
    for kind in ("person_name", "street_address", "city", "country", "state", "organization"):
        assert made(kind, "Zzyzx Qqq", locale=locale) != "[redacted]"


def test_ways_to_reach_people_reach_nobody() -> None:
    assert made("email", "ada@clinic.org").rpartition("@")[2] in {
        "example.com", "example.net", "example.org",
    }  # fmt: skip
    assert re.fullmatch(r"\(\d{3}\) 555-01\d\d", made("phone", "(415) 234-5678"))
    assert re.fullmatch(r"\+1 \d{3} 555 01\d\d", made("phone", "+1 415 234 5678"))
    assert re.fullmatch(r"07700 900\d{3}", made("phone", "07911 123456"))
    assert re.fullmatch(r"\+44 7700 900\d{3}", made("phone", "+44 7911 123456"))
    assert re.fullmatch(r"\+49 00 \d{7}", made("phone", "+49 30 1234567"))
    assert ipaddress.ip_address(made("ip_address", "8.8.8.8")).is_reserved
    assert ipaddress.ip_address(made("ip_address", "2a00::1")) in ipaddress.ip_network(
        "2001:db8::/32"
    )
    mac = made("mac_address", "3C:22:FB:01:02:03")
    assert re.fullmatch(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}", mac)
    assert int(mac[:2], 16) & 3 == 2  # locally administered, one receiver
    assert made("url", "https://clinic.org/ada").startswith("https://example.")


def test_check_digits_are_wrong_unless_asked_for() -> None:
    cards = [f"4111 1111 1111 {number:04}" for number in range(40)]
    assert not any(luhn.is_valid(made("payment_card", card).replace(" ", "")) for card in cards)
    valid_cards = [made("payment_card", card, checksum="valid") for card in cards]
    assert all(luhn.is_valid(card.replace(" ", "")) for card in valid_cards)
    account = "DE89 3704 0044 0532 0130 00"
    assert not iban.is_valid(made("iban", account))
    valid = made("iban", account, checksum="valid")
    assert iban.is_valid(valid)
    assert valid.startswith("DE")
    assert len(valid) == len(account)


@pytest.mark.parametrize(
    ("type_name", "text"),
    [
        ("br_cpf", "529.982.247-25"), ("ca_sin", "046 454 286"), ("ch_ahv", "756.9217.0769.85"),
        ("es_dni", "54362315K"), ("in_aadhaar", "2341 2341 2346"), ("nl_bsn", "111222333"),
        ("uk_nhs_number", "943 476 5919"), ("us_ssn", "536-90-4000"),
    ],
)  # fmt: skip
def test_ids_are_valid_or_not_as_asked(type_name: str, text: str) -> None:
    assert numbers.is_valid(type_name, made(type_name, text, checksum="valid"))
    assert not numbers.is_valid(type_name, made(type_name, text))


def test_codes_keep_their_form() -> None:
    assert re.fullmatch(r"[A-Z]{3}-\d{4}[a-z]", made(None, "MRN-0042x"))
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    assert re.fullmatch(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", made("uuid", uuid))


@settings(deadline=None)
@given(st.sampled_from([None, *SUITED]), st.text(max_size=30), st.booleans())
def test_never_itself_and_always_the_same(type_name: str | None, text: str, is_valid: bool) -> None:
    checksum = "valid" if is_valid and type_name in {"payment_card", "us_ssn"} else "invalid"
    once = made(type_name, text, checksum=checksum)
    assert made(type_name, text, checksum=checksum) == once
    kept = {"mr", "dr", "van", "von", "de", "la"}
    if any(c.isalnum() and c.isascii() for c in text) and normal(text).casefold() not in kept:
        letters = re.sub(r"[^a-z]", "", text.casefold())
        if letters in kept or type_name in {"person_name", "given_name", "family_name"}:
            return  # titles and particles stay
        assert normal(once).casefold() != normal(text).casefold()


@given(st.sampled_from(["Susan", "Miller", "Jürgen", "José", "李明", "O’Brien", "Zed"]))  # noqa: RUF001 # names are written so
def test_no_name_is_its_own_stand_in(name: str) -> None:
    for type_name in ("person_name", "given_name", "family_name"):
        for key in (KEY, OTHER_KEY):
            assert name.casefold() not in made(type_name, name, key).casefold().split()


def test_another_key_gives_other_people() -> None:
    texts = [f"person{i}@clinic.org" for i in range(50)]
    assert not {made("email", t) for t in texts} & {made("email", t, OTHER_KEY) for t in texts}


def test_addresses_hardly_ever_meet() -> None:
    texts = [f"p{i}@clinic.org" for i in range(5_000)]
    assert len({made("email", text) for text in texts}) == len(texts)


def test_empty_stays_empty() -> None:
    for type_name in (None, *SUITED):
        assert made(type_name, "") == ""
        assert made(type_name, "  ") == "  "
