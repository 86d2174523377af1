"""The messages between the server and confined code: JSON and raw arrays, never pickles.

A frame is: 4 bytes length of the head, 8 bytes length of the body (big-endian), the head
(a JSON object), the body (raw bytes that the head describes). The reader sets both limits; what
comes out of a sandbox is untrusted.
"""

import json
import struct
from collections.abc import Callable

_LENGTHS = struct.Struct(">IQ")
PREFIX_BYTES = _LENGTHS.size


class FrameError(Exception):
    """The other side broke the protocol or went over a limit."""


def encode(head: dict[str, object], body: bytes = b"") -> bytes:
    """One frame. Raises: ValueError or TypeError when the head is not JSON (NaN is not)."""
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    return _LENGTHS.pack(len(text), len(body)) + text + body


def lengths(prefix: bytes, head_limit: int, body_limit: int) -> tuple[int, int]:
    """Lengths of head and body from the first bytes. Raises: FrameError over a limit."""
    head, body = _LENGTHS.unpack(prefix)
    if head > head_limit:
        raise FrameError(f"an answer of {head} bytes is over the limit of {head_limit}")
    if body > body_limit:
        raise FrameError(f"an output of {body} bytes is over the limit of {body_limit}")
    return head, body


def decode_head(text: bytes) -> dict[str, object]:
    """The head. Raises: FrameError unless it is a JSON object."""
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("the answer is not JSON") from error
    if not isinstance(head, dict):
        raise FrameError("the answer is not a JSON object")
    return head


def read(read_exactly: Callable[[int], bytes]) -> tuple[dict[str, object], bytes]:
    """One frame from the trusted side. Raises: EOFError at the end of the stream."""
    head, body = _LENGTHS.unpack(read_exactly(PREFIX_BYTES))
    return decode_head(read_exactly(head)), read_exactly(body)
