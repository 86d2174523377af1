"""MLflow's model registry over our database, behind the guard and the model checks."""

import re
from collections.abc import Iterable

from mlflow.entities.model_registry.model_version_stages import (
    STAGE_ARCHIVED,
    STAGE_DELETED_INTERNAL,
    get_canonical_stage,
)
from mlflow.entities.model_registry.model_version_status import ModelVersionStatus
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore

from strongroom.errors import InternalError, ValidationError
from strongroom.faces.mlflow import registry_rules
from strongroom.faces.mlflow.caller import OpenCall, present_call
from strongroom.faces.mlflow.foreign import Foreign
from strongroom.faces.mlflow.guard import guard, in_our_schema, managed_session, require_caller
from strongroom.faces.mlflow.house import URI, House
from strongroom.faces.mlflow.registration import provenance
from strongroom.faces.mlflow.sources import Source, last_version, registration, resolve
from strongroom.faces.mlflow.tables import RegistrationRow
from strongroom.services.models.types import MODEL_NAME, Checked, CheckState, ModelFile

MAX_MESSAGE_CHARACTERS = 500
_STATUS = {
    CheckState.PENDING: ModelVersionStatus.PENDING_REGISTRATION,
    CheckState.PASSED: ModelVersionStatus.READY,
    CheckState.FAILED: ModelVersionStatus.FAILED_REGISTRATION,
}
_PENDING_SAYS = "its files are being checked; they are given out once they have passed"
_UNKNOWN = Checked(CheckState.FAILED, "the model room does not know this version")


class RegistryStore(WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc] # MLflow is untyped
    """Registered models and their versions.

    A version starts as PENDING_REGISTRATION and ends READY or FAILED_REGISTRATION as its checks
    do. What the checks say is looked up at each look at a version; MLflow's own column is not
    believed.
    """

    def __init__(self, house: House) -> None:
        # The base's own constructor would open a database by its URL and migrate it.
        AbstractStore.__init__(self, store_uri=URI, tracking_uri=URI)
        self.house = house
        self.db_uri = URI
        self.db_type = house.database.dialect
        with house.database.read() as session:
            self.engine = session.get_bind()
        self.read_engine = None
        self.ManagedSessionMaker = managed_session

    @classmethod
    def _get_active_workspace(cls) -> str:
        """The workspace that the gate has resolved; MLflow's queries filter by it."""
        return require_caller().workspace

    # ---- models ----

    def create_registered_model(
        self,
        name: str,
        tags: Foreign = None,
        description: Foreign = None,
        deployment_job_id: Foreign = None,
    ) -> Foreign:
        """As MLflow's, under a name that the model room can take; prompts are not offered."""
        _require_name(name)
        _refuse_prompt(tags)
        return super().create_registered_model(name, tags, description, deployment_job_id)

    def set_registered_model_tag(self, name: str, tag: Foreign) -> Foreign:
        """As MLflow's; prompts are not offered."""
        _refuse_prompt([tag])
        return super().set_registered_model_tag(name, tag)

    def get_registered_model(self, name: str) -> Foreign:
        """As MLflow's, with the state of the versions."""
        return self._with_latest_stated([super().get_registered_model(name)])[0]

    def update_registered_model(
        self, name: str, description: Foreign, deployment_job_id: Foreign = None
    ) -> Foreign:
        """As MLflow's, with the state of the versions."""
        updated = super().update_registered_model(name, description, deployment_job_id)
        return self._with_latest_stated([updated])[0]

    def search_registered_models(self, *args: Foreign, **kwargs: Foreign) -> Foreign:
        """As MLflow's, with the state of the versions."""
        return self._with_latest_stated(super().search_registered_models(*args, **kwargs))

    def get_latest_versions(self, name: str, stages: Foreign = None) -> Foreign:
        """As MLflow's, with the state of the versions."""
        return self._stated(super().get_latest_versions(name, stages))

    # ---- versions ----

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Foreign = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> Foreign:
        """A new version, quarantined; its checks are queued in the same transaction.

        A link to a run elsewhere is dropped: it would be shown as if the server vouched for it.
        """
        del run_link, local_model_path
        _refuse_prompt(tags)
        call = _call()
        found = resolve(call, source)
        if found.entry and self._states([found.entry])[found.entry].state is not CheckState.PASSED:
            raise ValidationError("a version can be copied once its checks are passed")
        with in_our_schema(call) as session:
            files = self.house.shelf.files(session, found.place, found.prefix)
        if not files:
            raise ValidationError("there are no files at the model's source")
        self._use_no_number_again(call, name)
        version = super().create_model_version(
            name, source, run_id, tags, None, description, None, model_id
        )
        with self.ManagedSessionMaker(read_only=False) as session:
            row = self._get_sql_model_version(session, name, version.version)
            row.storage_location = found.uri
            row.user_id = call.caller.display_name
            row.status = ModelVersionStatus.to_string(ModelVersionStatus.PENDING_REGISTRATION)
            run_id = row.run_id
        run = self.house.tracking_store.get_run(run_id) if run_id else None
        self._hand_over(call, name, int(version.version), run, found, files)
        return self._stated([version])[0]

    def _use_no_number_again(self, call: OpenCall, name: str) -> None:
        """Let MLflow count on from the last version ever registered under this name.

        It would begin with 1 for a model that was deleted and made again, while signatures and
        log entries of the first version 1 remain. A row such as MLflow itself leaves for a
        deleted version keeps the number taken.
        """
        with in_our_schema(call) as session:
            last = last_version(session, call.caller.workspace, name)
        with self.ManagedSessionMaker(read_only=False) as session:
            self._get_registered_model(session, name)
            present = self._get_query(session, SqlModelVersion).filter_by(name=name, version=last)
            if last and present.first() is None:
                taken = SqlModelVersion(
                    name=name, version=last, current_stage=STAGE_DELETED_INTERNAL
                )
                session.add(self._with_workspace_field(taken))

    def _hand_over(
        self,
        call: OpenCall,
        name: str,
        version: int,
        run: Foreign,
        found: Source,
        files: tuple[ModelFile, ...],
    ) -> None:
        """Give the files to the model room, and keep them from changing."""
        if call.admission is None:
            raise InternalError("a version is registered in an admitted call only")
        place = found.place
        with in_our_schema(call) as session:
            entry = self.house.checks.register(
                session, workspace=place.workspace, model=name, version=version, files=files,
                provenance=provenance(run, experiment=place.experiment, source=found.uri),
                actor=call.caller.principal.id,
            )  # fmt: skip
            session.add(
                RegistrationRow(
                    workspace=place.workspace, experiment=place.experiment,
                    folder=place.folder, prefix=found.prefix, model=name, version=version,
                    entry=entry,
                )
            )  # fmt: skip
            session.flush()
        call.admission.note(version=version, files=len(files), entry=entry)

    def get_model_version(self, name: str, version: Foreign) -> Foreign:
        """As MLflow's, with its state."""
        return self._stated([super().get_model_version(name, version)])[0]

    def get_model_version_by_alias(self, name: str, alias: str) -> Foreign:
        """As MLflow's, with its state."""
        return self._stated([super().get_model_version_by_alias(name, alias)])[0]

    def search_model_versions(self, *args: Foreign, **kwargs: Foreign) -> Foreign:
        """As MLflow's, with the state of each."""
        return self._stated(super().search_model_versions(*args, **kwargs))

    def update_model_version(
        self, name: str, version: Foreign, description: Foreign = None
    ) -> Foreign:
        """As MLflow's, with its state."""
        return self._stated([super().update_model_version(name, version, description)])[0]

    def get_model_version_download_uri(self, name: str, version: Foreign) -> str:
        """Where the files are, once the checks are passed."""
        self._require_ready(name, version)
        return str(super().get_model_version_download_uri(name, version))

    def set_registered_model_alias(self, name: str, alias: str, version: Foreign) -> Foreign:
        """As MLflow's, for a version whose checks are passed."""
        self._require_ready(name, version)
        return super().set_registered_model_alias(name, alias, version)

    def transition_model_version_stage(
        self, name: str, version: Foreign, stage: str, archive_existing_versions: bool
    ) -> Foreign:
        """As MLflow's, for a version whose checks are passed; any may be archived."""
        if get_canonical_stage(stage) != STAGE_ARCHIVED:
            self._require_ready(name, version)
        moved = super().transition_model_version_stage(
            name, version, stage, archive_existing_versions
        )
        return self._stated([moved])[0]

    def set_model_version_tag(self, name: str, version: Foreign, tag: Foreign) -> Foreign:
        """As MLflow's; prompts are not offered."""
        _refuse_prompt([tag])
        return super().set_model_version_tag(name, version, tag)

    def list_webhooks_by_event(self, *_: Foreign, **__: Foreign) -> Foreign:
        """None: webhooks are not offered."""
        return PagedList([], None)

    # ---- state ----

    def _require_ready(self, name: str, version: Foreign) -> None:
        found = self._stated([super().get_model_version(name, version)])[0]
        if found.status != ModelVersionStatus.to_string(ModelVersionStatus.READY):
            raise MlflowException(
                f"this version of the model is not released: {found.status_message}",
                PERMISSION_DENIED,
            )

    def _with_latest_stated(self, models: Foreign) -> Foreign:
        self._stated([it for model in models for it in model.latest_versions or []])
        return models

    def _stated(self, versions: Foreign) -> Foreign:
        """The same versions, with status and message as the checks have them."""
        call = _call()
        with in_our_schema(call) as session:
            rows = {
                id(it): registration(session, call.caller.workspace, it.name, int(it.version))
                for it in versions
            }
        states = self._states([row.entry for row in rows.values() if row is not None])
        for it in versions:
            row = rows[id(it)]
            checked = _UNKNOWN if row is None else states[row.entry]
            # The entity has no setter for them.
            it._status = ModelVersionStatus.to_string(_STATUS[checked.state])  # noqa: SLF001 # no setter
            is_pending = checked.state is CheckState.PENDING
            says = checked.reason or (_PENDING_SAYS if is_pending else "")
            it._status_message = says[:MAX_MESSAGE_CHARACTERS]  # noqa: SLF001 # no setter
        return versions

    def _states(self, entries: Iterable[str]) -> dict[str, Checked]:
        wanted = list(entries)
        with in_our_schema(_call()) as session:
            known = self.house.checks.states(session, wanted)
        return {it: known.get(it, _UNKNOWN) for it in wanted}


def _call() -> OpenCall:
    call = present_call()
    if call is None:
        raise InternalError("the registry was asked outside of a call")
    return call


def _require_name(name: str) -> None:
    if re.fullmatch(MODEL_NAME, name) is None:
        raise MlflowException(
            "a model's name has 1 to 256 characters, none of them slash, colon or control",
            INVALID_PARAMETER_VALUE,
        )


def _refuse_prompt(tags: Foreign) -> None:
    if any(tag.key == IS_PROMPT_TAG_KEY for tag in tags or []):
        raise MlflowException("prompts are not offered here", INVALID_PARAMETER_VALUE)


guard(RegistryStore, registry_rules.RULES, registry_rules.HARMLESS)
