"""Tables of binary files, read in the sandbox: the server hands in the file and takes batches.

The confined parser may be in the hands of whoever sent the file. So what comes out of it is taken
for a stranger's Arrow stream: weighed message by message, verified, and bounded in all.
"""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.types import Form, ReadLimits, ReadOptions, ReadTable
from strongroom.errors import (
    CallerError,
    ChoiceError,
    EncodingError,
    FormatError,
    NoRowsError,
    TableError,
    TooLargeError,
    TruncatedError,
)
from strongroom.services.jobs import sandbox

FUNCTION = "strongroom.services.data.confined_reading:start"
_ERRORS: dict[str, type[CallerError]] = {
    error.code: error
    for error in (
        TableError, NoRowsError, TooLargeError, TruncatedError, FormatError, EncodingError,
        ChoiceError,
    )
}  # fmt: skip  # what a reader raises
_WORDS = 500
_RANGE_BYTES = 4 << 20


class SandboxedTables:
    """Reads tables, each file in a sandbox of its own."""

    def __init__(self, limits: ReadLimits, memory_bytes: int, required: Collection[str]) -> None:
        """Take the limits.

        Args:
            limits: of a file.
            memory_bytes: address space of the parser.
            required: layers without which nothing is read.
        """
        self._limits = limits
        self._required = required
        self._sandbox = sandbox.Limits(
            memory_bytes=memory_bytes, output_bytes=limits.message_bytes + (64 << 20)
        )

    @contextmanager
    def reading(
        self,
        file: io.BufferedReader | Iterator[bytes],
        *,
        name: str,
        form: Form,
        options: ReadOptions,
        size: int | None,
    ) -> Iterator[ReadTable]:
        """The only table of a file, as `engines.reading.read_one` gives it, while within.

        Args:
            file: seekable and `size` bytes long, or chunks where that is None.
            name: of the file.
            form: as stated, or AUTO.
            options: how to read it.

        Raises:
            TableError, TooLargeError, TruncatedError: now or while its batches are read.
            SandboxError: the sandbox cannot be had on this host.
        """
        argument = {
            "name": name, "form": form.value, "size": size, "limits": asdict(self._limits),
            "options": {
                "encoding": options.encoding, "delimiter": options.delimiter,
                "header": options.header, "text_columns": list(options.text_columns),
                "sheet": options.sheet, "member": options.member,
            },
        }  # fmt: skip  # one argument a line says no more
        worker = sandbox.Worker(FUNCTION, argument, limits=self._sandbox, required=self._required)
        try:
            talk = _Talk(worker, file)
            about = talk.until_table()
            chunks = talk.batches(self._limits.expanded_bytes)
            # INVARIANT: nothing of the answer is believed; its stream is checked like any other.
            table = read_one(chunks, name=name, form=Form.ARROW, limits=self._limits)
            table.form = _form(about.get("form"))
            table.encoding = _words(about.get("encoding")) or None
            remarks = about.get("remarks")
            table.remarks = tuple(map(_words, remarks)) if isinstance(remarks, list) else ()
            yield table
        finally:
            worker.stop()


class _Talk:
    """Requests to the confined parser, and the pieces of the file that it asks for."""

    def __init__(self, worker: sandbox.Worker, file: io.BufferedReader | Iterator[bytes]) -> None:
        self._worker = worker
        self._file = file
        self._body = b""

    def until_table(self) -> dict[str, Any]:
        """What it says of the table before the rows."""
        head, _ = self._next()
        about = head.get("table")
        if not isinstance(about, dict):
            raise _failed()
        return about

    def batches(self, max_bytes: int) -> Iterator[bytes]:
        """The IPC stream, piece by piece."""
        while True:
            head, body = self._next()
            if "end" in head:
                return
            max_bytes -= len(body)
            if max_bytes < 0:
                raise TooLargeError("the table is too large when unpacked")
            if body:
                yield body

    def _next(self) -> tuple[dict[str, object], bytes]:
        """The next answer that is no question; questions are answered."""
        while True:
            try:
                head, body = self._worker.request({}, self._body)
            except (sandbox.OversteppedError, sandbox.ConfinedError):
                raise _failed() from None
            self._body = b""
            if "failed" in head:
                raise _error(head)
            if "want" not in head:
                return head, body
            self._body = self._piece(head["want"])

    def _piece(self, want: object) -> bytes:
        if not isinstance(self._file, io.BufferedReader):
            if want == "next":
                return next((chunk for chunk in self._file if chunk), b"")
            raise _failed()
        match want:
            case [int(offset), int(length)] if offset >= 0 and 0 < length <= _RANGE_BYTES:
                self._file.seek(offset)
                return self._file.read(length)
        raise _failed()


def _failed() -> TableError:
    return TableError(
        "the file cannot be read: its parser was stopped in the sandbox",
        next_step="the file is damaged, or too large for the memory of the sandbox: write it anew",
    )


def _error(head: dict[str, object]) -> CallerError:
    """What the parser says was wrong, as an error of ours."""
    kind = _ERRORS.get(str(head["failed"]))
    if kind is None:
        return _failed()
    return kind(_words(head.get("message")), next_step=_words(head.get("next_step")))


def _words(text: object) -> str:
    """Text from the sandbox, fit to be shown."""
    shown = text[:_WORDS] if isinstance(text, str) else ""
    return "".join(character for character in shown if character.isprintable())


def _form(said: object) -> Form:
    try:
        return Form(str(said))
    except ValueError:
        raise _failed() from None
