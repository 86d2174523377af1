"""Secrets in files: what the place of a text tells, and what its shape tells.

Told by its place: the value of `password =`, a password in an address, `.netrc`, an authorization
header, a private key. What tokens of well-known services look like is told by a function that is
given (`Spotter`), for that knowledge is kept elsewhere. A secret is never repeated: of long ones
the first and last two characters are shown.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

_SHOWN_FROM = 16
_SHORTEST_TOKEN = 16


class Spotted(NamedTuple):
    """A piece of a text, and what it is: the id of a kind such as `email` or `secret_key`."""

    start: int
    end: int
    kind: str


Spotter = Callable[[str], Iterable[Spotted]]
"""Finds pieces in a text, sorted or not; may be called with up to some 65,000 characters."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret in a text.

    Attributes:
        start: first character.
        what: in words, without the secret.
        is_key: it is a private key.
    """

    start: int
    end: int
    what: str
    is_key: bool = False


# No pattern here has to look at a character more often than some hundred times: texts may be made
# to make it so. Repeats are bounded, and names are grown by hand from the word within them.
_WORD = re.compile(
    r"passw(?:or)?d|passphrase|secret|credential|pwd"
    r"|(?:api|access|account|auth|private|encryption|signing|shared|storage)[_.-]?key"
    r"|(?P<token>(?:access|auth|api|bearer|refresh|session|hf|hub|github|gitlab|bot|sas|oauth"
    r"|personal|registry|tracking)[_.-]?token)"
)
# Each of those words holds one of these and is no longer than that: only there it is looked for.
_STEMS = ("passw", "passphrase", "secret", "credential", "pwd", "key", "token")
_AROUND_STEM = 16
_IS = r"[\"'\]\\]{0,4}\s{0,8}(?:=>|:=|[:=])\s{0,8}(?:[rbufRBUF]{0,2}\\{0,2}[\"'])?"
_REST = r"(?P<rest>[\w.-]{0,40})"
_TEXT = r"(?P<value>[^\s\"'`,;#&<>(){}\[\]\\]{6,400})(?P<behind>[\s\"'(\[]?)"
_VALUE = re.compile(_REST + _IS + _TEXT)
# In a pickle a value follows its name; between them are opcodes and a length, most of them lines.
_BEHIND = re.compile(_REST + r"\n{1,4}(?:X.?\n{3,4})?" + _TEXT)
_BEFORE_WORD = 40
# Without one of these, in lower case, nothing is found by its place: far cheaper than patterns.
_HINTS = ("passw", "passphrase", "secret", "credential", "pwd", "key", "token", "://",
          "authorization", "machine")  # fmt: skip
# What each pattern has in it in lower case, what it finds, whether that is a private key.
_PLACES: tuple[tuple[re.Pattern[str], str, str, bool], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
                r"(?=(?:\s|\\[rn]){1,8}(?:[A-Za-z0-9+/]{16}|Proc-Type|DEK-Info|Version|Comment))"),
     "-----begin", "a private key", True),
    (re.compile(r"PuTTY-User-Key-File-\d:"), "putty-user-key", "a private key", True),
    (re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]{50}"), "age-secret-key-1", "a private key", True),
    (re.compile(r"://[^\s:/@\"'<>]{0,100}:([^\s/@\"'<>]{3,200})@[\w\[]"),
     "://", "a password in an address", False),
    (re.compile(r"(?i)\bmachine\s{1,8}\S{1,200}\s{1,8}login\s{1,8}\S{1,200}\s{1,8}"
                r"password\s{1,8}(\S{1,200})"),
     "machine", "a password of a .netrc", False),
    (re.compile(r"(?i)authorization[\"']?\s{0,8}[:=]\s{0,8}[\"']?(?:basic|bearer|token)\s{1,8}"
                r"([A-Za-z0-9+/=._~-]{12,2000})"), "authorization",
     "an authorization header", False),
)  # fmt: skip
_NOT_ONE = re.compile(
    r"(?i)[$%]\{?[A-Z_a-z{]|\{\{|^(?:none|null|nil|true|false|str|string|bytes|optional|any|int|self"
    r"|os\.|getenv|env\b|environ|process\.env|config\.|settings\.|args\.)"
    r"|changeme|change_me|your[_-]|my[_-]|example|placeholder|redacted|dummy|sample|insert|todo|xxxx"
    r"|\*\*\*|\.\.\.|…|^(.)\1+$|^(?:test(?:ing)?|password|passwd|pass|secret|token|pwd)$"
    r"|^path|^file|^/|^\./|^https?:"
)
_KINDS = {"secret_key": "an API key or token", "private_key": "a private key",
          "password": "a hashed password",
          "connection_string": "an address with a password in it"}  # fmt: skip
# Something long with digits and letters that is neither hexadecimal nor a word.
_TOKEN = re.compile(r"(?<![\w/+.=-])(?=[\w/+=-]{0,80}\d)(?=[\w/+=-]{0,80}[A-Za-z])[\w/+=-]{16,}")
_HEX = re.compile(r"[0-9a-fA-F-]+\Z")
_MIN_BITS = 2.7  # a character; words and names have less spread than drawn texts of this length


def find_secrets(text: str, spotter: Spotter | None, *, strings: bool = False) -> list[Secret]:
    """Secrets in a text, by their place, each once.

    Args:
        strings: it is the strings of a binary file, where a value stands behind its name.
    """
    found: list[Secret] = []
    # Letters beyond ASCII are in none of the words; without them a search is far faster.
    lower = text.encode("ascii", "replace").decode("ascii").lower()
    if any(hint in lower for hint in _HINTS):
        found.extend(_by_place(text, lower))
        words = list(_words(lower))
        found.extend(_assigned(text, words, _VALUE))
        if strings:
            found.extend(_assigned(text, words, _BEHIND))
    if spotter is not None and may_hold_token(text):
        for start, end, kind in spotter(text):
            if kind in _KINDS:
                what = f"{_KINDS[kind]} ({veiled(text[start:end])})"
                found.append(Secret(start, end, what, kind == "private_key"))
    return list(_each_once(found))


def may_hold_token(text: str) -> bool:
    """Whether a text holds anything that could be a token at all; cheap, and sees too many."""
    if "-----BEGIN" in text or "$2" in text or "eyJ" in text:
        return True
    words = {word for word in text.split() if len(word) >= _SHORTEST_TOKEN}
    return any(not _HEX.match(one[0]) for word in words for one in _TOKEN.finditer(word))


def veiled(secret: str) -> str:
    """What may be shown of a secret: its length, and of a long one two characters at each end."""
    if len(secret) < _SHOWN_FROM or not secret.isprintable() or "\n" in secret:
        return f"{len(secret)} characters"
    return f"{secret[:2]}…{secret[-2:]}, {len(secret)} characters"


def without_secrets(text: str, spotter: Spotter | None) -> str:
    """`text` with every secret in it left out."""
    for secret in reversed(find_secrets(text, spotter)):
        text = f"{text[: secret.start]}…{text[secret.end :]}"
    return text


def _by_place(text: str, lower: str) -> Iterator[Secret]:
    for pattern, mark, what, is_key in _PLACES:
        for found in pattern.finditer(text) if mark in lower else ():
            group = 1 if pattern.groups else 0
            value = found[group]
            if is_key:
                yield Secret(*found.span(), what, is_key)
            elif not _NOT_ONE.search(value):
                yield Secret(*found.span(group), f"{what} ({veiled(value)})", is_key)


def _words(lower: str) -> Iterator[re.Match[str]]:
    """Names of secrets, in order."""
    stems: list[int] = []
    for stem in _STEMS:
        at = lower.find(stem)
        while at >= 0:
            stems.append(at)
            at = lower.find(stem, at + 1)
    stems.sort()
    index = 0
    while index < len(stems):
        start = stems[index] - _AROUND_STEM
        while index + 1 < len(stems) and stems[index + 1] - stems[index] <= 2 * _AROUND_STEM:
            index += 1
        yield from _WORD.finditer(lower, max(0, start), stems[index] + _AROUND_STEM)
        index += 1


def _assigned(
    text: str, words: Iterable[re.Match[str]], value_of: re.Pattern[str]
) -> Iterator[Secret]:
    """Values that are assigned to names of secrets: `name = value`, `"name": "value"`."""
    behind = 0
    for word in words:
        if word.start() < behind:
            continue
        found = value_of.match(text, word.end())
        if found is None or (word["token"] and found["rest"]):
            continue
        start = word.start()
        first = max(0, start - _BEFORE_WORD)
        while start > first and (text[start - 1].isalnum() or text[start - 1] in "_.-"):
            start -= 1
        if value_of is _BEHIND and start > 0 and text[start - 1] != "\n":
            continue  # a word of a sentence
        name, value = text[start : found.end("rest")], found["value"]
        if found["behind"] in ("(", "[") or _NOT_ONE.search(value) or not _is_drawn(name, value):
            continue
        behind = found.end("value")
        shown = "".join(char for char in name if char.isprintable())
        yield Secret(*found.span("value"), f"what is assigned to `{shown}` ({veiled(value)})")


def _is_drawn(name: str, value: str) -> bool:
    """Whether a value looks like a secret: a password may be any text, a key is long and mixed."""
    if value.lower() in name.lower() or name.lower().endswith(("_file", "_path", "_name", "_env")):
        return False
    is_password = re.search(r"(?i)passw|passwd|passphrase|pwd", name) is not None
    mixed = sum(any(map(kind, value)) for kind in (str.isdigit, str.islower, str.isupper))
    mixed += not value.isalnum()
    if is_password:
        return mixed >= 2 and not re.fullmatch(r"[a-z_.]+", value)
    return len(value) >= 12 and mixed >= 2 and bits(value) >= _MIN_BITS and any(
        char.isdigit() for char in value
    )  # fmt: skip


def bits(text: str) -> float:
    """Shannon entropy of the characters of a text, in bits a character."""
    if not text:
        return 0.0
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def _each_once(found: list[Secret]) -> Iterator[Secret]:
    """Sorted; of those that overlap the first and longest."""
    behind = -1
    for secret in sorted(found, key=lambda one: (one.start, -one.end)):
        if secret.start >= behind:
            behind = secret.end
            yield secret
