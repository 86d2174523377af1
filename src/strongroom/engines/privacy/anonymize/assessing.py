"""Before and after: the risks, what is left, and what another way would have left."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.anonymize.attack import MAX_TARGETS, LinkageAttack, link
from strongroom.engines.privacy.anonymize.coding import Coded, clipped, texts_of
from strongroom.engines.privacy.anonymize.demands import demands_of
from strongroom.engines.privacy.anonymize.groups import close_numbers, numbered
from strongroom.engines.privacy.anonymize.hierarchy import MISSING, Codes
from strongroom.engines.privacy.anonymize.local import cut_into_groups, rows_of
from strongroom.engines.privacy.anonymize.modelling import ModelAccuracy, model_accuracy
from strongroom.engines.privacy.anonymize.objective import weights_of
from strongroom.engines.privacy.anonymize.recipe import ColumnRole, Recoding
from strongroom.engines.privacy.anonymize.risk import (
    PopulationEstimate,
    Risk,
    population_uniques,
    risk_of,
)
from strongroom.engines.privacy.anonymize.running import Outcome
from strongroom.engines.privacy.anonymize.utility import Utility, utility_of
from strongroom.errors import ValidationError

MOST_COMPARED = 200_000
"""Rows up to which the other way of recoding is tried too."""


@dataclass(frozen=True)
class Assessment:
    """An outcome in figures.

    Attributes:
        local: what local recoding leaves, where global was asked; None where it was not tried.
        before_attack, after_attack: an intruder who has the table itself with names.
        models: how well sensitive and kept columns are still learned.
    """

    outcome: Outcome
    before: Risk
    after: Risk
    utility: Utility
    local: Utility | None
    before_population: PopulationEstimate | None
    after_population: PopulationEstimate | None
    before_attack: LinkageAttack
    after_attack: LinkageAttack
    models: tuple[ModelAccuracy, ...]


def rows_as_they_came(coded: Coded) -> Codes:
    """The group of each row when nothing is generalized."""
    sizes = [len(tree.leaves) for tree in coded.hierarchies]
    return close_numbers(*numbered(coded.codes, sizes))[0]


def assessed(
    outcome: Outcome,
    table: pa.Table,
    *,
    seed: int,
    population: int = 0,
    auxiliary: pa.Table | None = None,
    model_target: str = "",
) -> Assessment:
    """An outcome measured.

    Args:
        table: as it came.
        seed: of samples.
        population: people of whom the rows are a sample; 0 where that is not known.
        auxiliary: table of an intruder; None: rows of the table itself.
        model_target: column that a model guesses before and after; none where empty.
    """
    coded, k = outcome.coded, outcome.recipe.demands.k
    before_groups = rows_as_they_came(coded)
    node = outcome.found.node if outcome.found is not None else None
    targets = _targets(outcome, auxiliary, seed)
    sensitive = [(name, column.codes) for name, column in coded.sensitive.items()]
    bottom = (0,) * len(coded.names)
    return Assessment(
        outcome=outcome,
        before=risk_of(before_groups, k, _people_of(before_groups, outcome.people, 0)),
        after=risk_of(outcome.group, k, _people_of(outcome.group, outcome.people, 1)),
        utility=utility_of(coded, outcome.group, k, node),
        local=_local(outcome),
        before_population=population_uniques(before_groups, population) if population else None,
        after_population=population_uniques(outcome.group, population) if population else None,
        before_attack=link(targets, coded.hierarchies, coded.codes, before_groups, sensitive,
                           node=bottom),
        after_attack=link(targets, coded.hierarchies, coded.codes, outcome.group, sensitive,
                          node=node),
        models=_models(outcome, table, model_target, seed),
    )  # fmt: skip


def _people_of(group: Codes, people: tuple[Codes, Codes] | None, which: int) -> Codes | None:
    """People of the population in each group, from those of each row."""
    if people is None:
        return None
    found = np.zeros(int(group.max(initial=0)) + 1, dtype=np.int64)
    inside = group >= 0
    found[group[inside]] = people[which][inside]
    return found


def _targets(outcome: Outcome, auxiliary: pa.Table | None, seed: int) -> list[Codes]:
    """Leaves of the people to look for; those with a value that no row has cannot be found."""
    coded = outcome.coded
    if auxiliary is None:
        some = np.random.default_rng(seed).permutation(coded.rows)[:MAX_TARGETS]
        return [codes[some] for codes in coded.codes]
    missing = [name for name in coded.names if name not in auxiliary.column_names]
    if missing:
        raise ValidationError(f"the auxiliary table has no column `{missing[0][:100]}`")
    found = []
    for name, tree in zip(coded.names, coded.hierarchies, strict=True):
        # Cut at the recipe's bounds, as the table is: else the oldest would seem safe.
        known_values = clipped(name, auxiliary.column(name), outcome.recipe.columns[name])
        texts = texts_of(name, known_values)
        index = tree.index
        leaf = np.array([index.get(value, -1) for value in texts.values], dtype=np.int64)
        found.append(leaf[texts.codes])
    known = np.all([codes >= 0 for codes in found], axis=0)
    return [codes[known] for codes in found]


def _local(outcome: Outcome) -> Utility | None:
    """What local recoding would leave."""
    coded, recipe = outcome.coded, outcome.recipe
    is_asked = recipe.method.recoding is Recoding.GLOBAL and coded.rows <= MOST_COMPARED
    if not is_asked or recipe.demands.asks_population:
        return None
    weights = weights_of(coded.names, {n: recipe.columns[n].weight for n in coded.names})
    asked = {name: (column.codes, len(column.hierarchy.leaves))
             for name, column in coded.sensitive.items()}  # fmt: skip
    rows = rows_of(coded.codes, coded.hierarchies, weights, asked)
    try:
        group = cut_into_groups(rows, demands_of(recipe, coded))
    except ValidationError:
        return None  # the whole table as one group fails where groups with suppression do not
    return utility_of(coded, group, recipe.demands.k)


def _models(outcome: Outcome, table: pa.Table, target: str, seed: int) -> tuple[ModelAccuracy, ...]:
    if not target:
        return ()
    if target not in table.column_names:
        raise ValidationError(f"the table has no column `{target[:100]}`")
    if target not in outcome.table.column_names or outcome.recipe.columns[target].role not in (
        ColumnRole.SENSITIVE, ColumnRole.KEEP,
    ):  # fmt: skip
        raise ValidationError(
            f"`{target}` does not stay as it is in the anonymized table",
            next_step="guess a sensitive column, or one that is kept",
        )
    features = [name for name in outcome.coded.names if name != target]
    return (model_accuracy(table, outcome.table, target, features, seed=seed),)


def missing_cells(coded: Coded) -> dict[str, int]:
    """Rows with a missing value, by quasi-identifier that has any."""
    found = {}
    for name, tree, codes in zip(coded.names, coded.hierarchies, coded.codes, strict=True):
        if MISSING in tree.index:
            found[name] = int(np.count_nonzero(codes == tree.index[MISSING]))
    return {name: rows for name, rows in found.items() if rows}
