"""DSSE envelopes around in-toto statements: what is said of some files, and who signed it.

Sources: DSSE protocol v1.0.2 (secure-systems-lab/dsse), in-toto Statement v1. The signature is
over PAE(type, payload), so the JSON is never canonicalized: the signed bytes are the payload.
"""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strongroom.engines.crypto.signing import SigningKey, Signs, VerifyingKey
from strongroom.errors import TamperedError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

_MAX_ENVELOPE_LENGTH = 64 << 20
_MAX_SIGNATURES = 16


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing the statement is about: its name and its SHA-256 in hex."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto Statement v1.

    Attributes:
        subjects: what it is about, at least one.
        predicate_type: URI that says how to read the predicate.
        predicate: the JSON object that is claimed.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, object]

    def encode(self) -> bytes:
        """The JSON to sign."""
        if not self.subjects:
            raise ValueError("a statement has a subject")
        return json.dumps(
            {
                "_type": STATEMENT_TYPE,
                "subject": [
                    {"name": subject.name, "digest": {"sha256": subject.sha256}}
                    for subject in self.subjects
                ],
                "predicateType": self.predicate_type,
                "predicate": self.predicate,
            },
            separators=(",", ":"),
            allow_nan=False,
        ).encode()


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding, which is what gets signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(statement: Statement, keys: Sequence[Signs], *, is_repeatable: bool = False) -> bytes:
    """The envelope as JSON, signed by every one of `keys`.

    Args:
        is_repeatable: the same statement gives the same bytes (RFC 6979), for what is signed
            anew each time that somebody asks for it; with keys in memory only.
    """
    if not 0 < len(keys) <= _MAX_SIGNATURES:
        raise ValueError(f"an envelope has 1 to {_MAX_SIGNATURES} signatures")
    payload = statement.encode()
    message = pae(PAYLOAD_TYPE, payload)
    envelope = {
        "payload": b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {
                "keyid": key.verifying_key.key_id,
                "sig": b64encode(_signature(key, message, is_repeatable)).decode(),
            }
            for key in keys
        ],
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def _signature(key: Signs, message: bytes, is_repeatable: bool) -> bytes:
    if not is_repeatable:
        return key.sign(message)
    if not isinstance(key, SigningKey):
        raise TypeError("a device does not sign repeatably")
    return key.sign_repeatably(message)


def verify(envelope: bytes, trusted: Sequence[VerifyingKey], *, threshold: int = 1) -> Statement:
    """The statement, once `threshold` different trusted keys have signed it.

    The key ids in the envelope are hints that the signature does not cover; they choose nothing
    here, every signature is tried with every trusted key.

    Raises:
        TamperedError: not an envelope, not a statement, or too few good signatures.
    """
    if threshold < 1:
        raise ValueError("a threshold is at least 1")
    payload_type, payload, signatures = _parse_envelope(envelope)
    if payload_type != PAYLOAD_TYPE:
        raise TamperedError("the envelope holds no in-toto statement")
    message = pae(payload_type, payload)
    good = {
        key.key_id
        for key in trusted
        if any(_is_good(key, message, signature) for signature in signatures)
    }
    if len(good) < threshold:
        raise TamperedError(f"{len(good)} of {threshold} trusted signatures fit")
    return read_statement(payload)


def _is_good(key: VerifyingKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(message, signature)
    except TamperedError:
        return False
    return True


def _parse_envelope(envelope: bytes) -> tuple[str, bytes, list[bytes]]:
    if len(envelope) > _MAX_ENVELOPE_LENGTH:
        raise TamperedError("the envelope is too long")
    try:
        fields = json.loads(envelope)
        kind = fields["payloadType"]
        payload = from_base64(fields["payload"])
        signatures = [from_base64(entry["sig"]) for entry in fields["signatures"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TamperedError("the envelope is not DSSE") from None
    if not isinstance(kind, str) or not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise TamperedError("the envelope is not DSSE")
    return kind, payload, signatures


def from_base64(text: str) -> bytes:
    """Bytes of standard or URL-safe base64, as DSSE allows both; strict in everything else.

    Raises:
        ValueError: it is not base64.
    """
    try:
        return b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, AttributeError):
        raise ValueError("not base64") from None


def read_statement(payload: bytes) -> Statement:
    """The statement in a payload, whose signature was verified before.

    Raises:
        TamperedError: it is none.
    """
    try:
        fields = json.loads(payload)
        if fields["_type"] != STATEMENT_TYPE:
            raise ValueError("another type")
        subjects = tuple(
            Subject(str(entry["name"]), str(entry["digest"]["sha256"]))
            for entry in fields["subject"]
        )
        predicate_type, predicate = fields["predicateType"], fields.get("predicate", {})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise TamperedError("the signed payload is not an in-toto statement") from None
    if not subjects or not isinstance(predicate_type, str) or not isinstance(predicate, dict):
        raise TamperedError("the signed payload is not an in-toto statement")
    return Statement(subjects, predicate_type, predicate)
