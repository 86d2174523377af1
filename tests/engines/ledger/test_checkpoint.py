"""Signed notes and checkpoints: a published note, round trips, and every way to be wrong."""

import json
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.ledger.checkpoint import (
    Checkpoint,
    LogKey,
    open_note,
    parse_note,
    unbase64,
)
from strongroom.engines.ledger.hashing import EMPTY_ROOT, leaf_hash
from strongroom.errors import TamperedError

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = LogKey("example.com/log", PRIVATE.public_key().public_bytes_raw())
OTHER = LogKey("example.com/other", PRIVATE.public_key().public_bytes_raw())
TYPE, OTHER_TYPE = b"\x01", b"\x02"
ROOT = leaf_hash(b"one")
CHECKPOINT = Checkpoint(KEY.name, 12, ROOT)
NOTE = CHECKPOINT.signed(KEY, PRIVATE.sign)


def test_published_note(shared_data: Path) -> None:
    vector = json.loads((shared_data / "vectors/note/sumdb_note_example.json").read_text())
    key = LogKey.parse(vector["vkey"])
    assert str(key) == vector["vkey"]
    note = vector["note"]
    text = open_note(note.encode(), [key])
    assert text.startswith("If you think cryptography")
    # A second signature, of a key that we don't know, is passed over.
    with_second = note + vector["second_signature_line"] + "\n"
    assert open_note(with_second.encode(), [key]) == text
    assert [each.name for each in parse_note(with_second.encode())[1]] == [
        "PeterNeumann",
        "EnochRoot",
    ]
    with pytest.raises(TamperedError, match="false"):
        open_note(note.replace("answer", "Answer").encode(), [key])


def test_a_checkpoint_round_trip() -> None:
    assert Checkpoint.open(NOTE, [KEY]) == CHECKPOINT
    extended = Checkpoint(KEY.name, 0, EMPTY_ROOT, ("an extension",))
    assert Checkpoint.open(extended.signed(KEY, PRIVATE.sign), [KEY]) == extended


def test_every_flipped_bit_is_caught() -> None:
    for at in range(len(NOTE)):
        for bit in range(8):
            mutated = bytearray(NOTE)
            mutated[at] ^= 1 << bit
            with pytest.raises(TamperedError):
                Checkpoint.open(bytes(mutated), [KEY])


@given(cut=st.integers(0, len(NOTE) - 1))
def test_every_truncation_is_caught(cut: int) -> None:
    with pytest.raises(TamperedError):
        Checkpoint.open(NOTE[:cut], [KEY])


def test_another_key_of_the_same_name() -> None:
    stranger = Ed25519PrivateKey.generate()
    key = LogKey(KEY.name, stranger.public_key().public_bytes_raw())
    with pytest.raises(TamperedError, match="not signed by"):
        Checkpoint.open(NOTE, [key])
    assert Checkpoint.open(NOTE, [key, KEY]) == CHECKPOINT
    with pytest.raises(TamperedError, match="not signed by"):
        Checkpoint.open(NOTE, [])


def test_one_false_signature_condemns_the_note() -> None:
    line = KEY.signature_line(CHECKPOINT.text(), lambda _: b"\0" * 64)
    with pytest.raises(TamperedError, match="false"):
        Checkpoint.open(NOTE + line.encode(), [KEY])


def test_a_checkpoint_of_another_log() -> None:
    foreign = Checkpoint("example.com/elsewhere", 12, ROOT)
    with pytest.raises(TamperedError, match="another log"):
        Checkpoint.open(foreign.signed(KEY, PRIVATE.sign), [KEY])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "origin\n1\n",
        f"origin\n1\n{b64encode(ROOT).decode()}",
        f"\n1\n{b64encode(ROOT).decode()}\n",
        f"origin\n01\n{b64encode(ROOT).decode()}\n",
        f"origin\n-1\n{b64encode(ROOT).decode()}\n",
        f"origin\n+1\n{b64encode(ROOT).decode()}\n",
        f"origin\n1_0\n{b64encode(ROOT).decode()}\n",
        f"origin\n٣\n{b64encode(ROOT).decode()}\n",
        f"origin\n9223372036854775808\n{b64encode(ROOT).decode()}\n",
        f"origin\n1\n{b64encode(ROOT[:31]).decode()}\n",
        f"origin\n1\n {b64encode(ROOT).decode()}\n",
        f"origin\n1\n{b64encode(ROOT).decode()[:-2]}F=\n",
        f"origin\n0\n{b64encode(ROOT).decode()}\n",
        f"origin\n1\n{b64encode(ROOT).decode()}\n\nextension\n",
    ],
)
def test_no_other_form_of_checkpoint(text: str) -> None:
    with pytest.raises(TamperedError, match="checkpoint"):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"text\n",
        b"text\n\n",
        "text\n\n— name\n".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— na+me AAAAAAA=\n".encode(),
        "text\n\n—  AAAAAAA=\n".encode(),
        b"text\n\n- name AAAAAAA=\n",
        "text\n\n— name AAAAAAA=".encode(),
        "text\n\n— name AAAAAAB=\n".encode(),
        "te\txt\n\n— name AAAAAAA=\n".encode(),
        b"\xff\n\n",
        b"text\n\n" + "— name AAAAAAA=\n".encode() * 65,
        b"x" * 300_000,
    ],
)
def test_no_other_form_of_note(note: bytes) -> None:
    with pytest.raises(TamperedError, match="note"):
        parse_note(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        f"name+00000000+{b64encode(TYPE + KEY.public).decode()}",
        str(KEY).replace("+", " "),
        str(KEY)[:-1],
        str(KEY).upper(),
        f"{KEY.name}+{KEY.id.hex()}+{b64encode(OTHER_TYPE + KEY.public).decode()}",
    ],
)
def test_no_other_form_of_key(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        LogKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb"])
def test_no_other_name_of_a_key(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        LogKey(name, KEY.public)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32"):
        LogKey("name", b"short")
    assert OTHER.id != KEY.id


@given(st.binary(max_size=80))
def test_base64_has_one_form(data: bytes) -> None:
    assert unbase64(b64encode(data).decode()) == data
    with pytest.raises(ValueError, match="base64"):
        unbase64(b64encode(data).decode() + "\n")
