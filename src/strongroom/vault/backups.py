"""Backups: made while the server runs, restored into an empty place.

A backup is a snapshot of the database and the sealed blobs that its rows name. Blobs never
change, so of those only new ones are copied. Where a blob is deleted while it is being copied, a
newer snapshot is taken: what is kept in the end fits together.

What a crash leaves: blobs that are whole or end with `.part`, and a folder whose name begins with
a dot. The next backup removes the latter and goes on with the former.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from strongroom.errors import (
    BusyError,
    HomeError,
    MissingExtraError,
    StorageFullError,
    TamperedError,
    UnavailableError,
)
from strongroom.vault.backup_manifest import BLOBS, Backup, FileDigest, Progress, digest_of
from strongroom.vault.durable import sync_file, sync_folder, write_all, write_error
from strongroom.vault.folders import Folder

SNAPSHOT = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
HOME_FILES = ("home.json", "strongroom.toml", "tls/ca.pem", "tls/server.pem", "tls/server.key")
"""Small files of the home that a backup holds; those that are there."""

ROUNDS = 5
"""So often a newer snapshot is taken because blobs were deleted meanwhile."""

_CHUNK = 4 << 20
_PART = ".part"

Step = Callable[[str], None]
"""Called with the name of each durable step just before it; tests let the process die there."""


def snapshot_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, by SQLite's backup interface.

    Raises:
        StorageFullError, UnavailableError, TamperedError: it could not be copied.
    """
    with _sqlite_errors():
        uri = f"{source.absolute().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(uri, uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            target.chmod(0o600)
            # One step under one read transaction: writers go on, the copy stays at this moment.
            live.execute("BEGIN").close()
            live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            live.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode = DELETE").close()
        _sync(target)


def finish_sqlite(path: Path) -> None:
    """Leave the copy as one file, after it was read as a database, and see that it is whole."""
    with _sqlite_errors():
        with closing(sqlite3.connect(path)) as copy:
            copy.execute("PRAGMA journal_mode = DELETE").close()
            (answer,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise TamperedError("the database is damaged: the copy of it is not whole")
        _sync(path)


@contextmanager
def postgres_snapshot(url: str) -> Iterator[tuple[str, list[str]]]:
    """A snapshot held open on a PostgreSQL server: its name for `pg_dump`, and the blobs in it."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), hide_parameters=True)
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            name = connection.scalar(text("SELECT pg_export_snapshot()"))
            blobs = list(connection.scalars(text("SELECT id FROM blobs")))
            yield str(name), blobs
    except DBAPIError:
        raise UnavailableError("the database cannot be read") from None
    finally:
        engine.dispose()


def dump_postgres(url: str, snapshot: str, target: Path) -> None:
    """Write the database at a snapshot by PostgreSQL's own `pg_dump`."""
    target.touch(mode=0o600, exist_ok=False)
    _postgres("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges",
              f"--snapshot={snapshot}", f"--file={target}")  # fmt: skip
    _sync(target)


def load_postgres(url: str, source: Path) -> None:
    """Fill an empty database from a dump, in one transaction.

    Raises:
        HomeError: the database is not empty.
    """
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), hide_parameters=True)
    try:
        with engine.connect() as connection:
            there = connection.scalar(
                text("SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'")
            )
    except DBAPIError:
        raise UnavailableError("the database to restore into cannot be reached") from None
    finally:
        engine.dispose()
    if there:
        raise HomeError(
            "the database to restore into is not empty",
            next_step="make an empty one and name it in the setting `database_url`",
        )
    _postgres("pg_restore", url, "--no-owner", "--no-privileges", "--single-transaction",
              "--exit-on-error", str(source), dbname=True)  # fmt: skip


def _postgres(program: str, url: str, *arguments: str, dbname: bool = False) -> None:
    found = shutil.which(program)
    if found is None:
        raise MissingExtraError(
            f"`{program}` is not installed",
            next_step="install PostgreSQL's client programs, of the server's version or newer",
        )
    parsed = make_url(url)
    environment = {"PATH": os.environ.get("PATH", ""), **_connection(parsed)}
    extra = [f"--dbname={parsed.database}"] if dbname else []
    done = subprocess.run(
        [found, *extra, *arguments], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    if done.returncode:
        if b"No space left" in done.stderr:
            raise StorageFullError("the disk of the backup is full")
        raise UnavailableError(f"`{program}` failed with exit code {done.returncode}")


def _connection(url: URL) -> dict[str, str]:
    """How libpq is told where to connect: by its environment, where no other user can read it."""
    query: Mapping[str, Any] = url.query
    given = {
        "PGHOST": url.host or query.get("host"),
        "PGPORT": None if url.port is None else str(url.port),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": query.get("sslmode"),
        "PGSSLROOTCERT": query.get("sslrootcert"),
    }
    return {name: str(value) for name, value in given.items() if value}


def copy_blobs(
    source: Folder,
    target: Path,
    names: Iterable[str],
    kept: Mapping[str, FileDigest],
    progress: Callable[[int], None],
    step: Step,
) -> tuple[dict[str, FileDigest], list[str]]:
    """Copy those blobs that the target does not hold yet.

    Args:
        source: where they are.
        target: the `blobs` folder of the backups.
        names: ids of all that must be there in the end.
        kept: digests of those that earlier backups there hold.
        progress: told how many bytes were copied, now and then.
        step: told before each durable step.

    Returns: digests of all, and the ids of those that are gone from the source.
    """
    digests: dict[str, FileDigest] = {}
    gone: list[str] = []
    folders: set[Path] = set()
    for name in names:
        path = target / name[:2] / name
        if (known := _held(path, kept.get(name), source, name)) is not None:
            digests[name] = known
            continue
        try:
            digests[name] = _copy_blob(source, name, path, progress, step)
            folders.add(path.parent)
        except TamperedError:
            gone.append(name)
    for folder in folders:
        sync_folder(folder)
    return digests, gone


def _held(path: Path, kept: FileDigest | None, source: Folder, name: str) -> FileDigest | None:
    """The digest of a blob that the target holds whole; None where it must be copied."""
    try:
        size = path.stat().st_size
        if kept is not None:
            return kept if size == kept.size else None
        # Of a backup that was cut off: it got its name when it was whole.
        download = source.open(name)
        download.close()
        if download.size != size:
            return None
        with path.open("rb") as file:
            return digest_of(file)
    except (FileNotFoundError, TamperedError):
        return None
    except OSError as error:
        raise write_error(error) from None


def _copy_blob(
    source: Folder, name: str, path: Path, progress: Callable[[int], None], step: Step
) -> FileDigest:
    download = source.open(name)
    part = path.with_name(name + _PART)
    hasher = hashlib.sha256()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(part, flags, 0o600)
        try:
            for offset in range(0, download.size, _CHUNK):
                chunk = download.read_range(offset, _CHUNK)
                hasher.update(chunk)
                write_all(descriptor, chunk)
                progress(len(chunk))
            step("blob")
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise write_error(error) from None
    finally:
        download.close()
    return FileDigest(download.size, hasher.hexdigest())


def copy_file(source: Path, target: Path) -> FileDigest:
    """Copy a small file, mode 0600, and its digest."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with source.open("rb") as file:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                while chunk := file.read(_CHUNK):
                    write_all(descriptor, chunk)
                sync_file(descriptor)
            finally:
                os.close(descriptor)
        with target.open("rb") as file:
            return digest_of(file)
    except OSError as error:
        raise write_error(error) from None


def unpack(backup: Backup, home: Path, progress: Progress, step: Step) -> None:
    """Copy a verified backup's files into a home folder being made; each is verified again.

    Raises:
        TamperedError: it was changed since. StorageFullError, UnavailableError.
    """
    done, total = 0, backup.manifest.total_bytes
    for name, digest in backup.manifest.files.items():
        kind, _, rest = name.partition("/")
        target = home / rest if kind == "home" else home / name
        if copy_file(backup.path / name, target) != digest:
            raise TamperedError(f"`{name}` in the backup was changed")
        done += digest.size
    for name, digest in backup.manifest.blobs.items():
        step("restore blob")
        target = home / BLOBS / name[:2] / name
        if copy_file(backup.blob(name), target) != digest:
            raise TamperedError(f"the blob `{name}` in the backup was changed")
        done += digest.size
        progress(done, total)


def require_room(folder: Path, needed: int) -> None:
    """Raise StorageFullError where fewer than `needed` bytes are free."""
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise StorageFullError(
            f"{free >> 20} MiB are free there, {(needed >> 20) + 1} MiB are needed"
        )


def missing_for_good(gone: Iterable[str], live: Callable[[list[str]], set[str]]) -> None:
    """Raise where a blob is gone although its row is still there; else a newer snapshot helps."""
    if lost := sorted(live(sorted(gone))):
        raise TamperedError(
            f"the bytes of {len(lost)} blobs are missing in the home, `{lost[0]}` first",
            next_step="look for them in the trash of the blob store or in an earlier backup",
        )


def never_still() -> BusyError:
    """The error for a home in which blobs are deleted faster than they are copied."""
    return BusyError("blobs were deleted again and again while they were copied")


@contextmanager
def _sqlite_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", "")
        if code.startswith("SQLITE_FULL"):
            raise StorageFullError("the disk of the backup is full") from None
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise TamperedError("the database file is damaged") from None
        if code.startswith("SQLITE_IOERR_WRITE"):
            raise UnavailableError("the copy of the database cannot be written") from None
        raise UnavailableError("the database cannot be copied") from None
    except OSError as error:
        raise write_error(error) from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)
