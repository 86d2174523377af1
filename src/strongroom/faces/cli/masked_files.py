"""Where masked tables and texts go: forms, names, and the bytes of each."""

import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from strongroom.engines.reading.json_values import FIELD
from strongroom.engines.reading.types import COMPRESSED, Form
from strongroom.errors import EncodingError, TableError, TooLargeError, UsageError
from strongroom.faces.cli.masked_books import Sheet, workbook_bytes
from strongroom.services.data.formats import TableFormat
from strongroom.services.data.outgoing import encode, require_exportable

if TYPE_CHECKING:
    from strongroom.engines.privacy.mask.texts import TextMasker

BY_ENDING = {
    ".csv": Form.CSV, ".tsv": Form.TSV, ".jsonl": Form.JSONL, ".ndjson": Form.JSONL,
    ".json": Form.JSON, ".parquet": Form.PARQUET, ".arrow": Form.ARROW, ".arrows": Form.ARROW,
    ".feather": Form.ARROW, ".txt": Form.TEXT, ".text": Form.TEXT, ".md": Form.TEXT,
    ".log": Form.LOG, ".xlsx": Form.XLSX,
}  # fmt: skip
"""Endings of files that can be written."""
_MAIL_ENDINGS = {".eml": Form.EML, ".mbox": Form.MBOX}
_ENDINGS = {
    Form.CSV: ".csv", Form.TSV: ".tsv", Form.JSONL: ".jsonl", Form.JSON: ".json",
    Form.PARQUET: ".parquet", Form.ARROW: ".arrow", Form.TEXT: ".txt", Form.LOG: ".log",
    Form.XLSX: ".xlsx", Form.EML: ".eml", Form.MBOX: ".mbox",
}  # fmt: skip
TEXTS = frozenset({Form.TEXT, Form.LOG})
MAILS = frozenset({Form.EML, Form.MBOX})
_BINARY = frozenset({Form.PARQUET, Form.ARROW, Form.XLSX})
"""Not written to stdout unless they are asked for."""
_PARAGRAPH = 1 << 16
_BLOCKS = 256
_BAD_IN_NAMES = re.compile(r"[^\w.@()+ -]")


def stated_form(text: str | None) -> Form | None:
    """The form that `--to` names. Raises: UsageError."""
    if text is None:
        return None
    known = {form.value: form for form in _ENDINGS}
    if (form := known.get(text.lower())) is None:
        raise UsageError(f"--to is one of {', '.join(known)}")
    return form


def out_form(
    read_as: Form, to: Path | None, *, stated: Form | None = None, mails: bool = False
) -> Form:
    """The form to write a table in: as stated, by the ending of `to`, else as it was read.

    Mail is written as JSON lines unless `mails` says that it can be written as mail.

    Raises:
        UsageError: the ending is of no form that is written, or a table would become text or mail.
    """
    endings = BY_ENDING | _MAIL_ENDINGS if mails else BY_ENDING
    same = Form.JSONL if read_as in MAILS and not mails else read_as
    if stated is not None:
        wanted: Form | None = stated
    elif to is None:
        return Form.CSV if same in _BINARY else same
    elif read_as in TEXTS and to.suffix.lower() not in endings:
        return same  # a text may be called anything
    else:
        wanted = endings.get(to.suffix.lower())
    if wanted is None:
        raise UsageError(
            f"a file with the ending of `{to.name if to else ''}` is not written",
            next_step=f"use one of {', '.join(endings)}, or --to with a form",
        )
    if wanted in TEXTS and read_as not in TEXTS:
        raise UsageError("a table is not written as text", next_step="use .csv or .jsonl")
    if wanted in MAILS and (read_as not in MAILS or not mails):
        raise UsageError("only mail is written as mail", next_step="use .csv or .jsonl")
    if wanted is Form.EML and read_as is Form.MBOX:
        raise UsageError("a mailbox is not written as one message", next_step="use .mbox")
    return wanted


def is_file_name(path: Path) -> bool:
    """Whether the ending of a name is that of a form that is written."""
    return path.suffix.lower() in BY_ENDING | _MAIL_ENDINGS


def named_as(form: Form) -> str:
    """A file name with the ending of a form; one of no form where it is not written."""
    return f"x{_ENDINGS.get(form, '.csv')}"


def place_in_folder(inside: PurePosixPath, table: str, form: Form, *, alone: bool) -> PurePosixPath:
    """Where a table of a file goes in the folder of results, written in `form`.

    The file's own place where its form stays; else its name with the new ending after it, so that
    no two files meet. Several tables of a file get a folder of its name.
    """
    endings = BY_ENDING | _MAIL_ENDINGS
    if not alone:
        name = PurePosixPath(safe_name(table or inside.stem))
        kept = endings.get(name.suffix.lower()) is form
        return inside / (name.name if kept else f"{name.name}{_ENDINGS[form]}")
    if endings.get(inside.suffix.lower()) is form or form in TEXTS:
        return inside
    return inside.with_name(inside.name + _ENDINGS[form])


def safe_name(name: str) -> str:
    """The name of a sheet, member or attachment as a file name: one part, nothing hidden."""
    plain = _BAD_IN_NAMES.sub("_", name)[:120].strip(" .")
    return plain or "table"


def table_bytes(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    form: Form,
    *,
    name: str = "",
    plain: bool = False,
) -> Iterator[bytes]:
    """A table in a form, piece by piece.

    Args:
        batches: the rows.
        schema: of the batches.
        form: one that is written.
        name: of the sheet, in a workbook.
        plain: the rows of a list of plain values: as JSON they become one again.

    Raises: TableError where the form cannot hold it.
    """
    if form is Form.XLSX:
        return workbook_bytes([Sheet(name, schema, batches)])
    if form is Form.JSON:
        lines = encode(batches, schema, TableFormat.JSONL)
        return _json_array(_values(lines) if plain and schema.names == [FIELD] else lines)
    if form in {Form.CSV, Form.TSV}:
        require_exportable(schema, TableFormat.CSV)
        return encode(batches, schema, TableFormat.CSV, delimiter="\t" if form is Form.TSV else ",")
    return encode(batches, schema, TableFormat(form.value))


def _json_array(lines: Iterable[bytes]) -> Iterator[bytes]:
    """JSON lines as one array."""
    yield b"["
    first = True
    for piece in lines:
        for line in piece.splitlines():
            if line:
                yield (b"\n" if first else b",\n") + line
                first = False
    yield b"\n]\n"


def _values(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The values of rows of one field."""
    for piece in lines:
        for line in piece.splitlines():
            if line:
                value = json.loads(line)[FIELD]
                yield json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def text_bytes(
    file: BinaryIO, encoding: str, masker: "TextMasker", form: Form, *, row_bytes: int
) -> Iterator[bytes]:
    """A text with what is found in it masked, as UTF-8; everything else stays, line ends too.

    Looked at paragraph by paragraph, a log line by line.

    Raises:
        EncodingError: a part of it is not of that encoding.
        TooLargeError: a line is longer than `row_bytes`.
    """
    waiting: list[str] = []
    for block in chain(_blocks(file, encoding, form, row_bytes), [None]):
        if block is not None:
            waiting.append(block)
        if waiting and (block is None or len(waiting) >= _BLOCKS):
            yield "".join(masker.mask_all(waiting)).encode()
            waiting.clear()


def _blocks(file: BinaryIO, encoding: str, form: Form, row_bytes: int) -> Iterator[str]:
    """Lines, or paragraphs with the blank lines after them."""
    lines: list[str] = []
    size, was_blank = 0, False
    try:
        reader = io.TextIOWrapper(file, encoding=encoding, newline="")
        try:
            while line := reader.readline(row_bytes + 1):
                if len(line) > row_bytes:
                    raise TooLargeError(f"a line has more than {row_bytes:,} characters")
                is_blank = not line.strip()
                begins = form is Form.LOG or (was_blank and not is_blank) or size > _PARAGRAPH
                if lines and begins:
                    yield "".join(lines)
                    lines, size = [], 0
                lines.append(line)
                size += len(line)
                was_blank = is_blank
        finally:
            reader.detach()
    except UnicodeDecodeError:
        raise EncodingError(f"the text is not {encoding} throughout") from None
    except LookupError:
        raise TableError(f"the encoding {encoding} is not known") from None
    if lines:
        yield "".join(lines)


def is_packed(file: BinaryIO) -> bool:
    """Whether the file holds others; it stands at its start afterwards."""
    from strongroom.engines.reading.sniffing import by_magic

    file.seek(0)
    form = by_magic(file.read(64))
    file.seek(0)
    return form in COMPRESSED or form is Form.ZIP


def joined(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Rows of one text column as lines."""
    for batch in batches:
        for text in batch.column(0).to_pylist():
            yield f"{text or ''}\n".encode()


def distinct(places: list[PurePosixPath]) -> list[PurePosixPath]:
    """The places, a number in the names of those that would meet."""
    taken: set[PurePosixPath] = set()
    found = []
    for place in places:
        free, number = place, 2
        while free in taken:
            free = place.with_name(f"{place.stem}-{number}{place.suffix}")
            number += 1
        taken.add(free)
        found.append(free)
    return found
