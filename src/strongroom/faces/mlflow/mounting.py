"""Mounts MLflow's server behind the gate, without changing a line of it.

MLflow reads its environment while it is imported and keeps its stores in module globals, so it
is imported here, late and once. It takes seconds: `Mounting` does it in a thread of its own.
"""

import os
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from strongroom.errors import InternalError
from strongroom.faces.mlflow.registration import ModelChecks
from strongroom.gate.access.grants import Grants
from strongroom.gate.access.types import Principal
from strongroom.gate.operation import Gate
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database

ENVIRONMENT = {
    "_MLFLOW_SERVER_FILE_STORE": "strongroom://mounted",
    "_MLFLOW_SERVER_REGISTRY_STORE": "strongroom://mounted",
    "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "strongroom://artifacts",
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "MLFLOW_WORKSPACE_STORE_URI": "strongroom://mounted",
    "MLFLOW_ENABLE_WORKSPACES": "true",
    # The gate stands in front: hosts, origins and headers are its business.
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # The interface then does not show it.
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "_MLFLOW_IN_JOB_EXECUTOR": "false",
}
"""What MLflow must find before it is imported."""

_FORGOTTEN = ("MLFLOW_WORKSPACE", "_MLFLOW_STATIC_PREFIX", "_MLFLOW_SERVER_ARTIFACTS_ONLY")
"""Variables of the operator's own MLflow client, or another server, that would change ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What `mount` needs of the house.

    Attributes:
        checks: offered by the model room.
        identify: (secret, address) → principal, as `gate.identity.sign_in.SignIn.identify`.
        sign_in_path: where a browser without a session is sent.
        max_upload_bytes: of one artifact.
        max_request_bytes: of one other request.
        request_seconds: a sender may take to send a request; more for large ones.
    """

    database: Database
    gate: Gate
    grants: Grants
    blobs: BlobStore
    checks: ModelChecks
    identify: Callable[[str, str], Principal]
    sign_in_path: str = "/sign-in"
    max_upload_bytes: int
    max_request_bytes: int
    request_seconds: float


def mount(pieces: Pieces) -> ASGIApp:
    """Import MLflow, make or check its tables, and give the application to serve.

    `routes.owns(path)` says which requests are for it. Once a process; takes some seconds.

    Raises:
        InternalError: MLflow's server was imported before, or is mounted already.
        HomeNewerError: MLflow's tables are of another version.
    """
    _set_environment()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server.fastapi_app import app as inner
        from mlflow.server.handlers import initialize_backend_stores

        from strongroom.faces.mlflow.app import MlflowGate
        from strongroom.faces.mlflow.artifacts import ArtifactShelf
        from strongroom.faces.mlflow.house import URI, House, claim
        from strongroom.faces.mlflow.registry import RegistryStore
        from strongroom.faces.mlflow.schema import prepare
        from strongroom.faces.mlflow.tracking import TrackingStore
        from strongroom.faces.mlflow.transfer import Transfer
        from strongroom.faces.mlflow.workspaces import WorkspaceStore

    prepare(pieces.database)
    shelf = ArtifactShelf(pieces.gate, pieces.blobs, pieces.checks)
    house = House(pieces.database, pieces.gate, pieces.grants, shelf, pieces.checks)
    claim(house)
    house.workspace_store = WorkspaceStore(house)
    house.tracking_store = TrackingStore(house)
    house.registry_store = RegistryStore(house)
    initialize_backend_stores(URI, URI, ENVIRONMENT["_MLFLOW_SERVER_ARTIFACT_ROOT"], URI)
    transfer = Transfer(
        house,
        max_upload_bytes=pieces.max_upload_bytes,
        request_seconds=pieces.request_seconds,
    )
    return MlflowGate(house, inner, pieces, transfer)


class Mounting:
    """The application while it is being built in a thread, and afterwards.

    Until it is ready, requests are answered with 503, which MLflow's client repeats.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._app: ASGIApp | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._build, name="mount-mlflow", daemon=True)

    def start(self) -> None:
        """Begin to build."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether requests are served. Raises what stopped the building."""
        if self._error is not None:
            raise self._error
        return self._app is not None

    def wait(self, seconds: float) -> bool:
        """Wait until it is built; whether it is. Raises what stopped the building."""
        self._thread.join(seconds)
        return self.ready

    def settle(self, seconds: float) -> None:
        """Wait until the building has ended, however it did: it holds the database."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _build(self) -> None:
        try:
            self._app = mount(self._pieces)
        except BaseException as error:  # noqa: BLE001 # kept for whoever asks
            self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            content = {
                "error_code": "TEMPORARILY_UNAVAILABLE",
                "message": "MLflow is still starting"
                if self._error is None
                else "MLflow is out of order",
            }
            await JSONResponse(content, 503, {"retry-after": "2"})(scope, receive, send)


def _set_environment() -> None:
    if "mlflow.server" in sys.modules:
        raise InternalError("MLflow's server was imported before it could be set up")
    for name in _FORGOTTEN:
        os.environ.pop(name, None)
    os.environ.update(ENVIRONMENT)
