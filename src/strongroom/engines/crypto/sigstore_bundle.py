"""Models signed by an identity through Sigstore, verified offline against a trusted root in a file.

A certificate of some minutes says who signed, by the word of an identity provider; a transparency
log says that the signature is on record; a time that log or timestamp authority vouch for says
that the certificate was valid. The checks are those of `sigstore`. What that library leaves open
is closed here: authorities and logs count only at the times that the trusted root names, every
time in a bundle must be good and not one of them, and what no signature covers is compared with
what one does.

Source: sigstore/protobuf-specs, `sigstore_bundle.proto`, `sigstore_trustroot.proto`; Sigstore
client specification, sections 4 and 5.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cryptography import x509

from strongroom.engines.crypto import dsse, model_signature
from strongroom.engines.crypto.model_signature import MAX_BUNDLE_BYTES, Manifest
from strongroom.errors import MissingExtraError, TamperedError, ValidationError

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore_models.trustroot import v1 as trustroot

MAX_TRUST_BYTES = 4 << 20
_MAX_TIMES = 32
_HASH_BYTES = 32
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_OLD_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_UTF8_STRING = 0x0C
_NEEDED = {
    "certificate_authorities": "certificate authority",
    "ctlogs": "log of certificates",
    "tlogs": "log of signatures",
}
_ELSEWHERE = (
    "get the signature again from where the model comes from, and make sure that identity, "
    "provider and trusted root are its signer's"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed.

    Attributes:
        name: as the certificate has it: an e-mail address, or the URI of a workflow or service.
        provider: URL of the identity provider that vouched for it.
    """

    name: str
    provider: str


@dataclass(frozen=True, slots=True)
class SignedByIdentity:
    """A bundle that was verified.

    Attributes:
        moment: when it was signed, by the log or timestamp authority.
    """

    manifest: Manifest
    identity: Identity
    moment: datetime


class TrustedRoot:
    """Who may certify identities, keep the logs and tell the time, of one Sigstore deployment."""

    def __init__(self, inner: "trustroot.TrustedRoot") -> None:
        self._inner = inner

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read a trusted root, or the one in a client trust configuration, in JSON.

        Raises:
            ValidationError: it is neither.
            MissingExtraError: the library is not installed.
        """
        require_library()
        from sigstore.models import TrustedRoot as Checked
        from sigstore_models.trustroot import v1 as trustroot

        if len(content) > MAX_TRUST_BYTES:
            raise ValidationError(f"a trusted root may have {MAX_TRUST_BYTES >> 20} MiB")
        try:
            if b"clienttrustconfig" in content:
                inner = trustroot.ClientTrustConfig.from_json(content).trusted_root
            else:
                inner = trustroot.TrustedRoot.from_json(content)
            Checked(inner).get_fulcio_certs()
        except Exception:  # noqa: BLE001 # whatever the library makes of it, it is no trusted root
            raise ValidationError(
                "it is no trusted root of Sigstore, nor a client trust configuration",
                next_step="get the trusted root in JSON from who runs the deployment",
            ) from None
        return cls(inner)

    def verify(self, bundle: bytes, identity: Identity) -> SignedByIdentity:
        """What a bundle says of the model, signed by `identity`.

        Raises:
            TamperedError: it is not signed by that identity under this root, or not of this form.
        """
        return self._verified(bundle, identity)

    def look(self, bundle: bytes) -> SignedByIdentity:
        """As `verify`, whoever signed: for a signer who looks at what they have just made.

        Raises:
            TamperedError: it would not verify.
        """
        return self._verified(bundle, None)

    def _verified(self, bundle: bytes, wanted: Identity | None) -> SignedByIdentity:
        from sigstore.errors import Error
        from sigstore.verify import Verifier
        from sigstore.verify.policy import Identity as Named

        try:
            certificate, fields = _opened(bundle)
            identity = _identity(certificate)
            if wanted is not None and identity != wanted:
                raise _refused(f"it is by `{identity.name}` of `{identity.provider}`")
            self._require_consistent(fields)
            policy = Named(identity=identity.name)
            found: list[tuple[datetime, str, bytes]] = []
            for moment, single in _by_time(fields):
                root = self._at(moment, certificate.not_valid_before_utc)
                found.append((moment, *Verifier(trusted_root=root).verify_dsse(single, policy)))
        except TamperedError:
            raise
        except Error as error:
            raise _refused(str(error)) from None
        except Exception:  # noqa: BLE001 # hostile bytes: whatever is raised, nothing is proven
            raise _refused("it is not of this form") from None
        moment, kind, payload = found[0]
        if kind != dsse.PAYLOAD_TYPE:
            raise _refused("the envelope holds no in-toto statement")
        try:
            return SignedByIdentity(model_signature.read_manifest(payload), identity, moment)
        except TamperedError as error:
            raise _refused(error.message) from None

    def _at(self, moment: datetime, issued: datetime) -> Any:  # noqa: ANN401 # of the library
        """The root with those parts alone that were trusted then; the library takes old ones too.

        Args:
            moment: when it was signed.
            issued: when the certificate was, and with it its timestamp of the certificate log.
        """
        from sigstore.models import TrustedRoot as Checked

        inner = self._inner
        kept = {
            "certificate_authorities": _valid(inner.certificate_authorities, moment),
            "tlogs": [one for one in inner.tlogs if _holds(one.public_key, moment)],
            "ctlogs": [one for one in inner.ctlogs if _holds(one.public_key, issued)],
            "timestamp_authorities": _valid(inner.timestamp_authorities, moment),
        }
        for name, what in _NEEDED.items():
            if not kept[name]:
                raise _refused(f"the trusted root has no {what} for {moment:%Y-%m-%d %H:%M} UTC")
        return Checked(inner.model_copy(update=kept))

    def _require_consistent(self, fields: Mapping[str, Any]) -> None:
        """Return if what no signature covers agrees with what one does. Raises TamperedError."""
        entry = fields["verificationMaterial"]["tlogEntries"][0]
        proof = entry["inclusionProof"]
        logs = {log.log_id.key_id for log in self._inner.tlogs}
        # The library writes bytes in base64 again, as it read them.
        if dsse.from_base64(entry["logId"]["keyId"]) not in logs:
            raise _refused("its log is not one of the trusted root")
        lines = proof["checkpoint"]["envelope"].split("\n")
        if len(lines) < 3 or lines[1] != proof["treeSize"]:
            raise _refused("its proof and its checkpoint are of trees of two sizes")
        if any(len(dsse.from_base64(one)) != _HASH_BYTES for one in proof.get("hashes", [])):
            raise _refused("its proof has a hash of another length")
        if not entry.get("inclusionPromise"):
            if entry["logIndex"] != proof["logIndex"]:
                raise _refused("its entry and its proof are of two places in the log")
            if entry.get("integratedTime", "0") != "0":
                raise _refused("it names a time that nobody vouches for")


def require_library() -> None:
    """Return if `sigstore` can be imported.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import sigstore.verify  # noqa: F401 # is it there?
    except ImportError:
        raise MissingExtraError(
            "signatures through Sigstore need sigstore", next_step="install strongroom[sigstore]"
        ) from None


def _opened(bundle: bytes) -> tuple[x509.Certificate, Mapping[str, Any]]:
    """The certificate of a bundle and its fields, in the library's own spelling."""
    from sigstore.models import Bundle

    if len(bundle) > MAX_BUNDLE_BYTES:
        raise _refused("it is too long")
    read = Bundle.from_json(bundle)
    fields = json.loads(read.to_json())
    if fields["mediaType"] != model_signature.MEDIA_TYPE or "dsseEnvelope" not in fields:
        raise _refused("it is not a bundle of version 0.3 around a statement")
    return read.signing_certificate, fields


def _by_time(fields: Mapping[str, Any]) -> Iterator[tuple[datetime, "Bundle"]]:
    """The bundle once for each time that it names, with that time alone."""
    from rfc3161_client import decode_timestamp_response
    from sigstore.models import Bundle

    material = fields["verificationMaterial"]
    entry = material["tlogEntries"][0]
    stamps = material.get("timestampVerificationData", {}).get("rfc3161Timestamps", [])
    if len(stamps) > _MAX_TIMES:
        raise _refused("it has too many timestamps")
    promised = entry.get("inclusionPromise") and entry.get("integratedTime", "0") != "0"
    if promised:
        moment = datetime.fromtimestamp(int(entry["integratedTime"]), UTC)
        yield moment, Bundle.from_json(_with(fields, entry, []))
    elif not stamps:
        raise _refused("no log or timestamp authority says when it was signed")
    bare = {name: value for name, value in entry.items() if name != "inclusionPromise"}
    for stamp in stamps:
        answer = decode_timestamp_response(dsse.from_base64(stamp["signedTimestamp"]))
        moment = answer.tst_info.gen_time.astimezone(UTC)
        yield moment, Bundle.from_json(_with(fields, bare, [stamp]))


def _with(fields: Mapping[str, Any], entry: Mapping[str, Any], stamps: Sequence[Any]) -> str:
    material = {
        **fields["verificationMaterial"],
        "tlogEntries": [entry],
        "timestampVerificationData": {"rfc3161Timestamps": list(stamps)},
    }
    return json.dumps({**fields, "verificationMaterial": material})


_Authority = TypeVar("_Authority", bound="trustroot.CertificateAuthority")


def _valid(authorities: Sequence[_Authority], moment: datetime) -> list[_Authority]:
    return [one for one in authorities if _holds(one, moment)]


def _holds(one: Any, moment: datetime) -> bool:  # noqa: ANN401 # of the library, of two kinds
    period = one.valid_for
    return period is None or (
        period.start <= moment and (period.end is None or moment <= period.end)
    )


def _refused(why: str) -> TamperedError:
    return TamperedError(f"the signature through Sigstore is not good: {why}", next_step=_ELSEWHERE)


# ---- who a certificate names ----


def _identity(certificate: x509.Certificate) -> Identity:
    """The one name in a certificate, and its provider. Raises TamperedError, x509 errors."""
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    listed = [
        *names.get_values_for_type(x509.RFC822Name),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
    ]
    values = {
        one.oid: one.value.value
        for one in extensions
        if isinstance(one.value, x509.UnrecognizedExtension)
    }
    providers = {_text(values[_ISSUER])} if _ISSUER in values else set()
    if _OLD_ISSUER in values:
        # The first form of the extension: the bare text.
        providers.add(values[_OLD_ISSUER].decode())
    if len(list(names)) != 1 or len(listed) != 1 or len(providers) != 1:
        raise _refused("its certificate names not one identity of one provider")
    return Identity(listed[0], providers.pop())


def _text(encoded: bytes) -> str:
    """What a UTF8String in DER holds, of fewer than 64 KiB. Raises ValueError."""
    header = 2 if encoded[1] < 0x80 else 2 + (encoded[1] & 0x7F)
    length = encoded[1] if header == 2 else int.from_bytes(encoded[2:header], "big")
    if encoded[0] != _UTF8_STRING or len(encoded) != header + length or length >= 1 << 16:
        raise ValueError("no UTF8String")
    return encoded[header:].decode()
