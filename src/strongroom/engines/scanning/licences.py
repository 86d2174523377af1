"""Under which licence a requirement stands, as far as that is known offline, and who may use it.

Source: PEP 639 and the core metadata specification; SPDX 2.3 annex D (expressions). Which
identifiers exist is `packaging`'s list.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from strongroom.errors import ValidationError

MAX_METADATA = 4 << 20
_MAX_EXPRESSION = 500
_MAX_DEPTH = 20

# Trove classifiers that name one licence without doubt.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
}
# Words that people write into the free field, and that mean one licence.
_WORDS = {
    "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0", "apache-2": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0", "apache license version 2.0": "Apache-2.0",
    "apache 2": "Apache-2.0", "mit license": "MIT", "the mit license": "MIT",
    "bsd 3-clause": "BSD-3-Clause", "bsd-3": "BSD-3-Clause", "new bsd": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause", "3-clause bsd": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause", "psf": "PSF-2.0", "lgplv3+": "LGPL-3.0-or-later",
    "lgplv3": "LGPL-3.0-only", "gplv3": "GPL-3.0-only", "gplv3+": "GPL-3.0-or-later",
    "gplv2": "GPL-2.0-only", "mpl 2.0": "MPL-2.0",
}  # fmt: skip

Answer = Literal["allowed", "denied", "unknown"]


@dataclass(frozen=True, slots=True)
class LicencePolicy:
    """Which licences may come in, by SPDX identifier; build it with `policy`.

    Attributes:
        allowed: where there are any, all others are denied.
        denied: these are, whatever `allowed` says.
    """

    allowed: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not self.allowed and not self.denied

    def judge(self, expression: str) -> Answer:
        """What it says to an SPDX expression: of `OR` one must be allowed, of `AND` each."""
        if not expression:
            return "unknown"
        return "allowed" if self._permits(expression) else "denied"

    def _permits(self, expression: str) -> bool:
        tokens = re.findall(r"[()]|[^\s()]+", expression)
        return _Expression(tokens, self).whole()

    def permits_one(self, identifier: str) -> bool:
        """Whether one licence may come in."""
        bare = identifier.partition(" WITH ")[0]
        if identifier in self.denied or bare in self.denied:
            return False
        return not self.allowed or identifier in self.allowed or bare in self.allowed


class _Expression:
    """A canonical SPDX expression, read from its tokens; `AND` binds closer than `OR`."""

    def __init__(self, tokens: list[str], policy: LicencePolicy) -> None:
        self._tokens = tokens
        self._at = 0
        self._policy = policy

    def whole(self) -> bool:
        """What it comes to; False where anything is left over."""
        return self._any(0) and self._at == len(self._tokens)

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _any(self, depth: int) -> bool:
        found = self._all(depth)
        while self._next().upper() == "OR":
            self._at += 1
            found = self._all(depth) or found
        return found

    def _all(self, depth: int) -> bool:
        found = self._one(depth)
        while self._next().upper() == "AND":
            self._at += 1
            found = self._one(depth) and found
        return found

    def _one(self, depth: int) -> bool:
        word = self._next()
        self._at += 1
        if word == "(":
            found = depth < _MAX_DEPTH and self._any(depth + 1)
            closed = self._next() == ")"
            self._at += 1
            return found and closed
        if self._next().upper() == "WITH":
            self._at += 1
            word = f"{word} WITH {self._next()}"
            self._at += 1
        return self._policy.permits_one(word)


def policy(allowed: str = "", denied: str = "") -> LicencePolicy:
    """A policy from two comma lists of SPDX identifiers.

    Raises:
        ValidationError: one is no identifier.
    """
    return LicencePolicy(frozenset(_identifiers(allowed)), frozenset(_identifiers(denied)))


def _identifiers(listed: str) -> Iterator[str]:
    for text in filter(None, map(str.strip, listed.split(","))):
        found = spdx(text)
        if not found or " AND " in found or " OR " in found:
            raise ValidationError(
                f"`{text[:80]}` is no SPDX licence identifier",
                next_step="write it as SPDX does, such as Apache-2.0 or GPL-3.0-only",
            )
        yield found


def spdx(text: str) -> str:
    """The canonical form of an SPDX expression; empty where it is none."""
    if not text or len(text) > _MAX_EXPRESSION:
        return ""
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return ""


def read_metadata(data: bytes) -> tuple[str, str]:
    """Name and SPDX expression from the `METADATA` or `PKG-INFO` of a distribution.

    Both are empty where they are not told without doubt.
    """
    message = HeaderParser().parsestr(data[:MAX_METADATA].decode("utf-8", "replace"))
    name = str(message.get("Name") or "").strip()[:_MAX_EXPRESSION]
    classifiers = [str(one) for one in message.get_all("Classifier") or []][:1_000]
    expression = str(message.get("License-Expression") or "")
    normal = str(canonicalize_name(name)) if name else ""
    return normal, licence_of(expression, str(message.get("License") or ""), classifiers)


def licence_of(expression: str, words: str, classifiers: list[str]) -> str:
    """The SPDX expression of the three fields in which a distribution may tell it; or empty."""
    if found := spdx(expression.strip()):
        return found
    named = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    known = {_CLASSIFIERS[one] for one in named if one in _CLASSIFIERS}
    if len(known) == 1 and all(one in _CLASSIFIERS or one == "OSI Approved" for one in named):
        return known.pop()
    plain = words.strip()
    if plain.upper() in ("UNKNOWN", "NONE"):
        return ""
    return _WORDS.get(plain.lower(), "") or spdx(plain)
