"""RE2 over folded bytes.

The Python face of google-re2 makes an object and several calls for each match, which cost more
than the search itself. Here the engine below it is asked: it tells places and nothing else.
"""

from collections.abc import Iterator
from typing import Any

import re2
from re2 import _re2

from strongroom.engines.privacy.discover.text.spans import Place

_PATTERN_BYTES = 256 * 2**20
_Anchor = _re2.RE2.Anchor


def options() -> "re2.Options":
    """How patterns over folded bytes are read."""
    chosen = re2.Options()
    chosen.encoding = re2.Options.Encoding.LATIN1
    chosen.max_mem = _PATTERN_BYTES
    chosen.log_errors = False
    return chosen


def ungrouped(pattern: str) -> str:
    """`pattern` without groups that capture: RE2 then needs no second engine to fill them."""
    parts, in_class, index = [], False, 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\":
            parts.append(pattern[index : index + 2])
            index += 2
            continue
        if character == "[":
            in_class = True
        elif character == "]":
            in_class = False
        is_group = character == "(" and not in_class and pattern[index + 1 : index + 2] != "?"
        parts.append("(?:" if is_group else character)
        index += 1
    return "".join(parts)


class Pattern:
    """One compiled pattern. Refuses, with `re2.error`, what RE2 can't run in linear time."""

    __slots__ = ("_anchored", "_match", "_unanchored")

    def __init__(self, pattern: str) -> None:
        """`pattern` over folded bytes."""
        engine = _re2.RE2(pattern.encode("latin-1"), options())
        if not engine.ok():
            raise re2.error(engine.error())
        self._match: Any = engine.Match
        self._unanchored, self._anchored = _Anchor.UNANCHORED, _Anchor.ANCHOR_START

    def places(self, data: bytes) -> Iterator[Place]:
        """Where the pattern matches, left to right, not overlapping."""
        match, unanchored, position, size = self._match, self._unanchored, 0, len(data)
        while position <= size:
            start, end = match(unanchored, data, position, size)[0]
            if start < 0:
                return
            yield start, end
            position = end if end > position else position + 1

    def first(self, data: bytes, start: int, end: int) -> Place | None:
        """The first match that begins at `start` or later and ends by `end`."""
        place: Place = self._match(self._unanchored, data, start, end)[0]
        return None if place[0] < 0 else place

    def end_of(self, data: bytes, start: int, end: int) -> int:
        """Where a match that begins right at `start` ends, by `end`; -1: there is none."""
        behind: int = self._match(self._anchored, data, start, end)[0][1]
        return behind

    def is_in(self, data: bytes) -> bool:
        """True where the pattern matches anywhere in `data`."""
        found: bool = self._match(self._unanchored, data, 0, len(data))[0][0] >= 0
        return found

    def value_of(self, data: bytes) -> Place | None:
        """Where its only group stands, if the whole of `data` matches."""
        spans: list[Place] = self._match(_Anchor.ANCHOR_BOTH, data, 0, len(data))
        return None if spans[0][0] < 0 else spans[1]


class PatternSet:
    """Patterns that are asked together which of them a text matches as a whole."""

    __slots__ = ("which",)

    def __init__(self, patterns: list[str]) -> None:
        """`patterns` over folded bytes; they are told by their index."""
        chosen = _re2.Set(_Anchor.ANCHOR_BOTH, options())
        if any(chosen.Add(pattern.encode("latin-1")) < 0 for pattern in patterns):
            raise re2.error("a pattern of the set is none that RE2 reads")
        if not chosen.Compile():
            raise re2.error("the set needs more memory than RE2 may use")
        self.which: Any = chosen.Match
        """Indices of those that match the whole of some bytes, in no order."""
