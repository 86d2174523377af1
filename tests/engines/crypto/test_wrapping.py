"""Key wrapping: round trip, binding, every change; AES-GCM itself against Wycheproof."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.crypto.wrapping import WRAP_OVERHEAD, bind, unwrap, wrap
from strongroom.errors import TamperedError

KEY = bytes(range(32))


def _cases(shared_data: Path) -> Iterator[tuple[dict[str, str], bytes, bytes, bytes, bytes]]:
    """C2SP/wycheproof at dac1dd47, aes_gcm_test.json: case, key, nonce, data, ciphertext + tag."""
    groups = json.loads((shared_data / "vectors/wycheproof/aes_gcm_test.json").read_text())
    for group in groups["testGroups"]:
        if (group["keySize"], group["ivSize"], group["tagSize"]) == (256, 96, 128):
            for case in group["tests"]:
                key, nonce, data = (bytes.fromhex(case[name]) for name in ("key", "iv", "aad"))
                yield case, key, nonce, data, bytes.fromhex(case["ct"] + case["tag"])


def test_wycheproof_aes_gcm_of_the_installed_library(shared_data: Path) -> None:
    results = {"valid": 0, "invalid": 0}
    for case, key, nonce, data, sealed in _cases(shared_data):
        results[case["result"]] += 1
        if case["result"] == "valid":
            assert AESGCM(key).decrypt(nonce, sealed, data).hex() == case["msg"]
            assert AESGCM(key).encrypt(nonce, bytes.fromhex(case["msg"]), data) == sealed
        else:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, sealed, data)
    assert results["valid"] > 30
    assert results["invalid"] > 20


def test_wraps_as_documented(shared_data: Path) -> None:
    # The layout built by hand from the lower-level cipher, on Wycheproof's keys and messages.
    checked = 0
    for case, key, nonce, context, _ in _cases(shared_data):
        secret = bytes.fromhex(case["msg"])
        if not secret:
            continue
        encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(b"\x01" + context)
        body = encryptor.update(secret) + encryptor.finalize()
        wrapped = wrap(key, secret, context, random_bytes=_fixed(nonce))
        assert wrapped == b"\x01" + nonce + body + encryptor.tag
        assert unwrap(key, wrapped, context) == secret
        checked += 1
    assert checked > 40


def _fixed(value: bytes) -> Callable[[int], bytes]:
    def random_bytes(length: int) -> bytes:
        assert length == len(value)
        return value

    return random_bytes


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=50))
def test_round_trip(secret: bytes, context: bytes) -> None:
    wrapped = wrap(KEY, secret, context)
    assert len(wrapped) == len(secret) + WRAP_OVERHEAD
    assert unwrap(KEY, wrapped, context) == secret
    assert wrap(KEY, secret, context) != wrapped


def test_every_change_is_noticed() -> None:
    wrapped = wrap(KEY, bytes(32), b"context")
    for at in range(len(wrapped)):
        for bit in range(8):
            changed = bytearray(wrapped)
            changed[at] ^= 1 << bit
            with pytest.raises(TamperedError):
                unwrap(KEY, bytes(changed), b"context")
    for length in range(len(wrapped)):
        with pytest.raises(TamperedError):
            unwrap(KEY, wrapped[:length], b"context")
    for other_key, context in ((bytes(32), b"context"), (KEY, b"contexts"), (KEY, b"")):
        with pytest.raises(TamperedError):
            unwrap(other_key, wrapped, context)


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        wrap(b"short", b"secret", b"")
    with pytest.raises(ValueError, match="32 bytes"):
        unwrap(b"short", bytes(64), b"")
    for length in (0, (1 << 16) + 1):
        with pytest.raises(ValueError, match="64 KiB"):
            wrap(KEY, bytes(length), b"")
    with pytest.raises(TamperedError, match="cut off"):
        unwrap(KEY, b"\x01" + bytes((1 << 16) + WRAP_OVERHEAD), b"")
    with pytest.raises(TamperedError, match="unknown version"):
        unwrap(KEY, b"\x02" + bytes(40), b"")


parts = st.lists(st.one_of(st.text(max_size=5), st.integers(-3, 200)), max_size=4)


@given(parts, parts)
def test_different_parts_give_different_contexts(
    first: list[str | int], second: list[str | int]
) -> None:
    assert (bind(*first) == bind(*second)) == (first == second)


def test_bind_is_fixed_for_what_is_stored() -> None:
    assert bind("ab", 7) == b"s\0\0\0\x02abi\0\0\0\x017"
    assert bind("a", "bc") != bind("ab", "c")
    assert bind("1") != bind(1)
