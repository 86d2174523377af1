"""How a release is shown, and why one is refused, in words and numbers, without a value."""

from collections.abc import Sequence
from datetime import datetime

from strongroom.services.data.release_types import (
    ROLE,
    BreachShown,
    CompositionShown,
    ReleaseKind,
    ReleaseShown,
    ReleaseState,
)
from strongroom.services.data.releases import Release

NEXT_STEP = (
    "use the recipe of the former release, or a coarser one that joins its groups; or withdraw "
    "former releases that nobody has read"
)
OWN_NEXT_STEP = (
    "people have several rows each: ask for a larger k, or release a version with a row a person"
)
SPENT = "; the epsilon counts as spent"
"""After the next step of what was paid for and did not come."""
_LOST = "the server ended while it was made"
_NAMED = 3


def shown(release: Release, now: datetime, *, may_make: bool) -> ReleaseShown:
    """A release without its rows; why it was refused is for who may make releases.

    Of an anonymized one the reason may name values. What has differential privacy fails for reasons
    that no value decides.
    """
    record = release.record
    refusal, next_step = record.refusal, record.next_step
    state = record.state_at(now)
    if state is ReleaseState.REFUSED and record.state is ReleaseState.MAKING:
        refusal, next_step = _LOST, f"make it again{SPENT}"
    if refusal and not may_make and record.kind is ReleaseKind.ANONYMIZED:
        refusal, next_step = "refused", "ask who made it"
    return ReleaseShown(
        workspace=release.dataset.workspace,
        name=release.dataset.name,
        number=release.number,
        kind=record.kind,
        state=state,
        refusal=refusal,
        next_step=next_step,
        source_version=record.source_version,
        source_commitment=record.source_commitment,
        recipe_digest=record.recipe_digest,
        purpose=record.purpose,
        recipients=[*record.readers, *(f"{ROLE}{role}" for role in record.reader_roles)],
        made_by=record.made_by,
        made_at=record.made_at,
        approved_by=record.approved_by,
        approved_at=record.approved_at,
        expires_at=record.expires_at,
        withdrawn_by=record.withdrawn_by,
        withdrawn_at=record.withdrawn_at,
        first_read_at=record.first_read_at,
        rows=record.rows,
        suppressed=record.suppressed,
        job=record.job,
    )


def refusal_of(found: CompositionShown, culprits: Sequence[int], *, is_safe_alone: bool) -> str:
    """What breaks, how far, and for how many.

    Args:
        culprits: former releases of which one alone would do.
        is_safe_alone: the new release keeps its promises where there is no other.
    """
    told = "; ".join(_told(one) for one in found.breaches[:_NAMED])
    more = len(found.breaches) - _NAMED
    if more > 0:
        told += f"; and {more} more promises"
    if not is_safe_alone:
        return f"counted by people and not by rows, {told}"
    if culprits:
        return f"together with {_numbers(culprits)}, {told}"
    return f"together with {_numbers(found.against)}, taken all at once, {told}"


def _told(breach: BreachShown) -> str:
    whose = f"release {breach.release}" if breach.release else "this release"
    return (
        f"{whose} promises {breach.demand} {breach.asked:g} and {breach.people:,} people would be "
        f"left with {breach.worst:g}"
    )


def _numbers(numbers: Sequence[int]) -> str:
    words = " and ".join(map(str, numbers)) if len(numbers) < 3 else ", ".join(map(str, numbers))
    return f"release{'s' if len(numbers) > 1 else ''} {words}"
