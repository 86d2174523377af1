"""Each value has its place, whatever it is and whoever else is there."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.privacy.dp.training.people import AMOUNTS, DOMAIN, people

from strongroom.engines.privacy.dp.training.coding import TARGET_UNIT, coded_table, codes_of
from strongroom.engines.privacy.dp.training.domain import Category, Number
from strongroom.errors import ValidationError

AGE = Number("age", 0, 64)
SEX = Category("sex", ("f", "m", "1", "true"))


@pytest.mark.parametrize(
    ("column", "places"),
    [
        (pa.array([0, 1, 63, 64, 900, -5]), [0, 1, 63, 63, 63, 0]),
        (pa.array([0.5, None, float("nan"), float("inf"), float("-inf")]), [0, 64, 64, 63, 0]),
        (pa.array(["7", " 8.5 ", "many", "", None, "nan", "1e400"]), [7, 8, 64, 64, 64, 64, 63]),
        (pa.array(["7", "8", "7"]).dictionary_encode(), [7, 8, 7]),
        (pa.array([True, False, None]), [1, 0, 64]),
    ],
)
def test_numbers_go_to_the_bins_of_their_bounds(column: "pa.Array[Any]", places: list[int]) -> None:
    assert codes_of(column, AGE).tolist() == places


@pytest.mark.parametrize(
    ("column", "places"),
    [
        (pa.array(["f", " m ", "x", "", None]), [0, 1, 4, 4, 4]),
        (pa.array([1, 2]), [2, 4]),
        (pa.array([1.0, float("nan")]), [2, 4]),
        (pa.array([True, False]), [3, 4]),
        (pa.chunked_array([["f"], ["m"]]), [0, 1]),
    ],
)
def test_categories_are_known_or_share_the_last_place(column: Any, places: list[int]) -> None:  # noqa: ANN401 # any array
    assert codes_of(column, SEX).tolist() == places


def test_rows_without_a_target_or_a_subject_are_left_out() -> None:
    table = pa.table({
        "age": [20, 30, 40, 50], "wealth": [1, 2, 3, 4], "town": ["north"] * 4,
        "rich": ["no", "perhaps", "yes", "yes"], "person": ["a", "b", "c", None],
    })  # fmt: skip
    coded = coded_table(table, DOMAIN, "person")
    assert coded.target.tolist() == [0, TARGET_UNIT]
    assert coded.subjects is not None
    assert len(set(coded.subjects.tolist())) == 2


def test_amounts_are_clamped_to_their_bounds() -> None:
    table = people(4).set_column(4, "income", pa.array([-3.0, 50.0, 1e9, None]))
    assert coded_table(table, AMOUNTS).target.tolist() == [0, TARGET_UNIT // 2, TARGET_UNIT]


@pytest.mark.parametrize(
    ("table", "subject", "words"),
    [
        (people(3).drop_columns(["age"]), "", "no column `age`"),
        (people(3).drop_columns(["rich"]), "", "no column `rich`"),
        (people(3), "nobody", "no column `nobody`"),
        (people(3), "town", "may not use it"),
        (people(3).append_column("age", pa.array([1, 2, 3])), "", "or several"),
        (people(3).set_column(0, "age", pa.array([[1], [2], [3]])), "", "no numbers"),
        (people(3).set_column(2, "town", pa.array([b"a", b"b", b"c"])), "", "no categories"),
    ],
)
def test_a_table_of_another_shape_is_refused(table: pa.Table, subject: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        coded_table(table, DOMAIN, subject)


_VALUES = st.none() | st.text(max_size=8) | st.floats().map(str) | st.sampled_from(["north", "yes"])


@settings(max_examples=60)
@given(st.lists(st.tuples(_VALUES, _VALUES, _VALUES, _VALUES), min_size=1, max_size=12), st.data())
def test_no_value_raises_and_no_row_depends_on_another(
    rows: list[Any], data: st.DataObject
) -> None:
    def coded(some: list[Any]) -> list[tuple[int, ...]]:
        columns = dict(zip(("age", "wealth", "town", "rich"), zip(*some, strict=True), strict=True))
        schema = pa.schema([(name, pa.string()) for name in columns])
        found = coded_table(pa.table(dict(columns), schema=schema), DOMAIN)
        return list(zip(*(one.tolist() for one in found.codes), found.target.tolist(), strict=True))

    whole = coded(rows)
    left_out = data.draw(st.integers(0, len(rows) - 1))
    fewer = rows[:left_out] + rows[left_out + 1 :]
    if fewer:
        remaining = coded(fewer)
        gone = coded([rows[left_out]])
        assert sorted(remaining + gone) == sorted(whole)
    for place in whole:
        assert np.all(np.array(place) >= 0)
