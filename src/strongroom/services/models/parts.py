"""What the verbs on model versions share: the rows, and how a version is found and described."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import ModelRefusedError, StateError, TamperedError
from strongroom.gate.access.types import Entity
from strongroom.gate.identity.accounts import Accounts
from strongroom.gate.operation import Call
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.guards import ModelGuards
from strongroom.services.models.promotion import Judged
from strongroom.services.models.promotion_cases import PromotionCases
from strongroom.services.models.promotion_policies import PromotionPolicies
from strongroom.services.models.promotion_types import ShowHistory
from strongroom.services.models.registry import Registry, describe
from strongroom.services.models.statements import ModelKeys
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import ModelReference, ModelState, ModelVersion, RuleShown
from strongroom.services.models.verifying import Verifier
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

VERSION_ROUTE = "/workspaces/{workspace}/models/{name}/versions/{version}"


def version_entity(_room: object, session: Session, request: ModelReference) -> Entity:
    """The version that a request names, whether or not it is there."""
    return entity_of(session, request.workspace, request.name, request.version)


def entity_of(session: Session, workspace: str, model: str, version: int) -> Entity:
    """A version as a resource: its model and state are what policies may look at."""
    state = session.scalar(
        select(ModelEntryRow.state).where(
            ModelEntryRow.workspace == workspace,
            ModelEntryRow.model == model,
            ModelEntryRow.version == version,
        )
    )
    attributes = {} if state is None else {"state": state, "model": model}
    return Entity("ModelVersion", f"{workspace}/{model}/{version}", workspace, attributes)


def may_read(call: Call, row: ModelEntryRow) -> bool:
    """Whether the caller may see a version in a list: policies may except models and states."""
    name = f"{row.workspace}/{row.model}/{row.version}"
    attributes = {"state": row.state, "model": row.model}
    return call.allows("readModel", Entity("ModelVersion", name, row.workspace, attributes))


def model_entity(_room: object, _session: Session, request: ShowHistory) -> Entity:
    """The model that a request names, whether or not it is there."""
    attributes = {"model": request.name}
    return Entity("Model", f"{request.workspace}/{request.name}", request.workspace, attributes)


def rule_shown(judged: Judged) -> RuleShown:
    """A rule as callers see it."""
    return RuleShown(
        rule=judged.code, is_met=judged.is_met, warns=judged.warns, says=judged.says,
        next_step=judged.next_step,
    )  # fmt: skip


def broken_rule(error: TamperedError) -> RuleShown:
    """In the place of all rules, where what they are judged by was changed outside the server."""
    return RuleShown(
        rule="integrity", is_met=False, warns=False, says=error.message,
        next_step=error.next_step,
    )  # fmt: skip


def named(judged: RuleShown, names: Mapping[str, str]) -> RuleShown:
    """A rule that says people's names in the place of their ids, for people to read."""
    says = judged.says
    for identifier, name in names.items():
        says = says.replace(identifier, name)
    return judged.model_copy(update={"says": says})


def require_pullable(row: ModelEntryRow) -> None:
    """Return if a version may leave the server.

    Raises:
        ModelRefusedError, StateError: it was rejected, or has not passed its checks.
    """
    if row.state == ModelState.REJECTED:
        raise ModelRefusedError(f"version {row.version} was rejected: {row.reason}")
    is_open = row.state in (ModelState.APPROVED, ModelState.RETIRED) or (
        row.state == ModelState.CHECKED and row.verdict == "clean"
    )
    if not is_open:
        raise StateError(
            f"version {row.version} of `{row.model}` has not passed its checks: {row.state}"
        )


class ModelParts:
    """What `ModelOperations` is built of; the verbs stand in classes that come from this one."""

    _database: Database
    _blobs: BlobStore
    _keyring: Keyring
    _keys: ModelKeys
    _registry: Registry
    _verifier: Verifier
    _policies: PromotionPolicies
    _decisions: Decisions
    _cases: PromotionCases
    _guards: ModelGuards
    _now: Callable[[], datetime]

    def _described(self, session: Session, row: ModelEntryRow) -> ModelVersion:
        return describe(row, is_current=self._registry.is_current(session, row))

    def _find(self, session: Session, request: ModelReference) -> ModelEntryRow:
        return self._registry.find(session, request.workspace, request.name, request.version)

    def _require_state(self, session: Session, row: ModelEntryRow, *states: ModelState) -> None:
        """Return if `row`, read in `session`, is in one of `states`, and that is its latest."""
        if row.deleted_at is not None:
            self._registry.require_current(session, row)
            raise StateError(f"version {row.version} of `{row.model}` is deleted")
        if row.state not in states:
            allowed = " or ".join(states)
            raise StateError(
                f"version {row.version} of `{row.model}` is {row.state}, not {allowed}"
            )
        # Before anything is decided on it: what is written next is sealed whole.
        self._registry.require_current(session, row)

    @staticmethod
    def _names(session: Session, ids: Sequence[str]) -> dict[str, str]:
        """Names of accounts that there are, by id."""
        return {one: known.name for one, known in Accounts().names(session, ids).items()}

    def _require_pullable(self, row: ModelEntryRow) -> None:
        require_pullable(row)
