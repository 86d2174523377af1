"""A pattern for values of which some examples are given."""

from collections.abc import Sequence
from itertools import groupby

import re2

MAX_EXAMPLES = 1_000
_LONGEST = 200
_KINDS = {"d": r"\d", "u": "[A-Z]", "l": "[a-z]"}


def suggest_pattern(examples: Sequence[str]) -> str | None:
    """The narrowest pattern of one simple shape that all examples have; None where there is none.

    Values are cut into runs of digits, capital letters, small letters and other signs. Where all
    have the same runs in the same order, signs that never differ stay as they are, and other runs
    become classes with the lengths seen. A word of letters that never differs is kept, digits
    never are: a pattern must not hold somebody's number.

    Args:
        examples: 2 to `MAX_EXAMPLES` texts of at most 200 characters.
    """
    values = [example.strip() for example in examples[:MAX_EXAMPLES]]
    if len(values) < 2 or any(not value or len(value) > _LONGEST for value in values):
        return None
    cut = [_runs(value) for value in values]
    if len({tuple(kind for kind, _ in runs) for runs in cut}) != 1:
        return _of_one_class(values)
    parts = []
    for column in zip(*cut, strict=True):
        kind, texts = column[0][0], {text for _, text in column}
        if len(texts) == 1 and kind != "d":
            parts.append(re2.escape(texts.pop()))
        elif kind in _KINDS:
            parts.append(_KINDS[kind] + _lengths({len(text) for text in texts}))
        else:
            signs = "".join(sorted({sign for text in texts for sign in text}))
            parts.append(f"[{re2.escape(signs)}]" + _lengths({len(text) for text in texts}))
    return "".join(parts)


def _kind(sign: str) -> str:
    if sign.isascii() and sign.isdigit():
        return "d"
    if sign.isascii() and sign.isalpha():
        return "u" if sign.isupper() else "l"
    return "s"


def _runs(value: str) -> list[tuple[str, str]]:
    return [(kind, "".join(signs)) for kind, signs in groupby(value, _kind)]


def _lengths(lengths: set[int]) -> str:
    low, high = min(lengths), max(lengths)
    if low == high:
        return "" if low == 1 else f"{{{low}}}"
    return f"{{{low},{high}}}"


def _of_one_class(values: Sequence[str]) -> str | None:
    """Letters and digits in any order, as in codes such as `7GK2Q`."""
    kinds = {_kind(sign) for value in values for sign in value}
    if "s" in kinds:
        return None
    inside = "".join(part for kind, part in (("u", "A-Z"), ("l", "a-z"), ("d", "0-9"))
                     if kind in kinds)  # fmt: skip
    return f"[{inside}]" + _lengths({len(value) for value in values})
