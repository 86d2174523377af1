"""The quarantine list as a file: a person reads it, says of each row whether it is left out.

Rows are named by their number in the data, 1 for the first, never by value. A digest of the data
stands in every line, so that no list is used on other rows than it speaks of.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.errors import TooLargeError, ValidationError

COLUMNS = ("row", "name", "leave out", "suspicion", "reasons", "suggested label", "data")
MAX_CHARACTERS = 64 << 20
MAX_ROWS = 1_000_000
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""With which a spreadsheet takes a cell for a formula (OWASP, CSV injection)."""
_YES, _NO = frozenset({"yes", "y", "1", "true", "x"}), frozenset({"no", "n", "0", "false", ""})
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One row to look at.

    Attributes:
        row: its number in the data, 1 for the first.
        name: a pseudonym, or empty.
        suspicion: in [0, 1].
        suggested: the label that it probably should have; empty where nobody can tell.
    """

    row: int
    name: str
    suspicion: float
    reasons: tuple[str, ...]
    suggested: str = ""


def merged(listed: Iterable[Mapping[str, Any]], classes: Sequence[str] = ()) -> list[Entry]:
    """What several tests listed, a row once, the most suspect first.

    Args:
        listed: the lists `quarantine` of outcomes, one after the other; with `row` counted from 1.
        classes: names of the labels.
    """
    found: dict[int, Entry] = {}
    for one in listed:
        row, suspicion, name = int(one["row"]), float(one["suspicion"]), str(one.get("name", ""))
        before = found.get(row)
        suggested = one.get("suggested_label")
        label = "" if suggested is None else _label(suggested, classes)
        reasons = tuple(str(why) for why in one["reasons"])
        if before is not None:
            suspicion = 1 - (1 - suspicion) * (1 - before.suspicion)
            reasons = tuple(dict.fromkeys([*before.reasons, *reasons]))
            label, name = before.suggested or label, before.name or name
        found[row] = Entry(row, name, suspicion, reasons, label)
    return sorted(found.values(), key=lambda one: (-one.suspicion, one.row))


def _label(found: object, classes: Sequence[str]) -> str:
    if isinstance(found, int) and 0 <= found < len(classes):
        return classes[found]
    return str(found)


def to_csv(entries: Sequence[Entry], data: str) -> bytes:
    """The list; every row is to be left out until a person writes `no`.

    Args:
        data: digest of the data whose rows they are.
    """
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in entries:
        writer.writerow([
            one.row, _safe(one.name), "yes", f"{one.suspicion:.4f}", _safe("; ".join(one.reasons)),
            _safe(one.suggested), _safe(data),
        ])  # fmt: skip
    return sink.getvalue().encode()


def _safe(text: str) -> str:
    """A cell that no spreadsheet runs."""
    bare = text.replace("\x00", "")
    return f"'{bare}" if bare.startswith(_STARTS) else bare


def left_out(text: str, rows: int, data: str) -> NDArray[np.bool_]:
    """Which rows of the data a person wants left out.

    Args:
        text: of the file, whole; commas or semicolons, as spreadsheets write them.
        rows: of the data.
        data: its digest.

    Raises:
        TooLargeError, ValidationError: it is no such list, speaks of other data, of rows that there
        are not, of one row twice, or leaves nothing or everything out; names the line.
    """
    if len(text) > MAX_CHARACTERS:
        raise TooLargeError(f"a quarantine list has at most {MAX_CHARACTERS:,} characters")
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    removed = np.zeros(rows, dtype=bool)
    seen: set[int] = set()
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        missing = {"row", "leave out", "data"} - {*(reader.fieldnames or ())}
        if missing:
            raise ValidationError(
                f"the quarantine list has no column `{min(missing)}`",
                next_step="edit what `strongroom attack --quarantine` wrote; keep its first line",
            )
        for line, one in enumerate(reader, 2):
            if len(seen) >= MAX_ROWS:
                raise TooLargeError(f"a quarantine list has at most {MAX_ROWS:,} rows")
            row = _row(one, line, rows, data)
            if row in seen:
                raise ValidationError(f"line {line} of the quarantine list: row {row} stands twice")
            seen.add(row)
            removed[row - 1] = _is_left_out(one["leave out"], line)
    except csv.Error as error:
        raise ValidationError(f"the quarantine list is no CSV: {str(error)[:_SHOWN]}") from None
    if not removed.any():
        raise ValidationError(
            "the quarantine list leaves no row out",
            next_step="write `yes` in the column `leave out`, or go without the list",
        )
    if removed.all():
        raise ValidationError("the quarantine list leaves no row to train on")
    return removed


def _row(one: Mapping[str, str | None], line: int, rows: int, data: str) -> int:
    if (one["data"] or "").strip() != data:
        raise ValidationError(
            f"line {line} of the quarantine list: it was made for other data",
            next_step="make it anew on these rows with `strongroom attack --quarantine`, or on a "
            "server with `strongroom data quarantine`",
        )
    said = (one["row"] or "").strip()
    row = int(said) if said.isascii() and said.isdigit() and len(said) <= 12 else 0
    if not 1 <= row <= rows:
        raise ValidationError(
            f"line {line} of the quarantine list: the data has no row `{said[:20]}`; rows are 1 to "
            f"{rows:,}"
        )
    return row


def _is_left_out(said: str | None, line: int) -> bool:
    word = (said or "").strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise ValidationError(f"line {line} of the quarantine list: `leave out` is yes or no")
