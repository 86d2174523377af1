"""The nouns of the log: what an event is, and the reference that its entry leaves.

An entry of the log is one event as canonical JSON: keys sorted, no white space, UTF-8, plus a
random salt. The bytes are never encoded again: hashing, sealing, export and receipts all use
those that were appended. docs/log.md describes each field for third parties.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Self

import msgspec

FORMAT = 1
"""Version of the entry's fields, the member `v` of each entry."""

SALT_BYTES = 16
MAX_TEXT_CHARACTERS = 512
"""A longer text is cut, with an ellipsis in place of the rest."""
_UNCUT_BYTES = MAX_TEXT_CHARACTERS + 256
"""The names alone take 290 bytes: in such an entry no text can be over its limit."""
MAX_DETAILS = 64
MAX_ENTRY_BYTES = 65_535
"""Entry bundles of C2SP tlog-tiles hold lengths in 16 bits."""

_DETAIL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")
_encode = msgspec.json.Encoder(order="sorted").encode

_SECRET = re.compile(r"sr[ksli]_[a-z0-9]{4,}_[a-z0-9_-]{8,}", re.IGNORECASE)
"""One of our secrets, also mistyped or cut off, and not the id alone, which is none."""
_SECRET_IN_LOWER_CASE = re.compile(rb"sr[ksli]_[a-z0-9]{4,}_[a-z0-9_-]{8,}")
_SHORTEST = 16
HIDDEN = "[hidden]"

Detail = str | int | float | bool


class Outcome(StrEnum):
    """How the operation ended."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"


class AuditClass(StrEnum):
    """The class of an event in the Open Cybersecurity Schema Framework (OCSF 1.8)."""

    ACCOUNT_CHANGE = "account_change"
    AI_OPERATION = "ai_operation"
    API_ACTIVITY = "api_activity"
    APPLICATION_LIFECYCLE = "application_lifecycle"
    AUTHENTICATION = "authentication"
    AUTHORIZE_SESSION = "authorize_session"
    COMPLIANCE_FINDING = "compliance_finding"
    DATASTORE_ACTIVITY = "datastore_activity"
    DETECTION_FINDING = "detection_finding"
    ENTITY_MANAGEMENT = "entity_management"
    FILE_HOSTING_ACTIVITY = "file_hosting"
    GROUP_MANAGEMENT = "group_management"
    USER_ACCESS_MANAGEMENT = "user_access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One operation as it goes on the record. No personal data and no secret in any field.

    Attributes:
        time: seconds since 1970, UTC.
        workspace: its name; empty for the server itself.
        actor_kind: person, service account, job … ; `anonymous` where nobody was signed in.
        actor: opaque id, never a name or an address.
        credential: id of the key or session used, never the secret.
        operation: name of the declared operation.
        action: the Cedar action that was decided.
        reason: why it was refused or failed.
        policies: ids of the policies that decided.
        request_id: ties answer, entry and server log together.
        details: digests, counts and ids; at most 64, names of letters, digits, `_`, `.`, `:`, `-`.
    """

    time: float
    workspace: str
    actor_kind: str
    actor: str
    operation: str
    action: str
    resource_type: str
    resource: str
    audit_class: AuditClass
    request_id: str
    outcome: Outcome
    credential: str = ""
    reason: str = ""
    policies: tuple[str, ...] = ()
    details: Mapping[str, Detail] = field(default_factory=dict)

    def with_details(self, details: Mapping[str, Detail]) -> Self:
        """This event with `details` added."""
        return replace(self, details={**self.details, **details})

    def with_policies(self, policies: Iterable[str]) -> Self:
        """This event, decided by `policies`."""
        return replace(self, policies=tuple(policies))

    def concluded(self, outcome: Outcome, reason: str = "") -> Self:
        """This event, ended so."""
        return replace(self, outcome=outcome, reason=reason)

    def without_secrets(self) -> Self:
        """This event with a fixed mark in place of whatever looks like one of our credentials.

        Somebody may paste a key where a name belongs, and the log is kept for ever.
        """
        texts = (self.workspace, self.resource_type, self.resource, self.operation, self.reason)
        if not any(map(holds_secret, texts)) and not any(
            holds_secret(f"{name} {value}") for name, value in self.details.items()
            if isinstance(value, str) or len(name) > _SHORTEST
        ):  # fmt: skip
            return self
        return replace(
            self,
            workspace=_hide(self.workspace),
            resource_type=_hide(self.resource_type),
            resource=_hide(self.resource),
            operation=_hide(self.operation),
            reason=_hide(self.reason),
            details={
                "hidden" if holds_secret(name) else name: (
                    _hide(value) if isinstance(value, str) else value
                )
                for name, value in self.details.items()
            },
        )

    def encode(self, salt: bytes) -> bytes:
        """The entry's bytes; with a fresh random `salt` its leaf hash tells nothing of the event.

        Without it, whoever sees the public hash tiles could guess an event and compare.

        Raises: ValueError for a salt that is not 16 bytes, or details past their limits.
        """
        if len(salt) != SALT_BYTES:
            raise ValueError(f"the salt must have {SALT_BYTES} bytes")
        if len(self.details) > MAX_DETAILS:
            raise ValueError(f"an event has more than {MAX_DETAILS} details")
        for name in self.details:
            if not _is_detail_name(name):
                raise ValueError("a detail of an event has a name that is not allowed")
        fields = {
            "v": FORMAT,
            "salt": salt.hex(),
            "time": self.time,
            "workspace": self.workspace,
            "actor_kind": self.actor_kind,
            "actor": self.actor,
            "credential": self.credential,
            "operation": self.operation,
            "action": self.action,
            "resource_type": self.resource_type,
            "resource": self.resource,
            "class": self.audit_class,
            "request_id": self.request_id,
            "outcome": self.outcome,
            "reason": self.reason,
            "policies": self.policies[:MAX_DETAILS],
            "details": self.details,
        }
        try:
            entry = _encode(fields)
        except UnicodeEncodeError:
            entry = _encode(_within_limits(fields))
        if len(entry) > _UNCUT_BYTES:
            entry = _encode(_within_limits(fields))
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError(f"an entry has more than {MAX_ENTRY_BYTES} bytes")
        return entry


def decode(entry: bytes) -> Event:
    """The event of an entry.

    Raises: ValueError where `entry` is not one of this format.
    """
    try:
        fields = msgspec.json.decode(entry)
        if fields.pop("v") != FORMAT:
            raise ValueError("the entry has another format")
        fields.pop("salt")
        fields["audit_class"] = AuditClass(fields.pop("class"))
        fields["outcome"] = Outcome(fields["outcome"])
        fields["policies"] = tuple(fields["policies"])
        return Event(**fields)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("the entry is not an event") from error


@dataclass(frozen=True, slots=True)
class EntryRef:
    """Where an event stands in the log; with it, a receipt can be asked for.

    Attributes:
        index: place in the log, from 0.
        leaf_hash: 32 bytes, the RFC 6962 hash of the entry.
    """

    index: int
    leaf_hash: bytes


def holds_secret(text: str) -> bool:
    """Whether something in `text` looks like a key, a session, a link or an invitation of ours."""
    return len(text) > _SHORTEST and _SECRET.search(text) is not None


def is_surely_clean(entry: bytes) -> bool:
    """Whether no text of an encoded event holds a secret; if False, one has to look at each.

    One search in place of a dozen. It is certain only where texts stand in the entry as they are:
    none cut, and all of them ASCII: elsewhere are more letters that count as `s` or `k`.
    """
    return (
        len(entry) <= _UNCUT_BYTES
        and entry.isascii()
        and _SECRET_IN_LOWER_CASE.search(entry.lower()) is None
    )


def _hide(text: str) -> str:
    return _SECRET.sub(HIDDEN, text)


@lru_cache(maxsize=8192)
def _is_detail_name(name: str) -> bool:
    return _DETAIL_NAME.fullmatch(name) is not None


def _within_limits(value: object) -> object:
    """`value` with each text in it as `text_of` gives it."""
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, Mapping):
        return {name: _within_limits(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_within_limits, value))
    return value


def text_of(value: str) -> str:
    """`value` within the limit; half a surrogate pair, which UTF-8 cannot hold, becomes `?`."""
    if len(value) > MAX_TEXT_CHARACTERS:
        value = value[: MAX_TEXT_CHARACTERS - 1] + "…"
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode("utf-8")
