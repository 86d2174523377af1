"""What a release must be before something is done with it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from strongroom.engines.privacy.anonymize.recipe import ColumnRole, Recipe
from strongroom.errors import StateError, ValidationError
from strongroom.gate.access.roles import workspace_role
from strongroom.gate.identity.accounts import Accounts
from strongroom.services.data.catalog import Held
from strongroom.services.data.release_types import ROLE, ReleaseState
from strongroom.services.data.releases import Release


def recipients_of(
    session: Session, named: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of accounts and of roles. Raises: NotFoundError, ValidationError: there is none."""
    accounts = Accounts()
    readers = [accounts.find(session, one).id for one in named if not one.startswith(ROLE)]
    roles = [workspace_role(one.removeprefix(ROLE)).id for one in named if one.startswith(ROLE)]
    return tuple(dict.fromkeys(readers)), tuple(dict.fromkeys(roles))


def require_state(found: Release, now: datetime, wanted: ReleaseState) -> None:
    """Raises: StateError, where a release is in another state."""
    state = found.record.state_at(now)
    if state is not wanted:
        steps = {
            ReleaseState.MAKING: "wait until its job has ended",
            ReleaseState.WAITING: "ask a second person to approve it",
            ReleaseState.EXPIRED: "ask for a new release",
        }
        raise StateError(
            f"release {found.number} is {state}, not {wanted}", next_step=steps.get(state)
        )


def require_fitting(recipe: Recipe, held: Held) -> None:
    """Refuse a recipe that cannot be for this version, before a job is asked for."""
    columns = {finding.column for finding in held.findings.columns}
    if missing := [name for name in recipe.columns if name not in columns]:
        raise ValidationError(f"the dataset has no column `{missing[0][:100]}`")
    if not recipe.of_role(ColumnRole.QUASI):
        raise ValidationError(
            "the recipe has no quasi-identifier: nothing by which rows would be grouped",
            next_step="give the role quasi to the columns that others may know",
        )
    if recipe.demands.asks_population:
        raise ValidationError(
            "k-map and δ-presence need a table of the population, which a release has not",
            next_step="ask for k, l or t",
        )
    subject = held.record.subject_column
    if subject in recipe.columns and recipe.columns[subject].role is not ColumnRole.DROP:
        raise ValidationError(
            f"`{subject}` says whom a row is about, and would leave with the rows",
            next_step="give it the role drop",
        )
