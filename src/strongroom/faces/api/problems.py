"""Errors as answers: `application/problem+json` (RFC 9457), and nothing that helps an attacker."""

import json
import math
import traceback
from http import HTTPStatus

import structlog
from starlette.responses import Response

from strongroom.errors import (
    InternalError,
    RateLimitedError,
    SignInError,
    StrongroomError,
)
from strongroom.logs import hide_secrets

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger("strongroom.api")


def members(error: StrongroomError, request_id: str) -> dict[str, object]:
    """The members of the problem document.

    `type` is left at its default, so `title` is the phrase of the status (RFC 9457, 4.2.1);
    machines go by `code`, which docs/errors.md lists.
    """
    return {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        # A key that was sent in the place of a name is not repeated.
        "detail": hide_secrets(error.message),
        "code": error.code,
        "next_step": error.next_step,
        "request_id": request_id,
        **({} if error.entry is None else {"log_entry": error.entry}),
    }


def response(error: StrongroomError, request_id: str) -> Response:
    """The answer for `error`, with the headers its status demands."""
    headers = {}
    if isinstance(error, SignInError):
        headers["WWW-Authenticate"] = 'Bearer realm="strongroom"'
    if isinstance(error, RateLimitedError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    # A half surrogate pair, which UTF-8 cannot hold, may come back in a quoted name.
    body = json.dumps(members(error, request_id), ensure_ascii=True).encode("ascii")
    return Response(body, error.status, headers, MEDIA_TYPE)


def concealed(error: BaseException, request_id: str) -> InternalError:
    """The error to show in place of one that nobody foresaw; the place goes to the log.

    The foreign message stays out of both: it may quote a row or a secret.
    """
    frames = [
        f"{frame.filename.rsplit('strongroom/', 1)[-1]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-12:]
    ]
    _log.error("internal", request_id=request_id, error=type(error).__qualname__, frames=frames)
    return InternalError("something went wrong on our side")
