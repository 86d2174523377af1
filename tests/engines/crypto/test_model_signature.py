"""Model-signing bundles: what is signed is read back, and nothing else is believed."""

import json
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.crypto.authorities import NOW, Authority

from strongroom.engines.crypto import dsse, model_signature
from strongroom.engines.crypto.certificate_chain import Roots, Signer, certificates_in
from strongroom.engines.crypto.model_signature import (
    Manifest,
    Resource,
    Serialization,
    sign,
    verify_by_certificates,
    verify_by_key,
)
from strongroom.engines.crypto.signing import Algorithm, SigningKey
from strongroom.errors import TamperedError, ValidationError

KEY = SigningKey.generate("ecdsa-p256")
OTHER = SigningKey.generate("ecdsa-p384")
DIGESTS = [sha256(bytes([number])).hexdigest() for number in range(4)]
MANIFEST = Manifest(
    "iris",
    (Resource("MLmodel", DIGESTS[0]), Resource("a/ü\n.bin", DIGESTS[1]), Resource("b", DIGESTS[2])),
    Serialization(ignored=("model.sig", ".git")),
)


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384"])
def test_round_trip(algorithm: Algorithm) -> None:
    key = SigningKey.generate(algorithm)
    assert verify_by_key(sign(MANIFEST, key), key.verifying_key) == MANIFEST


def test_the_form_is_that_of_the_specification() -> None:
    bundle = json.loads(sign(MANIFEST, KEY))
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    hint = sha256(KEY.verifying_key.pem()).hexdigest()
    assert bundle["verificationMaterial"] == {"publicKey": {"hint": hint}, "tlogEntries": []}
    statement = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["predicateType"] == "https://model_signing/signature/v1.0"
    assert statement["predicate"]["serialization"] == {
        "method": "files", "hash_type": "sha256", "allow_symlinks": False,
        "ignore_paths": ["model.sig", ".git"],
    }  # fmt: skip
    names = [one["name"] for one in statement["predicate"]["resources"]]
    assert names == ["MLmodel", "a/ü\n.bin", "b"]
    root = sha256(b"".join(bytes.fromhex(one) for one in DIGESTS[:3])).hexdigest()
    assert statement["subject"] == [{"name": "iris", "digest": {"sha256": root}}]


def test_paths_are_ordered_part_by_part() -> None:
    # "a-b" sorts before "a/b" as text, after it as a path.
    resources = tuple(Resource(path, DIGESTS[0]) for path in ("a-b", "a/b", "a"))
    listed: Any = Manifest("m", resources).statement().predicate["resources"]
    assert [one["name"] for one in listed] == ["a", "a/b", "a-b"]


def test_signed_again_it_is_the_same_where_that_is_wanted() -> None:
    first = sign(MANIFEST, KEY, is_repeatable=True)
    assert first == sign(MANIFEST, KEY, is_repeatable=True)
    assert first != sign(MANIFEST, KEY)
    assert verify_by_key(first, KEY.verifying_key) == MANIFEST


def test_keys_that_others_cannot_verify_are_refused() -> None:
    with pytest.raises(ValidationError, match="cannot verify Ed25519"):
        sign(MANIFEST, SigningKey.generate())


def test_another_key_or_signature_is_refused() -> None:
    bundle = json.loads(sign(MANIFEST, KEY))
    with pytest.raises(TamperedError, match="another key"):
        verify_by_key(json.dumps(bundle).encode(), OTHER.verifying_key)
    bundle["verificationMaterial"]["publicKey"] = {}
    with pytest.raises(TamperedError, match="0 of 1"):
        verify_by_key(json.dumps(bundle).encode(), OTHER.verifying_key)
    assert verify_by_key(json.dumps(bundle).encode(), KEY.verifying_key) == MANIFEST
    other = json.loads(sign(Manifest("iris", MANIFEST.resources[:1]), KEY))
    bundle["dsseEnvelope"]["signatures"] = other["dsseEnvelope"]["signatures"]
    with pytest.raises(TamperedError, match="0 of 1"):
        verify_by_key(json.dumps(bundle).encode(), KEY.verifying_key)


def _signed(predicate: object, root: str | None = None, kind: str | None = None) -> bytes:
    """A bundle of good signature around any predicate."""
    listed = predicate.get("resources", []) if isinstance(predicate, dict) else []
    try:
        digest = sha256(b"".join(bytes.fromhex(one["digest"]) for one in listed)).hexdigest()
    except (TypeError, KeyError, ValueError):
        digest = "00" * 32
    statement = dsse.Statement(
        (dsse.Subject("m", root or digest),), kind or model_signature.PREDICATE_TYPE,
        predicate if isinstance(predicate, dict) else {},
    )  # fmt: skip
    return json.dumps(
        {
            "mediaType": model_signature.MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": ""}},
            "dsseEnvelope": json.loads(dsse.sign(statement, [KEY])),
        }
    ).encode()


HOW = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
FILE = {"name": "a", "algorithm": "sha256", "digest": DIGESTS[0]}
SHARDS = {**HOW, "method": "shards", "shard_size": 1 << 20}


@pytest.mark.parametrize(
    ("predicate", "says"),
    [
        ({"serialization": HOW, "resources": []}, "no file"),
        ({"serialization": HOW, "resources": [FILE, FILE]}, "twice"),
        ({"serialization": HOW, "resources": "a"}, "no file"),
        ({"serialization": HOW, "resources": [{**FILE, "digest": "ab"}]}, "form"),
        ({"serialization": HOW, "resources": [{**FILE, "digest": DIGESTS[0].upper()}]}, "form"),
        ({"serialization": HOW, "resources": [{**FILE, "algorithm": "md5"}]}, "form"),
        ({"serialization": HOW, "resources": [{**FILE, "algorithm": "blake3"}]}, "form"),
        *(
            ({"serialization": HOW, "resources": [{**FILE, "name": name}]}, "form")
            for name in ("/etc/passwd", "../a", "a/../../b", "a//b", "./a", "a/", "a\0", "", 7)
        ),
        ({"serialization": {**HOW, "hash_type": "md5"}, "resources": [FILE]}, "form"),
        ({"serialization": {**HOW, "method": "guess"}, "resources": [FILE]}, "form"),
        ({"serialization": {**HOW, "allow_symlinks": "yes"}, "resources": [FILE]}, "form"),
        # A signer who ignores everything would sign whatever is there.
        ({"serialization": {**HOW, "ignore_paths": ["."]}, "resources": [FILE]}, "form"),
        ({"serialization": {**HOW, "ignore_paths": [""]}, "resources": [FILE]}, "form"),
        ({"serialization": {**SHARDS, "shard_size": 1}, "resources": [FILE]}, "form"),
        ({"serialization": SHARDS, "resources": [{**FILE, "name": "a:5:2"}]}, "form"),
        ({"serialization": SHARDS, "resources": [{**FILE, "name": "a:0:9999999"}]}, "form"),
        ({"serialization": SHARDS, "resources": [FILE]}, "form"),
        ({"resources": [FILE]}, "form"),
        ({}, "form"),
    ],
)
def test_a_signer_can_err_too(predicate: object, says: str) -> None:
    with pytest.raises(TamperedError, match=says):
        verify_by_key(_signed(predicate), KEY.verifying_key)


def test_a_good_signature_over_something_else() -> None:
    good = {"serialization": HOW, "resources": [FILE]}
    assert verify_by_key(_signed(good), KEY.verifying_key).resources == (Resource("a", DIGESTS[0]),)
    with pytest.raises(TamperedError, match="do not make the digest"):
        verify_by_key(_signed(good, root="00" * 32), KEY.verifying_key)
    with pytest.raises(TamperedError, match="not a model"):
        verify_by_key(_signed(good, kind="https://example.org/other"), KEY.verifying_key)


def test_shards_are_read() -> None:
    pieces = [{**FILE, "name": "a:0:1048576"}, {**FILE, "name": "a:1048576:1048580"}]
    found = verify_by_key(
        _signed({"serialization": SHARDS, "resources": pieces}), KEY.verifying_key
    )
    assert found.serialization.shard_bytes == 1 << 20
    assert [(one.path, one.start, one.end) for one in found.resources] == [
        ("a", 0, 1 << 20), ("a", 1 << 20, (1 << 20) + 4),
    ]  # fmt: skip


def test_what_is_no_bundle() -> None:
    bundle = json.loads(sign(MANIFEST, KEY))
    twice = {**bundle["dsseEnvelope"], "signatures": bundle["dsseEnvelope"]["signatures"] * 2}
    for content in (
        b"", b"[]", b"{}", b"\xff", b"[" * 100_000,
        json.dumps({**bundle, "mediaType": "application/json"}).encode(),
        json.dumps({**bundle, "verificationMaterial": []}).encode(),
        json.dumps({**bundle, "verificationMaterial": {}}).encode(),
        json.dumps({**bundle, "verificationMaterial": {"certificate": {}}}).encode(),
        json.dumps({**bundle, "dsseEnvelope": None}).encode(),
        json.dumps({**bundle, "dsseEnvelope": twice}).encode(),
    ):  # fmt: skip
        with pytest.raises(TamperedError):
            verify_by_key(content, KEY.verifying_key)


@given(st.integers(0), st.integers(0, 255))
def test_no_changed_byte_gets_through(place: int, value: int) -> None:
    whole = sign(MANIFEST, KEY, is_repeatable=True)
    at = place % len(whole)
    changed = whole[:at] + bytes([value]) + whole[at + 1 :]
    try:
        found = verify_by_key(changed, KEY.verifying_key)
    except TamperedError:
        return
    assert found == MANIFEST  # an unsigned hint, or base64's other alphabet


def test_nothing_to_sign() -> None:
    with pytest.raises(ValidationError, match="1 to"):
        sign(Manifest("m", ()), KEY)
    with pytest.raises(ValidationError, match="one name"):
        sign(Manifest("m", (Resource("a", DIGESTS[0]),) * 2), KEY)


# ---- certificates ----

ROOT = Authority.root("clinic root")
MIDDLE = ROOT.authority("clinic models", path_length=0)
SIGNER, SIGNER_KEY = MIDDLE.person("Ana Ito")


def bundle_of(leaf: bytes, key: SigningKey, *others: bytes) -> bytes:
    return sign(MANIFEST, key, [leaf, *others])


def test_a_chain_to_a_root_names_the_signer() -> None:
    bundle = bundle_of(SIGNER, SIGNER_KEY, MIDDLE.certificate)
    found, signer = verify_by_certificates(bundle, Roots(ROOT.pem), NOW)
    assert found == MANIFEST
    assert signer == Signer("CN=Ana Ito", SIGNER_KEY.verifying_key)
    # One who trusts the middle one needs no root.
    assert verify_by_certificates(bundle, Roots(MIDDLE.pem), NOW)[1].name == "CN=Ana Ito"


def test_chains_that_prove_nothing() -> None:
    whole = [SIGNER, MIDDLE.certificate]
    other = Authority.root("clinic root")
    below = MIDDLE.authority("too deep")
    deep, deep_key = below.person("Mallory")
    pretender = Authority(SIGNER, SIGNER_KEY)
    under_person, under_key = pretender.person("Mallory")
    useless, useless_key = MIDDLE.person("Web", may_sign=False)
    cases = [
        (bundle_of(*_two(whole, SIGNER_KEY)), Roots(other.pem), NOW, "no chain"),
        (bundle_of(SIGNER, SIGNER_KEY), Roots(ROOT.pem), NOW, "no chain"),
        (bundle_of(*_two(whole, SIGNER_KEY)), Roots(ROOT.pem), NOW.replace(year=2040), "valid"),
        (bundle_of(*_two(whole, SIGNER_KEY)), Roots(ROOT.pem), NOW.replace(year=2001), "valid"),
        (bundle_of(deep, deep_key, below.certificate, MIDDLE.certificate), Roots(ROOT.pem), NOW,
         "no chain"),
        (bundle_of(under_person, under_key, *whole), Roots(ROOT.pem), NOW, "no chain"),
        (bundle_of(useless, useless_key, MIDDLE.certificate), Roots(ROOT.pem), NOW,
         "not for signing"),
    ]  # fmt: skip
    for bundle, roots, moment, says in cases:
        with pytest.raises(TamperedError, match=says):
            verify_by_certificates(bundle, roots, moment)


def _two(chain: list[bytes], key: SigningKey) -> tuple[bytes, SigningKey, bytes]:
    return chain[0], key, chain[1]


def test_a_certificate_beside_a_signature_of_another() -> None:
    bundle = json.loads(bundle_of(SIGNER, SIGNER_KEY, MIDDLE.certificate))
    forged = json.loads(sign(MANIFEST, KEY))
    forged["verificationMaterial"] = bundle["verificationMaterial"]
    with pytest.raises(TamperedError, match="0 of 1"):
        verify_by_certificates(json.dumps(forged).encode(), Roots(ROOT.pem), NOW)
    with pytest.raises(ValidationError, match="another key"):
        sign(MANIFEST, KEY, [SIGNER])


def test_key_and_certificate_are_not_mistaken() -> None:
    by_certificate = bundle_of(SIGNER, SIGNER_KEY, MIDDLE.certificate)
    with pytest.raises(TamperedError, match="by a certificate"):
        verify_by_key(by_certificate, SIGNER_KEY.verifying_key)
    with pytest.raises(TamperedError, match="not signed by a certificate"):
        verify_by_certificates(sign(MANIFEST, KEY), Roots(ROOT.pem), NOW)


def test_damaged_certificates() -> None:
    whole = json.loads(bundle_of(SIGNER, SIGNER_KEY, MIDDLE.certificate))
    chains: tuple[object, ...] = (
        None, [], {}, {"certificates": []}, {"certificates": [{}]}, {"certificates": "x"},
        {"certificates": [{"rawBytes": "?"}]}, {"certificates": [{"rawBytes": "AAAA"}]},
        {"certificates": [{"rawBytes": b64encode(SIGNER).decode()}] * 17},
    )  # fmt: skip
    for chain in chains:
        whole["verificationMaterial"] = {"x509CertificateChain": chain}
        with pytest.raises(TamperedError):
            verify_by_certificates(json.dumps(whole).encode(), Roots(ROOT.pem), NOW)
    for pem in (b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ValidationError):
            certificates_in(pem)
    with pytest.raises(ValidationError, match="16 certificates"):
        certificates_in(ROOT.pem * 17)
    with pytest.raises(ValidationError, match="4 MiB"):
        Roots(b" " * (5 << 20))


def test_an_rsa_certificate_is_refused() -> None:
    certificate = MIDDLE.certificate_of(rsa.generate_private_key(65537, 2048).public_key(), "R")
    with pytest.raises(ValidationError, match="must be"):
        sign(MANIFEST, KEY, [certificate])
