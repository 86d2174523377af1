"""Bytes to and from a server: pieces of files, pieces of answers, and what can go wrong."""

from collections.abc import Callable, Iterator
from io import IOBase, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import httpx

from strongroom.errors import TruncatedError, UnavailableError, UnreachableError
from strongroom.faces.client import failures

CHUNK_BYTES = 2**20

Result = TypeVar("Result")
Progress = Callable[[int, int | None], None]
"""Called with the bytes done so far, and in all where that is known."""
Source = bytes | Path | BinaryIO | Iterator[bytes]


def source(body: Source, progress: Progress | None) -> tuple[Iterator[bytes] | bytes, int | None]:
    """A body for httpx, and its length where that is known."""
    if isinstance(body, bytes):
        return body, len(body)
    if isinstance(body, Path):
        length = body.stat().st_size if body.is_file() else None

        def opened() -> Iterator[bytes]:
            with body.open("rb") as file:
                yield from _chunks(file, length, progress)

        return opened(), length
    if isinstance(body, IOBase):
        return _chunks(cast("BinaryIO", body), None, progress), None
    return body, None


def _chunks(file: BinaryIO, length: int | None, progress: Progress | None) -> Iterator[bytes]:
    done = 0
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress(done, length)


def pieces_of(answer: httpx.Response, progress: Progress | None) -> Iterator[bytes]:
    """The body of an answer.

    Raises:
        TruncatedError: the connection ended before the answer did.
    """
    text = answer.headers.get("content-length", "")
    length = int(text) if text.isdigit() else None
    pieces = answer.iter_bytes()
    done = 0
    while piece := guarded(lambda: next(pieces, b"")):
        done += len(piece)
        if progress is not None:
            progress(done, length)
        yield piece


def head(answer: httpx.Response) -> bytes:
    """The first bytes of an answer that is an error."""
    body = b""
    try:
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > failures.MAX_PROBLEM_BYTES:
                break
    except httpx.HTTPError:
        pass  # what came is enough to tell what went wrong
    return body


def guarded(act: Callable[[], Result], server: str = "") -> Result:
    """`act`, with the errors of httpx turned into ours."""
    try:
        return act()
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise UnreachableError(
                f"the certificate of `{server}` is not trusted",
                next_step="give the server's CA file with --ca or STRONGROOM_CA_FILE",
            ) from None
        raise UnreachableError(f"no server answers at `{server}`") from None
    except httpx.TimeoutException:
        raise UnavailableError("the server did not answer in time") from None
    except (httpx.RemoteProtocolError, httpx.ReadError):
        raise TruncatedError("the connection ended before the answer was whole") from None
    except httpx.LocalProtocolError:
        raise TruncatedError("the file changed while it was sent") from None
    except httpx.HTTPError as error:
        raise UnavailableError(f"the exchange failed: {type(error).__name__}") from None


class Reader(RawIOBase):
    """Pieces as a readable file, for Arrow, which takes a short read for the end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 # a writable buffer
        """Fill all of `buffer` from the pieces; less only at the end."""
        filled = 0
        while filled < len(buffer):
            self._rest = self._rest or next(self._pieces, b"")
            if not self._rest:
                break
            count = min(len(buffer) - filled, len(self._rest))
            buffer[filled : filled + count] = self._rest[:count]
            self._rest = self._rest[count:]
            filled += count
        return filled
