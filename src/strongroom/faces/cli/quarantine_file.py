"""The quarantine list on disk: what `attack` writes, a person edits, and `harden` goes by."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.robustness.assessment.fingerprint import rows_digest
from strongroom.engines.robustness.assessment.running import Report
from strongroom.engines.robustness.poisoning.quarantine_list import (
    MAX_CHARACTERS,
    left_out,
    merged,
    to_csv,
)
from strongroom.faces.cli import output
from strongroom.faces.cli.drafts import draft
from strongroom.faces.cli.study import small_text


def write_list(
    to: Path, report: Report, table: pa.Table, classes: Sequence[str], *, force: bool
) -> None:
    """Write the rows that the tests of poisoning listed; also where there are none."""
    found = [
        one
        for ran in report.ran
        if ran.outcome is not None and ran.test.startswith("poisoning.")
        for one in ran.outcome.listed.get("quarantine", ())
    ]
    entries = merged(found, classes)
    with draft(to, force=force) as file:
        file.write(to_csv(entries, rows_digest(table)))
    output.words(
        f"wrote {to}: {len(entries):,} rows; write `no` in `leave out` of those that are right, "
        "then `strongroom harden --without`"
    )


def read_list(path: Path, table: pa.Table) -> NDArray[np.bool_]:
    """Rows of the table to leave out. Raises: UsageError, TooLargeError, ValidationError."""
    return left_out(small_text(path, MAX_CHARACTERS), table.num_rows, rows_digest(table))
