"""Commands derived from declared operations: arguments, options, help, confirmation, streams."""

import inspect
import json
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, cast

import typer

from strongroom.errors import UsageError
from strongroom.faces.cli import options, output
from strongroom.faces.cli.forms import Field, Form
from strongroom.faces.client.shapes import Shape

PREFIX = "/api/v1"

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


def shape_of(form: Form) -> Shape:
    """How to call the operation over HTTP.

    Raises:
        UsageError: it has no route.
    """
    if not form.path:
        raise UsageError(f"`{form.operation}` cannot be called over HTTP")
    names = frozenset(one.name for one in form.fields)
    return Shape(form.method, PREFIX + form.path, form.sends, names)


def command_of(form: Form) -> Callable[..., None]:
    """A function with the signature that Typer turns into the command."""
    fields = {one.name: one for one in form.fields}
    parameters = (
        [_words_after_workspace(form, fields)]
        if form.positional[:1] == ("workspace",)
        else [_argument(fields[name]) for name in form.positional]
    )
    if form.body is not None:
        parameters.append(_parameter(
            "body_", Annotated[str, typer.Argument(
                metavar=form.body.upper(), help="File to send, or `-` for stdin.")],
        ))  # fmt: skip
    parameters += [
        _option(one)
        for one in form.fields
        if one.name not in form.positional and one.name != "workspace"
    ]
    if "workspace" in fields:
        parameters.append(_parameter("workspace_", options.Workspace, None))
    if form.confirm is not None:
        parameters.append(_parameter("yes_", options.Yes, False))
    if form.streams:
        parameters.append(_parameter("output_", Annotated[
            Path | None,
            typer.Option("--output", "-o", help="File to write; else stdout.", metavar="FILE"),
        ], None))  # fmt: skip
    parameters += [_parameter(name, *kind) for name, kind in _CONNECTION.items()]

    def run(**given: Any) -> None:  # noqa: ANN401 # each by its own annotation
        _run(form, given)

    run.__doc__ = f"{form.summary}\n\n{form.description}".strip()
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by Typer
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _run(form: Form, given: dict[str, Any]) -> None:
    as_json = given["json_"]
    if "words_" in given:
        given |= _named(form, given.pop("words_"), given["workspace_"])
    fields = {
        one.name: _value(one, given)
        for one in form.fields
        if one.name in given or f"{one.name}_file" in given
    }
    workspace = given.get("workspace_")
    with options.connect(given["server"], given["profile"], given["ca"], workspace) as client:
        if "workspace_" in given and "workspace" not in fields:
            fields["workspace"] = client.profile.workspace or None
        if form.confirm is not None:
            _confirm(form, fields[form.confirm], yes=given["yes_"])
        shape = shape_of(form)
        if form.operation == "model.pull" and given["output_"] is not None:
            from strongroom.faces.client.pulling import pull_model

            with output.progress(given["output_"].name) as shown:
                pull_model(client, given["output_"], progress=shown, **fields)
        elif form.streams:
            _save(client, shape, given["output_"], fields)
        else:
            source: Path | BinaryIO | None = None
            if form.body is not None:
                source = _source(given["body_"])
            with output.progress(form.words) as shown:
                answer = client.call(shape, source, progress=shown, **fields)
            output.data(answer, as_json=as_json)
            if form.operation in _HINTS:
                output.words(_HINTS[form.operation](client.profile.server, answer))
        if client.last_receipt is not None and sys.stderr.isatty():
            output.words(f"recorded as entry {client.last_receipt} of the log")


def _named(form: Form, words: str | list[str] | None, workspace: str | None) -> dict[str, str]:
    """What was given as arguments, by field; the workspace may be given by `-w` or not at all.

    Raises:
        UsageError: too few or too many words, or two workspaces.
    """
    names = form.positional
    words = [words] if isinstance(words, str) else words or []
    if len(words) == len(names) - 1:
        names = names[1:]
    if len(words) != len(names):
        wanted = " ".join(name.upper() for name in form.positional[1:])
        raise UsageError(
            f"`{form.words}` takes [WORKSPACE] {wanted}".rstrip(),
            next_step=f"run strongroom {form.words} --help",
        )
    named = dict(zip(names, words, strict=True))
    if workspace is not None and named.get("workspace", workspace) != workspace:
        raise UsageError(
            f"two workspaces are named: `{named['workspace']}` and `{workspace}`",
            next_step="name it once",
        )
    return named


def _confirm(form: Form, what: object, *, yes: bool) -> None:
    if what is None:
        raise UsageError("no workspace is named", next_step="name it, or give --workspace")
    options.confirm(str(what), yes=yes, doing=f"strongroom {form.words}")


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


def _value(field: Field, given: dict[str, Any]) -> object:
    """What the person gave for a field, as JSON."""
    if field.is_secret:
        return options.secret(field.name, given[f"{field.name}_file"])
    value = given[field.name]
    if isinstance(value, list | tuple):
        return [one.value if isinstance(one, Enum) else one for one in value] or None
    if value is not None and field.kind == "document":
        try:
            text = Path(value[1:]).read_text("utf-8") if value.startswith("@") else value
            return cast("object", json.loads(text))
        except (OSError, ValueError):
            raise UsageError(f"`--{field.name}` must be JSON, or `@FILE` with JSON") from None
    return cast("object", value)


_TYPES: dict[str, Any] = {
    "text": str, "whole": int, "number": float, "flag": bool, "document": str,
}  # fmt: skip


def _type(field: Field) -> Any:  # noqa: ANN401 # a type expression
    if field.kind != "choice":
        return _TYPES[field.kind]
    if field.is_many:  # Typer knows no list of literals
        return Enum(field.name, [(one, one) for one in field.choices])
    return Literal[field.choices]


def _argument(field: Field) -> inspect.Parameter:
    argument = typer.Argument(help=field.text or _words(field.name), metavar=field.name.upper())
    return _parameter(field.name, Annotated[_type(field), argument])


def _words_after_workspace(form: Form, fields: dict[str, Field]) -> inspect.Parameter:
    """The arguments of a command whose first may be left out, in one."""
    rest = form.positional[1:]
    if not rest:
        only = typer.Argument(metavar="WORKSPACE", help="Else that of --workspace or the profile.")
        return _parameter("words_", Annotated[str | None, only], None)
    told = [f"{name.upper()}: {fields[name].text or _words(name)}." for name in rest]
    argument = typer.Argument(
        metavar=" ".join(["[WORKSPACE]", *(name.upper() for name in rest)]),
        help=" ".join(["The workspace; else that of --workspace or the profile.", *told]),
        show_default=False,
    )
    return _parameter("words_", Annotated[list[str] | None, argument], None)


def _option(field: Field) -> inspect.Parameter:
    name, text = field.name, field.text or _words(field.name)
    flag = f"--{name.replace('_', '-')}"
    if field.is_secret:
        option = typer.Option(f"{flag}-file", help=f"File with the {_words(name)}, or `-`.")
        return _parameter(f"{name}_file", Annotated[str | None, option], None)
    kind = _type(field)
    if field.kind == "document":
        text = f"{text} (JSON, or @FILE)"
    if field.is_many:
        option = typer.Option(flag, help=f"{text} (may be given several times)")
        return _parameter(name, Annotated[list[kind] | None, option], None)  # type: ignore[valid-type] # a type found at run time
    if field.kind == "flag":
        option = typer.Option(f"{flag}/--no-{name.replace('_', '-')}", help=text)
    else:
        option = typer.Option(flag, help=text)
    if field.is_required:
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
