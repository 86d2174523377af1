"""Weighs name, values, dictionaries and statistics of one column into a finding."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import re2

from strongroom.engines.privacy.discover import dictionaries
from strongroom.engines.privacy.discover.confidence import calibrated
from strongroom.engines.privacy.discover.findings import ColumnFinding, Evidence, Role, Shape
from strongroom.engines.privacy.discover.forms import FormShare, form_shares
from strongroom.engines.privacy.discover.headers import dates_a_thing, names_a_thing, types_named
from strongroom.engines.privacy.discover.lookalikes import LOOKALIKES
from strongroom.engines.privacy.discover.phones import phone_share
from strongroom.engines.privacy.discover.profile import ColumnSample, run_on, spread
from strongroom.engines.privacy.discover.rulebook import Rulebook
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME

THRESHOLD = 0.5
"""Types less sure than this are not reported."""
MIN_DISTINCT = 8
"""Values alone speak only when at least so many differ (Purview's distinct threshold)."""
_LOOKED_UP = 64
_DOUBTED = 0.5
_BIRTH_SPREAD_YEARS = 25
_LEAST_BIRTH_YEAR, _TYPED_BY_NAME = 1890, 0.85
_NEWEST_SHORT_YEAR = 29
_LEAST_BUILT = 0.2
"""Of names that only towns have: the others are towns too, though families are called so."""
_LEAST_FIRMS = 0.1
"""Of names with the ending of a firm: the others are firms too, though people are called so."""
_LEAST_FULL, _LEAST_SINGLE, _REPEATS = 0.3, 0.1, 5
"""Few full names that come again and again, among single words that nobody is called: brands."""
_NOT_SERIAL = frozenset(RULES_BY_NAME) - {"date", "date_of_birth", "year_of_birth"}
"""Dates in digits alone lie close together; numbers of one's own types may run on."""


@dataclass
class _Case:
    """What speaks for each type, while a column is weighed."""

    sample: ColumnSample
    named: dict[str, float]
    book: Rulebook
    scores: dict[str, float] = field(default_factory=dict)
    evidence: dict[str, list[Evidence]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, score: float, *reasons: Evidence) -> None:
        """Raise the score of type `name`; the reasons are kept in any case."""
        self.scores[name] = max(self.scores.get(name, 0.0), score)
        self.evidence[name].extend(reasons)


@dataclass(frozen=True, slots=True)
class Weighed:
    """One type that something speaks for.

    Attributes:
        score: raw: it orders the types of a column, and says nothing by itself.
        basis: what the type stands on, for `confidence.calibrated`.
    """

    type: str
    score: float
    basis: str
    evidence: tuple[Evidence, ...]


def weigh_column(sample: ColumnSample, book: Rulebook) -> list[Weighed]:
    """All types that something speaks for, the likeliest first."""
    case = _Case(sample, types_named(sample.name, book), book)
    if sample.values:
        shares = form_shares(sample, book)
        _weigh_forms(case, shares)
        _weigh_birth(case, shares)
        _weigh_phone(case)
        _weigh_names(case)
        _weigh_places(case)
        _weigh_headers(case)
    elif sample.profile.shape in (Shape.BINARY, Shape.NESTED):
        _weigh_unreadable(case)
    ranked = sorted(case.scores.items(), key=lambda item: (-item[1], item[0]))
    return [
        Weighed(name, score, _basis(case.evidence[name]), tuple(case.evidence[name]))
        for name, score in ranked
    ]


def find_in_column(sample: ColumnSample, book: Rulebook) -> ColumnFinding:
    """The finding of one column; no type where nothing reaches the threshold."""
    likely = [
        (weighed, calibrated(weighed.basis, weighed.score))
        for weighed in weigh_column(sample, book)
        if weighed.score >= THRESHOLD
    ]
    if not likely or likely[0][1] < THRESHOLD:
        return ColumnFinding(
            sample.name, None, Role.PLAIN, 0.0, (_shape_evidence(sample),), sample.profile
        )
    best, confidence = likely[0]
    # What is left of the certainty is shared by the others.
    others = tuple(
        (weighed.type, round(min(sure, 1.0 - confidence), 3)) for weighed, sure in likely[1:4]
    )
    return ColumnFinding(
        sample.name, best.type, book.role_of(best.type), confidence, best.evidence,
        sample.profile, alternatives=others,
    )  # fmt: skip


_BASES = ("checksum", "dictionary", "values", "statistics")


def _basis(evidence: list[Evidence]) -> str:
    """What a type stands on: the name, the strongest other source, or both."""
    sources = {item.source for item in evidence}
    told = next((source for source in _BASES if source in sources), "")
    if "name" not in sources:
        return told
    return f"name and {told}" if told else "name"


def _shape_evidence(sample: ColumnSample) -> Evidence:
    return Evidence("statistics", f"shape {sample.profile.shape}", sample.profile.unique_share)


def _name_evidence(strength: float) -> Evidence:
    detail = "the column's name says so" if strength >= _TYPED_BY_NAME else "the name suggests it"
    return Evidence("name", detail)


def _weigh_forms(case: _Case, shares: list[FormShare]) -> None:
    doubted = names_a_thing(case.sample.name)
    serial = bool(shares) and run_on(spread(case.sample.values, _LOOKED_UP))
    distinct = case.sample.profile.distinct
    for form in shares:
        strength = case.named.get(form.type, 0.0)
        alone = form.alone
        personal = case.book.role_of(form.type) is not Role.PLAIN
        if distinct < (form.min_distinct or MIN_DISTINCT) or (
            personal and (doubted or (serial and form.type in _NOT_SERIAL))
        ):
            alone *= _DOUBTED
        is_other = LOOKALIKES.get(form.type)
        if is_other is not None and is_other(spread(case.sample.values, _LOOKED_UP)):
            alone *= _DOUBTED
        score = max(alone, strength * form.named) if strength else alone
        score *= min(1.0, 0.4 + 0.6 * form.share / 0.9)
        if score <= 0.0:
            continue
        source = "checksum" if form.checked else "values"
        reasons = [Evidence(source, f"values have the form of {form.type}", round(form.share, 3))]
        if strength:
            reasons.append(_name_evidence(strength))
        case.add(form.type, score, *reasons)


_YEAR = re2.compile(r"\b(1[89]\d{2}|20\d{2})(?:\b|\d{4}$)")
_SHORT_YEAR = re2.compile(r"[/. -](\d{2})$")


def _weigh_birth(case: _Case, shares: list[FormShare]) -> None:
    """Dates spread over a generation, and few at the end of the spread, are dates of birth."""
    dated = [form for form in shares if form.type == "date" and form.alone > 0]
    if not dated or case.sample.profile.distinct < MIN_DISTINCT:
        return
    looked_at = spread(case.sample.values, _LOOKED_UP)
    years = _years(looked_at)
    if len(years) < max(MIN_DISTINCT, len(looked_at) // 2):
        return
    low, high = years[len(years) // 20], years[-1 - len(years) // 20]
    if high - low >= _BIRTH_SPREAD_YEARS and low >= _LEAST_BIRTH_YEAR:
        reason = Evidence("statistics", f"dates spread over {high - low} years, as births do")
        share = max(form.share for form in dated)
        doubt = _DOUBTED if dates_a_thing(case.sample.name) else 1.0
        case.add("date_of_birth", 0.8 * doubt * min(1.0, share / 0.9), reason)


def _years(values: Sequence[str]) -> list[int]:
    """The years of dates, from the earliest on."""
    years = [int(found.group(1)) for value in values if (found := _YEAR.search(value)) is not None]
    if years:
        return sorted(years)
    short = [int(found.group(1)) for value in values if (found := _SHORT_YEAR.search(value))]
    # Two digits: of the people that are alive, most were born in the last century.
    return sorted(1900 + year if year > _NEWEST_SHORT_YEAR else 2000 + year for year in short)


def _weigh_phone(case: _Case) -> None:
    strength = case.named.get("phone", 0.0)
    best = max(case.scores.values(), default=0.0)
    if best >= 0.9 and not strength:  # surer than numbers of a plan can be
        return
    if any(case.scores.get(name, 0.0) > THRESHOLD for name in ("date", "date_of_birth")):
        return
    found = phone_share(case.sample, named=strength > 0)
    # Most values must be numbers of one plan; digits without a sign of a phone, nearly all.
    written = max(found.written, found.international)
    if found.share < (0.5 if written or strength else 0.85):
        return
    share = found.share
    alone = 0.95 if found.international >= 0.5 else 0.88 if written else 0.65
    if names_a_thing(case.sample.name) or case.sample.profile.distinct < MIN_DISTINCT:
        alone *= _DOUBTED
    score = max(alone, 0.98 * strength) * min(1.0, 0.4 + 0.6 * share / 0.8)
    reasons = [Evidence("values", "numbers of a telephone plan", round(share, 3))]
    if strength:
        reasons.append(_name_evidence(strength))
    case.add("phone", score, *reasons)


def _may_be_names(sample: ColumnSample) -> bool:
    """Cheap test before the dictionaries: short values, mostly letters."""
    if sample.is_number or sample.profile.shape in (Shape.DATE, Shape.NUMBER):
        return False
    looked_at = spread(sample.values, _LOOKED_UP)
    letters = sum(
        1 for value in looked_at if value[0].isalpha() and len(value) <= 60
    )  # longer is no name
    return letters >= 0.6 * len(looked_at)


def _weigh_names(case: _Case) -> None:
    sample = case.sample
    if not _may_be_names(sample):
        return
    looked_at = spread(sample.values, _LOOKED_UP)
    firms = sum(1 for value in looked_at if dictionaries.is_firm(value))
    kinds = [dictionaries.name_kind(value) for value in looked_at]
    total = len(kinds)
    # Brands are called like people, and by single words that nobody has for a name.
    single = sum(
        1 for value, kind in zip(looked_at, kinds, strict=True) if not kind and " " not in value
    )
    shares = {
        "person_name": kinds.count("full") / total,
        "given_name": (kinds.count("given") + kinds.count("either")) / total,
        "family_name": (kinds.count("family") + kinds.count("either")) / total,
    }
    if max(shares.values()) < 0.5:  # no kind alone: full names and parts of them, mixed
        shares["person_name"] = 1.0 - kinds.count("") / total
    doubted = (
        names_a_thing(sample.name)
        or sample.profile.distinct < MIN_DISTINCT
        or firms >= _LEAST_FIRMS * total
        or (
            kinds.count("full") >= _LEAST_FULL * total
            and single >= _LEAST_SINGLE * total
            and _REPEATS * sample.profile.distinct <= sum(sample.weights)
        )
    )
    for name, share in shares.items():
        strength = case.named.get(name, 0.0)
        # A part of any text looks like names; half a column of them does not happen by chance.
        least = 0.2 if strength else (0.45 if name == "person_name" else 0.5)
        if share < least:
            continue
        alone = (0.6 + 0.35 * share) * (0.4 if doubted else 1.0)
        score = max(alone, min(0.98, 0.75 + 0.3 * share) * (0.5 + 0.5 * strength))
        score = score if strength else alone
        reasons = [Evidence("dictionary", "words from lists of people's names", round(share, 3))]
        if strength:
            reasons.append(_name_evidence(strength))
        case.add(name, score, *reasons)


def _weigh_places(case: _Case) -> None:
    sample = case.sample
    strength = case.named.get("city", 0.0)
    if not _may_be_names(sample) or sample.profile.mean_length > 40:  # no town is so long
        return
    if max(case.scores.values(), default=0.0) >= 0.9:  # decided already
        return
    looked_at = spread(sample.values, _LOOKED_UP)
    share = sum(1 for value in looked_at if dictionaries.is_town(value)) / len(looked_at)
    if share < (0.2 if strength else 0.3):
        return
    people = max(
        (case.scores.get(name, 0.0) for name in ("person_name", "given_name", "family_name")),
        default=0.0,
    )
    doubted = names_a_thing(sample.name) or sample.profile.distinct < MIN_DISTINCT
    built = sum(1 for value in looked_at if dictionaries.is_surely_town(value)) / len(looked_at)
    if not strength and share < 0.5 and built < _LEAST_BUILT:
        return
    alone = (0.55 + 0.35 * share) * (0.4 if doubted else 1.0)
    # Many family names are towns: where both lists know the values, people come first.
    if people and not strength and not doubted and built >= _LEAST_BUILT:
        alone = max(alone, people + 0.01)
    elif people and not strength and share < 0.9:  # nearly all are towns
        alone = min(alone, people - 0.05)
    score = max(alone, min(0.97, 0.8 + 0.2 * share) * strength) if strength else alone
    reasons = [Evidence("dictionary", "listed towns, or built like their names", round(share, 3))]
    if strength:
        reasons.append(_name_evidence(strength))
    case.add("city", score, *reasons)


@lru_cache(maxsize=256)
def _plausible(pattern: str) -> "re2._Regexp[str]":
    return re2.compile(pattern)


def _weigh_headers(case: _Case) -> None:
    """Types known by the column's name alone: the values must at least be possible."""
    sample = case.sample
    looked_at = spread(sample.values, _LOOKED_UP)
    for name, strength in case.named.items():
        rule = case.book.rules[name]
        if rule.plausible is None:
            continue
        pattern = _plausible(rule.plausible)
        fitting = sum(1 for value in looked_at if pattern.fullmatch(value) is not None)
        share = fitting / len(looked_at)
        if share < 0.8:  # the name promises something else than what is there
            continue
        # A weak word ("name", "address") needs values that differ, as those of people do.
        if strength < _DOUBTED + 0.1 and sample.profile.distinct < MIN_DISTINCT:
            continue
        score = rule.header_confidence * (0.2 + 0.8 * strength)
        case.add(name, score, _name_evidence(strength))


def _weigh_unreadable(case: _Case) -> None:
    """Binary and nested columns are not looked into: only their name can speak."""
    for name, strength in case.named.items():
        case.add(name, case.book.rules[name].header_confidence * strength, _name_evidence(strength))
