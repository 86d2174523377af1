"""What lies in a folder or in a tar: names, sizes and bytes, without unpacking anything.

Links, devices, pipes, sparse files, compressed tars and names that leave the folder are refused.
"""

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, cast

from strongroom.engines.crypto.model_signature import Serialization
from strongroom.errors import CallerError, TooLargeError, ValidationError
from strongroom.faces.cli.model_folder import FoundFile, Look, OpenFiles, find, hash_files

MAX_MEMBERS = 60_000
"""Of a tar, folders with the files."""
MAX_HEADER_BYTES = 1 << 20
"""Of one header of a tar; names take a few hundred."""
_PIECE_BYTES = 1 << 20
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a folder or tar: `size` bytes of `place`, from `start` on."""

    path: str
    place: FoundFile
    start: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Its bytes.

        Raises:
            CallerError: the file on disk ended early, or another was put in its place.
        """
        done = 0
        with OpenFiles() as files:
            while done < self.size:
                wanted = min(_PIECE_BYTES, self.size - done)
                piece = files.read(self.place, wanted, self.start + done)
                if not piece:
                    raise CallerError(f"`{self.path}` ended early")
                done += len(piece)
                yield piece

    def content(self, most_bytes: int) -> bytes:
        """All of it. Raises: TooLargeError, and as `pieces`."""
        if self.size > most_bytes:
            raise TooLargeError(f"`{self.path}` has more than {most_bytes:,} bytes")
        return b"".join(self.pieces())


def members_of(path: Path) -> Mapping[str, Member]:
    """Files by name, of a folder or of a tar that is not compressed.

    Raises:
        UsageError, CallerError: there is nothing, or it cannot be read.
        ValidationError: something in it is no plain file, or it is no tar.
        TooLargeError: too many.
    """
    found = find(path, Serialization())
    if path.is_dir():
        return {file.path: Member(file.path, file, 0, file.size) for file in found.files}
    [file] = found.files
    members: dict[str, Member] = {}
    for member in _of_tar(file):
        if member.path in members:
            raise ValidationError(f"the tar has `{member.path}` twice")
        members[member.path] = member
    return members


def _of_tar(file: FoundFile) -> Iterator[Member]:
    with OpenFiles() as files:
        source = cast("IO[bytes]", _Headers(files.look(file)))
        end = 0
        try:
            with tarfile.TarFile(fileobj=source, mode="r") as tar:
                for count, info in enumerate(tar):
                    if count >= MAX_MEMBERS:
                        raise TooLargeError(f"a tar may have {MAX_MEMBERS:,} members")
                    end = info.offset_data + (0 if info.isdir() else info.size)
                    end += -end % _BLOCK
                    if info.size < 0 or end > file.size:
                        raise ValidationError(f"the tar ends within `{info.name}`")
                    if info.isdir():
                        continue
                    if not info.isreg() or info.issparse():
                        raise ValidationError(
                            f"`{info.name}` in the tar is no plain file",
                            next_step="pack the files themselves: no links, devices or sparse ones",
                        )
                    name = info.name.removeprefix("./")
                    yield Member(name, file, info.offset_data, info.size)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError):
            raise ValidationError(
                f"`{file.place.name}` is no tar that can be read",
                next_step="give a folder, or a tar that is not compressed",
            ) from None
        if files.read(file, _BLOCK, end) != bytes(_BLOCK):
            raise ValidationError("the tar ends early, or goes on where none does")


class _Headers:
    """A tar for `tarfile`, of which headers are read and nothing large."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too large")
        return self._look.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._look.seek(offset, whence)

    def tell(self) -> int:
        return self._look.seek(0, 1)


def digests_of(members: Sequence[Member]) -> list[str]:
    """SHA-256 of each, hex, in the same order; files of a folder in threads.

    Raises: as `Member.pieces`.
    """
    whole = [member.place for member in members if member.size == member.place.size]
    if len(whole) == len(members):
        known = {one.path: one.digest for one in hash_files(whole, Serialization())}
        return [known[member.place.path] for member in members]
    found = []
    for member in members:
        hasher = sha256()
        for piece in member.pieces():
            hasher.update(piece)
        found.append(hasher.hexdigest())
    return found
