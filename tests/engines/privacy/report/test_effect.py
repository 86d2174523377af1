"""What masking changes, measured on tables small enough to count by hand."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.privacy.report.planted import finding, findings

from strongroom.engines.privacy.discover.findings import QuasiIdentifier, Role
from strongroom.engines.privacy.report.effect import mask_effect, share_alone


def test_those_alone_are_counted() -> None:
    table = pa.table({"a": ["x", "x", "y", None], "b": [1, 1, 2, 2]})
    assert share_alone(table, ["a"]) == 0.5  # y, and the one who says nothing
    assert share_alone(table, ["b"]) == 0.0
    assert share_alone(table, ["a", "b"]) == 0.5
    assert share_alone(table, ["gone"]) == 0.0
    assert share_alone(table.slice(0, 0), ["a"]) == 0.0
    assert share_alone(pa.table({"a": [[1], [2]]}), ["a"]) == 0.0


def test_parts_of_nested_columns_set_people_apart_too() -> None:
    homes = [{"city": "A"}, {"city": "A"}, {"city": "B"}, None]
    table = pa.table({"home": homes, "b": [1, 2, 3, 3], "tags": [["x"], ["y"], [], None]})
    assert share_alone(table, ["home.city"]) == 0.5  # B, and the one who says nothing
    assert share_alone(table, ["home.city", "b"]) == 1.0
    assert share_alone(table, ["home"]) == share_alone(table, ["tags[]"]) == 0.0
    one = QuasiIdentifier(("home.city",), 0.5, 1)
    before = findings(finding("home.city", "city", Role.QUASI), sets=(one,))
    effect = mask_effect(table, table, before, before, {}, policy="p", made_up=frozenset())
    assert (effect.sets[0].before, effect.sets[0].after) == (0.5, 0.5)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_the_share_is_that_of_counting_one_by_one(rows: list[tuple[int, int]]) -> None:
    table = pa.table({"a": [a for a, _ in rows], "b": [b for _, b in rows]})
    alone = sum(1 for row in rows if rows.count(row) == 1) / len(rows)
    assert abs(share_alone(table, ["a", "b"]) - alone) < 1e-4


def test_before_and_after() -> None:
    clear = pa.table({"city": ["A", "B", "C", "D"], "mail": ["a@b.c"] * 4, "fake": ["p"] * 4})
    masked = pa.table({"city": ["*", "*", "*", "D"], "fake": ["q"] * 4})
    before = findings(
        finding("city", "city", Role.QUASI), finding("mail", "email", Role.DIRECT),
        finding("fake", "person_name", Role.DIRECT),
        sets=(QuasiIdentifier(("city",), 1.0, 1),),
    )  # fmt: skip
    after = findings(finding("city"), finding("fake", "person_name", Role.DIRECT))
    methods = {"city": ("generalize", "x"), "mail": ("drop", "x"), "fake": ("stand_in", "x")}
    effect = mask_effect(
        clear, masked, before, after, methods, policy="p", made_up=frozenset({"stand_in"})
    )
    assert [one.role_after for one in effect.columns] == ["plain", "dropped", "replaced"]
    (one,) = effect.sets
    assert (one.before, one.after) == (1.0, 0.25)


def test_columns_that_set_people_apart_together_are_measured_together() -> None:
    clear = pa.table({"city": ["A", "A", "B", "B"], "age": [1, 2, 1, 2]})
    before = findings(finding("city", "city", Role.QUASI), finding("age", "age", Role.QUASI))
    effect = mask_effect(clear, clear, before, before, {}, policy="p", made_up=frozenset())
    assert effect.sets[0].columns == ("city", "age")
    assert effect.sets[0].before == 1.0
