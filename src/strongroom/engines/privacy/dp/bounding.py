"""Whatever a person has in a table, only so much of it is counted.

Each person stays in at most so many groups, with at most so many rows in each. What is kept of a
person depends on nothing but this person's own rows and their order: taking a person out of the
table takes out what was kept of them, and changes no other row. So the sums of two neighbouring
tables differ by what one person may add, which the tests check for any table.

What is kept is picked by a hash, the same each time, so that it is no sample of the first or the
lowest. How good the hash is matters to how fair that is, and not to anybody's privacy.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_ORDER, _PICK, _FIRST = "\0order", "\0pick", "\0first"
_SEEDS = (0x5EED, 0xBEEF, 0xFEED)


def bounded(
    frame: "pl.DataFrame", subject: str, grouped_by: Sequence[str], *, groups: int, rows: int
) -> "pl.DataFrame":
    """The rows that count: at most `rows` of each person in a group, in at most `groups` groups.

    Rows without a person are left out.

    Args:
        subject: column that says whose a row is.
        grouped_by: columns whose values make a group; missing ones are a value too.
    """
    import polars as pl

    person = pl.col(subject)
    frame = frame.filter(person.is_not_null()).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).over(subject).alias(_ORDER)
    )
    if grouped_by:
        frame = _in_few_groups(frame, subject, grouped_by, groups)
    return (
        frame.with_columns(_picked(subject, _ORDER).alias(_PICK))
        .sort(_PICK, _ORDER, maintain_order=True)
        .filter(pl.int_range(pl.len(), dtype=pl.Int64).over(subject, *grouped_by) < rows)
        .drop(_ORDER, _PICK)
    )


def _in_few_groups(
    frame: "pl.DataFrame", subject: str, grouped_by: Sequence[str], groups: int
) -> "pl.DataFrame":
    """The rows of the groups that are picked for each person."""
    import polars as pl

    # A person's groups are known by their first rows, which are all different: a group's number
    # in the table would depend on others.
    frame = frame.with_columns(pl.col(_ORDER).min().over(subject, *grouped_by).alias(_FIRST))
    kept = (
        frame.select(subject, _FIRST)
        .unique(maintain_order=True)
        .with_columns(_picked(subject, _FIRST).alias(_PICK))
        .sort(_PICK, _FIRST, maintain_order=True)
        .filter(pl.int_range(pl.len(), dtype=pl.Int64).over(subject) < groups)
    )
    return frame.join(kept.select(subject, _FIRST), on=[subject, _FIRST], how="semi").drop(_FIRST)


def _picked(subject: str, order: str) -> "pl.Expr":
    import polars as pl

    # Hashed once more together: the smallest of some numbers combined with one are not each as
    # often the smallest.
    both = pl.col(subject).hash(_SEEDS[0]) ^ pl.col(order).hash(_SEEDS[1])
    return both.hash(_SEEDS[2])
