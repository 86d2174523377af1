"""Where masked tables and texts go: forms, names, and the bytes of each."""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa

from strongroom.engines.privacy.mask.texts import TextMasker
from strongroom.engines.reading.types import Form
from strongroom.errors import EncodingError, TableError, TooLargeError, UsageError
from strongroom.services.data.outgoing import encode, require_exportable
from strongroom.services.data.types import TableFormat

BY_ENDING = {
    ".csv": Form.CSV, ".tsv": Form.TSV, ".jsonl": Form.JSONL, ".ndjson": Form.JSONL,
    ".json": Form.JSON, ".parquet": Form.PARQUET, ".arrow": Form.ARROW, ".arrows": Form.ARROW,
    ".feather": Form.ARROW, ".txt": Form.TEXT, ".text": Form.TEXT, ".md": Form.TEXT,
    ".log": Form.LOG,
}  # fmt: skip
"""Endings of files that can be written."""
_ENDINGS = {
    Form.CSV: ".csv", Form.TSV: ".tsv", Form.JSONL: ".jsonl", Form.JSON: ".json",
    Form.PARQUET: ".parquet", Form.ARROW: ".arrow", Form.TEXT: ".txt", Form.LOG: ".log",
}  # fmt: skip
_SAME = frozenset(_ENDINGS)
_WRITTEN_AS = {Form.XLSX: Form.CSV, Form.EML: Form.JSONL, Form.MBOX: Form.JSONL}
"""Forms that are read and not written, and what comes out instead."""
TEXTS = frozenset({Form.TEXT, Form.LOG})
_PARAGRAPH = 1 << 16
_BLOCKS = 256
_BAD_IN_NAMES = re.compile(r"[^\w.@()+ -]")


def out_form(read_as: Form, to: Path | None) -> Form:
    """The form to write a table in: by the ending of `to`, else as it was read.

    Raises:
        UsageError: the ending is of no form that is written, or a table would become a text.
    """
    same = read_as if read_as in _SAME else _WRITTEN_AS.get(read_as, Form.CSV)
    if to is None:
        return Form.CSV if same in {Form.PARQUET, Form.ARROW} else same
    if read_as in TEXTS and to.suffix.lower() not in BY_ENDING:
        return same  # a text may be called anything
    wanted = BY_ENDING.get(to.suffix.lower())
    if wanted is None:
        raise UsageError(
            f"a file with the ending of `{to.name}` is not written",
            next_step=f"use one of {', '.join(BY_ENDING)}",
        )
    if wanted in TEXTS and read_as not in TEXTS:
        raise UsageError("a table is not written as text", next_step="use .csv or .jsonl")
    return wanted


def place_in_folder(
    inside: PurePosixPath, table: str, read_as: Form, *, alone: bool
) -> PurePosixPath:
    """Where a table of a file goes in the folder of results.

    The file's own place where its form stays; else its name with the new ending after it, so that
    no two files meet. Several tables of a file get a folder of its name.
    """
    form = (
        out_form(read_as, Path(f"x{_ENDINGS.get(read_as, '')}"))
        if read_as in _SAME
        else (_WRITTEN_AS.get(read_as, Form.CSV))
    )
    if not alone:
        name = PurePosixPath(safe_name(table or inside.stem))
        kept = BY_ENDING.get(name.suffix.lower()) is form
        return inside / (name.name if kept else f"{name.name}{_ENDINGS[form]}")
    if BY_ENDING.get(inside.suffix.lower()) is form or form in TEXTS:
        return inside
    return inside.with_name(inside.name + _ENDINGS[form])


def safe_name(name: str) -> str:
    """The name of a sheet, member or attachment as a file name: one part, nothing hidden."""
    plain = _BAD_IN_NAMES.sub("_", name)[:120].strip(" .")
    return plain or "table"


def table_bytes(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, form: Form
) -> Iterator[bytes]:
    """A table in a form, piece by piece. Raises: TableError where the form cannot hold it."""
    if form is Form.JSON:
        return _json_array(encode(batches, schema, TableFormat.JSONL))
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


def text_bytes(
    file: BinaryIO, encoding: str, masker: TextMasker, form: Form, *, row_bytes: int
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
