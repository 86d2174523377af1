"""What stands within values: types in running text, and in columns of mixed content."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from strongroom.engines.privacy.discover.findings import Evidence, Role, Shape, TypeInside
from strongroom.engines.privacy.discover.lookalikes import LOOKALIKES
from strongroom.engines.privacy.discover.profile import ColumnSample, spread
from strongroom.engines.privacy.discover.rulebook import Rulebook
from strongroom.engines.privacy.discover.text.language import NAMES, languages_of
from strongroom.engines.privacy.discover.text.spans import Span

LOOKED_AT = 60
"""Values of a column that are matched against forms."""
SEARCHED = 24
"""Values of a column that are searched as text, which takes far longer."""
_LONGEST = 2_000
_LEAST_CONFIDENCE = 0.5
_LEAST_WORDS = 3.0
_SURE = 0.95
_TEXT_SHAPES = frozenset({
    Shape.FREE_TEXT, Shape.SHORT_TEXT, Shape.UNIQUE_TEXT, Shape.CATEGORY,
    Shape.CONSTANT,  # the body of a single message
})  # fmt: skip


class Finder(Protocol):
    """What searches texts: `TextFinder`, or anything that does the same."""

    def find_all(self, texts: Iterable[str]) -> Iterator[Sequence[Span]]:
        """Spans of each text, in order."""
        ...


def may_hold_text(sample: ColumnSample) -> bool:
    """True for columns of sentences, or of a few words each."""
    if sample.profile.shape not in _TEXT_SHAPES or not sample.values:
        return False
    looked_at = spread(sample.values, LOOKED_AT)
    words = sum(value.count(" ") + 1 for value in looked_at) / len(looked_at)
    return sample.profile.shape is Shape.FREE_TEXT or words >= _LEAST_WORDS


def types_inside(sample: ColumnSample, finder: Finder, book: Rulebook) -> tuple[TypeInside, ...]:
    """The types that the finder sees in the values, without those that are not personal."""
    looked_at = spread(sample.values, SEARCHED)
    counts: Counter[str] = Counter()
    for found in finder.find_all([value[:_LONGEST] for value in looked_at]):
        counts.update({span.type for span in found if span.confidence >= _LEAST_CONFIDENCE})
    return _shares(counts, len(looked_at), book)


def languages_inside(sample: ColumnSample) -> tuple[Evidence, ...]:
    """Which languages the values are written in, as far as they can be told."""
    shares = languages_of(value[:_LONGEST] for value in spread(sample.values, LOOKED_AT))
    if not shares:
        return ()
    named = ", ".join(f"{NAMES[name]} {100 * share:.0f} %" for name, share in shares.items())
    return (Evidence("language", f"written in {named}"),)


def mixed_forms(sample: ColumnSample, book: Rulebook) -> tuple[TypeInside, ...]:
    """Types of which some values have a form that nothing else has, too few to name the column."""
    looked_at = spread(sample.values, LOOKED_AT)
    counts: Counter[str] = Counter()
    for value in looked_at:
        names = set()
        for form in book.union.Match(value) or ():
            name, grammar = book.grammars[form]
            if grammar.alone >= _SURE and (grammar.check is None or grammar.check(value)):
                names.add(name)
        counts.update(names)
    # Where every value has the form, all of them may be something else, such as versions.
    for name, is_other in LOOKALIKES.items():
        if counts[name] == len(looked_at) and is_other(looked_at):
            del counts[name]
    return _shares(counts, len(looked_at), book)


def _shares(counts: Counter[str], looked_at: int, book: Rulebook) -> tuple[TypeInside, ...]:
    return tuple(
        TypeInside(name, round(count / looked_at, 4), count, book.role_of(name))
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if book.role_of(name) is not Role.PLAIN
    )
