"""What a model carries beside its program: requirements, secrets, personal data, tables.

Every file and member of an archive is shown to `ContentCheck.look` after it was recognised. What
must be known from outside the files comes in as `Knowledge`; what was not given is told as not
checked, never as clean.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from strongroom.engines.scanning.findings import Check, FileReport, Finding
from strongroom.engines.scanning.parts import Ahead
from strongroom.engines.scanning.personal import (
    MAX_CHARACTERS,
    PersonalTally,
    may_hold_personal,
)
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import Opener, Reader, Spans, Stream
from strongroom.engines.scanning.secrets import (
    Spotter,
    find_secrets,
    without_secrets,
)
from strongroom.engines.scanning.strings import Texts, texts_of
from strongroom.engines.scanning.training_rows import MANY_BYTES, MANY_ROWS

if TYPE_CHECKING:
    from strongroom.engines.scanning.advisories import AdvisoryIndex
    from strongroom.engines.scanning.licences import LicencePolicy
    from strongroom.engines.scanning.packages import PackageCheck

_TEXT_BYTES = 256 << 20
_BINARY_BYTES = 64 << 20
_PIECE = 60_000
_CUT_WITHIN = 4_000
_MAX_SECRETS = 20
_REQUIREMENTS = re.compile(r"(?i)(?:requirements|constraints)[\w.-]*\.(?:txt|in)")
_ENVIRONMENTS = frozenset(("conda.yaml", "conda.yml", "python_env.yaml", "environment.yml",
                           "environment.yaml"))  # fmt: skip
_METADATA = frozenset(("METADATA", "PKG-INFO"))
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".feather", ".arrow", ".parquet", ".xlsx", ".xls",
           ".sas7bdat", ".dta", ".sqlite", ".sqlite3", ".db", ".orc", ".avro")  # fmt: skip
_TABLE_FORMATS = frozenset(("parquet", "arrow"))
_UNDECODED = re.compile("[\ud800-\udfff]")
_NO_PICKLES = frozenset(("onnx", "gguf", "safetensors", "hdf5", "npy"))
# Nothing in them is text of the model: pixels, columns packed by a library, machine code.
_NOT_LOOKED_INTO = frozenset(("image", "machine-code", "empty", *_TABLE_FORMATS))
# Programs name their authors, and files of MLflow hold no rows.
_NOT_PERSONAL = re.compile(
    r"(?i)(?:mlmodel|requirements.*|constraints.*|conda\.ya?ml|python_env\.yaml|.*\.py|registered_model_meta)"
)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a scan is told from outside the files.

    Attributes:
        advisories: known vulnerabilities; None: they are not checked.
        why_no_advisories: in words, where there are none.
        today: to tell how old the advisories are; None: their age is not told.
        licences: which may come in; None: all.
        installed_licence: SPDX expression of an installed distribution by its normalized name,
            or empty.
        spot_secrets: finds tokens by their shape; None: only the place of a text tells secrets.
        spot_personal: finds personal data; None: it is not checked.
    """

    advisories: "AdvisoryIndex | None" = None
    why_no_advisories: str = "no advisories were given"
    today: date | None = None
    licences: "LicencePolicy | None" = None
    installed_licence: Callable[[str], str] | None = None
    spot_secrets: Spotter | None = None
    spot_personal: Spotter | None = None


@dataclass(slots=True)
class _Looked:
    """How far the looking went."""

    files: int = 0
    cut: int = 0
    secrets: int = 0
    personal: int = 0
    tables: int = 0
    containers: set[str] = field(default_factory=set)


class ContentCheck:
    """Looks at the files of one scan, in the order in which they were recognised."""

    def __init__(self, knowledge: Knowledge | None = None) -> None:
        self._knowledge = knowledge or Knowledge()
        self._looked = _Looked()
        self._packages: PackageCheck | None = None
        self.findings: list[Finding] = []

    def look(
        self, name: str, opener: Opener, format_: str, size: int, numbers: Spans = ()
    ) -> list[Problem]:
        """What a file carries; members of an archive are shown before it.

        Args:
            name: of the file; members follow after `!/`.
            opener: opens it anew.
            format_: what it was recognised as.
            size: in bytes.
            numbers: where it is numbers, so that there are no texts to look for.
        """
        looked = self._looked
        archive, _, inner = name.rpartition("!/")
        if archive:
            looked.containers.add(archive)
        base = (inner or name).rpartition("/")[2]
        if name in looked.containers:
            looked.containers.discard(name)
            return []
        looked.files += 1
        problems = self._requirements(base, opener)
        if format_ not in _NOT_LOOKED_INTO:
            problems += self._texts(base, opener, format_, size, numbers)
        if format_ in _TABLE_FORMATS or base.lower().endswith(_TABLES):
            problems += self._table(opener, format_, size)
        return problems

    def finish(
        self, files: tuple[FileReport, ...], findings: list[Finding]
    ) -> tuple[list[Finding], tuple[Check, ...]]:
        """Findings without any secret in their words and with shares, and what was checked."""
        sizes = {file.name: file.size_bytes for file in files}
        told = [self._told(finding, sizes) for finding in findings]
        if self._packages is None:
            packages = (
                Check("vulnerabilities", "checked", "no requirements came with it"),
                Check("licences", "checked", "no requirements came with it"),
            )
        else:
            packages = self._packages.checks()
        return told, (*packages, self._secrets_check(), self._personal_check())

    # ---- requirements ----

    def _requirements(self, base: str, opener: Opener) -> list[Problem]:
        is_list, is_metadata = _REQUIREMENTS.fullmatch(base), base in _METADATA
        if not is_list and not is_metadata and base not in _ENVIRONMENTS:
            return []
        # Only here, for it takes some time to load what reads versions.
        from strongroom.engines.scanning.packages import MAX_FILE, PackageCheck

        if self._packages is None:
            self._packages = PackageCheck(self._knowledge)
        data = b"".join(_chunks(opener(), MAX_FILE + 1))
        if len(data) > MAX_FILE:
            return [Problem("SR-PKG-003", "is larger than any honest list of requirements")]
        if is_metadata:
            self._packages.distribution(data)
            return []
        if is_list:
            return self._packages.requirements(data.decode("utf-8", "replace"))
        return self._packages.environment(data)

    # ---- texts ----

    def _texts(
        self, base: str, opener: Opener, format_: str, size: int, numbers: Spans
    ) -> list[Problem]:
        spot = self._knowledge.spot_personal
        tally = PersonalTally(base, spot) if spot and not _NOT_PERSONAL.fullmatch(base) else None
        problems: list[Problem] = []
        seen = characters = 0
        first: int | None = None
        strings = not _is_text(format_)
        for piece in _pieces(opener, format_, numbers):
            text = _UNDECODED.sub("\n", piece.text)
            for secret in find_secrets(text, self._knowledge.spot_secrets, strings=strings):
                seen += 1
                if seen <= _MAX_SECRETS:
                    rule = "SR-SEC-002" if secret.is_key else "SR-SEC-001"
                    at = piece.byte_of(secret.start)
                    problems.append(Problem(rule, f"holds {secret.what}", at))
            characters += len(text)
            if tally and characters <= MAX_CHARACTERS and may_hold_personal(text, base):
                place = tally.add(text)
                if first is None and place is not None:
                    first = piece.byte_of(place)
        if seen > _MAX_SECRETS:
            says = f"holds {seen - _MAX_SECRETS} more of what looks like secrets"
            problems.append(Problem("SR-SEC-001", says))
        self._looked.secrets += seen
        limit = _TEXT_BYTES if _is_text(format_) else _BINARY_BYTES
        size -= sum(min(end, size) - start for start, end in numbers if start < size)
        self._looked.cut += size > limit or characters > MAX_CHARACTERS
        if tally is not None and tally.found_any:
            self._looked.personal += 1
            rule = "SR-PII-001" if tally.is_no_accident else "SR-PII-002"
            problems.append(Problem(rule, tally.says(), first, length=tally.size_bytes))
        return problems

    # ---- tables ----

    def _table(self, opener: Opener, format_: str, size: int) -> list[Problem]:
        rows = 0
        if format_ == "text":
            rows = sum(chunk.count(b"\n") for chunk in _chunks(opener(), _TEXT_BYTES))
        if rows < MANY_ROWS and size < MANY_BYTES:
            return []
        self._looked.tables += 1
        many = f"of {rows:,} lines " if rows else ""
        says = f"is a table {many}beside the model: whoever gets the model has it"
        return [Problem("SR-PII-004", says, 0, length=size)]

    # ---- the end ----

    def _told(self, finding: Finding, sizes: dict[str, int]) -> Finding:
        spot = self._knowledge.spot_secrets
        says = without_secrets(finding.says, spot)
        subject = without_secrets(finding.subject, spot)
        if finding.length is not None:
            whole = sizes.get(finding.file.partition("!/")[0], 0)
            share = f", {min(1.0, finding.length / whole):.0%} of the file" if whole else ""
            says = f"{says} ({sized(finding.length)}{share})"
        if (says, subject) == (finding.says, finding.subject):
            return finding
        return replace(finding, says=says, subject=subject)

    def _secrets_check(self) -> Check:
        looked = self._looked
        cut = f"; of {looked.cut} only the first part" if looked.cut else ""
        found = f"{looked.secrets} found in {looked.files} files{cut}"
        if self._knowledge.spot_secrets is None:
            return Check("secrets", "partly", f"{found}; tokens by their place alone")
        return Check("secrets", "partly" if looked.cut else "checked", found)

    def _personal_check(self) -> Check:
        looked = self._looked
        if self._knowledge.spot_personal is None:
            return Check("personal data", "not checked", "no finder of personal data was given")
        cut = f"; of {looked.cut} only the first part" if looked.cut else ""
        tables = f", {looked.tables} tables" if looked.tables else ""
        found = f"{looked.personal} of {looked.files} files with what looks like it{tables}{cut}"
        return Check("personal data", "partly" if looked.cut else "checked", found)


def sized(count: int) -> str:
    """Bytes in words."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} bytes"


def _is_text(format_: str) -> bool:
    return format_ in ("text", "script") or format_.endswith(("-text", "-json"))


def _chunks(stream: Stream, limit: int) -> Iterator[bytes]:
    left = limit
    while left > 0 and (data := stream.read(min(left, 1 << 18))):
        left -= len(data)
        yield data


def _pieces(opener: Opener, format_: str, numbers: Spans) -> Iterator[Texts]:
    """The texts of a file in pieces."""
    if _is_text(format_):
        yield from _text_pieces(opener())
        return
    # Torch and others pack pickles under names of their own.
    is_pickle = format_ not in _NO_PICKLES
    reader, left = Reader(opener()), _BINARY_BYTES
    for start, end in (*numbers, (sys.maxsize, sys.maxsize)):
        begin = reader.offset
        reader.end = start
        yield from texts_of(Ahead(reader), left, is_pickle=is_pickle, base=begin)
        reader.end = None
        left -= reader.offset - begin
        if end == sys.maxsize or left <= 0:
            return
        reader.skip(end - reader.offset)


def _text_pieces(stream: Stream) -> Iterator[Texts]:
    waiting, offset = b"", 0
    for data in _chunks(stream, _TEXT_BYTES):
        waiting += data
        while len(waiting) > _PIECE:
            cut = waiting.rfind(b"\n", _PIECE - _CUT_WITHIN, _PIECE) + 1 or _PIECE
            yield Texts(offset, waiting[:cut].decode("utf-8", "surrogateescape"), 1)
            waiting, offset = waiting[cut:], offset + cut
    if waiting:
        yield Texts(offset, waiting.decode("utf-8", "surrogateescape"), 1)
