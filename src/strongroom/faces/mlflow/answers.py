"""Answers of the gate itself, in MLflow's shape, and the headers of its user interface."""

import json
from collections.abc import Mapping

from mlflow.exceptions import MlflowException
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import Message, Send

from strongroom.errors import RateLimitedError, SignInError, StrongroomError, TooLargeError
from strongroom.faces.mlflow.refusals import as_mlflow

ASSET_HEADERS = {
    # Scripts and styles come from this server only; the interface sets styles on elements by
    # itself, and shows pictures that it has fetched.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of the files of the user interface, which a browser may keep."""

ANSWER_HEADERS = {**ASSET_HEADERS, "cache-control": "no-store"}
STORED_HEADERS = {**ANSWER_HEADERS, "content-security-policy": "sandbox; default-src 'none'"}
"""Of stored files: even one that holds a page of HTML does nothing in a browser."""


def refusal(error: StrongroomError | MlflowException, *, reading: bool) -> Response:
    """`error` as MLflow's client expects it."""
    shown = as_mlflow(error, reading=reading) if isinstance(error, StrongroomError) else error
    status = shown.get_http_status_code()
    headers = {"cache-control": "no-store"}
    if isinstance(error, TooLargeError):
        status = error.status
    if isinstance(error, SignInError):
        headers["www-authenticate"] = 'Bearer realm="strongroom"'
    if isinstance(error, RateLimitedError):
        headers["retry-after"] = str(max(1, round(error.retry_after_seconds + 0.5)))
    # Written anew: a half surrogate pair in a quoted name cannot be encoded as it is.
    body = json.dumps(json.loads(shown.serialize_as_json()))
    return Response(body, status, headers, "application/json")


def to_page(address: str) -> Response:
    """Send a browser to another page of this server."""
    return RedirectResponse(address, 303, {"cache-control": "no-store"})


def with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """`send` with these headers in the answer, in place of MLflow's own of the same names."""

    async def send_safely(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered = MutableHeaders(scope=message)
            for name, value in headers.items():
                answered[name] = value
            del answered["server"]
        await send(message)

    return send_safely
