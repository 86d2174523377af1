"""Which columns of a version a reader gets, and what is done to them (ADR 0012)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.text.finder import TextFinder, text_finder
from strongroom.engines.privacy.mask.plan import MaskPlan, mask_batches, plan_masks
from strongroom.engines.privacy.mask.tokens import TokenVault
from strongroom.errors import NotFoundError, TableError, ValidationError
from strongroom.services.data.catalog import Held
from strongroom.services.data.types import View


@dataclass(frozen=True, slots=True)
class ChosenView:
    """A view made ready.

    Attributes:
        schema: of what is given out.
        read_columns: columns to decrypt, in the order wanted.
        plan: how they are masked; None for the clear view.
        clear_columns: columns that pass unchanged.
        types: of the workspace's own, which texts are searched for too.
    """

    schema: pa.Schema
    read_columns: tuple[str, ...]
    plan: MaskPlan | None
    clear_columns: tuple[str, ...]
    types: tuple[CustomType, ...] = ()


def choose(held: Held, stored: pa.Schema, view: View, columns: list[str]) -> ChosenView:
    """The view of `columns` (all where none is named) of a table stored with schema `stored`.

    Raises:
        NotFoundError: there is no such column.
        ValidationError: a column is named twice.
        TableError: masking leaves no column.
    """
    if len(set(columns)) != len(columns):
        raise ValidationError("a column is named twice")
    if missing := [name for name in columns if name not in stored.names]:
        raise NotFoundError(f"the dataset has no column `{missing[0]}`")
    wanted = columns or stored.names
    if view is View.CLEAR:
        schema = pa.schema([stored.field(name) for name in wanted])
        return ChosenView(schema, tuple(wanted), None, tuple(wanted))
    subject = held.record.subject_column or None
    read = list(wanted)
    if subject is not None and subject not in wanted:
        # Read, so that dates can be shifted by it, and left out of the answer.
        read.append(subject)
    # Findings and policy speak of the whole table: what a reader leaves out renames nothing.
    plan = plan_masks(
        stored, held.findings, held.policy.policy, subject,
        table=held.dataset.name, counts=held.record.counts, columns=read,
    )  # fmt: skip
    given = [name for name in wanted if name in plan.schema.names]
    if not given:
        raise TableError("masked views leave out every column that was asked for")
    # A path in a column stands for itself.
    left_out = set(read) - set(given)
    clear = tuple(name for name in plan.clear_columns if name not in left_out)
    masked = pa.schema([plan.schema.field(name) for name in given])
    return ChosenView(masked, tuple(read), plan, clear, held.types.types)


def apply(
    chosen: ChosenView,
    batches: Iterator[pa.RecordBatch],
    key: bytes,
    tokens: TokenVault | None = None,
) -> Iterator[pa.RecordBatch]:
    """The batches as the view shows them; `tokens` where the policy draws some."""
    if chosen.plan is None:
        yield from batches
        return
    finder = _finder(chosen.types) if chosen.plan.uses_finder else None
    for batch in mask_batches(batches, chosen.plan, key, tokens=tokens, finder=finder):
        yield batch.select(chosen.schema.names)


@lru_cache(maxsize=8)
def _finder(types: tuple[CustomType, ...]) -> TextFinder:
    """What finds personal data in texts; made at the first need, for it loads its lists."""
    return text_finder(custom=types)
