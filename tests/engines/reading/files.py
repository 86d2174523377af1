"""Small files of every form, as other programs write them, and what `read` makes of a file."""

import bz2
import datetime as dt
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Iterable, Mapping
from email.message import EmailMessage
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from strongroom.engines.reading.reading import read
from strongroom.engines.reading.types import Form, ReadLimits, ReadOptions

CSV = b"name,zip,n\nAda Lovelace,01234,1\nAlan Turing,98765,2\n"
PEOPLE = [
    {"name": "Ada Lovelace", "zip": "01234", "n": 1},
    {"name": "Alan Turing", "zip": "98765", "n": 2},
]
RECORDS = [{"id": i, "in": {"text": f'br]ack"et\\ {i}', "list": [{"x": i}]}} for i in range(30)]
Tables = dict[str, list[dict[str, Any]]]


def tables(
    content: bytes | Iterable[bytes],
    name: str = "file",
    form: Form = Form.AUTO,
    limits: ReadLimits | None = None,
    **options: Any,  # noqa: ANN401 # those of ReadOptions
) -> Tables:
    """Every table of a file by its name, as rows."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    found: Tables = {}
    for table in read(file, name=name, form=form, limits=limits, options=ReadOptions(**options)):
        rows = pa.Table.from_batches(list(table.batches), table.schema).to_pylist()
        assert table.rows == len(rows)
        found[table.name] = rows
    return found


def parquet(table: pa.Table | None = None) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table or pa.Table.from_pylist(PEOPLE), sink)
    return sink.getvalue()


def arrow_stream(table: pa.Table | None = None) -> bytes:
    """An Arrow IPC stream."""
    sink = io.BytesIO()
    table = table or pa.Table.from_pylist(PEOPLE)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def feather() -> bytes:
    """An Arrow IPC file."""
    sink = io.BytesIO()
    table = pa.Table.from_pylist(PEOPLE)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def xlsx(sheets: Mapping[str, list[list[object]]] | None = None) -> bytes:
    """A workbook, as openpyxl writes it."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    header: list[object] = list(PEOPLE[0])
    for name, rows in (sheets or {"People": [header, *(list(p.values()) for p in PEOPLE)]}).items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def zstd(content: bytes) -> bytes:
    """A zstd file."""
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


def message(**headers: str) -> EmailMessage:
    """A message with both forms of a body, a table and a picture."""
    mail = EmailMessage()
    mail["From"] = "Ada Lovelace <ada@example.org>"
    mail["To"] = "Jürgen Groß <j@example.org>"
    mail["Subject"] = "Grüße"
    mail["Date"] = "Fri, 21 Nov 1997 09:55:06 -0600"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("Dear Jürgen,\nhere it is.\n")
    mail.add_alternative("<p>Dear Jürgen,<br>here it is.</p>", subtype="html")
    mail.add_attachment(CSV, maintype="text", subtype="csv", filename="people.csv")
    mail.add_attachment(b"\x89PNG1234", maintype="image", subtype="png", filename="me.png")
    return mail


def mbox(*messages: bytes) -> bytes:
    """A mailbox (RFC 4155)."""
    line = b"From ada@example.org Fri Nov 21 09:55:06 1997\n"
    return b"".join(line + content.replace(b"\nFrom ", b"\n>From ") + b"\n" for content in messages)


LOG = (
    b"2024-01-01 10:00:00,123 INFO ada logged in\n"
    b"2024-01-01 10:00:01,456 ERROR no such file, or folder\n"
)
TEXT = b"Dear Ada,\n\nthank you for coming on Monday, it was good to see you.\n\n\nYours, Charles\n"

FILES: dict[str, Callable[[], bytes]] = {
    "csv": lambda: CSV,
    "tsv": lambda: CSV.replace(b",", b"\t"),
    "jsonl": lambda: b"".join(json.dumps(row).encode() + b"\n" for row in PEOPLE),
    "json": lambda: json.dumps({"page": 1, "people": RECORDS}, indent=1).encode(),
    "parquet": parquet,
    "arrow": arrow_stream,
    "feather": feather,
    "xlsx": xlsx,
    "text": lambda: TEXT,
    "log": lambda: LOG,
    "eml": lambda: message().as_bytes(),
    "mbox": lambda: mbox(message().as_bytes(), message().as_bytes()),
    "gzip": lambda: gzip.compress(CSV, mtime=0),
    "bzip2": lambda: bz2.compress(CSV),
    "xz": lambda: lzma.compress(CSV),
    "zstd": lambda: zstd(CSV),
    "zip": lambda: zipped({"a/people.csv": CSV, "b.parquet": parquet()}),
}
WHEN = dt.datetime(2020, 1, 2, 3, 4, 5)  # noqa: DTZ001 # a spreadsheet's dates have no zone
