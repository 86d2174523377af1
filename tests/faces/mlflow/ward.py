"""A server with MLflow mounted, people with keys, and checks that end as a test wants."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.gate.gatehouse import Gatehouse

from strongroom.errors import ConflictError
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.reading import Filters
from strongroom.gate.audit.types import Event
from strongroom.services.models.types import Checked, CheckState, ModelFile, Provenance
from strongroom.vault.blobs import BlobStore

EVIL = b"evil bytes"
"""A file that holds them does not pass the simulated checks."""
HELD = b"keep waiting"
"""The checks of a file that holds them do not end."""
FULL = b"keep waiting for space"
"""Nor of this one, and they say why."""


@dataclass(frozen=True)
class Submission:
    """What was handed over."""

    workspace: str
    model: str
    version: int
    files: tuple[ModelFile, ...]
    provenance: Provenance


@dataclass
class SimulatedChecks:
    """In place of the model room: reads the files sealed, and ends at the second look."""

    blobs: BlobStore
    submissions: dict[str, Submission] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def register(
        self,
        session: Session,
        *,
        workspace: str,
        model: str,
        version: int,
        files: Sequence[ModelFile],
        provenance: Provenance,
        actor: str,
    ) -> str:
        assert actor.startswith("usr_")
        for file in files:
            assert self.blobs.info(session, file.blob).workspace == workspace
        submission = Submission(workspace, model, version, tuple(files), provenance)
        with self.lock:
            taken = [(it.workspace, it.model, it.version) for it in self.submissions.values()]
            if (workspace, model, version) in taken:
                raise ConflictError("that version is there already")
            name = f"mdl_{len(self.submissions) + 1}"
            self.submissions[name] = submission
        return name

    def states(self, session: Session, entries: Sequence[str]) -> Mapping[str, Checked]:
        return {name: self._state(session, name) for name in entries}

    def is_pending(self, workspace: str, model: str, version: int) -> bool:
        return False  # the tests look at pending versions themselves

    def _state(self, session: Session, name: str) -> Checked:
        content = b""
        for file in self.submissions[name].files:
            with self.blobs.open(session, file.blob) as reader:
                content += reader.read(0, 4096)
        with self.lock:
            self.looks[name] = self.looks.get(name, 0) + 1
            pending = self.looks[name] <= 1 or HELD in content
        if pending:
            return Checked(CheckState.PENDING, "they wait for space" if FULL in content else "")
        if EVIL in content or b"posix" in content:
            return Checked(CheckState.FAILED, "unsafe pickle: calls `os.system`")
        return Checked(CheckState.PASSED)


@dataclass
class Street:
    """Lets the requests to a server come from one address after another."""

    address: str = "127.0.0.1"

    def before(self, app: ASGIApp) -> ASGIApp:
        """`app`, to which every client seems to be at the present address."""

        async def seen(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "client": (self.address, 0)}, receive, send)

        return seen


@dataclass
class Ward:
    """What the tests of the MLflow face work with."""

    house: Gatehouse
    checks: SimulatedChecks
    client: httpx.Client
    folder: Path
    cookie: str
    people: dict[str, Principal]
    keys: dict[str, str]
    sessions: dict[str, str]
    street: Street

    @property
    def url(self) -> str:
        """Origin of the server."""
        return str(self.client.base_url).rstrip("/")

    def call(
        self,
        who: str,
        method: str,
        path: str,
        *,
        workspace: str = "",
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> httpx.Response:
        """A request with the key of `who`; nobody's where that is empty."""
        sent = dict(headers or {})
        if who:
            sent.setdefault("Authorization", f"Bearer {self.keys[who]}")
        if workspace:
            sent["X-MLFLOW-WORKSPACE"] = workspace
        return self.client.request(method, path, headers=sent, **more)  # type: ignore[arg-type] # httpx's own

    def rpc(self, who: str, path: str, body: object = None, **more: object) -> httpx.Response:
        """A POST of MLflow's API 2.0."""
        return self.call(who, "POST", f"/api/2.0/mlflow/{path}", json=body or {}, **more)  # type: ignore[arg-type] # passed on

    def made(self, who: str, path: str, body: object = None, **more: object) -> dict[str, object]:
        """The answer to a POST that must succeed."""
        answer = self.rpc(who, path, body, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    def experiment(self, who: str, name: str, **more: object) -> str:
        """Id of a new experiment."""
        return str(self.made(who, "experiments/create", {"name": name}, **more)["experiment_id"])

    def run(self, who: str, experiment: str, **more: object) -> dict[str, str]:
        """The `info` of a new run."""
        made = self.made(who, "runs/create", {"experiment_id": experiment, **more})
        return made["run"]["info"]  # type: ignore[index, no-any-return] # JSON

    def put(self, who: str, run: Mapping[str, str], path: str, content: bytes) -> httpx.Response:
        """Upload an artifact of a run."""
        return self.call(who, "PUT", self.artifact(run, path), content=content)

    @staticmethod
    def artifact(run: Mapping[str, str], path: str) -> str:
        """The route of an artifact of a run."""
        below = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        return f"/api/2.0/mlflow-artifacts/artifacts/{below}/{path}"

    def events(self, **filters: str) -> list[Event]:
        """The last records, the oldest first."""
        with self.house.database.read() as session:
            found = self.house.log.search(session, Filters(**filters), limit=200)  # type: ignore[arg-type] # text filters only
        return [it.event for it in sorted(found, key=lambda it: it.index)]

    def expire(self, who: str) -> None:
        """Give `who` a key that has just expired, in place of theirs."""
        with self.house.database.write() as session:
            _, self.keys[who] = self.house.issuer.api_key(
                session, self.people[who].id, purpose="expired", days=0, workspaces=(),
                by=self.people[who].id,
            )  # fmt: skip
