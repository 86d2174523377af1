"""A model version sent to a server file by file; run again, it sends only what has not come."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strongroom.errors import RateLimitedError, TruncatedError
from strongroom.faces.client.transfer import Progress

if TYPE_CHECKING:
    from strongroom.faces.client.client import Client

_SMALL_BYTES = 1 << 20
"""Files of at most this size go together, so many and so many bytes in one call."""
_TOGETHER, _TOGETHER_BYTES = 200, 16 << 20
_TRIES = 20
_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file of a model; `sha256` in hex, `pieces` its bytes, anew at each call."""

    path: str
    size: int
    sha256: str
    pieces: Callable[[], Iterator[bytes]]


def send_model(
    client: "Client",
    name: str,
    files: Sequence[OutgoingFile],
    form: str,
    *,
    reuse: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Send the files of a new version of a model and have it registered.

    Args:
        form: in which they lay: mlflow, huggingface or oci.
        reuse: leave out what a version has that the caller may pull.
        progress: told of the bytes sent, and of those to send.

    Returns: the answer of `model.finish_import`.

    Raises:
        StrongroomError: whatever the server says; what has come stays there for a day.
    """
    outgoing = {file.path: file for file in files}
    manifest = "".join(
        f"{file.sha256} {file.size} {path}\n" for path, file in sorted(outgoing.items())
    ).encode()
    begun = client.call("model.begin_import", manifest, name=name, reuse=reuse)
    done = 0

    def told(pieces: Iterator[bytes], before: int) -> Iterator[bytes]:
        sent = before
        for piece in pieces:
            yield piece
            sent += len(piece)
            if progress is not None:
                progress(sent, begun["missing_bytes"])

    def send(files: Sequence[OutgoingFile], before: int) -> None:
        if len(files) == 1:
            one, fields = files[0], {"name": name, "id": begun["id"], "path": files[0].path}
            _patiently(lambda: client.call("model.send_file", told(one.pieces(), before), **fields))
            return
        body = _body(files)
        _patiently(lambda: client.call("model.send_files", body, name=name, id=begun["id"]))
        if progress is not None:
            progress(before + sum(file.size for file in files), begun["missing_bytes"])

    for files in _together([outgoing[path] for path in begun["missing"]]):
        try:
            send(files, done)
        except TruncatedError as error:
            again = "run it again: only what has not come is sent"
            raise TruncatedError(error.message, next_step=again) from None
        done += sum(file.size for file in files)
    answer: dict[str, Any] = client.call(
        "model.finish_import", name=name, id=begun["id"], digest=begun["digest"], form=form,
        reuse=reuse,
    )  # fmt: skip
    return answer


def _together(files: Sequence[OutgoingFile]) -> Iterator[list[OutgoingFile]]:
    """Files in groups that go in one call: small ones together, a large one by itself."""
    held: list[OutgoingFile] = []
    room = _TOGETHER_BYTES
    for file in files:
        if file.size > _SMALL_BYTES:
            yield [file]
            continue
        if held and (len(held) == _TOGETHER or file.size > room):
            yield held
            held, room = [], _TOGETHER_BYTES
        held.append(file)
        room -= file.size
    if held:
        yield held


def _body(files: Sequence[OutgoingFile]) -> bytes:
    """A line for the path of each, an empty line, then their bytes in that order."""
    paths = "".join(f"{file.path}\n" for file in files)
    return paths.encode() + b"\n" + b"".join(piece for file in files for piece in file.pieces())


def _patiently(act: Callable[[], object]) -> None:
    """Do it again where the server asks to go more slowly."""
    for tries_left in reversed(range(_TRIES)):
        try:
            act()
        except RateLimitedError as error:
            if not tries_left:
                raise
            time.sleep(min(error.retry_after_seconds, _LONGEST_WAIT))
        else:
            return
