"""The part of a training that runs inside the sandbox: rows come in, a model goes out.

Called by `training`, never in the server. The rows come in requests, so that they touch no disk.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from strongroom.engines.privacy.dp.training.domain import domain_of
from strongroom.engines.privacy.dp.training.running import Method, Origin, PrivateModel, Wish, train
from strongroom.errors import StrongroomError

Answer = tuple[dict[str, object], bytes]
Handle = Callable[[dict[str, Any], bytes], Answer]


def start(argument: dict[str, Any], _folder: Path) -> Handle:
    """Begin a training; each call of what is returned does one step.

    Args:
        argument: `domain`, `epsilon`, `delta`, `method`, `subject` and `rows_each`; `origin`
            of the domain, declared where it is not there.
    """
    return _Training(argument).answer


class _Training:
    """The steps: `rows` brings a piece of an Arrow stream, `train` works, `file` gives a file."""

    def __init__(self, argument: dict[str, Any]) -> None:
        self._domain = domain_of(argument["domain"])
        self._wish = Wish(
            float(argument["epsilon"]), float(argument["delta"]), Method(argument["method"]),
            str(argument["subject"]), int(argument["rows_each"]),
            Origin(argument.get("origin", Origin.DECLARED)),
        )  # fmt: skip
        self._stream = io.BytesIO()
        self._made: PrivateModel | None = None

    def answer(self, head: dict[str, Any], body: bytes) -> Answer:
        """One step."""
        match head["do"]:
            case "rows":
                self._stream.write(body)
                return {}, b""
            case "train":
                try:
                    self._made = self._train()
                except StrongroomError as error:
                    return {"failed": error.message, "next_step": error.next_step}, b""
                return {"files": sorted(self._made.files())}, b""
            case _:
                assert self._made is not None  # noqa: S101 # asked for after `train`
                return {}, self._made.files()[str(head["name"])]

    def _train(self) -> PrivateModel:
        self._stream.seek(0)
        with pa.ipc.open_stream(self._stream) as reader:
            table = reader.read_all()
        return train(table, self._domain, self._wish)
