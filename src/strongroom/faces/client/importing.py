"""A model version sent to a server file by file; run again, it sends only what has not come."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strongroom.errors import RateLimitedError, TruncatedError
from strongroom.faces.client.transfer import Progress

if TYPE_CHECKING:
    from strongroom.faces.client.client import Client

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

    for path in begun["missing"]:
        file = outgoing[path]
        try:
            _patiently(
                lambda file=file, done=done: client.call(  # type: ignore[misc] # bound for this turn
                    "model.send_file", told(file.pieces(), done), name=name, id=begun["id"],
                    path=file.path,
                )
            )  # fmt: skip
        except TruncatedError as error:
            again = "run it again: only what has not come is sent"
            raise TruncatedError(error.message, next_step=again) from None
        done += file.size
    answer: dict[str, Any] = client.call(
        "model.finish_import", name=name, id=begun["id"], digest=begun["digest"], form=form,
        reuse=reuse,
    )  # fmt: skip
    return answer


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
