"""The home folder: one place on disk holds all that must be kept.

    home.json       which kind of folder this is, and the version of its form
    strongroom.db   the database, unless settings name another
    blobs/          sealed objects, unless settings name another store
    tls/            the server's own certificate authority and certificate
    log/            the server's structured log
    anchor          size and root of the log, and more, against an older database
    run/            what lives only as long as the server: its lock

The folder belongs to one person (mode 0700) and to one server at a time.
"""

import fcntl
import json
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from strongroom.errors import HomeError, HomeInUseError, HomeNewerError, StorageFullError
from strongroom.vault.durable import remove_drafts, replace_file

FORMAT = 2
"""The form of the folder that this version writes; it reads no newer one. Form 1 has no anchor."""

DATABASE_FILE = "strongroom.db"
"""The home's own database."""

_MARK = "strongroom home"
_FOLDERS = ("blobs", "tls", "log", "run")
_NOT_HELD = -1
_MAX_HOME_JSON_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Home:
    """An opened home folder; while it is open no other process can open it."""

    path: Path
    lock_fd: int

    @classmethod
    def create(cls, path: Path) -> None:
        """Make a new home folder at `path`, where nothing or an empty folder may be.

        Raises: HomeError when something is there or the place cannot be written.
        """
        path = path.expanduser().absolute()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise HomeError(f"`{path}` exists already and is not empty")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
            try:
                for name in _FOLDERS:
                    (draft / name).mkdir(mode=0o700)
                with (draft / "home.json").open("x", encoding="utf-8") as file:
                    file.write(_mark(is_anchored=False))
                    file.flush()
                    os.fsync(file.fileno())
                _sync_folder(draft)
                # The home appears whole: a crash before this leaves a dot-folder beside it
                # that no one opens, a crash after it a usable home.
                draft.rename(path)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            _sync_folder(path.parent)
        except OSError as error:
            raise HomeError(f"cannot make a home at `{path}`: {error.strerror}") from error

    @classmethod
    def open(cls, path: Path) -> Self:
        """Take the home folder at `path` for this process, until `close` or its end.

        Raises:
            HomeError: nothing there, not a home, open to other people, or not writable.
            HomeNewerError: a newer version made it; nothing was changed.
            HomeInUseError: another process has it open; the message names its process id.
        """
        path = path.expanduser().absolute()
        _check(path)
        try:
            descriptor = os.open(
                path / "run" / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise HomeError(f"`{path}` cannot be written: {error.strerror}") from error
        try:
            # The kernel drops the lock when the process dies in whatever way, so a stale
            # file never stands in the way.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise HomeInUseError(f"`{path}` is in use by process {holder}") from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            for folder in (path, path / "tls"):
                remove_drafts(folder)
        except OSError as error:
            os.close(descriptor)
            raise HomeError(f"`{path}` cannot be written: {error.strerror}") from error
        return cls(path, descriptor)

    @classmethod
    def look(cls, path: Path) -> Self:
        """The home folder without taking it: for whoever reads beside a running server.

        Raises: HomeError, HomeNewerError, as `open`.
        """
        path = path.expanduser().absolute()
        _check(path)
        return cls(path, _NOT_HELD)

    @property
    def database_url(self) -> str:
        """URL of the home's own SQLite database."""
        return f"sqlite:///{self.path / DATABASE_FILE}"

    @property
    def blobs(self) -> Path:
        """Folder of the sealed objects."""
        return self.path / "blobs"

    @property
    def tls(self) -> Path:
        """Folder of certificates and their private keys."""
        return self.path / "tls"

    @property
    def log(self) -> Path:
        """Folder of the structured log."""
        return self.path / "log"

    @property
    def run(self) -> Path:
        """Folder for what lives only as long as the server."""
        return self.path / "run"

    @property
    def is_anchored(self) -> bool:
        """Whether the folder must have an anchor: since the end of its first start.

        Raises: HomeError where `home.json` is damaged.
        """
        _, anchored = _read_mark(self.path)
        return anchored

    def mark_anchored(self) -> None:
        """Say from now on that the folder must have an anchor. Raises StorageFullError, …."""
        if not self.is_anchored:
            replace_file(self.path / "home.json", _mark(is_anchored=True).encode())

    @property
    def free_bytes(self) -> int:
        """Bytes that this user may still write on the folder's disk."""
        return shutil.disk_usage(self.path).free

    def require_free(self, minimum_bytes: int) -> None:
        """Raise StorageFullError where fewer than `minimum_bytes` are free."""
        if (free := self.free_bytes) < minimum_bytes:
            raise StorageFullError(
                f"{free // 2**20} MiB are free on the disk of the home folder, "
                f"{minimum_bytes // 2**20} MiB must be"
            )

    def erase_command(self) -> str:
        """The shell command that erases this home, for a person to run when it is closed."""
        return f"rm -rf -- {shlex.quote(str(self.path))}"

    def close(self) -> None:
        """Let others open the folder."""
        if self.lock_fd != _NOT_HELD:
            os.close(self.lock_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _check(path: Path) -> None:
    """Raise where `path` is not a home that this version may open."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise HomeError(f"`{path}` is not a home folder") from None
    except OSError as error:
        raise HomeError(f"`{path}` cannot be read: {error.strerror}") from error
    version, _ = _read_mark(path)
    if version > FORMAT:
        raise HomeNewerError(f"`{path}` has format {version}, this version reads {FORMAT}")
    if status.st_uid != os.geteuid():
        raise HomeError(f"`{path}` belongs to another user")
    if status.st_mode & 0o077:
        raise HomeError(
            f"`{path}` is open to other users",
            next_step=f"run `chmod 700 {shlex.quote(str(path))}`",
        )
    for name in _FOLDERS:
        if not (path / name).is_dir():
            raise HomeError(f"`{path}` lacks its folder `{name}`")
        if not os.access(path / name, os.W_OK):
            raise HomeError(f"`{path / name}` cannot be written")


def _read_mark(path: Path) -> tuple[int, bool]:
    """Version of a home's form, and whether it must have an anchor."""
    try:
        with (path / "home.json").open("rb") as file:
            content = file.read(_MAX_HOME_JSON_BYTES + 1)
    except FileNotFoundError:
        raise HomeError(f"`{path}` is not a home folder") from None
    except OSError as error:
        raise HomeError(f"`{path}` cannot be read: {error.strerror}") from error
    try:
        written = json.loads(content)
        kind, version = written["kind"], written["format"]
        anchored = written.get("anchored", False)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise HomeError(f"`{path}` has a damaged home.json") from None
    if kind != _MARK or type(version) is not int or version < 1:
        raise HomeError(f"`{path}` is not a home folder")
    return version, anchored is True


def _mark(*, is_anchored: bool) -> str:
    return json.dumps({"kind": _MARK, "format": FORMAT, "anchored": is_anchored})


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
