"""Anonymizing one table: coded, searched or cut, written, counted again."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.anonymize import recoding
from strongroom.engines.privacy.anonymize.coding import Coded, clipped, coded_table, texts_of
from strongroom.engines.privacy.anonymize.criteria import Demands
from strongroom.engines.privacy.anonymize.demands import (
    demands_of,
    promise_of,
    require_possible,
)
from strongroom.engines.privacy.anonymize.groups import (
    Groups,
    Node,
    RollUp,
    base_groups,
    close_numbers,
    judged,
)
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Shares, codes_of
from strongroom.engines.privacy.anonymize.lattice import Found, Progress, Watch, search
from strongroom.engines.privacy.anonymize.local import cut_into_groups, rows_of
from strongroom.engines.privacy.anonymize.microaggregation import microaggregated
from strongroom.engines.privacy.anonymize.objective import objective_of, weights_of
from strongroom.engines.privacy.anonymize.recipe import Recipe, Recoding
from strongroom.engines.privacy.anonymize.verify import (
    Proof,
    value_counts,
    value_text,
    verify_table,
)
from strongroom.errors import ValidationError


@dataclass(frozen=True)
class Outcome:
    """An anonymized table and what is known about it.

    Attributes:
        table: what may be written.
        coded: the table as it came, as codes.
        group: group of each row of the table as it came; -1 where it was suppressed.
        found: of the search; None where groups were cut.
        people: of each row, how many people of the population have its values as they came and as
            they are written; None without a population.
        proof: of the verification.
        remarks: safe choices that were made, in words without values.
    """

    table: pa.Table
    recipe: Recipe
    coded: Coded
    group: Codes
    found: Found | None
    proof: Proof
    remarks: tuple[str, ...]
    people: tuple[Codes, Codes] | None = None

    @property
    def suppressed(self) -> int:
        """Rows left out."""
        return int(np.count_nonzero(self.group < 0))


def anonymize(
    table: pa.Table,
    recipe: Recipe,
    *,
    draw: Callable[[int], bytes],
    files: Mapping[str, str] | None = None,
    population: pa.Table | None = None,
    watch: Watch | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """The table anonymized as the recipe says, verified.

    Args:
        draw: gives so many random bytes, as `os.urandom`: rows of a group are written in an order
            that says nothing.
        files: texts of hierarchy files by name, beside those that the recipe holds.
        population: everybody of whom the table may be a part, with the same quasi-identifiers.
        watch: told of a search; may end it with the best table so far.
        clock: seconds; for the recipe's limit.

    Raises:
        ValidationError: the recipe does not fit the table, or no table fulfils its demands.
        InternalError: the verification counted otherwise than the search; nothing is given out.
    """
    _require_columns(table, recipe)
    require_possible(recipe, table.num_rows, has_population=population is not None)
    coded = coded_table(table, recipe, {**(files or {}), **recipe.files}, population)
    demands = demands_of(recipe, coded)
    remarks = _remarks(table, recipe, coded)
    found, shared, named_people = None, None, None
    keys = np.frombuffer(draw(8 * table.num_rows), dtype=np.int64)
    if recipe.method.recoding is Recoding.GLOBAL:
        people = _population(population, recipe, coded) if population is not None else None
        found, group, shared = _searched(recipe, coded, demands, people, watch, clock)
        assert found.node is not None  # noqa: S101 # refused before
        if population is not None:
            named_people = _named_people(population, recipe, coded, found.node)
        written = recoding.generalized(table, recipe, coded, found.node, group, keys)
    else:
        group = _cut(recipe, coded, demands)
        write = recoding.grouped if recipe.method.recoding is Recoding.LOCAL else recoding.averaged
        written = write(table, recipe, coded, group, keys)
    proof = verified(table, written, recipe, coded, named_people)
    return Outcome(written, recipe, coded, group, found, proof, remarks, shared)


def verified(
    table: pa.Table, written: pa.Table, recipe: Recipe, coded: Coded,
    people: dict[tuple[str, ...], int] | None = None,
) -> Proof:  # fmt: skip
    """Count the written table anew. Raises: InternalError where a promise does not hold.

    Args:
        people: of the population, by what stands for their values in the table.
    """
    wholes = {}
    for name in coded.sensitive:
        values = clipped(name, table.column(name), recipe.columns[name])
        wholes[name] = value_counts(pa.table({name: values}).to_batches(), name)
    promise = promise_of(recipe, coded, wholes, people)
    proof = verify_table(written.combine_chunks().to_batches(), promise)
    proof.require()
    return proof


def _require_columns(table: pa.Table, recipe: Recipe) -> None:
    if len(set(table.column_names)) < len(table.column_names):
        raise ValidationError("the table has two columns of one name")
    missing = [name for name in recipe.columns if name not in table.column_names]
    if missing:
        raise ValidationError(f"the table has no column `{missing[0][:100]}`")


def _remarks(table: pa.Table, recipe: Recipe, coded: Coded) -> tuple[str, ...]:
    said = [
        f"`{name}` is not in the recipe: left out"
        for name in table.column_names
        if name not in recipe.columns
    ]
    for name, tree, codes in zip(coded.names, coded.hierarchies, coded.codes, strict=True):
        there = len(np.unique(codes))
        if there <= 1:
            said.append(f"`{name}` is the same in all rows: it sets nobody apart")
        elif there == coded.rows:
            said.append(f"`{name}` is different in every row: expect it to be hidden")
        if tree.height == 1 and there > 50:
            said.append(f"`{name}` has {there} values and no levels between them and `*`")
        if tree.note:
            said.append(f"`{name}`: {tree.note}")
    if recipe.demands.k == 1 and not recipe.demands.k_map:
        said.append("k = 1: rows may stand alone")
    for name, column in coded.sensitive.items():
        if len(np.unique(column.codes)) <= 1:
            said.append(f"`{name}` is the same in all rows: everybody knows it")
    return tuple(said)


def _population(population: pa.Table, recipe: Recipe, coded: Coded) -> list[Codes]:
    """The leaves of the population's people; values that a hierarchy file misses are refused."""
    found = []
    for name, tree in zip(coded.names, coded.hierarchies, strict=True):
        texts = texts_of(name, clipped(name, population.column(name), recipe.columns[name]))
        found.append(codes_of(tree, texts.values)[texts.codes])
    return found


def _named_people(
    population: pa.Table, recipe: Recipe, coded: Coded, node: Node
) -> dict[tuple[str, ...], int]:
    """The population counted by names, in dictionaries: the verification takes no codes."""
    columns = []
    for name, tree, level in zip(coded.names, coded.hierarchies, node, strict=True):
        above = dict(zip(tree.leaves, (tree.labels[level][n] for n in tree.codes[level]),
                         strict=True))  # fmt: skip
        values = clipped(name, population.column(name), recipe.columns[name])
        columns.append([above[value_text(value)] for value in values.to_pylist()])
    return dict(Counter(zip(*columns, strict=True)))


def _searched(
    recipe: Recipe, coded: Coded, demands: Demands, people: list[Codes] | None,
    watch: Watch | None, clock: Callable[[], float],
) -> tuple[Found, Codes, tuple[Codes, Codes] | None]:  # fmt: skip
    """The best table of the lattice, each row's group in it, and the people who share it."""
    asked = {name: (column.codes, len(column.hierarchy.leaves))
             for name, column in coded.sensitive.items() if name in demands.columns}  # fmt: skip
    base, of_row = base_groups(coded.codes, coded.hierarchies, asked, people)
    roll = RollUp(coded.hierarchies)
    objective = objective_of(
        recipe.method.measure, coded.hierarchies, base, _weights(recipe, coded)
    )
    found = search(roll, base, demands, objective, watch=in_time(recipe, watch, clock))
    if found.node is None:
        raise nothing_found(base, coded, demands, found)
    ids, count = close_numbers(*roll.ids(base, found.node))
    verdict = judged(base, ids, count, demands, coded.rows)
    group = np.where(verdict.is_bad, -1, np.arange(count))[ids[of_row]]
    if people is None:
        return found, group, None
    shared = np.bincount(ids, weights=base.population, minlength=count).astype(np.int64)
    return found, group, (base.population[of_row], shared[ids[of_row]])


def in_time(recipe: Recipe, watch: Watch | None, clock: Callable[[], float]) -> Watch:
    """A watch that ends a search after the recipe's seconds, from now on, or when `watch` does."""
    started, limit = clock(), recipe.method.seconds

    def go_on(progress: Progress) -> bool:
        return (not limit or clock() - started < limit) and (watch is None or watch(progress))

    return go_on


def nothing_found(base: Groups, coded: Coded, demands: Demands, found: Found) -> ValidationError:
    """Why no table will do."""
    if not found.is_optimal:
        return ValidationError(
            "the search ended before it found a table that fulfils the demands",
            next_step="give it more time: `seconds` in the recipe",
        )
    verdict = judged(base, np.zeros(base.count, dtype=np.int64), 1, demands, coded.rows)
    if verdict.is_bad.all():
        return ValidationError(
            "not even a table with every quasi-identifier hidden fulfils the demands",
            next_step="ask for a smaller l, a larger t, or other bounds of presence",
        )
    return ValidationError(
        "no generalization fulfils all demands together",
        next_step="allow more suppression, or ask for less",
    )


def _cut(recipe: Recipe, coded: Coded, demands: Demands) -> Codes:
    """Each row's group, for local recoding and microaggregation."""
    asked = {name: (column.codes, len(column.hierarchy.leaves))
             for name, column in coded.sensitive.items()}  # fmt: skip
    rows = rows_of(coded.codes, coded.hierarchies, _weights(recipe, coded), asked)
    if recipe.method.recoding is Recoding.LOCAL:
        return cut_into_groups(rows, demands)
    return microaggregated(rows, demands)


def _weights(recipe: Recipe, coded: Coded) -> Shares:
    return weights_of(coded.names, {name: recipe.columns[name].weight for name in coded.names})
