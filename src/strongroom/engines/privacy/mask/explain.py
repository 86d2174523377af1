"""What a plan would do, told on a few rows. It shows clear values: for who may see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from strongroom.engines.privacy.mask.applying import ColumnMask
from strongroom.engines.privacy.mask.hiding import RARE
from strongroom.engines.privacy.mask.plan import MaskPlan, mask_batches
from strongroom.engines.privacy.mask.policy import OPTIONS, MaskRule, Method
from strongroom.engines.privacy.mask.texts import Finder
from strongroom.engines.privacy.mask.tokens import TokenFile
from strongroom.engines.privacy.nested import leaf_values, values_in

MAX_ROWS = 10
MAX_SHOWN_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """What a method leaves of values.

    Attributes:
        keeps: what stays, in words.
        reversible: who can turn the values back.
        linkable: where equal values can still be seen to be equal.
    """

    keeps: str
    reversible: str
    linkable: str


_NOT = "no"
_UNDER_KEY = "under one key and domain"

FACTS: Mapping[Method, MethodFacts] = {
    Method.KEEP: MethodFacts("everything", "it is clear", "everywhere"),
    Method.KEEP_COMMON: MethodFacts(
        f"values that many rows hold; `{RARE}` for the others",
        "common ones are clear", "everywhere",
    ),
    Method.REDACT: MethodFacts("that there is a value, in texts", _NOT, _NOT),
    Method.PARTIAL: MethodFacts(
        "some characters, the length and the separators", _NOT, "where the rest is alike"
    ),
    Method.HASH: MethodFacts("which values are equal", _NOT, _UNDER_KEY),
    Method.TOKENIZE: MethodFacts(
        "which values are equal; with form = \"same\" also the form",
        "with the token vault, by a permission of its own", "in one vault and domain",
    ),
    Method.GENERALIZE: MethodFacts("a coarser value", _NOT, "everywhere, among many"),
    Method.SHIFT_DATE: MethodFacts(
        "distances between the dates of one subject", "by who knows one true date of the subject",
        "within one subject",
    ),
    Method.NOISE: MethodFacts(
        "the size of a number; it is not differential privacy", _NOT,
        "under one key, where equal values move alike",
    ),
    Method.STAND_IN: MethodFacts(
        "the kind and form of a value, and how often it occurs", _NOT, _UNDER_KEY
    ),
    Method.MASK_SPANS: MethodFacts(
        "the text, and whatever the finder missed in it", "by its rules for spans",
        "by its rules for spans",
    ),
    Method.DROP: MethodFacts("nothing", _NOT, _NOT),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnExplained:
    """One column, or one leaf of a column.

    Attributes:
        options: of the method, as far as the policy sets them.
        facts: what the method leaves.
        before, after: as texts, cut at `MAX_SHOWN_CHARACTERS`; None for a missing value. Of a
            leaf in a list, its first values in the rows. `after` is empty for a dropped column.
    """

    column: str
    type: str | None
    method: Method
    options: Mapping[str, str | int | float | bool]
    reason: str
    facts: MethodFacts
    before: tuple[str | None, ...]
    after: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a plan would do to a table; `rows` are the rows it was tried on."""

    columns: tuple[ColumnExplained, ...]
    rows: int


def explain(
    plan: MaskPlan, sample: pa.Table, key: bytes, *, finder: Finder | None = None
) -> Explanation:
    """What `plan` does to the first `MAX_ROWS` rows of `sample`.

    Tokens are drawn for this only, and not kept: later ones will be others.

    Args:
        plan: for tables of the sample's schema.
        sample: some rows.
        key: as for masking; then all but the tokens is as it will be.
        finder: as for masking.
    """
    few = sample.slice(0, MAX_ROWS).cast(plan.source).combine_chunks()
    batches = few.to_batches()
    before = (
        batches[0]
        if batches
        else pa.RecordBatch.from_arrays(
            [pa.array([], f.type) for f in few.schema], schema=few.schema
        )
    )
    [after] = mask_batches([before], plan, key, tokens=TokenFile(), finder=finder)
    return Explanation(
        tuple(_explained(mask, before, after) for mask in plan.masks), before.num_rows
    )


def _explained(mask: ColumnMask, before: pa.RecordBatch, after: pa.RecordBatch) -> ColumnExplained:
    if mask.leaf is not None:
        clear = leaf_values(before, mask.leaf).values
        name = before.schema.names[mask.leaf.column]
        masked = _leaf_after(mask, after, name)
    else:
        clear = before.column(mask.column)
        masked = after.column(mask.column) if mask.column in after.schema.names else None
    return ColumnExplained(
        mask.column, mask.type, mask.rule.method, set_options(mask.rule), mask.reason,
        FACTS[mask.rule.method], _shown(clear), () if masked is None else _shown(masked),
    )  # fmt: skip


def _leaf_after(mask: ColumnMask, after: pa.RecordBatch, name: str) -> "pa.Array[Any] | None":
    """The values of the leaf's place in the masked batch, whose columns may have moved."""
    if name not in after.schema.names or mask.leaf is None:
        return None
    return values_in(after.column(name), mask.leaf).values


def set_options(rule: MaskRule) -> dict[str, str | int | float | bool]:
    """The options that the method of a rule takes, with their values."""
    return {
        name: getattr(rule, name)
        for name, option in OPTIONS.items()
        if rule.method in option.methods
    }


def _shown(values: "pa.Array[Any]") -> tuple[str | None, ...]:
    return tuple(
        None if value is None else str(value)[:MAX_SHOWN_CHARACTERS]
        for value in values[:MAX_ROWS].to_pylist()
    )
