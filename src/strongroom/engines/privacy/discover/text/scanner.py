"""Finds forms in folded text: one pass of RE2 a family, then checks of the few candidates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from strongroom.engines.privacy.discover.text.folding import Folded
from strongroom.engines.privacy.discover.text.forms.form import Form
from strongroom.engines.privacy.discover.text.spans import Span

BARRIER = "\x00"
"""Stands between texts that are looked at together: no form reaches over it."""
_BARRIER_BYTE = BARRIER.encode()
_PATTERN_BYTES = 256 * 2**20
_CONTEXT_BYTES = 48
_RETRIES = 3


def compiled(pattern: str) -> "re2._Regexp[bytes]":
    """An RE2 over folded bytes; refuses what RE2 can't run in linear time."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _PATTERN_BYTES
    options.log_errors = False
    return re2.compile(pattern.encode("latin-1"), options)


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


_Regex = Any  # RE2 has no public name for its compiled patterns


@dataclass(frozen=True, slots=True)
class _Ready:
    """A form with its compiled patterns, those that it has."""

    form: Form
    grouped: _Regex
    lead: _Regex
    value: _Regex
    context: _Regex
    unless: _Regex
    unless_behind: _Regex

    def is_something_else(self, data: bytes, start: int, end: int) -> bool:
        """True where what stands right before or behind the value says that it is none."""
        if self.unless is not None:
            near = max(0, start - _CONTEXT_BYTES)
            if self.unless.search(data[near:start]) is not None:
                return True
        if self.unless_behind is None:
            return False
        return self.unless_behind.match(data[end : end + _CONTEXT_BYTES]) is not None

    def value_in(self, piece: bytes) -> tuple[int, int] | None:
        """Where in a match of the form its value stands."""
        if self.grouped is None:
            return 0, len(piece)
        if self.lead is not None:
            before = self.lead.match(piece)
            if before is not None:
                start = before.end()
                if self.value.match(piece, start, len(piece)) is not None:
                    return start, len(piece)
        found = self.grouped.fullmatch(piece)
        return None if found is None else found.span(1)


def _ready(form: Form) -> _Ready:
    has_value = ungrouped(form.pattern) != form.pattern
    value = form.pattern[len(form.lead) :]
    return _Ready(
        form,
        compiled(form.pattern) if has_value else None,
        compiled(ungrouped(form.lead)) if form.lead else None,
        compiled(f"(?:{ungrouped(value)})$") if form.lead else None,
        compiled(form.context) if form.context else None,
        compiled(form.unless) if form.unless else None,
        compiled(form.unless_behind) if form.unless_behind else None,
    )


def _alone(form: Form) -> str:
    """The pattern, ready to stand beside others."""
    return f"(?:{ungrouped(form.pattern)})"


class Family:
    """Forms that are looked for together."""

    def __init__(self, forms: Sequence[Form], *, isolated: bool = False) -> None:
        """Earlier forms win at the same place; `isolated`: ends of longer codes are no values."""
        self._isolated = isolated
        self._union = compiled("|".join(_alone(form) for form in forms))
        ranked = sorted(forms, key=lambda form: -form.confidence)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.max_mem = _PATTERN_BYTES
        options.log_errors = False
        self._which = re2.Set.FullMatchSet(options)
        for form in ranked:
            self._which.Add(_alone(form).encode("latin-1"))
        self._which.Compile()
        self._ranked = [_ready(form) for form in ranked]

    def scan(self, folded: Folded) -> Iterator[Span]:
        """Spans of this family's forms; they may overlap those of others."""
        data, finditer = folded.data, self._union.finditer
        position, retries = 0, 0
        while True:
            for found in finditer(data, position):
                start, end = found.span()
                span = self._span(folded, start, end)
                if span is not None:
                    yield span
                elif retries < _RETRIES and end - start > 8:
                    # A candidate that failed may hide another: look on behind its first word.
                    skipped = data.find(b" ", start, end)
                    if skipped > start:
                        position, retries = skipped + 1, retries + 1
                        break
                else:
                    retries = 0
            else:
                return

    def _span(self, folded: Folded, start: int, end: int) -> Span | None:
        """The surest form that the candidate passes; None where it passes none."""
        data = folded.data
        piece = data[start:end]
        which = self._which.Match(piece) or ()
        if len(which) > 1:
            which = sorted(which)
        for rank in which:
            ready = self._ranked[rank]
            form, context = ready.form, ready.context
            place = ready.value_in(piece)
            if place is None:
                continue
            s, e = start + place[0], start + place[1]
            if context is not None:
                near = max(0, s - _CONTEXT_BYTES)
                before = data[max(near, data.rfind(_BARRIER_BYTE, near, s)) : s]
                if context.search(before) is None:
                    continue
            if self._isolated and _ends_a_code(data, s):
                continue
            if ready.is_something_else(data, s, e):
                continue
            if form.check is not None and not form.check(data[s:e].decode("latin-1")):
                continue
            return Span(*folded.original(s, e), form.type, form.confidence, form.source)
        return None


def _ends_a_code(data: bytes, start: int) -> bool:
    """True where what begins at `start` is the end of a longer code, such as 30+20221128."""
    if data[start : start + 1] == b"+":
        return start > 0 and data[start - 1 : start].isalnum()
    return start > 1 and data[start - 1] in b"-/." and data[start - 2 : start - 1].isalnum()
