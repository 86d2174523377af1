"""A type of one's own from the values of a column."""

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn, verhoeff

from strongroom.engines.privacy.discover.custom import parse_custom_types
from strongroom.engines.privacy.discover.profile import ColumnSample, sample_column
from strongroom.engines.privacy.discover.suggesting import describe, suggest_type

CHANCE = random.Random(7)  # noqa: S311 # no secret


def sample(values: list[str], name: str = "study code") -> ColumnSample:
    return sample_column(name, pa.chunked_array([pa.array(values, pa.string())]))


@pytest.mark.parametrize(("checksum", "module"), [("luhn", luhn), ("verhoeff", verhoeff)])
def test_a_check_digit_is_seen(checksum: str, module: object) -> None:
    bodies = [f"{CHANCE.randrange(10**7):07}" for _ in range(60)]
    values = [f"KT {body}{module.calc_check_digit(body)}" for body in bodies]  # type: ignore[attr-defined] # untyped
    found = suggest_type(sample(values))
    assert found is not None
    assert found.type.checksum == checksum
    assert found.words == "`KT `, 8 digits"
    wrong = [value[:-1] + str((int(value[-1]) + at) % 10) for at, value in enumerate(values)]
    without = suggest_type(sample(wrong))
    assert without is not None
    assert without.type.checksum == ""


def test_the_commonest_shape_is_taken() -> None:
    values = [f"AB{at:04}" for at in range(80)] + [f"old {at}" for at in range(20)]
    found = suggest_type(sample(values))
    assert found is not None
    assert (found.share, found.distinct) == (0.8, 80)
    assert found.words == "`AB`, 4 digits"
    assert suggest_type(sample(values[60:])) is None  # half of it is no form


@pytest.mark.parametrize(
    ("header", "name"),
    [("Study Code", "study_code"), ("e-mail", "e_mail"), ("email", "own_email"),
     ("7", "own_7"), ("", "own"), ("Größe \u202e", "grosse"), ("x" * 99, "x" * 63)],
)  # fmt: skip
def test_names_are_those_of_types(header: str, name: str) -> None:
    found = suggest_type(sample([f"AB{at:04}" for at in range(80)], header))
    assert found is not None
    assert found.type.name == name
    assert parse_custom_types(found.toml()) == (found.type,)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(st.lists(TEXTS, min_size=8, max_size=20, unique=True), st.text(max_size=20))
def test_whatever_is_suggested_can_be_read_back(values: list[str], header: str) -> None:
    found = suggest_type(sample(values, header))
    if found is not None:
        text = found.toml()
        assert parse_custom_types(text) == (found.type,)
        assert all(sign.isprintable() or sign == "\n" for sign in text)
        assert found.share >= 0.6


def test_patterns_in_words() -> None:
    assert describe(r"ST\-\d{6}") == "`ST-`, 6 digits"
    assert describe("[A-Z]{2,3}[a-z]") == "2 to 3 capital letters, 1 small letter"
    assert describe(r"[\-/]\d") == r"1 sign of [\-/], 1 digit"
