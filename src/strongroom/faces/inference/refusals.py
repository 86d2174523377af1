"""Refusals on the record, without letting a flood of them fill the disk.

The first refusal of a kind is recorded at once. Those of the same caller, endpoint and reason in
the next second are counted, and the count goes on the record when the second is over.
"""

import asyncio
from concurrent.futures import Future
from dataclasses import replace

import structlog

from strongroom.errors import StrongroomError
from strongroom.faces.inference.batching import EventLog
from strongroom.gate.audit.types import EntryRef, Event

_SECONDS = 1.0
_MAX_KINDS = 10_000

_log = structlog.get_logger(__name__)
_Kind = tuple[str, str, str, str]


class Refusals:
    """Belongs to one event loop."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._counted: dict[_Kind, tuple[Event, int]] = {}

    def record(self, event: Event) -> "Future[EntryRef] | None":
        """The entry to come, or None when the refusal was counted instead."""
        kind = (event.actor, event.resource, event.operation, event.reason)
        counted = self._counted.get(kind)
        if counted is not None:
            self._counted[kind] = (counted[0], counted[1] + 1)
            return None
        if len(self._counted) >= _MAX_KINDS:
            # More kinds than anybody needs: strangers inventing names. One kind for them all.
            event = replace(event, resource="", workspace="")
            kind = ("", "", "", event.reason)
            if kind in self._counted:
                self._counted[kind] = (event, self._counted[kind][1] + 1)
                return None
        self._counted[kind] = (event, 0)
        asyncio.get_running_loop().call_later(_SECONDS, self._conclude, kind)
        return self._submit(event)

    def _conclude(self, kind: _Kind) -> None:
        event, count = self._counted.pop(kind)
        if count:
            self._submit(event.with_details({"count": count}))

    def _submit(self, event: Event) -> "Future[EntryRef] | None":
        try:
            return self._log.submit(event)
        except StrongroomError as error:
            _log.error("refusal_not_recorded", code=error.code)
            return None
