"""DSSE envelopes: the protocol's own example, thresholds, and what must not verify."""

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Any

import pytest

from strongroom.engines.crypto.dsse import (
    PAYLOAD_TYPE,
    STATEMENT_TYPE,
    Statement,
    Subject,
    pae,
    sign,
    verify,
)
from strongroom.engines.crypto.signing import SigningKey
from strongroom.errors import TamperedError

FIRST = SigningKey.from_seed(bytes(32))
SECOND = SigningKey.generate("ecdsa-p256")
STATEMENT = Statement(
    (Subject("model.onnx", "ab" * 32), Subject("MLmodel", "cd" * 32)),
    "https://example.org/scan/v1",
    {"verdict": "passed", "names": ["é", "\N{GRINNING FACE}"], "count": 3},
)


def _changed(**fields: object) -> bytes:
    envelope: dict[str, Any] = json.loads(sign(STATEMENT, [FIRST]))
    return json.dumps(envelope | fields).encode()


def _signed(payload: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    signature = b64encode(FIRST.sign(pae(kind, payload))).decode()
    return json.dumps(
        {
            "payload": b64encode(payload).decode(),
            "payloadType": kind,
            "signatures": [{"keyid": "", "sig": signature}],
        }
    ).encode()


def test_pae_of_the_protocol() -> None:
    # secure-systems-lab/dsse, protocol.md, test vectors.
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected
    assert pae("", b"") == b"DSSEv1 0  0 "
    assert pae("é", b"x") == b"DSSEv1 2 \xc3\xa9 1 x"


def test_round_trip() -> None:
    envelope = sign(STATEMENT, [FIRST])
    assert verify(envelope, [FIRST.verifying_key]) == STATEMENT
    fields = json.loads(envelope)
    assert fields["payloadType"] == PAYLOAD_TYPE
    assert fields["signatures"][0]["keyid"] == FIRST.verifying_key.key_id
    assert json.loads(b64decode(fields["payload"]))["_type"] == STATEMENT_TYPE


def test_url_safe_base64_is_read_too() -> None:
    envelope = json.loads(sign(STATEMENT, [FIRST]))
    for holder, name in ((envelope, "payload"), (envelope["signatures"][0], "sig")):
        holder[name] = urlsafe_b64encode(b64decode(holder[name])).decode()
    assert verify(json.dumps(envelope).encode(), [FIRST.verifying_key]) == STATEMENT


def test_thresholds_count_keys_not_signatures() -> None:
    both = sign(STATEMENT, [FIRST, SECOND])
    trusted = [FIRST.verifying_key, SECOND.verifying_key]
    assert verify(both, trusted, threshold=2) == STATEMENT
    assert verify(both, trusted[:1]) == STATEMENT
    twice = sign(STATEMENT, [FIRST, FIRST])
    for envelope, keys in ((twice, trusted), (both, trusted[:1]), (both, trusted[:1] * 2)):
        with pytest.raises(TamperedError, match="1 of 2 trusted"):
            verify(envelope, keys, threshold=2)


def test_no_trusted_key_no_statement() -> None:
    envelope = sign(STATEMENT, [FIRST])
    for trusted in ([], [SECOND.verifying_key]):
        with pytest.raises(TamperedError, match="0 of 1 trusted"):
            verify(envelope, trusted)
    with pytest.raises(ValueError, match="at least 1"):
        verify(envelope, [], threshold=0)


def test_key_ids_are_only_hints() -> None:
    envelope = json.loads(sign(STATEMENT, [FIRST]))
    envelope["signatures"][0]["keyid"] = SECOND.verifying_key.key_id
    assert verify(json.dumps(envelope).encode(), [FIRST.verifying_key]) == STATEMENT


def test_changes_are_noticed() -> None:
    other = b64encode(Statement((Subject("x", "ab" * 32),), "t", {}).encode()).decode()
    flipped = bytearray(FIRST.sign(b"other"))
    for envelope in (
        _changed(payload=other),
        _changed(payloadType="application/json"),
        _changed(signatures=[]),
        _changed(signatures=[{"sig": b64encode(flipped).decode()}]),
        _changed(signatures=[{"sig": "AA=="}] * 17),
        _changed(signatures=[{"keyid": "no signature"}]),
        _changed(signatures="AA=="),
        _changed(payload="not base64!"),
        _changed(payload=7),
        _changed(payloadType=7),
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
    ):
        with pytest.raises(TamperedError):
            verify(envelope, [FIRST.verifying_key])


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({"_type": "other"}).encode(),
        json.dumps({"_type": STATEMENT_TYPE, "subject": [], "predicateType": "t"}).encode(),
        json.dumps(
            {"_type": STATEMENT_TYPE, "subject": [{"name": "x"}], "predicateType": "t"}
        ).encode(),
        json.dumps(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": "x", "digest": {"sha256": "ab"}}],
                "predicateType": "t",
                "predicate": [],
            }
        ).encode(),
    ],
)
def test_a_good_signature_over_something_else(payload: bytes) -> None:
    with pytest.raises(TamperedError, match="not an in-toto statement"):
        verify(_signed(payload), [FIRST.verifying_key])


def test_a_good_signature_over_another_type() -> None:
    with pytest.raises(TamperedError, match="no in-toto statement"):
        verify(_signed(STATEMENT.encode(), "text/plain"), [FIRST.verifying_key])


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="signatures"):
        sign(STATEMENT, [])
    with pytest.raises(ValueError, match="has a subject"):
        sign(Statement((), "t", {}), [FIRST])
    with pytest.raises(ValueError, match="not JSON compliant"):
        sign(Statement(STATEMENT.subjects, "t", {"x": float("nan")}), [FIRST])
