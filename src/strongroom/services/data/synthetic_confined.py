"""The part of making up a table that runs inside the sandbox: count with noise, fit, draw.

Called by `release_synthesizing`, never in the server. The rows come in requests and made-up ones
leave in answers, so that they touch no disk.
"""

import io
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.dp.synthetic.mst import synthesize
from strongroom.engines.privacy.dp.synthetic.quality import quality
from strongroom.engines.privacy.dp.synthetic.record import record_of
from strongroom.engines.privacy.dp.training.domain import domain_of
from strongroom.errors import StrongroomError
from strongroom.services.data.pieces import pieces

Answer = tuple[dict[str, object], bytes]
Handle = Callable[[dict[str, Any], bytes], Answer]


def start(argument: dict[str, Any], _folder: Path) -> Handle:
    """Begin a made-up table; each call of what is returned does one step.

    Args:
        argument: `domain`, `epsilon`, `delta`, `subject` and `rows_each`.
    """
    # A table is made up once in a process: compiling well would take longer than it saves.
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    return _Making(argument).answer


class _Making:
    """The steps: `source` brings pieces, `make` works, `rows` gives them, `quality` compares."""

    def __init__(self, argument: dict[str, Any]) -> None:
        self._domain = domain_of(argument["domain"])
        self._epsilon, self._delta = float(argument["epsilon"]), float(argument["delta"])
        self._subject, self._each = str(argument["subject"]), int(argument["rows_each"])
        self._source = io.BytesIO()
        self._real = self._made = pa.table({})
        self._out: Iterator[bytes] = iter(())

    def answer(self, head: dict[str, Any], body: bytes) -> Answer:
        """One step."""
        match head["do"]:
            case "source":
                self._source.write(body)
                return {}, b""
            case "make":
                try:
                    return {"proof": self._make()}, b""
                except StrongroomError as error:
                    return {"failed": error.message, "next_step": error.next_step}, b""
            case "quality":
                return {"quality": asdict(quality(self._made, self._real, self._domain))}, b""
            case _:
                piece = next(self._out, b"")
                return {"end": not piece}, piece

    def _make(self) -> dict[str, Any]:
        self._source.seek(0)
        self._real = pa.ipc.open_stream(self._source).read_all()
        made = synthesize(
            self._real, self._domain, self._epsilon, self._delta, subject=self._subject,
            rows_each=self._each, generator=np.random.default_rng(secrets.randbits(128)),
        )  # fmt: skip
        self._made = made.table
        self._out = pieces(made.table)
        return record_of(made, self._domain, self._epsilon, self._delta, self._subject, self._each)
