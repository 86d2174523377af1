"""What MLflow's code is given of the house, and the one place where it finds it.

MLflow keeps its stores in module globals, so there is one mounted MLflow to a process.
"""

from dataclasses import dataclass, field
from typing import Any

from strongroom.errors import InternalError
from strongroom.faces.mlflow.artifacts import ArtifactShelf
from strongroom.faces.mlflow.registration import ModelChecks
from strongroom.gate.access.grants import Grants
from strongroom.gate.access.types import Principal
from strongroom.gate.operation import Gate
from strongroom.vault.database import Database

URI = "strongroom://mounted"
NOBODYS_WORKSPACE = "default"
"""MLflow takes this one where none is named; so nobody can have it."""


@dataclass(slots=True)
class House:
    """The pieces that the stores work with; the stores themselves are added by `mount`."""

    database: Database
    gate: Gate
    grants: Grants
    shelf: ArtifactShelf
    checks: ModelChecks
    workspace_store: Any = field(default=None)
    tracking_store: Any = field(default=None)
    registry_store: Any = field(default=None)

    def workspaces_of(self, principal: Principal) -> list[str]:
        """Names of the workspaces in which the principal holds a role, within their credential."""
        with self.database.read() as session:
            held = self.grants.workspaces_of(session, principal.id)
        return [
            name
            for name in held
            if name != NOBODYS_WORKSPACE
            and (not principal.workspaces or name in principal.workspaces)
        ]


_mounted: list[House] = []


def mounted() -> House:
    """The house whose MLflow is mounted in this process.

    Raises: InternalError where none is.
    """
    if not _mounted:
        raise InternalError("no server has mounted MLflow in this process")
    return _mounted[0]


def claim(house: House) -> None:
    """Make `house` the one that is mounted.

    Raises: InternalError where another is: MLflow could not tell them apart.
    """
    if _mounted:
        raise InternalError("MLflow is mounted already in this process")
    _mounted.append(house)
