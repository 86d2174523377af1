"""What runs in a sandbox and asks a model that runs in another: rows first, then work in a thread.

Assessing, weighing a hardening and fitting a guard are such. Called by their jobs, never in the
server. What is asked of a model leaves here as an answer that says `ask`, and comes back with the
next request: so the code of a model reaches neither the rows nor the verdict.
"""

import io
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from strongroom.engines.robustness.target import ModelError
from strongroom.errors import SandboxError, StrongroomError

Answer = tuple[dict[str, Any], bytes]
"""Head and body of what leaves the sandbox, or of what comes in."""
Handle = Callable[[dict[str, Any], bytes], Answer]


class ConfinedDialogue(ABC):
    """The steps, of which `go` begins the work.

    Before it `rows` brings a piece of a table, as an Arrow stream, and whatever else a dialogue
    takes. After it each answer asks something of a model (`ask`), says how far the work is, or is
    the last, with what came of it (or `failed`). `next` brings what was asked for, or nothing.
    """

    def __init__(self) -> None:
        self._streams: dict[str, io.BytesIO] = {}
        self._out: queue.Queue[Answer] = queue.Queue()
        self._in: queue.Queue[Answer] = queue.Queue()

    def answer(self, head: dict[str, Any], body: bytes) -> Answer:
        """One step."""
        match head["do"]:
            case "rows":
                self._streams.setdefault(str(head["table"]), io.BytesIO()).write(body)
                return {}, b""
            case "go":
                threading.Thread(target=self._run, daemon=True).start()
            case "next":
                self._in.put((head, body))
            case _:
                self.take(head, body)
                return {}, b""
        return self._out.get()

    def take(self, head: dict[str, Any], _body: bytes) -> None:
        """Put away what else comes before the work begins."""
        raise SandboxError(f"nothing here is asked to {str(head['do'])[:50]}")

    # ---- in a thread of its own ----

    @abstractmethod
    def work(self) -> Answer:
        """Do it all; what is returned is the last answer."""

    def table(self, name: str) -> pa.Table | None:
        """The rows that came under a name, once; None: there were none."""
        stream = self._streams.pop(name, None)
        if stream is None:
            return None
        stream.seek(0)
        with pa.ipc.open_stream(stream) as reader:
            return reader.read_all()

    def ask(self, head: dict[str, Any], body: bytes, **whom: str) -> Answer:
        """What a model answers. Raises: ModelError: it failed."""
        told, content = self.exchange({"ask": head, **whom}, body)
        if "raised" in told:
            raise ModelError(str(told["raised"]))
        return told.get("head", {}), content

    def exchange(self, head: dict[str, Any], body: bytes = b"") -> Answer:
        """Tell the other side something, and wait for what it says to it."""
        self._out.put((head, body))
        return self._in.get()

    def tell(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Tell the other side something that it has no answer to."""
        self.exchange(head, body)

    def _run(self) -> None:
        try:
            self._out.put(self.work())
        except StrongroomError as error:
            self._out.put(({"failed": error.message, "next_step": error.next_step}, b""))
        except Exception as error:  # noqa: BLE001 # whatever it is, the other side must hear
            self._out.put(({"failed": type(error).__name__, "next_step": ""}, b""))
