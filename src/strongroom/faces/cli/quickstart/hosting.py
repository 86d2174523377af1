"""The server of the quickstart: prepared in this process, then run as one of its own."""

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from strongroom.errors import HomeError, NotFoundError, UnavailableError
from strongroom.faces.foundation import open_foundation
from strongroom.faces.listening import listen
from strongroom.gate.identity.bootstrap import FIRST_NAME, bootstrap, local_key
from strongroom.settings import Settings

PURPOSE = "quickstart"
START_SECONDS = 60
STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Hosted:
    """A running server.

    Attributes:
        url: its origin.
        ca: file with the authority to trust.
        process: of the server.
    """

    url: str
    ca: Path
    process: "subprocess.Popen[bytes]"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A home that is ready to be served.

    Attributes:
        operator_key: API key of its operator.
        is_new: whether there was no home before.
        kept: new keys, by name, of the people who were there already.
    """

    operator_key: str = field(repr=False)
    is_new: bool
    kept: dict[str, str] = field(default_factory=dict, repr=False)


def prepare(settings: Settings, names: Iterable[str]) -> Prepared:
    """Make or open the home, and keys for its operator and for those of `names` who are there.

    Nobody but they themselves can make them over the network. Here they are made by the power of
    this machine, as `strongroom recover` makes them, and the log says so (`server.local_key`).

    Raises:
        PortInUseError, UnavailableError: the server could not listen; nothing was made.
        HomeError: the home cannot be used.
    """
    listen(settings.host, settings.port).close()
    with open_foundation(settings) as foundation:
        first = bootstrap(
            foundation.database, foundation.log, foundation.issuer, foundation.grants,
            api_key_days=settings.api_key_days, link_minutes=settings.link_minutes,
        )  # fmt: skip
        if first is not None:
            # From here on it counts as received: the server will not make another in its place.
            foundation.sign_in.identify(first.api_key)
            return Prepared(first.api_key, is_new=True)
        keys: dict[str, str] = {}
        for name in (FIRST_NAME, *names):
            with suppress(NotFoundError):  # an earlier run did not come that far
                keys[name] = local_key(
                    foundation.database, foundation.log, foundation.issuer,
                    account=name, purpose=PURPOSE, days=settings.api_key_days,
                )  # fmt: skip
        return Prepared(keys.pop(FIRST_NAME), is_new=False, kept=keys)


@contextmanager
def hosted(settings: Settings) -> Iterator[Hosted]:
    """A server on the home of `settings`, stopped when the block ends.

    Raises:
        UnavailableError: it did not come up; the message says where its log is.
    """
    log_file = settings.home / "log" / "server.log"
    command = [
        sys.executable, "-m", "strongroom.faces.cli.main", "serve",
        "--home", str(settings.home), "--host", settings.host, "--port", str(settings.port),
    ]  # fmt: skip
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as log:
        # A session of its own: Ctrl-C reaches us, and we end it in order.
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield _wait(settings.home, process, log_file)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(home: Path, process: "subprocess.Popen[bytes]", log_file: Path) -> Hosted:
    """The server, once it says that it listens."""
    address = home / "run" / "server.json"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise HomeError(
                f"the server stopped at once; its log is `{log_file}`: {_last_line(log_file)}"
            )
        try:
            found = json.loads(address.read_text("utf-8"))
        except (OSError, ValueError):
            time.sleep(0.05)
            continue
        if found["pid"] == process.pid:
            return Hosted(found["url"], Path(found["ca"]), process)
    raise UnavailableError(f"the server did not come up; its log is `{log_file}`")


def wait_until_ready(server: Hosted) -> None:
    """Wait until every part of the server serves, MLflow included.

    Raises:
        UnavailableError: it takes too long.
    """
    context = ssl.create_default_context(cafile=server.ca)
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=server.url, verify=context, trust_env=False, timeout=10) as client:
        while time.monotonic() < deadline:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
            time.sleep(0.1)
    raise UnavailableError("the server is not ready")


def _last_line(file: Path) -> str:
    lines = file.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1][:500] if lines else "nothing"
