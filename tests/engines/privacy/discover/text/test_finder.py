"""What the finder sees in running text: single forms, disguises, and any text at all."""
# ruff: noqa: E501, RUF001 # disguised letters are the subject; a case a line

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.privacy.discover.text.corpora import measure, read

from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.discover.text import finder as room
from strongroom.engines.privacy.discover.text.finder import TextFinder, text_finder


@pytest.fixture(scope="module")
def plain() -> TextFinder:
    return text_finder(model=False)


def found(finder: TextFinder, text: str) -> dict[str, str]:
    """Found text → type."""
    return {text[span.start : span.end]: span.type for span in finder.find(text)}


STUDY = CustomType("study_code", "code of a study", r"ST-\d{6}", ("studie",))

# Every value is made up, or a published example of its issuer.
FORMS = [
    ("write to ann.lee@example.org today", "ann.lee@example.org", "email"),
    ("see https://example.org/a?b=1 now", "https://example.org/a?b=1", "url"),
    ("host 192.0.2.17 is down", "192.0.2.17", "ip_address"),
    ("via 2001:db8::8a2e:370:7334 only", "2001:db8::8a2e:370:7334", "ip_address"),
    ("mac 00:1A:2B:3C:4D:5E joined", "00:1A:2B:3C:4D:5E", "mac_address"),
    ("at 52.5200, 13.4050 exactly", "52.5200, 13.4050", "coordinates"),
    ("call +49 30 901820 at noon", "+49 30 901820", "phone"),
    ("call (415) 555-2671 at noon", "(415) 555-2671", "phone"),
    ("appelez le 01 23 45 67 89 svp", "01 23 45 67 89", "phone"),
    ("Rückfragen: 04131 / 55 67 89", "04131 / 55 67 89", "phone"),
    ("ring me on 0171 2345678", "0171 2345678", "phone"),
    ("Kennzeichen B-MW 1234 parkt", "B-MW 1234", "licence_plate"),
    ("card 4111 1111 1111 1111 expired", "4111 1111 1111 1111", "payment_card"),
    ("auf DE89 3704 0044 0532 0130 00 bitte", "DE89 3704 0044 0532 0130 00", "iban"),
    ("SSN 219-09-9999 on file", "219-09-9999", "us_ssn"),
    ("her ssn is 219099999 she said", "219099999", "us_ssn"),
    ("NINO AB123456C given", "AB123456C", "uk_nino"),
    ("NHS number 943 476 5919 was", "943 476 5919", "uk_nhs_number"),
    ("DNI 12345678Z de Madrid", "12345678Z", "es_dni"),
    ("codice RSSMRA85T10A562S ok", "RSSMRA85T10A562S", "it_fiscal_code"),
    ("CPF 390.533.447-05 do titular", "390.533.447-05", "br_cpf"),
    ("AHV 756.9217.0769.85 notiert", "756.9217.0769.85", "ch_ahv"),
    ("BSN 111222333 bekend", "111222333", "nl_bsn"),
    ("VIN 1M8GDM9AXKP042788 seen", "1M8GDM9AXKP042788", "vin"),
    ("MRN: 00123456 admitted", "00123456", "medical_record_number"),
    ("patient id: A-4471-22 seen", "A-4471-22", "medical_record_number"),
    ("Fallnummer: 2024-00123 heute", "2024-00123", "medical_record_number"),
    ("Insurance ID: XKZ-882910 valid", "XKZ-882910", "health_insurance_number"),
    ("NPI 1234567893 signed", "1234567893", "prescriber_number"),
    ("Passport No: C01X00T47 issued", "C01X00T47", "passport_number"),
    ("driver's license: D123-4567-8901 shown", "D123-4567-8901", "driving_licence"),
    ("Case No. 2023-CV-0117 pending", "2023-CV-0117", "case_number"),
    ("employee id: 884213 left", "884213", "customer_number"),
    ("account number: 004417992 closed", "004417992", "bank_account"),
    ("DOB: 03/04/1985 noted", "03/04/1985", "date_of_birth"),
    ("geboren am 12. März 1971 in Ulm", "12. März 1971", "date_of_birth"),
    ("née le 5 juillet 1990 ici", "5 juillet 1990", "date_of_birth"),
    ("on 2024-02-29 it rained", "2024-02-29", "date"),
    ("at 2026-02-09T22:50:00Z it", "2026-02-09T22:50:00Z", "date"),
    ("on March 3rd, 2019 we", "March 3rd, 2019", "date"),
    ("el 3 de mayo de 2020 fue", "3 de mayo de 2020", "date"),
    ("a 93-year-old man", "93", "age"),
    ("lives at 12 Maple Street, Dover, DE 19901 now", "12 Maple Street, Dover, DE 19901", "street_address"),
    ("wohnt Lindenstraße 12, 10969 Berlin jetzt", "Lindenstraße 12, 10969 Berlin", "street_address"),
    ("au 12 rue de la Paix, 75002 Paris ici", "12 rue de la Paix, 75002 Paris", "street_address"),
    ("en Calle Mayor 12, hoy", "Calle Mayor 12", "street_address"),
    ("to P.O. Box 1142 please", "P.O. Box 1142", "street_address"),
    ("zip code: 90210 there", "90210", "postcode"),
    ("password: Tr0ub4dor&3 now", "Tr0ub4dor&3", "password"),
    ("api_key = 'kd83hHs0s9dkLqPz' here", "kd83hHs0s9dkLqPz", "secret_key"),
    ("key AKIAIOSFODNN7EXAMPLE leaked", "AKIAIOSFODNN7EXAMPLE", "secret_key"),
    ("postgres://app:hunter2@db.internal:5432/main", "postgres://app:hunter2@db.internal:5432/main", "connection_string"),
    ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEow==\n-----END RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEow==\n-----END RSA PRIVATE KEY-----", "private_key"),
    ("send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa soon", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "wallet_address"),
    ("username: jdoe42 locked", "jdoe42", "username"),
    ("licence plate: AB12 CDE seen", "AB12 CDE", "licence_plate"),
    ("IMEI 490154203237518 stolen", "490154203237518", "device_id"),
    ("ask Dr. Okonkwo about it", "Okonkwo", "person_name"),
    ("Patient: Thomas Wilson, stable", "Thomas Wilson", "person_name"),
    ("seen by Mary Johnson today", "Mary Johnson", "person_name"),
    ("my name is peter schmidt and", "peter schmidt", "person_name"),
    ("Sehr geehrter Herr Krüger,", "Krüger", "person_name"),
    ("works for Globex Industries Ltd in town", "Globex Industries Ltd", "organization"),
    ("at the University of Bristol now", "University of Bristol", "organization"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value", "name"), FORMS)
def test_forms_are_found_whole_and_of_their_type(
    plain: TextFinder, text: str, value: str, name: str
) -> None:
    assert found(plain, text).get(value) == name


@pytest.mark.parametrize(
    "text",
    [
        "The deployment finished in 42 s with 12 pods and 3 warnings.",
        "Upgrade from 1.27.3 to 1.28.0, then restart the ingress.",
        "Build 20240817.3 passed 1,204 tests; coverage 91.4 percent.",
        "Blood pressure 120/80, pulse 72, temperature 37.1, saturation 98.",
        "Total: 1,234,567.89 EUR for 250 units at 4,938.27 each.",
        "ISBN 978-3-16-148410-0 is a book.",
        "It is what it is, and that is all there is to say about it.",
        "",
        " \n\t ",
    ],
)
def test_plain_text_holds_nothing(plain: TextFinder, text: str) -> None:
    assert found(plain, text) == {}


@pytest.mark.parametrize(
    ("text", "value", "name"),
    [
        ("jane [at] example [dot] com", "jane [at] example [dot] com", "email"),
        ("jane at example dot org", "jane at example dot org", "email"),
        ("j a n e @ m a i l . c o m", "j a n e @ m a i l . c o m", "email"),
        ("mail ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ now", "ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "email"),
        ("mail j\u0430ne@ex\u0430mple.c\u043em now", "j\u0430ne@ex\u0430mple.c\u043em", "email"),
        ("mail ja\u200bne@exam\u00adple.com now", "ja\u200bne@exam\u00adple.com", "email"),
        ("mail jane&#64;example.com now", "jane&#64;example.com", "email"),
        ("ssn ２１９-０９-９９９９ ok", "２１９-０９-９９９９", "us_ssn"),
        ("ssn 219\u201309\u20139999 ok", "219\u201309\u20139999", "us_ssn"),
        ("ssn 2l9-O9-9999 ok", "2l9-O9-9999", "us_ssn"),
        ("tel (4l5) 555-O123 ok", "(4l5) 555-O123", "phone"),
        ("ip 192[.]0[.]2[.]17 ok", "192[.]0[.]2[.]17", "ip_address"),
        ("by M\u0430ry Johns\u043en today", "M\u0430ry Johns\u043en", "person_name"),
        ("by MARY JOHNSON today", "MARY JOHNSON", "person_name"),
    ],
)  # fmt: skip
def test_disguised_spelling_is_seen_through(
    plain: TextFinder, text: str, value: str, name: str
) -> None:
    assert found(plain, text).get(value) == name


def test_places_are_told_in_characters_also_behind_wide_ones(plain: TextFinder) -> None:
    text = "😀𝒳e\u0301\u200b → ann@example.org 😀 und 219-09-9999"
    assert found(plain, text) == {"ann@example.org": "email", "219-09-9999": "us_ssn"}


def test_the_parts_of_a_found_address_are_not_reported_again(plain: TextFinder) -> None:
    text = "mary.johnson@example.com"
    assert found(plain, text) == {text: "email"}


def test_data_in_the_query_of_a_web_address_is_found(plain: TextFinder) -> None:
    text = "GET https://example.org/u?email=ann@example.org&ssn=219-09-9999 done"
    assert found(plain, text) == {
        "https://example.org/u?email=": "url",
        "ann@example.org": "email",
        "219-09-9999": "us_ssn",
    }


def test_the_end_of_a_longer_code_is_no_number(plain: TextFinder) -> None:
    assert "phone" not in found(plain, "NDC-0591-3740-01 and X99-415-555-2671").values()


def test_who_is_named_once_is_found_everywhere(plain: TextFinder) -> None:
    text = "Patient: Thomas Wilson. Later WILSON felt well, and Thomas went home."
    spans = [s for s in plain.find(text) if s.type == "person_name"]
    assert [text[s.start : s.end] for s in spans] == ["Thomas Wilson", "WILSON", "Thomas"]
    assert [s.source for s in spans][1:] == ["repeat", "repeat"]


def test_a_person_of_one_text_is_nobody_in_the_next(plain: TextFinder) -> None:
    first, second = plain.find_all(["Patient: Zorblat Wexelby", "The Wexelby shelf is full."])
    assert [s.type for s in first] == ["person_name"]
    assert second == []


def test_texts_looked_at_together_find_what_each_finds_alone(plain: TextFinder) -> None:
    texts = [text for text, _, _ in FORMS] + ["", "SSN", "219-09-9999", "tel", "5552671"]
    assert list(plain.find_all(texts)) == [plain.find(text) for text in texts]


def test_context_does_not_reach_over_to_the_next_text(plain: TextFinder) -> None:
    first, second = plain.find_all(["my telephone:", "5552671"])
    assert (first, second) == ([], [])
    assert found(plain, "my telephone: 5552671") == {"5552671": "phone"}


def test_long_texts_are_cut_between_words(plain: TextFinder) -> None:
    sentence = "Nothing here. Write to ann.lee@example.org. "
    text = sentence * (2 * room.PIECE // len(sentence) + 10)
    spans = plain.find(text)
    assert len(spans) == text.count("@")
    assert {text[s.start : s.end] for s in spans} == {"ann.lee@example.org"}


@pytest.mark.parametrize(
    "text",
    ["a" * 300_000, "1 " * 150_000, "@" * 200_000, "A." * 100_000, "John " * 60_000,
     "(" * 200_000, "a@" * 100_000, "1-" * 150_000, "\u200b" * 100_000, "dob " * 60_000,
     "-----BEGIN PRIVATE KEY----- " * 9_000, "http://a?" * 30_000, "password=" * 30_000],
)  # fmt: skip
def test_hostile_repetition_ends(plain: TextFinder, text: str) -> None:
    spans = plain.find(text)
    assert all(a.end <= b.start for a, b in pairwise(spans))


def _is_sound(finder: TextFinder, text: str) -> None:
    spans = finder.find(text)
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)
        assert 0.0 < span.confidence <= 1.0
        assert span.type in RULES_BY_NAME
    assert all(a.end <= b.start for a, b in pairwise(spans))


_FRAGMENTS = st.sampled_from([text for text, _, _ in FORMS] + ["\x00", "\ud800", "\u200b", "😀"])
_TEXTS = st.lists(_FRAGMENTS | st.text(), max_size=6).map("".join)


@settings(max_examples=150, deadline=None)
@given(_TEXTS)
def test_any_text_gives_sound_spans(text: str) -> None:
    _is_sound(text_finder(model=False), text)


@settings(max_examples=60, deadline=None)
@given(_TEXTS)
def test_any_text_gives_sound_spans_with_the_model(text: str) -> None:
    _is_sound(text_finder(), text)


@pytest.mark.parametrize("model", [False, True])
def test_halves_of_surrogate_pairs_are_no_trouble(*, model: bool) -> None:
    text = "\ud800x\udfff ann@example.org \udc00 ST-123456"
    finder = text_finder(model=model, custom=(STUDY,))
    assert found(finder, text)["ann@example.org"] == "email"
    assert found(finder, text)["ST-123456"] == "study_code"


def test_the_model_finds_names_that_no_list_or_title_gives_away() -> None:
    text = "yesterday Wexelby told everyone that Drambuschek had left London"
    names = {text[s.start : s.end] for s in text_finder().find(text) if s.type == "person_name"}
    assert "Drambuschek" in names or "Wexelby" in names
    assert not text_finder(model=False).find("yesterday Wexelby told everyone")


def test_figures_are_never_people() -> None:
    for text in ("12345 67890", "call 42 17", "1984 was good"):
        assert all(s.type != "person_name" for s in text_finder().find(text))


def test_types_of_ones_own_are_surer_near_their_words() -> None:
    finder = text_finder(model=False, custom=(STUDY,))
    (alone,) = finder.find("in ST-123456 today")
    (near,) = finder.find("die Studie ST-123456 heute")
    assert (alone.type, near.type) == ("study_code", "study_code")
    assert alone.confidence < near.confidence
    assert finder.find("in XST-1234567 today") == []


def test_a_type_of_ones_own_checks_its_digit() -> None:
    own = CustomType("member", "member", r"\d{8}", (), checksum="luhn")
    finder = text_finder(model=False, custom=(own,))
    assert found(finder, "the 12345674 here") == {"12345674": "member"}
    assert found(finder, "the 12345675 here") == {}


@pytest.mark.parametrize(
    ("corpus", "model", "least_f1", "most_leak"),
    [
        ("piianon_clinical_en", False, 0.85, 0.10),
        ("piianon_legal_en", False, 0.85, 0.10),
        ("piianon_clinical_en", True, 0.85, 0.05),
    ],
)
def test_labelled_records_are_found(
    shared_data: Path, corpus: str, *, model: bool, least_f1: float, most_leak: float
) -> None:
    documents = read(shared_data / "pii-text" / f"{corpus}.jsonl", every=8)
    f1, leak = measure(text_finder(model=model), documents)
    assert f1 >= least_f1
    assert leak <= most_leak


def test_people_in_real_tweets_are_found(shared_data: Path) -> None:
    documents = read(shared_data / "pii-text" / "wnut17_dev.jsonl", every=3)
    f1, _ = measure(text_finder(), documents, only="PERSON")
    assert f1 >= 0.5


@pytest.mark.parametrize(
    "text",
    [
        "Upgrade to version 1.2.3.4 of the driver",
        "libfoo (1.2.5.1-2) unstable",
        "openssl >= 2.6.33 is needed, found PyPy3 7.3.11",
        "oid 1.3.6.1.4.1.311 and 1.1.1.1.1.1",
        "listening on 127.0.0.1:80 and 0.0.0.0, mask 255.255.255.0",
        "@classmethod\n    def of(cls): ...",
        "@app.get('/items')\nasync def read(): ...",
        "key=str.lower, token = self.get_token(), user=None, user: int",
        "the key to every secret is encrypted",
        "pwd = self.pwd; password: password",
        "License: Apache-2.0, License: OFL-1.1",
        "name: Mapped[str] = column(); raise ValueError('second must be')",
        "return decision.at, word.at.isoformat(), {row.it}",
        "Setting up librtmp1:amd64 (2.4+20151223.gitfa8646d.1-2)",
        "mean texture (standard error):   0.36   4.885",
        "SPECIAL, OR CONSEQUENTIAL DAMAGES",
        "a 4-year cycle",
        "Order 12345-6789 shipped, SKU 90210-1234",
        "Her grade was A+ and his B-, rated AB+",
        "the code 123 456 789 was entered, 12 345 678 in total",
        "Section A12.3 applies, see figure B20.1",
        "started at 20:15:24, took 1:02:03",
        "sum 10 20 30 40, id 2024 1234 5678",
    ],
)
def test_code_and_versions_are_nobodys(text: str) -> None:
    assert text_finder(model=False).find(text) == []


@pytest.mark.parametrize(
    ("text", "type_name", "value"),
    [
        ("login from 10.0.0.1, ip=192.168.4.20", "ip_address", "10.0.0.1"),
        ("Received: from <81.2.69.160>", "ip_address", "81.2.69.160"),
        ("password: Xk29fQpz", "password", "Xk29fQpz"),
        ("api_key = 9f8a7c6b5d4e3f2a", "secret_key", "9f8a7c6b5d4e3f2a"),
        ("thanks @anna_lee for this", "social_handle", "@anna_lee"),
        ("user=jdoe42 logged in", "username", "jdoe42"),
        ("medical license: A123456", "professional_licence", "A123456"),
        ("Patient name: McDonald", "person_name", "McDonald"),
        ("seen on 2.6.33 in Ulm", "date", "2.6.33"),
        ("she lives in Portland, OR 97201", "city", "Portland, OR 97201"),
        ("send it to Boston, MA 02134-1234 please", "city", "Boston, MA 02134-1234"),
        ("her phone: 123 456 789", "phone", "123 456 789"),
        ("via fe80::1%eth0 and 2001:db8::1", "ip_address", "2001:db8::1"),
        ("at 2001:db8:0:1:1:1:1:1 now", "ip_address", "2001:db8:0:1:1:1:1:1"),
        ("at ::ffff:192.0.2.128 now", "ip_address", "::ffff:192.0.2.128"),
        ("read example.org/about (mail ann@mail.example.org)", "url", "example.org/about"),
    ],
)
def test_what_looks_like_code_and_is_not_is_found(text: str, type_name: str, value: str) -> None:
    found = {
        (span.type, text[span.start : span.end]) for span in text_finder(model=False).find(text)
    }
    assert (type_name, value) in found
