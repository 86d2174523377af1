"""From findings and a policy to a plan, and from clear batches to masked ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from strongroom.engines.privacy.discover.findings import ColumnFinding, Shape, TableFindings
from strongroom.engines.privacy.mask.applying import ColumnMask, Masker
from strongroom.engines.privacy.mask.arrays import has_no_text, is_dated, is_number, is_text
from strongroom.engines.privacy.mask.keys import MIN_KEY_BYTES
from strongroom.engines.privacy.mask.policy import REDACT, MaskPolicy, MaskRule, Method
from strongroom.engines.privacy.mask.standins.registry import is_suited
from strongroom.engines.privacy.mask.texts import DATE_TYPES, Finder
from strongroom.engines.privacy.mask.tokens import TokenVault
from strongroom.engines.privacy.nested import Leaf, leaves, plain_schema
from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True)
class MaskPlan:
    """What happens to each column of a table, or to each leaf of it, in its order.

    Attributes:
        subject_column: clear column by which dates are shifted, or None.
        policy: that it follows.
        source: schema of the batches that it was made for.
        schema: of the masked batches; it carries no metadata.
    """

    masks: tuple[ColumnMask, ...]
    subject_column: str | None
    policy: MaskPolicy
    source: pa.Schema
    schema: pa.Schema

    @property
    def clear_columns(self) -> tuple[str, ...]:
        """Columns, and paths in columns, that pass as they are."""
        return tuple(mask.column for mask in self.masks if mask.rule.method is Method.KEEP)

    @property
    def uses_tokens(self) -> bool:
        """True where masking needs a token vault."""
        return any(mask.rule.method is Method.TOKENIZE for mask in self.masks) or (
            self.uses_finder
            and any(rule.method is Method.TOKENIZE for rule in self.policy.all_rules())
        )

    @property
    def uses_finder(self) -> bool:
        """True where texts stay but for what a finder finds in them."""
        return any(mask.rule.method is Method.MASK_SPANS for mask in self.masks)


def plan_masks(
    schema: pa.Schema,
    findings: TableFindings,
    policy: MaskPolicy,
    subject_column: str | None = None,
    *,
    table: str = "",
    counts: Mapping[str, Mapping[str, int]] | None = None,
    columns: Sequence[str] | None = None,
) -> MaskPlan:
    """The plan for tables of `schema`. A column or leaf without a finding is redacted.

    A rule that cannot be obeyed gives way to one that hides more: dates are generalized where no
    subject column is known to shift them by, and what does not fit its method is redacted.

    Args:
        schema: of the whole table, which alone says what a path means: without a column `a.b`,
            the field `b` of a column `a` would have that name.
        findings: of columns, or of leaves by their path.
        policy: what to do.
        subject_column: column that says whom a row is about.
        table: its name, for `[tables.NAME.columns]`.
        counts: from `hiding.count_values`, for `keep_common`; columns that are not in it are
            redacted by that method.
        columns: those that the batches will have, in their order, the subject column among them;
            None for all.
    """
    names = tuple(schema.names if columns is None else columns)
    if subject_column is not None and subject_column not in names:
        raise ValueError("the subject column is not in the schema")
    planner = _Planner(schema, findings, policy, subject_column, table, counts or {})
    masks = tuple(planner.masks(names))
    source = pa.schema([schema.field(name) for name in names])
    plan = MaskPlan(masks, subject_column, policy, source, source)
    empty = pa.RecordBatch.from_arrays(
        [pa.array([], field.type) for field in source], schema=source
    )
    masked = _masker(plan, b"\0" * MIN_KEY_BYTES, None, None).mask(empty)
    return replace(plan, schema=plain_schema(masked.schema))


def mask_batches(
    batches: Iterable[pa.RecordBatch],
    plan: MaskPlan,
    key: bytes,
    *,
    tokens: TokenVault | None = None,
    finder: Finder | None = None,
) -> Iterator[pa.RecordBatch]:
    """The batches as `plan` says, each with `plan.schema`.

    Args:
        batches: with the schema `plan.source`.
        plan: from `plan_masks`.
        key: at least 32 bytes; what is masked under different keys cannot be linked, so give one
            key a purpose (`keys.purpose_key`).
        tokens: a vault of the same purpose, where `plan.uses_tokens`.
        finder: finds personal data in texts, where `plan.uses_finder`; without it such texts are
            redacted.

    Raises:
        ValidationError: the policy draws tokens and there is no vault.
    """
    if plan.uses_tokens and tokens is None:
        raise ValidationError(
            "the mask policy draws tokens, and there is no token vault to keep them",
            next_step="name a token file, or choose another method",
        )
    masker = _masker(plan, key, tokens, finder)
    for batch in batches:
        masked = masker.mask(batch)
        if masked.schema != plan.schema:
            masked = masked.cast(plan.schema)
        yield pa.RecordBatch.from_arrays(masked.columns, schema=plan.schema)


def _masker(plan: MaskPlan, key: bytes, tokens: TokenVault | None, finder: Finder | None) -> Masker:
    return Masker(
        plan.masks, plan.policy, key,
        subject_column=plan.subject_column, tokens=tokens, finder=finder,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Planner:
    """Makes the masks of one table; its fields are the arguments of `plan_masks`."""

    schema: pa.Schema
    findings: TableFindings
    policy: MaskPolicy
    subject_column: str | None
    table: str
    counts: Mapping[str, Mapping[str, int]]

    def masks(self, names: Sequence[str]) -> Iterator[ColumnMask]:
        """The mask of each column named, or of each leaf where something is known of the leaves."""
        by_name = {finding.column: finding for finding in self.findings.columns}
        place = {name: at for at, name in enumerate(names)}
        inside: dict[str, list[Leaf]] = {}
        every = self.schema.names  # a new list each time it is asked for
        for leaf in leaves(self.schema):
            name = every[leaf.column]
            if leaf.is_inside and name in place:
                # From here on it counts the columns of the batches.
                inside.setdefault(name, []).append(replace(leaf, column=place[name]))
        for name in names:
            field = self.schema.field(name)
            parts = inside.get(name, [])
            is_known = any(
                leaf.path in by_name or self.policy.named_rule(leaf.path, self.table)
                for leaf in parts
            )
            if is_known and self.policy.named_rule(field.name, self.table) is None:
                for leaf in parts:
                    yield self._mask(leaf.path, leaf.type, by_name.get(leaf.path), leaf)
            else:
                yield self._mask(field.name, field.type, by_name.get(field.name), None)

    def _mask(
        self, name: str, kind: pa.DataType, finding: ColumnFinding | None, leaf: Leaf | None
    ) -> ColumnMask:
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        type_name = finding.type if finding is not None else None
        rule, reason = self._rule(name, finding)
        rule, amended = self._fitting(name, kind, type_name, rule)
        if amended:
            reason += f"; {amended}"
        counts = self.counts.get(name) if rule.method is Method.KEEP_COMMON else None
        return ColumnMask(
            name, rule, rule.domain or type_name or name, type_name, reason, leaf, counts
        )

    def _rule(self, name: str, finding: ColumnFinding | None) -> tuple[MaskRule, str]:
        if finding is None:
            return self.policy.named_rule(name, self.table) or (REDACT, "never looked at")
        rule, reason = self.policy.rule_for(finding, self.table)
        is_named = self.policy.named_rule(name, self.table) is not None
        if (
            rule.method in (Method.KEEP, Method.KEEP_COMMON)
            and finding.profile.shape is Shape.EMPTY
            and not is_named
        ):
            # The sample was empty; the rest of the table need not be.
            return REDACT, "nothing was there to look at"
        return rule, reason

    def _fitting(
        self, name: str, kind: pa.DataType, type_name: str | None, rule: MaskRule
    ) -> tuple[MaskRule, str]:
        """The rule, or one that hides more where it does not fit; and in words why."""
        method = rule.method
        is_date = is_dated(kind) or (is_text(kind) and type_name in DATE_TYPES)
        if method is Method.SHIFT_DATE and is_date and self.subject_column is None:
            return replace(rule, method=Method.GENERALIZE), "no subject column to shift by"
        if method in (Method.KEEP, Method.DROP, Method.REDACT):
            return rule, ""
        if has_no_text(kind):
            return REDACT, f"`{method}` does not look into {_kind_name(kind)}"
        fits = {
            Method.NOISE: is_number(kind),
            Method.SHIFT_DATE: is_date,
            Method.KEEP_COMMON: is_text(kind) and name in self.counts,
            Method.MASK_SPANS: is_text(kind),
            Method.STAND_IN: is_suited(type_name),
            Method.GENERALIZE: bool(rule.hierarchy)
            or not (pa.types.is_boolean(kind) or pa.types.is_time(kind)),
        }.get(method, True)
        if fits:
            return rule, ""
        if method is Method.KEEP_COMMON and is_text(kind):
            return REDACT, "its values are many, or long, or nobody counted them"
        return REDACT, f"`{method}` does not fit {type_name or _kind_name(kind)}"


def _kind_name(kind: pa.DataType) -> str:
    """A type of Arrow in words, without what is inside it."""
    return "nested values" if pa.types.is_nested(kind) else f"values of type {kind}"
