"""What the text finder says: places in a text, never the text itself."""

from typing import NamedTuple

Place = tuple[int, int]
"""First character or byte, and the one behind the last."""
Proposal = tuple[int, int, str, float, str]
"""What may become a span: the same members, without the cost of one."""


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
