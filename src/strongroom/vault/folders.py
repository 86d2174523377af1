"""Where sealed bytes lie: a local folder, or a bucket of an object store.

Both keep named, immutable objects and know nothing of keys or rows. Names are random ids of
ours, never a caller's text, so no name can lead out of the folder.

A local object being written, or written and not yet committed, is held under `flock`: the
kernel drops the lock with the process, so that a sweep by whichever process can tell what a
crash left from what another writer is about to commit.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.exceptions import BaseError, NotFoundError

from strongroom.errors import StorageFullError, TamperedError, UnavailableError
from strongroom.vault.durable import sync_file, sync_folder, write_all, write_error
from strongroom.vault.trash import FOLDER, KEPT, Trash

ID_LENGTH = 32
"""Hex digits of an object's name: 128 random bits."""

KnownIds = Callable[[list[str]], set[str]]
"""Which of these ids have a committed row, seen in a snapshot that begins with the call."""

_HEX = frozenset("0123456789abcdef")
_SWEEP_BATCH = 256
_REMOTE_BUFFER_BYTES = 16 << 20
_REMOTE_GRACE = timedelta(hours=24)


class Upload(Protocol):
    """One object being written."""

    def write(self, content: memoryview | bytes) -> None:
        """Add bytes. Raises StorageFullError, UnavailableError."""

    def finish(self) -> None:
        """Return once all bytes are durable; the object stays claimed by this writer."""

    def release(self) -> None:
        """Give up the claim: the object's row is committed."""

    def discard(self) -> None:
        """Remove the object; nothing happens when that was done before."""


class Download(Protocol):
    """One object being read; safe for several threads."""

    size: int

    def read_range(self, offset: int, length: int) -> bytes | memoryview:
        """Those bytes, fewer when the object ends before."""

    def close(self) -> None:
        """Let go of the object."""


class Folder(Protocol):
    """A place for objects."""

    def create(self, name: str) -> Upload:
        """Begin an object of a new name."""

    def open(self, name: str) -> Download:
        """Open an object for reading. Raises TamperedError when it is missing."""

    def path(self, name: str) -> Path | None:
        """The file that holds the object, where there is one."""

    def delete(self, name: str) -> None:
        """Remove an object that nobody may find any more; it may be gone already."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Name and size of every object."""

    def sweep(self, known: KnownIds) -> list[str]:
        """Put into the trash what has no row and no living writer; the names."""

    def take_back(self, names: Iterable[str]) -> list[str]:
        """Bring back from the trash those of `names` that are in it; the names."""


def is_id(name: str) -> bool:
    """Whether a name found in the folder can be one of ours."""
    return len(name) == ID_LENGTH and _HEX.issuperset(name)


class LocalUpload:
    """A file being written; locked from its creation to its release."""

    def __init__(self, path: Path, reserve_bytes: int = 0) -> None:
        self._path = path
        self._reserve_bytes = reserve_bytes
        self._descriptor: int | None = None
        try:
            self._descriptor = _create_locked(path)
            # Between creation and lock a sweep may have taken the empty file for a leftover.
            while os.fstat(self._descriptor).st_nlink == 0:
                self.release()
                self._descriptor = _create_locked(path)
        except OSError as error:
            raise write_error(error) from None

    def __del__(self) -> None:
        self.release()

    def write(self, content: memoryview | bytes) -> None:
        """Add bytes."""
        if self._descriptor is None:
            raise ValueError("the object is finished")
        try:
            self._require_room(self._descriptor, len(content))
            write_all(self._descriptor, content)
        except OSError as error:
            raise write_error(error) from None

    def _require_room(self, descriptor: int, size: int) -> None:
        if not self._reserve_bytes:
            return
        disk = os.fstatvfs(descriptor)
        if disk.f_bavail * disk.f_frsize - size < self._reserve_bytes:
            raise StorageFullError(
                f"the last {self._reserve_bytes >> 20} MiB of the disk are kept for the database"
            )

    def finish(self) -> None:
        """Return once the file and its name are on the disk."""
        if self._descriptor is None:
            raise ValueError("the object is finished")
        try:
            sync_file(self._descriptor)
            # A crash here leaves whole bytes that perhaps have no name: nothing refers to them.
            sync_folder(self._path.parent)
        except OSError as error:
            raise write_error(error) from None

    def release(self) -> None:
        """Drop the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Remove the file. A crash before leaves it to the next sweep."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            self.release()


class LocalDownload:
    """A file being read; it stays readable when it is deleted meanwhile."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise TamperedError("the bytes of the object are missing") from None
        except OSError:
            raise UnavailableError("the blob store cannot be read") from None
        self.size = os.fstat(self._descriptor).st_size

    def __del__(self) -> None:
        self.close()

    def read_range(self, offset: int, length: int) -> bytes:
        """Those bytes, fewer when the file ends before."""
        if self._descriptor < 0:
            raise ValueError("the object is closed")
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError:
            raise UnavailableError("the blob store cannot be read") from None

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class LocalFolder:
    """Objects as files `ab/ab...`, in 256 folders so that none grows too long.

    Args:
        root: the folder, made where it is not there.
        reserve_bytes: of the disk, never filled with objects: without room for the database
            nothing could be recorded or deleted any more.
    """

    def __init__(self, root: Path, reserve_bytes: int = 0) -> None:
        self._root = root
        self._reserve_bytes = reserve_bytes
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for number in range(256):
                (root / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
            self.trash = Trash(root)
            sync_folder(root)
        except OSError:
            raise UnavailableError("the folder of the blob store cannot be made") from None

    def path(self, name: str) -> Path:
        """The file of an object."""
        if not is_id(name):
            raise ValueError("not an id of ours")
        return self._root / name[:2] / name

    def create(self, name: str) -> LocalUpload:
        """Begin a new file, mode 0600."""
        return LocalUpload(self.path(name), self._reserve_bytes)

    def open(self, name: str) -> LocalDownload:
        """Open a file for reading."""
        return LocalDownload(self.path(name))

    def delete(self, name: str) -> None:
        """Remove the file. After a crash the name may come back; the next sweep removes it."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError:
            raise UnavailableError("the blob store cannot be written") from None

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Name and size of every file of ours."""
        for number in range(256):
            with os.scandir(self._root / f"{number:02x}") as entries:
                for entry in entries:
                    if is_id(entry.name) and entry.is_file(follow_symlinks=False):
                        yield entry.name, entry.stat(follow_symlinks=False).st_size

    def sweep(self, known: KnownIds) -> list[str]:
        """Put the files that have no row and no living writer into the trash, and empty that."""
        self.trash.empty()
        removed: list[str] = []
        for names in _batches(name for name, _ in self.sizes()):
            unknown = sorted(set(names) - known(names))
            removed.extend(name for name in unknown if self._remove_unclaimed(name, known))
        return removed

    def take_back(self, names: Iterable[str]) -> list[str]:
        """Bring back from the trash what has a row after all."""
        return [name for name in names if self.trash.take_back(self.path(name))]

    def _remove_unclaimed(self, name: str, known: KnownIds) -> bool:
        try:
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # INVARIANT: a writer lets go only after its row is committed. Having the lock, a
            # row that is not there now will never be.
            if name in known([name]):
                return False
            self.trash.put(self.path(name))
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)


class RemoteUpload:
    """An object being sent: whole when it is small, else in parts, visible at `finish`."""

    def __init__(self, store: Any, name: str) -> None:  # noqa: ANN401 - obstore has many stores
        self._store = store
        self._name = name
        self._writer: Any = obstore.open_writer(store, name, buffer_size=_REMOTE_BUFFER_BYTES)
        self._removable = True

    def write(self, content: memoryview | bytes) -> None:
        """Add bytes."""
        try:
            # The writer keeps what it is given until it is sent; a view may be reused before.
            self._writer.write(bytes(content))
        except (BaseError, OSError):
            raise UnavailableError("the object store cannot be written") from None

    def finish(self) -> None:
        """Return once the store has acknowledged the whole object."""
        try:
            self._writer.close()
        except (BaseError, OSError):
            raise UnavailableError("the object store cannot be written") from None

    def release(self) -> None:
        """Keep the object."""
        self._removable = False

    def discard(self) -> None:
        """Remove what was sent; what fails here is left to a sweep."""
        if not self._removable:
            return
        self._removable = False
        try:
            if not self._writer.closed():
                self._writer.close()
            obstore.delete(self._store, self._name)
        except (BaseError, OSError):
            return


class RemoteDownload:
    """An object of a store, read by ranges."""

    def __init__(self, store: Any, name: str) -> None:  # noqa: ANN401 - obstore has many stores
        self._store = store
        self._name = name
        self.size: int = _asked(lambda: obstore.head(store, name)["size"])

    def read_range(self, offset: int, length: int) -> bytes | memoryview:
        """Those bytes."""
        if length == 0 or offset >= self.size:
            return b""
        length = min(length, self.size - offset)
        return memoryview(
            _asked(lambda: obstore.get_range(self._store, self._name, start=offset, length=length))
        )

    def close(self) -> None:
        """Nothing is held open."""


class RemoteFolder:
    """Objects in an object store of any URL that obstore knows (s3://, az://, gs://, ...).

    Args:
        url: where; credentials come from the environment, as the cloud's own tools take them.
        now: the time, aware of its zone.
    """

    def __init__(
        self, url: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        try:
            self._store = obstore.store.from_url(url)
        except (BaseError, ValueError):
            raise UnavailableError("the URL of the blob store is not understood") from None
        self._now = now

    def path(self, name: str) -> None:
        """No file."""

    def create(self, name: str) -> RemoteUpload:
        """Begin a new object."""
        return RemoteUpload(self._store, _checked(name))

    def open(self, name: str) -> RemoteDownload:
        """Open an object for reading."""
        return RemoteDownload(self._store, _checked(name))

    def delete(self, name: str) -> None:
        """Remove an object."""
        self._delete(_checked(name))

    def _delete(self, path: str) -> None:
        try:
            obstore.delete(self._store, path)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError):
            raise UnavailableError("the object store cannot be written") from None

    def _objects(self) -> Iterator[dict[str, Any]]:
        for batch in obstore.list(self._store):
            yield from (entry for entry in batch if is_id(entry["path"]))

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Name and size of every object of ours."""
        for entry in self._objects():
            yield entry["path"], entry["size"]

    def sweep(self, known: KnownIds) -> list[str]:
        """Put what has no row and is older than a day into the trash, and empty that.

        A day, because no writer can be seen from here.
        """
        self._empty_trash()
        before = self._now() - _REMOTE_GRACE
        removed = []
        old = (entry["path"] for entry in self._objects() if entry["last_modified"] < before)
        for names in _batches(old):
            for name in sorted(set(names) - known(names)):
                if self._move(name, f"{FOLDER}/{name}"):
                    removed.append(name)  # noqa: PERF401 # what moved stays known where one fails
        return removed

    def take_back(self, names: Iterable[str]) -> list[str]:
        """Bring back from the trash what has a row after all."""
        return [name for name in names if self._move(f"{FOLDER}/{name}", name)]

    def _move(self, old: str, new: str) -> bool:
        try:
            obstore.rename(self._store, old, new)
        except (NotFoundError, FileNotFoundError):
            return False
        except (BaseError, OSError):
            raise UnavailableError("the object store cannot be written") from None
        return True

    def _empty_trash(self) -> None:
        before = self._now() - KEPT
        for batch in obstore.list(self._store, prefix=FOLDER):
            for entry in batch:
                # The copy is as old as its time in the trash.
                if entry["last_modified"] < before:
                    self._delete(entry["path"])


def open_folder(location: Path | str, reserve_bytes: int = 0) -> Folder:
    """The folder at a path, or at the URL of an object store, which reserves nothing."""
    if isinstance(location, Path):
        return LocalFolder(location, reserve_bytes)
    if location.startswith("file://"):
        return LocalFolder(Path(location.removeprefix("file://")), reserve_bytes)
    return RemoteFolder(location)


def _create_locked(path: Path) -> int:
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _checked(name: str) -> str:
    if not is_id(name):
        raise ValueError("not an id of ours")
    return name


def _asked(question: Callable[[], Any]) -> Any:  # noqa: ANN401 - obstore's answers are untyped
    try:
        return question()
    except (NotFoundError, FileNotFoundError):
        raise TamperedError("the bytes of the object are missing") from None
    except (BaseError, OSError):
        raise UnavailableError("the object store cannot be read") from None


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for name in names:
        batch.append(name)
        if len(batch) == _SWEEP_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
