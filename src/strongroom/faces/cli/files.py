"""Files that commands read: found below a path, opened once, never a link, device or pipe."""

import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from strongroom.errors import CallerError, StrongroomError, TooLargeError, UsageError

STDIN = "-"
STDIN_SHOWN = "stdin"
_STORES = frozenset({".git", ".hg", ".svn", ".bzr"})
"""Folders of version control: packed objects, which no reader here can open."""
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_MEMORY_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """How much of a folder is read.

    Attributes:
        files: number of files, all paths together.
        file_bytes: of one file.
        depth: folders in folders.
        held_bytes: of stdin, for forms that must be held whole.
    """

    files: int = 100_000
    file_bytes: int = 1 << 40
    depth: int = 64
    held_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A regular file, open for reading from its start; closed when the next one is asked for.

    Attributes:
        shown: its path as people know it.
        inside: its path below the folder that was given; its name where it was given itself.
    """

    shown: str
    inside: PurePosixPath
    handle: BinaryIO
    size: int
    identity: tuple[int, int]


@dataclass(frozen=True, slots=True)
class NotRead:
    """What was met and not opened.

    Attributes:
        is_problem: it should have been read: the command has not done its whole work.
    """

    shown: str
    reason: str
    is_problem: bool


class _Count:
    """Files met so far."""

    def __init__(self, limits: WalkLimits) -> None:
        self.limits = limits
        self.left = limits.files


def walk(paths: Iterable[Path], limits: WalkLimits) -> Iterator[OpenedFile | NotRead]:
    """Every file of `paths`: files as they are, folders with all below, in order of names.

    Hidden files are read as well. Links, devices, pipes and sockets are left out and said;
    a link that was given itself is followed.

    Raises:
        UsageError: there is nothing at a path, or it is no file and no folder.
    """
    count = _Count(limits)
    for path in paths:
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise _missing(path, error) from None
        if stat.S_ISDIR(mode):
            yield from _folder(path, count)
        elif stat.S_ISREG(mode):
            yield from _one(path, count)
        else:
            raise UsageError(
                f"`{path}` is neither a file nor a folder", next_step="give `-` to read stdin"
            )


def _missing(path: Path, error: OSError) -> StrongroomError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UsageError(f"there is nothing at `{path}`", next_step="check the path")
    return CallerError(f"cannot read `{path}`: {error.strerror}", next_step="check who may read it")


def _one(path: Path, count: _Count) -> Iterator[OpenedFile | NotRead]:
    try:
        handle = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        raise _missing(path, error) from None
    yield from _given(handle, str(path), PurePosixPath(path.name), count)


def _folder(top: Path, count: _Count) -> Iterator[OpenedFile | NotRead]:
    """Files below `top`. Steps go by handle: a folder swapped for a link leads nowhere."""
    met: list[NotRead] = []

    def unreadable(error: OSError) -> None:
        met.append(NotRead(str(error.filename), f"cannot be read: {error.strerror}", True))

    for base, folders, names, handle in os.fwalk(top, onerror=unreadable, follow_symlinks=False):
        yield from met
        met.clear()
        inside = PurePosixPath(Path(base).relative_to(top).as_posix())
        yield from _pruned(Path(base), inside, folders, handle, count.limits.depth)
        for name in sorted(names):
            yield from _entry(Path(base) / name, inside / name, name, handle, count)
    yield from met


def _pruned(
    base: Path, inside: PurePosixPath, folders: list[str], handle: int, depth: int
) -> Iterator[NotRead]:
    """Take out of `folders` what must not be entered, and say it."""
    folders.sort()
    for name in tuple(folders):
        reason, is_problem = "", False
        try:
            is_link = stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)
        except OSError:
            is_link = False  # entering it will fail and be said
        if is_link:
            reason = "a link: not followed"
        elif name in _STORES:
            reason = "a store of version control: not looked into"
        elif len(inside.parts) + 1 >= depth:
            reason, is_problem = f"more than {depth} folders deep", True
        if reason:
            folders.remove(name)
            yield NotRead(str(base / name), reason, is_problem)


def _entry(
    path: Path, inside: PurePosixPath, name: str, folder: int, count: _Count
) -> Iterator[OpenedFile | NotRead]:
    """One name in an open folder."""
    shown = str(path)
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            yield NotRead(shown, "a link: not followed", False)
            return
        if not stat.S_ISREG(mode):
            yield NotRead(shown, "a device, pipe or socket: never opened", False)
            return
        # What was looked at may have been swapped since: no link is followed here, a pipe does
        # not block, and the open handle is asked again what it is.
        handle = os.open(name, _OPEN_FLAGS | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        yield NotRead(shown, f"cannot be read: {error.strerror}", True)
        return
    yield from _given(handle, shown, inside, count)


def _given(
    handle: int, shown: str, inside: PurePosixPath, count: _Count
) -> Iterator[OpenedFile | NotRead]:
    """An open handle as a file, if it is one within the limits; closed afterwards."""
    with os.fdopen(handle, "rb") as opened:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            yield NotRead(shown, "a device, pipe or socket: never opened", False)
        elif found.st_size > count.limits.file_bytes:
            yield NotRead(shown, f"has more than {count.limits.file_bytes:,} bytes", True)
        elif count.left <= 0:
            raise TooLargeError(
                f"there are more than {count.limits.files:,} files",
                next_step="raise --max-files, or give fewer folders",
            )
        else:
            count.left -= 1
            os.set_blocking(handle, True)
            identity = (found.st_dev, found.st_ino)
            yield OpenedFile(shown, inside, opened, found.st_size, identity)


def stdin_stream() -> BinaryIO | Iterator[bytes]:
    """Standard input: as it is where it is a file, else a stream. Raises: UsageError."""
    source = cast("BinaryIO", sys.stdin.buffer)
    if sys.stdin.isatty():
        raise UsageError("nothing is sent to stdin", next_step="pipe a file into the command")
    return source if source.seekable() else iter(lambda: source.read(_MEMORY_PIECE), b"")


def stdin_file(limits: WalkLimits) -> BinaryIO:
    """Standard input as a file: held in memory where it is a stream.

    Raises:
        UsageError: stdin is a terminal.
        TooLargeError: it must be held, and is larger than the limit.
    """
    source = stdin_stream()
    if hasattr(source, "seek"):
        return cast("BinaryIO", source)
    held = io.BytesIO()
    for piece in source:
        if held.tell() + len(piece) > limits.held_bytes:
            raise TooLargeError(
                f"stdin has more than {limits.held_bytes:,} bytes, which must be held in memory",
                next_step="write it to a file and give that",
            )
        held.write(piece)
    held.seek(0)
    return held


def one_file(path: str) -> Iterator[tuple[BinaryIO, str]]:
    """What is read of a command's one file, or of standard input: open bytes and their name.

    Raises:
        UsageError: it is a folder, or cannot be read.
    """
    if path == STDIN:
        yield stdin_file(WalkLimits()), STDIN_SHOWN
        return
    if Path(path).is_dir():
        raise UsageError(f"`{path}` is a folder", next_step="give a file")
    for one in walk([Path(path)], WalkLimits(files=1)):
        if isinstance(one, NotRead):
            raise UsageError(f"`{path}`: {one.reason}")
        yield one.handle, one.inside.name
