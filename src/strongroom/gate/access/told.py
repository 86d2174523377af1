"""What a principal holds, as the log tells it: one short text for each change, and their sum.

The texts stand in the records of the changes (`sealed.…` in an entry's details). Added up in the
order of the journal they give what somebody must hold, which is how a repair knows it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from strongroom.errors import TamperedError

EMPTY = "holds-nothing"
RESTORED = "restored"
RESEALED = "resealed"
"""The rows were made as the sum of the texts before says: it changes nothing of the sum."""

_NONE = "-"


@dataclass(frozen=True, slots=True, order=True)
class HeldGrant:
    """A role in a workspace, by whom it was given and when."""

    workspace: str
    role: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody must hold, by the log."""

    grants: tuple[HeldGrant, ...] = ()
    suspended_since: datetime | None = None


def granted(workspace: str, role: str, by: str, at: datetime) -> str:
    """A role was given."""
    return f"granted {role} {workspace or _NONE} {by or _NONE} {_moment(at)}"


def revoked(workspace: str, role: str) -> str:
    """A role was taken."""
    return f"revoked {role} {workspace or _NONE}"


def suspended(since: datetime) -> str:
    """Everything was forbidden."""
    return f"suspended {_moment(since)}"


def added_up(texts: Iterable[str]) -> Held:
    """What the changes come to.

    Raises:
        TamperedError: a text is not one of these.
    """
    grants: dict[tuple[str, str], HeldGrant] = {}
    since: datetime | None = None
    for text in texts:
        match text.split(" "):
            case ["granted", role, workspace, by, at]:
                place = "" if workspace == _NONE else workspace
                giver = "" if by == _NONE else by
                grants[place, role] = HeldGrant(place, role, giver, datetime.fromisoformat(at))
            case ["revoked", role, workspace]:
                grants.pop(("" if workspace == _NONE else workspace, role), None)
            case ["suspended", at]:
                since = datetime.fromisoformat(at)
            case [word] if word == RESTORED:
                since = None
            case [word] if word == EMPTY:
                grants, since = {}, None
            case [word] if word == RESEALED:
                pass
            case _:
                raise TamperedError("the log tells of a grant in words that are not known")
    return Held(tuple(sorted(grants.values())), since)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
