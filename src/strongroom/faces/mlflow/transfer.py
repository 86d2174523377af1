"""The bytes of artifacts in and out, as streams; MLflow's own handlers use clear temporary files.

What a browser gets cannot act there: it is a download, of a harmless type, in a sandbox.
"""

import mimetypes
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from strongroom.errors import RateLimitedError, ValidationError
from strongroom.faces.bodies import Incoming, declared_length, send_chunks, streamed
from strongroom.faces.mlflow.caller import Caller, calling
from strongroom.faces.mlflow.house import House
from strongroom.faces.mlflow.places import Place, checked, parse, parse_uri
from strongroom.vault.blob_reading import BlobReader

TRANSFERS_AT_ONCE = 32
"""Threads that may move artifacts; the others of the server are not theirs to fill."""
UPLOADS_OF_ONE_CALLER = 16
"""An upload holds its thread until its sender is done, so nobody may have all of them."""

_SHOWN_AS_THEY_ARE = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "application/json", "text/csv"}
)
_ARTIFACTS = "mlflow-artifacts/artifacts"

Result = TypeVar("Result")


class Transfer:
    """Serves the routes of kind `TRANSFER`."""

    def __init__(self, house: House, *, max_upload_bytes: int, request_seconds: float) -> None:
        self._house = house
        self._max_upload_bytes = max_upload_bytes
        self._request_seconds = request_seconds
        self._limiter: CapacityLimiter | None = None
        self._uploading: Counter[str] = Counter()

    async def serve(
        self,
        caller: Caller,
        template: str,
        parts: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer a request on the route with that template.

        Raises: StrongroomError, MlflowException before the answer has begun.
        """
        with calling(caller):
            if template.endswith(_ARTIFACTS):
                answer = await self._in_thread(
                    partial(self._listing, caller, _query(scope).get("path", ""))
                )
                await answer(scope, receive, send)
                return
            if scope["method"] == "PUT":
                await self._take(caller, parts["artifact_path"], scope, receive)
                await Response(status_code=200)(scope, receive, send)
                return
            if scope["method"] == "DELETE":
                await self._in_thread(partial(self._delete, caller, parts["artifact_path"]))
                await JSONResponse({})(scope, receive, send)
                return
            await self._give(caller, template, parts, scope, send)

    # ---- in ----

    async def _take(
        self, caller: Caller, artifact_path: str, scope: Scope, receive: Receive
    ) -> None:
        place, path = parse(artifact_path)
        if not path:
            raise ValidationError("the artifact path names no file")
        declared = declared_length(Headers(scope=scope))
        incoming = Incoming(
            receive, declared=declared, limit=self._max_upload_bytes, seconds=self._request_seconds
        )
        uploader = caller.principal.id
        if self._uploading[uploader] >= UPLOADS_OF_ONE_CALLER:
            raise RateLimitedError("too many of your uploads are running", retry_after_seconds=2)
        self._uploading[uploader] += 1
        try:
            await streamed(
                incoming,
                lambda body: self._house.shelf.put(caller, place, path, body, declared),
                self._in_thread,
            )
        finally:
            self._uploading[uploader] -= 1
            if not self._uploading[uploader]:
                del self._uploading[uploader]

    def _delete(self, caller: Caller, artifact_path: str) -> None:
        place, path = parse(artifact_path)
        self._house.shelf.delete(caller, place, path)

    # ---- out ----

    def _listing(self, caller: Caller, full_path: str) -> Response:
        place, directory = parse(full_path)
        files: list[dict[str, object]] = []
        for it in self._house.shelf.entries(caller, place, directory):
            entry: dict[str, object] = {"path": it.name, "is_dir": it.size is None}
            if it.size is not None:
                entry["file_size"] = it.size
            files.append(entry)
        return JSONResponse({"files": files})

    async def _give(
        self,
        caller: Caller,
        template: str,
        parts: Mapping[str, str],
        scope: Scope,
        send: Send,
    ) -> None:
        find = partial(self._find, template, parts, _query(scope))
        place, path, reader = await self._in_thread(partial(self._open, caller, find))
        with reader:
            chunks = self._house.shelf.chunks(caller, place, reader)
            # Before the answer begins, so that a file damaged at its start is an error and not
            # a broken connection.
            first = await self._in_thread(lambda: next(chunks, b""))
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": download_headers(path, reader.size),
                }
            )
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            await send_chunks(send, first, chunks, self._in_thread)

    def _open(
        self, caller: Caller, find: Callable[[], tuple[Place, str]]
    ) -> tuple[Place, str, BlobReader]:
        place, path = find()
        if not path:
            raise ValidationError("the artifact path names no file")
        return place, path, self._house.shelf.open(caller, place, path)

    def _find(
        self, template: str, parts: Mapping[str, str], query: Mapping[str, str]
    ) -> tuple[Place, str]:
        """Which file is asked for; ids are resolved by the stores, which decide and record."""
        house = self._house
        if _ARTIFACTS in template:
            return parse(parts["artifact_path"])
        if template == "/get-artifact":
            run = house.tracking_store.get_run(query.get("run_id") or query.get("run_uuid", ""))
            return _below(run.info.artifact_uri, query.get("path", ""))
        if template == "/model-versions/get-artifact":
            uri = house.registry_store.get_model_version_download_uri(
                query.get("name", ""), query.get("version", "")
            )
            return _below(uri, query.get("path", ""))
        if "logged-models" in template:
            model = house.tracking_store.get_logged_model(parts["model_id"])
            return _below(model.artifact_location, query.get("artifact_file_path", ""))
        if query.get("path"):
            raise ValidationError("attachments of traces are not offered")
        trace = house.tracking_store.get_trace_info(query.get("request_id", ""))
        return _below(trace.tags.get("mlflow.artifactLocation", ""), "traces.json")

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if self._limiter is None:
            self._limiter = CapacityLimiter(TRANSFERS_AT_ONCE)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def download_headers(path: str, size: int) -> list[tuple[bytes, bytes]]:
    """Headers of a stored file as a download, of a type that a browser does not run."""
    name = path.rpartition("/")[2]
    guessed = mimetypes.guess_type(name)[0] or ""
    if guessed in _SHOWN_AS_THEY_ARE:
        kind = guessed
    else:
        kind = (
            "text/plain; charset=utf-8"
            if guessed.startswith("text/")
            else "application/octet-stream"
        )
    return [
        (b"content-type", kind.encode()),
        (b"content-length", str(size).encode()),
        (b"content-disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}".encode()),
    ]


def _below(uri: str, path: str) -> tuple[Place, str]:
    place, prefix = parse_uri(uri)
    inside = checked(path)
    return place, f"{prefix}/{inside}" if prefix and inside else prefix or inside


def _query(scope: Scope) -> dict[str, str]:
    """The query's fields.

    Raises: ValidationError where one is given twice, which two readers could take differently.
    """
    text = scope.get("query_string", b"").decode("latin-1")
    try:
        pairs: list[tuple[str, str]] = parse_qsl(
            text, keep_blank_values=True, max_num_fields=32, errors="strict"
        )
    except ValueError as error:
        raise ValidationError("the query cannot be read") from error
    found: dict[str, Any] = dict(pairs)
    if len(found) != len(pairs):
        raise ValidationError("the query has a field twice")
    return found
