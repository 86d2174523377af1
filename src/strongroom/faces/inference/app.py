"""The prediction path: bare ASGI, typed JSON, decisions in memory, no database in between.

    /endpoints/{workspace}/{endpoint}/v2/…          Open Inference Protocol
    /endpoints/{workspace}/{endpoint}/invocations   MLflow scoring
    /endpoints/{workspace}/{endpoint}/score         plain JSON

Each call takes the steps of every operation, on its own faster way:
 1. who asks: an API key, looked up in memory or in a thread;
 2. may they: the Cedar decision, cached, and the caller's token bucket;
 3. what: the body, with limits of size and time, checked against the schema; callers take turns;
 4. do: the model, in a batch with whatever arrived in the same turn;
 5. record: the entry is durable before the answer leaves (setting `record_predictions`).
A refused or failed call is recorded too.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from strongroom.errors import (
    InternalError,
    NotFoundError,
    RefusedError,
    SignInError,
    StrongroomError,
    UnavailableError,
    UndeclaredError,
)
from strongroom.faces.inference import answers, bodies, requests
from strongroom.faces.inference.batching import EventLog, Predictions, Records
from strongroom.faces.inference.refusals import Refusals
from strongroom.faces.inference.turns import Turns
from strongroom.gate.access.types import ANONYMOUS, Decision, Entity, Principal, PrincipalKind
from strongroom.gate.audit.entropy import Entropy
from strongroom.gate.audit.types import AuditClass, EntryRef, Event, Outcome
from strongroom.services.endpoints.guarding import Question
from strongroom.services.endpoints.operations import endpoint_entity_of
from strongroom.services.endpoints.runners import Live, Prediction, Runners

Scope = MutableMapping[str, Any]
Send = Callable[[requests.Message], Awaitable[None]]

_log = structlog.get_logger(__name__)

_NONCE_BYTES = 16
_SMALL_BYTES = 1 << 16


class Identifier(Protocol):
    """Who presents this key? `gate.identity.sign_in.SignIn`."""

    def recall(self, credential: str) -> Principal | None:
        """The principal if the key was looked up just now; never touches the database."""
        ...

    def identify(self, credential: str | None, address: str = "") -> Principal:
        """The principal, looked up; records and raises SignInError."""
        ...


class Decider(Protocol):
    """Who decides: `gate.access.decider.Access`."""

    def decide(self, principal: Principal, action: str, resource: Entity) -> Decision:
        """The decision of the policies in force."""
        ...


@dataclass(frozen=True, slots=True)
class _Format:
    """A way of asking for predictions."""

    read: Callable[[bytes, Any], bodies.Asked]
    answer: Callable[[Live, bodies.Asked, Prediction], bytes]


_INFER = _Format(bodies.read_infer, answers.infer_answer)
_INVOCATION = _Format(bodies.read_invocation, answers.invocation_answer)
_SCORE = _Format(bodies.read_score, answers.score_answer)


@dataclass(slots=True)
class _Call:
    """One call and what is known of it so far; its event is made once, at the end."""

    time: float
    workspace: str
    endpoint: str
    is_prediction: bool
    request_id: str
    principal: Principal = ANONYMOUS
    policies: tuple[str, ...] = ()

    @property
    def action(self) -> str:
        """The Cedar action."""
        return "invokeEndpoint" if self.is_prediction else "readEndpoint"

    def event(
        self,
        details: dict[str, str | int | float | bool],
        outcome: Outcome = Outcome.ALLOWED,
        reason: str = "",
    ) -> Event:
        """The record of the call."""
        predicts = self.is_prediction
        return Event(
            time=self.time,
            workspace=self.workspace,
            actor_kind=self.principal.kind.value,
            actor=self.principal.id,
            credential=self.principal.credential_id,
            operation="endpoint.invoke" if predicts else "endpoint.show",
            action=self.action,
            resource_type="Endpoint",
            resource=f"{self.workspace}/{self.endpoint}",
            audit_class=AuditClass.AI_OPERATION if predicts else AuditClass.API_ACTIVITY,
            request_id=self.request_id,
            outcome=outcome,
            reason=reason,
            policies=self.policies,
            details=details,
        )


class InferenceApp:
    """The ASGI application; give it paths that begin with `/endpoints/`."""

    def __init__(
        self,
        *,
        identity: Identifier,
        access: Decider,
        log: EventLog,
        runners: Runners,
        record_before_answer: bool = True,
        max_body_bytes: int = 8 * 2**20,
        request_seconds: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what it works with.

        Args:
            identity: knows API keys.
            access: decides.
            log: records.
            runners: what is live.
            record_before_answer: an answer waits until its entry is durable; else entries are
                written behind, and answers carry no receipt.
            max_body_bytes: of one request.
            request_seconds: a caller may take to send one request.
            clock: seconds since 1970, UTC.
        """
        self._identity = identity
        self._access = access
        self._runners = runners
        self._waits = record_before_answer
        self._bodies = requests.Bodies(limit=max_body_bytes, seconds=request_seconds)
        self._clock = clock
        self._turns = Turns()
        self._predictions = Predictions()
        self._records = Records(log)
        self._refusals = Refusals(log)
        self._random = Entropy()

    async def __call__(self, scope: Scope, receive: requests.Receive, send: Send) -> None:
        """One request; every error becomes an answer."""
        if scope["type"] != "http":
            return
        request_id = self._random(8).hex()
        try:
            status, body, headers = await self._answer(scope, receive, request_id)
        except StrongroomError as error:
            status, body, headers = answers.problem(error)
        except (OSError, asyncio.CancelledError):
            raise  # the caller has gone, or the server stops
        except Exception as error:  # noqa: BLE001 # whatever happens, the caller gets an answer
            _log.exception("inference_fault", request=request_id, kind=type(error).__name__)
            status, body, headers = answers.problem(InternalError("the server made a mistake"))
        if status in {413, 408} or (status == 429 and _is_large(scope)):
            # The rest of the body is not read: the connection cannot be used again.
            headers.append((b"connection", b"close"))
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    *answers.PRIVATE,
                    (b"content-length", str(len(body)).encode()),
                    (b"x-request-id", request_id.encode()),
                    *headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})

    # ---- the steps ----

    async def _answer(
        self, scope: Scope, receive: requests.Receive, request_id: str
    ) -> tuple[int, bytes, list[answers.Header]]:
        parts = scope["path"].split("/")
        is_here = len(parts) >= 5 and parts[1] == "endpoints"
        workspace, endpoint = (parts[2], parts[3]) if is_here else ("", "")
        call = _Call(self._clock(), workspace, endpoint, scope["method"] == "POST", request_id)
        try:
            headers = requests.read_headers(scope["headers"])
            if headers.credential is None:
                raise SignInError("send an API key: `Authorization: Bearer …`")
        except StrongroomError as error:
            await self._refuse(call, error)
            raise
        # A wrong key is put on the record by who looks it up.
        call.principal = await self._identify(headers.credential, scope.get("client"))
        try:
            if not is_here:
                raise UndeclaredError("there is nothing here")
            self._decide(call)
            live = self._runners.get(workspace, endpoint)
            rest = tuple(parts[4:])
            if call.is_prediction:
                way = _way_of(rest, endpoint, live)
                return await self._predict(call, live, way, headers, receive)
            if scope["method"] not in {"GET", "HEAD"}:
                raise UndeclaredError("only GET and POST are offered here")
            return await self._show(call, live, rest)
        except StrongroomError as error:
            await self._refuse(call, error)
            raise

    async def _identify(self, credential: str, client: tuple[str, int] | None) -> Principal:
        """Step 1. Raises: SignInError, RateLimitedError; both are recorded."""
        known = self._identity.recall(credential)
        if known is not None:
            return known
        # Looking up reads the database and may record a failure: not on the loop's thread.
        address = client[0] if client else ""
        return await asyncio.to_thread(self._identity.identify, credential, address)

    def _decide(self, call: _Call) -> None:
        """Step 2. Raises: RefusedError."""
        principal = call.principal
        if principal.kind is PrincipalKind.ANONYMOUS:
            raise SignInError("send an API key: `Authorization: Bearer …`")
        if principal.workspaces and call.workspace not in principal.workspaces:
            raise RefusedError("this credential is not for that workspace")
        if not call.workspace:
            raise UndeclaredError("there is nothing here")
        entity = endpoint_entity_of(call.workspace, call.endpoint)
        decision = self._access.decide(principal, call.action, entity)
        if not decision.allowed:
            raise RefusedError(f"`{call.action}` is not permitted to you on this resource")
        call.policies = decision.policies

    async def _predict(
        self,
        call: _Call,
        live: Live | None,
        way: _Format,
        headers: requests.Headers,
        receive: requests.Receive,
    ) -> tuple[int, bytes, list[answers.Header]]:
        """Steps 2 (the bucket) to 5."""
        if live is None:
            raise self._absent(call)
        # What cannot be fewer rows is paid before it is read: reading is work, too.
        paid = live.schema.fewest_rows(headers.length or 0)
        self._runners.spend(live, call.principal.id, paid)
        body = await self._bodies.read(headers, receive, live.schema.most_bytes)
        if (fewest := live.schema.fewest_rows(len(body))) > paid:
            self._runners.spend(live, call.principal.id, fewest - paid)
            paid = fewest
        if (turn := self._turns.take(call.principal.id, len(body))) is not None:
            await turn
        asked = way.read(body, live.schema)
        if asked.rows > paid:
            self._runners.spend(live, call.principal.id, asked.rows - paid)
        question = Question(call.principal.id, asked.batch, asked.rows)
        prediction = await self._predictions.ask(live, question)
        answer = way.answer(live, asked, prediction)
        # The entry holds a commitment to question and answer: whoever has both and the nonce can
        # show that they belong to it, and nobody else can guess them from the log.
        nonce = self._random(_NONCE_BYTES)
        servable = live.servable
        details: dict[str, str | int | float | bool] = {
            "model": servable.model,
            "version": servable.version,
            "digest": servable.digest,
            "deployment": live.deployment,
            "rows": asked.rows,
            "commitment": _commitment(nonce, body, answer),
        }
        if prediction.flagged:
            details["flagged"] = prediction.flagged
        entry = await self._record(call.event(details))
        extra: list[answers.Header] = [(b"x-strongroom-nonce", nonce.hex().encode())]
        if entry is not None:
            extra.append((b"x-strongroom-receipt", str(entry.index).encode()))
        return 200, answer, extra

    async def _show(
        self, call: _Call, live: Live | None, rest: tuple[str, ...]
    ) -> tuple[int, bytes, list[answers.Header]]:
        """Health and metadata."""
        if rest == ("v2", "health", "live"):
            status, body = 200, b'{"live":true}'
        elif rest == ("v2", "health", "ready"):
            status, body = answers.ready(is_ready=live is not None and live.is_ready)
        elif rest == ("v2",):
            status, body = 200, answers.server_metadata()
        else:
            tail, wants_ready = (rest[:-1], True) if rest[-1] == "ready" else (rest, False)
            _check_model(tail, call.endpoint, live)
            if live is None and not wants_ready:
                raise self._absent(call)
            if wants_ready:
                status, body = answers.ready(is_ready=live is not None and live.is_ready)
            else:
                assert live is not None  # noqa: S101 # for mypy: checked above
                status, body = 200, answers.model_metadata(live)
        entry = await self._record(call.event({}))
        return (
            status,
            body,
            [] if entry is None else [(b"x-strongroom-receipt", str(entry.index).encode())],
        )

    def _absent(self, call: _Call) -> StrongroomError:
        if self._runners.fault(call.workspace, call.endpoint):
            return UnavailableError(
                "the model deployed here does not answer for now",
                next_step="see `strongroom endpoint show` for the reason, or roll back",
            )
        return NotFoundError("no model is deployed at this address")

    # ---- records ----

    async def _record(self, event: Event) -> EntryRef | None:
        """Step 5: wait for the entry, or only hand it over (setting `record_predictions`)."""
        if self._waits:
            return await self._records.record(event)
        self._records.record_behind(event)
        return None

    async def _refuse(self, call: _Call, error: StrongroomError) -> None:
        """Record that the call was refused or failed; a flood of them as a count."""
        is_refusal = isinstance(error, RefusedError | SignInError)
        outcome = Outcome.REFUSED if is_refusal else Outcome.FAILED
        written = self._refusals.record(call.event({}, outcome, type(error).code))
        if written is not None and self._waits:
            try:
                await asyncio.wrap_future(written)
            except StrongroomError as failure:
                # The answer is a refusal in any case; that it could not be recorded is a fault.
                _log.error("refusal_not_recorded", code=failure.code)


def _is_large(scope: Scope) -> bool:
    """Whether a body was announced that is better not read, if nobody looks at it."""
    return any(
        name == b"content-length" and not (value.isdigit() and int(value[:20]) <= _SMALL_BYTES)
        for name, value in scope["headers"]
    )


def _commitment(nonce: bytes, body: bytes, answer: bytes) -> str:
    """SHA-256 over the nonce, then each part after its length in 8 bytes."""
    asked, answered = len(body).to_bytes(8, "big"), len(answer).to_bytes(8, "big")
    return hashlib.sha256(b"".join((nonce, asked, body, answered, answer))).hexdigest()


def _way_of(rest: tuple[str, ...], endpoint: str, live: Live | None) -> _Format:
    """Raises: UndeclaredError, NotFoundError."""
    if rest == ("score",):
        return _SCORE
    if rest == ("invocations",):
        return _INVOCATION
    if rest[-1] == "infer":
        _check_model(rest[:-1], endpoint, live)
        return _INFER
    raise UndeclaredError("there is nothing here")


def _check_model(rest: tuple[str, ...], endpoint: str, live: Live | None) -> None:
    """`v2/models/{name}` or `v2/models/{name}/versions/{version}`, of what is here."""
    if rest[:2] != ("v2", "models") or len(rest) not in {3, 5}:
        raise UndeclaredError("there is nothing here")
    if rest[2] not in {endpoint, live.servable.model if live else endpoint}:
        raise NotFoundError("this endpoint has no such model")
    if len(rest) == 5 and (
        rest[3] != "versions" or live is None or rest[4] != str(live.servable.version)
    ):
        raise NotFoundError("this endpoint has no such model version")
