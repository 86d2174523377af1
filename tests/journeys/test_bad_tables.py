"""Uploads that cannot be taken in: a clear error, a record of the failure, and nothing stored."""

import gzip
import re
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    UnavailableError,
)

GIBIBYTE = 2**30
MEBIBYTE = b"x" * 2**20
UNTAKEN = {
    "table.invalid", "table.empty", "table.format", "table.encoding", "request.truncated",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_stored(served: Served) -> Iterator[None]:
    """Whatever a test sends, the home holds afterwards what it held before."""

    def state() -> tuple[set[str], Any]:
        with served.client("olga") as owner:
            listed = owner.call("data.ls", limit=1_000)
        return sealed_files(served.home), listed

    before = state()
    yield
    deadline = time.monotonic() + 60
    while state() != before and time.monotonic() < deadline:
        time.sleep(0.05)  # a connection that was cut off may be noticed a moment later
    assert state() == before


def failure(served: Served, code: str) -> dict[str, Any]:
    """The newest record of a failed `data.add`, once there is one with that reason."""
    deadline = time.monotonic() + 60
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
        ("csv", b'name,age\n"a,1\n', "columns"),
        ("csv", b"name,age\n", "row"),
        ("jsonl", b'{"a": 1}\n{"a": \n', "JSON"),
        ("jsonl", b'{"a": 1, "a": 2}\n', "a"),
        ("jsonl", b"[1, 2]\n", "JSON"),
        ("jsonl", b'{"": 1}\n', "column"),
        ("parquet", b"PAR1 and no more", "damaged"),
        ("arrow", b"no stream", "Arrow"),
    ],
)
def test_a_table_that_is_none(served: Served, form: str, content: bytes, words: str) -> None:
    with served.client("dan") as client, pytest.raises(CallerError) as refused:
        client.call("data.add", content, name="bad", format=form)
    assert refused.value.code in UNTAKEN
    assert words.lower() in refused.value.message.lower()
    assert refused.value.next_step
    failure(served, refused.value.code)


def test_a_text_of_another_encoding_than_stated(served: Served) -> None:
    with served.client("dan") as client, pytest.raises(CallerError, match=r"(?i)utf-8") as refused:
        client.call(
            "data.add", b"name,age\n\xff\xfe,1\n", name="bad", format="csv", encoding="utf-8"
        )
    assert refused.value.code == "table.encoding"
    failure(served, "table.encoding")


def test_options_that_do_not_fit(served: Served) -> None:
    with served.client("dan") as client:
        with pytest.raises(TableError, match="missing"):
            client.call("data.add", table(0, 0), name="bad", format="csv", subject_column="missing")
        for name, form in (("Bad Name!", "csv"), ("../up", "csv"), ("bad", "xlsx")):
            with pytest.raises(CallerError):
                client.call("data.add", table(0, 0), name=name, format=form)


@contextmanager
def connected(served: Served, head: str, query: str = "format=csv") -> Iterator[ssl.SSLSocket]:
    """A connection on which `data.add` was begun, with exactly these further headers."""
    place = urlsplit(served.url)
    assert place.port is not None
    context = ssl.create_default_context(cafile=served.ca)
    with (
        socket.create_connection((place.hostname or "", place.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=place.hostname) as connection,
    ):
        request = (
            f"POST /api/v1/workspaces/{WORKSPACE}/data/bad?{query} HTTP/1.1\r\n"
            f"Host: {place.netloc}\r\nAuthorization: Bearer {served.keys['dan']}\r\n{head}\r\n"
        )
        connection.sendall(request.encode())
        yield connection


def raw(served: Served, head: str, content: bytes) -> bytes:
    """Send these bytes and no more, then end the connection; what came back."""
    with connected(served, head) as connection:
        connection.sendall(content)
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


def send_until_answered(connection: ssl.SSLSocket) -> tuple[int, bytes]:
    """Send on and on, as `curl` does until the server has something to say.

    Returns: how many bytes went out, at most a GiB, and the answer up to the connection's end.
    """
    sent, answer = 0, b""
    connection.setblocking(False)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        readable, writable, _ = select.select([connection], [connection], [], 1)
        try:
            if readable:
                piece = connection.recv(65_536)
                if not piece:
                    break
                answer += piece
            elif writable and not answer and sent < GIBIBYTE:
                sent += connection.send(MEBIBYTE[:65_536])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            continue
    return sent, answer


@pytest.mark.parametrize(
    ("form", "start"),
    [("csv", b"name,text\nAda,"), ("csv", b'name,text\nAda,"'), ("jsonl", b'{"text": "')],
    ids=["csv", "csv quoted", "jsonl"],
)
def test_a_field_of_ten_gigabytes(served: Served, form: str, start: bytes) -> None:
    before = resident(served)
    head = f"Content-Length: {10 * GIBIBYTE}\r\n"
    with connected(served, head, f"format={form}") as connection:
        connection.sendall(start)
        sent, answer = send_until_answered(connection)
    assert sent < GIBIBYTE // 4
    assert b"HTTP/1.1 413 " in answer
    assert b'"request.too_large"' in answer
    assert b"too long" in answer
    assert resident(served) - before < GIBIBYTE // 4
    failure(served, "request.too_large")


def test_a_client_that_is_not_done_sending_hears_the_answer(served: Served) -> None:
    def long() -> Iterator[bytes]:
        yield b"name,text\nAda,"
        for _ in range(200):
            yield MEBIBYTE

    with served.client("dan") as client, pytest.raises(TooLargeError, match="too long"):
        client.call("data.add", long(), name="bad", format="csv")


def test_columns_without_end(served: Served) -> None:
    head = b",".join(b"c%d" % number for number in range(20_000))
    with served.client("dan") as client, pytest.raises(CallerError) as refused:
        client.call("data.add", head + b"\n" + head + b"\n", name="bad", format="csv")
    assert refused.value.code in {"table.invalid", "request.too_large"}
    assert "columns" in refused.value.message
