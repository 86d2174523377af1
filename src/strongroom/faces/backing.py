"""Backups of a home, and homes out of backups: what keys and log have to say about them."""

import fcntl
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hmac import compare_digest
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import (
    HomeError,
    HomeInUseError,
    KeyUnavailableError,
    TamperedError,
    UnavailableError,
    ValidationError,
)
from strongroom.faces.anchoring import anchor_keeper
from strongroom.faces.foundation import open_database, open_log, root_of
from strongroom.faces.recovering import seal_name
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.renaming import go_on, new_name
from strongroom.gate.hosting import host_event
from strongroom.settings import Settings
from strongroom.vault import backups
from strongroom.vault.backup_manifest import (
    BLOBS,
    HOME,
    MAC,
    MAC_SECRET,
    MANIFEST,
    NOTE,
    ROOT_KEY,
    ROOT_SECRET,
    Backup,
    FileDigest,
    Manifest,
    Progress,
    backups_in,
    digest_of,
    mac_of,
)
from strongroom.vault.blobs import BlobRow
from strongroom.vault.database import Database
from strongroom.vault.durable import replace_file, sync_folder
from strongroom.vault.folders import Folder, open_folder
from strongroom.vault.home import DATABASE_FILE, Home
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot, read_passphrase, read_private_file

_PARTIAL = ".partial-"
_DRAFT = re.compile(r"[0-9]{8}T[0-9]{6}Z?(-[0-9]+)?", re.ASCII)
"""What follows in the name of a folder that a crash left: no others are removed."""
_MOVED = {"database_url", "blob_url"}


def _silent(_done: int, _total: int) -> None:
    """Nobody looks on."""


def _no_step(_name: str) -> None:
    """No one watches the durable steps."""


def _remove_drafts(folder: Path, begin: str) -> None:
    """Remove what a crash left in a folder that also holds other things."""
    for old in folder.iterdir():
        if old.name.startswith(begin) and _DRAFT.fullmatch(old.name.removeprefix(begin)):
            shutil.rmtree(old)


# ---- making one ----


def make_backup(
    settings: Settings,
    to: Path,
    *,
    with_root_key: bool = False,
    progress: Progress = _silent,
    step: backups.Step = _no_step,
) -> Backup:
    """Back up a home into the folder `to`, also while its server runs.

    Args:
        settings: name the home.
        to: a folder for backups of this home; later ones copy only what is new.
        with_root_key: put the root key in as well. Who has the backup then has the data.
        progress: told bytes done and in all, of the blobs.
        step: told before each durable step.

    Raises:
        StorageFullError, UnavailableError: nothing that counts as a backup is left.
        TamperedError: the home is damaged.
    """
    with _home_as_it_is(settings) as (home, is_last):
        database = open_database(settings, home)
        try:
            _require_served(settings, home)
            root = root_of(settings, home, database)
            log = open_log(settings, database, Keyring(root))
            with database.write() as session:
                log.append(session, host_event("server.backup", root_key=with_root_key))
            if is_last:
                log.integrate()
            maker = _Maker(settings, home, database, root, to, progress, step, is_last=is_last)
            return maker.make(with_root_key=with_root_key)
        finally:
            database.close()


@contextmanager
def _home_as_it_is(settings: Settings) -> Iterator[tuple[Home, bool]]:
    """The home, held where no server runs; and whether it is."""
    try:
        with Home.open(settings.home) as home:
            yield home, True
            return
    except HomeInUseError:
        pass
    yield Home.look(settings.home), False


def _require_served(settings: Settings, home: Home) -> None:
    if not (home.path / "root.key").exists():
        raise HomeError(f"`{settings.home}` has never been served: there is nothing to back up")


class _Maker:
    """One backup being made."""

    def __init__(
        self,
        settings: Settings,
        home: Home,
        database: Database,
        root: LocalRoot,
        to: Path,
        progress: Progress,
        step: backups.Step,
        *,
        is_last: bool,
    ) -> None:
        self._settings = settings
        self._home = home
        self._database = database
        self._root = root
        self._to = to
        self._progress = progress
        self._step = step
        self._is_last = is_last
        self._folder: Folder = open_folder(settings.blob_url or home.blobs)
        self._done = 0
        self._total = 0

    def make(self, *, with_root_key: bool) -> Backup:
        """The whole of it, with the folder held."""
        with _held(self._to):
            return self._made(with_root_key=with_root_key)

    def _made(self, *, with_root_key: bool) -> Backup:
        draft = self._begin()
        try:
            kept = _kept(self._to)
            for _ in range(backups.ROUNDS):
                manifest, gone = self._round(draft, kept)
                if not gone:
                    break
                backups.missing_for_good(gone, self._live)
                kept |= manifest.blobs
            else:
                raise backups.never_still()
            files = dict(manifest.files)
            names = [*backups.HOME_FILES, *(["root.key"] if with_root_key else [])]
            for name in names:
                if (self._home.path / name).is_file():
                    path = f"{HOME}/{name}"
                    files[path] = backups.copy_file(self._home.path / name, draft / path)
            manifest = replace(manifest, files=files)
            return self._finish(draft, manifest)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def _begin(self) -> Path:
        try:
            (self._to / BLOBS).mkdir(mode=0o700, exist_ok=True)
            _remove_drafts(self._to, _PARTIAL)
            stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
            number = sum(path.name.startswith(stamp) for path in backups_in(self._to))
            draft = self._to / f"{_PARTIAL}{stamp}{f'-{number}' if number else ''}"
            draft.mkdir(mode=0o700)
        except OSError as error:
            raise UnavailableError(f"cannot write `{self._to}`: {error.strerror}") from None
        return draft

    def _round(self, draft: Path, kept: dict[str, FileDigest]) -> tuple[Manifest, list[str]]:
        """A snapshot and the blobs that it names; and those that were deleted meanwhile."""
        made_at = datetime.now(UTC).isoformat()
        target = draft / backups.SNAPSHOT[self._database.dialect]
        target.unlink(missing_ok=True)
        self._step("snapshot")
        if self._database.dialect == "sqlite":
            source = self._settings.database_url.removeprefix("sqlite:///")
            backups.snapshot_sqlite(Path(source or self._home.path / DATABASE_FILE), target)
            copy = Database.open(f"sqlite:///{target}")
            try:
                manifest, names = self._described(copy, made_at)
            finally:
                copy.close()
            backups.finish_sqlite(target)
        else:
            manifest, _ = self._described(self._database, made_at)
            with backups.postgres_snapshot(self._settings.database_url) as (snapshot, ids):
                backups.dump_postgres(self._settings.database_url, snapshot, target)
                names = ids
        with target.open("rb") as file:
            manifest.files[target.name] = digest_of(file)
        sizes = {name: size for name, size in self._folder.sizes() if name not in kept}
        self._total = self._done + sum(sizes.get(name, 0) for name in names)
        backups.require_room(self._to, self._total - self._done + self._settings.min_free_bytes)
        blobs, gone = backups.copy_blobs(
            self._folder, self._to / BLOBS, names, kept, self._copied, self._step
        )
        return replace(manifest, blobs=blobs), gone

    def _described(self, database: Database, made_at: str) -> tuple[Manifest, list[str]]:
        keyring = Keyring(self._root)
        log = open_log(self._settings, database, keyring)
        with database.read() as session:
            newest = log.newest(session)
            head = keyring.seals.load(session)
            names = list(session.scalars(select(BlobRow.id)))
        self._log = log
        manifest = Manifest(
            made_at, database.dialect, _name_of_root(keyring), str(log.key), newest.size,
            newest.root.hex(), head.length, head.mac.hex(), self._is_last,
        )  # fmt: skip
        return manifest, names

    def _copied(self, count: int) -> None:
        self._done += count
        self._progress(self._done, max(self._total, self._done))

    def _live(self, names: list[str]) -> set[str]:
        with self._database.read() as session:
            return set(session.scalars(select(BlobRow.id).where(BlobRow.id.in_(names))))

    def _finish(self, draft: Path, manifest: Manifest) -> Backup:
        self._step("manifest")
        content = manifest.encode()
        replace_file(draft / MANIFEST, content)
        replace_file(draft / MAC, mac_of(content, Keyring(self._root).secret(MAC_SECRET)))
        replace_file(draft / NOTE, manifest.signed(self._log.key, self._log.sign))
        sync_folder(self._to / BLOBS)
        self._step("whole")
        made = self._to / draft.name.removeprefix(_PARTIAL)
        # A crash before this leaves no backup, after it a whole one.
        draft.rename(made)
        sync_folder(self._to)
        return Backup.open(made)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """A folder of backups, which one process at a time writes into. Raises: UnavailableError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UnavailableError(f"cannot write `{folder}`: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UnavailableError(
            f"another backup is being made into `{folder}`", next_step="wait until it has ended"
        ) from None
    finally:
        os.close(descriptor)


def _kept(folder: Path) -> dict[str, FileDigest]:
    """Digests of the blobs that earlier backups in the folder hold."""
    kept: dict[str, FileDigest] = {}
    for path in backups_in(folder):
        kept |= Backup.open(path).manifest.blobs
    return kept


# ---- restoring ----


@dataclass(frozen=True, slots=True)
class Restored:
    """A home made out of a backup.

    Attributes:
        log_key: of the log as it goes on.
        settings_file: where the backup's settings were put, if they name a database or store.
    """

    home: Path
    made_at: str
    log_key: str
    settings_file: str = ""


def restore(
    settings: Settings,
    backup: Backup,
    *,
    root_key: Path | None,
    same_log: bool = False,
    progress: Progress = _silent,
    step: backups.Step = _no_step,
) -> Restored:
    """Make the home of `settings` out of a backup; everything is verified before it appears.

    Args:
        settings: name the home, where nothing or an empty folder may be, and on PostgreSQL an
            empty database.
        backup: what to restore.
        root_key: file of the root key; None: it is in the backup.
        same_log: go on under the log's name, because nothing was logged after the backup.
        progress: told bytes done and in all.
        step: told before each durable step.

    Raises:
        HomeError: something is there already. KeyUnavailableError: another root key, or none.
        ValidationError: the root key or database is not named, or `same_log` cannot be so.
        TamperedError: the backup is not what was made.
    """
    home = settings.home.expanduser().absolute()
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise HomeError(f"`{home}` exists already and is not empty")
    if root_key is None and ROOT_KEY not in backup.manifest.files:
        raise ValidationError(
            "the root key is not in the backup", next_step="give its file with --root-key"
        )
    if backup.manifest.dialect == "postgresql" and not settings.database_url:
        raise ValidationError(
            "the backup is of a PostgreSQL database",
            next_step="make an empty one and name it in STRONGROOM_DATABASE_URL",
        )
    if same_log and not backup.manifest.is_last:
        raise ValidationError(
            "the backup was made beside a running server, which may have logged more",
            next_step="leave out --same-log: the log then goes on under a new name and key",
        )
    _require_root_key(settings, root_key)
    backup.verify(progress)
    home.parent.mkdir(parents=True, exist_ok=True)
    backups.require_room(home.parent, backup.manifest.total_bytes + settings.min_free_bytes)
    begin = f".{home.name}-restore-"
    _remove_drafts(home.parent, begin)
    draft = home.parent / f"{begin}{datetime.now(UTC):%Y%m%dT%H%M%S}"
    try:
        restored = _restored(
            replace(settings, home=draft), backup, root_key, progress, step, same_log=same_log
        )
        step("appear")
        # The home appears whole: a crash before this leaves a dot-folder, which the next removes.
        draft.rename(home)
        sync_folder(home.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return replace(restored, home=home)


def _require_root_key(settings: Settings, path: Path | None) -> None:
    """Return if the file holds a root key, before anything is copied; which one, the keys tell."""
    if path is None:
        return
    passphrase = settings.root_passphrase_file
    try:
        LocalRoot.open(path, read_passphrase(Path(passphrase)) if passphrase else None)
    except HomeError as error:
        raise KeyUnavailableError(
            f"`{path}` cannot be used as the root key: {error.message}",
            next_step="give the file `root.key` of the home that was backed up",
        ) from None


def _restored(
    settings: Settings,
    backup: Backup,
    root_key: Path | None,
    progress: Progress,
    step: backups.Step,
    *,
    same_log: bool,
) -> Restored:
    draft = settings.home
    draft.mkdir(mode=0o700)
    for name in ("blobs", "tls", "log", "run"):
        (draft / name).mkdir(mode=0o700, exist_ok=True)
    backups.unpack(backup, draft, progress, step)
    if root_key is not None:
        (draft / "root.key").unlink(missing_ok=True)
        replace_file(draft / "root.key", read_private_file(root_key))
    _require_made_under(settings, draft / "root.key", backup)
    moved = _put_settings_aside(draft)
    snapshot = draft / backups.SNAPSHOT[backup.manifest.dialect]
    if backup.manifest.dialect == "sqlite":
        snapshot.rename(draft / DATABASE_FILE)
        settings = replace(settings, database_url="")
    else:
        step("database")
        backups.load_postgres(settings.database_url, snapshot)
        snapshot.unlink()
    step("record")
    with Home.open(draft) as home:
        key = _taken_over(settings, home, backup, same_log=same_log)
    return Restored(draft, backup.manifest.made_at, key, moved)


def _require_made_under(settings: Settings, root_key: Path, backup: Backup) -> None:
    """Return if this root made the backup: a database is filled from nothing else.

    Whoever fills one runs what is written in its dump, with the rights of the database's user.
    """
    passphrase = settings.root_passphrase_file
    root = LocalRoot.open(root_key, read_passphrase(Path(passphrase)) if passphrase else None)
    keyring = Keyring(root)
    if not compare_digest(_name_of_root(keyring), backup.manifest.root):
        raise _wrong_root_key()
    backup.require_made_under(keyring.secret(MAC_SECRET))


def _name_of_root(keyring: Keyring) -> str:
    """Tells one root key from another, and nothing of either."""
    return keyring.secret(ROOT_SECRET)[:8].hex()


def _wrong_root_key() -> KeyUnavailableError:
    return KeyUnavailableError(
        "this root key does not open the backup",
        next_step="give the root key of the home that was backed up",
    )


def _taken_over(settings: Settings, home: Home, backup: Backup, *, same_log: bool) -> str:
    """Verify the restored database, put the restore on the record, and anchor it."""
    database = open_database(settings, home)
    try:
        keyring = Keyring(root_of(settings, home, database))
        try:
            log = open_log(settings, database, keyring)
        except TamperedError:
            raise _wrong_root_key() from None
        # Which key that is says the database, sealed under the root key: not the backup's word.
        backup.require_signed([log.key])
        database.migrate()
        with database.read() as session:
            _require_as_backed_up(session, log, keyring, backup.manifest)
        name = new_name(log.key)
        with database.write() as session:
            newest = log.newest(session)
            log.append(
                session,
                host_event(
                    "server.restored", made_at=backup.manifest.made_at, size=newest.size,
                    root=newest.root.hex(), seals=backup.manifest.seals,
                    old_log_key=str(log.key),
                    log=log.key.name if same_log else name.key.name,
                ),
            )  # fmt: skip
            if not same_log:
                go_on(session, newest, name, datetime.now(UTC).timestamp())
                seal_name(session, keyring, name)
        log = open_log(settings, database, keyring)
        log.integrate()
        anchor_keeper(home, keyring, log).write()
        home.mark_anchored()
        return str(log.key)
    finally:
        database.close()


def _require_as_backed_up(
    session: Session, log: AuditLog, keyring: Keyring, manifest: Manifest
) -> None:
    verified = log.verify(session).checkpoint
    head = keyring.seals.load(session, at=manifest.seals)
    if not compare_digest(head.mac.hex(), manifest.head):
        raise TamperedError("the sealed changes in the backup are not those that were backed up")
    is_same = (verified.size, verified.root.hex()) == (manifest.log_size, manifest.log_root)
    if not is_same and (manifest.dialect == "sqlite" or verified.size < manifest.log_size):
        raise TamperedError("the log in the backup is not the one that was backed up")
    keyring.seals.load(session)
    if set(session.scalars(select(BlobRow.id))) != set(manifest.blobs):
        raise TamperedError("the blobs in the backup are not those that its database names")


def _put_settings_aside(draft: Path) -> str:
    """Rename a settings file that names a database or store: perhaps those of a living home."""
    file = draft / "strongroom.toml"
    if not file.is_file():
        return ""
    try:
        # As a table, for a key may stand there in quotes, too; what cannot be read is not used.
        if not _MOVED & tomllib.loads(file.read_text(encoding="utf-8")).keys():
            return ""
    except ValueError:
        pass
    aside = file.with_name("strongroom.toml.from-backup")
    file.rename(aside)
    return aside.name
