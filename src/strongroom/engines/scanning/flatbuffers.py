"""FlatBuffers, looked into by offset without a schema compiler.

Source: FlatBuffers documentation, "FlatBuffer Internals".
"""

import struct

from strongroom.engines.scanning.reading import MalformedError

_U2, _U4, _I4 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")


class FlatBuffer:
    """One buffer; every offset is checked against its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self, at: int, form: struct.Struct) -> int:
        """A number at a place."""
        if not 0 <= at <= len(self._data) - form.size:
            raise MalformedError("a FlatBuffer that breaks off")
        return int(form.unpack_from(self._data, at)[0])

    def root(self) -> int:
        """Place of the root table."""
        return self.number(0, _U4)

    def field(self, table: int, index: int) -> int | None:
        """Place of a table's field, or None where it is left out."""
        vtable = table - self.number(table, _I4)
        size = self.number(vtable, _U2)
        slot = 4 + 2 * index
        if slot + 2 > size:
            return None
        offset = self.number(vtable + slot, _U2)
        return table + offset if offset else None

    def follow(self, at: int) -> int:
        """Where the offset that stands at a place leads."""
        return at + self.number(at, _U4)

    def scalar(self, table: int, index: int, form: struct.Struct, default: int = 0) -> int:
        """A number of a table, or its default."""
        at = self.field(table, index)
        return default if at is None else self.number(at, form)

    def vector(self, table: int, index: int, item_bytes: int = 4) -> tuple[int, int]:
        """Place of the first item, and how many there are; the vector lies in the buffer."""
        at = self.field(table, index)
        if at is None:
            return 0, 0
        start = self.follow(at)
        count = self.number(start, _U4)
        if start + 4 + count * item_bytes > len(self._data):
            raise MalformedError("a FlatBuffer vector that breaks off")
        return start + 4, count

    def tables(self, table: int, index: int) -> list[int]:
        """Places of the tables in a vector."""
        start, count = self.vector(table, index)
        return [self.follow(start + 4 * item) for item in range(count)]

    def text(self, table: int, index: int) -> str:
        """A text of a table; empty where it is left out."""
        start, count = self.vector(table, index, 1)
        return self._data[start : start + count].decode("utf-8", "replace")

    def text_at(self, place: int) -> str:
        """A text that stands in a vector, at its place."""
        count = self.number(place, _U4)
        return self._data[place + 4 : place + 4 + count].decode("utf-8", "replace")
