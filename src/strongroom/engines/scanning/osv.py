"""Advisories in OSV form: what one record says, and whether it says it of a version.

Source: OSV schema 1.7 (fields, and the algorithm of its section "Evaluation"); Semantic
Versioning 2.0.0, section 11; PEP 440 through `packaging`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cmp_to_key, lru_cache
from typing import Any, Literal

from packaging.utils import canonicalize_name, canonicalize_version
from packaging.version import InvalidVersion, Version

from strongroom.engines.scanning.reading import MalformedError

ECOSYSTEM = "PyPI"
Rating = Literal["unknown", "low", "medium", "high", "critical"]
RATINGS: tuple[Rating, ...] = ("unknown", "low", "medium", "high", "critical")

_MAX_IDS, _MAX_AFFECTED, _MAX_EVENTS, _MAX_VERSIONS = 200, 5_000, 20_000, 50_000
_MAX_TEXT = 300
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,99}")
_STATED: Mapping[str, Rating] = {
    "low": "low", "moderate": "medium", "medium": "medium", "important": "high", "high": "high",
    "critical": "critical",
}  # fmt: skip
_SEMVER = re.compile(
    r"[vV]?(\d{1,18})(?:\.(\d{1,18}))?(?:\.(\d{1,18}))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)

Event = tuple[str, str]
"""`introduced`, `fixed`, `last_affected` or `limit`, and a version."""
_EVENTS = ("introduced", "fixed", "last_affected", "limit")
_RANK = {name: rank for rank, name in enumerate(_EVENTS)}
Compare = Callable[[str, str], int]


@dataclass(frozen=True, slots=True)
class Range:
    """Where a vulnerability begins and ends in the order of versions."""

    type: Literal["ECOSYSTEM", "SEMVER"]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """The versions of one project that a record is about."""

    versions: frozenset[str]
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Advisory:
    """One vulnerability of one project, from one record or several that are about the same.

    Attributes:
        ids: of the records and all their aliases, a CVE first.
        rating: the worst that any of the records says.
        is_malware: the package itself is hostile.
    """

    ids: tuple[str, ...]
    summary: str
    rating: Rating
    is_malware: bool
    affected: tuple[Affected, ...]

    def concerns(self, version: str) -> bool:
        """Whether a version is affected."""
        return any(is_affected(one, version) for one in self.affected)

    def fixed_in(self, version: str) -> str:
        """The lowest version above `version` that the records call fixed; empty for none."""
        later = [
            text
            for one in self.affected
            for span in one.ranges
            for kind, text in span.events
            if kind == "fixed" and compare_pep440(text, version) > 0
        ]
        return min(later, key=cmp_to_key(compare_pep440), default="")


def read_record(record: Mapping[str, Any]) -> list[tuple[str, Advisory]]:
    """What a record says, by project; nothing where it is withdrawn or of another ecosystem.

    Raises:
        MalformedError: it is not of the OSV form, or larger than any honest one.
    """
    identity = record.get("id")
    if not isinstance(identity, str) or _ID.fullmatch(identity) is None:
        raise MalformedError("an advisory without an id")
    if record.get("withdrawn"):
        return []
    found: dict[str, list[Affected]] = {}
    rating = _rating(record)
    for entry in _objects(record.get("affected"), _MAX_AFFECTED):
        package = entry.get("package")
        if not isinstance(package, Mapping) or package.get("ecosystem") != ECOSYSTEM:
            continue
        name = package.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_TEXT:
            raise MalformedError("an advisory about a project without a name")
        found.setdefault(str(canonicalize_name(name)), []).append(_affected(entry))
        rating = max(rating, _rating(entry), key=RATINGS.index)
    ids = _ordered([identity, *_texts(record.get("aliases"), _MAX_IDS)])
    summary = _summary(record)
    malware = identity.startswith("MAL-")
    return [
        (name, Advisory(ids, summary, rating, malware, tuple(affected)))
        for name, affected in found.items()
    ]


def merged(advisories: list[Advisory]) -> Advisory:
    """Records about one vulnerability as one: affected is what any of them says."""
    ids = _ordered([identity for one in advisories for identity in one.ids])
    summary = next((one.summary for one in advisories if one.summary), "")
    rating = max((one.rating for one in advisories), key=RATINGS.index)
    affected = tuple(part for one in advisories for part in one.affected)
    return Advisory(ids, summary, rating, any(one.is_malware for one in advisories), affected)


def is_affected(affected: Affected, version: str) -> bool:
    """OSV's own evaluation: the version is listed, or lies in one of the ranges."""
    if version in affected.versions or _normal(version) in _normals(affected.versions):
        return True
    return any(_in_range(span, version) for span in affected.ranges)


def _in_range(span: Range, version: str) -> bool:
    compare = compare_semver if span.type == "SEMVER" else compare_pep440
    limits = [text for kind, text in span.events if kind == "limit"]
    if limits and not any(text == "*" or compare(version, text) < 0 for text in limits):
        return False
    found = False
    for kind, text in _sorted(span.events, compare):
        if kind == "introduced":
            found = found or text == "0" or compare(version, text) >= 0
        elif kind == "fixed":
            found = found and compare(version, text) < 0
        elif kind == "last_affected":
            found = found and compare(version, text) <= 0
    return found


def _sorted(events: tuple[Event, ...], compare: Compare) -> list[Event]:
    """Events in the order of their versions; `0` stands before all of them."""

    def order(one: Event, other: Event) -> int:
        if (one[1] == "0") != (other[1] == "0"):
            return -1 if one[1] == "0" else 1
        by_version = 0 if one[1] == other[1] else compare(one[1], other[1])
        return by_version or _RANK[one[0]] - _RANK[other[0]]

    return sorted((event for event in events if event[0] != "limit"), key=cmp_to_key(order))


# ---- versions ----


def compare_pep440(one: str, other: str) -> int:
    """Negative, 0 or positive as `one` is older than, the same as, or newer than `other`.

    A text that is no version of PEP 440 is older than all that are, as for pip of old; two of
    them are compared as texts.
    """
    first, second = _version(one), _version(other)
    if first is None or second is None:
        return (first is not None) - (second is not None) or (one > other) - (one < other)
    return (first > second) - (first < second)


def compare_semver(one: str, other: str) -> int:
    """The same by Semantic Versioning; missing parts count as 0.

    What is no semantic version is compared by PEP 440.
    """
    first, second = _semver(one), _semver(other)
    if first is None or second is None:
        return compare_pep440(one, other)
    if first[0] != second[0]:
        return 1 if first[0] > second[0] else -1
    if not first[1] or not second[1]:  # a release is newer than its pre-releases
        return (not first[1]) - (not second[1])
    return (first[1] > second[1]) - (first[1] < second[1])


@lru_cache(maxsize=65_536)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


_Part = tuple[int, int, str]


def _semver(text: str) -> tuple[tuple[int, ...], tuple[_Part, ...]] | None:
    found = _SEMVER.fullmatch(text)
    if found is None:
        return None
    numbers = tuple(int(part or 0) for part in found.groups()[:3])
    # Numbers stand before words, and are compared as numbers.
    parts = tuple(
        (0, int(part), "") if part.isdigit() and len(part) < 19 else (1, 0, part)  # of 64 bits
        for part in (found[4] or "").split(".")
        if part
    )
    return numbers, parts


def _normal(text: str) -> str:
    version = _version(text)
    return text if version is None else canonicalize_version(version.public)


@lru_cache(maxsize=4_096)
def _normals(versions: frozenset[str]) -> frozenset[str]:
    return frozenset(_normal(text) for text in versions)


# ---- reading ----


def _affected(entry: Mapping[str, Any]) -> Affected:
    ranges: list[Range] = []
    for span in _objects(entry.get("ranges"), _MAX_AFFECTED):
        kind = span.get("type")
        if kind not in ("ECOSYSTEM", "SEMVER"):
            continue  # GIT: commits are no versions
        events: list[Event] = []
        for event in _objects(span.get("events"), _MAX_EVENTS):
            for name, text in event.items():
                if name in _RANK and isinstance(text, str) and 0 < len(text) <= _MAX_TEXT:
                    events.append((name, text))
                elif name in _RANK:
                    raise MalformedError("an advisory with a strange event")
        ranges.append(Range(kind, tuple(events)))
    return Affected(frozenset(_texts(entry.get("versions"), _MAX_VERSIONS)), tuple(ranges))


def _rating(part: Mapping[str, Any]) -> Rating:
    """The rating by the newest CVSS vector that is given, else the word of the database."""
    vectors = {
        str(one.get("type")): one.get("score") for one in _objects(part.get("severity"), _MAX_IDS)
    }
    for kind in ("CVSS_V4", "CVSS_V3", "CVSS_V2"):
        vector = vectors.get(kind)
        if isinstance(vector, str) and (rated := rating_of(kind, vector)) is not None:
            return rated
    for key in ("database_specific", "ecosystem_specific"):
        words = part.get(key)
        stated = words.get("severity") if isinstance(words, Mapping) else None
        if isinstance(stated, str) and stated.lower() in _STATED:
            return _STATED[stated.lower()]
    return "unknown"


def rating_of(kind: str, vector: str) -> Rating | None:
    """The rating of a CVSS vector by its base score; None where it is no such vector.

    Source: CVSS 3.1 and 4.0, qualitative severity rating scale; the same for version 2, with 9
    and above as critical.
    """
    import cvss  # type: ignore[import-untyped] # it ships none

    try:
        if kind == "CVSS_V4":
            score = float(cvss.CVSS4(vector[:_MAX_TEXT]).base_score)
        elif kind == "CVSS_V3":
            score = float(cvss.CVSS3(vector[:_MAX_TEXT]).base_score)
        else:
            score = float(cvss.CVSS2(vector[:_MAX_TEXT]).base_score)
    except (cvss.CVSSError, ArithmeticError, ValueError, KeyError):
        return None
    if score >= 9:  # the scale of CVSS
        return "critical"
    if score >= 7:  # the scale of CVSS
        return "high"
    return "medium" if score >= 4 else "low"  # the scale of CVSS


def _ordered(ids: list[str]) -> tuple[str, ...]:
    """Each once: a CVE first, then GHSA, then the rest."""
    rank = {"CVE": 0, "GHSA": 1}
    return tuple(sorted(dict.fromkeys(ids), key=lambda one: (rank.get(one.split("-")[0], 2), one)))


def _summary(record: Mapping[str, Any]) -> str:
    text = record.get("summary") or record.get("details") or ""
    first = str(text)[: 4 * _MAX_TEXT].strip().partition("\n")[0]
    return " ".join(first.split())[:_MAX_TEXT]


def _objects(value: object, limit: int) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > limit:
        raise MalformedError("an advisory of another form")
    if not all(isinstance(one, Mapping) for one in value):
        raise MalformedError("an advisory of another form")
    return value


def _texts(value: object, limit: int) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > limit:
        raise MalformedError("an advisory of another form")
    return [one for one in value if isinstance(one, str) and len(one) <= _MAX_TEXT]
