"""Callers that work until the server dies under them, and remember what it acknowledged."""

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import httpx
import msgspec
from tests.journeys.served import WORKSPACE, Mlflow, Served

from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.engines.ledger.tiles import TileName, unpack_entries
from strongroom.engines.ledger.verification import verify_export
from strongroom.errors import TruncatedError, UnavailableError

GONE = (httpx.TransportError, TruncatedError, UnavailableError)
"""What a caller meets when the server is killed."""
ROWS = 4_000
MODEL = "risk"
NOTES = b"# a model of a kind that is not converted\n"


def table(worker: int, number: int) -> Iterator[bytes]:
    """The upload `number` of a worker, in pieces; no two are alike."""
    yield b"worker,number,row,measure\n"
    for start in range(0, ROWS, 500):
        yield b"".join(
            b"%d,%d,%d,%d.5\n" % (worker, number, row, (row * 7919 + number) % 1000)
            for row in range(start, start + 500)
        )


def digest(worker: int, number: int) -> str:
    """Of an upload, as a dataset names it."""
    return f"sha256:{hashlib.sha256(b''.join(table(worker, number))).hexdigest()}"


def weights(life: int, number: int) -> bytes:
    """A file of a model that nobody can take for code; no two are alike."""
    seed = f"{life}/{number}".encode()
    return b"weights\n" + hashlib.shake_256(seed).hexdigest(60_000).encode()


@dataclass
class Acknowledged:
    """What the server said to be done, in all its lives.

    Attributes:
        datasets: (name, version) → digest.
        commitments: (name, version) → what the log has in place of the digest.
        entries: index of a log entry → request id.
        artifacts: run and path → content.
        versions: number of a version of the model → run and path that it was made of.
        ready: numbers of versions whose checks were seen to have ended.
        failures: what no caller should ever meet.
    """

    datasets: dict[tuple[str, int], str] = field(default_factory=dict)
    commitments: dict[tuple[str, int], str] = field(default_factory=dict)
    entries: dict[int, str] = field(default_factory=dict)
    artifacts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    versions: dict[int, tuple[str, str]] = field(default_factory=dict)
    ready: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, str]] = field(default_factory=dict)


class Labour:
    """Callers of all kinds, each a thread, until the server is gone."""

    def __init__(self, served: Served, done: Acknowledged, life: int) -> None:
        self._served = served
        self._done = done
        self._life = life
        self._threads = [
            threading.Thread(target=self._until_gone, args=(work, number), daemon=True)
            for work, count in ((self._ingest, 2), (self._register, 1), (self._append, 3))
            for number in range(count)
        ]

    def begin(self) -> None:
        """Let all of them work."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until all have noticed that the server is gone."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _until_gone(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except GONE:
            return
        except Exception as error:  # noqa: BLE001 # whatever it is, the test must hear of it
            self._done.failures.append(f"{work.__name__}: {type(error).__name__}: {error}")

    def _ingest(self, worker: int) -> None:
        with self._served.client("dan") as client:
            for number in range(self._life * 1_000, (self._life + 1) * 1_000):
                made: dict[str, Any] = client.call(
                    "data.add", table(worker, number), name=f"table-{worker}", format="csv"
                )
                assert made["digest"] == digest(worker, number)
                place = (made["name"], made["version"])
                self._done.datasets[place] = made["digest"]
                self._done.commitments[place] = made["commitment"]

    def _append(self, worker: int) -> None:
        with self._served.http(self._served.keys[("aldo", "olga", "rita")[worker]]) as http:
            while True:
                answer = http.get(f"/api/v1/workspaces/{WORKSPACE}/models")
                answer.raise_for_status()
                index = int(answer.headers["X-Strongroom-Receipt"])
                self._done.entries[index] = answer.headers["X-Request-Id"]

    def _register(self, _worker: int) -> None:
        done = self._done
        with Mlflow(self._served, "dan") as mlflow:
            run = mlflow.run("work")
            done.runs[run["run_id"]] = run
            for number in range(1_000):
                folder = f"model-{number}"
                for name, content in (
                    ("notes.md", NOTES), ("weights.txt", weights(self._life, number))
                ):  # fmt: skip
                    answer = mlflow.put(run, f"{folder}/{name}", content)
                    assert answer.status_code == 200, answer.text
                    done.artifacts[run["run_id"], f"{folder}/{name}"] = content
                made = mlflow.made(
                    "model-versions/create",
                    {
                        "name": MODEL, "source": f"{run['artifact_uri']}/{folder}",
                        "run_id": run["run_id"],
                    },
                )["model_version"]  # fmt: skip
                done.versions[int(made["version"])] = (run["run_id"], folder)
                seen = mlflow.checked(MODEL, made["version"])
                assert seen["status"] == "READY", seen
                done.ready.add(int(made["version"]))


def exported(served: Served) -> dict[int, dict[str, Any]]:
    """The entries of the workspace by their place, out of an export that verifies offline."""
    with served.client("aldo") as auditor:
        receipt = auditor.call("audit.prove", index=_newest(served))
        buffer = BytesIO()
        auditor.download("audit.export", buffer)
    verify_export(buffer, [LogKey.parse(receipt["log_key"])])
    entries: dict[int, dict[str, Any]] = {}
    with zipfile.ZipFile(buffer) as archive:
        for member in archive.namelist():
            if not member.startswith("tile/entries/"):
                continue
            name = TileName.parse(member)
            packed = unpack_entries(archive.read(member), name.width)
            for place, entry in enumerate(packed, name.index * 256):
                if entry:
                    entries[place] = msgspec.json.decode(entry)
    return entries


def _newest(served: Served) -> int:
    with served.client("aldo") as auditor:
        auditor.call("data.ls")
        assert auditor.last_receipt is not None
        return auditor.last_receipt
