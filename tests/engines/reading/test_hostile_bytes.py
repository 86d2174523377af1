"""Bombs are refused before they go off; mutated files raise our errors only, in bounded memory."""

import bz2
import gzip
import io
import json
import lzma
import operator
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.engines.reading.files import CSV, FILES, message, tables, xlsx, zipped, zstd

from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import FormatError, TableError, TooLargeError

REPOSITORY = Path(__file__).resolve().parents[3]
SMALL = ReadLimits(
    row_bytes=1 << 20, expanded_bytes=8 << 20, ratio_floor_bytes=1 << 20, held_bytes=4 << 20,
    members=20, sheets=3, email_bytes=1 << 20, emails=5, columns=100,
)  # fmt: skip
MAX_GROWTH_MIB = 256
"""For files of a few kB: what allocators keep, and a window of zstd (128 MiB)."""


def test_mutated_files_raise_our_errors_only_and_take_no_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.reading.mutated_reading", "80", "7"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["form"] for line in lines} == {*FILES, "eml in gzip"}
    for line in lines:
        assert line["others"] == []
        assert line["read"] + line["refused"] == 80
        assert line["refused"] > 10
        assert line["grown"] < MAX_GROWTH_MIB


ROWS = b"a,b\n" + b"1,2\n" * 1_000_000


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_a_compression_bomb_is_refused(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(TooLargeError, match="unpacks to more than"):
        tables(pack(ROWS), limits=SMALL)


def test_a_zip_bomb_is_refused() -> None:
    with pytest.raises(TooLargeError, match="times its size"):
        tables(zipped({"a.csv": ROWS}), limits=SMALL)
    many = zipped({f"{i}.csv": CSV + b"x,y,1\n" * 80_000 for i in range(19)}, zipfile.ZIP_STORED)
    with pytest.raises(TooLargeError, match="more than 8388608 bytes"):
        tables(many, limits=SMALL)
    with pytest.raises(TooLargeError, match="more than 20 files"):
        tables(zipped({f"{i}.csv": b"" for i in range(21)}), limits=SMALL)


def test_archives_in_archives_end() -> None:
    nested = CSV
    for _ in range(6):
        nested = gzip.compress(nested)
    with pytest.raises(TooLargeError, match="deeper than 4"):
        tables(nested)


def test_a_directory_that_lies_is_refused() -> None:
    archive = zipped({"a.csv": CSV})
    count = archive.rfind(b"PK\x05\x06") + 10
    lying = archive[:count] + b"\xff\xff" + archive[count + 2 :]
    with pytest.raises((TableError, TooLargeError)):
        tables(lying)
    overlapping = archive.replace(b"a.csv", b"b.csv", 1)
    with pytest.raises(TableError, match="damaged"):
        tables(overlapping)


def test_an_encrypted_member_is_refused() -> None:
    archive = bytearray(zipped({"a.csv": CSV}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.find(mark) + at] |= 1
    with pytest.raises(FormatError, match="encrypted"):
        tables(bytes(archive))


def replaced(book: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """The workbook with one of its parts changed."""
    with zipfile.ZipFile(io.BytesIO(book)) as old:
        return zipped({
            name: change(old.read(name)) if name == part else old.read(name)
            for name in old.namelist()
        })  # fmt: skip


LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
_TYPE = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"


def by_hand(cells: bytes, strings: bytes) -> bytes:
    """The smallest workbook with shared strings: one sheet, `A`."""

    def relations(*kinds: tuple[bytes, bytes]) -> bytes:
        return b"<Relationships>%s</Relationships>" % b"".join(
            b'<Relationship Id="r%d" Type="%s%s" Target="%s"/>' % (number, _TYPE, kind, target)
            for number, (kind, target) in enumerate(kinds)
        )

    return zipped({
        "[Content_Types].xml": b"<Types/>",
        "_rels/.rels": relations((b"officeDocument", b"xl/workbook.xml")),
        "xl/workbook.xml": b'<workbook><sheets><sheet name="A" r:id="r0"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations(
            (b"worksheet", b"worksheets/sheet1.xml"), (b"sharedStrings", b"sharedStrings.xml")
        ),
        SHEET: b"<worksheet><sheetData>%s</sheetData></worksheet>" % cells,
        STRINGS: b"<sst>%s</sst>" % strings,
    })  # fmt: skip


TWO_STRINGS = b"<si><t>name</t></si><si><r><t>Ada </t></r><r><t>L.</t></r><rPh><t>x</t></rPh></si>"
TWO_ROWS = b"".join(b'<row><c t="s"><v>%d</v></c></row>' % number for number in range(2))


def test_shared_strings_are_put_together() -> None:
    assert tables(by_hand(TWO_ROWS, TWO_STRINGS)) == {"file/A": [{"name": "Ada L."}]}
    with pytest.raises(TableError, match="not there"):
        tables(by_hand(TWO_ROWS, b"<si><t>name</t></si>"))


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", STRINGS, "_rels/.rels"])
def test_xml_entities_are_refused(part: str) -> None:
    for content in (LAUGHS, b'<!DOCTYPE x SYSTEM "file:///etc/passwd">'):
        book = replaced(by_hand(TWO_ROWS, TWO_STRINGS), part, partial(operator.add, content))
        with pytest.raises(FormatError, match="declares entities"):
            tables(book)


def test_a_text_that_is_named_by_many_cells_is_a_bomb() -> None:
    row = b'<row><c t="s"><v>1</v></c></row>'
    long = b"<si><t>name</t></si><si><t>%s</t></si>" % (b"x" * 32_000)
    with pytest.raises(TooLargeError, match="times its size"):
        tables(by_hand(TWO_ROWS + row * 60_000, long))


def test_cells_far_away_cost_nothing() -> None:
    far = b'<row r="1048576"><c r="%s1048576"><v>1</v></c></row></sheetData>'

    def at(column: bytes) -> bytes:
        return replaced(xlsx(), SHEET, lambda xml: xml.replace(b"</sheetData>", far % column))

    rows = tables(at(b"CV"), limits=SMALL)["file/People"]
    assert len(rows) == 3
    assert rows[2]["column_100"] == 1
    with pytest.raises(TooLargeError, match="more than 100 columns"):
        tables(at(b"XFD"), limits=SMALL)


def test_workbooks_and_mail_have_so_many_parts() -> None:
    with pytest.raises(TooLargeError, match="more than 3 sheets"):
        tables(xlsx({f"S{i}": [["a"], [1]] for i in range(4)}), limits=SMALL)
    with pytest.raises(TooLargeError, match="more than 5 messages"):
        tables(b"From a@b Thu Jan  1 00:00:00 1970\nFrom: a\nTo: b\n\nhi\n\n" * 6, limits=SMALL)
    with pytest.raises(TooLargeError, match="message has more than"):
        tables(message().as_bytes() + b"x" * (2 << 20), limits=SMALL)
    deep = b"From: a\nTo: b\n" + b"Content-Type: message/rfc822\n\nSubject: x\n" * 300 + b"\nend"
    with pytest.raises(TooLargeError, match="too many parts"):
        tables(deep)


def test_a_text_in_a_parquet_dictionary_unfolds_in_pieces() -> None:
    limits = ReadLimits(row_bytes=1 << 20, message_bytes=1 << 20)
    indices: Any = np.zeros(2_000, np.int32)
    column = pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(["x" * 10_000]))
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": column}), sink, store_schema=False)
    assert len(sink.getvalue()) < 2_000
    rows = tables(sink.getvalue(), limits=limits)["file"]
    assert (len(rows), {len(row["a"]) for row in rows}) == (2_000, {10_000})


def test_long_lists_in_a_parquet_are_refused() -> None:
    offsets = pa.array([0, 3_000_000], pa.int32())
    values = pa.array(np.zeros(3_000_000, np.int8))
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": pa.ListArray.from_arrays(offsets, values)}), sink)
    with pytest.raises(TooLargeError, match="lists"):
        tables(sink.getvalue(), limits=ReadLimits(message_bytes=16 << 20))


def test_time_is_limited() -> None:
    with pytest.raises(TooLargeError, match="too long to read"):
        tables(ROWS, limits=ReadLimits(row_bytes=1 << 16, seconds=1e-9))
