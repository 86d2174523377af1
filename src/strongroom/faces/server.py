"""Builds the server out of its rooms and faces, and runs it. The only file that knows them all.

One origin, TLS always:

    /endpoints/…                         faces/inference, on its own fast path
    /api/2.0/…, /ajax-api/…, /mlflow/…   faces/mlflow
    /api/v1/…, /log/…, /healthz, …       faces/api
    everything else                      faces/console
"""

import asyncio
import json
import os
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvicorn
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send

from strongroom import logs
from strongroom.errors import UnavailableError
from strongroom.faces.api import app as api
from strongroom.faces.api.guard_counters import GuardCounters
from strongroom.faces.api.shell import Counters
from strongroom.faces.connections import BoundedConnection
from strongroom.faces.console import app as console
from strongroom.faces.door import Door
from strongroom.faces.foundation import Foundation, open_foundation
from strongroom.faces.inference.app import InferenceApp
from strongroom.faces.listening import listen
from strongroom.faces.mlflow.mounting import Mounting, Pieces
from strongroom.faces.mlflow.routes import owns as owned_by_mlflow
from strongroom.faces.pauses import collect_little, one_thread_each
from strongroom.gate.audit.findings import open_findings
from strongroom.gate.declaration import BoundOperation, operations_of
from strongroom.gate.identity.accounts import Accounts
from strongroom.gate.identity.bootstrap import FirstPerson, bootstrap
from strongroom.gate.identity.operations import IdentityOperations
from strongroom.gate.workspaces.keys import KeyOperations
from strongroom.gate.workspaces.operations import WorkspaceOperations
from strongroom.services.compliance.operations import ComplianceOperations
from strongroom.services.data.operations import DataOperations
from strongroom.services.data.release_operations import ReleaseOperations
from strongroom.services.endpoints.guarding_operations import GuardingOperations
from strongroom.services.endpoints.guards import EndpointGuards
from strongroom.services.endpoints.operations import EndpointOperations
from strongroom.services.endpoints.runners import Runners
from strongroom.services.endpoints.watching import Watch
from strongroom.services.jobs.operations import JobOperations
from strongroom.services.jobs.queue import Jobs
from strongroom.services.jobs.sandbox import Limits, required_layers
from strongroom.services.models.assessing_operations import AssessingOperations
from strongroom.services.models.dataset_assessing_operations import DatasetAssessingOperations
from strongroom.services.models.hardening_operations import HardeningOperations
from strongroom.services.models.operations import ModelOperations
from strongroom.services.models.training_operations import TrainingOperations
from strongroom.settings import Settings
from strongroom.vault.certificates import ServerCertificate, ensure_certificate

SHUTDOWN_SECONDS = 10
LOADED_SECONDS = 60
JOB_THREADS = 3
"""Jobs at once: two assessments, which take minutes, leave one for all else."""
ADDRESS_FILE = "server.json"
"""In `run/` of the home while the server answers: its address and what to trust."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens.

    Attributes:
        url: its origin, `https://localhost:8443`.
        first: the first person, where this start made one; shown once.
    """

    url: str
    authority: Path
    first: FirstPerson | None


class Front:
    """Sends each request to the face that it is for."""

    def __init__(self, inference: ASGIApp, mlflow: Mounting, rest: ASGIApp) -> None:
        self._inference = inference
        self._mlflow = mlflow
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return  # no websockets, no lifespan: uvicorn refuses what is not accepted
        path: str = scope["path"]
        if path.startswith("/endpoints/"):
            await self._inference(scope, receive, send)
        elif owned_by_mlflow(path):
            await self._mlflow(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Built:
    """The application and what runs beside it."""

    app: ASGIApp
    operations: list[BoundOperation]
    jobs: Jobs
    mlflow: Mounting


@contextmanager
def built(foundation: Foundation) -> Iterator[Built]:
    """Every room and face over `foundation`, running until the block ends."""
    settings = foundation.settings
    jobs = Jobs(foundation.database, threads=JOB_THREADS)
    runners = Runners(
        required_layers=required_layers(settings.sandbox_required_layers),
        limits=Limits(memory_bytes=settings.sandbox_memory_bytes),
    )
    models = ModelOperations(
        foundation.database, foundation.blobs, foundation.keyring, jobs, foundation.log, settings
    )
    assessing = AssessingOperations(
        foundation.database, foundation.blobs, foundation.keyring, jobs, foundation.log, settings
    )
    guards = EndpointGuards(foundation.database, models, foundation.keyring, foundation.log)
    endpoints = EndpointOperations(models, runners, guards)
    data = DataOperations(foundation.blobs, foundation.keyring, settings)

    def begin_workspace(session: Session, name: str) -> int:
        """The key of a workspace that is being made, and the rules that it begins with."""
        version = foundation.keyring.create_workspace_key(session, name)
        models.begin_workspace(session, name)
        return version

    rewraps = [foundation.blobs.rewrap, data.rewrap, models.rewrap, assessing.rewrap]
    rooms = [
        IdentityOperations(
            foundation.sign_in, foundation.issuer, foundation.grants,
            api_key_days=settings.api_key_days, link_minutes=settings.link_minutes,
            invitation_hours=settings.invitation_hours,
        ),
        WorkspaceOperations(
            foundation.access, foundation.grants, Accounts(foundation.keyring.seals),
            begin_workspace,
            actions=foundation.access.policies.actions,
            repairs=foundation.repairs, log=foundation.log,
        ),
        KeyOperations(foundation.keyring, rewraps),
        data,
        ReleaseOperations(foundation.blobs, foundation.keyring, jobs, foundation.log, settings),
        models,
        TrainingOperations(foundation.blobs, foundation.keyring, jobs, foundation.log, settings),
        assessing,
        DatasetAssessingOperations(
            foundation.database, foundation.blobs, foundation.keyring, jobs, foundation.log,
            settings,
        ),
        HardeningOperations(
            foundation.database, foundation.blobs, foundation.keyring, jobs, foundation.log,
            settings,
        ),
        endpoints,
        GuardingOperations(runners, guards),
        JobOperations(jobs),
        ComplianceOperations(foundation.log),
    ]  # fmt: skip
    operations = [bound for room in rooms for bound in operations_of(room)]
    mlflow = Mounting(
        Pieces(
            database=foundation.database, gate=foundation.gate, grants=foundation.grants,
            blobs=foundation.blobs, checks=models, identify=foundation.sign_in.identify,
            max_upload_bytes=settings.max_upload_bytes,
            max_request_bytes=settings.max_request_bytes,
            request_seconds=settings.request_seconds,
        )
    )  # fmt: skip
    inference = InferenceApp(
        identity=foundation.sign_in, access=foundation.access, log=foundation.log,
        runners=runners, max_body_bytes=settings.max_request_bytes,
        record_before_answer=settings.record_predictions == "before_answer",
    )  # fmt: skip
    counters = Counters()
    counters.registry.register(GuardCounters(guards.tallies))
    rest = api.build(
        operations, foundation.gate, foundation.sign_in.identify, settings,
        log=foundation.log, counters=counters,
        ready={
            "mlflow": lambda: _require_ready(mlflow),
            "anchor": foundation.anchor.require_working,
            "integrity": lambda: _findings(foundation),
        },
        faces=console.routes(operations, foundation.gate, foundation.sign_in, settings),
    )  # fmt: skip
    sweep = models.sweep(foundation.gate.alarm)
    watch = Watch(endpoints, models, runners, foundation.database)
    models.start()
    mlflow.start()
    jobs.start()
    guards.start()
    endpoints.restore(foundation.database)
    watch.start()
    sweep.start()
    try:
        door = Door(
            Front(inference, mlflow, rest), per_minute=settings.requests_per_minute,
            refused=counters.requests.labels("door", "429").inc,
        )  # fmt: skip
        yield Built(door, operations, jobs, mlflow)
    finally:
        mlflow.settle(SHUTDOWN_SECONDS)
        sweep.stop()
        watch.stop()
        jobs.stop(SHUTDOWN_SECONDS)
        runners.close()
        guards.stop()


def _findings(foundation: Foundation) -> int:
    with foundation.database.read() as session:
        return len(open_findings(session))


def _require_ready(mlflow: Mounting) -> None:
    if not mlflow.ready:
        raise UnavailableError("MLflow is still starting")


def serve(settings: Settings, *, on_ready: Callable[[Running], None] | None = None) -> None:
    """Run the server until it is interrupted.

    Args:
        settings: in force.
        on_ready: told once requests are accepted; by default the address and, at the first start,
            how to sign in are printed.

    Raises:
        PortInUseError: something listens there already.
        HomeError: the home folder cannot be used.
    """
    logs.configure(settings.log_level)
    # A core file would hold every key in use.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    one_thread_each()
    with open_foundation(settings) as foundation:
        listener = listen(settings.host, settings.port)
        with listener, built(foundation) as parts:
            certificate = ensure_certificate(
                foundation.home.tls, foundation.database, foundation.keyring,
                [name.strip() for name in settings.names.split(",") if name.strip()],
                datetime.now(UTC),
            )  # fmt: skip
            first = bootstrap(
                foundation.database, foundation.log, foundation.issuer, foundation.grants,
                api_key_days=settings.api_key_days, link_minutes=settings.link_minutes,
            )  # fmt: skip
            running = Running(_origin(settings, listener), certificate.authority, first)
            server = _Server(configuration(parts.app, certificate), running, on_ready or announce)
            address = foundation.home.run / ADDRESS_FILE
            address.write_text(
                json.dumps({"url": running.url, "ca": str(running.authority), "pid": os.getpid()})
            )
            collect_little()
            try:
                with _ending_in_order():
                    server.run(sockets=[listener])
            finally:
                address.unlink(missing_ok=True)
    _log.info("stopped")


def keep_memory_off_disk() -> None:
    """Leave no core file when the process crashes: it would hold keys and rows in clear."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM end the block and not the process.

    Uvicorn stops at the signal and then raises it once more: at its default, that would end the
    process with the log unclosed, jobs cut off and workers left behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal comes here
        return
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Server(uvicorn.Server):
    """Uvicorn, telling when it accepts requests."""

    def __init__(
        self, config: uvicorn.Config, running: Running, on_ready: Callable[[Running], None]
    ) -> None:
        super().__init__(config)
        self._running = running
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        # MLflow is loaded meanwhile.
        asyncio.get_running_loop().call_later(LOADED_SECONDS, collect_little)
        self._on_ready(self._running)


def configuration(app: ASGIApp, certificate: ServerCertificate) -> uvicorn.Config:
    """How uvicorn serves `app`."""
    config = uvicorn.Config(
        app, http=BoundedConnection, loop="uvloop", lifespan="off", ws="none", log_config=None,
        access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS, backlog=1024,
        ssl_certfile=str(certificate.certificate), ssl_keyfile=str(certificate.key),
        ssl_keyfile_password=certificate.key_password,
    )  # fmt: skip
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config


def _origin(settings: Settings, listener: socket.socket) -> str:
    """Where a person on this machine reaches the server."""
    name = "localhost" if settings.host in ("127.0.0.1", "::1", "0.0.0.0", "::") else settings.host  # noqa: S104 # compared, not bound
    return f"https://{name}:{listener.getsockname()[1]}"


def announce(running: Running) -> None:
    """Say where the server is and, at the first start, how to sign in."""
    lines = [f"Strongroom answers at {running.url}", f"Trust {running.authority}"]
    if running.first is not None:
        link = f"{running.url}/sign-in?link={running.first.link}"
        lines += [
            f"Sign in once as {running.first.name}: {link}",
            f"API key of {running.first.name}, shown this once: {running.first.api_key}",
        ]
    print("\n".join(lines), flush=True)  # noqa: T201 # the command's output
