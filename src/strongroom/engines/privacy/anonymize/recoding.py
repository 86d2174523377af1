"""Writing the anonymized table: names of nodes, ranges, sets or means in place of values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.anonymize.coding import Coded, clipped
from strongroom.engines.privacy.anonymize.groups import Node
from strongroom.engines.privacy.anonymize.hierarchy import MISSING, Codes, Hierarchy
from strongroom.engines.privacy.anonymize.recipe import ColumnRole, Recipe

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

MAX_SET = 12
"""Values that a set names; a larger one is written as the node above all of them."""


def generalized(
    table: pa.Table, recipe: Recipe, coded: Coded, node: Node, group: Codes, keys: Codes
) -> pa.Table:
    """The table on the levels `node`, without the rows that are in no group."""
    written = {}
    for at, name in enumerate(coded.names):
        tree = coded.hierarchies[at]
        if node[at] == 0:
            values = clipped(name, table.column(name), recipe.columns[name])
            written[name] = _alike(values, coded.codes[at], len(tree.leaves))
            continue
        written[name] = _named(tree.labels[node[at]], tree.codes[node[at]][coded.codes[at]])
    return _assembled(table, recipe, written, _places(group, keys))


def grouped(table: pa.Table, recipe: Recipe, coded: Coded, group: Codes, keys: Codes) -> pa.Table:
    """The table with each group's range or set of values in place of the values."""
    written = {
        name: _named(*ranges(coded.hierarchies[at], coded.codes[at], group))
        for at, name in enumerate(coded.names)
    }
    return _assembled(table, recipe, written, _places(group, keys))


def averaged(table: pa.Table, recipe: Recipe, coded: Coded, group: Codes, keys: Codes) -> pa.Table:
    """The table with each group's mean in place of numbers, and its median value of all else."""
    written = {}
    sizes = np.bincount(group)
    middle = (np.cumsum(sizes) - sizes) + (sizes - 1) // 2
    for at, name in enumerate(coded.names):
        tree, codes = coded.hierarchies[at], coded.codes[at]
        if tree.positions is not None and MISSING not in tree.index and _is_number(table, name):
            means = np.bincount(group, weights=tree.positions[codes]) / sizes
            written[name] = pa.chunked_array([pa.array(means[group])])
        else:
            by_value = np.lexsort((codes, group))
            written[name] = _named(tree.leaves, codes[by_value[middle]][group])
    return _assembled(table, recipe, written, _places(group, keys))


def _alike(values: "pa.ChunkedArray[Any]", codes: Codes, leaves: int) -> "pa.ChunkedArray[Any]":
    """The values, each as the first of its leaf is written: a blank more would set a row apart."""
    first = np.zeros(leaves, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return values.take(first[codes])


def _is_number(table: pa.Table, name: str) -> bool:
    kind = table.schema.field(name).type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _named(labels: Sequence[str], codes: Codes) -> "pa.ChunkedArray[Any]":
    """Codes as texts; a missing value as null."""
    names: Any = pa.array([None if label == MISSING else label for label in labels], pa.string())
    return pa.chunked_array([names.take(codes)])


def ranges(tree: Hierarchy, codes: Codes, group: Codes) -> tuple[list[str], Codes]:
    """For each row the name of what its group covers in one column: names, and a number a row."""
    pairs = np.unique(group * len(tree.leaves) + codes)
    owner, leaf = pairs // len(tree.leaves), pairs % len(tree.leaves)
    starts = np.flatnonzero(np.append(True, np.diff(owner) > 0))
    ends = np.append(starts[1:], len(owner))
    names: dict[str, int] = {}
    known: dict[bytes, int] = {}
    of_group = np.zeros(int(group.max(initial=0)) + 1, dtype=np.int64)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        inside = leaf[start:end]
        key = inside[[0, -1]].tobytes() if tree.is_ordered else inside.tobytes()
        if key not in known:
            known[key] = names.setdefault(_cover(tree, inside), len(names))
        of_group[owner[start]] = known[key]
    return list(names), of_group[group]


def _cover(tree: Hierarchy, inside: Codes) -> str:
    """The name of some leaves: the value, a range, a node of the tree, or a set."""
    first, last = int(inside[0]), int(inside[-1])
    if first == last:
        return tree.leaves[first]
    if tree.is_ordered:
        return f"{tree.leaves[first]} … {tree.leaves[last]}"
    for level in range(1, tree.height + 1):
        node = tree.codes[level][first]
        if node == tree.codes[level][last]:
            whole = int(np.count_nonzero(tree.codes[level] == node)) == len(inside)
            if whole or len(inside) > MAX_SET:
                return tree.labels[level][int(node)]
            break
    return "{" + ", ".join(tree.leaves[int(one)] for one in inside) + "}"


def _places(group: Codes, keys: Codes) -> Codes:
    """Rows to write, group by group and at random within: their old order could say who is who."""
    order = np.lexsort((keys, group))
    places: Codes = order[group[order] >= 0]
    return places


def _assembled(table: pa.Table, recipe: Recipe, written: dict[str, Any], places: Codes) -> pa.Table:
    """Columns in their old order: recoded, kept, or left out; columns unknown are left out."""
    columns = {}
    for name in table.column_names:
        role = recipe.columns[name].role if name in recipe.columns else ColumnRole.DROP
        if name in written:
            columns[name] = written[name]
        elif role is ColumnRole.SENSITIVE:
            columns[name] = clipped(name, table.column(name), recipe.columns[name])
        elif role is ColumnRole.KEEP:
            columns[name] = table.column(name)
    return pa.table(columns).take(places).combine_chunks()
