"""The anchor: what this home last knew of itself, kept outside the database.

A database put back to an earlier copy of itself is whole: every signature and seal in it holds.
So the size and root of the log, and the head of the journal of sealed changes (`vault/seals.py`),
are also kept in a small file of the home, `anchor`, under an HMAC-SHA256 (RFC 2104). At start a
database that has less than the anchor says, or something else, is refused.

It is written before a sealed change is answered, and for all else in the log within `SECONDS`,
and at a clean stop. A crash leaves an anchor that is older than the database, never a newer one.

Who can put back the database *and* this file is not noticed here: that takes a witness, or a
receipt or checkpoint that somebody else keeps.
"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from strongroom.engines.crypto.wrapping import bind
from strongroom.engines.ledger.checkpoint import Checkpoint
from strongroom.engines.ledger.hashing import HASH_BYTES
from strongroom.errors import StrongroomError, TamperedError, UnavailableError
from strongroom.vault.durable import replace_file
from strongroom.vault.seals import Head, Seals

ANCHOR_FILE = "anchor"
SECONDS = 1.0
"""How far the anchor may be behind the log."""

_FORMAT = 1
_MAX_BYTES = 4096

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Anchor:
    """What was so at `time`, seconds since 1970, UTC.

    Attributes:
        log: size and root of the log, under its name.
        seals: head of the journal of sealed changes.
    """

    time: float
    log: Checkpoint
    seals: Head

    def encode(self, key: bytes) -> bytes:
        """The file's content."""
        fields = {
            "format": _FORMAT,
            "time": self.time,
            "origin": self.log.origin,
            "size": self.log.size,
            "root": self.log.root.hex(),
            "seals": self.seals.length,
            "head": self.seals.mac.hex(),
        }
        return json.dumps({**fields, "mac": self._mac(key).hex()}, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes, key: bytes) -> Self:
        """The anchor of a file's content.

        Raises:
            TamperedError: it was not written with `key`.
        """
        broken = TamperedError(
            f"the file `{ANCHOR_FILE}` of the home was changed, or is another home's",
            next_step="keep it as evidence, put back the right one, or accept the present state "
            "with `strongroom recover --accept-rollback`",
        )
        try:
            fields = json.loads(content)
            root, head = bytes.fromhex(fields["root"]), bytes.fromhex(fields["head"])
            checkpoint = Checkpoint(str(fields["origin"]), int(fields["size"]), root)
            anchor = cls(float(fields["time"]), checkpoint, Head(int(fields["seals"]), head))
            kept = bytes.fromhex(fields["mac"])
            is_whole = fields["format"] == _FORMAT and len(root) == len(head) == HASH_BYTES
            is_ours = hmac.compare_digest(anchor._mac(key), kept)
        except (ValueError, KeyError, TypeError, OverflowError):
            raise broken from None
        if not (is_whole and is_ours):
            raise broken
        return anchor

    def _mac(self, key: bytes) -> bytes:
        message = bind(
            "strongroom anchor", _FORMAT, repr(self.time), self.log.origin, self.log.size,
            self.log.root.hex(), self.seals.length, self.seals.mac.hex(),
        )  # fmt: skip
        return hmac.digest(key, message, hashlib.sha256)


def read_anchor(home: Path, key: bytes) -> Anchor | None:
    """The anchor of a home folder; None where there is none.

    Raises:
        TamperedError: it was changed. UnavailableError: it cannot be read.
    """
    try:
        with (home / ANCHOR_FILE).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError(f"the anchor cannot be read: {error.strerror}") from None
    return Anchor.decode(content[:_MAX_BYTES], key)


class AnchorKeeper:
    """Keeps the anchor of an open home up to date, until it is closed.

    Attributes:
        fault: why the last write failed, or None: for health checks. While there is one, sealed
            changes are refused.
    """

    def __init__(
        self,
        home: Path,
        key: bytes,
        seals: Seals,
        log: Callable[[], Checkpoint],
        *,
        found: Anchor | None = None,
        clock: Callable[[], float] = time.time,
        seconds: float = SECONDS,
    ) -> None:
        """Take the 32 bytes of the file's key, and where the present state is seen.

        Args:
            home: the folder.
            key: of the file's MAC.
            seals: the journal; its changes are anchored as they are committed.
            log: the newest checkpoint that is committed.
            found: what the file says now, already checked; written anew only once it is behind.
            clock: seconds since 1970, UTC.
            seconds: how far the anchor may be behind the log.
        """
        self.fault: StrongroomError | None = None
        self._path = home / ANCHOR_FILE
        self._key = key
        self._seals = seals
        self._checkpoint = log
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._found = None if found is None else (found.log, found.seals)
        self._written: tuple[Checkpoint, Head] | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Write the anchor, and go on writing it."""
        self.write()
        self._seals.watch = self._changed
        self._seals.guard = self.require_working
        self._thread = threading.Thread(target=self._follow, name="anchor", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop following; `settle` writes the last one, once the log is closed too."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def settle(self) -> None:
        """Write the last anchor, if there was a first."""
        if self._written is not None:
            self._try()
        self._seals.watch = self._seals.guard = None

    def write(self) -> None:
        """Write the present state, on the disk when this returns.

        Raises:
            StorageFullError, UnavailableError: the old one stands.
        """
        with self._lock:
            # The log first: both only grow, and neither may be newer than what is committed.
            now = (self._checkpoint(), self._seals.head)
            if now != (self._written or self._found):
                replace_file(self._path, Anchor(self._clock(), *now).encode(self._key))
                self._written = now
            self.fault = None

    def _try(self) -> None:
        try:
            self.write()
        except StrongroomError as error:
            self.fault = error
            _log.error("anchor_not_written", reason=error.code)

    def _changed(self, _head: Head) -> None:
        # The change is committed, so its caller has succeeded; the next one is refused.
        self._try()

    def require_working(self) -> None:
        """Return if the anchor can be written. Raises StorageFullError, UnavailableError."""
        if self.fault is not None:
            self.write()

    def _follow(self) -> None:
        while not self._ended.wait(self._seconds):
            self._try()
