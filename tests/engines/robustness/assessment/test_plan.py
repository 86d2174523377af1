"""Plans: read strictly, whatever is wrong named by its place."""

import re
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.robustness.assessment import plan as module
from strongroom.engines.robustness.assessment.plan import (
    DEFAULT_TEXT,
    MAX_CHARACTERS,
    ColumnRoles,
    FeatureRule,
    Plan,
    parse_plan,
)
from strongroom.engines.robustness.outcome import Gate
from strongroom.engines.robustness.space import Relation
from strongroom.engines.robustness.target import OutputForm
from strongroom.errors import TooLargeError, ValidationError


def test_the_example_of_the_module_is_a_plan() -> None:
    text = (module.__doc__ or "").partition("\n\n")[2]
    found = parse_plan(text)
    assert found.tests == ("evasion.decision", "membership.lira")
    assert found.required == ("membership.lira",)
    assert found.columns == ColumnRoles("outcome", ("id",), "uploader", ("sex",), "case")
    assert found.answers == OutputForm(decimals=3)
    assert (found.limits.per_minute, found.limits.per_day) == (60, 5_000)
    assert found.features == {"age": FeatureRule(direction=1), "sex": FeatureRule(is_mutable=False)}
    assert found.relations == (Relation({"spent": 1.0, "income": -1.0}, 0.0),)
    assert found.gates == {"evasion.decision": (Gate("robust accuracy", "at least", 0.7, "worst"),)}
    for one in fields(Plan):  # every field of a plan can be set in the example
        assert getattr(found, one.name) != getattr(parse_plan(DEFAULT_TEXT), one.name) or (
            one.name in {"name", "seed", "minutes", "rows"}
        )


def test_a_plan_can_be_nearly_empty() -> None:
    found = parse_plan(DEFAULT_TEXT)
    assert (found.name, found.tests, found.gates, found.rows) == ("robustness", (), {}, 300)
    assert re.fullmatch("sha256:[0-9a-f]{64}", found.digest)
    assert parse_plan(DEFAULT_TEXT + "\n").digest != found.digest


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("version = 2", "version"),
        ("seed = -1", "seed"),
        ("seed = true", "seed"),
        ("rows = 0", "rows"),
        ("minutes = 0", "minutes"),
        ("minutes = nan", "minutes"),
        ('minutes = "5"', "minutes"),
        ("tests = 1", "tests"),
        ("tests = [1]", "tests"),
        ("weather = 1", "weather"),
        ("columns = 1", "columns"),
        ("[columns]\nlabels = 1", "labels"),
        ('[answers]\nshows = "all"', "shows"),
        ("[answers]\ntop = 0", "top"),
        ("[answers]\ndecimals = -1", "decimals"),
        ("[limits]\nper_day = 0", "per_day"),
        ("[features]\nage = 1", "age"),
        ('[features.age]\ndirection = "sideways"', "age"),
        ("[features.age]\nlow = 3\nhigh = 2", "age"),
        ('[features.age]\nmutable = "no"', "mutable"),
        ("[[relations]]\nat_most = 1", "relations"),
        ("[[relations]]\nfactors = { a = 1.0 }", "relations"),
        ("[[relations]]\nfactors = { a = 1.0 }\nat_most = 1\nequals = 1", "relations"),
        ('[[relations]]\nfactors = { a = "1" }\nat_most = 1', "factors"),
        ('[[gates]]\ntest = "a"\nmeasure = "b"', "gates"),
        ('[[gates]]\ntest = "a"\nat_most = 1', "gates"),
        ('[[gates]]\ntest = "a"\nmeasure = "b"\nat_most = 1\njudged = "kindly"', "judged"),
        ("gates = [1]", "gates"),
        ("x = [", "TOML"),
    ],
)
def test_what_is_wrong_is_named(line: str, names: str) -> None:
    text = line if line.startswith("version") else f"version = 1\n{line}"
    with pytest.raises(ValidationError, match=names):
        parse_plan(text)


def test_a_plan_that_is_too_long_or_deep_is_refused() -> None:
    with pytest.raises(TooLargeError):
        parse_plan("#" * (MAX_CHARACTERS + 1))
    with pytest.raises(ValidationError):
        parse_plan("a = " + "[" * 5_000 + "]" * 5_000)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_other_text_is_refused_in_our_words(text: str) -> None:
    try:
        parse_plan(text)
    except ValidationError as error:
        assert error.message  # noqa: PT017 # most texts are none
