"""The files of a model on disk: found without following links, hashed in threads.

A file that changes while it is read is noticed and nothing is signed or believed of it.
"""

import hashlib
import importlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, cast

from strongroom.engines.crypto.model_signature import WHOLE_FILE, Resource, Serialization
from strongroom.errors import CallerError, TooLargeError, UsageError, ValidationError

MAX_FILES = 50_000
_READ_BYTES = 1 << 20
_BATCH = 64
_LOOK_BYTES = 1 << 24
_DIRECT = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class _Hasher(Protocol):
    def update(self, data: memoryview, /) -> object: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of the model.

    Attributes:
        path: relative to the model's folder; `.` where the model is one file.
        place: where it lies.
        size: in bytes.
        stamp: what differs once somebody has written to it or put another in its place.
    """

    path: str
    place: Path
    size: int
    stamp: tuple[int, ...]

    @classmethod
    def of(cls, path: str, place: Path, status: os.stat_result) -> Self:
        """The file of that status."""
        return cls(path, place, status.st_size, _stamp(status))


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """What lies at a place.

    Attributes:
        name: of the folder or file.
        files: those that the signature covers.
        uncovered: paths of files that it leaves out.
    """

    name: str
    files: tuple[FoundFile, ...]
    uncovered: tuple[str, ...]


def find(path: Path, how: Serialization) -> ModelFolder:
    """The files of a model.

    Raises:
        CallerError: there is nothing, or it cannot be read.
        ValidationError: a link that is not to be followed, a device, a name that is not UTF-8.
        TooLargeError: more files than a model may have.
    """
    name = path.resolve().name
    if path.is_file() and (how.follows_links or not path.is_symlink()):
        return ModelFolder(name, (FoundFile.of(WHOLE_FILE, path, path.stat()),), ())
    if path.is_symlink() and not how.follows_links:
        raise ValidationError(f"`{path}` is a link", next_step="name what it points at")
    if not path.is_dir():
        raise UsageError(f"there is no file or folder at `{path}`")
    files, uncovered = [], []
    for found in _walk(path, "", how):
        if how.covers(found.path):
            files.append(found)
        else:
            uncovered.append(found.path)
        if len(files) + len(uncovered) > MAX_FILES:
            raise TooLargeError(f"a model may have {MAX_FILES:,} files")
    return ModelFolder(name, tuple(files), tuple(uncovered))


def _walk(folder: Path, prefix: str, how: Serialization) -> Iterator[FoundFile]:
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise CallerError(f"cannot read `{folder}`: {error.strerror}") from None
    for entry in ordered:
        path = prefix + entry.name
        if not _is_text(path):
            raise ValidationError(f"the name of `{path!a}` is not UTF-8")
        is_link = entry.is_symlink()
        if not how.covers(path) and is_link:
            continue
        if is_link and (not how.follows_links or entry.is_dir()):
            raise ValidationError(
                f"`{path}` is a link{' to a folder' if how.follows_links else ''}",
                next_step="put the file itself there, or add --follow-links"
                if not how.follows_links
                else "put the folder itself there",
            )
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{path}/", how)
        elif entry.is_file():
            yield FoundFile.of(path, Path(entry.path), entry.stat())
        elif how.covers(path):
            raise ValidationError(f"`{path}` is neither a file nor a folder")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# ---- hashing ----


def hash_files(
    files: Sequence[FoundFile], how: Serialization, meanwhile: Callable[[], None] | None = None
) -> list[Resource]:
    """The digests of `files`, in threads; each file, or each piece of a sharded one, in one.

    Args:
        meanwhile: done in this thread while the others hash.

    Raises:
        CallerError: a file cannot be read, or changed meanwhile.
        ValidationError: no library for the algorithm is here.
    """
    make = _hasher(how.algorithm)
    work: list[list[tuple[FoundFile, int, int | None]]] = []
    small: list[tuple[FoundFile, int, int | None]] = []
    # Large ones first, so that none is left for the end; small ones in batches.
    for file in sorted(files, key=lambda file: -file.size):
        for start, end in _pieces(file.size, how.shard_bytes):
            if file.size >= _READ_BYTES:
                work.append([(file, start, end)])
            else:
                small.append((file, start, end))
    work += [small[at : at + _BATCH] for at in range(0, len(small), _BATCH)]
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1)) as threads:
        results = threads.map(
            lambda batch: [_hash(file, start, end, make) for file, start, end in batch], work
        )
        if meanwhile is not None:
            meanwhile()
        return [resource for batch in results for resource in batch]


def _pieces(size: int, shard: int | None) -> Iterator[tuple[int, int | None]]:
    if shard is None:
        yield 0, None
        return
    for start in range(0, size, shard):
        yield start, min(start + shard, size)


def _hash(file: FoundFile, start: int, end: int | None, make: Callable[[], _Hasher]) -> Resource:
    hasher = make()
    until = file.size if end is None else end
    buffer = memoryview(bytearray(min(_READ_BYTES, max(until - start, 1))))
    try:
        handle = os.open(file.place, _DIRECT)
        try:
            _require_same(file, os.fstat(handle))
            at = start
            while at < until and (count := os.preadv(handle, [buffer[: until - at]], at)):
                hasher.update(buffer[:count])
                at += count
            _require_same(file, os.fstat(handle))
        finally:
            os.close(handle)
    except OSError as error:
        raise CallerError(f"cannot read `{file.path}`: {error.strerror}") from None
    if at != until:
        raise CallerError(f"`{file.path}` ended early")
    return Resource(file.path, hasher.hexdigest(), start, end)


def require_unchanged(files: Sequence[FoundFile]) -> None:
    """Return if nobody has written to the files since they were found.

    Raises:
        CallerError: somebody has.
    """
    for file in files:
        try:
            _require_same(file, file.place.stat())
        except OSError as error:
            raise CallerError(f"cannot read `{file.path}`: {error.strerror}") from None


def _require_same(file: FoundFile, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or _stamp(status) != file.stamp:
        raise CallerError(
            f"`{file.path}` changed while it was read", next_step="let nobody write there meanwhile"
        )


def _hasher(algorithm: str) -> Callable[[], _Hasher]:
    if algorithm == "sha256":
        return hashlib.sha256
    if algorithm == "blake2b":
        return hashlib.blake2b
    try:
        # Of those who sign with it only; it is no dependency of ours.
        blake3 = importlib.import_module("blake3")
    except ImportError:
        raise ValidationError(
            "the model was hashed with BLAKE3, for which there is no library here",
            next_step="run `pip install blake3`",
        ) from None
    return cast("Callable[[], _Hasher]", blake3.blake3)


# ---- looking ----


class OpenFiles:
    """Looks into files at any place; one file is open at a time, however many look into it."""

    def __init__(self) -> None:
        self._place: Path | None = None
        self._handle = -1

    def look(self, file: FoundFile) -> "Look":
        """A reader at the start of the file; it need not be closed."""
        return Look(self, file)

    def read(self, file: FoundFile, count: int, at: int) -> bytes:
        """Up to `count` bytes from `at` on. Raises CallerError where the file is another."""
        if self._place != file.place:
            self.close()
            self._handle, self._place = os.open(file.place, _DIRECT), file.place
            _require_same(file, os.fstat(self._handle))
        return os.pread(self._handle, count, at)

    def close(self) -> None:
        """Let go of the file that is open."""
        if self._place is not None:
            os.close(self._handle)
            self._place = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Look:
    """A place in a file of `OpenFiles`."""

    def __init__(self, files: OpenFiles, file: FoundFile) -> None:
        self._files = files
        self._file = file
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, fewer of a long file; empty only at the end."""
        if size < 0:
            size = self._file.size - self._at
        content = self._files.read(self._file, min(size, _LOOK_BYTES), self._at)
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, counted as for any file."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        self._at = max(base + offset, 0)
        return self._at
