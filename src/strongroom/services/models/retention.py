"""Which versions a workspace no longer keeps, by its rules; nothing is read or deleted here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from strongroom.services.models.promotion_rules import Retention
from strongroom.services.models.types import ModelState

_DELETABLE = (ModelState.REJECTED, ModelState.RETIRED)


@dataclass(frozen=True, slots=True)
class Kept:
    """A version that is there; `since` it is in its state."""

    model: str
    version: int
    state: ModelState
    since: datetime


@dataclass(frozen=True, slots=True)
class Outdated:
    """A version that is to go, and why."""

    version: Kept
    reason: str


def outdated(rules: Retention, versions: Sequence[Kept], now: datetime) -> list[Outdated]:
    """What is to go, by model and version.

    Only what was rejected or retired, whatever the rules say.
    """
    found = []
    ordered = sorted(versions, key=lambda one: (one.model, -one.version))
    for _, of_model in groupby(ordered, key=lambda one: one.model):
        for place, one in enumerate(of_model):
            reason = next(iter(_reasons(rules, one, place, now)), "")
            if one.state in _DELETABLE and reason:
                found.append(Outdated(one, reason))
    return sorted(found, key=lambda each: (each.version.model, each.version.version))


def _reasons(rules: Retention, one: Kept, newer: int, now: datetime) -> Iterable[str]:
    """Why a version may go; `newer`: how many of its model come after it."""
    days = {
        ModelState.REJECTED: rules.rejected_days,
        ModelState.RETIRED: rules.retired_days,
    }.get(one.state, 0)
    if days and now - one.since > timedelta(days=days):
        yield f"{one.state} more than {days} days ago"
    if rules.keep_versions and newer >= rules.keep_versions:
        yield f"{rules.keep_versions} versions are newer"
