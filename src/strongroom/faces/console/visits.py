"""One visit to a page: who came, what they asked of the gate, and commands that ask the same."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError

from strongroom.errors import NotFoundError, ValidationError
from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import BoundOperation, Operation, Stream
from strongroom.gate.operation import Gate, within_limit


@dataclass(frozen=True, slots=True)
class Made:
    """A call that a page made.

    Attributes:
        value: the answer as JSON values.
        receipt: index of its log entry.
        command: what does the same on the command line; empty where nothing does.
    """

    operation: str
    value: Any
    receipt: int
    command: str


@dataclass(slots=True)
class Visit:
    """A signed-in person at a page. Every call passes the gate and is recorded."""

    gate: Gate
    offered: Mapping[str, BoundOperation]
    principal: Principal
    request_id: str
    made: list[Made] = field(default_factory=list)

    def offers(self, name: str) -> bool:
        """Whether the server has the operation at all."""
        return name in self.offered

    def call(self, name: str, /, **fields: object) -> Any:  # noqa: ANN401 # JSON
        """The answer of an operation, as JSON values.

        Raises:
            StrongroomError: as the operation and the gate raise.
        """
        bound = self._bound(name)
        request = build_request(bound.declared, fields)
        answer = self.gate.perform(bound, self.principal, request, request_id=self.request_id)
        if isinstance(answer.result, Stream):
            raise TypeError("a page shows no stream")
        adapter: TypeAdapter[Any] = TypeAdapter(bound.declared.output)
        value = adapter.dump_python(answer.result, mode="json")
        command = command_line(bound.declared, fields)
        self.made.append(Made(name, value, answer.entry.index, command))
        return value

    def stream(self, name: str, /, **fields: object) -> Stream:
        """The answer of an operation that gives a file.

        Raises:
            StrongroomError: as the operation and the gate raise.
        """
        bound = self._bound(name)
        request = build_request(bound.declared, fields)
        answer = self.gate.perform(bound, self.principal, request, request_id=self.request_id)
        if not isinstance(answer.result, Stream):
            raise TypeError("the operation gives no file")
        return answer.result

    def may(self, name: str, /, **fields: object) -> bool:
        """Whether to show the button of an operation. The gate decides anew when it is pressed."""
        if name not in self.offered:
            return False
        bound = self._bound(name)
        request = build_request(bound.declared, fields)
        with self.gate.database.read() as session:
            entity = bound.declared.resource(bound.room, session, request)
        action = bound.declared.action
        return (
            within_limit(self.principal, action, entity)
            and self.gate.access.decide(self.principal, action, entity).allowed
        )

    def positional(self, name: str) -> tuple[str, ...]:
        """The fields that name the thing an operation is about, in order, without the workspace."""
        command = self._bound(name).declared.command
        words = command.positional if command else ()
        return tuple(word for word in words if word != "workspace")

    def _bound(self, name: str) -> BoundOperation:
        if name not in self.offered:
            raise NotFoundError(f"this server does not offer `{name}`")
        return self.offered[name]


def build_request(declared: Operation, fields: Mapping[str, object]) -> Any:  # noqa: ANN401 # the operation's own type
    """The request of an operation from texts of a page.

    Raises:
        ValidationError: names the faulty field, never its value.
    """
    given = {name: value for name, value in fields.items() if value is not None and value != ""}
    try:
        return declared.input.model_validate(given, strict=False)
    except PydanticError as error:
        fault = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "request"
        raise ValidationError(f"`{place}`: {fault['msg'][:200]}") from None


def command_line(declared: Operation, fields: Mapping[str, object]) -> str:
    """The command that asks the same."""
    command = declared.command
    if command is None:
        return ""
    given = {
        name: str(value) for name, value in fields.items() if value is not None and value != ""
    }
    words = ["strongroom", *command.words.split()]
    words += [shlex.quote(given.pop(name)) for name in command.positional if name in given]
    for name, value in given.items():
        words += [f"--{name.replace('_', '-')}", shlex.quote(value)]
    return " ".join(words)
