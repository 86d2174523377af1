"""The server's own certificate authority and its TLS certificate, kept in the home folder.

    tls/ca.pem       the authority's certificate: what clients are told to trust
    tls/server.pem   the server's certificate
    tls/server.key   its private key, PEM encrypted under a key derived from the root

The authority's private key lies in the database, sealed, and is opened only to make a new server
certificate.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from strongroom.engines.crypto.certificates import (
    Credential,
    make_authority,
    make_server_certificate,
    valid_until,
)
from strongroom.errors import NotFoundError, ValidationError
from strongroom.vault.database import Database
from strongroom.vault.durable import replace_file
from strongroom.vault.keys import Keyring

AUTHORITY_SECRET = "tls-authority"  # noqa: S105 # the name of a secret
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True, repr=False)
class ServerCertificate:
    """Where the TLS files are, and the password of the private key."""

    authority: Path
    certificate: Path
    key: Path
    key_password: str

    def __repr__(self) -> str:
        return f"ServerCertificate({str(self.certificate)!r})"


def ensure_certificate(
    folder: Path, database: Database, keyring: Keyring, hosts: Sequence[str], now: datetime
) -> ServerCertificate:
    """The server's certificate for `hosts` and loopback, made or renewed where needed.

    It is renewed when it ends within 30 days, when the hosts changed, or when a file is missing.
    New hosts need a new authority, which clients must be told to trust again.

    Args:
        folder: `tls/` of the home folder.
        hosts: names and addresses beyond loopback by which clients reach the server.
        now: the time, aware of its zone.
    """
    files = ServerCertificate(
        folder / "ca.pem", folder / "server.pem", folder / "server.key",
        keyring.secret("tls-server-key").hex(),
    )  # fmt: skip
    wanted = sorted(set(hosts))
    authority, certified = _authority(database, keyring)
    if authority is None or certified != wanted or valid_until(authority.certificate_pem) <= now:
        authority = make_authority(wanted, now)
        _keep_authority(database, keyring, authority, wanted)
    elif _usable(files, authority, now):
        return files
    server = make_server_certificate(authority, wanted, now)
    key = load_pem_private_key(server.private_key_pem, password=None)
    encrypted = key.private_bytes(
        Encoding.PEM,
        PrivateFormat.PKCS8,
        BestAvailableEncryption(files.key_password.encode()),
    )
    # A crash between these leaves files that do not fit together, which the next start notices
    # (`_usable` loads them as TLS will) and makes anew.
    replace_file(files.key, encrypted)
    replace_file(files.certificate, server.certificate_pem)
    replace_file(files.authority, authority.certificate_pem)
    return files


def _authority(database: Database, keyring: Keyring) -> tuple[Credential | None, list[str]]:
    """The authority and the hosts it may certify; None where there is none yet."""
    try:
        with database.read() as session:
            kept = json.loads(keyring.open_secret(session, AUTHORITY_SECRET))
    except NotFoundError:
        return None, []
    return Credential(kept["certificate"].encode(), kept["key"].encode()), kept["hosts"]


def _keep_authority(
    database: Database, keyring: Keyring, authority: Credential, hosts: list[str]
) -> None:
    kept = {
        "certificate": authority.certificate_pem.decode(),
        "key": authority.private_key_pem.decode(),
        "hosts": hosts,
    }
    with database.write() as session:
        keyring.seal_secret(session, AUTHORITY_SECRET, json.dumps(kept).encode())


def _usable(files: ServerCertificate, authority: Credential, now: datetime) -> bool:
    """Whether the files are there, fit together and are valid for another 30 days."""
    try:
        certificate = files.certificate.read_bytes()
        key = load_pem_private_key(files.key.read_bytes(), files.key_password.encode())
        issued_here = files.authority.read_bytes() == authority.certificate_pem
    except (OSError, ValueError, TypeError):
        return False
    try:
        ends = valid_until(certificate)
    except ValidationError:
        return False
    return issued_here and _same_key(certificate, key) and ends - now > RENEW_BEFORE


def _same_key(certificate_pem: bytes, key: object) -> bool:
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    return isinstance(key, EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
