"""From findings and a policy to a plan, and from clear batches to masked ones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from strongroom.engines.privacy.discover.findings import Shape, TableFindings
from strongroom.engines.privacy.mask import methods
from strongroom.engines.privacy.mask.policy import REDACT, MaskPolicy, MaskRule, Method

_DATE_TYPES = frozenset({"date_of_birth", "date"})
_CODE_TYPES = frozenset({"postcode"})


@dataclass(frozen=True, slots=True)
class ColumnMask:
    """What happens to one column.

    Attributes:
        domain: what keyed hashes of this column are separate by: its type, or its name.
        reason: in words, for the record and for `explain`.
    """

    column: str
    rule: MaskRule
    domain: str
    type: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class MaskPlan:
    """What happens to each column of a table, in its order.

    Attributes:
        subject_column: clear column by which dates are shifted, or None.
        schema: of the masked batches.
    """

    masks: tuple[ColumnMask, ...]
    subject_column: str | None
    schema: pa.Schema

    @property
    def clear_columns(self) -> tuple[str, ...]:
        """Columns that pass as they are."""
        return tuple(mask.column for mask in self.masks if mask.rule.method is Method.KEEP)


def plan_masks(
    schema: pa.Schema,
    findings: TableFindings,
    policy: MaskPolicy,
    subject_column: str | None = None,
) -> MaskPlan:
    """The plan for tables of `schema`. A column without a finding is redacted.

    Where dates should be shifted and no subject column is known, they are generalized instead.
    """
    by_name = {finding.column: finding for finding in findings.columns}
    if subject_column is not None and subject_column not in schema.names:
        raise ValueError("the subject column is not in the schema")
    masks = []
    for field in schema:
        finding = by_name.get(field.name)
        if finding is None:
            masks.append(ColumnMask(field.name, REDACT, field.name, None, "never looked at"))
            continue
        rule, reason = policy.rule_for(finding)
        if rule.method is Method.SHIFT_DATE and (
            subject_column is None or not methods.is_dated(field.type)
        ):
            rule = replace(rule, method=Method.GENERALIZE)
            reason += "; no subject column to shift by"
        if rule.method is Method.KEEP and finding.profile.shape is Shape.EMPTY:
            # The sample was empty; the rest of the table need not be.
            rule, reason = REDACT, "nothing was there to look at"
        masks.append(ColumnMask(field.name, rule, finding.type or field.name, finding.type, reason))
    plan = MaskPlan(tuple(masks), subject_column, schema)
    empty = pa.RecordBatch.from_arrays(
        [pa.array([], field.type) for field in schema], schema=schema
    )
    masked = _mask_columns(empty, plan, b"\0" * methods.MIN_KEY_BYTES)
    return replace(plan, schema=masked.schema)


def mask_batches(
    batches: Iterable[pa.RecordBatch], plan: MaskPlan, key: bytes
) -> Iterator[pa.RecordBatch]:
    """The batches as `plan` says, each with `plan.schema`.

    Args:
        batches: with the schema that `plan` was made for.
        plan: from `plan_masks`.
        key: at least 32 bytes; hashes and shifts made under different keys cannot be linked, so
            give one key a purpose.
    """
    if len(key) < methods.MIN_KEY_BYTES:
        raise ValueError(f"a mask key has at least {methods.MIN_KEY_BYTES} bytes")
    for batch in batches:
        yield _mask_columns(batch, plan, key).cast(plan.schema)


def _mask_columns(batch: pa.RecordBatch, plan: MaskPlan, key: bytes) -> pa.RecordBatch:
    names: list[str] = []
    arrays: list[Any] = []  # the stubs want arrays of one type
    subjects = batch.column(plan.subject_column) if plan.subject_column is not None else None
    for mask in plan.masks:
        if mask.rule.method is Method.DROP:
            continue
        names.append(mask.column)
        arrays.append(_masked(batch.column(mask.column), mask, subjects, key))
    if not names:
        # Arrow has no rows without columns; an empty one keeps their number.
        return pa.RecordBatch.from_arrays([pa.nulls(batch.num_rows)], ["hidden"])
    return pa.RecordBatch.from_arrays(arrays, names)


def _masked(
    values: "pa.Array[Any]", mask: ColumnMask, subjects: "pa.Array[Any] | None", key: bytes
) -> methods.Array:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    rule = mask.rule
    if rule.method is Method.KEEP:
        return values
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        return pa.nulls(len(values))  # no method looks inside
    if rule.method is Method.PARTIAL:
        return methods.partial(values, rule)
    if rule.method is Method.HASH:
        return methods.keyed_hash(values, key, mask.domain)
    if rule.method is Method.SHIFT_DATE and subjects is not None:
        return methods.shift_dates(values, subjects, key, rule)
    if rule.method is Method.GENERALIZE:
        if methods.is_text(values.type) and mask.type in _DATE_TYPES:
            return methods.year_of_text(values)
        if methods.is_number(values.type) and mask.type in _CODE_TYPES:
            return methods.digits_generalized(values, rule)
        if pa.types.is_boolean(values.type) or pa.types.is_time(values.type):
            return methods.redact(values)
        return methods.generalize(values, rule)
    return methods.redact(values)
