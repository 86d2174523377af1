"""What an entry says, and what it may not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.gate.audit.types import (
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
