"""Commands derived from declared operations: arguments, options, help, confirmation, streams."""

import inspect
import json
import sys
import types
import typing
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, cast, get_args, get_origin

import typer
from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from strongroom.errors import UsageError
from strongroom.faces.cli import options, output
from strongroom.faces.client.shapes import Shape
from strongroom.gate.declaration import Body, Command, Operation, Stream

PREFIX = "/api/v1"
SECRET_NAMES = frozenset({"password", "passphrase", "secret", "token"})
_TEXT_MEDIA = ("text/", "application/json", "application/x-ndjson")

_HINTS: dict[str, Callable[[str, Any], str]] = {
    "user.invite": lambda server, invitation: (
        f"for {invitation['user']} alone, good once, shown this once: they redeem it with "
        f"`strongroom login --server {server}`, or open {server}/sign-in?link={invitation['token']}"
    ),
    "link.create": lambda server, link: f"open once: {server}/sign-in?link={link['token']}",
}
"""What a person does next with an answer, said on stderr."""

_CONNECTION = {
    "json_": (options.Json, False),
    "server": (options.Server, None),
    "profile": (options.Profile, None),
    "ca": (options.Ca, None),
}


def shape_of(declared: Operation) -> Shape:
    """How to call the operation over HTTP.

    Raises:
        UsageError: it has no route.
    """
    if declared.route is None:
        raise UsageError(f"`{declared.name}` cannot be called over HTTP")
    return Shape(
        declared.route.method,
        PREFIX + declared.route.path,
        declared.body is Body.STREAM,
        frozenset(declared.input.model_fields),
    )


def command_of(declared: Operation) -> Callable[..., None]:
    """A function with the signature that Typer turns into the command."""
    command = declared.command
    assert command is not None  # noqa: S101 # callers pass operations with a command
    fields = declared.input.model_fields
    parameters = (
        [_words_after_workspace(command, fields)]
        if command.positional[:1] == ("workspace",)
        else [_argument(name, fields[name]) for name in command.positional]
    )
    if command.body is not None:
        parameters.append(_parameter(
            "body_", Annotated[str, typer.Argument(
                metavar=command.body.upper(), help="File to send, or `-` for stdin.")],
        ))  # fmt: skip
    for name, info in fields.items():
        if name not in command.positional and name != "workspace":
            parameters.append(_option(name, info))
    if "workspace" in fields:
        parameters.append(_parameter("workspace_", options.Workspace, None))
    if command.confirm is not None:
        parameters.append(_parameter("yes_", options.Yes, False))
    if declared.output is Stream:
        parameters.append(_parameter("output_", Annotated[
            Path | None,
            typer.Option("--output", "-o", help="File to write; else stdout.", metavar="FILE"),
        ], None))  # fmt: skip
    parameters += [_parameter(name, *kind) for name, kind in _CONNECTION.items()]

    def run(**given: Any) -> None:  # noqa: ANN401 # each by its own annotation
        _run(declared, command, given)

    run.__doc__ = f"{declared.summary}\n\n{declared.description}".strip()
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by Typer
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _run(declared: Operation, command: Command, given: dict[str, Any]) -> None:
    as_json = given["json_"]
    if "words_" in given:
        given |= _named(command, given.pop("words_"), given["workspace_"])
    fields = {
        name: _value(name, info, given)
        for name, info in declared.input.model_fields.items()
        if name in given or f"{name}_file" in given
    }
    workspace = given.get("workspace_")
    with options.connect(given["server"], given["profile"], given["ca"], workspace) as client:
        if "workspace" in declared.input.model_fields and "workspace" not in fields:
            fields["workspace"] = client.profile.workspace or None
        if command.confirm is not None:
            _confirm(command, fields[command.confirm], yes=given["yes_"])
        shape = shape_of(declared)
        if declared.name == "model.pull" and given["output_"] is not None:
            from strongroom.faces.client.pulling import pull_model

            with output.progress(given["output_"].name) as shown:
                pull_model(client, given["output_"], progress=shown, **fields)
        elif declared.output is Stream:
            _save(client, shape, given["output_"], fields)
        else:
            source: Path | BinaryIO | None = None
            if command.body is not None:
                source = _source(given["body_"])
            with output.progress(command.words) as shown:
                answer = client.call(shape, source, progress=shown, **fields)
            output.data(answer, as_json=as_json)
            if declared.name in _HINTS:
                output.words(_HINTS[declared.name](client.profile.server, answer))
        if client.last_receipt is not None and sys.stderr.isatty():
            output.words(f"recorded as entry {client.last_receipt} of the log")


def _named(
    command: Command, words: str | list[str] | None, workspace: str | None
) -> dict[str, str]:
    """What was given as arguments, by field; the workspace may be given by `-w` or not at all.

    Raises:
        UsageError: too few or too many words, or two workspaces.
    """
    names = command.positional
    words = [words] if isinstance(words, str) else words or []
    if len(words) == len(names) - 1:
        names = names[1:]
    if len(words) != len(names):
        wanted = " ".join(name.upper() for name in command.positional[1:])
        raise UsageError(
            f"`{command.words}` takes [WORKSPACE] {wanted}".rstrip(),
            next_step=f"run strongroom {command.words} --help",
        )
    named = dict(zip(names, words, strict=True))
    if workspace is not None and named.get("workspace", workspace) != workspace:
        raise UsageError(
            f"two workspaces are named: `{named['workspace']}` and `{workspace}`",
            next_step="name it once",
        )
    return named


def _confirm(command: Command, what: object, *, yes: bool) -> None:
    if what is None:
        raise UsageError("no workspace is named", next_step="name it, or give --workspace")
    options.confirm(str(what), yes=yes, doing=f"strongroom {command.words}")


def _source(path: str) -> Path | BinaryIO:
    if path == "-":
        return sys.stdin.buffer
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no file `{path}`")
    return file


def _save(client: Any, shape: Shape, to: Path | None, fields: dict[str, Any]) -> None:  # noqa: ANN401 # a Client, imported late
    if to is not None:
        with output.progress(to.name) as shown:
            client.download(shape, to, progress=shown, **fields)
        return
    with client.stream(shape, **fields) as pieces:
        first = next(pieces, b"")
        if sys.stdout.isatty() and b"\x00" in first[:1024]:
            raise UsageError("these are bytes, not text", next_step="add --output FILE")
        sys.stdout.buffer.write(first)
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _value(name: str, info: FieldInfo, given: dict[str, Any]) -> object:
    """What the person gave for a field, as JSON."""
    if is_secret(name, info):
        return options.secret(name, given[f"{name}_file"])
    value = given[name]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [one.value if isinstance(one, Enum) else one for one in value] or None
    if value is not None and _kind(info)[0] is _Document:
        try:
            text = Path(value[1:]).read_text("utf-8") if value.startswith("@") else value
            return cast("object", json.loads(text))
        except (OSError, ValueError):
            raise UsageError(f"`--{name}` must be JSON, or `@FILE` with JSON") from None
    return cast("object", value)


class _Document:
    """Stands for fields that are given as JSON text."""


def is_secret(name: str, info: FieldInfo) -> bool:
    """Whether the field is a secret, which no flag may carry: flags show in process lists."""
    return name in SECRET_NAMES or bool({SecretStr, SecretBytes} & set(_flat(info.annotation)))


def _flat(kind: Any) -> list[Any]:  # noqa: ANN401 # a type expression
    if get_origin(kind) in {typing.Union, types.UnionType}:
        return [one for part in get_args(kind) for one in _flat(part)]
    if get_origin(kind) is Annotated:
        return _flat(get_args(kind)[0])
    return [kind]


def _kind(info: FieldInfo) -> tuple[Any, bool]:
    """(type that the command line takes, whether several may be given)."""
    kinds = [kind for kind in _flat(info.annotation) if kind is not type(None)]
    if len(kinds) != 1:
        return (str, False) if str in kinds else (_Document, False)
    kind = kinds[0]
    if get_origin(kind) in {list, tuple, set, frozenset}:
        inner = _flat(get_args(kind)[0])
        each = _scalar(inner[0]) if len(inner) == 1 else _Document
        return (_Document, False) if each is _Document else (each, True)
    return _scalar(kind), False


def _scalar(kind: Any) -> Any:  # noqa: ANN401 # a type expression
    if kind in {bool, int, float, str} or get_origin(kind) is Literal:
        return kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if isinstance(kind, type) and issubclass(kind, BaseModel | dict):
        return _Document
    return _Document if get_origin(kind) in {dict, list, tuple} else str


def _argument(name: str, info: FieldInfo) -> inspect.Parameter:
    kind, _ = _kind(info)
    argument = typer.Argument(help=info.description or _words(name), metavar=name.upper())
    return _parameter(name, Annotated[str if kind is _Document else kind, argument])


def _words_after_workspace(command: Command, fields: dict[str, FieldInfo]) -> inspect.Parameter:
    """The arguments of a command whose first may be left out, in one."""
    rest = command.positional[1:]
    if not rest:
        only = typer.Argument(metavar="WORKSPACE", help="Else that of --workspace or the profile.")
        return _parameter("words_", Annotated[str | None, only], None)
    told = [f"{name.upper()}: {fields[name].description or _words(name)}." for name in rest]
    argument = typer.Argument(
        metavar=" ".join(["[WORKSPACE]", *(name.upper() for name in rest)]),
        help=" ".join(["The workspace; else that of --workspace or the profile.", *told]),
        show_default=False,
    )
    return _parameter("words_", Annotated[list[str] | None, argument], None)


def _option(name: str, info: FieldInfo) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    text = info.description or _words(name)
    if is_secret(name, info):
        option = typer.Option(f"{flag}-file", help=f"File with the {_words(name)}, or `-`.")
        return _parameter(f"{name}_file", Annotated[str | None, option], None)
    kind, many = _kind(info)
    if kind is _Document:
        kind, text = str, f"{text} (JSON, or @FILE)"
    if many:
        option = typer.Option(flag, help=f"{text} (may be given several times)")
        return _parameter(name, Annotated[list[kind] | None, option], None)  # type: ignore[valid-type] # a type found at run time
    if kind is bool:
        option = typer.Option(f"{flag}/--no-{name.replace('_', '-')}", help=text)
    else:
        option = typer.Option(flag, help=text)
    if info.is_required():
        return _parameter(name, Annotated[kind, option])
    # Not given means not sent: the server's default holds, and help shows it in words.
    return _parameter(name, Annotated[kind | None, option], None)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _parameter(
    name: str,
    annotation: Any,  # noqa: ANN401 # a type expression
    default: Any = inspect.Parameter.empty,  # noqa: ANN401 # any default
) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
