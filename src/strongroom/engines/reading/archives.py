"""Zip archives: their members, checked before anything is unpacked, each as a stream.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.12 to 4.3.16 (central directory and its end records).
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from strongroom.engines.reading.source import Budget
from strongroom.engines.reading.types import ReadLimits
from strongroom.engines.reading.unpacking import Ratio
from strongroom.errors import FormatError, StrongroomError, TableError, TooLargeError

_CHUNK_BYTES = 1 << 18
_END_BYTES = 22
_LARGE_END_BYTES = 56 + 20
_LONGEST_COMMENT = 65_535
_MEMBER_BYTES = 46 + 1_024
"""What the central directory may hold of one member: its fixed part, and name and extra fields."""
_MAX_NAME = 1_024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError,
    NotImplementedError, OverflowError, LookupError,
)  # fmt: skip  # what zipfile raises on hostile bytes


class Archive:
    """A zip archive; only its directory has been read."""

    def __init__(self, file: BinaryIO, limits: ReadLimits, budget: Budget, members: int) -> None:
        """`members` is the most that it may have. Raises: TableError, TooLargeError."""
        self._limits = limits
        self._budget = budget
        _check_directory(file, members)
        try:
            self._zip = zipfile.ZipFile(file)
        except StrongroomError:
            raise
        except _BROKEN:
            raise _damaged() from None
        found = [member for member in self._zip.infolist() if not member.is_dir()]
        if len(found) > members:
            raise TooLargeError(f"the archive holds more than {members} files")
        self._members = {member.filename: member for member in found}
        if len(self._members) != len(found):
            raise TableError("two files in the archive have the same name")
        if any(len(name) > _MAX_NAME for name in self._members):
            raise TableError(f"a name in the archive has more than {_MAX_NAME} characters")

    @property
    def names(self) -> list[str]:
        """Names of the files in it, in its order."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Unpacked length of a member, as the directory says; `pieces` never gives more."""
        return self._members[name].file_size

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member's content, unpacked.

        Raises:
            FormatError: it is encrypted, or packed in an unusual way.
            TableError: it is damaged.
            TooLargeError: it unpacks to too much.
        """
        member = self._members[name]
        if member.flag_bits & _ENCRYPTED:
            raise FormatError(
                "a file in the archive is encrypted", next_step="unpack it, and read what comes out"
            )
        if member.compress_type not in _METHODS:
            raise FormatError(
                "a file in the archive is packed by another method than deflate",
                next_step="pack it with deflate, or unpack it first",
            )
        ratio = Ratio(self._limits, self._budget)
        ratio.packed_bytes = member.compress_size
        try:
            with self._zip.open(member) as stream:
                while piece := stream.read(_CHUNK_BYTES):
                    ratio.count(len(piece))
                    yield piece
        except StrongroomError:
            raise
        except _BROKEN:
            raise _damaged() from None


def _damaged() -> TableError:
    return TableError("the archive cannot be read: it is damaged or cut off")


def _check_directory(file: BinaryIO, members: int) -> None:
    """Refuse a directory that is too large before `zipfile` reads it whole."""
    length = file.seek(0, io.SEEK_END)
    start = max(0, length - _LARGE_END_BYTES - _END_BYTES - _LONGEST_COMMENT)
    file.seek(start)
    end = file.read(length - start)
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) - at < _END_BYTES:
        raise _damaged()
    count, size = struct.unpack_from("<HI", end, at + 10)
    # The records of zip64 stand right before; zipfile believes them whatever this one says.
    large = at - _LARGE_END_BYTES
    if large >= 0 and end.startswith(b"PK\x06\x06", large):
        count, size = struct.unpack_from("<QQ", end, large + 32)
    # A folder is a member of the directory too.
    if count > 2 * members or size > 2 * members * _MEMBER_BYTES:
        raise TooLargeError(f"the archive holds more than {members} files")
    file.seek(0)
