"""What a backup says of itself: every file with size and digest, under a signature.

    FOLDER/
      blobs/ab/ab…              sealed objects; all backups in the folder share them
      20261126T231500Z/         one backup, there when it is whole
        manifest.json
        manifest.note           signed note (C2SP) by the log's key over the manifest's digest
        manifest.mac            HMAC-SHA-256 of the manifest under a key derived from the root
        database.sqlite         or database.pgdump
        home/…                  the small files of the home folder

Nothing in it is in clear that is sealed in the home. The root key is in it only where asked for.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from strongroom.engines.ledger.checkpoint import LogKey, Sign, open_note
from strongroom.errors import NotFoundError, TamperedError, UnavailableError
from strongroom.vault.folders import is_id

MANIFEST = "manifest.json"
NOTE = "manifest.note"
MAC = "manifest.mac"
MAC_SECRET = "backup manifest"  # noqa: S105 # what a secret is for
ROOT_SECRET = "backup root"  # noqa: S105 # the same
BLOBS = "blobs"
HOME = "home"
ROOT_KEY = f"{HOME}/root.key"
MAX_MANIFEST_BYTES = 1 << 30
"""Some 100 bytes for each blob: ten million of them."""

_FORMAT = 1
_KIND = "strongroom backup"
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,4})?", re.ASCII)
_NAME = re.compile(r"(home/)?[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}(/[a-zA-Z0-9][a-zA-Z0-9._-]{0,99})?")
_CHUNK = 1 << 20
_MAX_NOTE = 64 * 1024
_MAX_MAC = 1024

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) now and then."""


@dataclass(frozen=True, slots=True)
class FileDigest:
    """Size in bytes, and SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    Attributes:
        made_at: moment of the database's snapshot, ISO 8601, UTC.
        dialect: sqlite or postgresql.
        root: which root key opens it, without saying anything about that key.
        log_key: of the log in it, `name+id+base64`.
        log_size: signed entries of the log in it.
        log_root: their root, hexadecimal.
        seals: lines of the journal of sealed changes.
        head: of that journal, hexadecimal.
        is_last: made while no server ran, so that nothing was in progress.
        files: by path in the backup.
        blobs: by id.
    """

    made_at: str
    dialect: str
    root: str
    log_key: str
    log_size: int
    log_root: str
    seals: int
    head: str
    is_last: bool
    files: dict[str, FileDigest] = field(default_factory=dict)
    blobs: dict[str, FileDigest] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """Bytes of all that it names."""
        return sum(each.size for each in (*self.files.values(), *self.blobs.values()))

    def encode(self) -> bytes:
        """The content of `manifest.json`."""
        return json.dumps({"kind": _KIND, "format": _FORMAT, **asdict(self)}, indent=1).encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """The manifest of a file's content. Raises TamperedError where it is none."""
        try:
            fields: dict[str, Any] = json.loads(content)
            if fields.pop("kind") != _KIND or fields.pop("format") != _FORMAT:
                raise ValueError
            for name in ("files", "blobs"):
                fields[name] = {
                    str(path): FileDigest(int(each["size"]), str(each["sha256"]))
                    for path, each in fields[name].items()
                }
            manifest = cls(**fields)
            known = all(map(_NAME.fullmatch, manifest.files)) and all(map(is_id, manifest.blobs))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TamperedError("the manifest of the backup is not of this form") from None
        if not known:
            raise TamperedError("the manifest of the backup names a file that is not of a backup")
        return manifest

    def signed(self, key: LogKey, sign: Sign) -> bytes:
        """The content of `manifest.note`."""
        text = _signed_text(self.encode())
        return f"{text}\n{key.signature_line(text, sign)}".encode()


def mac_of(content: bytes, secret: bytes) -> bytes:
    """The content of `manifest.mac` for that of `manifest.json`; `secret` is of the root."""
    return hmac.digest(secret, content, "sha256").hex().encode()


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup in a folder of them."""

    folder: Path
    path: Path
    manifest: Manifest
    content: bytes
    note: bytes
    mac: bytes

    @classmethod
    def open(cls, path: Path) -> Self:
        """The backup at `path`, or the newest one in the folder `path`.

        Raises:
            NotFoundError: there is none. TamperedError: its manifest is not one.
        """
        if not (path / MANIFEST).is_file():
            made = backups_in(path)
            if not made:
                raise NotFoundError(f"there is no whole backup in `{path}`")
            path = made[-1]
        content = read_limited(path / MANIFEST, MAX_MANIFEST_BYTES)
        note = read_limited(path / NOTE, _MAX_NOTE)
        mac = read_limited(path / MAC, _MAX_MAC)
        return cls(path.parent, path, Manifest.decode(content), content, note, mac)

    def blob(self, name: str) -> Path:
        """The file of a blob."""
        return self.folder / BLOBS / name[:2] / name

    def items(self) -> Iterator[tuple[str, Path, FileDigest]]:
        """Name, file and digest of everything the manifest names."""
        for name, digest in self.manifest.files.items():
            yield name, self.path / name, digest
        for name, digest in self.manifest.blobs.items():
            yield f"blob {name}", self.blob(name), digest

    def require_signed(self, keys: Sequence[LogKey]) -> None:
        """Return if the manifest was signed with one of `keys`. Raises TamperedError."""
        if open_note(self.note, keys) != _signed_text(self.content):
            raise TamperedError("the manifest of the backup is not the one that was signed")

    def require_made_under(self, secret: bytes) -> None:
        """Return if whoever made it had the root that `secret` is of. Raises TamperedError."""
        if not hmac.compare_digest(mac_of(self.content, secret), self.mac):
            raise TamperedError("the manifest of the backup is not the one that was made")

    def verify(self, progress: Progress | None = None) -> None:
        """Read every byte and compare it with the manifest, which proves nothing by itself.

        Raises:
            TamperedError: something is missing or was changed; the message names it.
        """
        done, total = 0, self.manifest.total_bytes
        for name, path, digest in self.items():
            try:
                with path.open("rb") as file:
                    found = digest_of(file)
            except FileNotFoundError:
                raise TamperedError(f"`{name}` is missing in the backup") from None
            except OSError as error:
                raise UnavailableError(f"cannot read the backup: {error.strerror}") from None
            if found != digest:
                raise TamperedError(f"`{name}` in the backup was changed")
            done += digest.size
            if progress is not None:
                progress(done, total)


def backups_in(folder: Path) -> list[Path]:
    """The whole backups in a folder, oldest first."""
    try:
        return sorted(
            entry
            for entry in folder.iterdir()
            if _STAMP.fullmatch(entry.name) and (entry / MANIFEST).is_file()
        )
    except OSError:
        return []


def digest_of(file: BinaryIO) -> FileDigest:
    """Size and digest of what is left in a file."""
    hasher, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    return FileDigest(size, hasher.hexdigest())


def read_limited(path: Path, limit: int) -> bytes:
    """A small file of a backup. Raises TamperedError where it is missing or too long."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise TamperedError(f"the backup lacks `{path.name}`") from None
    except OSError as error:
        raise UnavailableError(f"cannot read the backup: {error.strerror}") from None
    if len(content) > limit:
        raise TamperedError(f"`{path.name}` in the backup is too long")
    return content


def _signed_text(content: bytes) -> str:
    # Never a checkpoint, whose second line is a number.
    return f"strongroom backup\nsha256:{hashlib.sha256(content).hexdigest()}\n"
