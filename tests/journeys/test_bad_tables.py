"""Uploads that cannot be taken in: a clear error, a record of the failure, and nothing stored."""

import gzip
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.journeys.labour import table
from tests.journeys.served import WORKSPACE, Served
from tests.journeys.small_disk import sealed_files

from strongroom.errors import (
    CallerError,
    MediaTypeError,
    TableError,
    TooLargeError,
    TruncatedError,
    UnavailableError,
)

GIBIBYTE = 2**30
MEBIBYTE = b"x" * 2**20


@pytest.fixture(autouse=True)
def _nothing_is_stored(served: Served) -> Iterator[None]:
    """Whatever a test sends, the home holds afterwards what it held before."""

    def state() -> tuple[set[str], Any]:
        with served.client("olga") as owner:
            listed = owner.call("data.ls", limit=1_000)
        return sealed_files(served.home), listed

    before = state()
    yield
    deadline = time.monotonic() + 10
    while state() != before and time.monotonic() < deadline:
        time.sleep(0.05)  # a connection that was cut off may be noticed a moment later
    assert state() == before


def failure(served: Served, code: str) -> dict[str, Any]:
    """The newest record of a failed `data.add`, once there is one with that reason."""
    deadline = time.monotonic() + 10
    while True:
        with served.client("olga") as owner:
            entries = owner.call("audit.search", outcome="failed", limit=1)["entries"]
        found: dict[str, Any] = entries[0] if entries else {"reason": "", "operation": ""}
        if found["reason"] == code or time.monotonic() > deadline:
            assert (found["operation"], found["reason"]) == ("data.add", code)
            return found
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ("csv", b"", "empty"),
        ("csv", b"name,name\na,b\n", "name"),
        ("csv", b"name,\na,b\n", "column"),
        ("csv", b"name,  \na,b\n", "column"),
        ("csv", b"name,age\na,1\nb\n", "row"),
        ("csv", b'name,age\n"a,1\n', "quot"),
        ("csv", b"name,age\n\xff\xfe,1\n", "UTF-8"),
        ("csv", b"name,age\n", "row"),
        ("jsonl", b'{"a": 1}\n{"a": \n', "line 2"),
        ("jsonl", b'{"a": 1, "a": 2}\n', "a"),
        ("jsonl", b"[1, 2]\n", "object"),
        ("jsonl", b'{"": 1}\n', "column"),
        ("parquet", b"PAR1 and no more", "Parquet"),
        ("arrow", b"no stream", "Arrow"),
    ],
)
def test_a_table_that_is_none(served: Served, form: str, content: bytes, words: str) -> None:
    with served.client("dan") as client, pytest.raises(CallerError) as refused:
        client.call("data.add", content, name="bad", format=form)
    assert refused.value.code == "table.invalid"
    assert words.lower() in refused.value.message.lower()
    assert refused.value.next_step
    failure(served, "table.invalid")


def test_options_that_do_not_fit(served: Served) -> None:
    with served.client("dan") as client:
        with pytest.raises(TableError, match="missing"):
            client.call("data.add", table(0, 0), name="bad", format="csv", subject_column="missing")
        for fields in ({"name": "Bad Name!"}, {"name": "../up"}, {"format": "xlsx"}):
            with pytest.raises(CallerError):
                client.call("data.add", table(0, 0), **{"name": "bad", "format": "csv", **fields})


def raw(served: Served, head: str, content: bytes) -> bytes:
    """Send a request with exactly these bytes, then end the connection; what came back."""
    place = urlsplit(served.url)
    assert place.port is not None
    context = ssl.create_default_context(cafile=served.ca)
    with (
        socket.create_connection((place.hostname or "", place.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=place.hostname) as connection,
    ):
        request = (
            f"POST /api/v1/workspaces/{WORKSPACE}/data/bad?format=csv HTTP/1.1\r\n"
            f"Host: {place.netloc}\r\nAuthorization: Bearer {served.keys['dan']}\r\n{head}\r\n"
        )
        connection.sendall(request.encode() + content)
        connection.settimeout(1)
        try:
            return connection.recv(65_536)
        except TimeoutError:
            return b""


@pytest.mark.parametrize(
    ("head", "content"),
    [
        ("Content-Length: 100000\r\n", b"name,age\nAda,36\n" * 1_000),
        ("Transfer-Encoding: chunked\r\n", b"10\r\nname,age\nAda,36\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", b"ffff\r\nname,age\nAda,36\n"),
    ],
    ids=["by length", "between chunks", "within a chunk"],
)
def test_an_upload_that_is_cut_off(served: Served, head: str, content: bytes) -> None:
    answer = raw(served, head, content)
    assert b" 200 " not in answer[:20]
    failure(served, "request.truncated")


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: many\r\n", "Content-Length: -1\r\n",
        "Content-Length: 16\r\nContent-Length: 17\r\n",
        "Content-Length: 16\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n",
    ],
)  # fmt: skip
def test_lengths_that_two_readers_could_take_differently(served: Served, head: str) -> None:
    answer = raw(served, head, b"name,age\nAda,36\n")
    status = answer.split(b" ")[1] if answer else b""
    assert status in {b"", b"400", b"501"}, answer


def test_a_source_that_fails_in_the_middle(served: Served) -> None:
    def failing() -> Iterator[bytes]:
        yield b"name,age\nAda,36\n"
        raise RuntimeError("the file is gone")

    with served.client("dan") as client, pytest.raises((RuntimeError, UnavailableError)):
        client.call("data.add", failing(), name="bad", format="csv")
    failure(served, "request.truncated")


def test_a_body_with_an_encoding(served: Served) -> None:
    with served.http(served.keys["dan"]) as http:
        answer = http.post(
            f"/api/v1/workspaces/{WORKSPACE}/data/bad?format=csv",
            content=gzip.compress(b"".join(table(0, 0))), headers={"Content-Encoding": "gzip"},
        )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (
        MediaTypeError.status,
        "request.media_type",
    )


def resident(served: Served) -> int:
    """Bytes of memory that the server has used at most."""
    assert served.process is not None
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize(
    ("form", "start"),
    [("csv", b"name,text\nAda,"), ("csv", b'name,text\nAda,"'), ("jsonl", b'{"text": "')],
    ids=["csv", "csv quoted", "jsonl"],
)
def test_a_field_of_ten_gigabytes(served: Served, form: str, start: bytes) -> None:
    sent = [0]

    def endless() -> Iterator[bytes]:
        yield start
        while sent[0] < 10 * GIBIBYTE:
            sent[0] += len(MEBIBYTE)
            yield MEBIBYTE

    before = resident(served)
    with (
        served.client("dan") as client,
        pytest.raises((TooLargeError, TableError, TruncatedError)) as refused,
    ):
        client.call("data.add", endless(), name="bad", format=form)
    assert sent[0] < 256 * 2**20
    assert resident(served) - before < 256 * 2**20
    assert refused.value.next_step
    with served.client("olga") as owner:
        newest = owner.call("audit.search", outcome="failed", limit=1)["entries"][0]
    assert (newest["operation"], newest["reason"]) in {
        ("data.add", "table.invalid"), ("data.add", "request.too_large")
    }  # fmt: skip


def test_columns_without_end(served: Served) -> None:
    head = b",".join(b"c%d" % number for number in range(20_000))
    with served.client("dan") as client, pytest.raises(CallerError) as refused:
        client.call("data.add", head + b"\n" + head + b"\n", name="bad", format="csv")
    assert refused.value.code in {"table.invalid", "request.too_large"}
    assert "columns" in refused.value.message
