"""Files of other forms become datasets; those of binary forms are read in the sandbox only."""

import gzip
import io
import json
import zipfile
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.services.data.dataroom import DataRoom

from strongroom.engines.reading import reading
from strongroom.errors import ChoiceError, SandboxError, TableError, TooLargeError
from strongroom.services.data import operations, sandboxed_tables
from strongroom.services.jobs import sandbox

CSV = b"name,n\nAda Lovelace,1\nAlan Turing,2\n"
ROWS = {"name": ["Ada Lovelace", "Alan Turing"], "n": [1, 2]}


def workbook(*sheets: str) -> bytes:
    """The rows in each of the sheets."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name in sheets:
        sheet = book.create_sheet(name)
        for row in (list(ROWS), *zip(*ROWS.values(), strict=True)):
            sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def archive(**members: bytes) -> bytes:
    """A zip archive."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        for name, content in members.items():
            made.writestr(f"{name}.csv", content)
    return sink.getvalue()


def test_a_workbook_an_archive_and_compressed_tables(room: DataRoom) -> None:
    for number, (content, form) in enumerate(
        [(workbook("People"), "xlsx"), (archive(people=CSV), "csv"), (gzip.compress(CSV), "csv")], 1
    ):
        added = room.add(content)
        assert (added.version, added.rows, added.source_format) == (number, 2, form)
        assert room.table(room.owner).to_pydict() == ROWS


def test_text_logs_mail_and_json(room: DataRoom) -> None:
    mail = b"From: ada@example.org\nTo: bob@example.org\nSubject: hi\n\nbody\n"
    for content, form in (
        (b"Dear Ada,\n\nthank you for the long letter you wrote me.\n", "text"),
        (b"2024-01-01 10:00:00 INFO ada logged in\n" * 2, "log"),
        (mail, "eml"),
        (json.dumps([{"a": 1}, {"a": 2}], indent=1).encode(), "json"),
    ):
        assert room.add(content).source_format == form
    assert room.add(CSV, format="text").source_format == "text"
    assert room.table(room.owner).column_names == ["text", "line_number"]


@pytest.mark.parametrize("name", ["notes.md", "lines.log", "rows.json"])
def test_the_name_of_a_dataset_says_nothing_of_its_form(room: DataRoom, name: str) -> None:
    assert room.add(CSV, name).source_format == "csv"


def test_one_of_several_tables_is_chosen(room: DataRoom) -> None:
    both = workbook("People", "Copy")
    with pytest.raises(ChoiceError) as caught:
        room.add(both)
    assert "`People`, `Copy`" in caught.value.next_step
    assert room.files() == []
    assert room.add(both, sheet="Copy").rows == 2
    several = archive(a=CSV, b=b"x\n1\n")
    with pytest.raises(ChoiceError, match="several files"):
        room.add(several)
    assert room.add(several, member="b.csv").rows == 1


def test_an_encoding_is_found_or_stated_and_recorded(room: DataRoom) -> None:
    content = "name,n\nJürgen Groß,1\nKäthe Müller,2\n".encode("cp1252")
    room.add(content)
    assert room.house.events()[-1].details["source_encoding"] == "cp1252"
    assert room.table(room.owner).to_pydict()["name"] == ["Jürgen Groß", "Käthe Müller"]
    with pytest.raises(TableError, match="UTF-8"):
        room.add(content, encoding="utf-8")


def parquet() -> bytes:
    """The rows as Parquet."""
    sink = io.BytesIO()
    pq.write_table(pa.table(ROWS), sink)
    return sink.getvalue()


def test_binary_files_are_never_parsed_in_the_server(
    room: DataRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Any:  # noqa: ANN401 # it never returns
        raise AssertionError("parsed in the server")

    monkeypatch.setattr(operations, "read_one", refuse)
    monkeypatch.setattr(reading, "tables", refuse)
    monkeypatch.setattr("strongroom.engines.reading.forms.read_parquet", refuse)
    monkeypatch.setattr("strongroom.engines.reading.forms.Workbook", refuse)
    for content in (parquet(), workbook("A"), gzip.compress(CSV)):
        # The sandbox parses it; only its answer is read here, which is refused.
        with pytest.raises(AssertionError, match="parsed in the server"):
            room.add(content)
    assert room.files() == []


@pytest.mark.parametrize("how", ["dies", "lies"])
def test_a_parser_that_dies_or_lies_changes_nothing(
    room: DataRoom, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(sandboxed_tables, "FUNCTION", f"tests_hostile_parser:{how}")
    worker = sandbox.Worker
    folder = room.folder.parent / "code"
    folder.mkdir()
    (folder / "tests_hostile_parser.py").write_text(HOSTILE_PARSER)
    monkeypatch.setattr(sandbox, "Worker", lambda *a, **k: worker(*a, **k, code=[folder]))
    with pytest.raises(TableError, match=r"sandbox|damaged"):
        room.add(parquet())
    assert room.files() == []


HOSTILE_PARSER = """
import os

def dies(argument, folder):
    def handle(head, body):
        os.abort()
    return handle

def lies(argument, folder):
    answers = iter([
        ({"table": {"form": "parquet"}}, b""),
        ({"rows": 1}, b"\\xff\\xff\\xff\\xff\\x10\\x00\\x00\\x00" + bytes(64)),
        ({"end": True}, b""),
    ])
    def handle(head, body):
        return next(answers)
    return handle
"""


def test_a_parser_short_of_memory_is_stopped(
    room: DataRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": ["x" * (400 << 20)]}), sink, compression="zstd")
    monkeypatch.setattr(room.room._sandboxed, "_sandbox", sandbox.Limits(memory_bytes=1 << 30))
    with pytest.raises((TableError, TooLargeError)):
        room.add(sink.getvalue())
    assert room.files() == []


def test_without_the_sandbox_nothing_binary_is_read(
    room: DataRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.room._sandboxed, "_required", {"no such layer"})
    with pytest.raises(SandboxError, match="lacks"):
        room.add(parquet())
    assert room.add(CSV).rows == 2
