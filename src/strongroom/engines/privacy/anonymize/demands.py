"""From what a recipe asks to criteria for the search, and to the promise that is verified."""

import numpy as np

from strongroom.engines.privacy.anonymize.coding import Coded, Sensitive
from strongroom.engines.privacy.anonymize.criteria import (
    BetaLikeness,
    DeltaDisclosure,
    DeltaPresence,
    Demands,
    DistinctDiversity,
    EntropyDiversity,
    KAnonymity,
    KMap,
    RecursiveDiversity,
    SizeCriterion,
    TCloseness,
    ValueCriterion,
)
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy, Shares
from strongroom.engines.privacy.anonymize.recipe import ColumnRole, DemandsRecipe, Diversity, Recipe
from strongroom.engines.privacy.anonymize.verify import Promise
from strongroom.errors import ValidationError


def require_possible(recipe: Recipe, rows: int, *, has_population: bool) -> None:
    """Refuse what no table of so many rows can reach. Raises: ValidationError."""
    asked = recipe.demands
    if not rows:
        raise ValidationError("the table has no rows")
    if not recipe.of_role(ColumnRole.QUASI):
        raise ValidationError(
            "there is no quasi-identifier: nothing by which rows would be grouped",
            next_step="name the columns that others may know: --quasi COLUMN",
        )
    if asked.k > rows:
        raise ValidationError(
            f"k = {asked.k} is more than the {rows} rows of the table",
            next_step="ask for a smaller k, or bring more rows",
        )
    if asked.asks_values and not recipe.of_role(ColumnRole.SENSITIVE):
        raise ValidationError(
            "l, t, β and δ-disclosure are about a sensitive column, and there is none",
            next_step="name it: --sensitive COLUMN",
        )
    if asked.asks_population and not has_population:
        raise ValidationError(
            "k-map and δ-presence need a table of the population",
            next_step="give one with the same quasi-identifiers: --population FILE",
        )


def demands_of(recipe: Recipe, coded: Coded) -> Demands:
    """The criteria of a recipe. Raises: ValidationError: more values asked than there are."""
    asked = recipe.demands
    sizes: list[SizeCriterion] = [KAnonymity(asked.k)]
    if asked.k_map:
        sizes.append(KMap(asked.k_map))
    if asked.presence_low > 0 or asked.presence_high < 1:
        sizes.append(DeltaPresence(asked.presence_low, asked.presence_high))
    values: list[ValueCriterion] = []
    for name, column in coded.sensitive.items():
        whole = whole_of(column, coded.times)
        _require_enough(name, asked, int(np.count_nonzero(whole)))
        values += value_criteria(name, asked, whole, column.hierarchy)
    return Demands(tuple(sizes), tuple(values), asked.average_risk, asked.suppression)


def whole_of(column: Sensitive, times: Codes | None = None) -> Shares:
    """Share of each value in the whole table, whose rows may stand for several."""
    counts = np.bincount(column.codes, weights=times, minlength=len(column.hierarchy.leaves))
    return np.asarray(counts / max(float(counts.sum()), 1.0))


def _require_enough(name: str, asked: DemandsRecipe, there: int) -> None:
    """Refuse an l that the column cannot have. Raises: ValidationError."""
    if asked.l <= 1:
        return
    if there < asked.l:
        raise ValidationError(
            f"l = {asked.l:g} is more than the {there} values of `{name}`",
            next_step="ask for a smaller l",
        )
    if asked.diversity is not Diversity.ENTROPY and asked.l != int(asked.l):
        raise ValidationError("l is a whole number, but for entropy diversity")


def value_criteria(
    name: str, asked: DemandsRecipe, whole: Shares, hierarchy: Hierarchy | None = None
) -> list[ValueCriterion]:
    """The criteria on one sensitive column.

    Args:
        whole: share of each value in the whole table.
        hierarchy: of the column; for the hierarchical distance only.
    """
    found: list[ValueCriterion] = []
    if asked.l > 1:
        if asked.diversity is Diversity.ENTROPY:
            found.append(EntropyDiversity(name, float(asked.l)))
        elif asked.diversity is Diversity.RECURSIVE:
            found.append(RecursiveDiversity(name, asked.c, int(asked.l)))
        else:
            found.append(DistinctDiversity(name, int(asked.l)))
    if asked.t is not None:
        found.append(TCloseness(name, asked.t, whole, asked.distance, hierarchy))
    if asked.beta is not None:
        found.append(BetaLikeness(name, asked.beta, whole))
    if asked.delta_disclosure is not None:
        found.append(DeltaDisclosure(name, asked.delta_disclosure, whole))
    return found


def promise_of(
    recipe: Recipe,
    coded: Coded,
    wholes: dict[str, dict[str, int]],
    people: dict[tuple[str, ...], int] | None = None,
) -> Promise:
    """What the written table must keep.

    Args:
        wholes: by sensitive column how often each value occurs, counted from the table itself.
        people: of the population, by what stands for their quasi-identifiers in the table.
    """
    asked = recipe.demands
    names = tuple(coded.sensitive)
    has_l = asked.l > 1
    return Promise(
        quasi=coded.names,
        k=asked.k,
        distinct={n: int(asked.l) for n in names
                  if has_l and asked.diversity is Diversity.DISTINCT},
        entropy={n: asked.l for n in names if has_l and asked.diversity is Diversity.ENTROPY},
        recursive={n: (asked.c, int(asked.l)) for n in names
                   if has_l and asked.diversity is Diversity.RECURSIVE},
        closeness={n: (asked.t, asked.distance.value) for n in names if asked.t is not None},
        likeness={n: asked.beta for n in names if asked.beta is not None},
        disclosure={n: asked.delta_disclosure for n in names
                    if asked.delta_disclosure is not None},
        orders={n: column.hierarchy.leaves for n, column in coded.sensitive.items()},
        trees={n: _tree(column) for n, column in coded.sensitive.items()},
        wholes=wholes,
        k_map=asked.k_map,
        presence=(asked.presence_low, asked.presence_high),
        people=people or {},
        average_risk=asked.average_risk,
        rows=coded.rows,
        suppression=asked.suppression,
    )  # fmt: skip


def _tree(column: Sensitive) -> dict[str, tuple[str, ...]]:
    tree = column.hierarchy
    return {
        leaf: tuple(tree.labels[level][tree.codes[level][at]]
                    for level in range(1, tree.height + 1))
        for at, leaf in enumerate(tree.leaves)
    }  # fmt: skip
