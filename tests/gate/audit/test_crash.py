"""Killed at any moment, the log keeps every entry it acknowledged and nothing half-written."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.tables import LogEntryRow
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.vault.database import Database

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = LogKey("example.com/log", PRIVATE.public_key().public_bytes_raw())


def make(path: Path, step: str = "", count: int = 0) -> AuditLog:
    """A log that kills its process at the `count`-th time it comes to `step`."""
    left = [count]

    def at(name: str) -> None:
        if name == step:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    database = Database.open(f"sqlite:///{path}")
    return AuditLog(database, payload_key=bytes(32), key=KEY, sign=PRIVATE.sign, step=at)


def append_forever(path: Path, step: str, count: int) -> None:
    """Append and record in turn, saying the place of each entry once it is acknowledged."""
    log = make(path, step, count).start()
    number = 0
    while True:
        number += 1
        event = Event(
            time=time.time(),
            workspace="clinic",
            actor_kind="person",
            actor="p",
            operation="data.read",
            action="readDataset",
            resource_type="Dataset",
            resource="d",
            audit_class=AuditClass.DATASTORE_ACTIVITY,
            request_id=f"r{number}",
            outcome=Outcome.ALLOWED,
        )
        if number % 3:
            indices = [log.record(event).index]
        else:
            futures = [log.submit(event) for _ in range(20)]
            with log._database.write() as session:
                indices = [log.append(session, event).index]
            indices += [future.result().index for future in futures]
        os.write(1, "".join(f"{index} r{number}\n" for index in indices).encode())


def acknowledged(path: Path, step: str, count: int, seconds: float | None) -> dict[int, str]:
    """What a process said before it was killed, at a step or after some seconds."""
    script = (
        "import sys; from importlib.util import module_from_spec, spec_from_file_location\n"
        "from pathlib import Path\n"
        "spec = spec_from_file_location('crash', sys.argv[1])\n"
        "module = module_from_spec(spec); spec.loader.exec_module(module)\n"
        "module.append_forever(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, __file__, str(path), step, str(count)],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if seconds is not None:
            time.sleep(seconds)
            process.kill()
        said += process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    lines = said.decode().split("\n")
    return {
        int(index): request for index, _, request in (line.partition(" ") for line in lines[:-1])
    }


def check(path: Path, promised: dict[int, str]) -> int:
    """The number of entries, after making sure that the log is whole and keeps its promises."""
    database = Database.open(f"sqlite:///{path}")
    with database.read() as session:
        entries = session.scalar(select(func.count()).select_from(LogEntryRow)) or 0
    with make(path) as log:
        assert log.verify_live().checkpoint.size == entries
        with database.read() as session:
            for index, request in promised.items():
                assert log.entry(session, index).event.request_id == request
        log.receipt(entries - 1)
    database.close()
    return entries


@pytest.mark.parametrize(
    "step", ["entry", "entries", "tiles", "checkpoint", "commit", "acknowledge"]
)
def test_killed_at_each_durable_step(tmp_path: Path, step: str) -> None:
    path = tmp_path / "log.db"
    Database.create_for_tests(path).close()
    promised = acknowledged(path, step, count=8, seconds=None)
    assert promised
    entries = check(path, promised)
    assert entries >= len(promised)


def test_killed_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    Database.create_for_tests(path).close()
    promised: dict[int, str] = {}
    chance = random.Random(20261124)  # noqa: S311 - moments to kill at, not secrets
    for _ in range(4):
        more = acknowledged(path, "", 0, seconds=chance.uniform(0, 0.3))
        assert not promised.keys() & more.keys()
        promised |= more
        check(path, promised)
