"""What the text finder says: places in a text, never the text itself."""

from typing import NamedTuple


class Span(NamedTuple):
    """One piece of personal data in a text.

    Attributes:
        start: first character, counted in code points of the text as it was given.
        end: behind the last character.
        type: name of a semantic type.
        confidence: in (0, 1].
        source: `pattern`, `checksum`, `context`, `dictionary`, `model`, `repeat` or `custom`.
    """

    start: int
    end: int
    type: str
    confidence: float
    source: str
