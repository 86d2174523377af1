"""What a command of the server's looks like: read from a file, so that none of it is imported.

`commands.json` is written from the declarations by `python -m strongroom.faces.cli.declaring`; a
test keeps it in step with them. Importing the rooms themselves takes seconds.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

FILE = "commands.json"

Kind = Literal["text", "whole", "number", "flag", "choice", "document"]


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field of the request.

    Attributes:
        kind: what a person gives; a document is JSON, or `@FILE` with JSON.
        choices: of a choice.
        text: what it means; empty: its name says it.
        is_many: it may be given several times.
        is_secret: no flag may carry it, for flags show in process lists.
    """

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    text: str = ""
    is_many: bool = False
    is_required: bool = False
    is_secret: bool = False


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A command and the operation that it calls.

    Attributes:
        words: e.g. `data add`.
        positional: fields given as arguments, in order; the others become options.
        body: name of the argument whose file, or `-`, is sent.
        confirm: field whose value must be typed again, or `--yes`.
        method, path: of its route; empty: it has none.
        sends: the HTTP body is a stream. streams: the answer is one.
    """

    operation: str
    words: str
    positional: tuple[str, ...]
    summary: str
    method: str
    path: str
    fields: tuple[Field, ...]
    description: str = ""
    body: str | None = None
    confirm: str | None = None
    sends: bool = False
    streams: bool = False


@cache
def forms() -> tuple[Form, ...]:
    """Every command that an operation declares, in order of declaration."""
    content = files(__package__).joinpath(FILE).read_bytes()
    return msgspec.json.decode(content, type=tuple[Form, ...])
