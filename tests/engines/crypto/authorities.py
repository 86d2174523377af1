"""Authorities that certify people, made for a test."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Required, Self, TypedDict, Unpack

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

from strongroom.engines.crypto.signing import SigningKey

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)


class _What(TypedDict, total=False):
    is_authority: Required[bool]
    path_length: int | None
    may_sign: bool


_BEGIN, _END = NOW - timedelta(days=100), NOW + timedelta(days=1_000)


@dataclass(frozen=True)
class Authority:
    """A certificate in DER and its key; whether it may certify is for others to judge."""

    certificate: bytes
    key: SigningKey

    @classmethod
    def root(cls, name: str) -> Self:
        key = SigningKey.generate("ecdsa-p256")
        public = _public(key)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return cls(_certificate(subject, public, subject, key, is_authority=True), key)

    @property
    def pem(self) -> bytes:
        return x509.load_der_x509_certificate(self.certificate).public_bytes(Encoding.PEM)

    def authority(self, name: str, path_length: int | None = None) -> "Authority":
        key = SigningKey.generate("ecdsa-p256")
        public = _public(key)
        made = self._certify(public, name, is_authority=True, path_length=path_length)
        return Authority(made, key)

    def person(self, name: str, *, may_sign: bool = True) -> tuple[bytes, SigningKey]:
        key = SigningKey.generate("ecdsa-p384")
        public = _public(key)
        return self._certify(public, name, is_authority=False, may_sign=may_sign), key

    def certificate_of(self, public: CertificatePublicKeyTypes, name: str) -> bytes:
        return self._certify(public, name, is_authority=False)

    def _certify(
        self, public: CertificatePublicKeyTypes, name: str, **what: Unpack[_What]
    ) -> bytes:
        issuer = x509.load_der_x509_certificate(self.certificate).subject
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return _certificate(subject, public, issuer, self.key, **what)


def _public(key: SigningKey) -> ec.EllipticCurvePublicKey:
    public = load_pem_public_key(key.verifying_key.pem())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public


def _certificate(
    subject: x509.Name,
    public: CertificatePublicKeyTypes,
    issuer: x509.Name,
    key: SigningKey,
    *,
    is_authority: bool,
    path_length: int | None = None,
    may_sign: bool = True,
) -> bytes:
    signing = load_pem_private_key(key.pem(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    usage = x509.KeyUsage(
        digital_signature=not is_authority and may_sign, key_cert_sign=is_authority,
        crl_sign=is_authority, content_commitment=False, key_encipherment=not may_sign,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
        .add_extension(usage, critical=True)
        .sign(signing, SHA256())
    )
    return made.public_bytes(Encoding.DER)
