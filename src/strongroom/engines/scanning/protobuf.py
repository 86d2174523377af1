"""Protobuf messages, walked field by field without a schema compiler or building anything.

Source: protobuf documentation, "Encoding".
"""

from collections.abc import Iterator

from strongroom.engines.scanning.reading import LimitError, MalformedError, Reader

_MAX_DEPTH = 32
_MAX_FIELDS = 20_000_000
_TEXT = 1 << 16
_VARINT_BITS = 63
NUMBER, BYTES = 0, 2
"""Wire types: a number, and a value with its length: text, bytes or a message."""


class ProtobufWalk:
    """A forward walk over one encoded message. Subclasses give the fields a meaning."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._fields = 0

    def each(self, end: int | None, depth: int) -> Iterator[tuple[int, int, int]]:
        """Fields of a message up to `end`: number, wire type, and length or value.

        What the caller does not read of a field is passed over.

        Raises:
            MalformedError: it is no protobuf message, or nested too deep.
            LimitError: it has more fields than any honest one.
        """
        if depth > _MAX_DEPTH:
            raise MalformedError("a message nested too deep")
        reader = self.reader
        while (end is None and reader.peek(1)) or (end is not None and reader.offset < end):
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise LimitError("more fields than the limit")
            key = self.varint()
            number, wire = key >> 3, key & 7
            if number == 0:
                raise MalformedError("a field without a number")
            if wire == NUMBER:
                yield number, wire, self.varint()
            elif wire == 1:
                reader.skip(8)
            elif wire == 5:  # wire type of 32-bit values
                reader.skip(4)
            elif wire == BYTES:
                length = self.varint()
                after = reader.offset + length
                if end is not None and after > end:
                    raise MalformedError("a field beyond its message")
                yield number, wire, length
                if reader.offset > after:
                    raise MalformedError("a field beyond its message")
                reader.skip(after - reader.offset)
            else:
                raise MalformedError("a field of an unknown kind")
        if end is not None and reader.offset != end:
            raise MalformedError("a message with a strange length")

    def inside(self, length: int, depth: int) -> Iterator[tuple[int, int]]:
        """Number and length of the fields with a length, of a message that begins here."""
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if wire == BYTES:
                yield number, value

    def varint(self) -> int:
        """A number of one to ten bytes."""
        value = shift = 0
        while True:
            byte = self.reader.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # no continuation bit
                return value
            shift += 7
            if shift > _VARINT_BITS:
                raise MalformedError("a number that does not end")

    def text(self, length: int, limit: int = _TEXT) -> str:
        """A text of `length` bytes."""
        if length > limit:
            raise MalformedError("a text longer than any honest one")
        return self.reader.take(length).decode("utf-8", "replace")
