"""What passes between a job, the sandbox of the tests and those of the models."""

import io
import time
from collections.abc import Mapping

import pyarrow as pa

from strongroom.engines.robustness.leakage import carried
from strongroom.engines.robustness.target import ModelError
from strongroom.errors import SandboxError, ValidationError
from strongroom.services.jobs import sandbox

_PIECE_BYTES = 8 << 20


class Deadline:
    """What a whole dialogue may take on the clock: a model that sleeps takes no processor time."""

    def __init__(self, seconds: float, longest: float, *, what: str, next_step: str) -> None:
        """Begin to count.

        Args:
            seconds: for all requests together; `longest` for one.
            what: it is that took too long, for a person.
        """
        self._until = time.monotonic() + seconds
        self._longest = longest
        self._what = what
        self._next_step = next_step

    def left(self) -> float:
        """Seconds for the next request. Raises: ValidationError: none are left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise ValidationError(
                f"{self._what} took far longer than the processor time of its plan",
                next_step=self._next_step,
            )
        return min(left, self._longest)


def show_files(tests: sandbox.Worker, contents: Mapping[str, bytes]) -> None:
    """Give the tests the model's files as bytes, which they search and never load."""
    left = carried.MAX_BYTES
    for name, data in contents.items():
        for at in range(0, min(len(data), left), _PIECE_BYTES):
            tests.request({"do": "file", "name": name}, data[at : min(at + _PIECE_BYTES, left)])
        left -= min(len(data), left)


def pour(worker: sandbox.Worker, table: pa.Table, name: str = "") -> None:
    """Send the rows of a table, in pieces; under a name, where there are several."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue()
    for at in range(0, len(body), _PIECE_BYTES):
        worker.request({"do": "rows", "table": name}, body[at : at + _PIECE_BYTES])


def answered(
    model: sandbox.Worker | None, asked: object, body: bytes, seconds: float
) -> tuple[dict[str, object], bytes]:
    """What the model says to a question; an error by its kind alone.

    The words of an error are the model's own: it may put rows into them, and who may see the job
    need not be allowed to see those. Many tests ask what a model must refuse, so an error is an
    answer, and the tests judge it.

    Raises: SandboxError: it is no question, or there is no such model.
    """
    if model is None or not isinstance(asked, dict):
        raise SandboxError("the tests asked out of shape")
    try:
        answer, content = model.request(asked, body, seconds=seconds)
    except sandbox.ConfinedError as error:
        return {"do": "next", "raised": ModelError(error.kind).kind}, b""
    except sandbox.OversteppedError:
        return {"do": "next", "raised": ModelError.ENDED}, b""
    return {"do": "next", "head": answer}, content


def require_done(head: Mapping[str, object], page: str) -> None:
    """Return unless the work says that it failed.

    Args:
        page: of the documentation, where it says nothing of what to do.
    Raises: ValidationError, in its words.
    """
    if "failed" in head:
        raise ValidationError(
            str(head["failed"])[:500], next_step=str(head.get("next_step"))[:500] or f"see {page}"
        )
