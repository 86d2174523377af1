"""Mail masked into mail, through the entry point: its structure stays, its people do not."""

import email
import email.policy
import mailbox
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.engines.reading.files import mbox, zipped
from tests.faces.cli.conftest import Offline

PEOPLE = ("jane", "smith", "bob", "miller", "zoe", "clinic", "0199", "ward7", "track")
PAGE = """<html><head><title>Jane Smith</title><style>.jane {}</style></head><body class="jane">
<!-- Jane Smith --><p onclick="jane()">Dear <b>Bob</b>,</p><table><tr><td colspan="2">please call
Jane <i>Smith</i> at <a href="mailto:jane@clinic.org">jane@clinic.org</a></td></tr></table>
<img src="https://track.example/?u=jane" alt="photo of Jane Smith"><script>jane()</script>
<p>5 &lt; 6 &amp; so on</p></body></html>"""


def mail() -> EmailMessage:
    """A message with both forms of a body, a message inside, and attachments."""
    made = EmailMessage()
    made["From"] = '"Smith, Jane" <jane@clinic.org>'
    made["To"] = "Bob Miller <bob@clinic.org>, zoe@clinic.org"
    made["Subject"] = "Report for Jane Smith"
    made["Date"] = "Tue, 05 Mar 2024 10:00:00 +0100"
    made["Message-ID"] = "<1.jane@clinic.org>"
    made["References"] = "<0.bob@clinic.org> <1.jane@clinic.org>"
    made["Received"] = "from ward7.clinic.org by mx (10.1.2.3)"
    made["X-Jane"] = "Jane"
    made.set_content("Dear Bob,\n\nplease call Jane Smith at +1 212 555 0199.\nFrom here on.\n")
    made.add_alternative(PAGE, subtype="html")
    inner = EmailMessage()
    inner["From"] = "Zoe Miller <zoe@clinic.org>"
    inner["Subject"] = "about Zoe Miller"
    inner.set_content("Mrs. Zoe Miller is ill.\n")
    made.add_attachment(inner)
    made.add_attachment(b"name\nJane Smith\n", maintype="text", subtype="csv",
                        filename="Jane Smith.csv")  # fmt: skip
    made.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="jane.png")
    return made


def parsed(content: bytes) -> EmailMessage:
    """A message as the standard library's newer parser reads it, which tells of defects."""
    made = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(made, EmailMessage)
    assert not [defect for part in made.walk() for defect in part.defects]
    return made


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_names_in_headers_beyond_ascii_are_found(
    offline: Offline, tmp_path: Path, encoding: str
) -> None:
    content = (
        "From: Jürgen Groß <jg@example.org>\nTo: b@example.org\n"
        "Subject: Brief von Jürgen Groß =?utf-8?Q?an_J=C3=BCrgen_Gro=C3=9F?=\n\nHallo\n"
    )
    (tmp_path / "a.eml").write_bytes(content.encode(encoding))
    code, _, err = offline("mask", "a.eml", "-o", "b.eml")
    assert code == 0, err
    made = parsed((tmp_path / "b.eml").read_bytes())
    assert made["Subject"].strip() == "Brief von [person_name] an [person_name]"
    assert made["From"].addresses[0].display_name == "[person_name]"


def test_a_mail_stays_a_mail(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(mail().as_bytes())
    code, _, err = offline("mask", "a.eml", "-o", "b.eml")
    assert code == 0, err
    content = (tmp_path / "b.eml").read_bytes()
    made = parsed(content)
    everything = " ".join([
        *(f"{name}: {value}" for part in made.walk() for name, value in part.items()
          if name not in {"X-Jane", "Content-Type"}),
        *(part.get_content() for part in made.walk() if part.get_content_maintype() == "text"),
    ]).lower()  # fmt: skip
    assert not [word for word in PEOPLE if word in everything]
    assert [address.display_name for address in made["From"].addresses] == ["[person_name]"]
    domains = {one.domain for one in (*made["From"].addresses, *made["To"].addresses)}
    assert domains == {"masked.invalid"}
    assert len(made["To"].addresses) == 2
    assert made["Subject"] == "Report for [person_name]"
    assert (made["Received"], made["X-Jane"]) == ("[redacted]", "[redacted]")
    assert made["Message-ID"] in made["References"]  # the thread holds together
    shape = [part.get_content_type() for part in made.walk()]
    assert shape == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html",
        "message/rfc822", "text/plain", "text/plain", "text/plain",
    ]  # fmt: skip
    texts = [part.get_content() for part in made.walk() if part.get_content_maintype() == "text"]
    assert texts[0].startswith("Dear [person_name],\n\nplease call [person_name] at ")
    assert texts[0].endswith("\nFrom here on.\n")
    for kept in ("<b>[person_name]</b>", '<td colspan="2">', "5 &lt; 6 &amp; so on",
                 "[photo of [person_name]]"):  # fmt: skip
        assert kept in texts[1]
    assert texts[2] == "Mrs. [person_name] is ill.\n"
    assert texts[3] == "[attachment left out: [person_name].csv]\n"
    for name in ("1/Jane Smith.csv", "1/jane.png"):
        assert sum(f"left out: a.eml/{name}" in line for line in err.splitlines()) == 1
    assert "from: as `person_name` and `email`" in err


def test_a_mailbox_stays_a_mailbox(offline: Offline, tmp_path: Path) -> None:
    plain = b"From: bob@clinic.org\nSubject: two\n\nhello\nFrom Jane Smith\n>From here\n"
    (tmp_path / "a.mbox").write_bytes(mbox(mail().as_bytes(), plain))
    assert offline("mask", "a.mbox", "-o", "b.mbox")[0] == 0
    box = mailbox.mbox(tmp_path / "b.mbox", create=False)
    try:
        assert [message["Subject"] for message in box] == ["Report for [person_name]", "two"]
    finally:
        box.close()
    content = (tmp_path / "b.mbox").read_bytes()
    assert content.count(b"\nFrom ") == 1
    assert b"\n>From [person_name]\n>From here\n" in content
    # What was masked is read again as two messages.
    code, out, _ = offline("mask", "b.mbox", "--to", "jsonl")
    assert (code, len(out.splitlines())) == (0, 2)
    assert offline("mask", "a.mbox", "-o", "c.eml")[0] == 2
    assert not (tmp_path / "c.eml").exists()


def test_another_form_still_chooses(offline: Offline, tmp_path: Path) -> None:
    lone = b"From: jane@clinic.org\nTo: b@clinic.org\nSubject: hi\n\nDear Jane,\nthanks.\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.eml").write_bytes(lone)
    (tmp_path / "in" / "b.zip").write_bytes(zipped({"c.eml": lone}))
    code, out, _ = offline("mask", "in/a.eml", "--to", "jsonl")
    assert (code, out[:1]) == (0, "{")
    assert offline("mask", "in/a.eml", "-o", "out.csv")[0] == 0
    assert (tmp_path / "out.csv").read_text().startswith('"from"')
    assert offline("mask", "in/a.eml", "--to", "docx")[0] == 2
    code, _, err = offline("mask", "in", "-o", "out")
    assert code == 0, err
    # In an archive the rows are masked that were read.
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"a.eml", "b.zip.jsonl"}
    assert offline("mask", "in", "-o", "rows", "--to", "csv")[0] == 0
    assert (tmp_path / "rows" / "a.eml.csv").exists()
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert offline("mask", "t.csv", "--to", "eml")[0] == 2


@pytest.mark.parametrize(
    ("rules", "kept", "gone"),
    [
        ('[columns]\nsubject = "keep"\nfrom = "keep"', ["Jane Smith", "jane@clinic.org"], []),
        ('[columns]\nsubject = "drop"\nfrom = "drop"', [], ["Subject:", "From:"]),
        ('[columns]\nheaders = "drop"', [], ["Received", "X-Jane"]),
        ('[columns]\ndate = "keep"', ["Tue, 05 Mar 2024"], []),
        ('[columns]\ndate = "generalize"', ["01 Jan 2024 00:00:00"], ["05 Mar"]),
        ('[columns]\nbody = "redact"', [], ["Dear", "please call"]),
        ('[types]\nperson_name = "stand_in"\nemail = "stand_in"', ["@example."], ["[person_name]"]),
    ],
)
def test_the_policy_is_obeyed(
    offline: Offline, tmp_path: Path, rules: str, kept: list[str], gone: list[str]
) -> None:
    (tmp_path / "a.eml").write_bytes(mail().as_bytes())
    (tmp_path / "p.toml").write_text(rules)
    assert offline("mask", "a.eml", "-o", "b.eml", "--policy", "p.toml")[0] == 0
    made = parsed((tmp_path / "b.eml").read_bytes())
    head = "\n".join(f"{name}: {value}" for name, value in made.items())
    texts = [part.get_content() for part in made.walk() if part.get_content_maintype() == "text"]
    everything = head + "\n".join(texts)
    assert [word for word in kept if word not in everything] == []
    # The message inside has a sender and a subject of its own.
    assert [word for word in gone if word in everything] == []


HOSTILE = {
    "headers in values": b"From: =?utf-8?q?Jane=0D=0ABcc=3A_evil=40x.org?= <j@clinic.org>\n"
                         b"To: b@x.org\nSubject: =?utf-8?q?a=0D=0AX-Evil=3A_1?=\n\nhi\n",
    "no addresses": b"From: ,,;;<<>>\nTo: \xff\xfe\nSubject: x\n\nhi\n",
    "not closed": b"From: a@x.org\nTo: b@x.org\nContent-Type: multipart/mixed; boundary=q\n\n--q\n"
                  b"Content-Type: text/html\n\n<p>Jane <script>x",
    "no such charset": b"From: a@x.org\nTo: b@x.org\nContent-Type: text/plain; charset=none\n\n"
                       b"\xff\n",
    "a report": b"From: a@x.org\nTo: b@x.org\nContent-Type: multipart/report; boundary=q\n\n--q\n"
                b"Content-Type: message/delivery-status\n\nOriginal-Recipient: rfc822;jane@x.org\n"
                b"\n--q--\n",
    "unicode": "From: a@x.org\nTo: b@x.org\nSubject: \u202ea\u0000\u2028 x\n\n\u202e\x00 \ufeff\n"
               .encode(),
}  # fmt: skip


@pytest.mark.parametrize("content", list(HOSTILE.values()), ids=list(HOSTILE))
def test_hostile_mail_comes_out_as_mail_or_is_refused(
    offline: Offline, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.eml").write_bytes(content)
    code, _, err = offline("mask", "a.eml", "-o", "b.eml", "--as", "eml")
    assert code == 0, err
    made = email.message_from_bytes((tmp_path / "b.eml").read_bytes())
    assert not {"bcc", "x-evil"} & {name.lower() for name in made}
    everything = str(made).lower()
    assert "jane" not in everything
    assert "evil@" not in everything
