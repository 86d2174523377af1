"""Reading a file and finding what its tables hold: the part that `discover` and `mask` share."""

import io
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa

from strongroom.engines.privacy.discover.custom import (
    MAX_FILE_CHARACTERS,
    CustomType,
    parse_custom_types,
)
from strongroom.engines.privacy.discover.findings import SampleGuarantee, TableFindings
from strongroom.engines.privacy.discover.sampling import DEFAULT_ROWS, RowSampler
from strongroom.engines.reading.reading import read
from strongroom.engines.reading.types import Form, ReadLimits, ReadOptions, ReadTable, Unread
from strongroom.errors import CallerError, SandboxError, TooLargeError, UsageError
from strongroom.services.data.sandboxed_tables import SandboxedTables
from strongroom.services.jobs import sandbox
from strongroom.settings import Settings

if TYPE_CHECKING:
    from strongroom.engines.privacy.discover.text.finder import TextFinder
    from strongroom.engines.privacy.discover.text.spans import Span

SAMPLE_SEED = 1
"""The same rows are looked at each time, so that two runs say the same."""
ALL = "all"
MAX_HELD_BYTES = 4 << 30
"""Of a table that is looked at whole, which is held in memory."""

Watch = Callable[[str, int], None]
"""Told of the table that is read and how many rows have come."""


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """How files are read and looked at.

    Attributes:
        rows: of a sample; None: all.
        subject: column that says whom a row is about, where a table has it; empty for none.
        custom: types beside the built-in ones.
        model: names in texts are found with the model too, not by rules alone.
        is_trusted: the files were not made by strangers: binary ones are read without a sandbox.
    """

    form: Form = Form.AUTO
    rows: int | None = DEFAULT_ROWS
    subject: str = ""
    custom: tuple[CustomType, ...] = ()
    model: bool = True
    is_trusted: bool = False
    limits: ReadLimits = field(default_factory=ReadLimits)

    def finder(self) -> "TextFinder":
        """Finds personal data in texts; made once for the same options."""
        return _finder(self.model, self.custom)

    def findings(self, table: pa.Table, guarantee: SampleGuarantee | None = None) -> TableFindings:
        """What the columns of a table, or of a sample with its guarantee, hold."""
        from strongroom.engines.privacy.discover.tables import discover_table  # slow to import

        return discover_table(
            table, guarantee=guarantee, custom=self.custom, subject_column=self.subject,
            finder=_LateFinder(self),
        )  # fmt: skip


class _LateFinder:
    """The finder of some options, made when the first text comes."""

    def __init__(self, options: StudyOptions) -> None:
        self._options = options

    def find_all(self, texts: Iterable[str]) -> "Iterator[list[Span]]":
        """The spans of each text, in order."""
        return self._options.finder().find_all(texts)


@lru_cache(maxsize=4)
def _finder(model: bool, custom: tuple[CustomType, ...]) -> "TextFinder":
    from strongroom.engines.privacy.discover.text.finder import text_finder  # slow to import

    return text_finder(model=model, custom=custom)


@dataclass(frozen=True, slots=True)
class TableStudy:
    """One table of a file, looked at.

    Attributes:
        name: of the sheet, member or attachment; empty where the file is one table.
        sample: the rows that were looked at.
    """

    name: str
    form: Form
    schema: pa.Schema
    encoding: str | None
    findings: TableFindings
    sample: pa.Table
    remarks: tuple[str, ...]


def parsed_form(text: str | None) -> Form:
    """The form that `--as` names. Raises: UsageError."""
    try:
        return Form(text.lower()) if text else Form.AUTO
    except ValueError:
        known = ", ".join(form.value for form in Form)
        raise UsageError(f"--as is one of {known}") from None


def parsed_rows(text: str) -> int | None:
    """The number of rows that `--sample` names; None for all. Raises: UsageError."""
    if text.lower() == ALL:
        return None
    if not text.isdigit() or not 1 <= int(text) <= 10_000_000:
        raise UsageError(f"--sample is a number of rows from 1 to 10,000,000, or `{ALL}`")
    return int(text)


def study_options(
    form: str | None,
    types: Path | None,
    sample: str,
    subject: str | None,
    *,
    model: bool,
    seconds: float,
    trusted: bool,
) -> StudyOptions:
    """Options of the command line as one thing. Raises: UsageError, ValidationError."""
    limits = replace(ReadLimits(), seconds=seconds)
    custom = parse_custom_types(small_text(types, MAX_FILE_CHARACTERS)) if types else ()
    return StudyOptions(
        parsed_form(form), parsed_rows(sample), subject or "", custom, model, trusted, limits
    )


def small_text(path: Path, most: int) -> str:
    """A small text file, cut after `most` characters and one. Raises: UsageError, CallerError."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(most + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no file `{path}`", next_step="check the path") from None
    except UnicodeDecodeError:
        raise CallerError(f"`{path}` is not UTF-8 text") from None
    except OSError as error:
        raise CallerError(f"cannot read `{path}`: {error.strerror}") from None


def study(
    file: BinaryIO | Iterable[bytes],
    name: str,
    options: StudyOptions,
    *,
    unread: Callable[[Unread], None] | None = None,
    watch: Watch | None = None,
) -> Iterator[TableStudy]:
    """The tables of a file, one after the other, with findings.

    Raises: as `read`, also after some tables have been given.
    """
    for table in tables_of(file, name, options, unread=unread):
        shown = inner_name(table, name)
        sampled, guarantee_of = _sample(
            table, options.rows, partial(watch, shown) if watch else None
        )
        findings = options.findings(sampled, guarantee_of)
        yield TableStudy(
            shown, table.form, table.schema, table.encoding, findings, sampled, table.remarks
        )


def tables_of(
    file: BinaryIO | Iterable[bytes],
    name: str,
    options: StudyOptions,
    *,
    unread: Callable[[Unread], None] | None = None,
) -> Generator[ReadTable, None, None]:
    """The tables of a file as the reader gives them; who stops before the last one closes it.

    Parquet and Arrow are parsed by native code, which a crafted file can crash or worse: they are
    read in the sandbox, also within archives and behind compression, unless the options say that
    the files are trusted.
    """
    confined = None if options.is_trusted else partial(_confined, options)
    yield from read(
        file, name=name, form=options.form, limits=options.limits,
        options=ReadOptions(unread=unread, confined=confined),
    )  # fmt: skip


def _confined(
    options: StudyOptions, file: BinaryIO | Iterator[bytes], name: str, form: Form
) -> Iterator[ReadTable]:
    """The one table of a binary file, parsed in the sandbox. Raises: SandboxError without one."""
    settings = Settings()
    confined = SandboxedTables(
        options.limits,
        settings.sandbox_memory_bytes,
        sandbox.required_layers(settings.sandbox_required_layers),
    )
    size, opened = None, None
    given: Any = file
    if hasattr(file, "seek"):
        whole = cast("io.RawIOBase", file)
        size = whole.seek(0, io.SEEK_END)
        whole.seek(0)
        given = opened = io.BufferedReader(whole)
    try:
        with confined.reading(
            given, name=name, form=form, options=ReadOptions(), size=size
        ) as table:
            yield table
    except sandbox.LayerMissingError as error:
        raise SandboxError(
            error.message, next_step="give --trusted for files that you made yourself"
        ) from None
    finally:
        if opened is not None:
            opened.detach()  # else it would close the file with itself


def inner_name(table: ReadTable, name: str) -> str:
    """What of a table's name is not the file's."""
    return table.name.removeprefix(name).lstrip("/")


def _sample(
    table: ReadTable, rows: int | None, watch: Callable[[int], None] | None
) -> tuple[pa.Table, SampleGuarantee | None]:
    """The rows to look at, and what they can have missed; None: nothing."""
    if rows is None:
        return _whole(table, watch), None
    sampler = RowSampler(table.schema, SAMPLE_SEED, rows)
    for batch in table.batches:
        sampler.add(batch)
        if watch is not None:
            watch(table.rows)
    return sampler.table(), sampler.guarantee()


def _whole(table: ReadTable, watch: Callable[[int], None] | None) -> pa.Table:
    """All rows, in memory."""
    batches, held = [], 0
    for batch in table.batches:
        held += batch.nbytes
        if held > MAX_HELD_BYTES:
            raise TooLargeError(
                f"the table has more than {MAX_HELD_BYTES:,} bytes in memory",
                next_step="look at a sample: --sample 100000",
            )
        batches.append(batch)
        if watch is not None:
            watch(table.rows)
    return pa.Table.from_batches(batches, table.schema).combine_chunks()
