"""A pattern for values of which some examples are given, and a type of one's own around it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import re2

from strongroom.engines.privacy.discover.custom import CHECKSUMS, CustomType, compiled
from strongroom.engines.privacy.discover.headers import words_of
from strongroom.engines.privacy.discover.profile import ColumnSample
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME

MAX_EXAMPLES = 1_000
MIN_DISTINCT = 8
"""Of fewer values a pattern would hold parts of them, and would say nothing of others."""
LEAST_SHARE = 0.6
"""Of the filled rows that the pattern must fit, else none is suggested."""
_CHECKED_SHARE, _CHECKED_DISTINCT = 0.98, 30
_MAX_NAME = 63
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


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A type of one's own for a column.

    Attributes:
        share: of the filled rows, placeholders left out, that it fits; in (0, 1].
        distinct: different values that it fits.
        words: what the pattern fits, for people.
    """

    type: CustomType
    share: float
    distinct: int
    words: str

    def toml(self) -> str:
        """As a file of custom types holds it."""
        kind = self.type
        lines = [
            f"[{kind.name}]",
            f"title = {_quoted(kind.title)}",
            f"pattern = {_quoted(kind.pattern)}",
            f"keywords = [{', '.join(map(_quoted, kind.keywords))}]",
            f"min_share = {kind.min_share}",
            f"min_distinct = {kind.min_distinct}",
            *([f'checksum = "{kind.checksum}"'] if kind.checksum else []),
            f'role = "{kind.role}"',
        ]
        return "\n".join(lines) + "\n"


def suggest_type(sample: ColumnSample) -> Suggestion | None:
    """A type for what most rows of the column have in common; None where they have no form.

    Values of the commonest shape give the pattern where not all have one. A check digit is
    suggested where nearly all of many values pass it.
    """
    values = [value for value in sample.values if len(value) <= _LONGEST]
    if len(values) < MIN_DISTINCT:
        return None
    pattern = suggest_pattern(values) or suggest_pattern(_commonest(values))
    if pattern is None:
        return None
    form = compiled(pattern)
    fits = [form.fullmatch(value) is not None for value in sample.values]
    fitting = [value for value, fit in zip(sample.values, fits, strict=True) if fit]
    rows = sum(weight for weight, fit in zip(sample.weights, fits, strict=True) if fit)
    share = rows / sum(sample.weights)
    if share < LEAST_SHARE or len(fitting) < MIN_DISTINCT:
        return None
    words = [word for word in words_of(sample.name) if word.isascii()]
    kind = CustomType(
        _type_name(words), " ".join(words)[:60] or "type of our own", pattern,
        tuple([" ".join(words)[:60]] if words else []), checksum=_checksum(fitting, pattern),
    )  # fmt: skip
    return Suggestion(kind, share, len(fitting), describe(pattern))


def _commonest(values: Sequence[str]) -> list[str]:
    """The values of the shape that most of them have."""
    shapes = Counter(tuple(kind for kind, _ in _runs(value)) for value in values)
    most = shapes.most_common(1)[0][0]
    return [value for value in values if tuple(kind for kind, _ in _runs(value)) == most]


def _checksum(values: Sequence[str], pattern: str) -> str:
    if len(values) < _CHECKED_DISTINCT:
        return ""
    for name in CHECKSUMS:
        kind = CustomType("tried", "tried", pattern, checksum=name)
        try:
            passed = sum(map(kind.has_right_check_digit, values))
        except ValueError:  # no digits, or signs that this checksum does not know
            continue
        if passed >= _CHECKED_SHARE * len(values):
            return name
    return ""


def _type_name(words: Sequence[str]) -> str:
    name = "_".join(words)[:_MAX_NAME].rstrip("_")
    if len(name) < 2 or not name[0].isalpha() or name in RULES_BY_NAME:
        name = f"own_{name}"[:_MAX_NAME].rstrip("_")
    return name


def _quoted(text: str) -> str:
    """As TOML: a literal where that can be, so that a pattern stays readable."""
    if "'" not in text and text.isprintable():
        return f"'{text}'"
    # Basic strings escape as JSON does.
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


_PART = re2.compile(r"(\\d|\[(?:\\.|[^\]\\])+\]|\\?.)(?:\{(\d+)(?:,(\d+))?\})?")
_CLASSES = {
    r"\d": "digit", "[A-Z]": "capital letter", "[a-z]": "small letter",
    "[0-9]": "digit", "[A-Z0-9]": "capital letter or digit", "[a-z0-9]": "small letter or digit",
    "[A-Za-z]": "letter", "[A-Za-z0-9]": "letter or digit",
}  # fmt: skip


def describe(pattern: str) -> str:
    """What a pattern of `suggest_pattern` fits, in words."""
    said: list[str] = []
    literal = ""
    for found in _PART.finditer(pattern):
        part, low, high = found.groups()
        if part != r"\d" and not part.startswith("["):
            literal += part[-1]
            continue
        if literal:
            said.append(f"`{literal}`")
            literal = ""
        one = _CLASSES.get(part, f"sign of {part}")
        if low is None:
            said.append(f"1 {one}")
        else:
            many = one.replace("letter", "letters").replace("digit", "digits")
            said.append(f"{low} to {high} {many}" if high else f"{low} {many}")
    return ", ".join([*said, *([f"`{literal}`"] if literal else [])])
