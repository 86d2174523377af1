"""A Sigstore deployment made for a test: authority, certificate log, transparency logs, timestamps.

All of it is real cryptography in the published forms (RFC 6962 for certificates and proofs, C2SP
notes for checkpoints, RFC 3161 for times), put together here without the library that reads it.
"""

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import import_module
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.engines.crypto import dsse

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
MOMENT = datetime(2025, 6, 1, 12, tzinfo=UTC)
NAME, PROVIDER = "ann@clinic.example", "https://login.clinic.example"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_OLD_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ECDSA = ec.ECDSA(SHA256())

Fields = dict[str, Any]


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _spki(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _b64(content: bytes) -> str:
    return b64encode(content).decode()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _period(begin: datetime, end: datetime | None = None) -> Fields:
    found = {"start": begin.isoformat()}
    return found if end is None else {**found, "end": end.isoformat()}


@dataclass
class Authority:
    """A root and one authority below it, as Fulcio and timestamp authorities have them."""

    purpose: x509.ObjectIdentifier
    name: str
    root_key: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    key: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    def __post_init__(self) -> None:
        root = self._name("root")
        self.root = self._signed(root, root, self.root_key, self.root_key, 1)
        is_stamp = self.purpose == ExtendedKeyUsageOID.TIME_STAMPING
        self.certificate = self._signed(
            self._name("issuing"), root, self.key, self.root_key, None if is_stamp else 0
        )

    def _name(self, what: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self.name} {what}")])

    def _signed(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey,
        by: ec.EllipticCurvePrivateKey, length: int | None,
    ) -> x509.Certificate:  # fmt: skip
        is_authority = length is not None
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
        builder = (
            x509.CertificateBuilder(issuer, subject, key.public_key(), 1 + is_authority)
            .not_valid_before(BEGIN)
            .not_valid_after(BEGIN + timedelta(days=3_650))
            .add_extension(x509.BasicConstraints(is_authority, length), critical=True)
            .add_extension(_usage(is_authority), critical=True)
            .add_extension(own, critical=False)
            .add_extension(above, critical=False)
        )
        if subject != issuer:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([self.purpose]), critical=not is_authority
            )
        return builder.sign(by, SHA256())

    def fields(self, begin: datetime = BEGIN, end: datetime | None = None) -> Fields:
        chain = [
            {"rawBytes": _b64(one.public_bytes(Encoding.DER))}
            for one in (self.certificate, self.root)
        ]
        return {
            "subject": {"organization": self.name, "commonName": self.name},
            "uri": "https://authority.example",
            "certChain": {"certificates": chain},
            "validFor": _period(begin, end),
        }


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash (RFC 6962, section 2.1)."""
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


def path_to(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Audit path (RFC 6962, section 2.1.1)."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path_to(index, leaves[:split]), root_of(leaves[split:])]
    return [*path_to(index - split, leaves[split:]), root_of(leaves[:split])]


@dataclass
class Log:
    """A transparency log; of version 1 with promises, of version 2 without any time."""

    version: int
    origin: str = "log.example"

    def __post_init__(self) -> None:
        self.key = _key() if self.version == 1 else ed25519.Ed25519PrivateKey.generate()
        self.leaves = [b"%d" % number for number in range(6)]
        spki = _spki(self.key.public_key())
        raw = self.key.public_key().public_bytes_raw() if self.version == 2 else b""  # type: ignore[union-attr] # Ed25519
        named = f"{self.origin}\n".encode() + b"\1" + raw
        self.log_id = sha256(spki if self.version == 1 else named).digest()

    def fields(self, begin: datetime = BEGIN, end: datetime | None = None) -> Fields:
        kind = "PKIX_ECDSA_P256_SHA_256" if self.version == 1 else "PKIX_ED25519"
        return {
            "baseUrl": f"https://{self.origin}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": _b64(_spki(self.key.public_key())),
                "keyDetails": kind,
                "validFor": _period(begin, end),
            },
            "logId": {"keyId": _b64(self.log_id)},
        }

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        return self.key.sign(message, _ECDSA)

    def entry(self, body: Fields, moment: datetime) -> Fields:
        """The entry of a bundle, once the body is in the log and two more after it."""
        leaf = _canonical(body)
        index = len(self.leaves)
        self.leaves += [leaf, b"after", b"after that"]
        root = root_of(self.leaves)
        note = f"{self.origin}\n{len(self.leaves)}\n{_b64(root)}\n"
        line = _b64(self.log_id[:4] + self.sign(note.encode()))
        # Version 1 counts on from the trees before this one.
        place = str(index + (1_000 if self.version == 1 else 0))
        found: Fields = {
            "logIndex": place,
            "logId": {"keyId": _b64(self.log_id)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": _b64(root),
                "treeSize": str(len(self.leaves)),
                "hashes": [_b64(one) for one in path_to(index, self.leaves)],
                "checkpoint": {"envelope": f"{note}\n\N{EM DASH} {self.origin} {line}\n"},
            },
            "canonicalizedBody": _b64(leaf),
        }
        if self.version == 1:
            found["integratedTime"] = str(int(moment.timestamp()))
            promised = {
                "body": _b64(leaf), "integratedTime": int(moment.timestamp()),
                "logID": self.log_id.hex(), "logIndex": int(place),
            }  # fmt: skip
            promise = _b64(self.sign(_canonical(promised)))
            found["inclusionPromise"] = {"signedEntryTimestamp": promise}
        return found


class Deployment:
    """All the parts of one, and what they make."""

    def __init__(self) -> None:
        self.fulcio = Authority(ExtendedKeyUsageOID.CODE_SIGNING, "fulcio")
        self.stamps = Authority(ExtendedKeyUsageOID.TIME_STAMPING, "tsa")
        self.certificates = Log(1, "ct.example")
        self.logs = {1: Log(1, "log.example"), 2: Log(2, "log2.example")}

    def trusted_root(self, **changed: object) -> bytes:
        return json.dumps({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log.fields() for log in self.logs.values()],
            "certificateAuthorities": [self.fulcio.fields()],
            "ctlogs": [self.certificates.fields()],
            "timestampAuthorities": [self.stamps.fields()],
            **changed,
        }).encode()  # fmt: skip

    def trust_config(self, url: str, version: int) -> bytes:
        """A client trust configuration for the services at `url`."""
        service = {"url": url, "majorApiVersion": 1, "operator": "clinic"}
        return json.dumps({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": json.loads(self.trusted_root()),
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "oidcUrls": [service],
                "rekorTlogUrls": [{**service, "majorApiVersion": version}],
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaUrls": [{**service, "url": f"{url}/stamp"}] if version == 2 else [],
                "tsaConfig": {"selector": "ANY"},
            },
        }).encode()  # fmt: skip

    def certificate(
        self, key: ec.EllipticCurvePublicKey, moment: datetime, name: str = NAME,
        provider: str = PROVIDER, *, stamped: bool = True,
    ) -> x509.Certificate:  # fmt: skip
        """What Fulcio gives: of ten minutes, with the certificate log's timestamp inside."""
        issuer = provider.encode()
        general = x509.RFC822Name if "@" in name else x509.UniformResourceIdentifier
        builder = (
            x509.CertificateBuilder(self.fulcio.certificate.subject, x509.Name([]), key, 7)
            .not_valid_before(moment - timedelta(seconds=5))
            .not_valid_after(moment + timedelta(minutes=10))
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([general(name)]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.fulcio.key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.UnrecognizedExtension(_ISSUER, bytes([12, len(issuer)]) + issuer),
                critical=False,
            )
            .add_extension(x509.UnrecognizedExtension(_OLD_ISSUER, issuer), critical=False)
        )
        bare = builder.sign(self.fulcio.key, SHA256())
        if not stamped:
            return bare
        stamp = self._certificate_stamp(bare.tbs_certificate_bytes, moment)
        return builder.add_extension(x509.UnrecognizedExtension(_SCTS, stamp), critical=False).sign(
            self.fulcio.key, SHA256()
        )

    def _certificate_stamp(self, tbs: bytes, moment: datetime) -> bytes:
        """A list of one signed certificate timestamp (RFC 6962, sections 3.2 and 3.3)."""
        when = int(moment.timestamp() * 1_000)
        issuer = sha256(_spki(self.fulcio.key.public_key())).digest()
        length = len(tbs).to_bytes(3, "big")
        signed = struct.pack("!BBQH", 0, 0, when, 1) + issuer + length + tbs + b"\0\0"
        signature = self.certificates.sign(signed)
        one = struct.pack("!B32sQH", 0, self.certificates.log_id, when, 0)
        one += struct.pack("!BBH", 4, 3, len(signature)) + signature
        listed = struct.pack("!HH", len(one) + 2, len(one)) + one
        return bytes(import_module("asn1crypto.core").OctetString(listed).dump())

    def stamp(self, digest: bytes, moment: datetime, nonce: int | None = None) -> bytes:
        """The answer of a timestamp authority for a SHA-256 digest (RFC 3161)."""
        return time_stamp(self.stamps, digest, moment, nonce)

    def bundle(
        self, payload: bytes, version: int, moment: datetime = MOMENT, *, issued: datetime = MOMENT,
        name: str = NAME, stamped: bool = True, kind: str = dsse.PAYLOAD_TYPE,
    ) -> Fields:  # fmt: skip
        """A bundle over a payload; in a log of that version, its time from log or authority.

        Args:
            moment: of log or timestamp.
            issued: when the certificate was.
        """
        key = _key()
        certificate = self.certificate(key.public_key(), issued, name, stamped=stamped)
        signature = key.sign(dsse.pae(kind, payload), _ECDSA)
        envelope = {
            "payload": _b64(payload), "payloadType": kind,
            "signatures": [{"sig": _b64(signature)}],
        }  # fmt: skip
        body = body_v1(envelope, certificate) if version == 1 else body_v2(envelope, certificate)
        stamps = []
        if version == 2:
            answer = self.stamp(sha256(signature).digest(), moment)
            stamps = [{"signedTimestamp": _b64(answer)}]
        return {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {
                "certificate": {"rawBytes": _b64(certificate.public_bytes(Encoding.DER))},
                "tlogEntries": [self.logs[version].entry(body, moment)],
                "timestampVerificationData": {"rfc3161Timestamps": stamps},
            },
            "dsseEnvelope": envelope,
        }


def body_v1(envelope: Mapping[str, Any], certificate: x509.Certificate) -> Fields:
    """What Rekor keeps of an envelope: kind `dsse`, version 0.0.1."""
    verifier = _b64(certificate.public_bytes(Encoding.PEM))
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": _hash(_canonical(envelope)),
            "payloadHash": _hash(b64decode(envelope["payload"])),
            "signatures": [
                {"signature": one["sig"], "verifier": verifier} for one in envelope["signatures"]
            ],
        },
    }


def _hash(content: bytes) -> Fields:
    return {"algorithm": "sha256", "value": sha256(content).hexdigest()}


def body_v2(envelope: Mapping[str, Any], certificate: x509.Certificate) -> Fields:
    """What Rekor of tiles keeps: kind `hashedrekord`, version 0.0.2."""
    digest = sha256(dsse.pae(envelope["payloadType"], b64decode(envelope["payload"]))).digest()
    raw = certificate.public_bytes(Encoding.DER)
    return hashed_record(_b64(digest), {
        "content": envelope["signatures"][0]["sig"],
        "verifier": {
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "x509Certificate": {"rawBytes": _b64(raw)},
        },
    })  # fmt: skip


def hashed_record(digest: str, signature: Fields) -> Fields:
    data = {"algorithm": "SHA2_256", "digest": digest}
    return {
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": {"hashedRekordV002": {"data": data, "signature": signature}},
    }


def time_stamp(authority: Authority, digest: bytes, moment: datetime, nonce: int | None) -> bytes:
    # By name: the library has no types.
    cms, tsp, core = (import_module(f"asn1crypto.{name}") for name in ("cms", "tsp", "core"))
    algorithm = {"algorithm": "sha256"}
    said = {
        "version": "v1", "policy": "1.2.3.4", "serial_number": 1, "gen_time": moment,
        "message_imprint": {"hash_algorithm": algorithm, "hashed_message": digest},
        **({} if nonce is None else {"nonce": nonce}),
    }  # fmt: skip
    content = tsp.TSTInfo(said).dump()
    der = authority.certificate.public_bytes(Encoding.DER)
    attributes = cms.CMSAttributes([
        {"type": "content_type", "values": ["tst_info"]},
        {"type": "message_digest", "values": [sha256(content).digest()]},
        {"type": "signing_certificate_v2", "values": [
            {"certs": [{"hash_algorithm": algorithm, "cert_hash": sha256(der).digest()}]}
        ]},
    ])  # fmt: skip
    signer = {
        "version": "v1",
        "sid": {"issuer_and_serial_number": {
            "issuer": import_module("asn1crypto.x509").Name.load(
                authority.certificate.issuer.public_bytes()
            ),
            "serial_number": authority.certificate.serial_number,
        }},
        "digest_algorithm": algorithm,
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": authority.key.sign(attributes.dump(), _ECDSA),
    }  # fmt: skip
    signed = {
        "version": "v3",
        "digest_algorithms": [algorithm],
        "encap_content_info": {
            "content_type": "tst_info", "content": core.ParsableOctetString(content)
        },
        "certificates": [cms.CertificateChoices.load(der)],
        "signer_infos": [signer],
    }  # fmt: skip
    token = {"content_type": "signed_data", "content": cms.SignedData(signed)}
    return bytes(
        tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump()
    )
