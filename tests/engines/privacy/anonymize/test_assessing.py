"""What a column weighs, and an intruder's table, against going through the written rows by hand."""

import numpy as np
import pyarrow as pa
import pytest
from tests.engines.privacy.anonymize import tables

from strongroom.engines.privacy.anonymize.assessing import assessed
from strongroom.engines.privacy.anonymize.recipe import (
    ColumnRecipe,
    ColumnRole,
    DemandsRecipe,
    Recipe,
    Tree,
)
from strongroom.engines.privacy.anonymize.risk import risk_of
from strongroom.engines.privacy.anonymize.running import Outcome, anonymize
from strongroom.errors import ValidationError

# In ARX's form: values, then their districts, then regions.
PLACES = "a1;a;x;*\na2;a;x;*\nb1;b;x;*\nb2;b;x;*\nc1;c;y;*\nc2;c;y;*\n"
AGES = "".join(f"{n};{n // 5 * 5}+;{n // 10 * 10}+;*\n" for n in range(20, 50))
FILES = {"place.csv": PLACES, "age.csv": AGES}


def people(count: int, seed: int) -> pa.Table:
    """So many people of thirty ages in six places."""
    chance = np.random.default_rng(seed)
    return pa.table({
        "age": chance.integers(20, 50, count),
        "place": chance.choice([line.split(";")[0] for line in PLACES.split()], count),
        "illness": chance.choice(["flu", "gout"], count),
    })  # fmt: skip


def anonymized(table: pa.Table, *, place: float = 1.0, age: float = 1.0) -> Outcome:
    """The table at k = 4, its columns weighing so much."""
    return anonymize(
        table,
        Recipe(DemandsRecipe(k=4, suppression=0.02), columns={
            "age": ColumnRecipe(ColumnRole.QUASI, Tree.FILE, "age.csv", weight=age),
            "place": ColumnRecipe(ColumnRole.QUASI, Tree.FILE, "place.csv", weight=place),
            "illness": ColumnRecipe(ColumnRole.SENSITIVE, Tree.NONE),
        }),
        draw=tables.draw, files=FILES,
    )  # fmt: skip


def test_a_column_that_weighs_more_stays_finer() -> None:
    table = people(150, 1)
    levels = {}
    for place, age in ((20.0, 1.0), (1.0, 20.0)):
        found = anonymized(table, place=place, age=age).found
        assert found is not None
        assert found.node is not None
        levels[place] = found.node
    assert levels[20.0][0] > levels[1.0][0]
    assert levels[20.0][1] < levels[1.0][1]


@pytest.mark.parametrize("seed", range(3))
def test_an_intruder_finds_what_the_written_rows_allow(seed: int) -> None:
    table, known = people(80, seed), people(40, seed + 100)
    stranger = pa.table({"age": [99], "place": ["a1"], "illness": ["flu"]})
    outcome = anonymized(table)
    found = assessed(outcome, table, seed=1, auxiliary=pa.concat_tables([known, stranger]))
    names = {
        column: {cells[0]: set(cells) for cells in (line.split(";") for line in text.split())}
        for column, text in (("age", AGES), ("place", PLACES))
    }
    written = outcome.table.to_pylist()
    candidates, told = [], []
    for person in known.to_pylist():
        rows = [
            row for row in written
            if all(str(row[name]) in names[name][str(person[name])] for name in names)
        ]  # fmt: skip
        candidates.append(len(rows))
        told.append(len({row["illness"] for row in rows}) == 1)
    attack = found.after_attack
    assert attack.targets == len(candidates) == 40  # the stranger is nobody whom a row could be
    assert attack.matched == pytest.approx(np.mean([n > 0 for n in candidates]))
    assert attack.singled_out == np.mean([n == 1 for n in candidates]) == 0
    hits = [1 / n if n else 0.0 for n in candidates]
    assert attack.expected_hits == pytest.approx(np.mean(hits))
    assert attack.fewest == min(n for n in candidates if n) >= 4
    assert dict(attack.told)["illness"] == pytest.approx(np.mean(told))
    assert found.before_attack.expected_hits > attack.expected_hits


def test_the_journalist_looks_in_the_population() -> None:
    table = people(80, 5)
    everybody = pa.concat_tables([table, people(400, 6)])
    recipe = anonymized(table).recipe
    outcome = anonymize(table, recipe, draw=tables.draw, files=FILES, population=everybody)
    found = assessed(outcome, table, seed=1)
    alone = risk_of(outcome.group, 4)
    assert found.after.highest == alone.highest == alone.journalist_highest
    assert found.after.journalist_highest < alone.journalist_highest
    assert found.before.journalist_average < found.before.average
    with pytest.raises(ValidationError, match="auxiliary table has no column"):
        assessed(outcome, table, seed=1, auxiliary=table.select(["age"]))


def test_an_intruders_people_are_cut_at_the_bounds_too() -> None:
    """Else those beyond a bound would seem not to be in the table, and so safe."""
    table = people(80, 7)
    columns = {
        "age": ColumnRecipe(ColumnRole.QUASI, Tree.NUMBERS, bottom=25, top=40),
        "place": ColumnRecipe(ColumnRole.QUASI, Tree.FILE, "place.csv"),
    }
    recipe = Recipe(DemandsRecipe(k=4, suppression=0.0), columns=columns)
    outcome = anonymize(table, recipe, draw=tables.draw, files=FILES)
    oldest = pa.table({"age": [49, 99, 21], "place": ["a1", "b1", "c1"]})
    found = assessed(outcome, table, seed=1, auxiliary=oldest)
    assert found.after_attack.targets == 3
    assert found.after_attack.matched == 1.0
