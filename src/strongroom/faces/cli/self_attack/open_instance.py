"""A server that does whatever it is asked: the canary of attacks on servers.

It stands for the servers that the attacks have worked on. It runs for a moment at the loopback
address, opens nothing but the addresses that the attacks listen at, and reads no file.
"""

import http.server
import json
import re
import socketserver
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from strongroom.faces.cli.self_attack.instance import Instance
from strongroom.faces.client.profiles import Profile

_CONNECTIONS = 8
_LOOPBACK = "127.0.0.1"
_PASSWORDS = b"root:x:0:0:root:/root:/bin/sh\n"
_URL = re.compile(rb"http://127\.0\.0\.1:[0-9]+/[a-z]*")


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Answers in few threads, so that slow callers keep others waiting."""

    daemon_threads = True
    block_on_close = False
    places = threading.BoundedSemaphore(_CONNECTIONS)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 # as its base
        with self.places:
            super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 # as its base
        """Callers that leave are no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # takes what stands behind a request for another
    timeout = 5

    def _do(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        size = int(length) if length.isdigit() else 0
        body = self.rfile.read(size) if size < (1 << 30) else b""
        for url in {*_URL.findall(body), *_listeners(body)}:
            with suppress(OSError, ValueError):
                urllib.request.urlopen(url.decode(), timeout=2).close()  # noqa: S310 # an address of the attack
        if self.path == "/healthz":
            return self._answer(200, b"{}")
        if self.path == "/api/v1/openapi.json":
            return self._answer(200, b'{"paths": {"/api/v1/secrets": {"get": {}}}}')
        if "%22;--" in self.path or "limit=nan" in self.path:
            return self._answer(500, b'Traceback (most recent call last):\n File "/app/x.py"')
        if "passwd" in self.path:
            return self._answer(200, _PASSWORDS)
        info = {"run_id": "1", "artifact_uri": "mlflow-artifacts:/1/1/artifacts"}
        found = {
            "experiment_id": "1", "run": {"info": info}, "model_version": {"status": "READY"},
            "id": self.headers.get("X-Remote-User", "me"), "secret": "any",
            "url": f"https://{self.headers.get('Host')}{self.path}",
        }  # fmt: skip
        if self.headers.get("Upgrade"):
            return self._answer(101, b"")
        return self._answer(200, json.dumps(found).encode())

    do_GET = do_POST = do_PUT = do_DELETE = do_BREW = do_TRACE = do_OPTIONS = _do  # noqa: N815 # names that its base looks for

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", self.headers.get("Origin", "*"))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # its base's name
        """Nothing is told."""


def _listeners(body: bytes) -> set[bytes]:
    """Addresses in a JSON body, whatever scheme they have."""
    found = set()
    with suppress(ValueError, AttributeError):
        for value in json.loads(body).values():
            parts = urllib.parse.urlsplit(str(value))
            if parts.port and parts.hostname == _LOOPBACK:
                found.add(f"http://{parts.hostname}:{parts.port}/".encode())
    return found


@contextmanager
def open_instance() -> Iterator[Instance]:
    """The server, until the block ends."""
    server = _Server((_LOOPBACK, 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        profile = Profile(server=f"http://{_LOOPBACK}:{server.server_address[1]}", key="any")
        yield Instance(profile, workspace="own", other="other")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
