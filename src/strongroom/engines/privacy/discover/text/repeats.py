"""A person named once in a document is that person everywhere in it."""

from collections.abc import Iterator, Sequence

from strongroom.engines.privacy.discover.text import wordlists
from strongroom.engines.privacy.discover.text.spans import Place, Proposal

_LEAST_CONFIDENCE = 0.7
_MOST_WORDS = 256
"""Words of names that are looked for again; each is one pass over the text."""
_LEAST_LENGTH = 3
_CONFIDENCE = 0.7
_JOINING = "-'\u2019_"
_FOUND = "\x00"
"""Stands for what is known already: no name holds it."""


def repeated(text: str, spans: Sequence[Proposal]) -> Iterator[Proposal]:
    """Further mentions of the people in `spans`, by the whole name or one word of it.

    `spans` must be sorted and not overlap; what is found overlaps neither them nor itself.
    """
    words: set[str] = set()
    for start, end, name, confidence, _ in spans:
        if name == "person_name" and confidence >= _LEAST_CONFIDENCE and len(words) < _MOST_WORDS:
            words.update(_told_by(text[start:end]))
    others = {_in_other_case(word) for word in words} - words
    recurring = [word for word in words if text.find(word, text.find(word) + len(word)) >= 0]
    recurring += [word for word in others if word in text]
    if not recurring:
        return
    unknown = _without(text, spans)
    found: list[Place] = []
    for word in recurring:
        at = unknown.find(word)
        while at >= 0:
            end = at + len(word)
            if _stands_alone(text, at, end):
                found.append((at, end))
            at = unknown.find(word, end)
    yield from _joined(text, sorted(found))


def _told_by(name: str) -> list[str]:
    """Words of a name that tell who is meant."""
    return [
        word
        for word in name.replace(",", " ").split()
        if len(word) >= _LEAST_LENGTH and word.isalpha() and word[0].isupper()
        and word.lower() not in _TELLS_NOBODY
    ]  # fmt: skip


def _in_other_case(word: str) -> str:
    """Krüger → KRÜGER, and back."""
    shouted = word.upper()
    return shouted if word != shouted else word.capitalize()


def _without(text: str, spans: Sequence[Proposal]) -> str:
    """The text, of the same length, with signs of no name in place of what is known."""
    parts: list[str] = []
    behind = 0
    for start, end, *_ in spans:
        parts += text[behind:start], _FOUND * (end - start)
        behind = end
    return "".join([*parts, text[behind:]])


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = text[start - 1] if start else " "
    behind = text[end] if end < len(text) else " "
    return not (before.isalnum() or before in _JOINING) and not (behind.isalnum() or behind == "_")


def _joined(text: str, found: list[Place]) -> Iterator[Proposal]:
    """Words that stand side by side are one mention."""
    begin = behind = -1
    for start, end in found:
        if begin >= 0 and text[behind:start] == " ":
            behind = end
            continue
        if begin >= 0:
            yield begin, behind, "person_name", _CONFIDENCE, "repeat"
        begin, behind = start, end
    if begin >= 0:
        yield begin, behind, "person_name", _CONFIDENCE, "repeat"


_TITLE_WORDS = frozenset(wordlists.TITLES.lower().replace("\\", "").replace(".", "").split("|"))
_TELLS_NOBODY = wordlists.PLAIN | _TITLE_WORDS
