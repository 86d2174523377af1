"""What masking changes, measured: who stands alone and which types are found, before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from strongroom.engines.privacy.discover.findings import Role, TableFindings
from strongroom.engines.privacy.nested import Leaf, leaves, values_in
from strongroom.engines.privacy.report.contents import ColumnEffect, MaskEffect, SetEffect
from strongroom.engines.privacy.report.wording import role_of_column

REPLACED = "replaced"
DROPPED = "dropped"
MAX_SETS = 12


def mask_effect(
    clear: pa.Table,
    masked: pa.Table,
    before: TableFindings,
    after: TableFindings,
    methods: Mapping[str, tuple[str, str]],
    *,
    policy: str,
    made_up: frozenset[str],
) -> MaskEffect:
    """Compare a sample with itself masked.

    Args:
        clear: the sample; `before`: its findings.
        masked: the same rows masked; `after`: what discovery finds there.
        methods: column → method and the reason for it.
        policy: which policy, in words.
        made_up: methods whose results look like the real thing and are not: what discovery finds
            in them leads to nobody.
    """
    found, columns = {finding.column: finding for finding in after.columns}, []
    for finding in before.columns:
        method, reason = methods.get(finding.column, ("redact", "never looked at"))
        again = found.get(finding.column)
        if again is None:
            type_after, role_after = None, DROPPED
        elif method in made_up:
            type_after, role_after = None, REPLACED
        else:
            type_after, role_after = again.type, role_of_column(again).value
        columns.append(
            ColumnEffect(
                finding.column,
                method,
                reason,
                finding.type,
                role_of_column(finding).value,
                type_after,
                role_after,
            )
        )
    sets = [
        SetEffect(one.columns, one.unique_share, share_alone(masked, one.columns))
        for one in before.quasi_identifiers[:MAX_SETS]
    ]
    together = tuple(f.column for f in before.columns if f.role is Role.QUASI)
    if len(together) > 1 and together not in [one.columns for one in sets]:
        whole = SetEffect(together, share_alone(clear, together), share_alone(masked, together))
        sets.insert(0, whole)
    return MaskEffect(policy, tuple(columns), tuple(sets))


def share_alone(table: pa.Table, columns: Sequence[str]) -> float:
    """Share of the rows that no other row equals in `columns`, in [0, 1].

    Args:
        columns: names of columns, or paths of parts of nested ones such as `address.city`. Those
            that the table lacks tell nobody apart, and neither do those whose values cannot be
            compared or are not one for each row (in lists).
    """
    by_path = {leaf.path: leaf for leaf in leaves(table.schema)}
    there = [
        _values(table, by_path[path])
        for path in columns
        if path in by_path and _is_one_a_row(by_path[path])
    ]
    if not there or not table.num_rows:
        return 0.0
    keys = pa.table({str(at): values for at, values in enumerate(there)})
    groups = keys.group_by(keys.column_names).aggregate([([], "count_all")])
    alone = sum(1 for count in groups["count_all"].to_pylist() if count == 1)
    return round(alone / table.num_rows, 4)


def _is_one_a_row(leaf: Leaf) -> bool:
    return -1 not in leaf.steps and not pa.types.is_nested(leaf.type)


def _values(table: pa.Table, leaf: Leaf) -> "pa.ChunkedArray[Any]":
    parts: list[Any] = [values_in(chunk, leaf).values for chunk in table.column(leaf.column).chunks]
    kind: Any = leaf.type
    return pa.chunked_array(parts, type=kind)
