"""Groups cut out of a table: what they keep, and what is left of Adult."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.privacy.anonymize import tables

from strongroom.engines.privacy.anonymize.coding import Coded, coded_table
from strongroom.engines.privacy.anonymize.criteria import (
    Demands,
    DistinctDiversity,
    EntropyDiversity,
    KAnonymity,
    KMap,
    TCloseness,
    ValueCriterion,
)
from strongroom.engines.privacy.anonymize.demands import demands_of
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy
from strongroom.engines.privacy.anonymize.local import Cuts, Rows, cut_into_groups, rows_of
from strongroom.engines.privacy.anonymize.microaggregation import microaggregated
from strongroom.engines.privacy.anonymize.objective import weights_of
from strongroom.engines.privacy.anonymize.recipe import DemandsRecipe, Recipe
from strongroom.engines.privacy.anonymize.utility import utility_of
from strongroom.errors import ValidationError

Small = tuple[list[Codes], list[Hierarchy], Codes]


def rows(small: Small) -> Rows:
    codes, trees, sensitive = small
    weights = weights_of([one.column for one in trees], {})
    return rows_of(codes, trees, weights, {"s": (sensitive, 4)})


@settings(max_examples=60, deadline=None)
@given(
    small=tables.small_tables(),
    k=st.integers(1, 4),
    which=st.integers(0, 3),
    cuts=st.sampled_from(list(Cuts)),
)
def test_every_group_fulfils_the_demands(small: Small, k: int, which: int, cuts: Cuts) -> None:
    sensitive = small[2]
    whole = np.bincount(sensitive, minlength=4) / len(sensitive)
    values: list[tuple[ValueCriterion, ...]] = [
        (),
        (DistinctDiversity("s", 2),),
        (EntropyDiversity("s", 1.5),),
        (TCloseness("s", 0.25, whole),),
    ]
    demands = Demands((KAnonymity(k),), values[which])
    everybody = np.bincount(sensitive, minlength=4)[None, :].astype(np.float64)
    if any(one.excess(everybody, np.array([len(sensitive)]))[0] > 0 for one in values[which]):
        with pytest.raises(ValidationError):
            cut_into_groups(rows(small), demands, cuts=cuts)
        return
    group = cut_into_groups(rows(small), demands, cuts=cuts)
    sizes = np.bincount(group)
    assert np.all(sizes >= k)
    for one in range(len(sizes)):
        counts = np.bincount(sensitive[group == one], minlength=4)[None, :].astype(np.float64)
        assert all(c.excess(counts, sizes[[one]])[0] == 0 for c in values[which])


@settings(max_examples=60, deadline=None)
@given(small=tables.small_tables(), k=st.integers(1, 4))
def test_microaggregation_keeps_k(small: Small, k: int) -> None:
    group = microaggregated(rows(small), Demands((KAnonymity(k),)))
    sizes = np.bincount(group)
    assert np.all(sizes >= k)
    assert np.all(sizes < 2 * k) or len(group) < 2 * k


def test_what_groups_alone_cannot_answer() -> None:
    small: Small = ([np.array([0, 1, 0])], [tables.tree("a", (2,))], np.array([0, 1, 2]))
    with pytest.raises(ValidationError, match="no k-map"):
        cut_into_groups(rows(small), Demands((KMap(2),)))
    with pytest.raises(ValidationError, match="fewer than k = 4"):
        cut_into_groups(rows(small), Demands((KAnonymity(4),)))
    with pytest.raises(ValidationError, match="keeps k and nothing else"):
        microaggregated(rows(small), Demands((KAnonymity(2),), (DistinctDiversity("s", 2),)))
    group = cut_into_groups(rows(small), Demands((KAnonymity(1),), average_risk=0.5))
    assert np.bincount(group).tolist() == [3]


def adult(folder: Path, asked: DemandsRecipe, sensitive: str) -> tuple[Coded, Recipe]:
    table, files = tables.adult(folder)
    recipe = Recipe(asked, columns=tables.adult_columns(table, sensitive))
    return coded_table(table, recipe, files), recipe


@pytest.mark.parametrize(
    ("asked", "sensitive", "most"),
    [
        (DemandsRecipe(k=5), "", 0.030),
        (DemandsRecipe(k=5, l=2), "occupation", 0.020),
        (DemandsRecipe(k=5, t=0.2), "occupation", 0.55),
    ],
)
def test_adult_keeps_most(
    asked: DemandsRecipe, sensitive: str, most: float, shared_data: Path
) -> None:
    coded, recipe = adult(shared_data, asked, sensitive)
    values = {name: (one.codes, len(one.hierarchy.leaves)) for name, one in coded.sensitive.items()}
    found = rows_of(coded.codes, coded.hierarchies, weights_of(coded.names, {}), values)
    best = utility_of(coded, cut_into_groups(found, demands_of(recipe, coded)), 5)
    assert best.gcp <= most
    widest = cut_into_groups(found, demands_of(recipe, coded), cuts=Cuts.WIDEST)
    assert best.gcp < utility_of(coded, widest, 5).gcp
