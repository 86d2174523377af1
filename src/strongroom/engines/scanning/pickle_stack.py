"""The stack, marks, memo and plain values of the symbolic pickle machine.

Source: CPython 3.11, `Lib/pickle.py`, `Lib/pickletools.py`, `Modules/_pickle.c`.
"""

import io
import re
import struct
from abc import ABC, abstractmethod

from strongroom.engines.scanning.nested_pickles import TextBytes
from strongroom.engines.scanning.parts import Ahead
from strongroom.engines.scanning.reading import MalformedError, Reader
from strongroom.engines.scanning.symbols import Call, How, Items, Made, Opaque, Persistent, Symbol

KEPT_CHARS = 1024
# An array in protocol 0 is one line.
_LINE_LIMIT = 16 << 20

_I4 = struct.Struct("<i")
_U4 = struct.Struct("<I")
_U8 = struct.Struct("<Q")


class PickleStack(ABC):
    """What opcodes do that neither import nor call.

    `_held` estimates the bytes that symbols keep alive. It only ever grows, so that it bounds
    the real figure from above.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._stack: list[object] = []
        self._below: list[list[object]] = []
        self._depth_below = 0
        self._memo: dict[int, object] = {}
        self._held = 0

    @abstractmethod
    def _act(self, call: Call) -> None:
        """Something that is not a plain container is filled."""

    @abstractmethod
    def _on_bytes(self, reader: Reader, size: int) -> None:
        """A bytes value begins; may read it to the reader's end."""

    # ---- stack ----

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> object:
        if not self._stack:
            raise MalformedError("takes from an empty stack")
        return self._stack.pop()

    def _top(self) -> object:
        if not self._stack:
            raise MalformedError("looks at an empty stack")
        return self._stack[-1]

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._depth_below += len(self._stack) + 1
        self._stack = []

    def _pop_mark(self) -> list[object]:
        if not self._below:
            raise MalformedError("looks for a mark that is not there")
        items = self._stack
        self._stack = self._below.pop()
        self._depth_below -= len(self._stack) + 1
        self._held += 8 * len(items)
        return items

    def _op_pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _dup(self) -> None:
        self._push(self._top())

    # ---- scalars ----

    def _line(self) -> bytes:
        return self._reader.line(_LINE_LIMIT)

    def _op_int(self) -> None:
        line = self._line()
        if line in (b"00", b"01"):
            self._push(line == b"01")
        else:
            self._push(whole(line))

    def _op_long(self) -> None:
        line = self._line()
        self._push(whole(line[:-1] if line.endswith(b"L") else line))

    def _op_float(self) -> None:
        line = self._line()
        try:
            self._push(float(line))
        except ValueError:
            self._push(Opaque("float"))

    def _op_string(self) -> None:
        line = self._line().strip()
        if len(line) >= 2 and line[:1] == line[-1:] and line[:1] in (b"'", b'"'):  # two quotes
            line = line[1:-1]
        text = _unescape(line)
        if len(text) <= KEPT_CHARS:  # longer ones are looked at in any case
            self._look_at(text)
        self._push_text(text)

    def _op_unicode(self) -> None:
        line = self._line()
        try:
            self._push_text(line.decode("raw-unicode-escape"))
        except UnicodeDecodeError:
            self._push(Opaque("str", len(line)))

    def _long_bytes(self, size: int) -> None:
        if size <= 16:  # longer numbers are never looked at
            self._push(int.from_bytes(self._reader.take(size), "little", signed=True))
        else:
            self._reader.skip(size)
            self._push(Opaque("int", size))

    def _op_long4(self) -> None:
        size = self._i4()
        if size < 0:
            raise MalformedError("an integer of negative length")
        self._long_bytes(size)

    def _i4(self) -> int:
        return int(_I4.unpack(self._reader.take(4))[0])

    def _u4(self) -> int:
        return int(_U4.unpack(self._reader.take(4))[0])

    def _u8(self) -> int:
        return int(_U8.unpack(self._reader.take(8))[0])

    def _look_at(self, text: str) -> None:
        """Shows the bytes that a text stands for, which may be a program of their own."""
        data = text.encode("latin-1", "replace")
        self._on_bytes(Reader(io.BytesIO(data)), len(data))

    def _push_text(self, text: str) -> None:
        if len(text) > KEPT_CHARS:
            self._look_at(text)
            self._push(Opaque("str", len(text)))
        else:
            self._held += 56 + len(text)
            self._push(text)

    def _text(self, size: int) -> None:
        """A UTF-8 text of `size` bytes."""
        if size > KEPT_CHARS:
            self._pass_over(size, is_text=True)
            self._push(Opaque("str", size))
            return
        data = self._reader.take(size)
        self._held += 56 + size
        try:
            self._push(data.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise MalformedError("a text that is not UTF-8") from None

    def _bytes(self, size: int, kind: str = "bytes") -> None:
        if size <= 16:  # shorter than any pickle that calls something; kept by value
            data = self._reader.take(size)
            self._held += 40 + size
            self._push(data if kind == "bytes" else Opaque(kind, size))
            return
        self._pass_over(size)
        self._push(Opaque(kind, size))

    def _pass_over(self, size: int, *, is_text: bool = False) -> None:
        """Shows a long value, whose bytes may be a program of their own, and passes over it."""
        reader = self._reader
        start, outer_end = reader.offset, reader.end
        if outer_end is not None and start + size > outer_end:
            raise MalformedError("ends too early")
        reader.end = start + size
        self._on_bytes(Reader(TextBytes(Ahead(reader))) if is_text else reader, size)
        reader.end = outer_end
        reader.skip(start + size - reader.offset)

    def _bin_string(self, size: int) -> None:
        """A Python 2 byte string: `str` after decoding as ASCII, which a name can be."""
        if size < 0:
            raise MalformedError("a text of negative length")
        if size > KEPT_CHARS:
            self._pass_over(size)
            self._push(Opaque("str", size))
            return
        text = self._reader.take(size).decode("latin-1")
        self._look_at(text)
        self._push_text(text)

    # ---- containers ----

    def _new_items(self, kind: str, values: list[object] | None = None) -> None:
        items = Items(kind)
        self._held += 120
        if values:
            items.add(values)
        self._push(items)

    def _op_tuple(self) -> None:
        values = tuple(self._pop_mark())
        self._held += 56
        self._push(values)

    def _small_tuple(self, count: int) -> None:
        stack = self._stack
        if len(stack) < count:
            raise MalformedError("takes from an empty stack")
        values = tuple(stack[-count:])
        del stack[-count:]
        self._held += 72
        stack.append(values)

    def _op_list(self) -> None:
        self._new_items("list", self._pop_mark())

    def _op_dict(self) -> None:
        self._new_items("dict", pairs(self._pop_mark()))

    def _op_frozenset(self) -> None:
        self._new_items("frozenset", self._pop_mark())

    def _fill(self, how: How, values: list[object]) -> None:
        """Puts values into the container on top of the stack."""
        target = self._top()
        if isinstance(target, Items):
            self._held += 8 * len(values)
            target.add(values)
        elif isinstance(target, Made | Symbol | Persistent):
            self._act(Call(how, target, tuple(values[:16]), self._reader.opcode_at))

    def _op_append(self) -> None:
        value = self._pop()
        self._fill("append", [value])

    def _op_appends(self) -> None:
        self._fill("append", self._pop_mark())

    def _op_setitem(self) -> None:
        value, key = self._pop(), self._pop()
        self._fill("setitem", [(key, value)])

    def _op_setitems(self) -> None:
        self._fill("setitem", pairs(self._pop_mark()))

    def _op_additems(self) -> None:
        self._fill("additems", self._pop_mark())

    # ---- memo ----

    def _put(self, index: int) -> None:
        self._memo[index] = self._top()
        self._held += 90

    def _op_put(self) -> None:
        index = whole(self._line())
        if not isinstance(index, int) or index < 0:
            raise MalformedError("a memo index that is no number")
        self._put(index)

    def _op_memoize(self) -> None:
        self._put(len(self._memo))

    def _get(self, index: object) -> None:
        if not isinstance(index, int) or index not in self._memo:
            raise MalformedError("recalls what was never kept")
        self._stack.append(self._memo[index])


def drop(_value: object) -> None:
    """Drops a value."""


def whole(text: bytes) -> object:
    """The number that `int` reads from a line, or an Opaque where it would refuse."""
    try:
        return int(text) if len(text) < 4_000 else Opaque("int", len(text))  # int's own limit
    except ValueError:
        return Opaque("int", len(text))


_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.|\n))", re.DOTALL)
_ESCAPED = {b"n": "\n", b"r": "\r", b"t": "\t", b"a": "\a", b"b": "\b", b"f": "\f", b"v": "\v"}


def _unescape(line: bytes) -> str:
    """A protocol-0 string with its escapes resolved, as `codecs.escape_decode` does."""

    def resolve(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return bytes([int(found[1], 16)])
        if found[2]:
            return bytes([int(found[2], 8) & 0xFF])
        if found[3] in (b"\\", b"'", b'"'):
            return found[3]
        if found[3] == b"\n":
            return b""
        return _ESCAPED[found[3]].encode() if found[3] in _ESCAPED else found[0]

    return _ESCAPE.sub(resolve, line).decode("latin-1")


def pairs(values: list[object]) -> list[object]:
    """Keys and values, which alternate, as pairs."""
    if len(values) % 2:
        raise MalformedError("a key without a value")
    return list(zip(values[::2], values[1::2], strict=True))
