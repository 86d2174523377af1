"""What a file is, by its first bytes; its name decides only between forms of text."""

from collections.abc import Collection

import re2

from strongroom.engines.reading.csv_dialect import find_delimiter
from strongroom.engines.reading.table_or_prose import is_prose, table_delimiter
from strongroom.engines.reading.types import Form
from strongroom.errors import FormatError, StrongroomError, TruncatedError

_MAGIC = (
    (b"PAR1", Form.PARQUET),
    (b"PARE", Form.PARQUET),
    (b"ARROW1", Form.ARROW),
    (b"\xff\xff\xff\xff", Form.ARROW),
    (b"\x1f\x8b\x08", Form.GZIP),
    (b"\x28\xb5\x2f\xfd", Form.ZSTD),
    (b"BZh", Form.BZIP2),
    (b"\xfd7zXZ\x00", Form.XZ),
    (b"PK\x03\x04", Form.ZIP),
    (b"PK\x05\x06", Form.ZIP),
)
_KNOWN_OTHERS = (
    (b"%PDF", "a PDF document", "extract its text, and read that"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (such as xls)", "save it as xlsx or CSV"),
    (b"\x89PNG", "a picture", None),
    (b"\xff\xd8\xff", "a picture", None),
    (b"GIF8", "a picture", None),
    (b"SQLite format 3", "an SQLite database", "export its tables as CSV"),
    (b"{\\rtf", "an RTF document", "save it as plain text"),
)


_EMPTY = "the file is empty"
_READ_ENDINGS = frozenset({
    "csv", "tsv", "json", "jsonl", "ndjson", "parquet", "arrow", "arrows", "feather", "xlsx", "txt",
    "text", "md", "log", "eml", "mbox",
})  # fmt: skip  # of names
_PACKED_ENDINGS = frozenset({"gz", "zst", "bz2", "xz"})


def is_other_kind(error: StrongroomError, name: str) -> bool:
    """Whether a file that gave this error is none that should have been read.

    So are empty files, and pictures, documents and unknown bytes, unless the ending of their name
    is that of a form that is read.
    """
    if isinstance(error, TruncatedError):
        return error.message == _EMPTY
    ending, *others = [*reversed(name.lower().split(".")), ""]
    if ending in _PACKED_ENDINGS:
        ending = others[0]
    return isinstance(error, FormatError) and error.is_other_kind and ending not in _READ_ENDINGS


def _other_kind(name: str, step: str | None) -> FormatError:
    return FormatError(f"the file is {name}, which is not read", next_step=step, is_other_kind=True)


def by_magic(start: bytes) -> Form | None:
    """The binary form that `start` shows; None for text and what is not known.

    Raises:
        TruncatedError: there are no bytes.
        FormatError: a form that is known and not read.
    """
    if not start:
        raise TruncatedError(_EMPTY)
    for magic, form in _MAGIC:
        if start.startswith(magic):
            return form
    for magic, name, step in _KNOWN_OTHERS:
        if start.startswith(magic):
            raise _other_kind(name, step)
    return None


_ZIPPED_OTHERS = (
    ("word/document.xml", "a Word document", "save it as plain text"),
    ("ppt/presentation.xml", "a PowerPoint document", "save its text as plain text"),
    ("xl/workbook.bin", "a binary Excel workbook (xlsb)", "save it as xlsx"),
    ("content.xml", "an OpenDocument file", "save it as xlsx, CSV or plain text"),
)


def zip_form(names: Collection[str]) -> Form:
    """Whether a zip archive with files of these names is a workbook.

    Raises:
        FormatError: it is another kind of document, which is not read.
    """
    if "[Content_Types].xml" in names and "xl/workbook.xml" in names:
        return Form.XLSX
    for inside, name, step in _ZIPPED_OTHERS:
        if inside in names and ("[Content_Types].xml" in names or "mimetype" in names):
            raise _other_kind(name, step)
    return Form.ZIP


_HEADER_LINE = re2.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]*.*")
_EMAIL_HEADERS = frozenset({
    "from", "to", "cc", "bcc", "subject", "date", "received", "message-id", "mime-version",
    "return-path", "delivered-to", "reply-to", "content-type", "x-mailer", "sender",
})  # fmt: skip  # names only
_MBOX = re2.compile(r"From \S+ +\S.*\d{4}\s*")
_LOG_LINE = re2.compile(
    r"^(?:\S+ )?[\[(]?(?:"
    r"\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}|"  # ISO 8601, nginx
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d{2}:\d{2}:\d{2}|"  # RFC 3164
    r"<\d{1,3}>|"  # syslog's priority
    r"[IWEF]\d{4} \d{2}:\d{2}:\d{2}|"  # glog
    r"(?:DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL|TRACE)\b)|"
    r"^\S+ \S+ \S+ \[\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2}"  # Common Log Format
)
_LINES = 200
_BEGINNING = 1 << 16
_NAMED_TEXT = frozenset({"txt", "text", "md", "markdown", "rst"})
"""Endings of text that may be a table all the same."""
_NEVER_TABLES = frozenset({
    "md", "markdown", "rst", "adoc", "tex", "html", "htm", "xhtml", "xml", "yaml", "yml", "toml",
    "ini", "cfg", "conf", "properties", "env", "py", "pyi", "js", "ts", "jsx", "tsx", "css", "java",
    "kt", "scala", "c", "h", "cc", "cpp", "hpp", "cs", "go", "rs", "rb", "php", "pl", "r", "swift",
    "sh", "bash", "ps1", "bat", "sql", "lua", "vtt", "srt", "diff", "patch",
})  # fmt: skip  # endings
_MARKUP = re2.compile(r"<(?:[?!]|[A-Za-z][\w:.-]*[\s/>])")
_NUMBERS = re2.compile(r"\[\s*(?:-?\d[\d.eE+-]*\s*[,\]]|\])")
_JSON_STRINGS = re2.compile(r'\[\s*"(?:[^"\\]|\\.)*"\s*[,\]]')


def by_text(text: str, name: str) -> Form:
    """The form of text: `text` is its beginning, `name` the file's, which decides in doubt."""
    text = text.removeprefix("\ufeff").lstrip()
    _, dot, ending = name.lower().rpartition(".")
    ending = ending if dot else ""
    if text.startswith(("{", "[")) and not _LOG_LINE.search(text[:100]):
        found = _json(text, is_named=ending in {"json", "jsonl", "ndjson"})
        if found is not None:
            return found
    lines = [line for line in text.splitlines()[:_LINES] if line.strip()]
    if len(lines) > 1 and len(text) > 1 << 15:
        lines = lines[:-1]  # it may be cut
    if not lines:
        return Form.TEXT
    if found := _email(lines):
        return found
    logged = sum(1 for line in lines if _LOG_LINE.search(line)) / len(lines)
    is_log = logged > 0.5 and (bool(_LOG_LINE.search(lines[0])) or ending == "log")
    if is_log and ending not in {"csv", "tsv"}:
        return Form.LOG
    return _table_or_text(text, ending)


def _table_or_text(text: str, ending: str) -> Form:
    if ending in {"csv", "tsv"}:
        return Form.TSV if find_delimiter(text[:_BEGINNING]) == "\t" else Form.CSV
    if ending in {"json", "jsonl", "ndjson"}:
        return Form.JSON  # whose reader says what is wrong with it
    if ending in _NEVER_TABLES or _MARKUP.match(text):
        return Form.TEXT
    is_named = ending in _NAMED_TEXT
    delimiter = table_delimiter(text, named_text=is_named)
    if delimiter is not None:
        return Form.TSV if delimiter == "\t" else Form.CSV
    if ending == "log":
        return Form.LOG
    return Form.TEXT if is_named or is_prose(text) else Form.CSV


def _json(text: str, *, is_named: bool) -> Form | None:
    """JSON lines, one JSON value, or neither (a log line or a chat may begin with a bracket)."""
    inside = text[1:].lstrip()[:1]
    if text.startswith("{"):
        if inside not in {'"', "}", ""} and not is_named:
            return None
        first, _, rest = text.partition("\n")
        is_lines = first.rstrip().endswith("}") and rest.lstrip().startswith("{")
        return Form.JSONL if is_lines else Form.JSON
    is_list = is_named or inside in {"{", "["}
    return Form.JSON if is_list or _NUMBERS.match(text) or _JSON_STRINGS.match(text) else None


def _email(lines: list[str]) -> Form | None:
    if _MBOX.fullmatch(lines[0]) and len(lines) > 1 and _HEADER_LINE.fullmatch(lines[1]):
        return Form.MBOX
    seen: set[str] = set()
    for line in lines:
        if line[:1] in {" ", "\t"} and seen:
            continue  # a folded header
        matched = _HEADER_LINE.fullmatch(line)
        if not matched:
            break
        seen.add(matched.group(1).lower())
    return Form.EML if len(seen & _EMAIL_HEADERS) > 1 else None
