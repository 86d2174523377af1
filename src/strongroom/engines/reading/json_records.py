"""JSON that is not one object a line; each list of objects in it is a table, read as a stream.

That is: a list of objects, an object that holds such lists, one object, or some after each other;
or a list of plain values, which is one column.
"""

import json
import re
from collections.abc import Callable, Iterator

import numpy as np

from strongroom.engines.reading.json_lines import JsonRows, read_jsonl
from strongroom.engines.reading.json_scan import Scanner, elements
from strongroom.engines.reading.json_values import PLAIN_VALUES, plain_values
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import EncodingError, FormatError, TableError, TooLargeError, TruncatedError

_KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"[ \t]*:[ \t]*\Z')
_KEY_BYTES = 1024
_TABLE_ROWS = 3
_LOOKED_AT_BYTES = 4 << 20
_MAX_TABLES = 1_000

NamedRows = tuple[str, JsonRows]
"""The path of a list, as `response.patients`, or nothing for the whole; and its rows."""


def read_json(source: Source, limits: ReadLimits) -> Iterator[NamedRows]:
    """The tables in one JSON text of UTF-8, in its order; what stands beside them comes last.

    Raises:
        TableError, TooLargeError, TruncatedError: at the next table, or while batches are read.
    """
    source = _without_mark(source)
    start = source.peek(min(limits.row_bytes, _LOOKED_AT_BYTES))
    scanner = Scanner(source, limits)
    first = scanner.skip_blanks()
    if first == b"[":
        scanner.use(scanner.at + 1, 1)
        is_plain = scanner.skip_blanks() not in {b"{", b"]", b""}
        cut = plain_values if is_plain else elements
        rows, assumed = read_jsonl(source.over(_to_the_end(scanner, cut)), limits)
        yield "", (rows, ((PLAIN_VALUES,) if is_plain else ()) + assumed)
    elif first == b"{" and _holds_no_tables(source.over([start]), limits):
        yield "", read_jsonl(source.over(elements(scanner, 0)), limits)
    elif first == b"{":
        yield from _Holder(source, scanner, limits).tables()
    else:
        raise FormatError("the JSON is neither an object nor a list")


def _without_mark(source: Source) -> Source:
    if source.peek(3) == b"\xef\xbb\xbf":
        source.read(3)
    return source


def _to_the_end(
    scanner: Scanner, cut: Callable[[Scanner, int], Iterator[bytes]]
) -> Iterator[bytes]:
    yield from cut(scanner, 1)
    _only_blanks(scanner)


def _holds_no_tables(start: Source, limits: ReadLimits) -> bool:
    """Whether the text is objects after each other, or one that is a record with lists inside.

    An object that does not end in the beginning of the text holds tables, and so does one in
    which lists of objects are at least half of the text, and one of them has three or more.
    """
    scanner = Scanner(start, limits)
    while scanner.more():
        ends = np.flatnonzero(scanner.depths == 0)
        if len(ends):
            first = scanner.use(int(scanner.places[ends[0]]) + 1, int(ends[0]) + 1)
            return bool(scanner.skip_blanks()) or _is_record(first)
    return False


def _is_record(text: bytes) -> bool:
    most, length = 0, 0
    values = [_parsed(text)]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values.extend(value.values())
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            most = max(most, len(value))
            length += len(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
    blanks = text.count(b" ") + text.count(b"\t")
    return most < _TABLE_ROWS or 2 * length < len(text) - blanks


def _only_blanks(scanner: Scanner) -> None:
    if scanner.skip_blanks():
        raise TableError("not valid JSON: something follows its end")


class _Holder:
    """An object, walked bracket by bracket up to each list of objects in it."""

    def __init__(self, source: Source, scanner: Scanner, limits: ReadLimits) -> None:
        self._source = source
        self._scanner = scanner
        self._limits = limits
        self._rest = bytearray()
        self._open: list[tuple[bytes, str]] = []
        self._tables = 0

    def tables(self) -> Iterator[NamedRows]:
        scanner = self._scanner
        while True:
            path = self._next_list()
            if path is None:
                break
            self._tables += 1
            if self._tables > _MAX_TABLES:
                raise TooLargeError(f"the JSON holds more than {_MAX_TABLES} tables")
            # Open brackets here: those of the objects around, and the list's own.
            lines = elements(scanner, len(self._open))
            yield path, read_jsonl(self._source.over(lines), self._limits)
            self._open.pop()
            self._keep(b"null")
        _only_blanks(scanner)
        if not self._tables:
            whole = bytes(self._rest) + b"\n"
            yield "", read_jsonl(self._source.over([whole]), self._limits)
        elif beside := _filled(_parsed(self._rest)):
            line = json.dumps(beside, ensure_ascii=False).encode() + b"\n"
            yield "", read_jsonl(self._source.over([line]), self._limits)

    def _next_list(self) -> str | None:
        """Walk into the next list of objects that only objects are around; None: at the end.

        Returns: the path of the list, whose opening bracket has been used.
        """
        scanner = self._scanner
        while True:
            step = self._walk()
            if step is not None:
                return step or None
            if not scanner.more():
                raise TruncatedError("the JSON ends before its end")

    def _walk(self) -> str | None:
        """As `_next_list`, up to the end of the window: None there, empty at the object's end."""
        scanner = self._scanner
        for number, place in enumerate(scanner.places.tolist()):
            bracket = scanner.text[place : place + 1]
            if bracket in b"{[":
                in_list = any(kind == b"[" for kind, _ in self._open)
                if bracket == b"[" and not in_list:
                    after = scanner.byte_after(place)
                    if not after:
                        self._keep(scanner.use(place, number))
                        return None
                    if after == b"{":
                        self._keep(scanner.use(place, number))
                        scanner.use(place + 1, 1)
                        self._open.append((bracket, self._key(len(self._rest))))
                        return ".".join(key for _, key in self._open if key)
                kept = len(self._rest) + place - scanner.at
                self._open.append((bracket, "" if in_list else self._key(kept)))
            elif not self._open or self._open.pop()[0] != _OPENED_BY[bracket]:
                raise TableError("not valid JSON: brackets do not match")
            if not self._open:
                self._keep(scanner.use(place + 1, number + 1))
                return ""
        self._keep(scanner.use(len(scanner.text), len(scanner.places)))
        return None

    def _key(self, end: int) -> str:
        """The key before the bracket at `end`, counted from the start of what was kept."""
        kept = len(self._rest)
        scanner = self._scanner
        before = bytes(self._rest[max(0, min(end, kept) - _KEY_BYTES) : min(end, kept)])
        if end > kept:
            stop = scanner.at + end - kept
            before += scanner.text[max(scanner.at, stop - _KEY_BYTES) : stop]
        found = _KEY.search(before)
        if found is None:
            return "" if not self._open else "list"
        try:
            return str(json.loads(b'"' + found.group(1) + b'"'))
        except ValueError:
            return "list"

    def _keep(self, text: bytes) -> None:
        self._rest += text
        if len(self._rest) > self._limits.row_bytes:
            raise TooLargeError("one row of the table is too long")


_OPENED_BY = {b"}": b"{", b"]": b"["}


def _parsed(text: bytes | bytearray) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise EncodingError("the text is not UTF-8") from None
    except (ValueError, RecursionError):
        raise TableError("not valid JSON") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise TableError("a field of the JSON stands there twice")
    return found


def _filled(value: object) -> object:
    """`value` without the places of the lists that were read, and without what is empty then."""
    if isinstance(value, dict):
        kept = {key: _filled(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in (None, {})}
    return value
