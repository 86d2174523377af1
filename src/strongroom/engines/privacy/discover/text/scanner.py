"""Finds forms in folded text: one pass of RE2 a family, then checks of the few candidates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from strongroom.engines.privacy.discover.text.folding import Folded
from strongroom.engines.privacy.discover.text.forms.form import Form
from strongroom.engines.privacy.discover.text.patterns import Pattern, PatternSet, ungrouped
from strongroom.engines.privacy.discover.text.spans import Place, Proposal

BARRIER = "\x00"
"""Stands between texts that are looked at together: no form reaches over it."""
_BARRIER_BYTE = BARRIER.encode()
_CONTEXT_BYTES = 48
_LONGEST_NEAR = 64
"""Bytes of the longest value that is looked for behind its context only."""
_SURE = 0.93
"""Confidence from which on no context can tell better."""
_RETRIES = 3
_RETRIED_BYTES = 8
"""Longest candidate that can hide no other."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A form with its compiled patterns, those that it has."""

    form: Form
    grouped: Pattern | None
    lead: Pattern | None
    value: Pattern | None
    context: Pattern | None
    unless: Pattern | None
    unless_behind: Pattern | None

    def is_something_else(self, data: bytes, start: int, end: int) -> bool:
        """True where what stands right before or behind the value says that it is none."""
        if self.unless is not None:
            near = max(0, start - _CONTEXT_BYTES)
            if self.unless.is_in(data[near:start]):
                return True
        if self.unless_behind is None:
            return False
        behind = data[end : end + _CONTEXT_BYTES]
        return self.unless_behind.end_of(behind, 0, len(behind)) >= 0

    def value_in(self, piece: bytes) -> Place | None:
        """Where in a match of the form its value stands."""
        size = len(piece)
        if self.grouped is None:
            return 0, size
        if self.lead is not None and self.value is not None:
            start = self.lead.end_of(piece, 0, size)
            if start >= 0 and self.value.end_of(piece, start, size) >= 0:
                return start, size
        return self.grouped.value_of(piece)

    def has_context(self, data: bytes, start: int) -> bool:
        """True where the words that the form needs stand shortly before its value."""
        if self.context is None:
            return True
        near = max(0, start - _CONTEXT_BYTES)
        return self.context.is_in(data[max(near, data.rfind(_BARRIER_BYTE, near, start)) : start])


def _optional(pattern: str) -> Pattern | None:
    return Pattern(pattern) if pattern else None


def _ready(form: Form) -> _Ready:
    has_value = ungrouped(form.pattern) != form.pattern
    value = form.pattern[len(form.lead) :]
    return _Ready(
        form,
        Pattern(form.pattern) if has_value else None,
        _optional(ungrouped(form.lead)),
        Pattern(f"(?:{ungrouped(value)})$") if form.lead else None,
        _optional(form.context),
        _optional(form.unless),
        _optional(form.unless_behind),
    )


def _alone(form: Form) -> str:
    """The pattern, ready to stand beside others."""
    return f"(?:{ungrouped(form.pattern)})"


class Searched(Protocol):
    """What proposes spans of a folded text, in bytes."""

    def scan(self, folded: Folded) -> Iterator[Proposal]:
        """Proposals, which may overlap."""
        ...


class Family:
    """Forms that are looked for together."""

    def __init__(
        self, forms: Sequence[Form], *, isolated: bool = False, near_context: bool = False
    ) -> None:
        """Earlier forms win at the same place.

        Args:
            forms: what is looked for.
            isolated: ends of longer codes are no values.
            near_context: all forms need a context, and are looked for behind it only.
        """
        self._isolated = isolated
        contexts = dict.fromkeys(f"(?:{form.context})" for form in forms)
        self._context = Pattern("|".join(contexts)) if near_context else None
        self._union = Pattern("|".join(_alone(form) for form in forms))
        ranked = sorted(forms, key=lambda form: -form.confidence)
        self._which = PatternSet([_alone(form) for form in ranked]).which
        self._ranked = [_ready(form) for form in ranked]

    def scan(self, folded: Folded) -> Iterator[Proposal]:
        """Proposals of this family's forms, in bytes; they may overlap those of others."""
        if self._context is None:
            yield from self._between(folded, 0, len(folded.data))
            return
        begin = end = 0
        for _, behind in self._context.places(folded.data):
            if behind > end:
                yield from self._between(folded, begin, end)
                begin = behind
            end = min(len(folded.data), behind + _CONTEXT_BYTES + _LONGEST_NEAR)
        yield from self._between(folded, begin, end)

    def _between(self, folded: Folded, begin: int, end: int) -> Iterator[Proposal]:
        data = folded.data
        first = self._union.first
        position, retries = begin, 0
        while (place := first(data, position, end)) is not None:
            start, position = place
            found = self._proposed(folded, start, position)
            if found is not None:
                yield found
            elif retries < _RETRIES and position - start > _RETRIED_BYTES:
                # A candidate that failed may hide another: look on behind its first word.
                skipped = data.find(b" ", start, position)
                if skipped > start:
                    position, retries = skipped + 1, retries + 1
            else:
                retries = 0

    def _proposed(self, folded: Folded, start: int, end: int) -> Proposal | None:
        """The surest form that the candidate passes; None where it passes none."""
        data = folded.data
        piece = data[start:end]
        which = self._which(piece)
        if len(which) > 1:
            which.sort()
        for rank in which:
            ready = self._ranked[rank]
            s, e = start, end
            if ready.grouped is not None:
                place = ready.value_in(piece)
                if place is None:
                    continue
                s, e = start + place[0], start + place[1]
            if ready.context is not None and not ready.has_context(data, s):
                continue
            if self._isolated and _ends_a_code(data, s):
                continue
            if (ready.unless or ready.unless_behind) and ready.is_something_else(data, s, e):
                continue
            form = ready.form
            if form.check is not None and not form.check(data[s:e].decode("latin-1")):
                continue
            return s, e, form.type, form.confidence, form.source
        return None


class Numbers:
    """Forms of figures: first those that tell what they are, then those that a context tells."""

    def __init__(self, forms: Sequence[Form], near: Sequence[Form]) -> None:
        """`near`: forms that all need a context, looked for where nothing sure was found."""
        self._forms = Family(forms, isolated=True)
        self._near = Family(near, isolated=True, near_context=True)

    def scan(self, folded: Folded) -> Iterator[Proposal]:
        """Proposals, in bytes."""
        sure: list[Place] = []
        for found in self._forms.scan(folded):
            if found[3] >= _SURE:
                sure.append(found[:2])
            yield found
        yield from self._near.scan(folded.without(sure) if sure else folded)


def _ends_a_code(data: bytes, start: int) -> bool:
    """True where what begins at `start` is the end of a longer code, such as 30+20221128."""
    if data[start : start + 1] == b"+":
        return start > 0 and data[start - 1 : start].isalnum()
    return start > 1 and data[start - 1] in b"-/." and data[start - 2 : start - 1].isalnum()
