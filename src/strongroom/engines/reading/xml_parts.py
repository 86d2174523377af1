"""XML from strangers, as a stream of elements: no DTD, no entities of its own, bounded text."""

from collections.abc import Callable, Iterable
from xml.parsers import expat  # DTDs, and so all entities, are refused below

from strongroom.errors import FormatError, TableError, TooLargeError

Attributes = dict[str, str]

_MAX_DEPTH = 64


class XmlParser:
    """Calls `start`, `text` and `end` with local names; prefixes are cut off.

    Attributes:
        start: name and attributes of an element that begins.
        end: name of the element that ends.
        text: the text in an element, in pieces.
    """

    def __init__(
        self,
        start: Callable[[str, Attributes], None],
        end: Callable[[str], None],
        text: Callable[[str], None] | None = None,
    ) -> None:
        self._parser = expat.ParserCreate()
        self._start, self._end = start, end
        self._depth = 0
        self._parser.StartElementHandler = self._started
        self._parser.EndElementHandler = self._ended
        self._parser.CharacterDataHandler = text
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parser.buffer_text = True

    def _started(self, name: str, attributes: Attributes) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise TooLargeError(f"the XML is nested deeper than {_MAX_DEPTH} levels")
        self._start(name.rpartition(":")[2] if ":" in name else name, attributes)

    def _ended(self, name: str) -> None:
        self._depth -= 1
        self._end(name.rpartition(":")[2] if ":" in name else name)

    def feed(self, piece: bytes, *, is_last: bool = False) -> None:
        """Parse the next piece. Raises: TableError, and what the handlers raise."""
        try:
            self._parser.Parse(piece, is_last)
        except (expat.ExpatError, ValueError, LookupError):
            raise TableError("the XML in the workbook is damaged") from None

    def whole(self, pieces: Iterable[bytes], max_bytes: int) -> None:
        """Parse all of it. Raises: also TooLargeError beyond `max_bytes`."""
        length = 0
        for piece in pieces:
            length += len(piece)
            if length > max_bytes:
                raise TooLargeError("a part of the workbook is too large")
            self.feed(piece)
        self.feed(b"", is_last=True)


def _refuse(*_: object) -> None:
    raise FormatError(
        "the XML in the workbook declares entities or a document type",
        next_step="save it again with a spreadsheet program",
    )
