"""One table from recipe to result; and every bad input of which something must be said."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.engines.privacy.anonymize import tables

from strongroom.engines.privacy.anonymize import recoding
from strongroom.engines.privacy.anonymize.assessing import assessed
from strongroom.engines.privacy.anonymize.criteria import Distance
from strongroom.engines.privacy.anonymize.document import choices, document, summary
from strongroom.engines.privacy.anonymize.page import page
from strongroom.engines.privacy.anonymize.recipe import (
    ColumnRecipe,
    ColumnRole,
    DemandsRecipe,
    Diversity,
    MethodRecipe,
    Recipe,
    Recoding,
    Tree,
)
from strongroom.engines.privacy.anonymize.running import anonymize
from strongroom.errors import InternalError, ValidationError

QUASI, SENSITIVE = ColumnRole.QUASI, ColumnRole.SENSITIVE


def patients(rows: int = 240) -> pa.Table:
    random = np.random.default_rng(5)
    ages = random.integers(20, 90, rows)
    return pa.table({
        "name": [f"Person {at}" for at in range(rows)],
        "age": [None if at % 40 == 0 else int(age) for at, age in enumerate(ages)],
        "zip": [f"8{random.integers(0, 5)}{random.integers(0, 9)}67" for _ in range(rows)],
        "seen": pa.array(random.integers(18_000, 20_000, rows).astype("int32"), pa.int32())
        .cast(pa.date32()),
        "sex": random.choice(["f", "m"], rows).tolist(),
        "illness": random.choice(["flu", "cold", "asthma", "gout"], rows).tolist(),
        "stage": random.choice(["I", "II", "III"], rows).tolist(),
        "score": random.normal(size=rows),
    })  # fmt: skip


COLUMNS = {
    "age": ColumnRecipe(QUASI, Tree.NUMBERS, top=80, bottom=25),
    "zip": ColumnRecipe(QUASI, Tree.PREFIXES, weight=2.0),
    "seen": ColumnRecipe(QUASI, Tree.DATES),
    "sex": ColumnRecipe(QUASI, Tree.FREQUENCY),
    "illness": ColumnRecipe(SENSITIVE, Tree.FREQUENCY),
    "stage": ColumnRecipe(SENSITIVE, Tree.ORDERED, order=("I", "II", "III")),
    "score": ColumnRecipe(ColumnRole.KEEP),
}

DEMANDS = {
    "k": DemandsRecipe(k=4),
    "distinct": DemandsRecipe(k=4, l=3),
    "entropy": DemandsRecipe(k=4, l=2.5, diversity=Diversity.ENTROPY),
    "recursive": DemandsRecipe(k=4, l=2, c=2.0, diversity=Diversity.RECURSIVE),
    "equal": DemandsRecipe(k=4, t=0.3),
    "ordered": DemandsRecipe(k=4, t=0.3, distance=Distance.ORDERED),
    "hierarchical": DemandsRecipe(k=4, t=0.3, distance=Distance.HIERARCHICAL),
    "beta": DemandsRecipe(k=4, beta=1.0),
    "disclosure": DemandsRecipe(k=4, delta_disclosure=2.0),
    "average risk": DemandsRecipe(k=2, average_risk=0.05),
}


@pytest.mark.parametrize("recoding", [Recoding.GLOBAL, Recoding.LOCAL])
@pytest.mark.parametrize("asked", DEMANDS)
def test_every_demand_holds_in_what_is_written(asked: str, recoding: Recoding) -> None:
    table = patients()
    recipe = Recipe(DEMANDS[asked], MethodRecipe(recoding), COLUMNS)
    outcome = anonymize(table, recipe, draw=tables.draw)
    assert outcome.table.column_names == list(COLUMNS)
    assert "`name` is not in the recipe: left out" in outcome.remarks
    sizes = outcome.table.group_by(["age", "zip", "seen", "sex"]).aggregate([([], "count_all")])
    assert int(sizes.column("count_all").to_numpy().min()) >= recipe.demands.k
    assert outcome.table.num_rows == table.num_rows - outcome.suppressed
    assert outcome.suppressed <= 12
    if recoding is Recoding.LOCAL:
        assert not outcome.suppressed


def test_microaggregation_writes_means() -> None:
    recipe = Recipe(DemandsRecipe(k=5), MethodRecipe(Recoding.MICROAGGREGATE), {
        "age": ColumnRecipe(QUASI, Tree.NUMBERS), "sex": ColumnRecipe(QUASI, Tree.FREQUENCY),
    })  # fmt: skip
    table = patients().filter(pa.compute.is_valid(patients().column("age")))
    outcome = anonymize(table, recipe, draw=tables.draw)
    ages = np.array(outcome.table.column("age").to_pylist())
    assert ages.mean() == pytest.approx(table.column("age").to_numpy().mean())
    assert outcome.proof.smallest >= 5


def test_rows_of_a_group_come_in_another_order_each_time() -> None:
    recipe = Recipe(DemandsRecipe(k=20), columns={
        "sex": ColumnRecipe(QUASI, Tree.NONE), "score": ColumnRecipe(ColumnRole.KEEP),
    })  # fmt: skip
    runs = [anonymize(patients(), recipe, draw=tables.draw).table for _ in range(2)]
    first, second = (run.column("score").to_numpy().tolist() for run in runs)
    assert first != second
    assert sorted(first) == sorted(second)


def test_a_population_is_a_bound_too() -> None:
    table = patients(60).select(["age", "sex"])
    people = pa.concat_tables([patients(240).select(["age", "sex"]), table])
    columns = {"age": ColumnRecipe(QUASI, Tree.NUMBERS), "sex": ColumnRecipe(QUASI, Tree.NONE)}
    with pytest.raises(ValidationError, match="need a table of the population"):
        anonymize(table, Recipe(DemandsRecipe(k=1, k_map=10), columns=columns), draw=tables.draw)
    full = pa.concat_tables([people, table])
    known = full.filter(pa.compute.is_in(full.column("age"), table.column("age").combine_chunks()))
    for asked in (DemandsRecipe(k=1, k_map=10), DemandsRecipe(k=1, presence_high=0.6)):
        outcome = anonymize(
            table, Recipe(asked, columns=columns), draw=tables.draw, population=known
        )
        assert outcome.found is not None
        assert outcome.found.is_optimal
        # Counted by hand: the group of each person of the population, from the written ranges.
        inside = dict.fromkeys(zip(*outcome.table.to_pydict().values(), strict=True), 0)
        for age, sex in zip(*known.to_pydict().values(), strict=True):
            for wide, written in inside:
                low, _, high = str(wide).strip("[]").partition(",")
                to = int(high.strip("[")) if high else 0
                is_inside = age is not None and to > 0 and int(low) <= age < to
                if written == sex and (is_inside or wide == age):
                    inside[wide, written] += 1
        if asked.k_map:
            assert outcome.proof.measured["people in a group"] == min(inside.values()) >= 10
        assert outcome.people is not None
        shared = outcome.people[1][outcome.group >= 0]
        assert sorted(set(shared.tolist())) == sorted(set(inside.values()))
    with pytest.raises(ValidationError, match="the population has no column"):
        anonymize(table, Recipe(DemandsRecipe(k=1, k_map=2), columns=columns), draw=tables.draw,
                  population=known.select(["age"]))  # fmt: skip


ONE = {"age": ColumnRecipe(QUASI, Tree.NUMBERS)}
WITH = {**ONE, "illness": ColumnRecipe(SENSITIVE, Tree.NONE)}


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(DemandsRecipe(k=1_000), columns=ONE), "k = 1000 is more than the 240 rows"),
        (Recipe(columns={"score": ColumnRecipe(ColumnRole.KEEP)}), "no quasi-identifier"),
        (Recipe(DemandsRecipe(l=2), columns=ONE), "about a sensitive column, and there is none"),
        (Recipe(DemandsRecipe(l=9), columns=WITH), "l = 9 is more than the 4 values"),
        (Recipe(DemandsRecipe(l=2.5), columns=WITH), "l is a whole number"),
        (Recipe(columns={"nobody": ColumnRecipe(QUASI)}), "has no column `nobody`"),
        (Recipe(columns={"zip": ColumnRecipe(QUASI, Tree.NUMBERS, top=3, bottom=5)}), "above top"),
        (Recipe(columns={"sex": ColumnRecipe(QUASI, Tree.NUMBERS)}), "no numbers"),
        (Recipe(columns={"sex": ColumnRecipe(QUASI, Tree.NONE, top=3)}), "holds others"),
        (Recipe(columns={"sex": ColumnRecipe(QUASI, Tree.DATES)}), "no dates"),
        (Recipe(columns={"sex": ColumnRecipe(QUASI, Tree.ORDERED)}), "needs the `order`"),
        (Recipe(columns={"sex": ColumnRecipe(QUASI, Tree.ORDERED, order=("f",))}), "misses `m`"),
        (Recipe(columns={"sex": ColumnRecipe(QUASI, Tree.FILE, "no.csv")}), "is not there"),
        (Recipe(columns={"sex": ColumnRecipe(QUASI, Tree.FILE, "sex.csv")}), "misses 1 of 2"),
        (Recipe(DemandsRecipe(k=5, delta_disclosure=1e-6), columns=WITH), None),
        (Recipe(columns={"age": ColumnRecipe(QUASI, Tree.NUMBERS, weight=0)}), "not all 0"),
    ],
)
def test_bad_input_is_named(recipe: Recipe, words: str | None) -> None:
    if words is None:
        assert anonymize(patients(), recipe, draw=tables.draw).proof.groups == 1
        return
    with pytest.raises(ValidationError, match=words):
        anonymize(patients(), recipe, draw=tables.draw, files={"sex.csv": "f;*\n"})


def test_what_cannot_be_reached_is_said() -> None:
    one_sided = pa.table({"q": ["a", "b"] * 5, "s": ["x"] * 9 + ["y"]})
    columns = {"q": ColumnRecipe(QUASI), "s": ColumnRecipe(SENSITIVE)}
    asked = DemandsRecipe(k=2, l=1.9, diversity=Diversity.ENTROPY)
    with pytest.raises(ValidationError, match="not even a table with every quasi-identifier"):
        anonymize(one_sided, Recipe(asked, columns=columns), draw=tables.draw)
    with pytest.raises(ValidationError, match="the whole table does not"):
        anonymize(one_sided, Recipe(asked, MethodRecipe(Recoding.LOCAL), columns), draw=tables.draw)
    with pytest.raises(ValidationError, match="no rows"):
        anonymize(one_sided.slice(0, 0), Recipe(columns=columns), draw=tables.draw)


def test_a_search_without_time_says_so() -> None:
    recipe = Recipe(DemandsRecipe(k=4), MethodRecipe(seconds=1.0), COLUMNS)
    ticks = iter(range(0, 10_000, 5))
    outcome = anonymize(patients(), recipe, draw=tables.draw, clock=lambda: float(next(ticks)))
    assert outcome.found is not None
    assert not outcome.found.is_optimal
    assert outcome.found.bound <= outcome.found.loss
    assert any("stopped early" in line for line in summary(assessed(outcome, patients(), seed=1)))


def test_constant_unique_and_missing_columns() -> None:
    table = pa.table({
        "same": ["x"] * 20, "each": [str(at) for at in range(20)],
        "none": pa.array([None] * 20, pa.string()), "half": ["a", None] * 10,
    })  # fmt: skip
    recipe = Recipe(DemandsRecipe(k=5), columns={
        name: ColumnRecipe(QUASI, Tree.FREQUENCY) for name in table.column_names
    })  # fmt: skip
    outcome = anonymize(table, recipe, draw=tables.draw)
    assert outcome.proof.groups == 2  # those with and those without a value
    said = " ".join(outcome.remarks)
    assert "`same` is the same in all rows" in said
    assert "`each` is different in every row" in said
    assert set(outcome.table.column("half").to_pylist()) == {"a", None}
    assert "half: 10 rows have no value" in " ".join(choices(assessed(outcome, table, seed=1)))


def test_nested_and_doubled_columns() -> None:
    table = pa.table({"n": [[1], [2]]})
    with pytest.raises(ValidationError, match="cannot be generalized"):
        anonymize(table, Recipe(DemandsRecipe(k=1), columns={"n": ColumnRecipe(QUASI)}),
                  draw=tables.draw)  # fmt: skip
    doubled = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["q", "q"])
    with pytest.raises(ValidationError, match="two columns of one name"):
        anonymize(doubled, Recipe(DemandsRecipe(k=1), columns={"q": ColumnRecipe(QUASI)}),
                  draw=tables.draw)  # fmt: skip


def test_a_wrong_result_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def untouched(table: pa.Table, *_rest: object) -> pa.Table:
        return table.select(list(COLUMNS))

    monkeypatch.setattr(recoding, "generalized", untouched)
    with pytest.raises(InternalError, match="a group has 1 rows, not 4"):
        anonymize(patients(), Recipe(DemandsRecipe(k=4), columns=COLUMNS), draw=tables.draw)


def test_the_report_holds_figures_and_no_value() -> None:
    table = patients()
    outcome = anonymize(table, Recipe(DEMANDS["distinct"], columns=COLUMNS), draw=tables.draw)
    found = assessed(outcome, table, seed=1, population=100_000, model_target="illness")
    shown = document(found)
    assert shown["risk"]["before"]["unique"] > 0.9
    assert shown["risk"]["after"]["smallest"] >= 4
    assert shown["linkage_attack"]["after"]["singled_out"] == 0
    assert shown["local_recoding"]["gcp"] < shown["utility"]["gcp"]
    assert shown["models"][0]["target"] == "illness"
    assert shown["missing"] == {"age": 6}
    html = page(found, title="patients.csv")
    for text in (html, str(shown), *summary(found), *choices(found)):
        assert not any(value in text for value in ("asthma", "Person", "81067"))
    assert "<script" not in html
    assert html.count("<svg") >= 4
    with pytest.raises(ValidationError, match="does not stay as it is"):
        assessed(outcome, table, seed=1, model_target="age")


def test_adult_as_a_whole(shared_data: Path) -> None:
    table, files = tables.adult(shared_data)
    columns = tables.adult_columns(table, "occupation")
    outcome = anonymize(
        table, Recipe(DemandsRecipe(k=5, l=2, t=0.2), columns=columns), draw=tables.draw,
        files=files,
    )  # fmt: skip
    assert outcome.proof.measured["occupation: distance"] <= 0.2
    assert outcome.suppressed == 235
