"""How an operation is declared: once, on the method of its room that does it.

    class DataOperations:
        @operation(
            "data.add", action="addDataset", resource=in_workspace,
            audit=AuditClass.DATASTORE_ACTIVITY, route=Route("POST", "/workspaces/{workspace}/…"),
            command=Command("data add", positional=("name",), body="file"), body=Body.STREAM,
        )
        def add(self, call: Call, request: AddDataset) -> DatasetVersion: ...

HTTP route, command, OpenAPI entry, docs page and authorization-matrix test derive from the
declaration.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel
from sqlalchemy.orm import Session

from strongroom.gate.access.types import Entity, workspace_entity
from strongroom.gate.audit.types import AuditClass


class Body(StrEnum):
    """How the request reaches the operation."""

    JSON = "json"
    """Fields from the path, the query (GET, DELETE) or a JSON body (others)."""
    STREAM = "stream"
    """Fields from path and query; the HTTP body is `call.body`, read as it arrives."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the operation lies under `/api/v1`; `{field}` in the path names input fields."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Command:
    """How the operation is called on the command line.

    Attributes:
        words: e.g. `data add`.
        positional: input fields given as arguments, in order; the others become options.
        body: name of the argument whose file (or `-`) is sent as the streamed body.
        confirm: input field whose value must be typed again, or `--yes`: it destroys, or cuts
            people off.
    """

    words: str
    positional: tuple[str, ...] = ()
    body: str | None = None
    confirm: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one operation, beside the server-wide ones in the settings.

    Attributes:
        body_bytes: size of a JSON body; None: the setting `max_request_bytes`, or
            `max_upload_bytes` for a stream.
        per_minute: calls of one caller in a minute; None: the setting `calls_per_minute`.
    """

    body_bytes: int | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer sent in pieces. The record is written before the first piece leaves."""

    media_type: str
    chunks: Iterator[bytes]
    filename: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


ResourceOf = Callable[[Any, Session, Any], Entity]
"""(room, read session, request) → entity. A thing that is not there still has an entity, without
attributes: the decision comes first, so that a refusal tells nothing of what exists."""


def in_workspace(_room: object, _session: Session, request: Any) -> Entity:  # noqa: ANN401 # any request with a workspace
    """Resource of operations on a workspace as a whole."""
    return workspace_entity(request.workspace)


@dataclass(frozen=True, slots=True)
class Operation:
    """The declaration of one operation; see the module's docstring."""

    name: str
    action: str
    resource: ResourceOf
    audit: AuditClass
    summary: str
    description: str
    input: type[BaseModel]
    output: Any
    route: Route | None
    command: Command | None
    body: Body
    limits: Limits
    handler: Callable[..., Any]


DECLARED: dict[str, Operation] = {}
"""Every operation whose room has been imported, by name."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


def operation(
    name: str,
    *,
    action: str,
    resource: ResourceOf,
    audit: AuditClass,
    route: Route | None = None,
    command: Command | None = None,
    body: Body = Body.JSON,
    limits: Limits = Limits(),
) -> Callable[[Handler], Handler]:
    """Declare the method below as an operation; its docstring becomes its documentation."""

    def declare(handler: Handler) -> Handler:
        hints = get_type_hints(handler)
        text = inspect.getdoc(handler)
        if not text:
            raise TypeError(f"operation {name} has no docstring")
        summary, _, description = text.partition("\n\n")
        if name in DECLARED and DECLARED[name].handler.__qualname__ != handler.__qualname__:
            raise TypeError(f"operation {name} is declared twice")
        request = next(hint for key, hint in hints.items() if key == "request")
        declared = Operation(
            name, action, resource, audit, " ".join(summary.split()), description, request,
            hints["return"], route, command, body, limits, handler,
        )  # fmt: skip
        DECLARED[name] = declared
        handler.__operation__ = declared  # type: ignore[attr-defined] # read by `operations_of`
        return handler

    return declare


@dataclass(frozen=True, slots=True)
class BoundOperation:
    """An operation together with the room that does it."""

    declared: Operation
    room: object


def operations_of(room: object) -> list[BoundOperation]:
    """The operations that the methods of `room` declare, in order of definition."""
    found = []
    for cls in reversed(type(room).__mro__):
        for attribute in vars(cls).values():
            declared = getattr(attribute, "__operation__", None)
            if declared is not None:
                found.append(BoundOperation(declared, room))
    return found
