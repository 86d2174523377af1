"""Asks witnesses to cosign the log's checkpoints (C2SP tlog-witness, add-checkpoint).

A witness remembers the newest checkpoint of the log that it cosigned, where nobody who writes on
this machine can change it. Asked at start, it tells of a rollback that took the anchor with it.
"""

import asyncio
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
import structlog
from sqlalchemy import delete, select

from strongroom.engines.ledger.checkpoint import Checkpoint
from strongroom.engines.ledger.cosignature import WitnessKey, cosigned_at
from strongroom.errors import (
    RolledBackError,
    StrongroomError,
    TamperedError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.tables import LogCosignatureRow
from strongroom.vault.database import Database

SECONDS = 60.0
"""Between two rounds."""
_TIMEOUT_SECONDS = 10.0
"""For the whole of an exchange: a witness that sends a byte now and then must not hold a start."""
_MAX_ANSWER_BYTES = 16 * 1024
_SIZE_TYPE = "text/x.tlog.size"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Witness:
    """Where a witness takes checkpoints, and its key."""

    url: str
    key: WitnessKey


def witnesses_of(setting: str) -> list[Witness]:
    """The witnesses of the setting `witnesses`: `URL KEY, URL KEY`.

    Raises:
        ValidationError: it is not of that form.
    """
    found = []
    for each in filter(None, (part.strip() for part in setting.split(","))):
        url, _, key = each.partition(" ")
        try:
            if not url.startswith(("https://", "http://")):
                raise ValueError("an address begins with https://")
            httpx.URL(url)
            found.append(Witness(url.rstrip("/"), WitnessKey.parse(key)))
        except (ValueError, httpx.InvalidURL) as error:
            raise ValidationError(f"setting `witnesses`: {error}") from None
    return found


@dataclass(frozen=True, slots=True)
class _Answer:
    """Status, media type and body, which is not decoded by what the witness says of it."""

    status: int
    kind: str
    content: bytes


class Witnessing:
    """Brings new checkpoints to every witness, once a minute, until it is closed."""

    def __init__(
        self,
        database: Database,
        log: AuditLog,
        witnesses: list[Witness],
        *,
        alarm: Callable[[str, str, str], None],
        seconds: float = SECONDS,
    ) -> None:
        """`alarm` is told (kind, subject, reason) where a witness knows another log."""
        self._database = database
        self._log = log
        self._witnesses = witnesses
        self._alarm = alarm
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Ask every witness what it knows, then go on.

        Raises:
            RolledBackError: one has cosigned more than the database holds, or something else.
                One that cannot be reached does not stop the server.
        """
        if self._witnesses:
            self._round(at_start=True)
            self._thread = threading.Thread(target=self._follow, name="witnesses", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(self._seconds):
            self._round(at_start=False)

    def _round(self, *, at_start: bool) -> None:
        for witness in self._witnesses:
            try:
                self.ask(witness, always=at_start)
            except RolledBackError as error:
                if at_start:
                    raise
                self._alarm("log", witness.key.name, error.message)
            except StrongroomError as error:
                _log.warning("witness_failed", witness=witness.key.name, reason=error.message)

    def ask(self, witness: Witness, *, always: bool = False) -> None:
        """Have the newest checkpoint cosigned, and keep it.

        Args:
            witness: whom to ask.
            always: also where this database says that it was cosigned: it may be an older one.

        Raises:
            RolledBackError: the witness knows a longer log, or another.
            UnavailableError, TamperedError: it did not answer, or not as a witness does.
        """
        note = self._log.public_checkpoint()
        newest = Checkpoint.open(note, [self._log.key])
        kept = self._kept_size(witness)
        if kept == newest.size and not always:
            return
        answer = self._post(witness, min(kept, newest.size), note)
        if answer.status == 409:
            known = _size_in(answer)
            if known > newest.size:
                raise RolledBackError(
                    f"the witness `{witness.key.name}` has cosigned {known} log entries, the "
                    f"database has {newest.size}"
                )
            answer = self._post(witness, known, note)
        if answer.status in {409, 422}:
            raise RolledBackError(
                f"the witness `{witness.key.name}` has cosigned a log that this one does not grow "
                "from"
            )
        if answer.status != 200:
            raise UnavailableError(f"the witness answers {answer.status}")
        cosigned = note + answer.content
        if cosigned_at(cosigned, witness.key) is None:
            raise TamperedError("the witness did not cosign with its key")
        self._keep(witness, newest, cosigned)

    def _kept_size(self, witness: Witness) -> int:
        with self._database.read() as session:
            return (
                session.scalar(
                    select(LogCosignatureRow.size).where(
                        LogCosignatureRow.witness == witness.key.name
                    )
                )
                or 0
            )

    def _keep(self, witness: Witness, checkpoint: Checkpoint, note: bytes) -> None:
        with self._database.write() as session:
            session.execute(
                delete(LogCosignatureRow).where(LogCosignatureRow.witness == witness.key.name)
            )
            session.add(
                LogCosignatureRow(
                    size=checkpoint.size, witness=witness.key.name, note=note, time=time.time()
                )
            )

    def _post(self, witness: Witness, old: int, note: bytes) -> _Answer:
        size = Checkpoint.open(note, [self._log.key]).size
        proof = self._log.consistency_to(old, size)
        lines = [f"old {old}", *(b64encode(each).decode() for each in proof), ""]
        body = "\n".join(lines).encode() + b"\n" + note
        try:
            return asyncio.run(_exchange(f"{witness.url}/add-checkpoint", body))
        except TimeoutError:
            raise UnavailableError("the witness answers too slowly") from None
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the witness cannot be reached: {type(error).__name__}"
            ) from None


async def _exchange(url: str, body: bytes) -> _Answer:
    """Post `body`, within the time and size that an answer may have.

    Raises:
        TimeoutError, httpx.HTTPError, UnavailableError: too slow, not possible, too much.
    """
    headers = {"Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(_TIMEOUT_SECONDS),
        httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as client,
        client.stream("POST", url, content=body, headers=headers) as answer,
    ):
        content = b""
        async for chunk in answer.aiter_raw():
            content += chunk
            if len(content) > _MAX_ANSWER_BYTES:
                raise UnavailableError("the witness answers too much")
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        return _Answer(answer.status_code, kind, content)


def _size_in(answer: _Answer) -> int:
    text = answer.content.strip()
    if answer.kind != _SIZE_TYPE or not text.isdigit() or len(text) > 19:
        raise UnavailableError("the witness does not say what it knows")
    return int(text)
