"""Every file as one or more tables: `read` is the door of this engine."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa

from strongroom.engines.reading.forms import Part, tables
from strongroom.engines.reading.source import Budget
from strongroom.engines.reading.types import Form, ReadLimits, ReadOptions, ReadTable
from strongroom.errors import ChoiceError


def read(
    file: BinaryIO | Iterable[bytes],
    *,
    name: str,
    form: Form = Form.AUTO,
    limits: ReadLimits | None = None,
    options: ReadOptions | None = None,
) -> Iterator[ReadTable]:
    """The tables that a file holds, each as a stream of batches; in memory that is bounded.

    Most forms hold one table. A workbook has one a sheet, an archive those of its members, a
    message or mailbox its own and those of its attachments, a JSON object one for each list of
    records. Read the batches of a table before you ask for the next: what is left is skipped.

    Args:
        file: where its bytes are: seekable and at its start, or a stream of chunks, of which
            Parquet, workbooks and zip archives are held in memory (`ReadLimits.held_bytes`).
        name: of the file, for tables and messages; its ending decides only between kinds of text.
        form: what it is; by default what its content shows.
        limits: beyond which it is refused.
        options: what is known better than the content shows.

    Raises:
        TableError, TooLargeError, TruncatedError: at the next table or while batches are read;
            FormatError, EncodingError and ChoiceError among them. No message quotes a value.
    """
    for table in tables(file, _part(name, form, limits, options)):
        yield table
        for _ in table.batches:
            pass


def read_one(
    file: BinaryIO | Iterable[bytes],
    *,
    name: str,
    form: Form = Form.AUTO,
    limits: ReadLimits | None = None,
    options: ReadOptions | None = None,
) -> ReadTable:
    """The only table that a file holds; of mail the messages, without their attachments.

    Raises: as `read`.
        ChoiceError: there are several; now, or after the last row where only the end of the
            file shows it.
    """
    found = tables(file, replace(_part(name, form, limits, options), is_single=True))
    first = next(found, None)
    if first is None:
        raise ChoiceError("the file holds no such table")
    first.batches = _alone(first.name, first.batches, found)
    return first


def _alone(
    name: str, batches: Iterator[pa.RecordBatch], found: Iterator[ReadTable]
) -> Iterator[pa.RecordBatch]:
    """The batches of the first table; then a look that there is no other."""
    yield from batches
    for other in found:
        raise ChoiceError(f"the file holds several tables: `{name[:200]}`, `{other.name[:200]}`")


def _part(name: str, form: Form, limits: ReadLimits | None, options: ReadOptions | None) -> Part:
    limits = limits or ReadLimits()
    budget = Budget(limits.expanded_bytes, limits.seconds)
    options = options or ReadOptions()
    return Part(name=name, form=form, limits=limits, options=options, budget=budget)
