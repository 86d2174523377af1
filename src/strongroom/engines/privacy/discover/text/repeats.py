"""A person named once in a document is that person everywhere in it."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from strongroom.engines.privacy.discover.text import wordlists
from strongroom.engines.privacy.discover.text.spans import Span

_LEAST_CONFIDENCE = 0.7
_MOST_WORDS = 256
"""Words of names that are looked for again; each is one pass over the text."""
_LEAST_LENGTH = 3
_CONFIDENCE = 0.7
_JOINING = "-'\u2019_"


def repeated(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Further mentions of the people in `spans`, by the whole name or one word of it.

    `spans` must be sorted and not overlap; what is found overlaps neither them nor itself.
    """
    words: dict[str, None] = {}
    for span in spans:
        if span.type == "person_name" and span.confidence >= _LEAST_CONFIDENCE:
            for word in text[span.start : span.end].replace(",", " ").split():
                lowered = word.lower()
                if len(word) >= _LEAST_LENGTH and word[0].isupper() and word.isalpha() and (
                    lowered not in wordlists.PLAIN and lowered not in _TITLE_WORDS
                ):  # fmt: skip
                    words[word] = None
                    words[word.upper() if word != word.upper() else word.capitalize()] = None
                if len(words) >= _MOST_WORDS:
                    break
    starts = [span.start for span in spans]
    found: list[tuple[int, int]] = []
    for word in words:
        at = text.find(word)
        while at >= 0:
            end = at + len(word)
            if _stands_alone(text, at, end) and not _covered(spans, starts, at, end):
                found.append((at, end))
            at = text.find(word, end)
    yield from _joined(text, sorted(found))


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = text[start - 1] if start else " "
    behind = text[end] if end < len(text) else " "
    return not (before.isalnum() or before in _JOINING) and not (behind.isalnum() or behind == "_")


def _covered(spans: Sequence[Span], starts: list[int], start: int, end: int) -> bool:
    at = bisect_left(starts, end)
    return at > 0 and spans[at - 1].end > start


def _joined(text: str, found: list[tuple[int, int]]) -> Iterator[Span]:
    """Words that stand side by side are one mention."""
    begin = behind = -1
    for start, end in found:
        if begin >= 0 and text[behind:start] == " ":
            behind = end
            continue
        if begin >= 0:
            yield Span(begin, behind, "person_name", _CONFIDENCE, "repeat")
        begin, behind = start, end
    if begin >= 0:
        yield Span(begin, behind, "person_name", _CONFIDENCE, "repeat")


_TITLE_WORDS = frozenset(wordlists.TITLES.lower().replace("\\", "").replace(".", "").split("|"))
