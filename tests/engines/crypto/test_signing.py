"""Signatures: Wycheproof, RFC 8032, round trips, keys of the wrong kind."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from strongroom.engines.crypto.signing import Algorithm, SigningKey, VerifyingKey
from strongroom.errors import TamperedError, ValidationError

ALGORITHMS: tuple[Algorithm, ...] = ("ed25519", "ecdsa-p256")


def test_wycheproof_ed25519(shared_data: Path) -> None:
    # C2SP/wycheproof at dac1dd47, testvectors_v1/ed25519_test.json.
    results = {"valid": 0, "invalid": 0}
    file = shared_data / "vectors/wycheproof/ed25519_test.json"
    for group in json.loads(file.read_text())["testGroups"]:
        key = VerifyingKey.from_raw(bytes.fromhex(group["publicKey"]["pk"]))
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            results[case["result"]] += 1
            if case["result"] == "valid":
                key.verify(message, signature)
            else:
                with pytest.raises(TamperedError):
                    key.verify(message, signature)
    assert results["valid"] > 60
    assert results["invalid"] > 50


def test_ed25519_of_rfc_8032() -> None:
    # RFC 8032, section 7.1, test 2.
    key = SigningKey.from_seed(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    assert key.verifying_key.raw().hex() == (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_round_trip_and_changes(algorithm: Algorithm) -> None:
    key = SigningKey.generate(algorithm)
    verifying = key.verifying_key
    signature = key.sign(b"message")
    verifying.verify(b"message", signature)
    for at in range(len(signature)):
        changed = bytearray(signature)
        changed[at] ^= 1
        with pytest.raises(TamperedError):
            verifying.verify(b"message", bytes(changed))
    for bad in (b"", signature[:-1], signature + b"\0", bytes(64)):
        with pytest.raises(TamperedError):
            verifying.verify(b"message", bad)
    with pytest.raises(TamperedError):
        verifying.verify(b"messagE", signature)
    with pytest.raises(TamperedError):
        SigningKey.generate(algorithm).verifying_key.verify(b"message", signature)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pem_keeps_the_key(algorithm: Algorithm) -> None:
    key = SigningKey.generate(algorithm)
    again = SigningKey.from_pem(key.pem())
    public = VerifyingKey.from_pem(key.verifying_key.pem())
    assert again.algorithm == public.algorithm == algorithm
    assert len(public.key_id) == 64
    assert again.verifying_key.key_id == public.key_id == key.verifying_key.key_id
    public.verify(b"m", again.sign(b"m"))
    assert public.raw() == key.verifying_key.raw()


def test_the_text_of_a_signing_key_tells_nothing() -> None:
    key = SigningKey.from_seed(bytes(range(32)))
    assert repr(key) == f"SigningKey(ed25519, {key.verifying_key.key_id[:16]})"
    assert key.verifying_key.key_id != SigningKey.generate().verifying_key.key_id


def test_other_kinds_of_keys_are_refused() -> None:
    small = rsa.generate_private_key(65537, 2048)
    curve = ec.generate_private_key(ec.SECP521R1())
    for other in (small, curve):
        pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(ValidationError, match="must be Ed25519"):
            SigningKey.from_pem(pem)
        public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(ValidationError, match="must be Ed25519"):
            VerifyingKey.from_pem(public)
    locked = curve.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    good = SigningKey.generate()
    for bad in (b"", b"no pem", locked, good.verifying_key.pem(), good.pem()[:60]):
        with pytest.raises(ValidationError, match="no unencrypted private key"):
            SigningKey.from_pem(bad)
    for bad in (b"", b"no pem", good.pem()):
        with pytest.raises(ValidationError, match="no public key"):
            VerifyingKey.from_pem(bad)
    for read in (SigningKey.from_pem, VerifyingKey.from_pem):
        with pytest.raises(ValidationError, match="16 KiB"):
            read(bytes((1 << 14) + 1))
    with pytest.raises(ValidationError, match="32 bytes"):
        VerifyingKey.from_raw(bytes(31))
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey.from_seed(bytes(33))
