"""From an answer that is an error to the exception it stands for."""

import json
from typing import Any

from strongroom.errors import (
    CallerError,
    RateLimitedError,
    RefusedError,
    SignInError,
    StrongroomError,
    UnavailableError,
)

MAX_PROBLEM_BYTES = 64 * 1024
MAX_TEXT_CHARACTERS = 2000


def by_code() -> dict[str, type[StrongroomError]]:
    """The class of each code; where a code has several, the one nearest to the root."""
    found: dict[str, type[StrongroomError]] = {}
    level: list[type[StrongroomError]] = [StrongroomError]
    for kind in level:
        found.setdefault(kind.code, kind)
        level.extend(kind.__subclasses__())
    return found


def _by_status(status: int) -> type[StrongroomError]:
    if status == 401:
        return SignInError
    if status in {403, 429}:
        return RefusedError
    return CallerError if status < 500 else UnavailableError


def rebuild(status: int, body: bytes, retry_after: str = "") -> StrongroomError:
    """The error of an answer with this status, body and Retry-After header.

    An answer that is no problem document, from some proxy between, becomes the error nearest
    to its status; nothing of its body is repeated.
    """
    try:
        problem: Any = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        return _by_status(status)(f"the server answered with status {status}")
    message = _text(problem.get("detail")) or f"the server answered with status {status}"
    next_step = _text(problem.get("next_step")) or None
    if request_id := _text(problem.get("request_id")):
        message = f"{message} (request {request_id})" if status >= 500 else message
    kind = by_code().get(problem["code"], _by_status(status))
    if issubclass(kind, RateLimitedError):
        seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 1.0
        return kind(message, retry_after_seconds=seconds)
    error = kind(message, next_step=next_step)
    entry = problem.get("log_entry")
    error.entry = entry if isinstance(entry, int) and not isinstance(entry, bool) else None
    return error


def _text(value: object) -> str:
    """A text from the server, fit for a terminal: without control characters, not too long."""
    if not isinstance(value, str):
        return ""
    return "".join(c for c in value[:MAX_TEXT_CHARACTERS] if c.isprintable())
