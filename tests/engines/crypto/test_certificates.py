"""Certificates: a real TLS handshake trusts them, and only for the hosts they are for."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from strongroom.engines.crypto.certificates import (
    AUTHORITY_VALIDITY,
    SERVER_VALIDITY,
    Credential,
    fingerprint,
    make_authority,
    make_server_certificate,
    valid_until,
)
from strongroom.errors import ValidationError

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def authority() -> Credential:
    return make_authority(["strongroom.example", "192.0.2.7"], NOW)


@pytest.fixture(scope="module")
def server(authority: Credential) -> Credential:
    return make_server_certificate(authority, ["strongroom.example"], NOW)


def _handshake(authority: Credential, server: Credential, host: str, folder: Path) -> None:
    """TLS between two in-memory ends; raises what the client would raise."""
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(server.certificate_pem)
    key.write_bytes(server.private_key_pem)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate, key)
    client_context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    serving = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for end in (client, serving):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "strongroom.example"])
def test_a_client_that_trusts_the_authority(
    authority: Credential, server: Credential, host: str, tmp_path: Path
) -> None:
    _handshake(authority, server, host, tmp_path)


@pytest.mark.parametrize("host", ["example.org", "127.0.0.2", "192.0.2.7"])
def test_another_host_is_not_trusted(
    authority: Credential, server: Credential, host: str, tmp_path: Path
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(authority, server, host, tmp_path)


def test_another_authority_is_not_trusted(server: Credential, tmp_path: Path) -> None:
    other = make_authority(["strongroom.example"], NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(other, server, "localhost", tmp_path)


def test_the_authority_is_good_for_its_hosts_only(authority: Credential) -> None:
    with pytest.raises(ValidationError, match=r"may not certify `example\.org`"):
        make_server_certificate(authority, ["example.org"], NOW)
    # Even if its key signs one, whoever checks name constraints refuses it.
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    issuer_key = load_pem_private_key(authority.private_key_pem, None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.org")]), critical=True)
        .add_extension(issuer_id, critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH]), critical=False)
        .sign(issuer_key, SHA256())
    )
    verifier = PolicyBuilder().store(Store([issuer])).time(NOW)
    with pytest.raises(VerificationError):
        verifier.build_server_verifier(x509.DNSName("example.org")).verify(forged, [])


def test_a_strict_verifier_agrees(authority: Credential, server: Credential) -> None:
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    leaf = x509.load_pem_x509_certificate(server.certificate_pem)
    verifier = PolicyBuilder().store(Store([issuer])).time(NOW)
    verifier.build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])


def test_validity_follows_the_clock(authority: Credential) -> None:
    server = make_server_certificate(authority, [], NOW)
    assert valid_until(authority.certificate_pem) == NOW + AUTHORITY_VALIDITY
    assert valid_until(server.certificate_pem) == NOW + SERVER_VALIDITY
    late = NOW + AUTHORITY_VALIDITY - timedelta(days=1)
    last = make_server_certificate(authority, [], late)
    assert valid_until(last.certificate_pem) == NOW + AUTHORITY_VALIDITY
    for moment in (NOW + AUTHORITY_VALIDITY, NOW - timedelta(days=1)):
        with pytest.raises(ValidationError, match="not valid at this time"):
            make_server_certificate(authority, [], moment)


@pytest.mark.parametrize(
    "host", ["", "a b", "-a", "a-", "a..b", "*.example", "a/b", "é.example", "a" * 64, "a." * 130]
)
def test_malformed_hosts_are_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="neither a host name nor an address"):
        make_authority([host], NOW)


def test_a_damaged_authority_is_refused(authority: Credential, server: Credential) -> None:
    for damaged in (
        Credential(b"", authority.private_key_pem),
        Credential(authority.certificate_pem, b""),
        Credential(authority.certificate_pem, server.private_key_pem),
        server,
    ):
        with pytest.raises(ValidationError, match="not a usable authority"):
            make_server_certificate(damaged, [], NOW)


def test_fingerprints_and_text(authority: Credential, server: Credential) -> None:
    assert len(fingerprint(authority.certificate_pem)) == 64
    assert fingerprint(authority.certificate_pem) != fingerprint(server.certificate_pem)
    assert "BEGIN" not in repr(authority)
    for read in (fingerprint, valid_until):
        with pytest.raises(ValidationError, match="no certificate"):
            read(b"nothing")
