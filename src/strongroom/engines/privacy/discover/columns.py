"""Weighs name, values, dictionaries and statistics of one column into a finding."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache

import re2

from strongroom.engines.privacy.discover import dictionaries
from strongroom.engines.privacy.discover.findings import ColumnFinding, Evidence, Role, Shape
from strongroom.engines.privacy.discover.forms import FormShare, form_shares
from strongroom.engines.privacy.discover.headers import names_a_thing, types_named
from strongroom.engines.privacy.discover.phones import phone_share
from strongroom.engines.privacy.discover.profile import ColumnSample
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME, role_of

THRESHOLD = 0.5
"""Types less sure than this are not reported."""
MIN_DISTINCT = 8
"""Values alone speak only when at least so many differ (Purview's distinct threshold)."""
_LOOKED_UP = 200
_DOUBTED = 0.5
_BIRTH_SPREAD_YEARS = 25
_LEAST_BIRTH_YEAR, _TYPED_BY_NAME = 1890, 0.85


@dataclass
class _Case:
    """What speaks for each type, while a column is weighed."""

    sample: ColumnSample
    named: dict[str, float]
    scores: dict[str, float] = field(default_factory=dict)
    evidence: dict[str, list[Evidence]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, score: float, *reasons: Evidence) -> None:
        """Raise the score of type `name`; the reasons are kept in any case."""
        self.scores[name] = max(self.scores.get(name, 0.0), score)
        self.evidence[name].extend(reasons)


def find_in_column(sample: ColumnSample) -> ColumnFinding:
    """The finding of one column; no type where nothing reaches the threshold."""
    case = _Case(sample, types_named(sample.name))
    if sample.values:
        shares = form_shares(sample)
        _weigh_forms(case, shares)
        _weigh_birth(case, shares)
        _weigh_phone(case)
        _weigh_names(case)
        _weigh_places(case)
        _weigh_headers(case)
    elif sample.profile.shape in (Shape.BINARY, Shape.NESTED):
        _weigh_unreadable(case)
    ranked = sorted(case.scores.items(), key=lambda item: (-item[1], item[0]))
    ranked = [(name, round(score, 3)) for name, score in ranked if score >= THRESHOLD]
    if not ranked:
        return ColumnFinding(
            sample.name, None, Role.PLAIN, 0.0, (_shape_evidence(sample),), sample.profile
        )
    name, confidence = ranked[0]
    return ColumnFinding(
        sample.name, name, role_of(name), confidence, tuple(case.evidence[name]),
        sample.profile, alternatives=tuple(ranked[1:4]),
    )  # fmt: skip


def _shape_evidence(sample: ColumnSample) -> Evidence:
    return Evidence("statistics", f"shape {sample.profile.shape}", sample.profile.unique_share)


def _name_evidence(strength: float) -> Evidence:
    detail = "the column's name says so" if strength >= _TYPED_BY_NAME else "the name suggests it"
    return Evidence("name", detail)


def _weigh_forms(case: _Case, shares: list[FormShare]) -> None:
    doubted = names_a_thing(case.sample.name)
    distinct = case.sample.profile.distinct
    for form in shares:
        strength = case.named.get(form.type, 0.0)
        alone = form.alone
        if distinct < MIN_DISTINCT or (doubted and role_of(form.type) is not Role.PLAIN):
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


_YEAR = re2.compile(r"\b(1[89]\d{2}|20\d{2})\b")


def _weigh_birth(case: _Case, shares: list[FormShare]) -> None:
    """Dates spread over a generation, and few at the end of the spread, are dates of birth."""
    dated = [form for form in shares if form.type == "date" and form.alone > 0]
    if not dated or case.sample.profile.distinct < MIN_DISTINCT:
        return
    years = sorted(
        int(found.group(1))
        for value in case.sample.values[: 4 * _LOOKED_UP]
        if (found := _YEAR.search(value)) is not None
    )
    if len(years) < max(MIN_DISTINCT, len(case.sample.values[: 4 * _LOOKED_UP]) // 2):
        return
    low, high = years[len(years) // 20], years[-1 - len(years) // 20]
    if high - low >= _BIRTH_SPREAD_YEARS and low >= _LEAST_BIRTH_YEAR:
        reason = Evidence("statistics", f"dates spread over {high - low} years, as births do")
        share = max(form.share for form in dated)
        case.add("date_of_birth", 0.8 * min(1.0, share / 0.9), reason)


def _weigh_phone(case: _Case) -> None:
    strength = case.named.get("phone", 0.0)
    if case.sample.is_number and not strength:
        return
    best = max(case.scores.values(), default=0.0)
    if best >= 0.9 and not strength:  # surer than numbers of a plan can be
        return
    if any(case.scores.get(name, 0.0) > THRESHOLD for name in ("date", "date_of_birth")):
        return
    share, written = phone_share(case.sample, named=strength > 0)
    # Most values must be numbers of one plan; digits without a sign of a phone, nearly all.
    if share < (0.5 if written or strength else 0.85):
        return
    alone = 0.88 if written else 0.6
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
    looked_at = sample.values[:_LOOKED_UP]
    letters = sum(
        1 for value in looked_at if value[0].isalpha() and len(value) <= 60
    )  # longer is no name
    return letters >= 0.6 * len(looked_at)


def _weigh_names(case: _Case) -> None:
    sample = case.sample
    if not _may_be_names(sample):
        return
    kinds = [dictionaries.name_kind(value) for value in sample.values[:_LOOKED_UP]]
    total = len(kinds)
    shares = {
        "person_name": kinds.count("full") / total,
        "given_name": (kinds.count("given") + kinds.count("either")) / total,
        "family_name": (kinds.count("family") + kinds.count("either")) / total,
    }
    if max(shares.values()) < 0.5:  # no kind alone: full names and parts of them, mixed
        shares["person_name"] = 1.0 - kinds.count("") / total
    doubted = names_a_thing(sample.name) or sample.profile.distinct < MIN_DISTINCT
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
    looked_at = sample.values[:_LOOKED_UP]
    share = sum(1 for value in looked_at if dictionaries.is_town(value)) / len(looked_at)
    if share < (0.2 if strength else 0.5):
        return
    people = max(
        (case.scores.get(name, 0.0) for name in ("person_name", "given_name", "family_name")),
        default=0.0,
    )
    doubted = names_a_thing(sample.name) or sample.profile.distinct < MIN_DISTINCT
    alone = (0.55 + 0.35 * share) * (0.4 if doubted else 1.0)
    # Many family names are towns: where both lists know the values, people come first.
    if people and not strength and share < 0.9:  # nearly all are towns
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
    looked_at = sample.values[:_LOOKED_UP]
    for name, strength in case.named.items():
        rule = RULES_BY_NAME[name]
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
        case.add(name, RULES_BY_NAME[name].header_confidence * strength, _name_evidence(strength))
