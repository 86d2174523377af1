"""A live instance as an attacker sees it: bare requests, every byte of the path as it is given."""

import http.client
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from strongroom.errors import UnreachableError
from strongroom.faces.client.profiles import Profile
from strongroom.faces.closing import Closing

MAX_ANSWER_BYTES = 1 << 20
SECONDS = 30.0
_PATIENCE = 3
_LONGEST_WAIT = 65.0
NOT_ANSWERED = 0
"""In the place of a status: the connection was closed instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: `NOT_ANSWERED` where the server closed the connection.
        body: at most 1 MiB of it.
    """

    status: int
    body: bytes
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """The server did what it was asked to."""
        return 200 <= self.status < 300

    def json(self) -> Any:  # noqa: ANN401 # JSON
        """The body; None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Instance:
    """A server, and a key that is good in one of its workspaces.

    Attributes:
        workspace: where the key is good.
        other: a workspace where it is not; empty for unknown.
    """

    def __init__(self, profile: Profile, *, workspace: str, other: str) -> None:
        """Nothing is asked yet."""
        parts = urllib.parse.urlsplit(profile.server)
        self.host, self.is_tls = parts.hostname or "", parts.scheme == "https"
        self.port = parts.port or (443 if self.is_tls else 80)
        self.workspace = workspace
        self.other = other
        self._key = profile.key
        self._ca = profile.ca or None

    def connect(self) -> socket.socket:
        """A connection of its own, with TLS where the server has it. Raises: UnreachableError."""
        try:
            bare = socket.create_connection((self.host, self.port), timeout=SECONDS)
            if not self.is_tls:
                return bare
            context = ssl.create_default_context(cafile=self._ca)
            return context.wrap_socket(bare, server_hostname=self.host)
        except OSError as error:
            raise UnreachableError(
                f"the server cannot be reached: {type(error).__name__}"
            ) from None

    def own_address(self) -> str:
        """The address of this machine as the server sees it."""
        with self.connect() as connection:
            return str(connection.getsockname()[0])

    def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None,
        content: bytes | None = None, with_key: bool = True, seconds: float = SECONDS,
    ) -> Answer:  # fmt: skip
        """One request on a connection of its own; the path goes out as it is.

        A server that asks for patience (429) is asked again: that is not what is tried here.
        """
        answer = self._once(method, path, headers or {}, content, with_key, seconds)
        for _ in range(_PATIENCE):
            if answer.status != 429:
                break
            waits = answer.headers.get("retry-after", "")
            time.sleep(min(float(waits) if waits.isdigit() else 5.0, _LONGEST_WAIT))
            answer = self._once(method, path, headers or {}, content, with_key, seconds)
        return answer

    def _once(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | None,
        with_key: bool, seconds: float,
    ) -> Answer:  # fmt: skip
        sent = {"X-MLFLOW-WORKSPACE": self.workspace, **headers}
        if with_key and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self._key}"
        if content is not None and not any(name.lower() == "content-type" for name in sent):
            sent["Content-Type"] = "application/json"
        started = time.perf_counter()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            connection.sock = self.connect()
            connection.sock.settimeout(seconds)
            connection.putrequest(method, path, skip_host="Host" in sent, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if content is not None:
                connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content)
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES)
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, body, time.perf_counter() - started, found)
        except (OSError, http.client.HTTPException, ValueError):
            # A server may close on what it does not want, which is an answer too.
            return Answer(NOT_ANSWERED, b"", time.perf_counter() - started)
        finally:
            connection.close()

    def rpc(self, path: str, **fields: object) -> Answer:
        """A POST to MLflow's interface."""
        return self.ask("POST", f"/api/2.0/mlflow/{path}", content=json.dumps(fields).encode())

    def is_ours(self) -> bool:
        """The key is good in the workspace: what is refused is not refused for want of one."""
        return self.ask("GET", f"/api/v1/workspaces/{self.workspace}/models").is_done

    def is_alive(self) -> bool:
        """It says that it is well."""
        return self.ask("GET", "/healthz", with_key=False).status == http.client.OK


class Listener(Closing):
    """Waits for a server that lets itself be sent somewhere, and counts.

    Attributes:
        url: its address.
    """

    def __init__(self, address: str) -> None:
        """Listen at a free port of this machine's address."""
        self._socket = socket.create_server((address, 0))
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.calls = 0
        self.url = f"http://{address}:{self._socket.getsockname()[1]}"
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError, OSError):
                connection, _ = self._socket.accept()
                self.calls += 1
                connection.close()
