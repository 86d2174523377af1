"""What is signed of a model version: its manifest with provenance, and its approval.

Each is an in-toto Statement v1 in a DSSE envelope, signed with ECDSA P-256, so that stock tools
can check it without this server (docs/adr/0008-model-signatures.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.dsse import Statement, Subject
from strongroom.engines.crypto.signing import SigningKey, VerifyingKey
from strongroom.engines.scanning.findings import Report
from strongroom.errors import NotFoundError, TamperedError
from strongroom.services.models.conversion import ConversionReport
from strongroom.services.models.tables import ModelEntryRow
from strongroom.vault.keys import Keyring

KEY_NAME = "model-signing-key"
VERSION_TYPE = "urn:strongroom:model-version:v1"
APPROVAL_TYPE = "urn:strongroom:model-approval:v1"
_SERIALIZATION = "sha256, size and path of each file, sorted by path"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file as its bytes were found; `sha256` in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SignedVersion:
    """What the verified statement of a version says.

    Attributes:
        digest: of the manifest, hex.
        onnx_sha256: of the converted model, hex; empty if there is none.
        predicate: all that was claimed.
    """

    digest: str
    files: tuple[ManifestFile, ...]
    onnx_sha256: str
    features: tuple[str, ...]
    feature_types: tuple[str, ...]
    classes: tuple[str, ...]
    predicate: Mapping[str, Any]


def manifest_digest(files: Iterable[ManifestFile]) -> str:
    """SHA-256, hex, of lines `sha256 size path`, sorted by path, each ended by a newline."""
    hasher = sha256()
    for file in sorted(files, key=lambda file: file.path):
        hasher.update(f"{file.sha256} {file.size} {file.path}\n".encode())
    return hasher.hexdigest()


class ModelKeys:
    """The key that signs models, sealed under the server's own key."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def ensure(self, session: Session) -> None:
        """Make the key at the first start."""
        try:
            self._keyring.open_secret(session, KEY_NAME)
        except NotFoundError:
            fresh = SigningKey.generate("ecdsa-p256")
            self._keyring.seal_secret(session, KEY_NAME, fresh.pem())

    def signing_key(self, session: Session) -> SigningKey:
        """The key. Raises KeyUnavailableError, NotFoundError before the first start."""
        return SigningKey.from_pem(self._keyring.open_secret(session, KEY_NAME))

    def verifying_key(self, session: Session) -> VerifyingKey:
        """Its public half."""
        return self.signing_key(session).verifying_key


# ---- making ----


def version_statement(
    row: ModelEntryRow,
    files: Sequence[ManifestFile],
    facts: Mapping[str, object],
    report: Report,
    converted: ConversionReport | None,
    scanner_version: str,
) -> Statement:
    """What is claimed of a version that passed its checks."""
    onnx = converted.onnx if converted is not None else None
    conversion: dict[str, object] = {
        "onnx_sha256": sha256(onnx).hexdigest() if onnx is not None else "",
        "features": list(converted.features) if converted else [],
        "feature_types": list(converted.feature_types) if converted else [],
        "classes": list(converted.classes) if converted else [],
        "points_tried": converted.points_tried if converted else 0,
        "largest_difference": converted.largest_difference if converted else 0.0,
        "reason": converted.reason if converted else "",
    }
    return Statement(
        subjects=tuple(Subject(file.path, file.sha256) for file in files),
        predicate_type=VERSION_TYPE,
        predicate={
            "workspace": row.workspace,
            "model": row.model,
            "version": row.version,
            "manifest": {
                "sha256": manifest_digest(files),
                "serialization": _SERIALIZATION,
                "sizes": {file.path: file.size for file in files},
            },
            "registered_by": row.registered_by,
            "registered_at": row.registered_at.isoformat(),
            "provenance": dict(facts),
            "scan": {
                "scanner": f"strongroom {scanner_version}",
                "verdict": str(report.verdict),
                "findings": len(report.findings),
                "report_sha256": sha256(report.to_bytes()).hexdigest(),
            },
            "conversion": conversion,
        },
    )


# ---- verifying ----


def read_version(envelope: bytes, key: VerifyingKey, row: ModelEntryRow) -> SignedVersion:
    """What the statement of a version says.

    Raises:
        TamperedError: not signed by the key, about another version, or not of this form.
    """
    statement = dsse.verify(envelope, [key])
    if statement.predicate_type != VERSION_TYPE:
        raise TamperedError("the signed statement is not about a model version")
    predicate: Mapping[str, Any] = statement.predicate
    try:
        about = (predicate["workspace"], predicate["model"], predicate["version"])
        registered_by = predicate["registered_by"]
        manifest, conversion = predicate["manifest"], predicate["conversion"]
        files = tuple(
            ManifestFile(subject.name, int(manifest["sizes"][subject.name]), subject.sha256)
            for subject in statement.subjects
        )
        signed = SignedVersion(
            digest=str(manifest["sha256"]),
            files=files,
            onnx_sha256=str(conversion["onnx_sha256"]),
            features=tuple(str(name) for name in conversion["features"]),
            feature_types=tuple(str(name) for name in conversion["feature_types"]),
            classes=tuple(str(name) for name in conversion["classes"]),
            predicate=predicate,
        )
    except (KeyError, TypeError, ValueError):
        raise TamperedError("the signed statement is not of this form") from None
    if about != (row.workspace, row.model, row.version):
        raise TamperedError("the signed statement is about another model version")
    if registered_by != row.registered_by:
        raise TamperedError("the version names another than the one who registered it")
    if signed.digest != manifest_digest(files) or signed.digest != row.digest:
        raise TamperedError("the manifest is not the one that was signed")
    return signed


def check_approval(row: ModelEntryRow, key: VerifyingKey) -> None:
    """Return if a signed approval backs the row's state.

    Raises:
        TamperedError: there is none, or it is of another version or other bytes.
    """
    if row.approval is None:
        raise TamperedError("the version is called approved, but nobody signed that")
    statement = dsse.verify(row.approval, [key])
    expected = (Subject(f"{row.workspace}/{row.model}/{row.version}", row.digest),)
    if statement.predicate_type != APPROVAL_TYPE or statement.subjects != expected:
        raise TamperedError("the signed approval is of another version")
