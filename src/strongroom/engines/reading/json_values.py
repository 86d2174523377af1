"""Lists of JSON that hold no objects: each value as a line of JSON with the one field `value`.

Source: RFC 8259.
"""

import re
from collections.abc import Iterator

import numpy as np

from strongroom.engines.reading.json_scan import Positions, Scanner
from strongroom.errors import TableError, TruncatedError

FIELD = "value"
PLAIN_VALUES = f"a list of plain values, read as the column `{FIELD}`"
"""The remark on such a table."""

# No pattern of strangers, each linear, and the standard library's are the faster ones on bytes.
_PLAIN = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[-+.\w]+)[ \t\r\n]*([,\]])')
_BRACKET = re.compile(rb"[ \t\r\n]*([\[{])")
_AFTER = re.compile(rb"[ \t\r\n]*([,\]])")


def plain_values(scanner: Scanner, base: int) -> Iterator[bytes]:
    """The values of a list as JSON lines, lists in it included; stands after its end at the end.

    Whether they are JSON inside, the reader of lines says.

    Args:
        scanner: stands after the list's opening bracket, or before a value.
        base: brackets that are open in the list.

    Raises:
        TableError: they are not separated by commas.
        TruncatedError: the text ends inside the list.
        TooLargeError: a value is too long.
    """
    while True:
        lines, ended = _window(scanner, base)
        if lines:
            yield b"".join(lines)
        if ended:
            return
        if not scanner.more():
            if (scanner.depths < base).any():
                raise TableError("not valid JSON: the values of a list are not separated by commas")
            raise TruncatedError("the JSON ends before its end")


def _window(scanner: Scanner, base: int) -> tuple[list[bytes], bool]:
    """The values that end in the window, which are used up; and whether the list has ended."""
    closing: Positions = np.flatnonzero(scanner.depths == base)
    text, at, brackets, ended = scanner.text, scanner.at, 0, False
    lines: list[bytes] = []
    while not ended:
        found = _PLAIN.match(text, at)
        if found is not None:
            value = found[1]
        elif (opened := _BRACKET.match(text, at)) is not None:
            place = int(np.searchsorted(closing, brackets))
            if place == len(closing):
                break
            last = int(closing[place])
            end = int(scanner.places[last]) + 1
            found = _AFTER.match(text, end)
            if found is None:
                break
            value = text[opened.start(1) : end]
            brackets = last + 1
        else:
            break
        ended = found[found.lastindex or 0] == b"]"
        brackets += ended
        lines.append(b'{"%s":%s}\n' % (FIELD.encode(), value))
        at = found.end()
    scanner.use(at, brackets)
    return lines, ended
