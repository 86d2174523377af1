"""Receipts: what they carry, and that no change to one goes unseen."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.hashing import leaf_hash, node_hash
from strongroom.engines.ledger.receipt import Receipt
from strongroom.errors import TamperedError

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = LogKey("example.com/log", PRIVATE.public_key().public_bytes_raw())
ENTRIES = [b'{"first":1}', '{"zwölf":2}\n'.encode(), b""]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
LEFT = node_hash(LEAVES[0], LEAVES[1])
NOTE = Checkpoint(KEY.name, 3, node_hash(LEFT, LEAVES[2])).signed(KEY, PRIVATE.sign)
RECEIPTS = [
    Receipt(0, ENTRIES[0], (LEAVES[1], LEAVES[2]), NOTE),
    Receipt(1, ENTRIES[1], (LEAVES[0], LEAVES[2]), NOTE),
    Receipt(2, ENTRIES[2], (LEFT,), NOTE),
]


@pytest.mark.parametrize("receipt", RECEIPTS)
def test_round_trip(receipt: Receipt) -> None:
    read = Receipt.parse(receipt.text())
    assert read == receipt
    assert read.verify([KEY]).size == 3


def test_the_only_entry_of_a_log() -> None:
    note = Checkpoint(KEY.name, 1, LEAVES[0]).signed(KEY, PRIVATE.sign)
    receipt = Receipt(0, ENTRIES[0], (), note)
    assert Receipt.parse(receipt.text()) == receipt
    receipt.verify([KEY])


def test_the_form_of_the_specification() -> None:
    assert RECEIPTS[2].text() == (
        f"c2sp.org/tlog-proof@v1\nextra \nindex 2\n{b64encode(LEFT).decode()}\n\n{NOTE.decode()}"
    )


@given(which=st.integers(0, 2), at=st.integers(0, 10_000), bit=st.integers(0, 6))
@settings(max_examples=500)
def test_every_flipped_bit_is_caught(which: int, at: int, bit: int) -> None:
    data = bytearray(RECEIPTS[which].text().encode())
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(TamperedError):
        Receipt.parse(data.decode("utf-8", "replace")).verify([KEY])


@given(cut=st.integers(0, len(RECEIPTS[0].text()) - 1))
def test_every_truncation_is_caught(cut: int) -> None:
    with pytest.raises(TamperedError):
        Receipt.parse(RECEIPTS[0].text()[:cut]).verify([KEY])


def test_another_index_entry_or_key() -> None:
    for wrong in (
        Receipt(1, ENTRIES[0], RECEIPTS[0].proof, NOTE),
        Receipt(0, ENTRIES[1], RECEIPTS[0].proof, NOTE),
        Receipt(3, ENTRIES[0], RECEIPTS[0].proof, NOTE),
    ):
        with pytest.raises(TamperedError):
            wrong.verify([KEY])
    stranger = LogKey(KEY.name, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    with pytest.raises(TamperedError, match="not signed"):
        RECEIPTS[0].verify([stranger])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n\n" + NOTE.decode(),
        "c2sp.org/tlog-proof@v2\nextra \nindex 0\n\n" + NOTE.decode(),
        "c2sp.org/tlog-proof@v1\nindex 0\nextra \n\n" + NOTE.decode(),
        "c2sp.org/tlog-proof@v1\nextra \nindex 00\n\n" + NOTE.decode(),
        "c2sp.org/tlog-proof@v1\nextra \nindex -1\n\n" + NOTE.decode(),
        "c2sp.org/tlog-proof@v1\nextra ?\nindex 0\n\n" + NOTE.decode(),
        "c2sp.org/tlog-proof@v1\nextra \nindex 0\nAAAA\n\n" + NOTE.decode(),
        "c2sp.org/tlog-proof@v1\nextra \nindex 0\n" + 64 * f"{'A' * 43}=\n" + "\n" + NOTE.decode(),
        "x" * 600_000,
    ],
)
def test_no_other_form(text: str) -> None:
    with pytest.raises(TamperedError, match="receipt"):
        Receipt.parse(text)
