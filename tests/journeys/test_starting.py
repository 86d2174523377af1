"""A server that cannot start says why and what to do, and leaves the home as it was."""

import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.journeys.attempts import attempting
from tests.journeys.served import Served, serving

_SAID = re.compile(
    r"^error: (?P<detail>.+)\n  next: (?P<next>.+)  \[(?P<code>[a-z_.]+)\]$", re.MULTILINE
)
WAL = ("strongroom.db-wal", "strongroom.db-shm")
"""Opening a SQLite database makes them, closing it removes them."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A start that did not succeed, and what was said of it."""

    exit_code: int
    code: str
    detail: str
    next_step: str


Refuse = Callable[..., Refused]


@pytest.fixture(scope="module")
def refused() -> Iterator[Refuse]:
    """Tries to start a server that must not start; what it says."""
    with attempting() as attempts:

        def attempt(home: Path, port: int | None = 0, **settings: str) -> Refused:
            served = Served(home, {"min_free_bytes": "0", **settings})
            arguments = ["serve", "--home", str(home)]
            if port is not None:
                arguments += ["--port", str(port)]
            ended = attempts.run(arguments, served.environment())
            assert "Traceback" not in ended.stderr, ended.stderr
            assert ended.stdout == ""
            said = _SAID.search(ended.stderr)
            assert said is not None, ended
            return Refused(ended.exit_code, said["code"], said["detail"], said["next"])

        yield attempt


def contents(home: Path) -> dict[str, str]:
    """Digest and mode of every file; the lock holds the id of whoever tried last."""
    found = {}
    for path in sorted(home.rglob("*")):
        if path.is_file() and path.name not in {"lock", *WAL}:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(home))] = f"{path.stat().st_mode:o} {digest}"
    return found


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A home that was used and closed, with a dataset; not to be changed."""
    home = tmp_path_factory.mktemp("used") / "home"
    with serving(home, mlflow=False) as served:
        with served.client() as operator:
            operator.call("data.add", b"name,age\nAda,36\n", name="people", format="csv")
        assert served.stop() == 0
    assert not (home / "run" / "server.json").exists()
    assert not [home / name for name in WAL if (home / name).exists()]
    return served


@pytest.fixture
def home(used: Served, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(used.home, tmp_path / "home"))


@pytest.fixture
def passphrase(tmp_path: Path) -> Callable[[str], str]:
    """Writes a passphrase file; its path."""

    def write(text: str) -> str:
        path = tmp_path / f"passphrase-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        path.touch(0o600)
        path.write_text(f"{text}\n")
        return str(path)

    return write


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_in_use(refused: Refuse, home: Path, taken: int) -> None:
    before = contents(home)
    said = refused(home, port=taken)
    assert (said.exit_code, said.code) == (1, "server.port_in_use")
    assert str(taken) in said.detail
    assert "--port" in said.next_step
    assert contents(home) == before


def test_a_port_in_use_at_the_first_start_leaves_a_home_that_starts(
    refused: Refuse, tmp_path: Path, taken: int
) -> None:
    assert refused(tmp_path / "home", port=taken).code == "server.port_in_use"
    with serving(tmp_path / "home", mlflow=False) as served:
        # The first person was not made, and so not lost, by the start that failed.
        assert served.operator
        served.verify_log()


def test_a_second_server_on_the_same_home(refused: Refuse, home: Path) -> None:
    served = Served(home, {"min_free_bytes": "0"})
    try:
        served.start(mlflow=False)
        assert served.process is not None
        said = refused(home)
        assert (said.exit_code, said.code) == (1, "home.in_use")
        assert str(served.process.pid) in said.detail
        assert "other server" in said.next_step
        with served.http() as http:
            assert http.get("/healthz").status_code == 200
        address = json.loads((home / "run" / "server.json").read_text())
        assert address["pid"] == served.process.pid
        served.kill()
        # What a killed server left locked or lying about does not stand in the way.
        served.start(mlflow=False)
    finally:
        served.close()


def test_a_home_of_a_newer_version(refused: Refuse, home: Path) -> None:
    mark = json.loads((home / "home.json").read_text())
    (home / "home.json").write_text(json.dumps({**mark, "format": mark["format"] + 1}))
    before = contents(home)
    lock = (home / "run" / "lock").read_bytes()
    said = refused(home)
    assert (said.exit_code, said.code) == (1, "home.newer")
    assert "newer" in said.next_step
    assert contents(home) == before
    assert (home / "run" / "lock").read_bytes() == lock


def test_a_database_of_a_newer_version(refused: Refuse, home: Path) -> None:
    with closing(sqlite3.connect(home / "strongroom.db")) as connection, connection:
        connection.execute("UPDATE strongroom_version SET version_num = '9999'")
    before = contents(home)
    said = refused(home)
    assert (said.exit_code, said.code) == (1, "home.newer")
    assert "9999" in said.detail
    assert contents(home) == before


def test_a_home_that_others_may_open(refused: Refuse, home: Path) -> None:
    home.chmod(0o755)
    before = contents(home)
    said = refused(home)
    assert (said.exit_code, said.code) == (1, "home.unusable")
    assert "open to other users" in said.detail
    assert "chmod 700" in said.next_step
    assert contents(home) == before
    assert home.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"kind": "other", "format": 1}'])
def test_a_folder_that_is_no_home(refused: Refuse, tmp_path: Path, content: bytes) -> None:
    home = tmp_path / "home"
    home.mkdir(0o700)
    (home / "home.json").write_bytes(content)
    before = contents(home)
    assert refused(home).code == "home.unusable"
    assert contents(home) == before


def test_a_root_key_that_is_missing(refused: Refuse, home: Path) -> None:
    (home / "root.key").unlink()
    before = contents(home)
    said = refused(home)
    assert (said.exit_code, said.code) == (1, "home.unusable")
    assert "root.key" in said.detail
    assert "backup" in said.next_step
    assert contents(home) == before


def test_a_root_key_of_another_home(refused: Refuse, home: Path) -> None:
    key = json.loads((home / "root.key").read_text())
    (home / "root.key").write_text(json.dumps({**key, "key": os.urandom(32).hex()}))
    before = contents(home)
    said = refused(home)
    assert (said.exit_code, said.code) == (1, "key.unavailable")
    assert "root key" in said.detail
    assert "root.key" in said.next_step
    assert contents(home) == before


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"not a key", b'{"format": "strongroom root key 1", "key": "ab"}']
)
def test_a_root_key_that_is_damaged(refused: Refuse, home: Path, content: bytes) -> None:
    (home / "root.key").write_bytes(content)
    before = contents(home)
    said = refused(home)
    assert (said.exit_code, said.code) == (1, "home.unusable")
    assert "root key" in said.detail
    assert contents(home) == before


def test_a_root_key_that_others_may_read(refused: Refuse, home: Path) -> None:
    (home / "root.key").chmod(0o640)
    before = contents(home)
    said = refused(home)
    assert said.code == "home.unusable"
    assert "root.key" in said.detail
    assert contents(home) == before


def test_a_root_key_under_a_passphrase(
    refused: Refuse, tmp_path: Path, passphrase: Callable[[str], str]
) -> None:
    home = tmp_path / "home"
    file = passphrase("open sesame 1234")
    # With MLflow: a server that is stopped while it still makes MLflow's tables leaves them to be
    # taken into the database's file by whoever opens it next.
    with serving(home, root_passphrase_file=file) as served:
        served.verify_log()
        assert served.stop() == 0
    before = contents(home)
    wrong = refused(home, root_passphrase_file=passphrase("open sesame 1235"))
    assert (wrong.exit_code, wrong.code) == (1, "key.unavailable")
    assert "passphrase" in wrong.detail
    none = refused(home)
    assert none.code == "key.unavailable"
    assert "passphrase" in none.next_step
    missing = refused(home, root_passphrase_file=str(tmp_path / "nowhere"))
    assert missing.code == "home.unusable"
    assert "nowhere" in missing.detail
    Path(file).chmod(0o644)
    assert refused(home, root_passphrase_file=file).code == "home.unusable"
    Path(file).chmod(0o600)
    assert contents(home) == before
    again = Served(home, served.settings, operator=served.operator)
    try:
        again.start(mlflow=False)
        again.verify_log()
    finally:
        again.close()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 8443\n", "prot"), ("port = -1\n", "port"), ("port = 65536\n", "port"),
        ("port = \n", "strongroom.toml"), ("[server]\nport = 1\n", "server"),
        ('host = "203.0.113.7"\n', "203.0.113.7"), ('host = "no such host"\n', "no such host"),
        ('log_level = "loud"\n', "log_level"), ("calls_per_minute = 0\n", "calls_per_minute"),
        ('sandbox_required_layers = "magic"\n', "magic"),
        ('record_predictions = "never"\n', "record_predictions"),
        ('database_url = "mysql://me:geheim@localhost/x"\n', "database_url"),
        ('database_url = "geheim"\n', "database_url"),
        ('database_url = "sqlite:////nowhere/at/all.db"\n', "database"),
        ('blob_url = "nothing://geheim"\n', "blob store"),
    ],
)  # fmt: skip
def test_settings_that_are_wrong(refused: Refuse, home: Path, text: str, named: str) -> None:
    if "port" not in text:
        text = f"port = 0\n{text}"
    (home / "strongroom.toml").write_text(text)
    before = contents(home)
    said = refused(home, port=None)
    assert said.exit_code == 1
    assert said.code != "internal"
    assert named in said.detail
    assert "geheim" not in said.detail
    assert contents(home) == before


def damage_header(database: Path) -> None:
    with database.open("r+b") as file:
        file.write(b"not a database at all, " * 8)


def damage_pages(database: Path) -> None:
    size = database.stat().st_size
    with database.open("r+b") as file:
        for offset in range(4096, size, 8192):
            file.seek(offset)
            file.write(b"\xff" * 4096)


def cut_off(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


@pytest.mark.parametrize("damage", [damage_header, damage_pages, cut_off])
def test_a_damaged_database(refused: Refuse, home: Path, damage: Callable[[Path], None]) -> None:
    damage(home / "strongroom.db")
    before = contents(home)
    said = refused(home)
    assert (said.exit_code, said.code) == (5, "integrity.broken")
    assert "backup" in said.next_step
    assert contents(home) == before


def test_a_database_that_is_missing_costs_nothing_that_is_stored(
    refused: Refuse, used: Served, home: Path
) -> None:
    (home / "strongroom.db").rename(home / "elsewhere")
    before = contents(home)
    said = refused(home)
    assert (said.exit_code, said.code) == (1, "home.unusable")
    assert "strongroom.db" in said.detail
    assert "backup" in said.next_step
    other = refused(home, database_url=f"sqlite:///{home.parent / 'other.db'}")
    assert (other.exit_code, other.code) == (1, "home.unusable")
    assert "database_url" in other.detail
    assert contents(home) == before
    (home / "elsewhere").rename(home / "strongroom.db")
    again = Served(home, {"min_free_bytes": "0"}, operator=used.operator)
    try:
        again.start(mlflow=False)
        with again.client() as operator:
            assert operator.read_table("people").to_pylist() == [{"name": "Ada", "age": 36}]
    finally:
        again.close()


def test_an_entry_of_the_log_that_is_missing(refused: Refuse, home: Path) -> None:
    with closing(sqlite3.connect(home / "strongroom.db")) as connection, connection:
        connection.execute(
            "DELETE FROM log_entries WHERE leaf_index = (SELECT max(leaf_index) FROM log_entries)"
        )
    # A database that was put back from an older copy would know nothing of the newest files:
    # they are not swept away before the log has been looked at.
    newest = home / "blobs" / "ab" / ("ab" * 16)
    newest.write_bytes(b"sealed")
    before = contents(home)
    said = refused(home)
    assert (said.exit_code, said.code) == (5, "integrity.broken")
    assert contents(home) == before


def test_a_disk_with_too_little_room(refused: Refuse, home: Path) -> None:
    before = contents(home)
    said = refused(home, min_free_bytes=str(2**60))
    assert (said.exit_code, said.code) == (1, "storage.full")
    assert "free" in said.next_step
    assert contents(home) == before
    assert refused(home.with_name("new"), min_free_bytes=str(2**60)).code == "storage.full"
