"""MLflow's tracking store over our database, behind the guard."""

from mlflow.entities import ExperimentTag, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.mlflow_tags import (
    MLFLOW_ARTIFACT_LOCATION,
    MLFLOW_TRACE_ARCHIVAL_FAILURE,
    MLFLOW_TRACE_ARCHIVE_LOCATION,
    MLFLOW_TRACE_SPANS_LOCATION,
    MLFLOW_USER,
)

from strongroom.faces.mlflow import lookups, tracking_rules
from strongroom.faces.mlflow.foreign import Foreign
from strongroom.faces.mlflow.guard import guard, managed_session, require_caller
from strongroom.faces.mlflow.house import URI, House

ARTIFACT_ROOT = "mlflow-artifacts:/"
SERVER_OWNED_TRACE_TAGS = frozenset(
    {
        MLFLOW_ARTIFACT_LOCATION,
        MLFLOW_TRACE_ARCHIVAL_FAILURE,
        MLFLOW_TRACE_ARCHIVE_LOCATION,
        MLFLOW_TRACE_SPANS_LOCATION,
    }
)
"""Tags that say where a trace's files lie: only the server says so."""


class TrackingStore(WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc] # MLflow is untyped
    """Experiments, runs, logged models and traces.

    Who did it is what the credential says, whatever the client claims: `user_id` and the tag
    `mlflow.user` are ours.
    """

    def __init__(self, house: House) -> None:
        # The base's own constructor would open a database by its URL and migrate it.
        AbstractStore.__init__(self)
        self.house = house
        self.db_uri = URI
        self.db_type = house.database.dialect
        self.artifact_root_uri = ARTIFACT_ROOT
        with house.database.read() as session:
            self.engine = session.get_bind()
        self.read_engine = None
        self.ManagedSessionMaker = managed_session
        self._workspace_provider = house.workspace_store
        self._workspace_store_uri = URI

    @classmethod
    def _get_active_workspace(cls) -> str:
        """The workspace that the gate has resolved; MLflow's queries filter by it."""
        return require_caller().workspace

    def create_run(
        self, experiment_id: str, user_id: str, start_time: int, tags: list[RunTag], run_name: str
    ) -> Foreign:
        """A new run, by the caller."""
        del user_id
        user = require_caller().display_name
        kept = [tag for tag in tags or [] if tag.key != MLFLOW_USER]
        return super().create_run(
            experiment_id, user, start_time, [*kept, RunTag(MLFLOW_USER, user)], run_name
        )

    def log_batch(self, run_id: str, metrics: Foreign, params: Foreign, tags: Foreign) -> Foreign:
        """As MLflow's; a tag that names the user is left out."""
        kept = [tag for tag in tags if tag.key != MLFLOW_USER]
        return super().log_batch(run_id, metrics, params, kept)

    def set_tag(self, run_id: str, tag: RunTag) -> Foreign:
        """As MLflow's; a tag that names the user changes nothing."""
        if tag.key == MLFLOW_USER:
            return None
        return super().set_tag(run_id, tag)

    def delete_tag(self, run_id: str, key: str) -> Foreign:
        """As MLflow's, save for the tag that names the user."""
        if key == MLFLOW_USER:
            raise MlflowException("the server keeps this tag", PERMISSION_DENIED)
        return super().delete_tag(run_id, key)

    def set_experiment_tag(self, experiment_id: str, tag: ExperimentTag) -> Foreign:
        """As MLflow's; a tag that says where files lie is refused."""
        if tag.key == MLFLOW_ARTIFACT_LOCATION:
            raise MlflowException("the server keeps this tag", PERMISSION_DENIED)
        return super().set_experiment_tag(experiment_id, tag)

    def start_trace(self, trace_info: Foreign) -> Foreign:
        """A new trace, only into its own experiment."""
        if lookups.trace_exists_elsewhere(trace_info.trace_id, trace_info.experiment_id):
            raise MlflowException("this trace id is taken", INVALID_PARAMETER_VALUE)
        for key in SERVER_OWNED_TRACE_TAGS:
            trace_info.tags.pop(key, None)
        trace_info.trace_metadata[MLFLOW_USER] = require_caller().display_name
        return super().start_trace(trace_info)

    def set_trace_tag(self, trace_id: str, key: str, value: str) -> Foreign:
        """As MLflow's; a tag that says where files lie is refused."""
        self._refuse_server_tag(key)
        return super().set_trace_tag(trace_id, key, value)

    def delete_trace_tag(self, trace_id: str, key: str) -> Foreign:
        """As MLflow's; a tag that says where files lie is refused."""
        self._refuse_server_tag(key)
        return super().delete_trace_tag(trace_id, key)

    @staticmethod
    def _refuse_server_tag(key: str) -> None:
        if key in SERVER_OWNED_TRACE_TAGS:
            raise MlflowException("the server keeps this tag", PERMISSION_DENIED)


guard(TrackingStore, tracking_rules.RULES, tracking_rules.HARMLESS)
