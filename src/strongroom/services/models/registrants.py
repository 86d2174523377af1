"""Who stands behind the registration of a version: they are not who approves it.

They are kept with its sealed provenance from the registration on, so that nobody can be written
into the database in their place, before the checks have signed it or after.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from strongroom.errors import TamperedError
from strongroom.gate.access.types import PrincipalKind
from strongroom.gate.identity.tables import AccountRow
from strongroom.services.models.tables import ModelEntryRow

FACT = "registrants"
"""Of the facts of a version: the accounts, by id."""


def registrants(session: Session, actor: str) -> frozenset[str]:
    """Who registers; of a program also who made it and could act through it."""
    account = session.get(AccountRow, actor)
    if account is None or account.kind != PrincipalKind.SERVICE:
        return frozenset({actor})
    return frozenset({actor, account.created_by})


def registrants_of(
    session: Session, row: ModelEntryRow, facts: Mapping[str, Any]
) -> frozenset[str]:
    """Who stood behind the registration of a version, and whom the accounts name now.

    Raises:
        TamperedError: the row names somebody who did not register it.
    """
    now = registrants(session, row.registered_by)
    kept = facts.get(FACT)
    if not isinstance(kept, list):
        return now  # from before this was kept: the signed statement alone says who it was
    if row.registered_by not in kept:
        raise TamperedError("the version names another than the one who registered it")
    return now | {str(one) for one in kept}
