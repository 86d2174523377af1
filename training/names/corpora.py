"""Reads the labelled corpora for training, with their splits; see docs/name-model.md."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from training.names.generate import Generator, Labelled

LABELS = {"PERSON": "PER", "LOCATION": "LOC", "ORG": "ORG"}
TRAINED_SHARE = 0.5
_TITLED = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|RN|Prof|Officer|Judge)\.? [A-Z][a-z]+(?: [A-Z][a-z]+)?")


def documents(path: Path) -> Iterator[tuple[str, Labelled]]:
    """Identity, text and spans of each document in a JSON-lines corpus."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            spans = [(s, e, LABELS[t]) for s, e, t, _ in document["spans"] if t in LABELS]
            yield document["id"], (document["text"], spans)


def is_trained_on(identity: str) -> bool:
    """Which half of a corpus a document belongs to: by its identity alone."""
    return crc32(identity.encode()) % 1000 < 1000 * TRAINED_SHARE


def consistent(document: Labelled) -> Labelled:
    """Label every mention of the people who are labelled once, and names behind a title."""
    text, spans = document
    taken = sorted(spans)
    names = {text[s:e] for s, e, label in spans if label == "PER"}
    # Words of full names; titles are no names.
    parts = {word for name in names for word in name.split() if len(word) > 2 and word[-1] != "."}
    forms = sorted(names | parts, key=len, reverse=True)
    found = [m.span() for m in _TITLED.finditer(text)]
    if forms:
        anywhere = re.compile(r"\b(?:" + "|".join(map(re.escape, forms)) + r")\b")
        found += [m.span() for m in anywhere.finditer(text)]
    for start, end in found:
        if not any(start < e and s < end for s, e, _ in taken):
            taken.append((start, end, "PER"))
    return text, sorted(taken)


def swapped(document: Labelled, generator: Generator, chance: random.Random) -> Labelled:
    """The same text about others: each name replaced by one of its kind, in its case."""
    text, spans = document
    parts: list[str] = []
    moved: list[tuple[int, int, str]] = []
    behind = length = 0
    for start, end, label in sorted(spans):
        old = text[start:end]
        new = old
        if old[0] not in "@#" and chance.random() < 0.8:
            people = chance.choice(generator.people)
            if label == "PER":
                new = (
                    generator.full(people)
                    if " " in old
                    else chance.choice(
                        (generator.given(people), generator.given(people), generator.family(people))
                    )
                )
            elif label == "LOC":
                new = chance.choice((generator.place(), chance.choice(generator.countries)))
            else:
                new = generator.org()
            if old.islower():
                new = new.lower()
            elif old.isupper() and len(old) > 4:
                new = new.upper()
        parts += [text[behind:start], new]
        length += start - behind
        moved.append((length, length + len(new), label))
        length += len(new)
        behind = end
    return "".join([*parts, text[behind:]]), moved
