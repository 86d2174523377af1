"""Our workspaces as MLflow sees them: by name, read-only, and none is the default."""

from collections.abc import Iterable

from mlflow.entities import Workspace
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.workspace.abstract_store import AbstractStore

from strongroom.faces.mlflow.caller import present_caller
from strongroom.faces.mlflow.house import House
from strongroom.faces.mlflow.refusals import HIDDEN


class WorkspaceStore(AbstractStore):  # type: ignore[misc] # MLflow is untyped
    """The workspaces in which the caller holds a role.

    Making, changing and deleting them is done elsewhere: the base class refuses it here. There
    is no default workspace: the base class says so.
    """

    def __init__(self, house: House) -> None:
        self._house = house

    def list_workspaces(self) -> Iterable[Workspace]:
        """Those of the caller, by name; nobody has none."""
        return [Workspace(name=name, description="") for name in self._names()]

    def get_workspace(self, workspace_name: str) -> Workspace:
        """One of the caller's workspaces.

        Raises: MlflowException with RESOURCE_DOES_NOT_EXIST for any other.
        """
        caller = present_caller()
        # What the gate has resolved needs no second look.
        if caller is not None and workspace_name and workspace_name == caller.workspace:
            return Workspace(name=workspace_name, description="")
        if workspace_name not in self._names():
            raise MlflowException(HIDDEN, RESOURCE_DOES_NOT_EXIST)
        return Workspace(name=workspace_name, description="")

    def _names(self) -> list[str]:
        caller = present_caller()
        return [] if caller is None else self._house.workspaces_of(caller.principal)
