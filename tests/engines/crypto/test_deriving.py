"""HKDF against Wycheproof, Argon2id against RFC 9106's parameters and limits."""

import json
from pathlib import Path
from typing import Literal

import pytest

from strongroom.engines.crypto.deriving import derive, derive_from_passphrase


@pytest.mark.parametrize("hash_name", ["sha384", "sha512"])
def test_wycheproof_hkdf(shared_data: Path, hash_name: Literal["sha384", "sha512"]) -> None:
    # C2SP/wycheproof at dac1dd47, testvectors_v1/hkdf_*_test.json.
    file = shared_data / f"vectors/wycheproof/hkdf_{hash_name}_test.json"
    checked = 0
    for group in json.loads(file.read_text())["testGroups"]:
        for case in group["tests"]:
            key, salt = bytes.fromhex(case["ikm"]), bytes.fromhex(case["salt"])
            purpose, length = bytes.fromhex(case["info"]), case["size"]
            if case["result"] == "valid":
                derived = derive(key, purpose, length=length, salt=salt, hash_name=hash_name)
                assert derived.hex() == case["okm"]
            else:
                with pytest.raises(ValueError, match="cannot give"):
                    derive(key, purpose, length=length, salt=salt, hash_name=hash_name)
            checked += 1
    assert checked > 50


def test_hkdf_sha256_of_rfc_5869() -> None:
    # RFC 5869, appendix A.1.
    derived = derive(
        b"\x0b" * 22,
        bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"),
        length=42,
        salt=bytes(range(13)),
        hash_name="sha256",
    )
    assert derived.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_purposes_give_unrelated_keys() -> None:
    key = bytes(32)
    assert derive(key, b"a") != derive(key, b"b")
    assert derive(key, b"a") == derive(key, b"a")
    with pytest.raises(ValueError, match="cannot give 0 bytes"):
        derive(key, b"a", length=0)


def test_passphrases() -> None:
    def slow(passphrase: bytes, salt: bytes, passes: int = 1) -> bytes:
        return derive_from_passphrase(passphrase, salt, memory_kib=64, passes=passes, lanes=1)

    salt = bytes(16)
    derived = slow(b"correct horse", salt)
    assert len(derived) == 32
    assert derived == slow(b"correct horse", salt)
    assert derived != slow(b"correct horsf", salt)
    assert derived != slow(b"correct horse", b"\1" * 16)
    assert derived != slow(b"correct horse", salt, passes=2)
    with pytest.raises(ValueError, match="empty passphrase"):
        slow(b"", salt)
