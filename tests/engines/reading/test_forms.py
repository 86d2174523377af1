"""Every form gives its rows, found from the content; what is not read is said."""

import gzip
import io
import json
from collections.abc import Iterator

import pytest
from tests.engines.reading.files import (
    CSV,
    FILES,
    LOG,
    PEOPLE,
    TEXT,
    message,
    parquet,
    tables,
    xlsx,
    zipped,
)

from strongroom.engines.reading.reading import read, read_one
from strongroom.engines.reading.types import Form, ReadOptions, Unread
from strongroom.errors import ChoiceError, FormatError, TableError, TruncatedError

TABULAR = ["csv", "tsv", "jsonl", "parquet", "arrow", "feather", "gzip", "bzip2", "xz", "zstd"]


def pieces(content: bytes, size: int = 7) -> Iterator[bytes]:
    """The content in chunks."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("form", [*TABULAR, "xlsx"])
def test_each_form_gives_its_rows(form: str) -> None:
    [rows] = tables(FILES[form]()).values()
    assert rows == PEOPLE


@pytest.mark.parametrize("form", [*TABULAR, "xlsx", "zip"])
def test_a_stream_of_chunks_does_as_well(form: str) -> None:
    assert tables(pieces(FILES[form]())) == tables(FILES[form]())


@pytest.mark.parametrize(
    ("form", "found"),
    [(name, name) for name in FILES if name not in {"feather", "gzip", "bzip2", "xz", "zstd"}]
    + [("feather", "arrow"), ("gzip", "csv"), ("bzip2", "csv"), ("xz", "csv"), ("zstd", "csv")],
)
def test_the_content_tells_the_form(form: str, found: str) -> None:
    tables_read = list(read(io.BytesIO(FILES[form]()), name="unnamed"))
    expected = {"csv", "parquet"} if form == "zip" else {found}
    assert {table.form for table in tables_read} - {"csv"} == expected - {"csv"} or found == "csv"
    assert tables_read[0].form == ("csv" if form == "zip" else found)


@pytest.mark.parametrize("name", ["people.parquet", "people.xlsx", "people.eml", "people.zip"])
def test_a_wrong_ending_changes_nothing(name: str) -> None:
    assert tables(CSV, name) == {name: PEOPLE}


def test_an_archive_gives_the_tables_of_its_files() -> None:
    inner = zipped({"deep.csv": CSV})
    found = tables(
        zipped({"a/people.csv": CSV, "b.csv.gz": gzip.compress(CSV), "c.zip": inner,
                "__MACOSX/a/._people.csv": b"\0\1", "folder/": b""}),
        "all.zip",
    )  # fmt: skip
    assert found == {
        "all.zip/a/people.csv": PEOPLE,
        "all.zip/b.csv": PEOPLE,
        "all.zip/c.zip/deep.csv": PEOPLE,
    }


def test_one_file_of_an_archive_may_be_named() -> None:
    archive = zipped({"a.csv": CSV, "in.zip": zipped({"b.jsonl": b'{"a":1}\n'})})
    assert tables(archive, "z", member="a.csv") == {"z/a.csv": PEOPLE}
    assert tables(archive, "z", member="in.zip/b.jsonl") == {"z/in.zip/b.jsonl": [{"a": 1}]}
    with pytest.raises(ChoiceError, match=r"no file `c\.csv`") as caught:
        tables(archive, member="c.csv")
    assert "`a.csv`, `in.zip`" in caught.value.next_step


def test_where_one_table_is_wanted_several_are_refused() -> None:
    for several, words in (
        (zipped({"a.csv": CSV, "b.csv": CSV}), "several files"),
        (xlsx({"A": [["a"], [1]], "B": [["b"], [2]]}), "several sheets"),
    ):
        with pytest.raises(ChoiceError, match=words):
            read_one(io.BytesIO(several), name="file")
    both = json.dumps({"a": [{"x": 1}] * 9, "b": [{"y": 1}] * 9}).encode()
    table = read_one(io.BytesIO(both), name="file")
    with pytest.raises(ChoiceError, match="`file/a`, `file/b`"):
        list(table.batches)
    only = read_one(io.BytesIO(both), name="file", options=ReadOptions(member="b"))
    assert [batch.to_pylist() for batch in only.batches] == [[{"y": 1}] * 9]
    assert read_one(io.BytesIO(message().as_bytes()), name="m").form is Form.EML


def test_what_cannot_be_read_in_an_archive_is_refused_or_told() -> None:
    archive = zipped({"a.csv": CSV, "me.png": b"\x89PNG" + bytes(20)})
    with pytest.raises(FormatError, match=r"a picture, which is not read: `z\.zip/me\.png`"):
        tables(archive, "z.zip")
    told: list[Unread] = []
    assert list(tables(archive, "z.zip", unread=told.append)) == ["z.zip/a.csv"]
    assert [unread.name for unread in told] == ["z.zip/me.png"]


def test_a_stated_form_must_be_true() -> None:
    for stated in (Form.PARQUET, Form.ARROW, Form.XLSX, Form.ZIP, Form.GZIP):
        with pytest.raises(FormatError, match=f"not {stated}"):
            tables(CSV, form=stated)
    with pytest.raises(FormatError, match="not csv"):
        tables(parquet(), form=Form.CSV)
    assert list(tables(CSV, "f", form=Form.LOG)["f"][0]) == ["line", "line_number"]
    assert (
        tables(gzip.compress(CSV), "f", form=Form.LOG)["f"][1]["line"]
        == CSV.split()[1].decode() + " " + CSV.split()[2].decode()
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"\xd0\xcf\x11\xe0" + bytes(9), "old Office"),
        (zipped({"[Content_Types].xml": b"", "word/document.xml": b""}), "Word"),
        (zipped({"mimetype": b"", "content.xml": b""}), "OpenDocument"),
        (bytes(range(256)) * 4, "not known"),
    ],
)
def test_other_forms_are_named(content: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        tables(content)


def test_nothing_is_cut_off() -> None:
    with pytest.raises(TruncatedError, match="empty"):
        tables(b"")
    for form in ("gzip", "bzip2", "xz", "zstd"):
        with pytest.raises(TruncatedError, match=f"the {form} file ends"):
            tables(FILES[form]()[:-5])
    for form in ("zip", "xlsx", "parquet"):
        with pytest.raises(TableError, match="damaged"):
            tables(FILES[form]()[:-30])


def test_what_is_left_of_a_table_is_skipped() -> None:
    found = [table.name for table in read(io.BytesIO(FILES["zip"]()), name="z")]
    assert found == ["z/a/people.csv", "z/b.parquet"]


def test_text_put_together_is_the_file() -> None:
    rows = tables(TEXT, "letter.txt")["letter.txt"]
    assert [row["line_number"] for row in rows] == [1, 3, 6]
    assert "".join(row["text"] for row in rows).encode() == TEXT


def test_a_log_has_a_row_a_line() -> None:
    for content, name in ((LOG, "app"), (LOG.replace(b"\n", b"\r\n"), "app"), (b"x\n", "x.log")):
        rows = tables(content, name)[name]
        assert [row["line"] for row in rows] == content.decode().split("\r\n" if b"\r" in content
                                                                       else "\n")[:-1]  # fmt: skip
        assert [row["line_number"] for row in rows] == list(range(1, len(rows) + 1))


ACCESS = b'192.0.2.1 - ada [10/Oct/2000:13:55:36 -0700] "GET /a,b HTTP/1.0" 200 23\n' * 3
SYSLOG = b"Nov  1 06:25:01 host sshd[4]: Failed password for ada from 192.0.2.7\n" * 3


@pytest.mark.parametrize("content", [ACCESS, SYSLOG, b"[2024-01-01 10:00:00] local.ERROR: x\n" * 3])
def test_logs_are_told_from_tables(content: bytes) -> None:
    [rows] = tables(content).values()
    assert [row["line"] for row in rows] == content.decode().splitlines()


def test_a_table_that_begins_with_times_is_a_table() -> None:
    content = b"when,who,n\n" + b"2024-01-01 10:00:00,ada,1\n" * 9
    assert list(tables(content)["file"][0]) == ["when", "who", "n"]
