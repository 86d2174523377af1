"""Cosignatures (C2SP tlog-cosignature v1), with an independent computation of the message."""

from base64 import b64decode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.cosignature import (
    WitnessKey,
    cosign,
    cosigned_at,
    require_cosigned,
)
from strongroom.errors import TamperedError

LOG = Ed25519PrivateKey.from_private_bytes(bytes(32))
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG_KEY = LogKey("example.com/log", LOG.public_key().public_bytes_raw())
KEY = WitnessKey("witness.example/w1", PRIVATE.public_key().public_bytes_raw())
CHECKPOINT = Checkpoint("example.com/log", 3, bytes(range(32)))
TIME = 1_679_315_147
# From the example in the specification: the line's form, of a key that is not published.
EXAMPLE = (
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+"
    "mbIUBkBIfZ+qnA=="
)


def note(line: str = "") -> bytes:
    return CHECKPOINT.signed(LOG_KEY, LOG.sign) + line.encode()


def test_a_cosignature_is_over_header_time_and_text() -> None:
    line = cosign(CHECKPOINT.text(), TIME, KEY, PRIVATE.sign)
    mark, name, encoded = line.rstrip("\n").split(" ")
    data = b64decode(encoded)
    assert (mark, name) == ("—", "witness.example/w1")
    assert data[:4] == sha256(b"witness.example/w1\n\x04" + KEY.public).digest()[:4]
    assert int.from_bytes(data[4:12], "big") == TIME
    message = f"cosignature/v1\ntime {TIME}\n".encode() + note().partition(b"\n\n")[0] + b"\n"
    PRIVATE.public_key().verify(data[12:], message)
    assert cosigned_at(note(line), KEY) == TIME
    # The log's own signature holds beside it.
    assert Checkpoint.open(note(line), [LOG_KEY]) == CHECKPOINT


def test_the_length_is_that_of_the_specifications_example() -> None:
    example = b64decode(EXAMPLE)
    ours = b64decode(cosign(CHECKPOINT.text(), TIME, KEY, PRIVATE.sign).split(" ")[2])
    assert len(example) == len(ours) == 4 + 8 + 64
    assert int.from_bytes(example[4:12], "big") == TIME


def test_what_is_not_cosigned_or_falsely_is_told() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
    assert cosigned_at(note(), KEY) is None
    with pytest.raises(TamperedError, match="not cosigned"):
        require_cosigned(note(), [KEY])
    require_cosigned(note(), [])
    false = cosign(CHECKPOINT.text(), TIME, KEY, other.sign)
    with pytest.raises(TamperedError, match="false"):
        cosigned_at(note(false), KEY)
    for text in ("example.com/log\n4\nAAAA\n", ""):
        with pytest.raises(TamperedError, match="false"):
            cosigned_at(note(cosign(text, TIME, KEY, PRIVATE.sign)), KEY)


def test_a_key_is_a_line_and_comes_back() -> None:
    assert WitnessKey.parse(str(KEY)) == KEY
    assert str(KEY).startswith("witness.example/w1+")
    for wrong in (
        "", "w", str(LOG_KEY), str(KEY).replace("w1", "w2"), str(KEY)[:-1], str(KEY) + " x",
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"key|witness|padding|base64"):
            WitnessKey.parse(wrong)
