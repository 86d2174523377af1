"""Refusals on the record, without letting a flood of them fill the disk.

The first refusal of a kind is recorded at once. Those of the same caller, endpoint and reason in
the next second are counted, and the count goes on the record when the second is over. Callers
choose the names of endpoints, so these make a kind for few of them only: of a stranger none, of
somebody known a handful in a second.
"""

import asyncio
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace

import structlog

from strongroom.errors import StrongroomError
from strongroom.faces.inference.batching import EventLog
from strongroom.gate.audit.types import EntryRef, Event

_SECONDS = 1.0
_MAX_KINDS = 10_000
_KINDS_OF_ONE_CALLER = 20

_log = structlog.get_logger(__name__)
_Kind = tuple[str, str, str, str]


class Refusals:
    """Belongs to one event loop."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._counted: dict[_Kind, tuple[Event, int]] = {}
        self._kinds: Counter[str] = Counter()

    def record(self, event: Event) -> "Future[EntryRef] | None":
        """The entry to come, or None when the refusal was counted instead."""
        kind = (event.actor, event.resource, event.operation, event.reason)
        if not event.actor or (
            kind not in self._counted and self._kinds[event.actor] >= _KINDS_OF_ONE_CALLER
        ):
            # Names that a stranger chose, or more of them than honest callers use: one kind.
            event = replace(event, resource="", workspace="")
            kind = (event.actor, "", event.operation, event.reason)
        if kind not in self._counted and len(self._counted) >= _MAX_KINDS:
            event = replace(event, resource="", workspace="")
            kind = ("", "", "", event.reason)
        counted = self._counted.get(kind)
        if counted is not None:
            self._counted[kind] = (counted[0], counted[1] + 1)
            return None
        self._counted[kind] = (event, 0)
        self._kinds[event.actor] += 1
        asyncio.get_running_loop().call_later(_SECONDS, self._conclude, kind)
        return self._submit(event)

    def _conclude(self, kind: _Kind) -> None:
        event, count = self._counted.pop(kind)
        self._kinds[event.actor] -= 1
        if not self._kinds[event.actor]:
            del self._kinds[event.actor]
        if count:
            self._submit(event.with_details({"count": count}))

    def _submit(self, event: Event) -> "Future[EntryRef] | None":
        try:
            return self._log.submit(event)
        except StrongroomError as error:
            _log.error("refusal_not_recorded", code=error.code)
            return None
