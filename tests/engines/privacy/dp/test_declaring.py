"""Bounds, keys and bins, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.dp.declaring import by_column, declared, number_of
from strongroom.engines.privacy.dp.intake import Kind
from strongroom.engines.privacy.dp.query import Bounds
from strongroom.errors import CallerError, DpUnboundedError, ValidationError

KINDS = {"age": Kind.WHOLE, "ward": Kind.TEXT, "urgent": Kind.TRUTH, "a=b": Kind.NUMBER}


def test_each_is_read_by_the_kind_of_its_column() -> None:
    found = declared(
        ["age=0:120", "a=b=-1.5:1e3"],
        ['ward=north,"east, or not",', "age=1,-2,x", "urgent=true,false,maybe"],
        ["a=b=0,18,65"],
        KINDS,
    )
    assert found.bounds == {"age": Bounds(0.0, 120.0), "a=b": Bounds(-1.5, 1000.0)}
    assert found.keys == {
        "ward": ("north", "east, or not", None),
        "age": (1, -2, "x"),
        "urgent": (True, False, "maybe"),
    }
    assert found.bins == {"a=b": (0.0, 18.0, 65.0)}


@pytest.mark.parametrize(
    ("bounds", "keys", "bins"),
    [
        (["age"], [], []), (["=0:1"], [], []), (["age=0"], [], []), (["age=a:b"], [], []),
        (["age=0:inf"], [], []), (["age=nan:1"], [], []), (["age=0:1", "age=0:1"], [], []),
        ([], ["=a"], []), ([], ["ward=a", "ward=b"], []), ([], ["nobody=a"], []),
        ([], ["ward=" + "a" * 200_000], []), ([], [], ["age=1,x"]), ([], [], ["age=1,,2"]),
        ([], [], ["age=1e999,2"]),
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_refused(
    bounds: list[str], keys: list[str], bins: list[str]
) -> None:
    with pytest.raises(CallerError):
        declared(bounds, keys, bins, KINDS)


def test_bounds_out_of_order_are_refused_as_bounds() -> None:
    with pytest.raises(DpUnboundedError):
        declared(["age=120:0"], [], [], KINDS)


@given(st.text(max_size=30))
def test_any_text_is_taken_or_refused(text: str) -> None:
    for bounds, keys, bins in (([text], [], []), ([], [text], []), ([], [], [text])):
        try:
            declared(bounds, keys, bins, KINDS)
        except CallerError as error:
            assert error.message  # noqa: PT017 # whichever it is


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back(number: float) -> None:
    assert number_of(repr(number)) == number


def test_the_option_is_named_in_what_is_said() -> None:
    with pytest.raises(ValidationError, match="estimate-bounds: write COLUMN=EPSILON"):
        by_column(["age"], "estimate-bounds", "COLUMN=EPSILON")
