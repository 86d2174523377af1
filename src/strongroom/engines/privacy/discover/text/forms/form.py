"""The form of a form: one pattern of one type, over folded bytes."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """How a piece of personal data is written.

    Attributes:
        type: name of a semantic type.
        pattern: RE2 over folded text (see `folding`), without groups that capture, save one
            that holds the value where the pattern also has words before it.
        confidence: in (0, 1].
        check: a checksum or rule that the pattern cannot express; given the value's text.
        context: RE2 that must be found shortly before the value; empty: none is needed.
        source: what the confidence stands on, as in `Span`.
        lead: the part of `pattern` before the value's group, where there is nothing behind it:
            lets the value be found without groups, which are slow.
        unless: RE2 of what right before the value shows that it is something else.
        unless_behind: the same, right behind it.
    """

    type: str
    pattern: str
    confidence: float
    check: Callable[[str], bool] | None = None
    context: str = ""
    source: str = "pattern"
    lead: str = ""
    unless: str = ""
    unless_behind: str = ""


# Letters as folded text has them: ASCII, and one byte for all others of either case.
UPPER = r"A-Z\x81"
LOWER = r"a-z\x82"
LETTER = UPPER + LOWER
# Before and behind the number of a version: "v1.2.3.4", ">= 2.6.33", "(1.2.5.1-2)", "Edg/1.2.0.0".
VERSION_BEFORE = (
    r"(?i)(?:\b(?:v|ver|version|release[ds]?|revision|rev|build|firmware|driver|kernel|linux|python"
    r"|pypy3?|openssl|nginx|apache|chrome|chromium|firefox|java|jdk|section|chapter|clause|figure|fig"
    r"|sec|oid)\b[\"' ]{0,2}[:=.]?[\"' ]{0,2}|[<>~]= ?|[<>~^] |[a-z][-/]|\d[+~])$"
)
VERSION_BEHIND = (
    r"[+~][0-9A-Za-z]|-[A-Za-z]|-\d{1,2}[~+)]"
    r"|\.(?:dev|rc|post|tar|zip|whl|exe|msi|deb|rpm|jar|so|dll)\b|(?:a|b|rc)\d"
)
