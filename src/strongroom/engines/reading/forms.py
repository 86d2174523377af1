"""From the form of a file to its reader, and from archives to the files in them."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, cast

from strongroom.engines.reading.archives import Archive
from strongroom.engines.reading.arrow_ipc import read_arrow
from strongroom.engines.reading.csv_dialect import dialect_of
from strongroom.engines.reading.csv_tables import read_csv
from strongroom.engines.reading.csv_types import INFERENCE_BYTES
from strongroom.engines.reading.emails import (
    Attachment,
    messages_of_mbox,
    one_message,
    read_messages,
    read_row,
)
from strongroom.engines.reading.encodings import as_utf8
from strongroom.engines.reading.json_lines import read_jsonl
from strongroom.engines.reading.json_records import read_json
from strongroom.engines.reading.parquet import read_parquet
from strongroom.engines.reading.sheets import read_sheet
from strongroom.engines.reading.sniffing import by_magic, by_text, zip_form
from strongroom.engines.reading.source import Budget, Source, chunks_of
from strongroom.engines.reading.text_lines import read_lines, read_paragraphs
from strongroom.engines.reading.types import (
    COMPRESSED,
    SEEKABLE,
    TEXTUAL,
    Form,
    ReadLimits,
    ReadOptions,
    ReadTable,
    Unread,
)
from strongroom.engines.reading.unpacking import unpacked
from strongroom.engines.reading.workbook import Workbook
from strongroom.errors import (
    CallerError,
    ChoiceError,
    FormatError,
    NoRowsError,
    TableError,
    TooLargeError,
)

_PACKED = COMPRESSED | {Form.ZIP}
_ENDINGS = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz")
_SHOWN_CHOICES = 20
_LEFT_OUT = ("__MACOSX/", ".DS_Store", "Thumbs.db")
"""What operating systems put into archives unasked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file, or one that is packed into another, and how to read it.

    Attributes:
        is_single: one table is wanted; several are refused before the first is read.
        again: gives the content once more, for what must be read twice; None for a stream.
    """

    name: str
    form: Form
    limits: ReadLimits
    options: ReadOptions
    budget: Budget
    nesting: int = 0
    is_single: bool = False
    again: Callable[[], Iterable[bytes]] | None = None

    def inside(self, name: str, form: Form, member: str | None) -> "Part":
        """A file in this one. Raises: TooLargeError when it lies too deep."""
        if self.nesting >= self.limits.nesting:
            raise TooLargeError(f"archives lie in each other deeper than {self.limits.nesting}")
        options = replace(self.options, member=member)
        return replace(
            self, name=name, form=form, options=options, nesting=self.nesting + 1, again=None
        )


def tables(file: BinaryIO | Iterable[bytes], part: Part) -> Iterator[ReadTable]:
    """The tables of one part; see `reading.read`."""
    limits = part.limits
    seekable = cast("BinaryIO", file) if hasattr(file, "seek") else None
    chunks = chunks_of(seekable) if seekable is not None else file
    if seekable is not None:
        part = replace(part, again=partial(_from_start, seekable))
    source = Source(chunks, part.budget, max_read=max(limits.message_bytes, limits.row_bytes))
    form = by_magic(source.peek())
    if form in SEEKABLE and seekable is None:
        seekable = _held(source, limits)
    if form is Form.ZIP:
        assert seekable is not None  # noqa: S101 # for mypy: held above
        form = zip_form(Archive(seekable, limits, part.budget, limits.members).names)
    if form is None:
        yield from _text_tables(source, seekable, part)
        return
    if form not in _PACKED and part.form not in {Form.AUTO, form}:
        raise FormatError(f"the file is not {part.form}")
    if form in COMPRESSED:
        inner = part.inside(_without_ending(part.name), _inner_form(part.form), part.options.member)
        if part.again is not None:
            inner = replace(inner, again=partial(_unpacked_again, part, form))
        yield from tables(unpacked(source, form, limits), inner)
    elif form is Form.ARROW:
        if part.options.confined is not None:
            yield from part.options.confined(source.pieces(), part.name, form)
            return
        yield ReadTable(part.name, form, *read_arrow(source, limits))
    else:
        assert seekable is not None  # noqa: S101 # for mypy: the forms left are all SEEKABLE
        seekable.seek(0)
        if form is Form.PARQUET and part.options.confined is not None:
            yield from part.options.confined(seekable, part.name, form)
        elif form is Form.PARQUET:
            yield ReadTable(part.name, form, *read_parquet(seekable, source, limits))
        elif form is Form.XLSX:
            yield from _sheets(seekable, source, part)
        else:
            yield from _members(seekable, part)


def _from_start(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    return chunks_of(file)


def _unpacked_again(part: Part, form: Form) -> Iterator[bytes]:
    assert part.again is not None  # noqa: S101 # for mypy: the caller looked
    limits = part.limits
    packed = Source(part.again(), part.budget, max_read=max(limits.message_bytes, limits.row_bytes))
    return unpacked(packed, form, limits)


def _held(source: Source, limits: ReadLimits) -> BinaryIO:
    """What must be read from its end and comes as a stream, in memory."""
    held = io.BytesIO()
    for piece in source.pieces():
        if held.tell() + len(piece) > limits.held_bytes:
            raise TooLargeError(
                f"a packed file has more than {limits.held_bytes} bytes and must be held whole",
                next_step="unpack it, and read what comes out",
            )
        held.write(piece)
    held.seek(0)
    return held


def _inner_form(stated: Form) -> Form:
    """What the content of a packed file was stated to be."""
    return Form.AUTO if stated in _PACKED else stated


def _without_ending(name: str) -> str:
    lowered = name.lower()
    for ending in _ENDINGS:
        if lowered.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


# ---- text ----


def _text_tables(source: Source, seekable: BinaryIO | None, part: Part) -> Iterator[ReadTable]:
    limits, options = part.limits, part.options
    if part.form is not Form.AUTO and part.form not in TEXTUAL:
        raise FormatError(f"the file is not {part.form}")
    looked_at = min(limits.row_bytes, INFERENCE_BYTES)
    start = source.peek(looked_at)
    form = part.form
    if form is Form.AUTO and b"\0" not in start:
        form = by_text(start[:_SNIFFED_BYTES].decode(errors="replace"), part.name)
    if form in {Form.EML, Form.MBOX}:
        # Each part of a message says itself which encoding it has.
        yield from _emails(source, seekable, form, part)
        return
    if form in {Form.JSON, Form.JSONL} and options.encoding is None:
        # RFC 8259 section 8.1: JSON is UTF-8, so nothing is to be guessed.
        options = replace(options, encoding="utf-8")
    source, encoding = as_utf8(source, options.encoding, looked_at)
    if form is Form.AUTO:
        form = by_text(source.peek(_SNIFFED_BYTES).decode(errors="replace"), part.name)
    remarks: tuple[str, ...] = ()
    if encoding not in _UNICODE and options.encoding is None:
        remarks = (f"the encoding {encoding} was found from the content",)
    if form is Form.JSON:
        yield from _lists(source, encoding, part)
        return
    again = None if part.again is None else partial(_again, part, encoding)
    if form is Form.JSONL:
        (schema, rows), assumed = read_jsonl(source, limits, again)
        remarks += assumed
    elif form is Form.LOG:
        schema, rows = read_lines(source, limits)
    elif form is Form.TEXT:
        schema, rows = read_paragraphs(source, limits)
    else:
        start = source.peek(looked_at)
        delimiter = options.delimiter or ("\t" if form is Form.TSV else None)
        dialect = dialect_of(start, limits, delimiter=delimiter, header=options.header)
        if not dialect.header:
            remarks += ("the first row holds values, so the columns are named by number",)
        (schema, rows), assumed = read_csv(source, dialect, limits, options.text_columns, again)
        remarks += assumed
    yield ReadTable(part.name, form, schema, rows, encoding, remarks)


def _again(part: Part, encoding: str) -> Source:
    """The same text from its start once more, as UTF-8."""
    assert part.again is not None  # noqa: S101 # for mypy: the caller looked
    limits = part.limits
    source = Source(part.again(), part.budget, max_read=max(limits.message_bytes, limits.row_bytes))
    return as_utf8(source, encoding, min(limits.row_bytes, INFERENCE_BYTES))[0]


def _lists(source: Source, encoding: str, part: Part) -> Iterator[ReadTable]:
    """The tables of a JSON text, or the one that was asked for."""
    wanted, found = part.options.member, []
    for path, ((schema, rows), remarks) in read_json(source, part.limits):
        found.append(path)
        if wanted is None or wanted == path:
            name = f"{part.name}/{path}" if path else part.name
            yield ReadTable(name, Form.JSON, schema, rows, encoding, remarks)
        for _ in rows:
            pass
    if wanted is not None and wanted not in found:
        raise _choice(f"the JSON holds no list `{wanted[:100]}`", [path for path in found if path])


_SNIFFED_BYTES = 1 << 18
_UNICODE = frozenset({"utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"})


# ---- workbooks, archives, messages ----


def _sheets(file: BinaryIO, source: Source, part: Part) -> Iterator[ReadTable]:
    workbook = Workbook(file, part.limits, part.budget)
    chosen = workbook.sheets
    wanted = part.options.sheet
    if wanted is not None:
        chosen = [sheet for sheet in chosen if sheet.name == wanted]
        if not chosen:
            raise _choice(f"there is no sheet `{wanted[:100]}`", [s.name for s in workbook.sheets])
    found = 0
    if part.is_single and len(chosen) > 1:
        chosen = [sheet for sheet in chosen if not workbook.is_empty(sheet)]
        if len(chosen) > 1:
            raise _choice("the workbook has several sheets", [sheet.name for sheet in chosen])
    for sheet in chosen:
        try:
            (schema, rows), remarks = read_sheet(workbook, sheet, source, part.limits, part.options)
        except NoRowsError:
            continue  # workbooks are born with empty sheets
        found += 1
        name = f"{part.name}/{sheet.name}"
        yield ReadTable(name, Form.XLSX, schema, rows, None, remarks)
    if not found:
        raise NoRowsError


def _members(file: BinaryIO, part: Part) -> Iterator[ReadTable]:
    archive = Archive(file, part.limits, part.budget, part.limits.members)
    names = [name for name in archive.names if not any(word in name for word in _LEFT_OUT)]
    if not names:
        raise TableError("the archive holds no files")
    wanted = part.options.member
    chosen = names
    if wanted is not None:
        chosen = [name for name in names if wanted == name or wanted.startswith(f"{name}/")]
        if not chosen:
            raise _choice(f"the archive holds no file `{wanted[:100]}`", names)
    if part.is_single and len(chosen) > 1:
        raise _choice("the archive holds several files", names)
    for name in chosen:
        rest = wanted[len(name) + 1 :] if wanted is not None else ""
        inner = part.inside(f"{part.name}/{name}", _inner_form(part.form), rest or None)
        inner = replace(inner, again=partial(archive.pieces, name))
        yield from _or_unread(archive.pieces(name), inner, is_optional=False)


def _or_unread(
    file: BinaryIO | Iterable[bytes], part: Part, *, is_optional: bool
) -> Iterator[ReadTable]:
    """The tables of a file inside; one that cannot be read is told of, left out, or refused."""
    inner = tables(file, part)
    while True:
        try:
            table = next(inner, None)
        except CallerError as error:
            if isinstance(error, TooLargeError):
                raise
            if part.options.unread is not None:
                part.options.unread(Unread(part.name, error))
                return
            if is_optional:
                return
            raise type(error)(
                f"{error.message}: `{part.name[-200:]}`", next_step=error.next_step
            ) from None
        if table is None:
            return
        yield table


def _emails(
    source: Source, seekable: BinaryIO | None, form: Form, part: Part
) -> Iterator[ReadTable]:
    limits = part.limits
    cut = messages_of_mbox if form is Form.MBOX else one_message
    held: list[Attachment] = []
    sizes = [0, 0]

    def keep(attachment: Attachment) -> None:
        sizes[0] += 1
        if seekable is not None or part.is_single:
            return  # a second reading finds them again
        sizes[1] += len(attachment.content)
        if sizes[1] > limits.held_bytes:
            raise TooLargeError("the attachments are too large to be held while messages are read")
        held.append(attachment)

    if part.options.member is None:
        schema, rows = read_messages(cut(source, limits), source, limits, keep)
        yield ReadTable(part.name, form, schema, rows, None)
    elif seekable is None:
        for _ in read_messages(cut(source, limits), source, limits, keep)[1]:
            pass
    if part.is_single and part.options.member is None:
        return
    if seekable is not None and (sizes[0] or part.options.member is not None):
        yield from _attachments_again(seekable, form, part)
    for attachment in held:
        yield from _attachment(attachment, part)


def _attachments_again(seekable: BinaryIO, form: Form, part: Part) -> Iterator[ReadTable]:
    """Read a mailbox once more, for the attachments of one message after the other."""
    limits = part.limits
    seekable.seek(0)
    source = Source(chunks_of(seekable), part.budget, max_read=limits.message_bytes)
    cut = messages_of_mbox if form is Form.MBOX else one_message
    found: list[Attachment] = []
    for number, content in enumerate(cut(source, limits), 1):
        read_row(content, number, limits, found.append)
        for attachment in found:
            yield from _attachment(attachment, part)
        found.clear()


def _attachment(attachment: Attachment, part: Part) -> Iterator[ReadTable]:
    wanted = part.options.member
    rest = ""
    if wanted is not None:
        if wanted != attachment.name and not wanted.startswith(f"{attachment.name}/"):
            return
        rest = wanted[len(attachment.name) + 1 :]
    part.budget.spend(len(attachment.content))
    inner = part.inside(f"{part.name}/{attachment.name}", Form.AUTO, rest or None)
    yield from _or_unread(io.BytesIO(attachment.content), inner, is_optional=wanted is None)


def _choice(problem: str, names: list[str]) -> ChoiceError:
    shown = ", ".join(f"`{name[:100]}`" for name in names[:_SHOWN_CHOICES])
    more = f" and {len(names) - _SHOWN_CHOICES} more" if len(names) > _SHOWN_CHOICES else ""
    return ChoiceError(problem, next_step=f"name one of: {shown}{more}")
