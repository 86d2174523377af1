"""A plan at work: one batch after the other, with what must be remembered between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from strongroom.engines.privacy.mask import generalizing, hiding, moving
from strongroom.engines.privacy.mask.arrays import (
    Array,
    as_text,
    each_distinct,
    has_no_text,
    is_number,
    is_text,
)
from strongroom.engines.privacy.mask.keys import require_key, subkey
from strongroom.engines.privacy.mask.policy import MaskPolicy, MaskRule, Method
from strongroom.engines.privacy.mask.standins.maker import Maker
from strongroom.engines.privacy.mask.standins.registry import stand_in
from strongroom.engines.privacy.mask.texts import DATE_TYPES, PREFIX_TYPES, Finder, TextMasker
from strongroom.engines.privacy.mask.tokens import MAX_VALUE_CHARACTERS, TokenVault
from strongroom.engines.privacy.nested import Leaf, leaf_values, replace_leaves


@dataclass(frozen=True, slots=True)
class ColumnMask:
    """What happens to one column, or to one leaf in a column.

    Attributes:
        column: its name, or the path of the leaf.
        domain: what equal values are masked alike within: as the rule says, else type or name.
        reason: in words, for the record and for `explain`.
        leaf: None for a whole column.
        counts: value → how many hold it, for `keep_common`.
    """

    column: str
    rule: MaskRule
    domain: str
    type: str | None
    reason: str
    leaf: Leaf | None = None
    counts: Mapping[str, int] | None = None


class Masker:
    """Masks batches of one table, in their order. Not for several threads."""

    def __init__(
        self,
        masks: Sequence[ColumnMask],
        policy: MaskPolicy,
        key: bytes,
        *,
        subject_column: str | None,
        tokens: TokenVault | None,
        finder: Finder | None,
    ) -> None:
        """The arguments are those of `plan.mask_batches`, taken out of the plan."""
        require_key(key)
        self._masks = masks
        self._policy = policy
        self._key = key
        self._stand_in_key = subkey(key, "stand-in")
        self._subject_column = subject_column
        self._tokens = tokens
        self._finder = finder
        self._remembered: dict[str, dict[str, str | None]] = {}
        self._values_before: dict[str, int] = {}
        self._texts: dict[str, TextMasker] = {}
        self._makers: dict[str, Maker] = {}

    def mask(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch, masked; columns that are dropped are gone."""
        subjects = None
        if self._subject_column is not None:
            subjects = batch.column(self._subject_column)
        inside: dict[Leaf, pa.Array[Any]] = {}
        for mask in self._masks:
            if mask.leaf is not None and mask.rule.method is not Method.KEEP:
                found = leaf_values(batch, mask.leaf)
                whose = (
                    None if subjects is None else subjects.take(pa.array(found.rows, pa.int64()))
                )
                inside[mask.leaf] = _one_array(self._masked(found.values, mask, whose))
        rebuilt = replace_leaves(batch, inside) if inside else batch
        arrays: dict[str, Any] = {}
        names = batch.schema.names
        for mask in self._masks:
            if mask.leaf is not None:
                name = names[mask.leaf.column]
                arrays[name] = rebuilt.column(mask.leaf.column)
            elif mask.rule.method is not Method.DROP:
                arrays[mask.column] = self._masked(batch.column(mask.column), mask, subjects)
        if not arrays:
            # Arrow has no rows without columns; an empty one keeps their number.
            return pa.RecordBatch.from_arrays([pa.nulls(batch.num_rows)], ["hidden"])
        return pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))

    def _masked(
        self, values: "pa.Array[Any]", mask: ColumnMask, subjects: "pa.Array[Any] | None"
    ) -> Array:
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        rule = mask.rule
        if rule.method is Method.KEEP:
            return values
        if rule.method is Method.DROP or has_no_text(values.type):
            return pa.nulls(len(values))  # a leaf cannot be left out, and no method looks inside
        memory = self._remembered.setdefault(mask.column, {})
        match rule.method:
            case Method.PARTIAL:
                return hiding.partial(values, rule, memory)
            case Method.HASH:
                return hiding.keyed_hash(values, self._key, mask.domain, memory)
            case Method.TOKENIZE:
                return self._tokenized(values, mask)
            case Method.KEEP_COMMON:
                return hiding.keep_common(values, mask.counts, rule)
            case Method.SHIFT_DATE if subjects is not None:
                return moving.shift_dates(values, subjects, self._key, rule)
            case Method.NOISE if is_number(values.type):
                before = self._values_before.get(mask.column, 0)
                self._values_before[mask.column] = before + len(values)
                return moving.add_noise(values, rule, self._key, mask.domain, before)
            case Method.STAND_IN:
                if mask.column not in self._makers:
                    self._makers[mask.column] = Maker(self._stand_in_key, rule)
                make = stand_in(self._makers[mask.column], mask.type, mask.domain)
                return each_distinct(as_text(values), make, memory)
            case Method.MASK_SPANS:
                return self._with_masked_spans(values, rule)
            case Method.GENERALIZE:
                return self._generalized(values, mask)
            case _:
                return hiding.redact(values)

    def _generalized(self, values: "pa.Array[Any]", mask: ColumnMask) -> Array:
        rule = mask.rule
        if rule.hierarchy:
            tree = self._policy.hierarchies[rule.hierarchy]
            return generalizing.climb(values, tree, rule.level)
        if is_text(values.type) and mask.type in DATE_TYPES:
            return generalizing.generalize_date_texts(values, rule)
        if is_number(values.type) and mask.type in PREFIX_TYPES:
            return generalizing.generalize(as_text(values), rule)
        if pa.types.is_boolean(values.type) or pa.types.is_time(values.type):
            return hiding.redact(values)
        return generalizing.generalize(values, rule)

    def _tokenized(self, values: "pa.Array[Any]", mask: ColumnMask) -> "pa.Array[Any]":
        encoded = as_text(values).dictionary_encode()
        texts = [str(text) for text in encoded.dictionary.to_pylist()]
        short = [text for text in texts if len(text) <= MAX_VALUE_CHARACTERS]
        drawn: dict[str, str] = {}
        # The schema of a plan is found with an empty batch and no vault.
        if short and self._tokens is not None:
            given = self._tokens.tokens_for(mask.domain, short, mask.rule.form)
            drawn = dict(zip(short, given, strict=True))
        tokens = [drawn.get(text, hiding.REDACTED) for text in texts]
        return pa.array(tokens, pa.string()).take(encoded.indices)

    def _with_masked_spans(self, values: "pa.Array[Any]", rule: MaskRule) -> Array:
        if self._finder is None:
            return hiding.redact(as_text(values))
        place = f"{rule.min_confidence}"
        if place not in self._texts:
            self._texts[place] = TextMasker(
                self._policy, self._key, self._finder,
                tokens=self._tokens, min_confidence=rule.min_confidence,
            )  # fmt: skip
        encoded = as_text(values).dictionary_encode()
        masked = self._texts[place].mask_all([str(text) for text in encoded.dictionary.to_pylist()])
        return pa.array(masked, pa.string()).take(encoded.indices)


def _one_array(values: Array) -> "pa.Array[Any]":
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
