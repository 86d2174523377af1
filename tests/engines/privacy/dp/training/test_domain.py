"""What is public: read from a file, and nothing else is taken."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.privacy.dp.training.people import AMOUNTS, DOMAIN

from strongroom.engines.privacy.dp.training.domain import (
    MAX_CHARACTERS,
    MAX_COLUMNS,
    Category,
    Choice,
    Domain,
    Number,
    Scale,
    domain_of,
    parse_domain,
)
from strongroom.errors import CallerError, TooLargeError, ValidationError

TEXT = """
[target]
name = "income"
values = ["<=50K", ">50K"]

[columns.age]
low = 17
high = 90

[columns.sex]
values = ["Female", "Male"]

[columns.gain]
low = 0.0
high = 99999.0
scale = "linear"
"""


def test_a_domain_is_read_from_its_file() -> None:
    assert parse_domain(TEXT) == Domain(
        (
            Number("age", 17, 90),
            Category("sex", ("Female", "Male")),
            Number("gain", 0, 99_999, Scale.LINEAR),
        ),
        Choice("income", ("<=50K", ">50K")),
    )


@pytest.mark.parametrize("domain", [DOMAIN, AMOUNTS])
def test_a_domain_comes_back_from_its_document(domain: Domain) -> None:
    assert domain_of(domain.document()) == domain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[target", "no TOML"),
        ("", "tables"),
        (TEXT + "[more]\n", "nothing else"),
        (TEXT.replace('name = "income"', ""), "no name"),
        (TEXT.replace('"<=50K", ', ""), "1 values"),
        (TEXT.replace('"<=50K", ', '"a", "b", '), "two classes, or for a number"),
        (TEXT.replace('["<=50K"', '[">50K"'), "two different values"),
        (TEXT.replace("high = 90", ""), "needs `values`, or `low` and `high`"),
        (TEXT.replace("high = 90", "high = 17"), "low below high"),
        (TEXT.replace("high = 90", "high = inf"), "low below high"),
        (TEXT.replace("high = 90", "high = nan"), "low below high"),
        (TEXT.replace("high = 90", "high = 1e300"), "1e30"),
        (TEXT.replace("high = 90", "high = true"), "no number"),
        (TEXT.replace("linear", "cubic"), "auto, linear or log"),
        (TEXT.replace('"Male"', '"Female"'), "each of them once"),
        (TEXT.replace('"Male"', '""'), "empty"),
        (TEXT.replace('"Male"', "[1]"), "neither text nor number"),
        (TEXT.replace("columns.sex", "columns.income"), "or is the target"),
        ("[columns]\n" + TEXT.partition("[columns")[0], "1 to 1,000 columns"),
    ],
)
def test_what_is_no_domain_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_domain(text)
    assert words in f"{caught.value.message} {caught.value.next_step}"


def test_a_large_file_is_refused_unread() -> None:
    with pytest.raises(TooLargeError):
        parse_domain("#" * (MAX_CHARACTERS + 1))


def test_more_columns_than_allowed_are_refused() -> None:
    columns = {f"c{at}": {"low": 0, "high": 1} for at in range(MAX_COLUMNS + 1)}
    with pytest.raises(ValidationError, match="columns"):
        domain_of({"target": {"name": "y", "low": 0, "high": 1}, "columns": columns})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["target", "columns", "name", "values", "low", "high", "scale", "a"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_document_is_a_domain_or_an_error_of_ours(document: Any) -> None:  # noqa: ANN401 # hostile
    with contextlib.suppress(CallerError):
        assert isinstance(domain_of(document), Domain)


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9), st.sampled_from(Scale))
def test_cuts_rise_and_stay_within_the_bounds(low: float, span: float, scale: Scale) -> None:
    if low + span <= low:
        return
    cuts = Number("x", low, low + span, scale).cuts()
    assert len(cuts) == 63
    assert (np.diff(cuts) >= 0).all()
    assert np.float32(low) <= cuts[0]
    assert cuts[-1] <= np.float32(low + span)


def test_wide_numbers_are_binned_by_their_logarithm() -> None:
    wide, narrow = Number("gain", 0, 99_999), Number("age", 0, 100)
    assert wide.cuts()[31] == pytest.approx(100_000**0.5 - 1, rel=1e-5)
    assert narrow.cuts()[31] == 50
