"""Policies as people write them, and what they are told where they err."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    ColumnProfile,
    Role,
    Shape,
)
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.mask.default_policy import DEFAULT_POLICY, default_policy
from strongroom.engines.privacy.mask.policy import OPTIONS, LinkScope, MaskRule, Method
from strongroom.engines.privacy.mask.policy_file import parse_policy
from strongroom.errors import ValidationError


def finding(column: str, type_name: str | None = None) -> ColumnFinding:
    """A finding of the engine."""
    role = RULES_BY_NAME[type_name].role if type_name else Role.PLAIN
    profile = ColumnProfile("string", Shape.CATEGORY, 10, 0, 3, 0, 4.0)
    return ColumnFinding(column, type_name, role, 0.9, (), profile)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[types", "not valid TOML"),
        ("[stuff]\n", "no section `stuff`"),
        ("[colums]\n", "did you mean `columns`?"),
        ('[types]\nnonsense = "keep"', "unknown name `nonsense`"),
        ('[types]\nemial = "keep"', "unknown name `emial`; did you mean `email`?"),
        ('[roles]\ndirct = "keep"', "did you mean `direct`?"),
        ('[types]\nemail = "redcat"', "`types.email`: there is no method `redcat`; did you"),
        ("[types]\nemail = 3", "`types.email` must be a method"),
        ('[types]\nemail = { method = "hash", salt = 3 }', "unknown option `salt`"),
        ('[types]\nage = { method = "generalize", bin_with = 5 }', "did you mean `bin_width`?"),
        ('[types]\nage = { method = "generalize", keep_last = 2 }',
         "`types.age`: `keep_last` is an option of partial, not of generalize"),
        ('[types]\nage = { method = "generalize", bin_width = 0 }', "`types.age.bin_width` must"),
        ('[types]\nage = { method = "partial", keep_last = true }', "a whole number from 0 to 100"),
        ('[types]\nage = { method = "partial", keep_last = 1.5 }', "a whole number"),
        ('[types]\ndate = { method = "generalize", unit = "day" }', "must be one of: month"),
        ('[columns]\nx = { method = "keep_common", at_least = 1 }', "from 3 to"),
        ('[columns]\nx = { method = "stand_in", keep_gender = 1 }', "true or false"),
        ('[columns]\nx = { method = "stand_in", locale = "xx_XX" }', "must be one of"),
        ('[columns]\nx = { method = "generalize", hierarchy = "z" }', "no hierarchy `z`"),
        ('[columns]\n"" = "keep"', "1 to 1000 characters"),
        ("[tables.visits]\ncolumn = {}", "did you mean `columns`?"),
        ("[tables]\nvisits = 3", "`tables.visits` must be a table"),
        ("[hierarchies]\nz = 3", "must bind texts to texts"),
        ('[hierarchies.z]\na = "b"\nb = "c"\nc = "a"', "runs in a circle"),
        ("[hierarchies.z]\n" + "\n".join(f'a{n} = "a{n + 1}"' for n in range(5_000)), "levels"),
        ("x = " + "1" * 5_000, "not valid TOML"),
        ('[keys]\nlink = "world"', "must be one of: dataset, purpose"),
        ('[keys]\nlnk = "dataset"', "did you mean `link`?"),
        ('[spans]\ndate = "noise"', "`noise` does nothing within texts"),
        ("types = 3", "must be a table"),
        ("#" * 200_001, "200000 characters"),
    ],
)  # fmt: skip
def test_a_faulty_policy_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_policy(text)
    assert words in caught.value.message


def test_there_may_be_so_many_rules() -> None:
    lines = "\n".join(f'c{i} = "keep"' for i in range(10_000))
    assert len(parse_policy(f"[columns]\n{lines}").columns) == 10_000


def test_deep_toml_is_refused_and_not_run_away_with() -> None:
    with pytest.raises(ValidationError):
        parse_policy("a = " + "[" * 50_000)


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    with contextlib.suppress(ValidationError):
        assert parse_policy(text).types is not None


def test_the_default_policy_names_known_types() -> None:
    policy = default_policy()
    assert set(policy.types) <= set(RULES_BY_NAME)
    assert policy == parse_policy(DEFAULT_POLICY)
    assert policy.link is LinkScope.DATASET
    assert not policy.uses_tokens


def test_every_option_has_a_method_and_words_and_holds_its_default() -> None:
    for name, option in OPTIONS.items():
        assert option.methods, name
        assert option.does, name
        default = getattr(MaskRule(Method.KEEP), name)
        if isinstance(default, str):
            assert not option.choices or default in option.choices, name
        else:
            assert option.least <= float(default) <= option.most, name


def test_the_nearest_rule_decides() -> None:
    policy = parse_policy(
        """
        [types]
        email = "hash"
        [roles]
        quasi = "drop"
        [shapes]
        category = "keep"
        [columns]
        mail = "redact"
        "address.city" = "keep"
        [tables.visits.columns]
        mail = "keep"
        """
    )

    def method(column: str, type_name: str | None = None, table: str = "") -> Method:
        return policy.rule_for(finding(column, type_name), table)[0].method

    assert method("mail", "email", "visits") is Method.KEEP
    assert method("mail", "email", "people") is Method.REDACT
    assert method("mail", "email") is Method.REDACT
    assert method("other", "email") is Method.HASH
    assert method("town", "city") is Method.DROP
    assert method("address.city", "city") is Method.KEEP
    assert method("kind") is Method.KEEP
    assert method("who", "person_name") is Method.REDACT


def test_spans_have_their_own_rules_before_those_of_types() -> None:
    policy = parse_policy('[types]\nemail = "hash"\ndate = "generalize"\n[spans]\ndate = "keep"')
    assert policy.span_rule("date", Role.QUASI).method is Method.KEEP
    assert policy.span_rule("email", Role.DIRECT).method is Method.HASH
    assert policy.span_rule("phone", Role.DIRECT).method is Method.REDACT


def test_custom_types_may_be_named() -> None:
    text = '[types]\nward_number = "hash"'
    with pytest.raises(ValidationError):
        parse_policy(text)
    assert "ward_number" in parse_policy(text, custom_types=["ward_number"]).types
