"""One request of somebody known: counted before it is served, and never without a record.

The stores and the shelf record what is decided in them. What ends before it comes to them (a body
that cannot be read, an id that MLflow does not take) or needs none of them is recorded here.
"""

import json
from functools import partial

import anyio.to_thread
from mlflow.protos.databricks_pb2 import ErrorCode
from starlette.types import Message, Send

from strongroom.errors import StrongroomError
from strongroom.faces.mlflow.caller import Trail
from strongroom.faces.mlflow.guard import CALLS_PER_MINUTE
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.types import AuditClass, Outcome
from strongroom.gate.operation import Gate
from strongroom.gate.undecided import Undecided

OPERATION = "mlflow.request"
_MAX_REASON_BYTES = 64 * 1024


class Known:
    """A request of somebody whom the gate knows.

    Attributes:
        trail: tells whether it is on the record already.
    """

    def __init__(self, gate: Gate, principal: Principal, request_id: str) -> None:
        self.principal = principal
        self.request_id = request_id
        self.trail = Trail()
        self._gate = gate
        self._about = Undecided(OPERATION, "", AuditClass.API_ACTIVITY)

    def route(self, route: str) -> None:
        """The request is for this route, which is offered.

        Raises: RateLimitedError: the caller asks for it too often.
        """
        self._about = Undecided(OPERATION, route, AuditClass.API_ACTIVITY)
        self._gate.undecided.take(self._about, self.principal, CALLS_PER_MINUTE)

    async def refused(self, error: StrongroomError) -> StrongroomError:
        """The error to show, once it is on the record."""
        if self.trail.recorded:
            return error
        refuse = partial(
            self._gate.undecided.refuse, self._about, self.principal, error, self.request_id
        )
        self.trail.recorded = True
        try:
            await anyio.to_thread.run_sync(refuse)
        except StrongroomError as shown:
            return shown

    async def ended(self, outcome: Outcome, reason: str = "") -> None:
        """Put it on the record, unless it is.

        Raises: StrongroomError: the log cannot be written; then nothing may be answered.
        """
        if self.trail.recorded:
            return
        record = partial(
            self._gate.undecided.record, self._about, self.principal, self.request_id, outcome,
            reason,
        )  # fmt: skip
        await anyio.to_thread.run_sync(record)
        self.trail.recorded = True

    def recording(self, send: Send) -> Send:
        """`send`, with the record before the answer: what it tells ends the request."""
        held: Message | None = None

        async def send_recorded(message: Message) -> None:
            nonlocal held
            if self.trail.recorded:
                await send(message)
            elif message["type"] == "http.response.start" and message["status"] >= 400:
                held = message  # why, the body says
            else:
                await self._end_with(held, message)
                if held is not None:
                    await send(held)
                await send(message)

        return send_recorded

    async def _end_with(self, start: Message | None, message: Message) -> None:
        if start is None:
            await self.ended(Outcome.ALLOWED)
        else:
            await self.ended(
                Outcome.FAILED, f"mlflow: {_code(message.get('body', b'')) or start['status']}"
            )


def _code(body: bytes) -> str:
    """MLflow's error code; empty where it is none of MLflow's: the rest may quote the caller."""
    try:
        code = json.loads(body[:_MAX_REASON_BYTES])["error_code"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return code if code in ErrorCode.keys() else ""  # noqa: SIM118 # not a dictionary
