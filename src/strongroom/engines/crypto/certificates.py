"""A certificate authority of one's own and a server certificate for loopback (RFC 5280).

The authority is constrained by name to the hosts it was made for, so that trusting it in a
browser gives it no say over any other site.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.errors import ValidationError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
AUTHORITY_VALIDITY = timedelta(days=3650)
SERVER_VALIDITY = timedelta(days=397)
"""What browsers accept at most."""

_BACKDATED = timedelta(hours=1)  # clocks of client and server may differ a little


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """A certificate and its private key, both PEM. Its text form shows neither."""

    certificate_pem: bytes
    private_key_pem: bytes

    def __repr__(self) -> str:
        return "Credential(...)"


def make_authority(
    hosts: Sequence[str], now: datetime, *, name: str = "Strongroom local CA"
) -> Credential:
    """A new authority that may certify `hosts` and the loopback names, and nothing else.

    Args:
        hosts: DNS names or IP addresses beyond loopback; may be empty.
        now: the time, aware of its zone.
        name: common name, shown by browsers.

    Raises:
        ValidationError: a host is neither a DNS name nor an address.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    names = [_constraint(host) for host in _all_hosts(hosts)]
    usage = _key_usage(sign_certificates=True)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + AUTHORITY_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints(names, None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )
    return _credential(certificate, key)


def make_server_certificate(
    authority: Credential, hosts: Sequence[str], now: datetime
) -> Credential:
    """A new server certificate for `hosts` and the loopback names, signed by `authority`.

    Raises:
        ValidationError: a host is malformed, or the authority may not certify it, is not
            valid at this time, or is damaged.
    """
    issuer, issuer_key, permitted = _load_authority(authority)
    if not issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc:
        raise ValidationError("the authority is not valid at this time; make a new one")
    all_hosts = _all_hosts(hosts)
    for host in all_hosts:
        if _constraint(host) not in permitted:
            raise ValidationError(f"the authority may not certify `{host}`; make a new one")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, all_hosts[0])])
    alternatives = x509.SubjectAlternativeName([_alternative(host) for host in all_hosts])
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(min(now + SERVER_VALIDITY, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(alternatives, critical=False)
        .add_extension(issuer_identifier, critical=False)
        .add_extension(identifier, critical=False)
        .sign(issuer_key, SHA256())
    )
    return _credential(certificate, key)


def valid_until(certificate_pem: bytes) -> datetime:
    """When the certificate ends, in UTC."""
    try:
        return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc
    except ValueError:
        raise ValidationError("no certificate in PEM") from None


def fingerprint(certificate_pem: bytes) -> str:
    """SHA-256 of the certificate in DER, hex, as browsers show it."""
    try:
        return x509.load_pem_x509_certificate(certificate_pem).fingerprint(SHA256()).hex()
    except ValueError:
        raise ValidationError("no certificate in PEM") from None


def _load_authority(
    authority: Credential,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, list[x509.GeneralName]]:
    """Certificate, key and permitted names of an authority that `make_authority` made."""
    try:
        certificate = x509.load_pem_x509_certificate(authority.certificate_pem)
        key = load_pem_private_key(authority.private_key_pem, password=None)
        names = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except (ValueError, TypeError, x509.ExtensionNotFound):
        raise ValidationError("not a usable authority; make a new one") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise ValidationError("not a usable authority; make a new one")
    return certificate, key, names.permitted_subtrees or []


def _all_hosts(hosts: Sequence[str]) -> list[str]:
    """The given hosts, then the loopback names, each once."""
    return list(dict.fromkeys([*hosts, *LOOPBACK_NAMES]))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _dns_name(host: str) -> x509.DNSName:
    labels = host.split(".")
    good = len(host) <= 253 and all(
        0 < len(label) <= 63
        and label.isascii()
        and label.replace("-", "").isalnum()
        and not label.startswith("-")
        and not label.endswith("-")
        for label in labels
    )
    if not good:
        raise ValidationError(f"`{host}` is neither a host name nor an address")
    return x509.DNSName(host.lower())


def _constraint(host: str) -> x509.GeneralName:
    address = _address(host)
    return x509.IPAddress(ip_network(address)) if address is not None else _dns_name(host)


def _alternative(host: str) -> x509.GeneralName:
    address = _address(host)
    return x509.IPAddress(address) if address is not None else _dns_name(host)


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _credential(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Credential:
    return Credential(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
