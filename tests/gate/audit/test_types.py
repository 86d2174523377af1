"""What an entry says, and what it may not."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.gate.audit.payload import Payload
from strongroom.gate.audit.types import (
    HIDDEN,
    MAX_TEXT_CHARACTERS,
    AuditClass,
    Detail,
    Event,
    Outcome,
    decode,
)

SALT = bytes(range(16))
EVENT = Event(
    time=1_700_000_000.25,
    workspace="clinic",
    actor_kind="person",
    actor="p_1",
    credential="k_1",
    operation="data.read",
    action="readDataset",
    resource_type="Dataset",
    resource="biopsies",
    audit_class=AuditClass.DATASTORE_ACTIVITY,
    request_id="0123456789abcdef",
    outcome=Outcome.ALLOWED,
    policies=("reader",),
    details={"rows": 569, "digest": "ab" * 32, "may.readClear": False, "seconds": 0.5},
)


def test_the_entry_byte_by_byte() -> None:
    # A change here is a new format: third parties parse this (docs/log.md).
    assert EVENT.encode(SALT).decode() == (
        '{"action":"readDataset","actor":"p_1","actor_kind":"person","class":"datastore_activity",'
        '"credential":"k_1","details":{"digest":"' + "ab" * 32 + '","may.readClear":false,'
        '"rows":569,"seconds":0.5},"operation":"data.read","outcome":"allowed",'
        '"policies":["reader"],"reason":"","request_id":"0123456789abcdef","resource":"biopsies",'
        '"resource_type":"Dataset","salt":"000102030405060708090a0b0c0d0e0f",'
        '"time":1700000000.25,"v":1,"workspace":"clinic"}'
    )


def test_the_salt_hides_equal_events() -> None:
    assert EVENT.encode(SALT) != EVENT.encode(bytes(16))
    with pytest.raises(ValueError, match="salt"):
        EVENT.encode(b"short")


def test_what_is_derived_from_an_event() -> None:
    refused = EVENT.concluded(Outcome.REFUSED, "refused").with_policies(["a", "b"])
    assert (refused.outcome, refused.reason, refused.policies) == (
        Outcome.REFUSED,
        "refused",
        ("a", "b"),
    )
    assert EVENT.with_details({"rows": 1}).details == {**EVENT.details, "rows": 1}
    assert EVENT.details["rows"] == 569


texts = st.text(max_size=40)


@given(
    resource=st.text(st.characters(codec=None), max_size=700),
    reason=texts,
    details=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_.]{0,20}", fullmatch=True),
        st.one_of(texts, st.booleans(), st.integers(-(2**53), 2**53)),
        max_size=5,
    ),
)
def test_any_text_is_taken_and_read_back(
    resource: str, reason: str, details: dict[str, Detail]
) -> None:
    event = EVENT.concluded(Outcome.FAILED, reason).with_details(details)
    event = Event(
        **{**{name: getattr(event, name) for name in event.__slots__}, "resource": resource}
    )
    read = decode(event.encode(SALT))
    assert read.details == event.details
    assert read.reason == reason
    assert len(read.resource) <= MAX_TEXT_CHARACTERS
    assert json.loads(event.encode(SALT))["outcome"] == "failed"


def test_a_long_text_is_visibly_cut() -> None:
    event = EVENT.concluded(Outcome.FAILED, "x" * 5000)
    reason = decode(event.encode(SALT)).reason
    assert reason == "x" * (MAX_TEXT_CHARACTERS - 1) + "…"


SECRET = f"srk_{'a' * 16}_{'b' * 52}_0123abcd"


@pytest.mark.parametrize(
    "text",
    [
        SECRET, SECRET.upper(), SECRET[:-9], f"model {SECRET}/v1", SECRET.replace("srk", "srs"),
        SECRET.replace("srk", "srl"), SECRET.replace("srk", "sri"),
    ],
)  # fmt: skip
def test_what_looks_like_a_credential_is_never_recorded(text: str) -> None:
    fields = ("workspace", "resource_type", "resource", "operation", "reason")
    event = replace(
        EVENT, workspace=text, resource_type=text, resource=text, operation=text, reason=text,
        details={**EVENT.details, "name": text, text: 1},
    )  # fmt: skip
    scrubbed = event.without_secrets()
    assert "bbbbbbbb" not in repr(scrubbed).lower()
    assert all(HIDDEN in getattr(scrubbed, name) for name in fields)
    assert scrubbed.details["rows"] == 569
    entry = Payload(bytes(32), "log.example/tests").prepare(event)
    assert "bbbbbbbb" not in repr(entry).lower()


PIECES = st.sampled_from(
    [SECRET, SECRET.upper(), SECRET[:30], "srk_", "_", "x" * 400, "é", "\u017f", "\ud800", '"', "a"]
)
TEXTS = st.lists(PIECES, max_size=4).map("".join)


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, st.dictionaries(st.sampled_from(["a", "b", SECRET]), TEXTS, max_size=2))
def test_the_quick_look_for_credentials_sees_what_the_thorough_one_does(
    reason: str, resource: str, details: dict[str, str]
) -> None:
    event = replace(EVENT, reason=reason, resource=resource, details=details)
    payload = Payload(bytes(32), "log.example/tests", lambda size: bytes(size))
    prepared = payload.prepare(event)
    entry = payload.open(prepared.columns[-1], prepared.leaf_hash, 0)
    assert entry == event.without_secrets().encode(bytes(16))


def test_ids_of_credentials_and_ordinary_names_are_recorded() -> None:
    for text in (SECRET[:20], "srk_model", "biopsies", "sri-lanka_survey_of_2025"):
        event = replace(EVENT, resource=text, credential=SECRET[:20])
        assert event.without_secrets() is event


@pytest.mark.parametrize("name", ["", "1st", "a b", "a" * 65, "é", 'a"b', "a\n"])
def test_names_of_details(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        EVENT.with_details({name: 1}).encode(SALT)


def test_limits() -> None:
    with pytest.raises(ValueError, match="64 details"):
        EVENT.with_details({f"n{number}": 1 for number in range(65)}).encode(SALT)
    with pytest.raises(ValueError, match="65535 bytes"):
        EVENT.with_details({f"n{number}": "\x01" * 512 for number in range(60)}).encode(SALT)


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        EVENT.encode(SALT)[:-1],
        EVENT.encode(SALT).replace(b'"v":1', b'"v":2'),
        EVENT.encode(SALT).replace(b'"allowed"', b'"maybe"'),
        EVENT.encode(SALT).replace(b'"datastore_activity"', b'"x"'),
        EVENT.encode(SALT).replace(b'"actor":', b'"acter":'),
        EVENT.encode(SALT).replace(b'["reader"]', b"7"),
    ],
)
def test_what_is_not_an_event(entry: bytes) -> None:
    with pytest.raises(ValueError, match=r"entry|valid"):
        decode(entry)
