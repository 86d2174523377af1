"""Who signed, by certificates (RFC 5280): a chain from the signer's to a root that one trusts.

The path is built and checked by `cryptography`: signatures, validity, which certificates may
certify, the length of paths and constraints of names. Revocation is not looked at: there is no
network here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.errors import TamperedError, ValidationError

_MAX_CERTIFICATES = 16
_MAX_ROOTS = 1_000
_MAX_CERTIFICATE_BYTES = 64 << 10
_MAX_PEM_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Signer:
    """Whom a certificate names; `name` as RFC 4514 writes it."""

    name: str
    key: VerifyingKey

    @classmethod
    def named_by(cls, certificate: bytes) -> Self:
        """Whom a certificate in DER names, whoever made it.

        Raises:
            ValidationError: no certificate, or of a key of another kind.
        """
        read = _parsed(certificate)
        try:
            return cls(read.subject.rfc4514_string(), VerifyingKey.of(read.public_key()))
        except (ValueError, UnsupportedAlgorithm):
            raise ValidationError("the certificate cannot be read") from None


def certificates_in(pem: bytes) -> list[bytes]:
    """The certificates of a PEM file in DER, in their order.

    Raises:
        ValidationError: none, too many, or not PEM.
    """
    return [one.public_bytes(Encoding.DER) for one in _loaded(pem, _MAX_CERTIFICATES)]


class Roots:
    """Certificates that are trusted; whatever they certify is believed."""

    def __init__(self, pem: bytes) -> None:
        """Read them from PEM. Raises ValidationError as `certificates_in`."""
        self._store = Store(_loaded(pem, _MAX_ROOTS))

    def signer(self, presented: Sequence[bytes], moment: datetime) -> Signer:
        """Whom the first of `presented` names, once a chain leads from it to a root.

        Args:
            presented: DER; the signer's certificate, then others that may be needed.
            moment: when all of the chain must have been valid, aware of its zone.

        Raises:
            TamperedError: there is no such chain, or the certificate may not sign.
        """
        if not 0 < len(presented) <= _MAX_CERTIFICATES:
            raise TamperedError(f"a chain has 1 to {_MAX_CERTIFICATES} certificates")
        try:
            leaf, *others = [_parsed(one) for one in presented]
            signer = Signer.named_by(presented[0])
        except ValidationError as error:
            raise TamperedError(error.message) from None
        authority = (
            ExtensionPolicy.permit_all()
            .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _may_certify)
            .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
        )
        verifier = (
            PolicyBuilder()
            .store(self._store)
            .time(moment)
            .extension_policies(ca_policy=authority, ee_policy=ExtensionPolicy.permit_all())
            .build_client_verifier()
        )
        try:
            verifier.verify(leaf, others)
        except VerificationError:
            raise TamperedError(_reason(leaf, moment)) from None
        if not _may_sign(leaf):
            raise TamperedError(f"the certificate of `{signer.name}` is not for signing")
        return signer


def _may_certify(_: Policy, __: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError("not an authority")


def _signs_certificates(_: Policy, __: x509.Certificate, found: x509.KeyUsage | None) -> None:
    if found is not None and not found.key_cert_sign:
        raise ValueError("not for certificates")


def _may_sign(certificate: x509.Certificate) -> bool:
    """For digital signatures, or for signing code."""
    try:
        extensions = certificate.extensions
    except ValueError:
        return False
    try:
        if extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CODE_SIGNING in usages


def _reason(leaf: x509.Certificate, moment: datetime) -> str:
    if moment < leaf.not_valid_before_utc or moment > leaf.not_valid_after_utc:
        return (
            f"the signer's certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} "
            f"to {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, not at the moment asked for"
        )
    return "no chain of certificates leads from the signer to one that you trust"


def _loaded(pem: bytes, most: int) -> list[x509.Certificate]:
    if len(pem) > _MAX_PEM_BYTES:
        raise ValidationError(f"certificates in PEM may have {_MAX_PEM_BYTES >> 20} MiB")
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ValidationError("no certificate in PEM") from None
    if len(found) > most:
        raise ValidationError(f"more than {most} certificates")
    return found


def _parsed(certificate: bytes) -> x509.Certificate:
    if len(certificate) > _MAX_CERTIFICATE_BYTES:
        raise ValidationError("a certificate is too long")
    try:
        return x509.load_der_x509_certificate(certificate)
    except ValueError:
        raise ValidationError("no certificate in DER") from None
