"""Who is calling MLflow's code now, and the one call of its stores that is open.

MLflow hands no caller to its stores, so both travel in context variables. These follow a request
into the thread that serves it; in a thread that MLflow starts by itself there is no caller, and
whatever is asked there is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from strongroom.gate.access.types import Entity, Principal
from strongroom.gate.operation import Admission


@dataclass(slots=True)
class Trail:
    """Whether a request has left a record: marked by whoever gives a call of it to the gate."""

    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made the request, and the workspace it is about.

    Attributes:
        workspace: its name; empty where the request is about none.
    """

    principal: Principal
    workspace: str
    request_id: str
    trail: Trail = field(default_factory=Trail, compare=False)

    @property
    def display_name(self) -> str:
        """What MLflow shows as the user."""
        return self.principal.name or self.principal.id

    def entity(self, kind: str, identity: str) -> Entity:
        """A thing in the caller's workspace."""
        return Entity(kind, f"{self.workspace}/{identity}", self.workspace)


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that the gate has admitted, with the session that all of it uses.

    Attributes:
        admission: None while it is still being found out what the call is about.
        session: of our database; a transaction that writes also holds the record.
    """

    caller: Caller
    admission: Admission | None
    session: Session
    writes: bool


_caller: ContextVar[Caller | None] = ContextVar("strongroom_mlflow_caller", default=None)
_open_call: ContextVar[OpenCall | None] = ContextVar("strongroom_mlflow_call", default=None)


def present_caller() -> Caller | None:
    """Who made the request that is being served, or None outside of one."""
    return _caller.get()


def present_call() -> OpenCall | None:
    """The admitted call that is running, or None outside of one."""
    return _open_call.get()


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Serve a request of `caller` inside the block."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


@contextmanager
def opened(call: OpenCall) -> Iterator[None]:
    """Run an admitted call inside the block; calls made by it belong to it."""
    token = _open_call.set(call)
    try:
        yield
    finally:
        _open_call.reset(token)
