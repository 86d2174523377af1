"""Tables and hierarchies for the tests of anonymization."""

import itertools
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from hypothesis import strategies as st

from strongroom.engines.privacy.anonymize.criteria import Demands
from strongroom.engines.privacy.anonymize.groups import Groups, Node, RollUp, base_groups
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy, hierarchy_from_rows
from strongroom.engines.privacy.anonymize.recipe import ColumnRecipe, ColumnRole, Tree

draw = os.urandom


def tree(column: str, fans: tuple[int, ...]) -> Hierarchy:
    """A hierarchy with so many children a node, from the top down; nothing above one value."""
    rows = []
    for path in itertools.product(*(range(fan) for fan in fans)):
        names = ["".join(map(str, path[:depth])) for depth in range(len(path), 0, -1)]
        rows.append([f"{column}{len(name)}:{name}" for name in names] + ["*"])
    return hierarchy_from_rows(column, rows)


@st.composite
def small_tables(draw_: st.DrawFn) -> tuple[list[Codes], list[Hierarchy], Codes]:
    """Two or three quasi-identifiers of few values, and a sensitive column of up to four."""
    shapes = draw_(
        st.lists(st.sampled_from([(2,), (3,), (2, 2), (3, 2), (2, 2, 2)]), min_size=2, max_size=3)
    )
    trees = [tree(f"q{at}", fans) for at, fans in enumerate(shapes)]
    rows = draw_(st.integers(4, 24))
    codes = [
        np.array(draw_(st.lists(st.integers(0, len(one.leaves) - 1), min_size=rows, max_size=rows)))
        for one in trees
    ]
    sensitive = np.array(draw_(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)))
    return codes, trees, sensitive


def grouped(codes: list[Codes], trees: list[Hierarchy], sensitive: Codes) -> tuple[RollUp, Groups]:
    """The base groups of a small table whose sensitive column is `s`."""
    return RollUp(trees), base_groups(codes, trees, {"s": (sensitive, 4)})[0]


def nodes(trees: list[Hierarchy]) -> list[Node]:
    """Every point of the lattice."""
    return list(itertools.product(*(range(one.height + 1) for one in trees)))


def naive_groups(
    codes: list[Codes], trees: list[Hierarchy], node: Node
) -> dict[tuple[int, ...], list[int]]:
    """Rows by their generalized values, the plain way."""
    found: dict[tuple[int, ...], list[int]] = {}
    for row in range(len(codes[0])):
        key = tuple(
            int(one.codes[level][column[row]])
            for one, level, column in zip(trees, node, codes, strict=True)
        )
        found.setdefault(key, []).append(row)
    return found


def naive_bad(
    codes: list[Codes], trees: list[Hierarchy], sensitive: Codes, node: Node, demands: Demands
) -> list[int]:
    """Rows of groups that fail a demand, one group at a time."""
    from strongroom.engines.privacy.anonymize.criteria import Sizes

    bad: list[int] = []
    for rows in naive_groups(codes, trees, node).values():
        size = np.array([len(rows)])
        counts = np.bincount(sensitive[rows], minlength=4)[None, :].astype(np.float64)
        fails = any(one.excess(Sizes(size, size[:0]))[0] > 0 for one in demands.sizes)
        fails |= any(one.excess(counts, size)[0] > 0 for one in demands.values)
        if fails:
            bad += rows
    return bad


def adult(folder: Path) -> tuple[pa.Table, dict[str, str]]:
    """The Adult table and its published hierarchies, by file name."""
    table = pyarrow.csv.read_csv(
        folder / "adult" / "adult.csv", parse_options=pyarrow.csv.ParseOptions(delimiter=";")
    )
    files = {one.name: one.read_text() for one in (folder / "adult").glob("adult_hierarchy_*.csv")}
    return table, files


def adult_columns(table: pa.Table, sensitive: str = "") -> dict[str, ColumnRecipe]:
    """All columns quasi-identifiers, save one."""
    return {
        name: ColumnRecipe(
            ColumnRole.SENSITIVE if name == sensitive else ColumnRole.QUASI,
            Tree.FILE,
            f"adult_hierarchy_{name}.csv",
        )
        for name in table.column_names
    }
