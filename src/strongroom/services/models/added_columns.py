"""Columns that rows of a dataset get on their way into a sandbox, and how they come off there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.errors import SandboxError

PSEUDONYM = "strongroom pseudonym"
"""In the place of the people's own key; see `pseudonyms`."""
ROW, LEFT_OUT = "strongroom row", "strongroom left out"
"""The number of a row in its dataset, 0 for the first, and whether it is not trained on."""


def naming_rows(plan: Plan, tables: Sequence[pa.Table]) -> Plan:
    """The plan, naming rows by pseudonyms where all tables have some and it says nothing else."""
    if not plan.columns.pseudonym and all(PSEUDONYM in one.column_names for one in tables):
        return replace(plan, columns=replace(plan.columns, pseudonym=PSEUDONYM))
    return plan


def without_unused(plan: Plan, table: pa.Table) -> pa.Table:
    """Without pseudonyms that no row is named by: no test may take them for a feature."""
    if plan.columns.pseudonym == PSEUDONYM or PSEUDONYM not in table.column_names:
        return table
    return table.drop_columns([PSEUDONYM])


def taken_apart(
    table: pa.Table | None,
) -> tuple[pa.Table, NDArray[np.int64], NDArray[np.bool_]]:
    """The table as the plan knows it, each row's number in its dataset, and whether it is out.

    Raises: SandboxError: the rows came without their numbers, or did not come.
    """
    if table is None or ROW not in table.column_names:
        raise SandboxError("the rows did not come with their numbers")
    numbers = np.asarray(table.column(ROW).to_numpy(), dtype=np.int64)
    out = np.zeros(len(table), dtype=bool)
    if LEFT_OUT in table.column_names:
        out = np.asarray(table.column(LEFT_OUT).to_numpy(), dtype=np.bool_)
    others = [one for one in table.column_names if one in {ROW, LEFT_OUT}]
    return table.drop_columns(others), numbers, out


def numbered(
    subject: Subject, trained: NDArray[np.int64] | None, held_out: NDArray[np.int64] | None
) -> Subject:
    """The subject, whose rows have the places that they have in their datasets.

    Args:
        trained, held_out: the numbers of the rows of each table; None: it has none.
    """

    def placed(sample: Sample | None, numbers: NDArray[np.int64] | None) -> Sample | None:
        if sample is None or numbers is None:
            return sample
        return replace(sample, places=numbers[sample.places])

    return replace(
        subject, trained=placed(subject.trained, trained),
        every_row=placed(subject.every_row, trained), held_out=placed(subject.held_out, held_out),
    )  # fmt: skip
