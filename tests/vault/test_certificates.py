import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from strongroom.vault.certificates import ServerCertificate, ensure_certificate
from strongroom.vault.database import Database
from strongroom.vault.keys import SYSTEM, Keyring
from strongroom.vault.roots import LocalRoot

NOW = datetime.now(UTC)


@pytest.fixture
def keyring(tmp_path: Path, database: Database) -> Keyring:
    keyring = Keyring(LocalRoot.create(tmp_path / "root.key"))
    with database.write() as session:
        keyring.create_workspace_key(session, SYSTEM)
    return keyring


def shake_hands(files: ServerCertificate, name: str) -> str:
    """The TLS version that a client which trusts only our authority agrees on with a server."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files.certificate, files.key, files.key_password)
    client = ssl.create_default_context(cafile=files.authority)
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(there, server_side=True) as wrapped:
                wrapped.recv(1)
        except (ssl.SSLError, OSError):
            pass  # the client hung up: its own error is what the test looks at

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(here, server_hostname=name) as wrapped:
            wrapped.send(b"x")
            return str(wrapped.version())
    finally:
        here.close()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "ml.hospital.example"])
def test_a_client_that_trusts_the_authority_connects(
    tmp_path: Path, database: Database, keyring: Keyring, name: str
) -> None:
    files = ensure_certificate(tmp_path, database, keyring, ["ml.hospital.example"], NOW)
    assert shake_hands(files, name) == "TLSv1.3"


def test_another_name_is_not_certified(
    tmp_path: Path, database: Database, keyring: Keyring
) -> None:
    files = ensure_certificate(tmp_path, database, keyring, [], NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(files, "ml.hospital.example")


def test_a_second_start_keeps_the_certificate(
    tmp_path: Path, database: Database, keyring: Keyring
) -> None:
    first = ensure_certificate(tmp_path, database, keyring, [], NOW).certificate.read_bytes()
    second = ensure_certificate(tmp_path, database, keyring, [], NOW).certificate.read_bytes()
    assert first == second


def test_near_its_end_it_is_renewed_under_the_same_authority(
    tmp_path: Path, database: Database, keyring: Keyring
) -> None:
    files = ensure_certificate(tmp_path, database, keyring, [], NOW - timedelta(days=380))
    before = files.certificate.read_bytes(), files.authority.read_bytes()
    ensure_certificate(tmp_path, database, keyring, [], NOW)
    assert files.certificate.read_bytes() != before[0]
    assert files.authority.read_bytes() == before[1]
    assert shake_hands(files, "localhost") == "TLSv1.3"


@pytest.mark.parametrize("lost", ["ca.pem", "server.pem", "server.key"])
@pytest.mark.parametrize("how", ["missing", "garbled"])
def test_a_lost_file_is_made_anew(
    tmp_path: Path, database: Database, keyring: Keyring, lost: str, how: str
) -> None:
    ensure_certificate(tmp_path, database, keyring, [], NOW)
    if how == "missing":
        (tmp_path / lost).unlink()
    else:
        (tmp_path / lost).write_bytes(b"not PEM")
    files = ensure_certificate(tmp_path, database, keyring, [], NOW)
    assert shake_hands(files, "localhost") == "TLSv1.3"


def test_new_hosts_make_a_new_authority(
    tmp_path: Path, database: Database, keyring: Keyring
) -> None:
    before = ensure_certificate(tmp_path, database, keyring, [], NOW).authority.read_bytes()
    files = ensure_certificate(tmp_path, database, keyring, ["ml.hospital.example"], NOW)
    assert files.authority.read_bytes() != before


def test_no_private_key_lies_in_clear(tmp_path: Path, database: Database, keyring: Keyring) -> None:
    files = ensure_certificate(tmp_path, database, keyring, [], NOW)
    assert b"ENCRYPTED PRIVATE KEY" in files.key.read_bytes()
    assert files.key.stat().st_mode & 0o077 == 0
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"-BEGIN PRIVATE KEY" not in file.read_bytes(), file.name
    assert files.key_password not in repr(files)
