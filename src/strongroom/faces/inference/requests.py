"""What arrives: the few headers that matter, and the body within limits of size and time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from strongroom.errors import (
    CallerError,
    MediaTypeError,
    SignInError,
    TooLargeError,
    TruncatedError,
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


@dataclass(slots=True)
class Headers:
    """The few headers that matter here."""

    credential: str | None
    length: int | None


class SlowError(CallerError):
    """The caller did not send the request in time."""

    code = "request.slow"
    status = 408
    next_step = "send the request without pauses"


async def read_body(headers: Headers, receive: Receive, *, limit: int, seconds: float) -> bytes:
    """The whole body, at most `limit` bytes, arrived within `seconds`.

    Raises: TooLargeError, TruncatedError, SlowError.
    """
    if headers.length is not None and headers.length > limit:
        raise TooLargeError(f"the body is over the limit of {limit} bytes")
    try:
        async with asyncio.timeout(seconds):
            return await _arrived(receive, limit)
    except TimeoutError:
        raise SlowError("the request took too long to arrive") from None


async def _arrived(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise TooLargeError(f"the body is over the limit of {limit} bytes")
        return body
    return await _rest_of(message, receive, limit)


async def _rest_of(message: Message, receive: Receive, limit: int) -> bytes:
    blocks = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise TruncatedError("the request ended before it was whole")
        blocks += message.get("body", b"")
        if len(blocks) > limit:
            raise TooLargeError(f"the body is over the limit of {limit} bytes")
        if not message.get("more_body", False):
            return bytes(blocks)
        message = await receive()


def read_headers(raw: list[tuple[bytes, bytes]]) -> Headers:
    """Raises: CallerError for what is ambiguous, MediaTypeError for what is not JSON."""
    credential: str | None = None
    length: int | None = None
    for name, value in raw:
        if name == b"authorization" or name == b"x-api-key":
            if credential is not None:
                raise CallerError("send one credential, in one header")
            text = value.decode("latin-1").strip()
            if name == b"authorization":
                scheme, _, text = text.partition(" ")
                if scheme.lower() != "bearer":
                    raise SignInError("send the API key as `Authorization: Bearer …`")
            credential = text.strip()
        elif name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < 20 else None
        elif name == b"content-type":
            if b"json" not in value.lower():
                raise MediaTypeError("only JSON is taken here: `Content-Type: application/json`")
        elif name == b"content-encoding":
            if value.lower() != b"identity":
                raise MediaTypeError("a compressed body is not taken here")
        elif name == b"inference-header-content-length":
            raise CallerError("binary tensors are not offered: send and expect JSON")
    return Headers(credential, length)
