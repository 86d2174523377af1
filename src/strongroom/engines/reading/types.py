"""Nouns of reading: forms, limits, options, and the tables that come out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO

import pyarrow as pa

from strongroom.errors import StrongroomError

MAX_COLUMN_NAME = 256
"""Characters of a column's name."""


class Form(StrEnum):
    """What a file is; `AUTO` asks its content."""

    AUTO = "auto"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"
    XLSX = "xlsx"
    TEXT = "text"
    LOG = "log"
    EML = "eml"
    MBOX = "mbox"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZIP = "zip"


TEXTUAL = frozenset({
    Form.CSV, Form.TSV, Form.JSONL, Form.JSON, Form.TEXT, Form.LOG, Form.EML, Form.MBOX,
})  # fmt: skip  # names only
"""Forms of text, which only their content tells apart, and not always."""

COMPRESSED = frozenset({Form.GZIP, Form.ZSTD, Form.BZIP2, Form.XZ})
"""Forms that hold one other file."""

SEEKABLE = frozenset({Form.PARQUET, Form.XLSX, Form.ZIP})
"""Forms that are read from their end: a stream of chunks does not do."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits of one file, and of everything that is packed into it.

    Attributes:
        row_bytes: of one row as text, or one field; also the size of a block read at once.
        columns: of one table.
        message_bytes: of one batch of a binary format as it comes; four times that unpacked.
        depth: of nested values (JSON, Arrow types).
        expanded_bytes: of all that is unpacked from one file, archives in archives included.
        ratio: unpacked to packed bytes, once more than `ratio_floor_bytes` are unpacked.
        ratio_floor_bytes: below this a large ratio harms nobody.
        members: files in one archive, or attachments of one message.
        nesting: archives in archives, attachments in attachments.
        sheets: of one workbook.
        held_bytes: of one packed file that must be held whole (a workbook in an archive, an
            attachment), and of the shared strings of a workbook.
        email_bytes: of one message with its attachments.
        emails: of one mailbox.
        seconds: of wall time from the first byte to the last row; 0 for none.
    """

    row_bytes: int = 16 << 20
    columns: int = 10_000
    message_bytes: int = 256 << 20
    depth: int = 64
    expanded_bytes: int = 64 << 30
    ratio: int = 250
    ratio_floor_bytes: int = 64 << 20
    members: int = 1_000
    nesting: int = 4
    sheets: int = 256
    held_bytes: int = 256 << 20
    email_bytes: int = 64 << 20
    emails: int = 10_000_000
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Unread:
    """A file inside another one that was left out.

    Attributes:
        name: where it is, as `archive.zip/folder/picture.png`.
        error: why.
    """

    name: str
    error: StrongroomError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the reader of a file knows better than its content.

    Attributes:
        encoding: of text, as Python names it; found from the content where None.
        delimiter: of CSV; found where None.
        header: whether a CSV has a row of names; found where None.
        text_columns: columns of a CSV or a sheet to keep as text.
        sheet: the one sheet to read of a workbook.
        member: the one file to read of an archive, attachment of a message or list of a JSON
            object, by its name in it; `inner.zip/table.csv` for a file in an archive in it.
        unread: told of each file inside that cannot be read, and reading goes on; where None,
            an archive with such a file is refused, and such attachments are left out.
        confined: reads Parquet and Arrow elsewhere, in a sandbox, wherever in the file they lie:
            takes a seekable file or chunks, the name and the form; where None, they are read here.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    text_columns: tuple[str, ...] = ()
    sheet: str | None = None
    member: str | None = None
    unread: Callable[[Unread], None] | None = None
    confined: "Confined | None" = None


@dataclass(slots=True)
class ReadTable:
    """A table on its way in: its schema is known, its rows come.

    Attributes:
        name: of the file, and of the sheet, member or part in it: `book.xlsx/Sheet1`.
        form: what it was read as.
        schema: plain types; no dictionaries, views or extensions.
        batches: the rows, once; the last table's are gone when the next table is asked for.
        encoding: of its text, as Python names it; None for binary forms.
        remarks: what was assumed, in words that quote no value.
        rows: how many have been read so far.
    """

    name: str
    form: Form
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    encoding: str | None = None
    remarks: tuple[str, ...] = ()
    rows: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.batches = self._counted(self.batches)

    def _counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.rows += batch.num_rows
            yield batch


Confined = Callable[[BinaryIO | Iterator[bytes], str, Form], Iterator[ReadTable]]
"""Reads the one table of a binary file for `ReadOptions.confined`."""
