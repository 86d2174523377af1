"""What passes between the job of an assessment, the sandbox of the tests and that of the model."""

import io
from collections.abc import Mapping

import pyarrow as pa

from strongroom.engines.robustness.leakage import carried
from strongroom.engines.robustness.target import ModelError
from strongroom.services.jobs import sandbox

_PIECE_BYTES = 8 << 20


def show_files(tests: sandbox.Worker, contents: Mapping[str, bytes]) -> None:
    """Give the tests the model's files as bytes, which they search and never load."""
    left = carried.MAX_BYTES
    for name, data in contents.items():
        for at in range(0, min(len(data), left), _PIECE_BYTES):
            tests.request({"do": "file", "name": name}, data[at : min(at + _PIECE_BYTES, left)])
        left -= min(len(data), left)


def pour(tests: sandbox.Worker, name: str, table: pa.Table) -> None:
    """Give the tests a table."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue()
    for at in range(0, len(body), _PIECE_BYTES):
        tests.request({"do": "rows", "table": name}, body[at : at + _PIECE_BYTES])


def answered(
    model: sandbox.Worker, asked: Mapping[str, object], body: bytes, seconds: float
) -> tuple[dict[str, object], bytes]:
    """What the model says to a question; an error by its kind alone.

    The words of an error are the model's own: it may put rows into them, and who may see the job
    need not be allowed to see those. Many tests ask what a model must refuse, so an error is an
    answer, and the tests judge it.
    """
    try:
        answer, content = model.request(asked, body, seconds=seconds)
    except sandbox.ConfinedError as error:
        return {"do": "next", "raised": ModelError(error.kind).kind}, b""
    except sandbox.OversteppedError:
        return {"do": "next", "raised": ModelError.ENDED}, b""
    return {"do": "next", "head": answer}, content
