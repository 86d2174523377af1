"""Finds personal data in running text: the entrance to this room."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.text.folding import Folded, fold
from strongroom.engines.privacy.discover.text.forms import (
    addresses,
    codes,
    contact,
    dates,
    numbers,
    records,
    secrets,
)
from strongroom.engines.privacy.discover.text.merging import merged
from strongroom.engines.privacy.discover.text.name_model import NameModel, name_model
from strongroom.engines.privacy.discover.text.names import ORGANIZATIONS, NameFinder
from strongroom.engines.privacy.discover.text.own_types import OwnTypes
from strongroom.engines.privacy.discover.text.repeats import repeated
from strongroom.engines.privacy.discover.text.scanner import BARRIER, Family, Numbers, Searched
from strongroom.engines.privacy.discover.text.spans import Proposal, Span

PIECE = 65_536
"""Characters looked at together; longer texts are cut at a blank, so that memory stays small.

It also bounds what a text made for it can cost: where each of many matches is followed by a start
of another form that reads on to the end, time grows with the square of a piece, not of the text.
"""
_CUT_WITHIN = 4_096
_BETWEEN = f"\n{BARRIER}\n"

_FAMILIES = (
    contact.FORMS, contact.WEB, secrets.FORMS, dates.FORMS, records.FORMS, codes.FORMS,
    addresses.FORMS, ORGANIZATIONS,
)  # fmt: skip


@lru_cache(maxsize=1)
def _built_in() -> tuple[tuple[Searched, ...], NameFinder]:
    families: list[Searched] = [Family(forms) for forms in _FAMILIES]
    families.append(Numbers(numbers.FORMS, numbers.NEAR))
    return tuple(families), NameFinder()


class TextFinder:
    """Finds spans in texts. Built by `text_finder`; may be used from several threads."""

    def __init__(
        self,
        families: Sequence[Searched],
        names: NameFinder,
        model: NameModel | None,
        own: OwnTypes,
    ) -> None:
        self._families = tuple(families)
        self._names = names
        self._model = model
        self._own = own

    def find(self, text: str) -> list[Span]:
        """Spans in `text`, sorted and not overlapping. Time grows with the length alone."""
        return next(self.find_all((text,)))

    def find_all(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """Spans of each text, in order.

        Short texts are looked at together, several times faster than one by one: so some of
        `texts` are read ahead, up to some 65,000 characters.
        """
        waiting: list[str] = []
        length = 0
        for text in texts:
            if waiting and length + len(text) > PIECE:
                yield from self._together(waiting)
                waiting, length = [], 0
            if len(text) > PIECE:
                yield self._long(text)
                continue
            waiting.append(text)
            length += len(text) + len(_BETWEEN)
        yield from self._together(waiting)

    def role_of(self, type_name: str) -> Role:
        """What a type that it finds does to privacy: a custom type's role is its own."""
        return self._own.role_of(type_name)

    def _long(self, text: str) -> list[Span]:
        spans: list[Span] = []
        for start, end in _pieces(text):
            (found,) = self._together([text[start:end]])
            spans += [_moved(span, start) for span in found]
        return spans

    def _together(self, texts: list[str]) -> Iterator[list[Span]]:
        """Spans of each of some texts, of at most PIECE characters together."""
        if not texts:
            return
        joined = _BETWEEN.join(texts)
        starts = [0, *accumulate(len(text) + len(_BETWEEN) for text in texts)]
        proposals = merged(joined, self._proposed(joined, texts, starts))
        at, count = 0, len(proposals)
        for text, start in zip(texts, starts, strict=False):
            end = start + len(text)
            own: list[Span] = []
            named = False
            while at < count and proposals[at][0] < end:
                first, behind, name, confidence, source = proposals[at]
                own.append(Span(first - start, behind - start, name, confidence, source))
                named = named or name == "person_name"
                at += 1
            if named and (further := [Span(*found) for found in repeated(text, own)]):
                own = sorted([*own, *further])  # they overlap nothing
            yield own

    def _proposed(self, joined: str, texts: list[str], starts: list[int]) -> Iterator[Proposal]:
        """What the parts of the finder take for personal data, in places of the joined text."""
        folded = fold(joined)
        for family in self._families:
            yield from _unfolded(folded, family.scan(folded))
        yield from _unfolded(folded, self._names.scan(folded))
        if self._model is not None:
            for start, spans in zip(starts, self._model.find_all(texts), strict=False):
                yield from (_moved(span, start) for span in spans)
        if self._own.is_empty:
            return
        for start, text in zip(starts, texts, strict=False):
            yield from (_moved(span, start) for span in self._own.scan(text))


def _unfolded(folded: Folded, found: Iterator[Proposal]) -> Iterator[Proposal]:
    """Proposals in places of the text that was folded."""
    if folded.places is None:
        return found
    return (
        (*folded.original(start, end), name, confidence, source)
        for start, end, name, confidence, source in found
    )


def _moved(span: Span, by: int) -> Span:
    if not by:
        return span
    start, end, name, confidence, source = span
    return Span(start + by, end + by, name, confidence, source)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Ranges of at most PIECE characters, cut behind a line or a blank where there is one."""
    start = 0
    while len(text) - start > PIECE:
        end = start + PIECE
        for blank in ("\n", " "):
            cut = text.rfind(blank, end - _CUT_WITHIN, end)
            if cut > start:
                end = cut + 1
                break
        yield start, end
        start = end
    yield start, len(text)


def text_finder(*, model: bool = True, custom: Sequence[CustomType] = ()) -> TextFinder:
    """A finder for running text.

    Args:
        model: also with the name model: 10 to 40 times slower, and the only one that finds names
            which no list, title or label gives away.
        custom: types of one's own; beside a keyword they are nearly sure.
    """
    families, names = _built_in()
    return TextFinder(families, names, name_model() if model else None, OwnTypes(custom))
