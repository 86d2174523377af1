"""Mailboxes and messages: a row a message, and the attachments as files of their own.

Source: RFC 5322 (messages), RFC 2045 to 2047 (MIME, encoded words), RFC 4155 (mbox).
"""

import email
import email.errors
import email.header
import email.message
import email.policy
import email.utils
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import re2

from strongroom.engines.reading.checking import Rows, checked
from strongroom.engines.reading.html_text import text_of_html
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import StrongroomError, TableError, TooLargeError

_ADDRESSES = ("from", "to", "cc", "bcc", "reply-to")
_COLUMNS = (*_ADDRESSES, "subject", "date", "body", "attachments", "headers", "message_number")
_SCHEMA = pa.schema(
    [(name, pa.int64() if name == "message_number" else pa.string()) for name in _COLUMNS]
)
_BATCH_BYTES = 4 << 20
_BATCH_ROWS = 10_000
_HEADER_LINES = 2_000
_LINE_OF_MBOX = re2.compile(rb"From [^\n]*\n")
_SEPARATOR = b"\nFrom "
_QUOTED_FROM = re2.compile(rb"(?m)^>(>*From )")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a message.

    Attributes:
        name: the message's number, and the name it was given or `part-N`.
    """

    name: str
    content: bytes


Keep = Callable[[Attachment], None]


def read_messages(
    messages: Iterator[bytes], source: Source, limits: ReadLimits, keep: Keep
) -> Rows:
    """A row a message: addresses, subject, date, body, names of attachments, all other headers.

    Args:
        messages: the bytes of each.
        source: whose failures and time count.
        limits: parts of a message, and their nesting.
        keep: takes each attachment; called while the rows are read.

    Raises:
        TableError, TooLargeError: now or while its batches are read.
    """

    def rows() -> Iterator[pa.RecordBatch]:
        held: list[dict[str, object]] = []
        size = 0
        for number, content in enumerate(messages, 1):
            if number > limits.emails:
                raise TooLargeError(f"the mailbox holds more than {limits.emails} messages")
            row = read_row(content, number, limits, keep)
            held.append(row)
            size += sum(len(value) for value in row.values() if isinstance(value, str))
            if size >= _BATCH_BYTES or len(held) >= _BATCH_ROWS:
                yield pa.RecordBatch.from_pylist(held, _SCHEMA)
                held, size = [], 0
        if held:
            yield pa.RecordBatch.from_pylist(held, _SCHEMA)

    return checked(source, _SCHEMA, rows(), limits)


def one_message(source: Source, limits: ReadLimits) -> Iterator[bytes]:
    """The whole file as a message. Raises: TooLargeError."""
    pieces, length = [], 0
    for piece in source.pieces():
        pieces.append(piece)
        length += len(piece)
        if length > limits.email_bytes:
            raise _too_large(limits)
    yield b"".join(pieces)


def messages_of_mbox(source: Source, limits: ReadLimits) -> Iterator[bytes]:
    """The messages of a mailbox, each without its `From ` line. Raises: TooLargeError."""
    held = b"\n"
    for piece in source.pieces():
        searched = max(0, len(held) - len(_SEPARATOR))
        held += piece
        start = 0
        while (end := held.find(_SEPARATOR, max(start + 1, searched))) >= 0:
            yield _unquoted(held[start + 1 : end + 1])
            start = end
        held = held[start:]
        if len(held) > limits.email_bytes:
            raise _too_large(limits)
    if held.strip():
        yield _unquoted(held[1:])


def _too_large(limits: ReadLimits) -> TooLargeError:
    return TooLargeError(f"a message has more than {limits.email_bytes} bytes")


def _unquoted(content: bytes) -> bytes:
    """Without the line that begins a message, and with the lines that look like one as written."""
    matched = _LINE_OF_MBOX.match(content)
    content = content[matched.end() :] if matched else content
    return bytes(_QUOTED_FROM.sub(rb"\1", content))


def read_row(content: bytes, number: int, limits: ReadLimits, keep: Keep) -> dict[str, object]:
    """The row of message `number`. Raises: TableError, TooLargeError."""
    head = content[: 1 << 20]
    if head.count(b"\n", 0, max(head.find(b"\n\n"), head.find(b"\r\n\r\n"), 0)) > _HEADER_LINES:
        raise TooLargeError(f"message {number} has too many headers")
    try:
        message = email.message_from_bytes(content, policy=email.policy.compat32)
        return _fields(message, number, limits, keep)
    except StrongroomError:
        raise
    except (RecursionError, email.errors.MessageError, LookupError, ValueError, TypeError,
            AttributeError, AssertionError, OverflowError):  # fmt: skip
        # What the standard library raises on malformed messages is not documented.
        raise TableError(f"message {number} cannot be read: it is damaged") from None


def _fields(
    message: email.message.Message, number: int, limits: ReadLimits, keep: Keep
) -> dict[str, object]:
    row: dict[str, object] = {"message_number": number}
    for name in (*_ADDRESSES, "subject", "date"):
        values = [decoded_header(value) for value in message.get_all(name, [])]
        row[name] = ", ".join(values) or None
    others = [
        f"{decoded_header(name)}: {decoded_header(value)}"
        for name, value in message.items()
        if name.lower() not in row
    ]
    row["headers"] = "\n".join(others) or None
    texts: dict[str, list[str]] = {"plain": [], "html": []}
    names: list[str] = []
    for index, part in enumerate(_parts(message, number, limits), 1):
        kind = part.get_content_type()
        name = decoded_header(part.get_filename() or "")
        is_text = kind in {"text/plain", "text/html"} and not name
        if is_text and part.get_content_disposition() != "attachment":
            texts[kind.rpartition("/")[2]].append(decoded_text(part))
            continue
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            continue
        name = name.replace("/", "_") or f"part-{index}"
        names.append(name)
        keep(Attachment(f"{number}/{name}", content))
    plain, page = "\n".join(texts["plain"]), "\n".join(map(text_of_html, texts["html"]))
    # Both forms of one body should say the same; where the page says more, both are kept.
    row["body"] = (f"{plain}\n{page}".strip() if len(page) > 1.5 * len(plain) else plain) or None
    row["attachments"] = ", ".join(names) or None
    return row


def _parts(
    message: email.message.Message, number: int, limits: ReadLimits
) -> Iterator[email.message.Message]:
    """The leaves of a message, messages in it included, at most so many and so deep."""
    waiting: list[tuple[email.message.Message, int]] = [(message, 0)]
    count = 0
    while waiting:
        part, depth = waiting.pop()
        count += 1
        if count > limits.members or depth > limits.depth:
            raise TooLargeError(f"message {number} has too many parts")
        payload = part.get_payload()
        if isinstance(payload, list):
            inner = [one for one in payload if isinstance(one, email.message.Message)]
            if part.get_content_type() == "message/rfc822":
                inner = [*map(_headers_as_text, inner), *inner]
            waiting.extend((one, depth + 1) for one in reversed(inner))
        else:
            yield part


def _headers_as_text(message: email.message.Message) -> email.message.Message:
    """The headers of a message inside another one, as a part to read: they name people, too."""
    text = email.message.Message()
    text["Content-Type"] = "text/plain; charset=utf-8"
    lines = [f"{decoded_header(name)}: {decoded_header(value)}" for name, value in message.items()]
    text.set_payload("\n".join(lines), "utf-8")
    return text


def decoded_text(part: email.message.Message) -> str:
    """The text of a leaf, by its charset, or by what it is where that is wrong."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    charset = str(part.get_content_charset("utf-8"))
    for name in (charset, "utf-8"):
        try:
            return content.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
    # Mail that states a wrong charset is common; windows-1252 reads on, byte by byte.
    return content.decode("cp1252", "backslashreplace")


def header_text(value: object) -> str:
    """A header as it stands; bytes beyond ASCII, which no standard allows, as UTF-8 or Western."""
    if not isinstance(value, email.header.Header):
        return str(value)
    pieces = (raw for raw, _ in email.header.decode_header(value))
    return "".join(raw if isinstance(raw, str) else _eight_bit(raw) for raw in pieces)


def _eight_bit(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", "backslashreplace")


def decoded_header(value: object) -> str:
    """A header with its encoded words decoded; broken ones stay as they stand."""
    text = header_text(value)
    plain = "ascii" if text.isascii() else "raw-unicode-escape"  # as `decode_header` gives it
    try:
        pieces = email.header.decode_header(text)
        shown = "".join(
            piece if isinstance(piece, str) else piece.decode(charset or plain)
            for piece, charset in pieces
        )
    except (email.errors.HeaderParseError, LookupError, UnicodeDecodeError, ValueError):
        shown = text
    return " ".join(shown.encode("utf-8", "replace").decode().split())
