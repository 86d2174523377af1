"""Files that commands write: whole or not at all, and never over what is there unless asked."""

import errno
import os
import secrets
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from strongroom.errors import CallerError, ConflictError, StorageFullError, StrongroomError

_UNNAMED = getattr(os, "O_TMPFILE", 0)
_MODE = 0o666
"""As other programs: what the umask leaves of it."""


def require_free(to: Path, *, force: bool) -> None:
    """Raise ConflictError where something is at `to` and may not be replaced.

    A device, pipe or socket never is: by root /dev/null itself would become a file.
    """
    if to.is_dir():
        raise ConflictError(f"`{to}` is a folder", next_step="give the name of a file")
    if to.exists() and not to.is_file():
        raise ConflictError(
            f"`{to}` is no file but a device or pipe", next_step="give the name of a file"
        )
    if not force and os.path.lexists(to):
        raise ConflictError(
            f"`{to}` is there already", next_step="give another name, or --force to replace it"
        )


def require_apart(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Raise ConflictError where a file to write is one that is read, or written twice.

    Links and other spellings of a name count: also with `--force` nothing that is read is lost.
    """
    read = {_identity(path) for path in inputs if path is not None}
    seen: set[object] = set()
    for to in outputs:
        if to is None:
            continue
        identity = _identity(to)
        if identity in read:
            raise ConflictError(
                f"`{to}` is a file that is read", next_step="give another name for the output"
            )
        if identity in seen:
            raise ConflictError(f"`{to}` would be written twice", next_step="give two names")
        seen.add(identity)


def _identity(path: Path) -> object:
    """Equal for two names of one file."""
    if path.exists():
        found = path.stat()
        return found.st_dev, found.st_ino
    return path.resolve()


@contextmanager
def draft(to: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to write; it appears at `to` when the block ends well, and leaves nothing otherwise.

    Where the file system can, the draft has no name, so that not even a killed process leaves
    one. Raises ConflictError where something has come to `to` meanwhile.
    """
    require_free(to, force=force)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _failed(to, error) from None
    try:
        kind = _unnamed if _can_be_unnamed(to.parent) else _named
        with kind(to, force=force) as file:
            yield file
    except FileExistsError:
        raise ConflictError(
            f"`{to}` is there already", next_step="give another name, or --force to replace it"
        ) from None
    except OSError as error:
        raise _failed(to, error) from None


def _failed(to: Path, error: OSError) -> StrongroomError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFullError(f"no room to write `{to}`")
    return CallerError(
        f"cannot write `{to}`: {error.strerror}", next_step="check the folder and who may write it"
    )


def _can_be_unnamed(folder: Path) -> bool:
    if not _UNNAMED or not Path("/proc/self/fd").is_dir():
        return False
    try:
        os.close(os.open(folder, _UNNAMED | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError:
        return False
    return True


@contextmanager
def _unnamed(to: Path, *, force: bool) -> Iterator[BinaryIO]:
    handle = os.open(to.parent, _UNNAMED | os.O_WRONLY | os.O_CLOEXEC, _MODE)
    with os.fdopen(handle, "wb") as file:
        yield file
        _settle(file)
        source = f"/proc/self/fd/{handle}"
        if not force:
            _link(source, to)
            return
        # A link cannot replace: it gets a name for the moment between these two calls.
        between = _name_beside(to)
        _link(source, between)
        try:
            between.replace(to)
        except BaseException:
            between.unlink(missing_ok=True)
            raise


def _link(source: str, to: Path) -> None:
    """Give an open file a name. Only with a folder's handle does `os.link` follow /proc's link."""
    folder = os.open(to.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(source, to.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


@contextmanager
def _named(to: Path, *, force: bool) -> Iterator[BinaryIO]:
    between = _name_beside(to)
    try:
        handle = os.open(between, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _MODE)
        with os.fdopen(handle, "wb") as file:
            yield file
            _settle(file)
        if force:
            between.replace(to)
        else:
            _named_once(between, to)
    finally:
        between.unlink(missing_ok=True)


def _named_once(between: Path, to: Path) -> None:
    """Give a file its name unless that is taken; some file systems know no second names."""
    try:
        os.link(between, to)
    except FileExistsError:
        raise
    except OSError:
        require_free(to, force=False)
        between.rename(to)


def _name_beside(to: Path) -> Path:
    return to.with_name(f".{to.name[:100]}.{secrets.token_hex(4)}.part")


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


class _EndedError(SystemExit):
    """A signal asked the command to end."""


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Within the block a request to end (TERM, HUP) unwinds the stack: drafts are removed."""

    def end(number: int, _frame: object) -> None:
        raise _EndedError(128 + number)

    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        with suppress(ValueError):  # not the main thread: the caller has its own way to end
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
