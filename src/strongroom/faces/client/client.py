"""The Python client: any operation by its name, uploads and downloads as streams, typed errors.

from strongroom.faces.client.client import Client

with Client.connect(workspace="clinic") as room:
room.call("data.ls")
table = room.read_table("patients")
"""

import ipaddress
import ssl
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import httpx

from strongroom.errors import (
    SignInError,
    UsageError,
)
from strongroom.faces.client import failures
from strongroom.faces.client.profiles import Profile, resolve
from strongroom.faces.client.shapes import Shape, query, segment, shapes_of
from strongroom.faces.client.transfer import (
    Progress,
    Reader,
    Source,
    guarded,
    head,
    pieces_of,
    source,
)
from strongroom.faces.closing import Closing

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

PREFIX = "/api/v1"


class Client(Closing):
    """Calls one server as one person. Not to be shared between threads while streaming."""

    def __init__(self, profile: Profile, *, timeout_seconds: float = 330.0) -> None:
        """`timeout_seconds` bounds each wait for the server, not a whole transfer.

        Raises:
            UsageError: the address is none, or would send the key in clear.
        """
        self.profile = profile
        host = _host(profile.server)
        headers = {"User-Agent": "strongroom"}
        if profile.key:
            headers["Authorization"] = f"Bearer {profile.key}"
        if profile.workspace:
            headers["X-MLFLOW-WORKSPACE"] = profile.workspace
        self.last_receipt: int | None = None
        self._shapes: dict[str, Shape] | None = None
        self._http = httpx.Client(
            base_url=profile.server, headers=headers, verify=_trust(profile),
            timeout=httpx.Timeout(timeout_seconds, connect=10.0),
            # A proxy from the environment has no business between us and this machine.
            trust_env=not _is_loopback(host),
        )  # fmt: skip

    @classmethod
    def connect(
        cls,
        server: str | None = None,
        *,
        profile: str | None = None,
        ca: str | None = None,
        workspace: str | None = None,
    ) -> Self:
        """A client by arguments, `STRONGROOM_*` variables and the stored profile, in that order."""
        return cls(resolve(name=profile, server=server, ca=ca, workspace=workspace))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ---- operations ----

    def shape(self, operation: str) -> Shape:
        """How the server wants `operation` to be called, by its OpenAPI document.

        Raises:
            UsageError: it offers no such operation.
        """
        if self._shapes is None:
            self._shapes = shapes_of(self._get_json(f"{PREFIX}/openapi.json"))
        if operation not in self._shapes:
            raise UsageError(
                f"the server has no operation `{operation}`",
                next_step="see /api/v1/openapi.json for what is offered",
            )
        return self._shapes[operation]

    def call(
        self,
        operation: str | Shape,
        body: Source | None = None,
        /,
        *,
        progress: Progress | None = None,
        **fields: object,
    ) -> Any:  # noqa: ANN401 # JSON
        """Call an operation and give its answer as plain Python values.

        Args:
            operation: its name, as in the OpenAPI document, or its shape.
            body: for operations that take a stream: bytes, a file, or pieces.
            progress: told how far the upload is.
            fields: the operation's fields; None counts as not given.

        Raises:
            StrongroomError: whatever the server says, as the class it has there.
        """
        with self._exchange(operation, body, progress, fields) as answer:
            if "content-disposition" in answer.headers:
                raise UsageError("this operation gives a stream: use `download` or `stream`")
            content = guarded(answer.read)
            if answer.status_code == 204 or not content:
                return None
            return answer.json()

    @contextmanager
    def stream(
        self, operation: str | Shape, /, *, progress: Progress | None = None, **fields: object
    ) -> Iterator[Iterator[bytes]]:
        """The answer of an operation in pieces.

        Raises:
            TruncatedError: while iterating, the connection ended before the answer did.
        """
        with self._exchange(operation, None, None, fields) as answer:
            yield pieces_of(answer, progress)

    def download(
        self,
        operation: str | Shape,
        to: Path | BinaryIO,
        /,
        *,
        progress: Progress | None = None,
        check: Callable[[Path], None] | None = None,
        **fields: object,
    ) -> None:
        """Write the answer of an operation to a file, which appears only when it is whole.

        Args:
            check: called with the file before it appears; what it raises keeps it from that.
        """
        with self.stream(operation, progress=progress, **fields) as pieces:
            if not isinstance(to, Path):
                for piece in pieces:
                    to.write(piece)
                return
            draft = to.with_name(f".{to.name}.part")
            try:
                with draft.open("wb") as file:
                    for piece in pieces:
                        file.write(piece)
                if check is not None:
                    check(draft)
                draft.rename(to)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise

    def read_table(self, name: str, /, **fields: str | int | None) -> "pa.Table":
        """A dataset as this person may see it, as an Arrow table."""
        import pyarrow as pa

        with self.stream(
            "data.read", progress=None, name=name, **{"format": "arrow", **fields}
        ) as pieces:
            with pa.ipc.open_stream(Reader(pieces)) as reader:
                table = reader.read_all()
            for _ in pieces:  # up to the end: only then is it known to be whole
                pass
            return table

    def read_polars(self, name: str, /, **fields: str | int | None) -> "pl.DataFrame":
        """A dataset as this person may see it, as a Polars frame."""
        import polars as pl

        frame = pl.from_arrow(self.read_table(name, **fields))
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 # a table always becomes a frame
        return frame

    # ---- below ----

    @contextmanager
    def _exchange(
        self,
        operation: str | Shape,
        body: Source | None,
        progress: Progress | None,
        fields: Mapping[str, object],
    ) -> Iterator[httpx.Response]:
        shape = operation if isinstance(operation, Shape) else self.shape(operation)
        request = self._request(shape, body, progress, fields)
        answer = guarded(lambda: self._http.send(request, stream=True), self.profile.server)
        try:
            if answer.status_code >= 300:
                raise failures.rebuild(
                    answer.status_code, head(answer), answer.headers.get("retry-after", "")
                )
            receipt = answer.headers.get("x-strongroom-receipt", "")
            self.last_receipt = int(receipt) if receipt.isdigit() else None
            yield answer
        finally:
            answer.close()

    def _request(
        self,
        shape: Shape,
        body: Source | None,
        progress: Progress | None,
        fields: Mapping[str, object],
    ) -> httpx.Request:
        given = {name: value for name, value in fields.items() if value is not None}
        if unknown := sorted(given.keys() - shape.fields):
            raise UsageError(f"`{unknown[0]}` is not a field of this operation")
        if "{workspace}" in shape.path and "workspace" not in given:
            given["workspace"] = self.profile.workspace or "default"
        path = shape.path
        for name in [name for name in given if f"{{{name}}}" in path]:
            path = path.replace(f"{{{name}}}", segment(name, given.pop(name)))
        if "{" in path:
            missing = path[path.index("{") + 1 : path.index("}")]
            raise UsageError(f"`{missing}` is needed")
        if shape.streamed:
            if body is None:
                raise UsageError("this operation needs a body")
            content, length = source(body, progress)
            headers = {"Content-Type": "application/octet-stream"}
            if length is not None:
                headers["Content-Length"] = str(length)
            return self._http.build_request(
                shape.method, path, params=query(given), content=content, headers=headers
            )
        if body is not None:
            raise UsageError("this operation takes no body")
        if shape.method in {"GET", "DELETE"}:
            return self._http.build_request(shape.method, path, params=query(given))
        try:
            return self._http.build_request(shape.method, path, json=given)
        except ValueError:
            raise UsageError("a number is not finite: JSON has none such") from None

    def _get_json(self, path: str) -> Any:  # noqa: ANN401 # JSON
        answer = guarded(lambda: self._http.get(path), self.profile.server)
        if answer.status_code != 200:
            raise failures.rebuild(answer.status_code, answer.content)
        return answer.json()


def _host(server: str) -> str:
    parts = urllib.parse.urlsplit(server)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise UsageError("the server must be an address like `https://host:8443`")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise UsageError("over plain http the key could be read on the way: use https")
    return parts.hostname


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _trust(profile: Profile) -> ssl.SSLContext | bool:
    if not profile.ca:
        return True
    try:
        return ssl.create_default_context(cafile=profile.ca)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"`{profile.ca}` is no certificate authority that can be read") from error


def require_key(profile: Profile) -> None:
    """Refuse early what cannot be asked without a key.

    Raises:
        SignInError: there is none.
    """
    if not profile.key:
        raise SignInError(
            "no API key",
            next_step="run `strongroom login`, or set STRONGROOM_API_KEY_FILE",
        )
