"""A real server process on a home folder of its own, and people with keys who ask it.

The process is what a person starts: `strongroom serve`. It may be stopped, killed and started
again; whoever has a key keeps it.
"""

import ctypes
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from strongroom.faces.client.client import Client
from strongroom.faces.client.profiles import Profile

WORKSPACE = "clinic"
START_SECONDS = 240.0
"""On a machine that does ten other things; else a start takes a few."""
COMMAND = (sys.executable, "-m", "strongroom.faces.cli.main")
_FIRST_KEY = re.compile(r"API key of operator, shown this once: (srk_\S+)")


_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """In the new process: end when the tests end, also where they are killed themselves."""
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@dataclass
class Served:
    """One home folder and the server on it.

    Attributes:
        settings: `STRONGROOM_…` variables of the process, by the name of the setting.
        prefix: a command that the server is run by.
        seen_at: where the home is seen from here, if the prefix sees it elsewhere.
        url: its origin, while it runs.
        operator: key of the first person.
        keys: of people, by name.
        claims: the codes of their claims, by name.
    """

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    seen_at: Path | None = None
    url: str = ""
    operator: str = field(default="", repr=False)
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    claims: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def folder(self) -> Path:
        """The home as seen from here."""
        return self.seen_at or self.home

    @property
    def output(self) -> Path:
        """What the servers on this home printed."""
        return self.home.with_name(f"{self.home.name}.stdout")

    @property
    def log(self) -> Path:
        """What the servers on this home wrote to their structured log."""
        return self.home.with_name(f"{self.home.name}.stderr")

    @property
    def temporary(self) -> Path:
        """Where the servers on this home may put temporary files."""
        return self.home.with_name(f"{self.home.name}.tmp")

    @property
    def ca(self) -> Path:
        """What clients trust."""
        return self.folder / "tls" / "ca.pem"

    def environment(self) -> dict[str, str]:
        """The environment of the process: nothing of ours but the settings."""
        chosen = {f"STRONGROOM_{name.upper()}": value for name, value in self.settings.items()}
        if self.seen_at is None:
            self.temporary.mkdir(exist_ok=True)
            chosen["TMPDIR"] = str(self.temporary)
        return {"PATH": os.environ["PATH"], "HOME": str(self.home.parent), **chosen}

    # ---- the process ----

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start the process, without waiting for it."""
        command = [*self.prefix, *COMMAND, "serve", "--home", str(self.home), "--port", "0"]
        with self.output.open("ab") as output, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=output,
                stderr=log, preexec_fn=_die_with_parent,  # noqa: PLW1509 # one system call
            )  # fmt: skip
        return self.process

    def start(self, *, mlflow: bool = True) -> None:
        """Start the process; return once it answers, MLflow included unless told otherwise."""
        process = self.launch()
        address = self.folder / "run" / "server.json"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AssertionError(f"the server ended: {self.log.read_text()[-2000:]}")
            try:
                found = json.loads(address.read_text("utf-8"))
            except (OSError, ValueError):
                found = {}
            if found.get("pid") == process.pid:
                self.url = found["url"]
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the server did not come up")
        self._wait_until_it_answers(deadline, mlflow=mlflow)
        if not self.operator and (shown := _FIRST_KEY.search(self.output.read_text())):
            self.operator = shown[1]

    def _wait_until_it_answers(self, deadline: float, *, mlflow: bool) -> None:
        with self.http() as http:
            while time.monotonic() < deadline:
                try:
                    answer = http.get("/readyz" if mlflow else "/healthz")
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code == httpx.codes.OK:
                    return
                time.sleep(0.05)
        raise AssertionError(f"the server is not ready: {self.log.read_text()[-2000:]}")

    def stop(self, seconds: float = 30.0) -> int:
        """Ask the process to end, as a service manager does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End the process at this very moment (SIGKILL), with whatever it started."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the process in whatever state it is."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    # ---- asking ----

    def http(self, key: str = "", workspace: str = "") -> httpx.Client:
        """Plain HTTP to the server."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if workspace:
            headers["X-MLFLOW-WORKSPACE"] = workspace
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=60, trust_env=False,
            verify=ssl.create_default_context(cafile=self.ca),
        )  # fmt: skip

    def client(self, who: str = "", workspace: str = WORKSPACE) -> Client:
        """The real client of a person, by name; of the operator where none is named."""
        key = self.keys[who] if who else self.operator
        return Client(Profile(self.url, key, str(self.ca), workspace), timeout_seconds=60)

    def person(self, name: str, role: str = "", workspace: str = WORKSPACE) -> str:
        """A new person with a role and a key; the key."""
        with self.client(workspace=workspace) as operator:
            operator.call("user.create", name=name)
            invitation = operator.call("user.invite", user=name)["token"]
            with Client(Profile(self.url, invitation, str(self.ca), workspace)) as invited:
                claimed: dict[str, Any] = invited.call("user.claim")
            if role:
                operator.call(
                    "role.grant", workspace=workspace, principal=name, role=role,
                    claim=claimed["claim"],
                )  # fmt: skip
        self.keys[name] = claimed["secret"]
        self.claims[name] = claimed["claim"]
        return self.keys[name]

    def workspace(self, name: str) -> None:
        """A new workspace, owned by the operator."""
        with self.client() as operator:
            operator.call("workspace.create", name=name)

    def verify_log(self) -> None:
        """Let the server verify its whole log; raises where anything is not as signed."""
        with self.client() as operator:
            operator.call("audit.verify")


@contextmanager
def serving(
    home: Path,
    *,
    mlflow: bool = True,
    prefix: Sequence[str] = (),
    seen_at: Path | None = None,
    people: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[Served]:
    """A server on a new home, with the workspace `clinic` and people, each with a role."""
    served = Served(home, {"min_free_bytes": "0", **settings}, prefix, seen_at)
    try:
        served.start(mlflow=mlflow)
        served.workspace(WORKSPACE)
        for name, role in (people or {}).items():
            served.person(name, role)
        yield served
    finally:
        served.close()


class Mlflow:
    """MLflow's REST interface, as any client of it speaks it."""

    def __init__(self, served: Served, who: str, workspace: str = WORKSPACE) -> None:
        self._http = served.http(served.keys[who], workspace)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def rpc(self, path: str, body: Mapping[str, object]) -> httpx.Response:
        """A POST of its API."""
        return self._http.post(f"/api/2.0/mlflow/{path}", json=body)

    def made(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """The answer to a POST that must succeed."""
        answer = self.rpc(path, body)
        assert answer.status_code == httpx.codes.OK, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def run(self, experiment: str) -> dict[str, str]:
        """The `info` of a new run in an experiment that is made where it is not there."""
        answer = self.get("experiments/get-by-name", experiment_name=experiment)
        if answer.status_code == httpx.codes.OK:
            experiment_id = answer.json()["experiment"]["experiment_id"]
        else:
            experiment_id = self.made("experiments/create", {"name": experiment})["experiment_id"]
        made = self.made("runs/create", {"experiment_id": experiment_id})
        info: dict[str, str] = made["run"]["info"]
        return info

    def get(self, route: str, **params: str) -> httpx.Response:
        """A GET of its API."""
        return self._http.get(f"/api/2.0/mlflow/{route}", params=params)

    def put(self, run: Mapping[str, str], path: str, content: bytes) -> httpx.Response:
        """Upload an artifact of a run."""
        return self._http.put(self.artifact(run, path), content=content)

    def fetch(self, run: Mapping[str, str], path: str) -> httpx.Response:
        """Download an artifact of a run."""
        return self._http.get(self.artifact(run, path))

    def files(self, run: Mapping[str, str], path: str) -> list[str]:
        """Names of the files directly below a directory of a run."""
        answer = self.get("artifacts/list", run_id=run["run_id"], path=path)
        assert answer.status_code == httpx.codes.OK, answer.text
        return [it["path"].rpartition("/")[2] for it in answer.json().get("files", [])]

    @staticmethod
    def artifact(run: Mapping[str, str], path: str) -> str:
        """The route of an artifact of a run."""
        below = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        return f"/api/2.0/mlflow-artifacts/artifacts/{below}/{path}"

    def version(self, model: str, number: int | str) -> dict[str, str]:
        """A version of a model as the registry shows it."""
        answer = self.get("model-versions/get", name=model, version=str(number))
        assert answer.status_code == httpx.codes.OK, answer.text
        found: dict[str, str] = answer.json()["model_version"]
        return found

    def checked(self, model: str, number: int | str, seconds: float = 60.0) -> dict[str, str]:
        """A version once its checks have ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.version(model, number)
            if found["status"] != "PENDING_REGISTRATION":
                return found
            time.sleep(0.05)
        raise AssertionError(f"version {number} of {model} is still being checked")
