"""The forms of all commands out of the declared operations.

python -m strongroom.faces.cli.declaring    # writes commands.json
"""

import importlib
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from strongroom.faces.cli.forms import FILE, Field, Form, Kind
from strongroom.faces.cli.rooms import ROOMS
from strongroom.gate.declaration import DECLARED, Body, Operation, Stream

SECRET_NAMES = frozenset({"password", "passphrase", "secret", "token"})
_SCALARS: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", str: "text"}


def declared_forms() -> tuple[Form, ...]:
    """Of every operation with a command, by the rooms that `rooms.ROOMS` names."""
    for room in ROOMS.values():
        for module in (room.module, *room.further):
            importlib.import_module(module)
    ours = (one for one in DECLARED.values() if one.handler.__module__.startswith("strongroom."))
    return tuple(form_of(one) for one in ours if one.command is not None)


def written(forms: tuple[Form, ...]) -> bytes:
    """The content of the file."""
    return msgspec.json.format(msgspec.json.encode(forms), indent=1) + b"\n"


def form_of(declared: Operation) -> Form:
    """The form of one operation that has a command."""
    command, route = declared.command, declared.route
    assert command is not None  # noqa: S101 # callers pass operations with a command
    return Form(
        declared.name,
        command.words,
        command.positional,
        declared.summary,
        route.method if route else "",
        route.path if route else "",
        tuple(_field(name, info) for name, info in declared.input.model_fields.items()),
        declared.description,
        command.body,
        command.confirm,
        declared.body is Body.STREAM,
        declared.output is Stream,
    )


def _field(name: str, info: FieldInfo) -> Field:
    kind, choices, is_many = _kind(info)
    return Field(
        name, kind, choices, info.description or "", is_many, info.is_required(),
        is_secret(name, info),
    )  # fmt: skip


def is_secret(name: str, info: FieldInfo) -> bool:
    """Whether the field is a secret, which no flag may carry: flags show in process lists."""
    return name in SECRET_NAMES or bool({SecretStr, SecretBytes} & set(_flat(info.annotation)))


def _flat(kind: Any) -> list[Any]:  # noqa: ANN401 # a type expression
    if get_origin(kind) in {typing.Union, types.UnionType}:
        return [one for part in get_args(kind) for one in _flat(part)]
    if get_origin(kind) is Annotated:
        return _flat(get_args(kind)[0])
    return [kind]


def _kind(info: FieldInfo) -> tuple[Kind, tuple[str, ...], bool]:
    """(what the command line takes, the choices, whether several may be given)."""
    kinds = [kind for kind in _flat(info.annotation) if kind is not type(None)]
    if len(kinds) != 1:
        return ("text" if str in kinds else "document"), (), False
    kind = kinds[0]
    if get_origin(kind) in {list, tuple, set, frozenset}:
        inner = _flat(get_args(kind)[0])
        each, choices = _scalar(inner[0]) if len(inner) == 1 else ("document", ())
        return each, choices, each != "document"
    return *_scalar(kind), False


def _scalar(kind: Any) -> tuple[Kind, tuple[str, ...]]:  # noqa: ANN401 # a type expression
    if kind in _SCALARS:
        return _SCALARS[kind], ()
    if get_origin(kind) is Literal:
        # An empty one stands for what is not given.
        return "choice", tuple(str(one) for one in get_args(kind) if one != "")
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "choice", tuple(str(one.value) for one in kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel | dict):
        return "document", ()
    return ("document" if get_origin(kind) in {dict, list, tuple} else "text"), ()


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_bytes(written(declared_forms()))
