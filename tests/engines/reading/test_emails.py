"""Messages and mailboxes: fields, bodies, attachments as files of their own."""

import gzip

import pytest
from tests.engines.reading.files import CSV, PEOPLE, mbox, message, tables, zipped

from strongroom.engines.reading.html_text import text_of_html
from strongroom.engines.reading.types import Unread


def test_a_message_is_a_row_and_its_tables() -> None:
    told: list[Unread] = []
    found = tables(message(X_Room="7", Cc="c@example.org").as_bytes(), "m.eml", unread=told.append)
    [row] = found["m.eml"]
    assert row["from"] == "Ada Lovelace <ada@example.org>"
    assert row["to"] == "Jürgen Groß <j@example.org>"
    assert (row["subject"], row["cc"], row["bcc"]) == ("Grüße", "c@example.org", None)
    assert row["body"].splitlines() == ["Dear Jürgen,", "here it is."]
    assert row["attachments"] == "people.csv, me.png"
    assert "X-Room: 7" in row["headers"]
    assert found["m.eml/1/people.csv"] == PEOPLE
    assert [unread.name for unread in told] == ["m.eml/1/me.png"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_mailbox_has_a_row_a_message(packed: bool) -> None:
    second = b"From: x@example.org\nSubject: two\n\nFrom here on\nit is quoted.\n"
    content = mbox(message().as_bytes(), second)
    found = tables(gzip.compress(content) if packed else content, "all.mbox")
    rows = found["all.mbox"]
    assert [row["message_number"] for row in rows] == [1, 2]
    assert rows[1]["body"] == "From here on\nit is quoted.\n\n"
    assert found["all.mbox/1/people.csv"] == PEOPLE
    assert tables(content, "all.mbox", member="1/people.csv") == {"all.mbox/1/people.csv": PEOPLE}


def test_archives_and_messages_inside_are_read() -> None:
    outer = message()
    outer.add_attachment(zipped({"in.csv": CSV}), maintype="application", subtype="zip",
                         filename="a.zip")  # fmt: skip
    inner = message(Reply_To="hidden@example.org")
    outer.add_attachment(inner)
    found = tables(outer.as_bytes(), "m")
    assert found["m/1/a.zip/in.csv"] == PEOPLE
    assert "hidden@example.org" in found["m"][0]["body"]


def test_a_body_in_html_only_is_read_as_text() -> None:
    content = (
        b"From: a@example.org\nTo: b@example.org\nMIME-Version: 1.0\n"
        b"Content-Type: text/html; charset=iso-8859-1\n\n<p>Gr\xfc\xdfe an <b>Ada</b></p><p>Bob</p>"
    )
    assert tables(content)["file"][0]["body"] == "Grüße an Ada\nBob"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello <b>Ada</b> Lovelace</p>", "Hello Ada Lovelace"),
        ("<style>p {}</style><script>x</script>a&amp;b", "a&b"),
        ("<table><tr><td>Ada</td><td>36</td></tr><tr><td>Bob</td></tr></table>", "Ada 36\nBob"),
        ("<head><title>x</title><body>shown", "shown"),
        ('<img alt="Ada at work">', "Ada at work"),
        ("<p>not <closed", "not <closed"),
    ],
)
def test_html_as_text(html: str, text: str) -> None:
    assert text_of_html(html) == text


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_headers_beyond_ascii_are_read(encoding: str) -> None:
    """No standard allows them so, many programs write them, and a name must not fall apart."""
    subject = "Grüße von Jürgen Groß =?utf-8?Q?=C3=BCber_Zo=C3=AB?="
    content = f"From: Jürgen Groß <jg@example.org>\nSubject: {subject}\n\nHallo\n"
    [row] = tables(content.encode(encoding), "a.eml")["a.eml"]
    assert row["from"] == "Jürgen Groß <jg@example.org>"
    assert row["subject"] == "Grüße von Jürgen Groß über Zoë"


def test_odd_headers_are_kept() -> None:
    content = (
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\nTo: =?utf-8?b?broken\n"
        b"Subject: =?unknown-8bit?q?x=FF?=\nDate: never\n\nbody\n"
    )
    [row] = tables(content)["file"]
    assert row["from"] == "Jürgen <j@example.org>"
    assert row["date"] == "never"
