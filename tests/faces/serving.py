"""A real HTTP server in a thread, for the length of a test."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from strongroom.engines.crypto.certificates import make_authority, make_server_certificate


class Switch:
    """Passes each request to the application that is set at the moment.

    Starting and stopping a server takes a quarter of a second: one for a whole module is quicker.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@contextmanager
def serving(
    app: ASGIApp, *, certificate: Path | None = None, key: Path | None = None
) -> Iterator[int]:
    """Serve an ASGI application on loopback; gives the port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        lifespan="off", ws="none", timeout_graceful_shutdown=2,
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the server did not start")
            time.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Files: an authority, and a certificate with its key for loopback."""
    now = datetime.now(UTC)
    authority = make_authority([], now)
    server = make_server_certificate(authority, [], now)
    files = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    contents = authority.certificate_pem, server.certificate_pem, server.private_key_pem
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return files
