"""HDF5 files, read as their format tells: superblock, object headers, heaps and trees.

Every read is at an address that the file gives, so each is bounded, each node is visited once, and
what the file can make this parser do is counted.

Source: HDF5 File Format Specification, version 3.0 (sections II to IV); messages by their number.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from strongroom.engines.scanning.archives import exactly
from strongroom.engines.scanning.reading import LimitError, MalformedError, SeekableStream

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_NODES = 2_000_000
_MAX_BYTES = 256 << 20  # of structure, not of data
_MAX_BLOCK = 16 << 20
_MAX_DEPTH = 32
CONTINUATION = 0x10


class Fields:
    """Little-endian fields of a block, in order."""

    def __init__(self, data: bytes, address_bytes: int, length_bytes: int) -> None:
        self.data = data
        self.at = 0
        self._address_bytes = address_bytes
        self._length_bytes = length_bytes

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self.at + count
        if end > len(self.data):
            raise MalformedError("an HDF5 block that breaks off")
        data = self.data[self.at : end]
        self.at = end
        return data

    def number(self, count: int) -> int:
        """An unsigned integer of `count` bytes."""
        return int.from_bytes(self.take(count), "little")

    def address(self) -> int | None:
        """A file address, or None where it is the undefined one."""
        value = self.number(self._address_bytes)
        return None if value == (1 << 8 * self._address_bytes) - 1 else value

    def length(self) -> int:
        """A size in the file's width of lengths."""
        return self.number(self._length_bytes)

    def text(self) -> str:
        """A text up to its zero byte."""
        end = self.data.find(b"\x00", self.at)
        if end < 0:
            raise MalformedError("an HDF5 text without its end")
        data = self.data[self.at : end]
        self.at = end + 1
        return data.decode("utf-8", "replace")

    @property
    def left(self) -> int:
        """Bytes that are left."""
        return len(self.data) - self.at


@dataclass(frozen=True, slots=True)
class Message:
    """A message of an object header."""

    kind: int
    shared: bool
    data: bytes


class Hdf5File:
    """The structure of one file.

    Attributes:
        root: address of the root group's object header.
        has_driver: whether its content lies in several files.
    """

    def __init__(self, stream: SeekableStream, size: int, base: int) -> None:
        self._stream = stream
        self._size = size
        self._base = base
        self._nodes = 0
        self._bytes = 0
        self.address_bytes = 8
        self.length_bytes = 8
        self.has_driver = False
        self.root = self._superblock()

    def fields(self, data: bytes) -> Fields:
        """A reader of fields in this file's widths."""
        return Fields(data, self.address_bytes, self.length_bytes)

    def read(self, address: int | None, count: int) -> bytes:
        """`count` bytes at an address.

        Raises:
            MalformedError: they lie outside the file.
            LimitError: the structure of this file is larger than any honest one.
        """
        if address is None or self._base + address + count > self._size:
            raise MalformedError("an HDF5 address outside the file")
        if count > _MAX_BLOCK:
            raise LimitError("an HDF5 block over the limit")
        self._nodes += 1
        self._bytes += count
        if self._nodes > _MAX_NODES or self._bytes > _MAX_BYTES:
            raise LimitError("more HDF5 structure than the limit")
        self._stream.seek(self._base + address, io.SEEK_SET)
        return exactly(self._stream, count)

    def block(self, address: int | None, count: int, magic: bytes) -> Fields:
        """The fields of a block behind its signature."""
        data = self.read(address, count)
        if not data.startswith(magic):
            raise MalformedError(f"an HDF5 address without its {magic.decode()} block")
        found = self.fields(data)
        found.take(len(magic))
        return found

    def available(self, address: int, wanted: int) -> int:
        """How many of `wanted` bytes the file has at an address."""
        return max(0, min(wanted, self._size - self._base - address))

    def _superblock(self) -> int:
        head = self.fields(self.read(0, self.available(0, 128)))
        if head.take(8) != _SIGNATURE:
            raise MalformedError("no HDF5 signature")
        version = head.number(1)
        if version in (0, 1):
            return self._old_superblock(head, version)
        if version not in (2, 3):
            raise MalformedError("an HDF5 superblock of another version")
        self._widths(head.number(1), head.number(1))
        head = self.fields(head.data)
        head.take(12)  # signature, version, widths, flags
        self._check_base(head)
        extension, end, root = head.address(), head.address(), head.address()
        self._check_end(end)
        if extension is not None:
            self.has_driver = any(
                message.kind == 0x14  # driver info
                for message in self.messages(extension)
            )
        if root is None:
            raise MalformedError("an HDF5 file without a root")
        return root

    def _old_superblock(self, head: Fields, version: int) -> int:
        head.take(4)  # versions of parts
        self._widths(head.number(1), head.number(1))
        head = self.fields(head.data)
        head.take(24 if version == 0 else 28)
        self._check_base(head)
        head.address()  # free space
        self._check_end(head.address())
        self.has_driver = head.address() is not None
        head.address()  # name of the root, which has none
        root = head.address()
        if root is None:
            raise MalformedError("an HDF5 file without a root")
        return root

    def _widths(self, address_bytes: int, length_bytes: int) -> None:
        if address_bytes not in (4, 8) or length_bytes not in (4, 8):
            raise MalformedError("an HDF5 file with strange widths")
        self.address_bytes, self.length_bytes = address_bytes, length_bytes

    def _check_base(self, head: Fields) -> None:
        base = head.address()
        if base not in (0, self._base):
            raise MalformedError("an HDF5 file whose base lies elsewhere")
        self._base = base  # what addresses count from

    def _check_end(self, end: int | None) -> None:
        if end is None or end > self._size:
            raise MalformedError("an HDF5 file that breaks off")

    # ---- object headers ----

    def messages(self, address: int) -> Iterator[Message]:
        """Messages of an object header, its continuations included."""
        head = self.fields(self.read(address, self.available(address, 64)))
        if head.data.startswith(b"OHDR"):
            yield from self._new_messages(address, head)
            return
        if head.number(1) != 1:
            raise MalformedError("an HDF5 object header of another version")
        head.take(1)
        head.take(2 + 4)  # messages, references
        size = head.number(4)
        yield from self._chunks(address + 16, size, new=False, ordered=False)

    def _new_messages(self, address: int, head: Fields) -> Iterator[Message]:
        head.take(4)
        if head.number(1) != 2:
            raise MalformedError("an HDF5 object header of another version")
        flags = head.number(1)
        head.take(16 if flags & 0x20 else 0)  # times
        head.take(4 if flags & 0x10 else 0)  # where attributes become dense
        size = head.number(1 << (flags & 3))
        yield from self._chunks(address + head.at, size, new=True, ordered=bool(flags & 4))

    def _chunks(self, start: int, size: int, *, new: bool, ordered: bool) -> Iterator[Message]:
        chunks = [(start, size)]
        seen = {start}
        while chunks:
            at, count = chunks.pop()
            for message in self._chunk(self.fields(self.read(at, count)), new, ordered):
                if message.kind != CONTINUATION:
                    yield message
                    continue
                place = self.fields(message.data)
                next_at, next_size = place.address(), place.length()
                if next_at is None or next_at in seen:
                    raise MalformedError("an HDF5 object header that turns in a circle")
                seen.add(next_at)
                if new:
                    self.block(next_at, 4, b"OCHK")
                    next_at, next_size = next_at + 4, next_size - 8  # signature, checksum
                    if next_size < 0:
                        raise MalformedError("an HDF5 object header that breaks off")
                chunks.append((next_at, next_size))

    @staticmethod
    def _chunk(fields: Fields, new: bool, ordered: bool) -> Iterator[Message]:
        head = 4 + 2 * ordered if new else 8
        while fields.left >= head:
            kind = fields.number(1 if new else 2)
            size, flags = fields.number(2), fields.number(1)
            fields.take((2 if ordered else 0) if new else 3)
            yield Message(kind, bool(flags & 2), fields.take(size))

    # ---- old groups: B-tree of version 1 over a heap of names ----

    def tree_leaves(self, address: int | None) -> Iterator[int]:
        """Addresses of the symbol nodes below a group's B-tree."""
        nodes: list[tuple[int | None, int]] = [(address, 0)]
        seen: set[int | None] = set()
        while nodes:
            at, depth = nodes.pop()
            if at in seen or depth > _MAX_DEPTH:
                raise MalformedError("an HDF5 tree that turns in a circle")
            seen.add(at)
            head_bytes = 8 + 2 * self.address_bytes
            head = self.block(at, head_bytes, b"TREE")
            kind, level, used = head.number(1), head.number(1), head.number(2)
            if kind != 0:
                raise MalformedError("an HDF5 group tree of another kind")
            width = self.address_bytes + self.length_bytes
            body = self.fields(self.read((at or 0) + head_bytes, used * width + self.length_bytes))
            for _ in range(used):
                body.length()  # key
                child = body.address()
                if level:
                    nodes.append((child, depth + 1))
                elif child is not None:
                    yield child

    def local_heap(self, address: int | None) -> bytes:
        """The names of an old group."""
        head = self.block(address, 8 + 2 * self.length_bytes + self.address_bytes, b"HEAP")
        head.take(4)  # version
        size = head.length()
        head.length()  # free list
        return self.read(head.address(), size)

    def global_heap(self, address: int | None, index: int) -> bytes:
        """An object of a global heap collection: values of variable length."""
        head = self.block(address, 8 + self.length_bytes, b"GCOL")
        head.take(4)  # version
        size = head.length()
        body = self.fields(self.read(address, size))
        body.take(8 + self.length_bytes)
        while body.left >= 8 + self.length_bytes:
            number = body.number(2)
            body.take(6)  # references
            length = body.length()
            if number == 0:  # free space
                break
            data = body.take(length)
            if number == index:
                return data
            body.take(min(-length % 8, body.left))
        raise MalformedError("an HDF5 value that its heap does not hold")
