"""The part of taking in a file that runs inside the sandbox: read its table, give its batches.

Called by `sandboxed_tables`, never in the server. The server asks, this answers; what the parser
needs of the file it says in an answer, and the next request brings it. What goes back is an Arrow
IPC stream, which the server checks as it would check a stranger's.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, cast

import pyarrow as pa

from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.types import Form, ReadLimits, ReadOptions
from strongroom.errors import StrongroomError, TooLargeError

_BATCH_BYTES = 32 << 20
_RANGE_BYTES = 4 << 20

Answer = tuple[dict[str, object], bytes]
Handle = Callable[[dict[str, Any], bytes], Answer]


def start(argument: dict[str, Any], _folder: Path) -> Handle:
    """Begin to read the file; each call of what is returned gives the next answer.

    Args:
        argument: `name`, `form`, `limits` and `options` as `read_one` takes them; `size` of a
            file that is read anywhere, none for one that comes piece by piece.
    """
    reading = _Reading(argument)
    return reading.answer


class _Reading:
    """The parser in a thread of its own, for it waits in the middle for more of the file."""

    def __init__(self, argument: dict[str, Any]) -> None:
        self._argument = argument
        self._requests: SimpleQueue[bytes] = SimpleQueue()
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._thread = Thread(target=self._work, daemon=True)

    def answer(self, _head: dict[str, Any], body: bytes) -> Answer:
        """What the parser has to say next; `body` is what it asked for."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._requests.put(body)
        return self._answers.get()

    def _say(self, head: dict[str, object], body: bytes = b"") -> bytes:
        self._answers.put((head, body))
        return self._requests.get()

    def _work(self) -> None:
        try:
            self._read()
            self._answers.put(({"end": True}, b""))
        except StrongroomError as error:
            kind, message, step = type(error).code, error.message, error.next_step
            self._answers.put(({"failed": kind, "message": message, "next_step": step}, b""))
        except MemoryError:
            short = TooLargeError("the file needs more memory to be read than there is for it")
            self._answers.put(
                (
                    {"failed": short.code, "message": short.message, "next_step": short.next_step},
                    b"",
                )
            )
        except BaseException as error:  # noqa: BLE001 # the server must hear of it
            self._answers.put(({"failed": "", "message": type(error).__name__}, b""))

    def _fail(self, error: StrongroomError) -> None:
        words: dict[str, object] = {"message": error.message, "next_step": error.next_step}
        self._answers.put(({"failed": type(error).code, **words}, b""))

    def _read(self) -> None:
        argument = self._argument
        size = argument["size"]
        file: BinaryIO | Iterator[bytes] = self._chunks()
        if size is not None:
            file = cast("BinaryIO", io.BufferedReader(_Ranges(self._say, size), _RANGE_BYTES))
        options = dict(argument["options"])
        options["text_columns"] = tuple(options["text_columns"])
        table = read_one(
            file,
            name=argument["name"],
            form=Form(argument["form"]),
            limits=ReadLimits(**argument["limits"]),
            options=ReadOptions(**options),
        )
        about = {"form": table.form.value, "encoding": table.encoding, "remarks": table.remarks}
        self._say({"table": about})
        sink = _Sink()
        with pa.ipc.new_stream(
            cast("pa.NativeFile", pa.PythonFile(sink, "w")), table.schema
        ) as out:
            for batch in table.batches:
                for piece in _pieces(batch):
                    out.write_batch(piece)
                    self._say({"rows": piece.num_rows}, sink.take())
        self._say({"rows": 0}, sink.take())

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self._say({"want": "next"}):
            yield chunk


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of some 32 MiB, or of one row."""
    rows = max(1, batch.num_rows * _BATCH_BYTES // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


class _Sink(io.RawIOBase):
    """Where the IPC writer writes, until `take`."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:  # noqa: ANN401 - Arrow passes a buffer of its own
        self._pieces.append(bytes(content))
        return len(self._pieces[-1])

    def take(self) -> bytes:
        """What came since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class _Ranges(io.RawIOBase):
    """The file that the server holds, read from where one likes."""

    def __init__(self, say: Callable[[dict[str, object]], bytes], size: int) -> None:
        super().__init__()
        self._say = say
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position is never negative")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self._size - self._at, _RANGE_BYTES))
        if not wanted:
            return 0
        content = self._say({"want": [self._at, wanted]})
        view[: len(content)] = content
        self._at += len(content)
        return len(content)
