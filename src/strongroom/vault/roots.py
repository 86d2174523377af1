"""The root key: the one secret that everything else is sealed under, kept by the owner.

`LocalRoot` keeps it in a file of the home folder, in clear or under a passphrase. The file is
JSON with its format named, mode 0600; one that others may read is refused.
"""

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Protocol, Self

from strongroom.engines.crypto.deriving import derive, derive_from_passphrase
from strongroom.engines.crypto.wrapping import unwrap, wrap
from strongroom.errors import HomeError, KeyUnavailableError, StrongroomError, TamperedError
from strongroom.vault.durable import sync_file, sync_folder, write_all

_FORMAT = "strongroom root key 1"
_MAX_FILE_BYTES = 4096
_MEMORY_KIB, _PASSES, _LANES = 1 << 16, 3, 4
_MAX_MEMORY_KIB = 1 << 20
_PASSPHRASE_CONTEXT = b"strongroom root key under a passphrase"


class Root(Protocol):
    """What wraps workspace keys; a key service can stand here as well as a file."""

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """Wrap a secret, bound to its context."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap it again. Raises TamperedError, KeyUnavailableError."""

    def derive(self, purpose: bytes) -> bytes:
        """32 bytes that are always the same for one purpose."""


class LocalRoot:
    """A root key in this process's memory. Make it with `create` or `open`."""

    def __init__(self, key: bytes) -> None:
        # Two uses, two keys: what HKDF derives for services never equals the wrapping key.
        self._wrapping_key = derive(key, b"strongroom/1/root/wrapping")
        self._deriving_key = derive(key, b"strongroom/1/root/deriving")

    @classmethod
    def create(cls, path: Path, passphrase: bytes | None = None) -> Self:
        """Make a new root key in a new file.

        Raises:
            HomeError: the file exists already, or cannot be written.
        """
        key = secrets.token_bytes(32)
        if passphrase is None:
            fields: dict[str, object] = {"format": _FORMAT, "key": key.hex()}
        else:
            salt = secrets.token_bytes(16)
            wrapping_key = derive_from_passphrase(
                passphrase, salt, memory_kib=_MEMORY_KIB, passes=_PASSES, lanes=_LANES
            )
            fields = {
                "format": _FORMAT,
                "wrapped": wrap(wrapping_key, key, _PASSPHRASE_CONTEXT).hex(),
                "salt": salt.hex(),
                "memory_kib": _MEMORY_KIB,
                "passes": _PASSES,
                "lanes": _LANES,
            }
        _write_new(path, json.dumps(fields).encode() + b"\n")
        return cls(key)

    @classmethod
    def open(cls, path: Path, passphrase: bytes | None = None) -> Self:
        """Read the root key from its file.

        Raises:
            HomeError: no such file, others may read it, or it is not a root key.
            KeyUnavailableError: it needs a passphrase, or another one.
        """
        content = read_private_file(path)
        try:
            fields = json.loads(content)
            if fields["format"] != _FORMAT:
                raise HomeError("the root key file has an unknown format")
            if "key" in fields:
                key = bytes.fromhex(fields["key"])
            elif passphrase is None:
                raise KeyUnavailableError("the root key is under a passphrase")
            else:
                key = _unwrap_with(passphrase, fields)
        except StrongroomError:
            raise
        except (ValueError, KeyError, TypeError):
            raise HomeError("the root key file is damaged") from None
        if len(key) != 32:
            raise HomeError("the root key file is damaged")
        return cls(key)

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """Wrap a secret, bound to its context."""
        return wrap(self._wrapping_key, secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap it again.

        Raises:
            TamperedError: changed, or wrapped by another root or for another context.
        """
        return unwrap(self._wrapping_key, wrapped, context)

    def derive(self, purpose: bytes) -> bytes:
        """32 bytes that are always the same for one purpose."""
        return derive(self._deriving_key, purpose)


def _unwrap_with(passphrase: bytes, fields: dict[str, object]) -> bytes:
    """The root key out of the fields of its file."""
    memory_kib, passes, lanes = fields["memory_kib"], fields["passes"], fields["lanes"]
    salt, wrapped = fields["salt"], fields["wrapped"]
    if not (
        isinstance(memory_kib, int)
        and isinstance(passes, int)
        and isinstance(lanes, int)
        and isinstance(salt, str)
        and isinstance(wrapped, str)
        and 0 < lanes <= 64
        and 8 * lanes <= memory_kib <= _MAX_MEMORY_KIB
        and 0 < passes <= 64
    ):
        raise HomeError("the root key file is damaged")
    wrapping_key = derive_from_passphrase(
        passphrase, bytes.fromhex(salt), memory_kib=memory_kib, passes=passes, lanes=lanes
    )
    try:
        return unwrap(wrapping_key, bytes.fromhex(wrapped), _PASSPHRASE_CONTEXT)
    except TamperedError:
        raise KeyUnavailableError("the passphrase does not open the root key") from None


def read_passphrase(path: Path) -> bytes:
    """The passphrase in a file, without the line end that editors add.

    Raises:
        HomeError: no such file, others may read it, or it is empty.
    """
    passphrase = read_private_file(path).rstrip(b"\r\n")
    if not passphrase:
        raise HomeError(f"`{path}` holds no passphrase")
    return passphrase


def read_private_file(path: Path) -> bytes:
    """A small file that only its owner may read; a link is not followed.

    Raises:
        HomeError: no such file, too long, or others may read or write it.
    """
    try:
        # Without O_NONBLOCK the open itself would wait for a writer, were it a pipe.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise HomeError(f"`{path}` is not a file")
            if status.st_mode & 0o077 or status.st_uid not in (os.geteuid(), 0):
                raise HomeError(
                    f"`{path}` may be read or written by others",
                    next_step="look who could have read it; then make it yours with mode 0600",
                )
            content = os.read(descriptor, _MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HomeError(f"cannot read `{path}`: {(error.strerror or 'error').lower()}") from None
    if len(content) > _MAX_FILE_BYTES:
        raise HomeError(f"`{path}` is too long")
    return content


def _write_new(path: Path, content: bytes) -> None:
    """Create the file whole or not at all; never replace one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                write_all(descriptor, content)
                sync_file(descriptor)
            finally:
                os.close(descriptor)
            # A crash before this line leaves a draft of a key that sealed nothing. `link`
            # refuses an existing name, where `rename` would replace a key in use.
            os.link(draft, path)
        finally:
            draft.unlink()
        sync_folder(path.parent)
    except FileExistsError:
        raise HomeError(f"`{path}` exists already and is not replaced") from None
    except OSError as error:
        raise HomeError(f"cannot write `{path}`: {(error.strerror or 'error').lower()}") from None
