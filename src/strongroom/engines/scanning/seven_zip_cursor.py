"""Reading the headers of a 7z: bytes, numbers of any length, bit vectors, checksums.

Source: 7-Zip, DOC/7zFormat.txt.
"""

import struct

from strongroom.engines.scanning.reading import MalformedError


class Cursor:
    """A place in a header; reading beyond its end is malformed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self.at + count
        if end > len(self.data):
            raise MalformedError("a 7z header that breaks off")
        data = self.data[self.at : end]
        self.at = end
        return data

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def number(self) -> int:
        """A number of one to nine bytes: leading ones of the first tell how many follow."""
        first = self.byte()
        extra = 0
        while extra < 8 and first & (0x80 >> extra):
            extra += 1
        low = int.from_bytes(self.take(extra), "little")
        high = first & (0x7F >> extra) if extra < 8 else 0
        return low | high << 8 * extra

    def bits(self, count: int) -> list[bool]:
        """As many flags, from the highest bit of each byte on."""
        data = self.take((count + 7) // 8)
        return [bool(data[index // 8] & 0x80 >> index % 8) for index in range(count)]

    def defined(self, count: int) -> list[bool]:
        """Which of `count` entries have a value."""
        return [True] * count if self.byte() else self.bits(count)

    def expect(self, kind: int) -> None:
        """The next byte must be this one."""
        if self.byte() != kind:
            raise MalformedError("a 7z header with something else in it")

    def digests(self, count: int) -> list[int | None]:
        """CRC-32 of those of `count` entries that have one."""
        known = self.defined(count)
        return [struct.unpack("<L", self.take(4))[0] if yes else None for yes in known]
