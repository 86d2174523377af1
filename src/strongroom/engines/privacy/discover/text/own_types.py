"""Looks for types of one's own in a text: their pattern as whole words, their keywords nearby."""

from collections.abc import Iterator, Sequence
from typing import Any

import re2

from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rulebook import role_named
from strongroom.engines.privacy.discover.text.spans import Span

_NEAR_CHARACTERS = 64
_ALONE, _WITH_KEYWORD, _CHECKED = 0.6, 0.95, 0.9
_PATTERN_BYTES = 2**22
_Ready = tuple[CustomType, Any]  # RE2 has no public name for its compiled patterns


class OwnTypes:
    """The forms of custom types, ready to be looked for."""

    def __init__(self, types: Sequence[CustomType]) -> None:
        options = re2.Options()
        options.max_mem = _PATTERN_BYTES
        options.log_errors = False
        self._types: list[_Ready] = [
            (own, re2.compile(f"(?:{own.pattern})", options)) for own in types
        ]

    @property
    def is_empty(self) -> bool:
        """True where there are none."""
        return not self._types

    def role_of(self, type_name: str) -> Role:
        """What a type, built-in or one of these, does to privacy; an unknown one is direct."""
        return role_named(type_name, [own for own, _ in self._types])

    def scan(self, text: str) -> Iterator[Span]:
        """Spans of custom types; they may overlap."""
        # RE2 reads UTF-8, which has no halves of surrogate pairs: each becomes one sign.
        text = text.encode("utf-8", "replace").decode()
        lowered = text.lower() if len(text.lower()) == len(text) else text
        for own, pattern in self._types:
            for found in pattern.finditer(text):
                start, end = found.span()
                if start == end or not _is_whole(text, start, end):
                    continue
                if not own.has_right_check_digit(text[start:end]):
                    continue
                confidence = _CHECKED if own.checksum else _ALONE
                near = lowered[max(0, start - _NEAR_CHARACTERS) : end + _NEAR_CHARACTERS]
                if any(keyword in near for keyword in own.keywords):
                    confidence = _WITH_KEYWORD
                yield Span(start, end, own.name, confidence, "custom")


def _is_whole(text: str, start: int, end: int) -> bool:
    """True where neither end cuts a word or number."""
    cuts_before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    cuts_behind = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not (cuts_before or cuts_behind)
