r"""Semantic types of one's own: a pattern, words, and how much of a column must have the form.

One small TOML file, used for columns and for running text:

    [study_code]
    title = "code of a study"          # for people; default: the name
    pattern = 'ST-\d{6}'               # RE2, of the whole value
    keywords = ["study", "studie"]     # words in column names, and near the value in text
    min_share = 0.6                    # of a column's values, above 0 to 1; default 0.6
    min_distinct = 8                   # so many must differ, 1 to 1000; default 8
    checksum = "luhn"                  # optional: luhn, verhoeff, mod11_2, mod97_10, mod37_2, damm
    role = "direct"                    # direct, quasi, special, secret or plain; default direct
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import re2
from stdnum import damm, luhn, verhoeff
from stdnum.iso7064 import mod_11_2, mod_37_2, mod_97_10

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule
from strongroom.errors import ValidationError

MAX_FILE_CHARACTERS = 256 * 1024
MAX_TYPES = 200
MAX_PATTERN_CHARACTERS = 1_000
MAX_KEYWORDS = 50
MAX_KEYWORD_CHARACTERS = 60
_MAX_PATTERN_BYTES = 2**20
"""Memory that RE2 may take for one pattern: `a{1000}{1000}` is refused, not expanded."""
_MAX_BYTES_TOGETHER = 16 * 2**20
"""And for all of a file, a quarter of what `rulebook` has for them and the built-in rules."""
DEFAULT_MIN_SHARE, DEFAULT_MIN_DISTINCT = 0.6, 8
_MAX_DISTINCT = 1_000
_NAME = re2.compile(r"[a-z][a-z0-9_]{1,62}")

CHECKSUMS: Mapping[str, Callable[[str], bool]] = {
    "luhn": luhn.is_valid,
    "verhoeff": verhoeff.is_valid,
    "damm": damm.is_valid,
    "mod11_2": mod_11_2.is_valid,
    "mod37_2": mod_37_2.is_valid,
    "mod97_10": mod_97_10.is_valid,
}
"""Check digits by name: Luhn (ISO/IEC 7812), Verhoeff, Damm, and those of ISO/IEC 7064."""


@dataclass(frozen=True, slots=True)
class CustomType:
    """A semantic type that an organisation has defined.

    Attributes:
        pattern: RE2, of the whole value in a column; of a whole word or words in a text.
        keywords: lower case; in a column's name they name the type, near a value in a text they
            make it surer.
        min_share: of a column's values that must have the form, in (0, 1].
        min_distinct: so many values with it must differ.
        checksum: name of a check digit in `CHECKSUMS`, or empty.
    """

    name: str
    title: str
    pattern: str
    keywords: tuple[str, ...] = ()
    min_share: float = DEFAULT_MIN_SHARE
    min_distinct: int = DEFAULT_MIN_DISTINCT
    checksum: str = ""
    role: Role = Role.DIRECT

    def fits(self, value: str) -> bool:
        """True where a whole value has the form, and a right check digit if one is asked for."""
        if compiled(self.pattern).fullmatch(value) is None:
            return False
        return self.has_right_check_digit(value)

    def has_right_check_digit(self, value: str) -> bool:
        """True where the letters and digits pass the checksum, or none is asked for."""
        if not self.checksum:
            return True
        signs = "".join(sign for sign in value.upper() if sign.isascii() and sign.isalnum())
        if self.checksum in {"luhn", "verhoeff", "damm"}:
            signs = "".join(sign for sign in signs if sign.isdigit())
        return CHECKSUMS[self.checksum](signs)

    def rule(self) -> Rule:
        """The same as a rule for columns."""
        check = self.has_right_check_digit if self.checksum else None
        grammar = Grammar(self.pattern, 0.9, 0.99, check, self.min_share, self.min_distinct)
        return Rule(self.name, self.title, self.role, headers=self.keywords, grammars=(grammar,))


@lru_cache(maxsize=2 * MAX_TYPES)
def compiled(pattern: str) -> "re2._Regexp[str]":
    """A pattern within the limits of a custom type.

    Raises:
        re2.error: it is no RE2 pattern, or too large.
    """
    options = re2.Options()
    options.max_mem = _MAX_PATTERN_BYTES
    options.log_errors = False
    return re2.compile(pattern, options)


def parse_custom_types(text: str) -> tuple[CustomType, ...]:
    """The types in a TOML file, in its order.

    Raises:
        ValidationError: not of this form; names the type and the key.
    """
    if len(text) > MAX_FILE_CHARACTERS:
        raise ValidationError(f"a file of custom types may have {MAX_FILE_CHARACTERS} characters")
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValidationError(f"the custom types are not valid TOML: {error}") from None
    except RecursionError:
        raise ValidationError("the custom types are nested too deep") from None
    if len(entries) > MAX_TYPES:
        raise ValidationError(f"there may be {MAX_TYPES} custom types, not {len(entries)}")
    types = tuple(_custom_type(name, entry) for name, entry in entries.items())
    if not _fit_together(tuple(kind.pattern for kind in types)):
        raise ValidationError(
            "the patterns of the custom types are too large together",
            next_step="count fewer repeats, or less of them; see docs/privacy.md",
        )
    return types


@lru_cache(maxsize=8)
def _fit_together(patterns: tuple[str, ...]) -> bool:
    """True where one automaton for all of them stays small: columns are matched with such a one."""
    options = re2.Options()
    options.max_mem = _MAX_BYTES_TOGETHER
    options.log_errors = False
    union = re2.Set.FullMatchSet(options)
    for pattern in patterns:
        union.Add(pattern)
    try:
        union.Compile()
    except re2.error:
        return False
    return True


_KEYS: Mapping[str, type] = {
    "title": str, "pattern": str, "keywords": list, "min_share": float, "min_distinct": int,
    "checksum": str, "role": str,
}  # fmt: skip
_IN_WORDS: Mapping[type, str] = {
    str: "a text", list: "a list of texts", float: "a number", int: "a whole number",
}  # fmt: skip


def _custom_type(name: str, entry: object) -> CustomType:
    if _NAME.fullmatch(name) is None:
        raise ValidationError(
            f"custom type `{name[:80]}`: a name has 2 to 63 small letters, digits and underscores"
        )
    if name in RULES_BY_NAME:
        raise ValidationError(f"custom type `{name}`: there is a built-in type of this name")
    if not isinstance(entry, dict):
        raise ValidationError(f"custom type `{name}`: must be a table, `[{name}]`")
    for key, value in entry.items():
        _require_known(name, key, value)
    pattern = entry.get("pattern")
    if not pattern:
        raise ValidationError(f"`{name}.pattern` is missing")
    _require_pattern(name, pattern)
    return CustomType(
        name=name,
        title=_short(name, "title", entry.get("title", name.replace("_", " "))),
        pattern=pattern,
        keywords=_keywords(name, entry.get("keywords", [])),
        min_share=_number(name, "min_share", entry, DEFAULT_MIN_SHARE, above=0.0, most=1.0),
        min_distinct=int(
            _number(name, "min_distinct", entry, DEFAULT_MIN_DISTINCT, above=0, most=_MAX_DISTINCT)
        ),
        checksum=_one_of(name, "checksum", entry.get("checksum", ""), ("", *CHECKSUMS)),
        role=Role(_one_of(name, "role", entry.get("role", "direct"), tuple(Role))),
    )


def _require_known(name: str, key: str, value: object) -> None:
    wanted = _KEYS.get(key)
    if wanted is None:
        close = get_close_matches(key, _KEYS, 1)
        hint = f"; did you mean `{close[0]}`?" if close else ""
        raise ValidationError(f"custom type `{name}` has no key `{key[:80]}`{hint}")
    allowed = (int, float) if wanted is float else wanted
    if not isinstance(value, allowed) or (isinstance(value, bool) and wanted is not bool):
        raise ValidationError(f"`{name}.{key}` must be {_IN_WORDS[wanted]}")


def _require_pattern(name: str, pattern: str) -> None:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ValidationError(f"`{name}.pattern` may have {MAX_PATTERN_CHARACTERS} characters")
    try:
        form = compiled(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValidationError(
            f"`{name}.pattern` is no RE2 pattern: {reason[:200]}",
            next_step="RE2 has no look-around and no back-references; see docs/privacy.md",
        ) from None
    if form.fullmatch("") is not None:
        raise ValidationError(f"`{name}.pattern` fits the empty text, so it says nothing")


def _short(name: str, key: str, text: str) -> str:
    if not text.strip() or len(text) > MAX_KEYWORD_CHARACTERS:
        raise ValidationError(f"`{name}.{key}` has 1 to {MAX_KEYWORD_CHARACTERS} characters")
    return text.strip()


def _keywords(name: str, listed: Sequence[object]) -> tuple[str, ...]:
    if len(listed) > MAX_KEYWORDS:
        raise ValidationError(f"`{name}.keywords` may have {MAX_KEYWORDS} entries")
    words = []
    for at, word in enumerate(listed):
        if not isinstance(word, str):
            raise ValidationError(f"`{name}.keywords[{at}]` must be a text")
        words.append(_short(name, f"keywords[{at}]", word).lower())
    return tuple(words)


def _number(
    name: str, key: str, entry: Mapping[str, Any], default: float, *, above: float, most: float
) -> float:
    value = float(entry.get(key, default))
    if not above < value <= most:
        raise ValidationError(f"`{name}.{key}` must be above {above} and at most {most}")
    return value


def _one_of(name: str, key: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        shown = ", ".join(item for item in allowed if item)
        raise ValidationError(f"`{name}.{key}` must be one of: {shown}")
    return value
