"""Pickles that a value of another pickle carries: as they are, packed, or as a text of bytes.

Loading the outer pickle runs none of them; whoever takes the value out may. They are followed as
far as archives in archives are.
"""

import re

from strongroom.engines.scanning.arrow_streams import ARROW_CODECS, ArrowStream
from strongroom.engines.scanning.compressed import Decompressed, compression_of
from strongroom.engines.scanning.parts import Ahead
from strongroom.engines.scanning.reading import Budget, LimitError, Limits, MalformedError, Reader

_HEAD_BYTES = 4096
_HIGHEST_PROTOCOL = 5
# How a program without PROTO can begin: values, containers, marks, names.
_BEGINNINGS = frozenset(b"(]})NIJKLMFGSTUVXBCcP")
_FIRST_BYTES = frozenset((b"\x80", *(bytes([code]) for code in _BEGINNINGS)))
_NAMES = re.compile(rb"[ci][^\W\d][\w.]*\n[^\W\d][\w.]*\n|\x93")


def starts_as_pickle(head: bytes) -> bool:
    """Whether the bytes begin as every pickle of protocol 2 to 5 does."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= _HIGHEST_PROTOCOL  # PROTO


class TextBytes:
    """The bytes that a text in UTF-8 stands for in Latin-1, as protocols 0 to 2 write bytes."""

    def __init__(self, text: Ahead) -> None:
        self._text = text
        self._waiting = b""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes.

        Raises:
            MalformedError: the text has characters that stand for no byte.
        """
        data = self._waiting + self._text.read(max(1, min(size, 1 << 16) - 1))
        # Two bytes make a character beyond ASCII; its second may not be there yet.
        cut = len(data) - (data[-1:] >= b"\xc0")
        if not cut and data:
            data += self._text.read(1)
            cut = len(data)
        data, self._waiting = data[:cut], data[cut:]
        try:
            return data.decode("utf-8").encode("latin-1")
        except UnicodeError:
            raise MalformedError("a text that is no bytes") from None


def pickle_within(reader: Reader, size: int, limits: Limits, budget: Budget) -> Reader | None:
    """A reader at the start of the pickle that a value holds, or None where it holds none.

    Args:
        reader: at the start of the value; what is read of it is passed over.
        size: bytes of the value as they stand there.

    Raises:
        MalformedError: it is packed and broken.
        LimitError: it is packed in too many layers, or unpacks to more than the limits.
    """
    inner, is_packed = reader, False
    for _ in range(limits.depth):
        head = inner.peek(_HEAD_BYTES)
        packed = compression_of(head)
        if packed is None:
            is_whole = not is_packed and size <= _HEAD_BYTES
            return inner if may_be_pickle(head, is_whole=is_whole) else None
        stream = Ahead(inner)
        is_packed = True
        if packed in ARROW_CODECS:
            inner = Reader(ArrowStream(stream, packed, limits, budget))
        else:
            inner = Reader(Decompressed(stream, packed, limits, budget))
    if compression_of(inner.peek(_HEAD_BYTES)) is None:
        return None
    raise LimitError("a value packed in more layers than the limit")


def may_hold_a_pickle(head: bytes) -> bool:
    """Whether a value that begins so is worth opening: a quick look at its first eight bytes."""
    return head[:1] in _FIRST_BYTES or compression_of(head) is not None


def may_be_pickle(head: bytes, *, is_whole: bool) -> bool:
    """Whether bytes that begin so are worth following as a pickle that imports something."""
    if starts_as_pickle(head):
        return True
    if not head or head[0] not in _BEGINNINGS:
        return False
    return not is_whole or _NAMES.search(head) is not None
