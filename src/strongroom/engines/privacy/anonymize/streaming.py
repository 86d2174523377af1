"""Tables larger than memory: combinations are counted in one pass, rows recoded in another.

What must fit into memory are the distinct combinations of quasi-identifiers and sensitive values,
as whole numbers, not the rows. Only the global recoding works so; rows keep the order in which
their batches came and are mixed within a batch.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.anonymize.coding import (
    Coded,
    Sensitive,
    Texts,
    clipped,
    hierarchy_of,
    texts_of,
)
from strongroom.engines.privacy.anonymize.demands import demands_of, promise_of, require_possible
from strongroom.engines.privacy.anonymize.groups import (
    Node,
    RollUp,
    base_groups,
    close_numbers,
    judged,
    numbered,
)
from strongroom.engines.privacy.anonymize.hierarchy import MISSING, Codes, Hierarchy, codes_of
from strongroom.engines.privacy.anonymize.lattice import Found, Watch, search
from strongroom.engines.privacy.anonymize.objective import objective_of, weights_of
from strongroom.engines.privacy.anonymize.recipe import ColumnRole, Recipe, Recoding
from strongroom.engines.privacy.anonymize.running import in_time, nothing_found
from strongroom.engines.privacy.anonymize.verify import Promise, Proof, Verifier, value_counts
from strongroom.errors import TableError, TooLargeError, ValidationError

MAX_COMBINATIONS = 50_000_000
_MERGE_ROWS = 2_000_000


class Counting:
    """The first pass: distinct combinations with their rows."""

    def __init__(self, recipe: Recipe, *, most: int = MAX_COMBINATIONS) -> None:
        if recipe.method.recoding is not Recoding.GLOBAL:
            raise ValidationError(
                "a table larger than memory has the global recoding only",
                next_step="leave out --method, or anonymize a part of the table",
            )
        self._recipe = recipe
        self._most = most
        self.quasi = recipe.of_role(ColumnRole.QUASI)
        self.sensitive = recipe.of_role(ColumnRole.SENSITIVE)
        self._names = (*self.quasi, *self.sensitive)
        self._index: list[dict[str, int]] = [{} for _ in self._names]
        self._parts: list[list[Codes]] = [[] for _ in self._names]
        self._times: list[Codes] = []
        self._waiting = 0
        self.wholes: dict[str, dict[str, int]] = {name: {} for name in self.sensitive}
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch. Raises: TooLargeError, ValidationError."""
        if not batch.num_rows:
            return
        for at, name in enumerate(self._names):
            column = self._column(batch, name)
            texts = texts_of(name, column)
            index = self._index[at]
            to = np.array([index.setdefault(value, len(index)) for value in texts.values])
            self._parts[at].append(to[texts.codes])
            if name in self.wholes:
                whole = self.wholes[name]
                found = value_counts(pa.table({name: column}).to_batches(), name)
                for value, times in found.items():
                    whole[value] = whole.get(value, 0) + times
        self._times.append(np.ones(batch.num_rows, dtype=np.int64))
        self.rows += batch.num_rows
        self._waiting += batch.num_rows
        if self._waiting >= _MERGE_ROWS:
            self._merge()

    def _column(self, batch: pa.RecordBatch, name: str) -> "pa.ChunkedArray[Any]":
        if name not in batch.schema.names:
            raise ValidationError(f"the table has no column `{name[:100]}`")
        values = pa.chunked_array([batch.column(name)])
        return clipped(name, values, self._recipe.columns[name])

    def _merge(self) -> None:
        columns = [np.concatenate(parts) for parts in self._parts]
        times = np.concatenate(self._times)
        ids, count = close_numbers(*numbered(columns, [len(index) for index in self._index]))
        if count > self._most:
            raise TooLargeError(
                f"the table has more than {self._most:,} combinations of values",
                next_step="drop a column, or cut numbers at a bound or to fewer digits",
            )
        somewhere = np.zeros(count, dtype=np.int64)
        somewhere[ids] = np.arange(len(ids))
        self._parts = [[column[somewhere]] for column in columns]
        self._times = [np.bincount(ids, weights=times, minlength=count).astype(np.int64)]
        self._waiting = 0

    def coded(self, files: Mapping[str, str]) -> Coded:
        """What was counted, as codes. Raises: ValidationError."""
        require_possible(self._recipe, self.rows, has_population=False)
        self._merge()
        times = self._times[0]
        trees, codes, sensitive = [], [], {}
        for at, name in enumerate(self._names):
            values, found = tuple(self._index[at]), self._parts[at][0]
            counts = np.bincount(found, weights=times, minlength=len(values)).astype(np.int64)
            texts = Texts(values, found, counts)
            tree = hierarchy_of(name, texts, self._recipe.columns[name], files)
            leaves = codes_of(tree, values)[found]
            if at < len(self.quasi):
                trees.append(tree)
                codes.append(leaves)
            else:
                sensitive[name] = Sensitive(leaves, tree)
        return Coded(self.quasi, tuple(trees), tuple(codes), sensitive, self.rows, times)


@dataclass(frozen=True)
class Plan:
    """How the rows of the second pass are written.

    Attributes:
        bad: keys of groups that are suppressed, ascending.
        suppressed: rows of them.
    """

    recipe: Recipe
    names: tuple[str, ...]
    trees: tuple[Hierarchy, ...]
    node: Node
    found: Found
    bad: Codes
    suppressed: int
    promise: Promise

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the hierarchies, in words without values."""
        return tuple(
            f"`{name}`: {tree.note}"
            for name, tree in zip(self.names, self.trees, strict=True)
            if tree.note
        )

    def recoded(
        self, batches: Iterable[pa.RecordBatch], draw: Callable[[int], bytes], proofs: list[Proof]
    ) -> Iterator[pa.RecordBatch]:
        """The rows of the second pass; whoever writes them keeps nothing if the end raises.

        Args:
            proofs: gets the proof after the last row.

        Raises:
            TableError: a value that the first pass did not see.
            InternalError: after the last row, where a promise does not hold.
        """
        verifier = Verifier(self.promise)
        for batch in batches:
            if batch.num_rows:
                written = self._batch(batch, draw)
                verifier.add_batch(written)
                yield written
        proof = verifier.proof()
        proof.require()
        proofs.append(proof)

    def _batch(self, batch: pa.RecordBatch, draw: Callable[[int], bytes]) -> pa.RecordBatch:
        levels, written = [], {}
        for at, name in enumerate(self.names):
            tree, level = self.trees[at], self.node[at]
            values = clipped(
                name, pa.chunked_array([batch.column(name)]), self.recipe.columns[name]
            )
            texts = texts_of(name, values)
            try:
                leaves = codes_of(tree, texts.values)[texts.codes]
            except ValidationError:
                raise TableError("the table has changed while it was read") from None
            levels.append(tree.codes[level][leaves])
            names: Any = pa.array(
                [None if label == MISSING else label for label in tree.labels[level]], pa.string()
            )
            written[name] = names.take(levels[-1])
            if level == 0:
                # From the label and not as it came: a blank more would set a row apart.
                written[name] = _cast(name, written[name], values.type)
        keys = _keys(self.trees, self.node, levels)
        place = np.minimum(np.searchsorted(self.bad, keys), max(len(self.bad) - 1, 0))
        kept = self.bad[place] != keys if len(self.bad) else np.ones(len(keys), dtype=np.bool_)
        order = np.argsort(np.frombuffer(draw(8 * batch.num_rows), dtype=np.int64))
        return self._assembled(batch, written).take(order[kept[order]])

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """The schema of the rows that are written, from that of the rows as they came."""
        empty = pa.RecordBatch.from_pylist([], schema=schema)
        return self._batch(empty, lambda _size: b"").schema

    def _assembled(self, batch: pa.RecordBatch, written: dict[str, Any]) -> pa.RecordBatch:
        columns: dict[str, Any] = {}
        for name in batch.schema.names:
            column = self.recipe.columns.get(name)
            if name in written:
                columns[name] = written[name]
            elif column is not None and column.role is ColumnRole.SENSITIVE:
                values = pa.chunked_array([batch.column(name)])
                columns[name] = pa.concat_arrays(clipped(name, values, column).chunks)
            elif column is not None and column.role is ColumnRole.KEEP:
                columns[name] = batch.column(name)
        return pa.RecordBatch.from_pydict(columns)


def _cast(name: str, labels: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 # Arrow arrays
    try:
        return labels.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ValidationError(
            f"`{name}` is of type {kind}, whose values cannot be written in passes",
            next_step="turn it into text first",
        ) from None


def _keys(trees: tuple[Hierarchy, ...], node: Node, levels: list[Codes]) -> Codes:
    """A number for each combination, the same in every batch."""
    total = np.zeros(len(levels[0]), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for tree, level, codes in zip(trees, node, levels, strict=True):
            total = total * np.uint64(len(tree.labels[level])) + codes.astype(np.uint64)
    return total.astype(np.int64)


def planned(
    counting: Counting, recipe: Recipe, files: Mapping[str, str], *,
    watch: Watch | None = None, clock: Callable[[], float] = time.monotonic,
) -> Plan:  # fmt: skip
    """The best table for what was counted, found within the recipe's seconds.

    Args: as of `running.anonymize`. Raises: ValidationError, as there.
    """
    coded = counting.coded({**files, **recipe.files})
    demands = demands_of(recipe, coded)
    asked = {name: (column.codes, len(column.hierarchy.leaves))
             for name, column in coded.sensitive.items() if name in demands.columns}  # fmt: skip
    base, _ = base_groups(coded.codes, coded.hierarchies, asked, times=coded.times)
    roll = RollUp(coded.hierarchies)
    weights = weights_of(coded.names, {name: recipe.columns[name].weight for name in coded.names})
    objective = objective_of(recipe.method.measure, coded.hierarchies, base, weights)
    found = search(roll, base, demands, objective, watch=in_time(recipe, watch, clock))
    if found.node is None:
        raise nothing_found(base, coded, demands, found)
    size = 1
    for tree, level in zip(coded.hierarchies, found.node, strict=True):
        size *= len(tree.labels[level])
    if size >= 1 << 63:
        raise TooLargeError("the columns have too many combinations to be told apart by number")
    ids, count = roll.ids(base, found.node)
    verdict = judged(base, ids, count, demands, coded.rows)
    which = np.flatnonzero(verdict.is_bad[ids])
    levels = [tree.codes[level][codes[which]] for tree, level, codes in zip(
        coded.hierarchies, found.node, base.codes, strict=True)]  # fmt: skip
    bad = np.unique(_keys(coded.hierarchies, found.node, levels))
    return Plan(recipe, coded.names, coded.hierarchies, found.node, found, bad, verdict.bad_rows,
                promise_of(recipe, coded, counting.wholes))  # fmt: skip
