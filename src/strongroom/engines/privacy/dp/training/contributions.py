"""How much of a table one person may be: at most some rows, chosen by chance.

A promise is to people, not to rows. Whoever has more rows than the bound keeps a random choice of
them, made anew for each model. Everybody then changes a sum by at most the bound times what one
row may change, which is the sensitivity that the noise is made for. Nothing else that is computed
may depend on who else is in the table.
"""

import secrets

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.training.coding import Coded
from strongroom.errors import ValidationError

MAX_ROWS_EACH = 1_000


def bounded(coded: Coded, rows_each: int) -> Coded:
    """At most `rows_each` rows of each person. Without subjects each row is a person.

    Raises: ValidationError, for a bound outside 1..1000.
    """
    check_rows_each(rows_each)
    if coded.subjects is None:
        return coded
    return coded.take(kept_rows(coded.subjects, rows_each, _generator()))


def check_rows_each(rows_each: int) -> None:
    """Raises: ValidationError, for a bound outside 1..1000."""
    if not 1 <= rows_each <= MAX_ROWS_EACH:
        raise ValidationError(f"a person contributes 1 to {MAX_ROWS_EACH:,} rows")


def kept_rows(
    subjects: NDArray[np.int64], rows_each: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The places of the rows that stay, rising. Which of a person's stay is a matter of chance."""
    order = generator.permutation(len(subjects))
    order = order[np.argsort(subjects[order], kind="stable")]
    sorted_subjects = subjects[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = sorted_subjects[1:] != sorted_subjects[:-1]
    starts = np.flatnonzero(is_first)
    within = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    return np.sort(order[within < rows_each]).astype(np.int64)


def _generator() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(secrets.randbits(128)))
