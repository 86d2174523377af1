"""What of an entry is stored: its sealed bytes, and tags by which it can be found."""

import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.engines.ledger.hashing import leaf_hash
from strongroom.errors import TamperedError
from strongroom.gate.audit.entropy import Entropy
from strongroom.gate.audit.types import SALT_BYTES, Event, decode, is_surely_clean, text_of

KEY_BYTES = 32
TAG_BYTES = 8
_NONCE_BYTES = 12

# Workspaces and actions are few.
_text = lru_cache(maxsize=8192)(text_of)

Random = Callable[[int], bytes]
"""Number of bytes → as many bytes that nobody can guess."""


class StoredEntry(NamedTuple):
    """A row of `log_entries`, column by column."""

    leaf_index: int
    time: float
    workspace: str
    action: str
    outcome: str
    actor_tag: bytes
    resource_tag: bytes
    leaf_hash: bytes
    sealed: bytes


class Prepared(NamedTuple):
    """An event made ready for its row; it lacks only its place in the log.

    Attributes:
        columns: the row's columns from the second on.
    """

    leaf_hash: bytes
    columns: tuple[float, str, str, str, bytes, bytes, bytes, bytes]

    def row(self, index: int) -> tuple[object, ...]:
        """Its row at `index`."""
        return (index, *self.columns)


class Payload:
    """Seals entries with AES-256-GCM, bound to the log's origin and the leaf hash.

    Nonces are random, so one key is good for 2**32 entries (NIST SP 800-38D, section 8.3);
    the log is designed for 10**8.
    """

    def __init__(self, key: bytes, origin: str, random: Random | None = None) -> None:
        """`key` has 32 bytes and comes from the vault; both keys in use derive from it."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"the payload key must have {KEY_BYTES} bytes")
        self._cipher = AESGCM(_derived(key, b"strongroom log payload"))
        self._tag_key = _derived(key, b"strongroom log tag")
        self._context = origin.encode() + b"\n"
        self._random = random or Entropy()
        # The same few actors and resources come again and again.
        self.actor_tag = lru_cache(maxsize=8192)(self._actor_tag)
        self.resource_tag = lru_cache(maxsize=8192)(self._resource_tag)

    def prepare(self, event: Event) -> Prepared:
        """Encode, hash and seal an event.

        Raises: ValueError for an event past its limits.
        """
        random = self._random(SALT_BYTES + _NONCE_BYTES)
        nonce = random[SALT_BYTES:]
        event, entry = _without_secrets(event, random[:SALT_BYTES])
        leaf = leaf_hash(entry)
        sealed = nonce + self._cipher.encrypt(nonce, entry, self._context + leaf)
        columns = (
            event.time,
            _text(event.workspace),
            _text(event.action),
            event.outcome.value,
            self.actor_tag(event.actor),
            self.resource_tag(event.resource_type, event.resource),
            leaf,
            sealed,
        )
        return Prepared(leaf, columns)

    def open(self, sealed: bytes, leaf: bytes, index: int) -> bytes:
        """The entry's bytes.

        Raises: TamperedError where they are not those that were sealed for this leaf hash.
        """
        try:
            return self._cipher.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._context + leaf
            )
        except (InvalidTag, ValueError):
            raise TamperedError(f"entry {index} of the log was changed in the database") from None

    def read(self, row: StoredEntry) -> tuple[Event, bytes]:
        """The event of a row and the entry's bytes, after comparing all that the row says of it.

        The columns in clear decide who finds an entry, so a changed one must not pass.

        Raises: TamperedError where anything in the row was changed.
        """
        index = row.leaf_index
        entry = self.open(row.sealed, row.leaf_hash, index)
        event = decode(entry)
        columns = (row.workspace, row.action, row.outcome, row.time)
        said = (event.workspace, event.action, event.outcome.value, event.time)
        tags = row.actor_tag + row.resource_tag
        own_tags = self.actor_tag(event.actor) + self.resource_tag(
            event.resource_type, event.resource
        )
        if columns != said or tags != own_tags or leaf_hash(entry) != row.leaf_hash:
            raise TamperedError(f"entry {index} of the log was changed in the database")
        return event, entry

    def _actor_tag(self, actor: str) -> bytes:
        """What finds the entries of an actor without naming it in the database."""
        return self._tag(f"actor\n{text_of(actor)}")

    def _resource_tag(self, resource_type: str, resource: str) -> bytes:
        """What finds the entries about a resource without naming it in the database."""
        return self._tag(f"resource\n{text_of(resource_type)}\n{text_of(resource)}")

    def _tag(self, value: str) -> bytes:
        return hmac.digest(self._tag_key, value.encode(), "sha256")[:TAG_BYTES]


def _without_secrets(event: Event, salt: bytes) -> tuple[Event, bytes]:
    """The event as it may be kept, and encoded."""
    try:
        entry = event.encode(salt)
        if is_surely_clean(entry):
            return event, entry
    except ValueError:
        pass  # a name that is not allowed may be a secret
    event = event.without_secrets()
    return event, event.encode(salt)


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)
