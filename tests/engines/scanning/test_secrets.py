"""Secrets: found by their place or shape, in texts and in bytes, and never repeated."""

import io
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.scanning.scan_bytes import rules, scan, scan_folder

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.models import scan_files
from strongroom.engines.scanning.secrets import find_secrets, veiled, without_secrets
from strongroom.engines.scanning.strings import WINDOW, texts_of

PASSWORD = "hu7nter" + "2!x"
KEY = "Zm9vYmFy" + "MTIzNDU2Nzg5MGFi"

FOUND = {
    f"DB_PASSWORD={PASSWORD}": "DB_PASSWORD",
    f'"password": "{PASSWORD}"': "password",
    f"client_secret: {KEY}": "client_secret",
    f"aws_secret_access_key = {KEY}": "aws_secret_access_key",
    f"api-key={KEY};": "api-key",
    f"os.environ['HF_TOKEN'] = '{KEY}'": "HF_TOKEN",
    f"AccountKey={KEY};EndpointSuffix=x": "AccountKey",
    f"postgresql://app:{PASSWORD}@db.local/x": "address",
    f"machine db.local login app password {PASSWORD}": ".netrc",
    f"Authorization: Bearer {KEY}": "authorization header",
    "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEAwJ3k8n1": "private key",
    "-----BEGIN OPENSSH " + "PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjEAAAAA": "private key",
}


@pytest.mark.parametrize(("text", "what"), FOUND.items(), ids=[str(n) for n in range(len(FOUND))])
def test_secrets_by_their_place(text: str, what: str) -> None:
    padded = f"# settings\n{text}\nend\n"
    (secret,) = find_secrets(padded, None)
    assert what in secret.what
    assert PASSWORD not in secret.what
    assert KEY not in secret.what
    cut = without_secrets(padded, None)
    assert PASSWORD not in cut
    assert KEY not in cut
    report = scan(padded.encode(), "settings.env")
    assert rules(report) <= {"SR-SEC-001", "SR-SEC-002"}
    assert report.verdict is Verdict.REVIEW
    data = report.to_bytes() + str(report.to_sarif("1.0.0")).encode()
    assert PASSWORD.encode() not in data
    assert KEY.encode() not in data


@pytest.mark.parametrize(
    "text",
    [
        "password = ${DB_PASSWORD}",
        "password: <your-password>",
        "PASSWORD=changeme",
        "password=os.environ['X']",
        "password = getpass.getpass()",
        "secret = load_secret(path)",
        'api_key = "your_api_key_here_1234"',
        '"pad_token": "[PAD]", "eos_token": "</s>", "tokenizer_class": "BertTokenizerFast"',
        '"bos_token_id": 1, "unk_token": "<unk>"',
        "run_id: 0123456789abcdef0123456789abcdef",
        "postgresql://user:password@host/db",
        "https://example.com/a:b@c",
        "primary_key: patient_identifier_1",
        "-----BEGIN CERTIFICATE-----\nMIIB",
        "-----BEGIN PRIVATE KEY----- is what a key begins with",
        "the password is checked by the server",
        "token = tokenizer(text)",
        "secret_key_file: /run/secrets/key1",
        "authorization: Bearer <token>",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    assert find_secrets(text, None) == []


def test_what_is_shown_of_a_secret() -> None:
    assert veiled("short") == "5 characters"
    assert veiled("x" * 15) == "15 characters"
    assert veiled("ab" + "x" * 20 + "yz") == "ab…yz, 24 characters"
    assert veiled("a\x1b[2J" + "b" * 30) == "35 characters"


def test_secrets_in_pickles_arrays_and_configurations() -> None:
    cases = {
        "dict.pkl": pickle.dumps({"é": 1, "password": PASSWORD, "n": [1.0] * 50}),
        "text.pkl": pickle.dumps([f"postgresql://app:{PASSWORD}@db.local/x"]),
        "array.npy": _saved(np.array([f"client_secret={KEY}", "b"])),
        "notebook.ipynb": f'{{"cells": [{{"source": ["api_key = \\"{KEY}\\""]}}]}}'.encode(),
    }
    for name, data in cases.items():
        (finding,) = [f for f in scan(data, name).findings if f.rule_id == "SR-SEC-001"]
        assert finding.offset is not None, name
        around = data[finding.offset :].replace(b"\0", b"")
        assert around.startswith((PASSWORD.encode(), KEY.encode())) or name == "array.npy", name


def _saved(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)  # type: ignore[arg-type] # an array
    return buffer.getvalue()


def test_a_secret_in_another_finding_is_not_repeated() -> None:
    command = f"curl -u x https://app:{PASSWORD}@example.com"
    report = scan(b"cos\nsystem\n(S'" + command.encode() + b"'\ntR.")
    assert "SR-PKL-001" in rules(report)
    assert PASSWORD.encode() not in report.to_bytes()


def test_many_secrets_are_counted() -> None:
    lines = "".join(f"a{n}_password={PASSWORD}{n}\n" for n in range(50))
    found = [f for f in scan(lines.encode(), "x.env").findings if f.rule_id == "SR-SEC-001"]
    assert len(found) == 21
    assert "30 more" in found[-1].says


def test_a_secret_far_into_a_long_text() -> None:
    text = ("some line of text\n" * 20_000) + f"db_password={PASSWORD}\n"
    (finding,) = scan(text.encode(), "log.txt").findings
    assert finding.offset == text.index(PASSWORD)


def test_what_was_looked_for_is_said() -> None:
    states = {check.name: check.state for check in scan_folder({"a.txt": b"hello\n"}).checks}
    assert states == {"vulnerabilities": "checked", "licences": "checked", "secrets": "partly",
                      "personal data": "not checked"}  # fmt: skip


# ---- texts in bytes ----


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-32-le"])
@pytest.mark.parametrize(
    "text", ["Anna Schmidt", "Müller-Łukasz Jörg of Berlin", "Мария of Moscow", "José García wrote"]
)
def test_texts_are_found_in_every_form(text: str, codec: str) -> None:
    data = b"\x00\x01\x02\xff" * 50 + text.encode(codec) + b"\xff\x00\x00\x01" * 50
    found = list(texts_of(io.BytesIO(data), len(data), is_pickle=False))
    last = text.rpartition(" ")[2]
    (piece,) = [one for one in found if last in one.text]
    assert piece.byte_of(piece.text.index(last)) == data.index(last.encode(codec))
    if codec == "utf-8":
        assert text in piece.text


@pytest.mark.parametrize("length", [8, 44, 70, 110])
def test_a_length_of_pickle_is_no_letter(length: int) -> None:
    token = "ghp_" + "a1" * (length // 2 - 2)  # 44 is a comma in ASCII, 70 an F, 110 an n
    data = pickle.dumps(["x", token, "Čapek wrote it"])
    (piece,) = texts_of(io.BytesIO(data), len(data), is_pickle=True)
    assert token in re.split(r"[^\w]", piece.text)
    assert "Čapek" in piece.text


@settings(max_examples=25)
@given(st.binary(max_size=300), st.integers(1, 40), st.sampled_from(["utf-8", "utf-32-le"]))
def test_texts_over_the_borders_of_windows(noise: bytes, shift: int, codec: str) -> None:
    marker = "\xff\x00marker of text\x00\xff".encode("latin-1")
    if codec != "utf-8":
        marker = b"\xff" + bytes(12) + "marker of text".encode(codec) + bytes(12) + b"\xff"
    data = noise + b"\xff" * (WINDOW - 1 - shift - len(noise)) + marker + noise
    pieces = texts_of(io.BytesIO(data), len(data), is_pickle=False)
    found = [one for one in pieces if "marker of text" in one.text]
    assert len(found) == 1
    place = found[0].byte_of(found[0].text.index("marker of"))
    assert data[place:].startswith("marker of".encode(codec))


@given(st.text(max_size=300))
def test_no_text_breaks_the_search(text: str) -> None:
    for secret in find_secrets(text, None):
        assert 0 <= secret.start < secret.end <= len(text)
    without_secrets(text, None)


def test_hostile_texts_take_no_time() -> None:
    """Repeats that patterns could stumble over; the time-out of the tests is the measure."""
    pieces = ["password=" * 5_000, "a://" * 10_000, "a://b:" * 8_000, "machine a login b " * 3_000,
              "-----BEGIN PRIVATE KEY-----" * 2_000, "api_key" * 8_000, "_" * 60_000 + "token=",
              "a.b-" * 15_000 + "secret:", "=" * 60_000, "Authorization: " * 4_000]  # fmt: skip
    for piece in pieces:
        find_secrets(piece, None)
        scan_files([("x.txt", lambda piece=piece: io.BytesIO(piece.encode()))])  # type: ignore[misc] # binds the loop's value
