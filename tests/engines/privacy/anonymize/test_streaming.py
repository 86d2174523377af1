"""Tables in batches give what the same table gives whole."""

from itertools import count

import pyarrow as pa
import pytest
from tests.engines.privacy.anonymize import tables
from tests.engines.privacy.anonymize.test_running import COLUMNS, patients

from strongroom.engines.privacy.anonymize.recipe import (
    ColumnRecipe,
    ColumnRole,
    DemandsRecipe,
    MethodRecipe,
    Recipe,
    Recoding,
)
from strongroom.engines.privacy.anonymize.running import anonymize
from strongroom.engines.privacy.anonymize.streaming import Counting, planned
from strongroom.engines.privacy.anonymize.verify import Proof
from strongroom.errors import TableError, TooLargeError, ValidationError


def in_order(table: pa.Table) -> list[str]:
    """The rows, whatever their order."""
    return sorted(str(row) for row in table.to_pylist())


@pytest.mark.parametrize("asked", [DemandsRecipe(k=4), DemandsRecipe(k=4, l=3, t=0.4)])
def test_the_same_as_in_memory(asked: DemandsRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.engines.privacy.anonymize.streaming._MERGE_ROWS", 50)
    table, recipe = patients(), Recipe(asked, columns=COLUMNS)
    whole = anonymize(table, recipe, draw=tables.draw)
    counting = Counting(recipe)
    for batch in table.to_batches(max_chunksize=37):
        counting.add(batch)
    plan = planned(counting, recipe, {})
    assert whole.found is not None
    assert plan.found.node == whole.found.node
    assert plan.suppressed == whole.suppressed
    proofs: list[Proof] = []
    written = pa.Table.from_batches(
        plan.recoded(table.to_batches(max_chunksize=50), tables.draw, proofs),
        plan.schema(table.schema),
    )
    assert proofs[0].measured == whole.proof.measured
    assert in_order(written) == in_order(whole.table)


def test_what_a_stream_cannot_do() -> None:
    with pytest.raises(ValidationError, match="global recoding only"):
        Counting(Recipe(method=MethodRecipe(Recoding.LOCAL), columns=COLUMNS))
    counting = Counting(Recipe(columns=COLUMNS), most=100)
    counting.add(patients().to_batches()[0])
    with pytest.raises(TooLargeError, match="more than 100 combinations"):
        planned(counting, Recipe(columns=COLUMNS), {})
    with pytest.raises(ValidationError, match="no column `age`"):
        Counting(Recipe(columns=COLUMNS)).add(patients().select(["sex"]).to_batches()[0])
    with pytest.raises(ValidationError, match="no rows"):
        planned(Counting(Recipe(columns=COLUMNS)), Recipe(columns=COLUMNS), {})


def test_a_table_that_changes_between_the_passes_is_refused() -> None:
    table, recipe = patients(), Recipe(DemandsRecipe(k=4), columns=COLUMNS)
    counting = Counting(recipe)
    counting.add(table.to_batches()[0])
    plan = planned(counting, recipe, {})
    at = table.column_names.index("sex")
    other = table.set_column(at, "sex", pa.array(["x"] * table.num_rows))
    with pytest.raises(TableError, match="changed while it was read"):
        list(plan.recoded(other.to_batches(), tables.draw, []))


def test_values_that_differ_in_blanks_alone_are_written_alike() -> None:
    table = pa.table({"q": ["a", " a", "a ", "b", "b", None, "", " "], "n": [0.0, -0.0] * 4})
    recipe = Recipe(
        DemandsRecipe(k=2, suppression=0.0),
        columns={name: ColumnRecipe(ColumnRole.QUASI) for name in ("q", "n")},
    )
    counting = Counting(recipe)
    counting.add(table.to_batches()[0])
    plan = planned(counting, recipe, {})
    streamed = pa.Table.from_batches(plan.recoded(table.to_batches(), tables.draw, []))
    for written in (anonymize(table, recipe, draw=tables.draw).table, streamed):
        texts = [str(value) for value in written.column("q").to_pylist()]
        assert sorted(set(texts))[-2:] == ["a", "b"]
        assert len(set(texts)) == 3
        assert len({str(value) for value in written.column("n").to_pylist()}) == 1


def test_the_search_ends_in_time() -> None:
    """With a limit that is over at once nothing is proven; with none everything is."""
    asked = DemandsRecipe(k=4, l=3, t=0.4)
    found = []
    for seconds in (1.0, 0.0):
        recipe = Recipe(asked, MethodRecipe(seconds=seconds), COLUMNS)
        counting = Counting(recipe)
        for batch in patients().to_batches():
            counting.add(batch)
        found.append(planned(counting, recipe, {}, clock=count(0.0, 0.4).__next__).found)
    assert not found[0].is_optimal
    assert found[1].is_optimal
